//! What the operator observed of a Show. No IO.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{conditions, retention::Deletion};

/// What the operator observed of a Show. It is written when something changes, not as time goes by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowStatus {
    /// The `metadata.generation` this status was made from; older than the object's: not handled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: its slots come as its schedule says. `Missed`: the newest slot was not what it should have been.
    /// `Reconciling` and `Stalled` are present only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,

    /// The next slot that has not started; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_slot: Option<SlotTime>,

    /// The slot that is on now, with its overrun; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<CurrentSlot>,

    /// The slots from 15 min before their start to the end of their overrun, up to 16, oldest first. What is changed, or
    /// suspended, counts for those that have not started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["start".into()]))]
    pub under_way: Vec<SlotUnderWay>,

    /// The newest 8 slots that are over, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["start".into()]))]
    pub slots: Vec<PastSlot>,

    /// Every slot that starts up to here has been dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub seen_until: Option<Timestamp>,

    /// The newest 48 notices of slots that were not what they should have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 48))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["slot".into(), "kind".into()]))]
    pub notices: Vec<Notice>,

    /// Number of its finished recordings that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<i32>,

    /// Number of its recordings that were deleted because they need not be kept, since there is this Show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<i32>,

    /// Number of objects in the bucket that went with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_objects: Option<i64>,

    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_bytes: Option<i64>,

    /// The last Job that deleted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotTime {
    /// When it starts.
    #[schemars(schema_with = "conditions::time")]
    pub start: Timestamp,

    /// When it ends.
    #[schemars(schema_with = "conditions::time")]
    pub end: Timestamp,
}

/// The slot that is on now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentSlot {
    /// When it started.
    #[schemars(schema_with = "conditions::time")]
    pub start: Timestamp,

    /// When it ends.
    #[schemars(schema_with = "conditions::time")]
    pub end: Timestamp,

    /// Name of its Recording; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,

    /// When somebody went on air first; absent: nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub on_air_since: Option<Timestamp>,
}

/// A slot that has begun, as it was when it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotUnderWay {
    /// When it starts.
    #[schemars(schema_with = "conditions::time")]
    pub start: Timestamp,

    /// When it ends.
    #[schemars(schema_with = "conditions::time")]
    pub end: Timestamp,

    /// From when on presenters may connect.
    #[schemars(schema_with = "conditions::time")]
    pub opens: Timestamp,

    /// Until when presenters may connect, and are on air.
    #[schemars(schema_with = "conditions::time")]
    pub closes: Timestamp,

    /// From when on they are on air; absent: nobody has said so yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub live_from: Option<Timestamp>,

    /// Whether they are disconnected at the end.
    pub hard_end: bool,

    /// Name of its Recording; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,

    /// When somebody went on air first; absent: nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub on_air_since: Option<Timestamp>,

    /// The Show that has this slot, with the same start at the same place; absent: this one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
}

/// A slot that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastSlot {
    /// When it started.
    #[schemars(schema_with = "conditions::time")]
    pub start: Timestamp,

    /// When it ended.
    #[schemars(schema_with = "conditions::time")]
    pub end: Timestamp,

    /// Name of its Recording; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,

    /// When somebody went on air first; absent: nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub on_air_since: Option<Timestamp>,

    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// Its recording goes on, or is not finished.
    Storing,
    /// It is recorded and verified.
    Recorded,
    /// Less of it than `minCoverage` is recorded.
    Short,
    /// It is recorded, and somebody should listen to it.
    Doubtful,
    /// Nobody was on air.
    Missed,
    /// Somebody was on air, and nothing of it is recorded.
    NotRecorded,
    /// Somebody was on air; nothing is recorded here.
    Aired,
    /// Another Show had it.
    Taken,
}

/// A slot that was not what it should have been, and whether somebody was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// When the slot started.
    #[schemars(schema_with = "conditions::time")]
    pub slot: Timestamp,

    /// What was wrong with it.
    pub kind: NoticeKind,

    /// Who knows.
    pub state: NoticeState,

    /// Since when.
    #[schemars(schema_with = "conditions::time")]
    pub at: Timestamp,

    /// What was told, or is to be, as a sentence for people.
    #[schemars(length(max = 500))]
    pub message: String,

    /// Which of the Station's ways have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub told: Vec<NoticeWay>,

    /// Which of them have that it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub over_told: Vec<NoticeWay>,
}

/// A way to tell somebody: `Telegram` or `Webhook`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NoticeWay {
    /// A chat of Telegram.
    Telegram,
    /// An address that takes messages.
    Webhook,
}

/// What was wrong with a slot: `Missed`, `NotRecorded`, `Short`, `Doubtful` or `NotStored`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NoticeKind {
    /// Nobody was on air when it had been on for `missedAfter`.
    Missed,
    /// Somebody is on air, and it is not recorded.
    NotRecorded,
    /// Less of it than `minCoverage` is recorded.
    Short,
    /// It is recorded, and somebody should listen to it.
    Doubtful,
    /// The store did not answer for half an hour after its end.
    NotStored,
}

/// Who knows of it: `Due`, `Told`, `Over`, `Recovered` or `Undelivered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NoticeState {
    /// Somebody is to be told.
    Due,
    /// Everybody who is to be told was.
    Told,
    /// It is over, and somebody is to be told.
    Over,
    /// It is over, and everybody knows.
    Recovered,
    /// Not everybody could be told within a day.
    Undelivered,
}
