//! `Recording`: one archive of what went on air at a Mount, and what became of it. No IO.

mod status;

pub use status::{Gap, GapKind, Object, Over, Phase, RecordingStatus, Session};

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{conditions, quantity, store::Bucket, text};

/// After how long without a source on air a Recording that names no time is over.
pub const DEFAULT_IDLE_END: &str = "2m";
/// How long a Recording that names no length may get.
pub const DEFAULT_MAX_LENGTH: &str = "6h";
/// What a Recording that names no size may hold on its node's disk.
pub const DEFAULT_SPOOL_SIZE: &str = "2Gi";
/// What a spool holds at least: two segments, so that one can be sent while the next one comes.
const SMALLEST_SPOOL: u64 = 8 << 20;
/// The first edition of the final object.
pub const FIRST_EDITION: u32 = 1;

/// One archive of what went on air at a Mount: where it is kept, how far it is, and what is missing in it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "radio.moafunk.de",
    version = "v1alpha1",
    kind = "Recording",
    plural = "recordings",
    namespaced,
    status = "RecordingStatus",
    shortname = "rec",
    category = "radio",
    derive = "PartialEq",
    doc = "One archive of what went on air at a Mount: where it is kept, how far it is, and what is missing in it. \
           The operator makes one for each show; deleting it keeps everything in the bucket.",
    validation = text::recording_name(),
    cel,
    printcolumn(name = "Mount", type_ = "string", json_path = ".spec.mount"),
    printcolumn(name = "On air since", type_ = "string", json_path = ".status.startedAt"),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Gaps", type_ = "integer", json_path = ".status.gaps"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Verified",
        type_ = "string",
        json_path = ".status.verifiedAt",
        priority = 1
    ),
    printcolumn(
        name = "Object",
        type_ = "string",
        json_path = ".status.objects[0].url",
        priority = 1
    )
)]
#[x_kube(validation = immutable())]
#[serde(rename_all = "camelCase")]
pub struct RecordingSpec {
    /// The Station. It need not exist any longer.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::name_of_resource())]
    pub station: String,

    /// The Mount. It need not exist any longer.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::name_of_resource())]
    pub mount: String,

    /// Only this input, e.g. one of a passthrough Mount, whose inputs are streams of their own. Default: all inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::one_line())]
    pub input: Option<String>,

    /// What it is of, for people and players, 1 to 200 characters on one line.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::one_line())]
    pub title: String,

    /// From when to when.
    pub window: Window,

    /// Without `window.until` it is over when no source was on air for so long, `5s` to `1h`. Default: `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::silence())]
    pub idle_end: Option<String>,

    /// The longest it gets, `1m` to `24h`; the next Recording goes on from there, and nothing is lost. Default: `6h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::length())]
    pub max_length: Option<String>,

    /// Where it is kept.
    pub store: Bucket,

    /// Most bytes that wait on the recorder's node while the store does not answer, in Mi, Gi or Ti; less than 8Mi counts
    /// as 8Mi. Default: 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = text::volume_size())]
    pub spool_size: Option<String>,

    /// What is made besides the final object, which is what the sources sent: `mp3`. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub renditions: Vec<Rendition>,

    /// Percent of the window that has to be on air, 1 to 100; with less it is doubtful. Default: any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_coverage: Option<u8>,

    /// The slot of a Show that it is of. Default: none, it is of whoever goes on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<SlotOf>,

    /// Raise it, and the final object is made again from the bucket, as the next version; no version is overwritten.
    /// Default: 1. The only field that can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 999))]
    pub edition: Option<u32>,
}

/// Fields of the spec that are there from the beginning and stay; `true`: they need not be there.
const FIXED: [(&str, bool); 13] = [
    ("station", false),
    ("mount", false),
    ("input", true),
    ("title", false),
    ("window", false),
    ("idleEnd", true),
    ("maxLength", true),
    ("store", false),
    ("spoolSize", true),
    ("renditions", true),
    ("minCoverage", true),
    ("show", true),
    ("edition", true),
];

fn immutable() -> Rule {
    let same = FIXED.iter().filter(|(name, _)| *name != "edition").map(|(name, optional)| {
        if *optional {
            format!("has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})")
        } else {
            format!("self.{name} == oldSelf.{name}")
        }
    });
    Rule::new(same.collect::<Vec<_>>().join(" && "))
        .message("a Recording cannot be changed, except for its edition: what is recorded, and where to, was decided when it began")
}

/// From when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// What was on air before it does not belong to the Recording.
    #[schemars(schema_with = "conditions::time")]
    pub from: Timestamp,

    /// What is on air after it does not, either. Default: it is over when nobody was on air for `idleEnd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub until: Option<Timestamp>,
}

/// A slot of a Show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotOf {
    /// The Show. It need not exist any longer.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::name_of_resource())]
    pub name: String,

    /// When the slot ends; what is on air after it, to the end of the window, is no part of what has to be.
    #[schemars(schema_with = "conditions::time")]
    pub slot_end: Timestamp,
}

/// What is made besides the final object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rendition {
    /// An MP3, for players that know nothing else.
    Mp3,
}

impl RecordingSpec {
    /// After how many seconds without a source on air it is over; `None` if what is written is no time.
    #[must_use]
    pub fn idle_end_seconds(&self) -> Option<u32> {
        quantity::seconds(self.idle_end.as_deref().unwrap_or(DEFAULT_IDLE_END))
    }

    /// How many seconds it may get long; `None` if what is written is no time.
    #[must_use]
    pub fn max_length_seconds(&self) -> Option<u32> {
        quantity::seconds(self.max_length.as_deref().unwrap_or(DEFAULT_MAX_LENGTH))
    }

    /// How many bytes may wait on its node; `None` if what is written is no size.
    #[must_use]
    pub fn spool_bytes(&self) -> Option<u64> {
        let asked = quantity::bytes(self.spool_size.as_deref().unwrap_or(DEFAULT_SPOOL_SIZE));
        asked.map(|bytes| bytes.max(SMALLEST_SPOOL))
    }

    /// The wanted edition of the final object.
    #[must_use]
    pub fn edition(&self) -> u32 {
        self.edition.unwrap_or(FIRST_EDITION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_the_spec_is_forgotten_where_changes_are_refused() {
        let schema = serde_json::to_value(schemars::schema_for!(RecordingSpec)).unwrap();
        let required = schema["required"].as_array().unwrap();
        let mut fields: Vec<(String, bool)> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| (name.clone(), !required.contains(&name.as_str().into())))
            .collect();
        let mut fixed = FIXED.map(|(name, optional)| (name.to_owned(), optional));
        fields.sort();
        fixed.sort();
        assert_eq!(fields, fixed);
    }

    #[test]
    fn defaults() {
        let spec: RecordingSpec = serde_json::from_value(serde_json::json!({
            "station": "radio", "mount": "live", "title": "Live", "window": {"from": "2026-11-21T19:00:00.25Z"},
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
        }))
        .unwrap();
        assert_eq!(spec.idle_end_seconds(), Some(120));
        assert_eq!(spec.max_length_seconds(), Some(21_600));
        assert_eq!(spec.spool_bytes(), Some(2 << 30));
        assert_eq!(spec.edition(), 1);
        let small = RecordingSpec {
            spool_size: Some("1Mi".to_owned()),
            ..spec.clone()
        };
        assert_eq!(small.spool_bytes(), Some(8 << 20));
        // Instants keep their fractions of a second: what is before `from` does not belong to it.
        let again = serde_json::to_value(&spec).unwrap();
        assert_eq!(again["window"]["from"], "2026-11-21T19:00:00.25Z");
    }
}
