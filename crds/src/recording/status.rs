//! What became of a Recording. No IO.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions;

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
