//! `Mount`: one channel of a Station: who and what is heard, and in which encodings. No IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    conditions,
    input::{Input, InputStatus, Passthrough},
    recorded::{Recorded, RecordingMode},
    refs::{ConfigMapKeyRef, ConfigMapRef, StationRef, VolumeRef},
    text,
};

/// One channel of a Station: its inputs and playlists in order of priority and the encodings it is heard in.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "radio.moafunk.de",
    version = "v1alpha1",
    kind = "Mount",
    plural = "mounts",
    namespaced,
    status = "MountStatus",
    shortname = "mnt",
    category = "radio",
    derive = "PartialEq",
    doc = "One channel of a Station: its inputs and playlists in order of priority and the encodings it is heard in.",
    validation = text::resource_name(),
    cel,
    printcolumn(name = "Station", type_ = "string", json_path = ".spec.stationRef.name"),
    printcolumn(name = "Path", type_ = "string", json_path = ".spec.path"),
    printcolumn(name = "Source", type_ = "string", json_path = ".status.source"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = path_of_outputs(),
    validation = path_of_passthrough(),
    validation = keys_for_the_star(),
    validation = passthrough_alone(),
    validation = immutable_form()
)]
#[serde(rename_all = "camelCase")]
pub struct MountSpec {
    /// The Station this Mount is heard on. Immutable.
    #[x_kube(validation = text::immutable_station())]
    pub station_ref: StationRef,

    /// Address on the Station, e.g. `/live`; each output is heard at `<path>.<output name>`.
    /// Up to 64 characters; unique within the Station; not under `/admin`.
    /// With `passthrough` the whole address: `/mic.opus`, or `/mic-*.opus` for many sources.
    #[schemars(length(min = 2, max = 64))]
    #[x_kube(validation = text::mount_path(), validation = text::not_under_admin())]
    pub path: String,

    /// Title as players show it, 1 to 200 characters on one line. Default: the title of the Station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::one_line())]
    pub title: Option<String>,

    /// The encodings, 1 to 8. Default: `opus` with 96 kbit/s and `mp3` with 128 kbit/s.
    /// A change restarts the playout of this Mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub outputs: Vec<Output>,

    /// Places where DJs connect, up to 8, the first has priority over the next, and all over the playlists.
    /// Default: none. A change restarts nothing; only the source of an input that is gone is disconnected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub inputs: Vec<Input>,

    /// Playlists, up to 16, the first has priority: the next is heard when those before have nothing to play.
    /// Default: none, the emergency audio is heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub playlists: Vec<Playlist>,

    /// The audio heard when no playlist has anything to play. Default: a tune shipped with the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,

    /// The playout engine. Default: as the operator is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liquidsoap: Option<Liquidsoap>,

    /// Sources are heard as they come: no Liquidsoap, no transcoding, no playlists; `path` ends in .opus, .ogg, .flac,
    /// .mp3 or .aac. Default: Liquidsoap plays. Immutable. Excludes outputs, inputs, playlists, emergency, liquidsoap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passthrough: Option<Passthrough>,

    /// What of this Mount is recorded. Default: every source that goes on air, if the Station has `storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recorded>,
}

fn path_of_outputs() -> Rule {
    Rule::new("has(self.passthrough) || !self.path.matches('[.](opus|ogg|flac|mp3|aac)$')").message(
        "path must have no ending such as .opus: each output adds its own; only with passthrough it has one",
    )
}

fn path_of_passthrough() -> Rule {
    Rule::new("!has(self.passthrough) || self.path.contains('.')")
        .message("path of a passthrough Mount must end in .opus, .ogg, .flac, .mp3 or .aac")
}

fn keys_for_the_star() -> Rule {
    Rule::new(
        "!has(self.passthrough) || !self.path.contains('*') || has(self.passthrough.keysSecretRef)",
    )
    .message(
        "passthrough.keysSecretRef must be there for a path with '*': each key of that Secret stands for the '*'",
    )
}

fn passthrough_alone() -> Rule {
    Rule::new(
        "!has(self.passthrough) || !(has(self.outputs) || has(self.inputs) || has(self.playlists) \
         || has(self.emergency) || has(self.liquidsoap))",
    )
    .message(
        "passthrough excludes outputs, inputs, playlists, emergency and liquidsoap: its sources are heard as they come",
    )
}

fn immutable_form() -> Rule {
    Rule::new("has(self.passthrough) == has(oldSelf.passthrough)").message(
        "passthrough is immutable: to have or not to have Liquidsoap, delete this Mount and make a new one",
    )
}

/// One encoding of a Mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = opus_bitrate(), validation = mp3_bitrate())]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Last part of the address, e.g. `opus`: the output of `/live` is heard at `/live.opus`. Up to 16 characters.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = text::output_name(), validation = text::not_an_icecast_page())]
    pub name: String,

    /// The encoding: `opus` (Opus in Ogg) or `mp3`.
    pub codec: Codec,

    /// Kilobits per second. Default: 96 for `opus`, 128 for `mp3`. `opus`: 16 to 256; `mp3`: a rate of MPEG-1
    /// Layer 3: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256 or 320.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 320))]
    pub bitrate_kbps: Option<u16>,
}

fn opus_bitrate() -> Rule {
    Rule::new("self.codec != 'opus' || !has(self.bitrateKbps) || self.bitrateKbps <= 256")
        .message("bitrateKbps of an opus output must be 16 to 256")
}

fn mp3_bitrate() -> Rule {
    Rule::new(
        "self.codec != 'mp3' || !has(self.bitrateKbps) || \
         self.bitrateKbps in [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]",
    )
    .message(
        "bitrateKbps of an mp3 output must be one of \
         32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320",
    )
}

/// An encoding every image can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Codec {
    /// Opus in Ogg.
    Opus,
    /// MP3.
    Mp3,
}

/// One list of audio files; exactly one of `configMap` and `volume` says where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = one_source())]
#[serde(rename_all = "camelCase")]
pub struct Playlist {
    /// Name of the playlist, unique in the Mount, up to 40 characters.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::entry_name())]
    pub name: String,

    /// Order of the tracks. Default: `shuffle`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Order>,

    /// Every key of this `ConfigMap` is an audio file. Either this or `volume`. All files together: at most 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapRef>,

    /// The directory the audio files are in. Either this or `configMap`. Another volume restarts the Mount's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeRef>,
}

fn one_source() -> Rule {
    Rule::new("has(self.configMap) != has(self.volume)")
        .message("a playlist must have exactly one of configMap and volume")
}

/// Order of the tracks: `shuffle` (all in random order, then again in another) or `inOrder` (by file name).
/// Default: `shuffle`.
// The schema takes this text for the optional field, not the field's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Every track once in random order, then again in another.
    #[default]
    Shuffle,
    /// By file name.
    InOrder,
}

/// The audio of last resort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    /// The audio file, as a key of a `ConfigMap`. It is played in a loop.
    pub config_map: ConfigMapKeyRef,
}

/// The playout engine of a Mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Liquidsoap {
    /// Image of the playout pod. Default: the image the operator was released with. Changing it restarts the playout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = text::image())]
    pub image: Option<String>,
}

/// What the operator observed of a Mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MountStatus {
    /// The `metadata.generation` this status was made from; older than the object's: not handled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: every output is heard. `Reconciling` and `Stalled` are present only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,

    /// Where each output is heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub outputs: Vec<OutputStatus>,

    /// Where sources connect, and who is connected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub inputs: Vec<InputStatus>,

    /// Name of the input that is on air; absent: none is. Of several at once, with `passthrough`, their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// Name of the Recording under way; absent: none is. Of several at once, with `passthrough`, their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
}

/// Where an output is heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// Name of the output.
    pub name: String,

    /// Its address on the Station, e.g. `/live.opus`.
    pub path: String,

    /// Its whole address inside the cluster.
    pub url: String,
}

/// An output with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedOutput {
    /// Name of the output.
    pub name: String,
    /// The Icecast mount point it is heard at, e.g. `/live.opus`.
    pub path: String,
    /// Its encoding.
    pub codec: Codec,
    /// Kilobits per second.
    pub bitrate_kbps: u16,
}

/// Where a playlist's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaylistSource<'a> {
    /// Every key of a `ConfigMap` is a file.
    ConfigMap(&'a ConfigMapRef),
    /// A directory on a volume.
    Volume(&'a VolumeRef),
}

impl Mount {
    /// The outputs in order, defaults filled in.
    #[must_use]
    pub fn outputs(&self) -> Vec<ResolvedOutput> {
        let resolve = |name: &str, codec: Codec, bitrate_kbps: Option<u16>| ResolvedOutput {
            name: name.to_owned(),
            path: format!("{}.{name}", self.spec.path),
            codec,
            bitrate_kbps: bitrate_kbps.unwrap_or_else(|| codec.default_bitrate_kbps()),
        };
        if self.spec.outputs.is_empty() {
            return vec![
                resolve("opus", Codec::Opus, None),
                resolve("mp3", Codec::Mp3, None),
            ];
        }
        self.spec
            .outputs
            .iter()
            .map(|output| resolve(&output.name, output.codec, output.bitrate_kbps))
            .collect()
    }

    /// Which sources are recorded, where the Station has storage.
    #[must_use]
    pub fn recording_mode(&self) -> RecordingMode {
        let recording = self.spec.recording.as_ref();
        recording.and_then(|recording| recording.mode).unwrap_or_default()
    }

    /// The Liquidsoap image the user asked for, if any.
    #[must_use]
    pub fn liquidsoap_image(&self) -> Option<&str> {
        self.spec.liquidsoap.as_ref()?.image.as_deref()
    }
}

impl Codec {
    /// The bitrate of an output that names none.
    #[must_use]
    pub fn default_bitrate_kbps(self) -> u16 {
        match self {
            Self::Opus => 96,
            Self::Mp3 => 128,
        }
    }
}

impl Playlist {
    /// The order of the tracks.
    #[must_use]
    pub fn order(&self) -> Order {
        self.mode.unwrap_or_default()
    }

    /// Where the files are; `None` for an object that was stored without the rule that there is exactly one.
    #[must_use]
    pub fn source(&self) -> Option<PlaylistSource<'_>> {
        match (&self.config_map, &self.volume) {
            (Some(config_map), None) => Some(PlaylistSource::ConfigMap(config_map)),
            (None, Some(volume)) => Some(PlaylistSource::Volume(volume)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(spec: serde_json::Value) -> Mount {
        Mount::new("live", serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_mount_without_outputs_is_heard_as_opus_and_mp3() {
        let outputs =
            mount(serde_json::json!({"stationRef": {"name": "example"}, "path": "/live"})).outputs();
        let heard: Vec<_> = outputs
            .iter()
            .map(|o| (o.path.as_str(), o.codec, o.bitrate_kbps))
            .collect();
        assert_eq!(
            heard,
            [("/live.opus", Codec::Opus, 96), ("/live.mp3", Codec::Mp3, 128)]
        );
    }

    #[test]
    fn named_outputs_replace_the_default_ones_and_keep_their_order() {
        let outputs = mount(serde_json::json!({
            "stationRef": {"name": "example"},
            "path": "/city/live",
            "outputs": [{"name": "hq.mp3", "codec": "mp3", "bitrateKbps": 320}, {"name": "low", "codec": "opus"}]
        }))
        .outputs();
        let heard: Vec<_> = outputs
            .iter()
            .map(|o| (o.path.as_str(), o.codec, o.bitrate_kbps))
            .collect();
        assert_eq!(
            heard,
            [
                ("/city/live.hq.mp3", Codec::Mp3, 320),
                ("/city/live.low", Codec::Opus, 96)
            ]
        );
    }

    #[test]
    fn a_playlist_has_one_source_or_none() {
        let source = |spec: serde_json::Value| {
            let playlist: Playlist = serde_json::from_value(spec).unwrap();
            playlist.source().map(|source| match source {
                PlaylistSource::ConfigMap(config_map) => config_map.name.clone(),
                PlaylistSource::Volume(volume) => volume.claim_name.clone(),
            })
        };
        assert_eq!(
            source(serde_json::json!({"name": "a", "configMap": {"name": "cm"}})).as_deref(),
            Some("cm")
        );
        assert_eq!(
            source(serde_json::json!({"name": "a", "volume": {"claimName": "pvc"}})).as_deref(),
            Some("pvc")
        );
        assert_eq!(source(serde_json::json!({"name": "a"})), None);
        assert_eq!(
            source(
                serde_json::json!({"name": "a", "configMap": {"name": "cm"}, "volume": {"claimName": "pvc"}})
            ),
            None
        );
    }
}
