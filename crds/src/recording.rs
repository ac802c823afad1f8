//! `Recording`: one archive of what went on air at a Mount, and what became of it. No IO.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
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

    /// Most bytes that wait on the recorder's node while the store does not answer, in Mi, Gi or Ti. Default: 2Gi.
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

    /// Raise it, and the final object is made again from the bucket, as the next version; no version is overwritten.
    /// Default: 1. The only field that can be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 999))]
    pub edition: Option<u32>,
}

/// Fields of the spec that are there from the beginning and stay; `true`: they need not be there.
const FIXED: [(&str, bool); 12] = [
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

/// What is made besides the final object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rendition {
    /// An MP3, for players that know nothing else.
    Mp3,
}

/// What the operator observed of a Recording. It is written when something changes, not as time goes by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingStatus {
    /// The `metadata.generation` this status was made from; older than the object's: not handled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: the final object is verified. `Reconciling`, `Stalled`, `StoreReachable` and `SpoolFilling` are present
    /// only while they matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,

    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// When it went on air first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub started_at: Option<Time>,

    /// When it was on air last; absent while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub ended_at: Option<Time>,

    /// How long it is, e.g. `1h59m`; absent while it is on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,

    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,

    /// The same for people, e.g. `164 MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,

    /// Number of gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<i32>,

    /// The first 16 of the gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["from".into(), "kind".into()]))]
    pub gap_list: Vec<Gap>,

    /// The first 64 of the connections that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub sessions: Vec<Session>,

    /// The first 8 of the final objects: one for each change of codec, and the renditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["key".into()]))]
    pub objects: Vec<Object>,

    /// The version of the final objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,

    /// Percent of the window that was on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<u8>,

    /// When the final objects were read back and found good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub verified_at: Option<Time>,

    /// Why somebody should listen to it, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub doubts: Vec<String>,

    /// Why nothing more belongs to it; absent while something may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,

    /// The edition the final objects are of; absent: there are none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<u32>,

    /// How often it was recorded further because a tape that was given up came back; each time is one more edition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened: Option<u32>,
}

/// How far a Recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nobody is on air yet.
    Waiting,
    /// It goes on.
    OnAir,
    /// It is over, and the rest goes into the bucket.
    Storing,
    /// The final object is being made.
    Finalizing,
    /// The final object was read back and is good.
    Verified,
    /// The final object is there, and somebody should listen to it.
    Doubtful,
    /// Nothing went on air.
    Empty,
}

/// Why nothing more belongs to a Recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Over {
    /// Nobody was on air for `idleEnd`.
    Idle,
    /// `window.until` has come.
    Until,
    /// It got as long as `maxLength`.
    MaxLength,
}

/// A time in which nothing is in the recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// From when.
    #[schemars(schema_with = "conditions::time")]
    pub from: Timestamp,

    /// To when.
    #[schemars(schema_with = "conditions::time")]
    pub to: Timestamp,

    /// Why: `noSource`, `rehearsal`, `automation`, or `lost`, which is the only one that should not be.
    pub kind: GapKind,

    /// Bytes that are gone, of one that is `lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// Why nothing is in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GapKind {
    /// Nobody was connected.
    NoSource,
    /// Whoever was connected was in rehearsal.
    Rehearsal,
    /// Playlists were heard.
    Automation,
    /// It was sent, and is gone.
    Lost,
}

/// One connection of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its name on the tape and in the bucket.
    pub id: String,

    /// The input it came in at.
    pub input: String,

    /// When it was on air first.
    #[schemars(schema_with = "conditions::time")]
    pub from: Timestamp,

    /// When it was on air last; absent while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub to: Option<Timestamp>,

    /// Bytes of it in the bucket; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A final object in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its key in the bucket.
    pub key: String,

    /// The same with the bucket, e.g. `s3://shows/city/radio/live/live-20261121t190000z/final-1/final-1.ogg`.
    pub url: String,

    /// Its bytes.
    pub bytes: i64,

    /// How long it plays.
    pub seconds: i64,

    /// What is in it, e.g. `opus`.
    pub codec: String,

    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
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
        quantity::bytes(self.spool_size.as_deref().unwrap_or(DEFAULT_SPOOL_SIZE))
    }

    /// The wanted edition of the final object.
    #[must_use]
    pub fn edition(&self) -> u32 {
        self.edition.unwrap_or(FIRST_EDITION)
    }
}

impl Recording {
    /// Nothing more will come of it: nothing needs its tape.
    #[must_use]
    pub fn has_everything(&self) -> bool {
        let phase = self.status.as_ref().and_then(|status| status.phase);
        matches!(
            phase,
            Some(Phase::Finalizing | Phase::Verified | Phase::Doubtful | Phase::Empty)
        )
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
        // Instants keep their fractions of a second: what is before `from` does not belong to it.
        let again = serde_json::to_value(&spec).unwrap();
        assert_eq!(again["window"]["from"], "2026-11-21T19:00:00.25Z");
    }
}
