//! `Show`: when somebody is on air at a Mount, who may be, and what is recorded of it. No IO.

mod status;

pub use status::{
    CurrentSlot, Notice, NoticeKind, NoticeState, NoticeWay, Outcome, PastSlot, ShowStatus, SlotTime,
    SlotUnderWay,
};

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema, core::Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    conditions, quantity,
    recording::Rendition,
    refs::{MountRef, SecretKeyRef},
    text,
};

/// The zone of a `cron` that names none.
pub const DEFAULT_TIME_ZONE: &str = "UTC";
/// How long before the start presenters of a Show that names no time may connect.
pub const DEFAULT_EARLY_CONNECT: &str = "15m";
/// How long after the end they stay on air.
pub const DEFAULT_OVERRUN: &str = "15m";
/// How long after the start a slot with nobody on air is missed.
pub const DEFAULT_MISSED_AFTER: &str = "5m";

/// What is on air at a Mount again and again, or once: when, by whom, and what is recorded of it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "radio.moafunk.de",
    version = "v1alpha1",
    kind = "Show",
    plural = "shows",
    namespaced,
    status = "ShowStatus",
    shortname = "sh",
    category = "radio",
    derive = "PartialEq",
    doc = "What is on air at a Mount again and again, or once: when, by whom, and what is recorded of it. A slot that has \
           begun stays as it was when it began, whatever is changed.",
    validation = text::show_name(),
    cel,
    printcolumn(name = "Mount", type_ = "string", json_path = ".spec.mountRef.name"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextSlot.start"),
    printcolumn(name = "On air", type_ = "string", json_path = ".status.slot.start"),
    printcolumn(name = "Last", type_ = "string", json_path = ".status.slots[0].outcome"),
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
    printcolumn(
        name = "Schedule",
        type_ = "string",
        json_path = ".spec.schedule.cron",
        priority = 1
    ),
    printcolumn(
        name = "Zone",
        type_ = "string",
        json_path = ".spec.schedule.timeZone",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = one_place())]
#[serde(rename_all = "camelCase")]
pub struct ShowSpec {
    /// The Mount it is on air at. Immutable.
    #[x_kube(validation = text::immutable_mount())]
    pub mount_ref: MountRef,

    /// Of a Mount whose path has a `*`: the key that stands for it, up to 40 characters. Default: none; such a Mount
    /// needs one, and others have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::one_line())]
    pub input: Option<String>,

    /// What it is called, for people and players, 1 to 200 characters on one line. Its recordings are called so, too.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::one_line())]
    pub title: String,

    /// Who is heard, up to 8 names. Default: nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 100)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = text::each_one_line())]
    pub hosts: Vec<String>,

    /// When it is on air.
    pub schedule: Schedule,

    /// Who may connect, only in its slots, up to 16. Default: nobody but those whom the Mount lets in at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["username".into()]))]
    pub presenters: Vec<Presenter>,

    /// The inputs of the Mount that presenters may connect to. Default: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 40)))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = text::each_entry_name())]
    pub inputs: Vec<String>,

    /// How long before the start presenters may connect, `0s` to `4h`. Default: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::span(), validation = text::margin())]
    pub early_connect: Option<String>,

    /// How long after the end presenters stay on air and may connect again, `0s` to `4h`. Default: `15m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::span(), validation = text::margin())]
    pub overrun: Option<String>,

    /// `true`: presenters are disconnected at the end, there is no overrun. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_end: Option<bool>,

    /// When presenters who are connected go on air: `OnConnect`, `AtStart` or `Manual`. Default: `OnConnect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_live: Option<GoLive>,

    /// What is made and kept of each slot. Default: as the Mount's recordings, and all are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<ShowRecording>,

    /// How long after the start a slot is missed if nobody was on air, `5s` to `1h`. Default: `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::silence())]
    pub missed_after: Option<String>,

    /// `true`: slots that have not begun are none, and nobody is let in for them. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

fn one_place() -> Rule {
    Rule::new("!has(self.input) || !has(self.inputs)").message(
        "input and inputs exclude each other: a Mount whose path has a '*' has keys, others have inputs",
    )
}

/// When a Show is on air: again and again by `cron`, or once by `start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = cron_or_start(), validation = zone_of_a_cron())]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// When slots start: minute, hour, day of the month, month and day of the week, e.g. `0 20 * * FRI`.
    /// Either this or `start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 100))]
    #[x_kube(validation = text::cron())]
    pub cron: Option<String>,

    /// The zone of `cron`, e.g. `Europe/Berlin`. Default: `UTC`. A time that a clock change leaves out comes as much later;
    /// one that it repeats counts once, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::time_zone())]
    pub time_zone: Option<String>,

    /// When the only slot starts, e.g. `2026-11-21T19:00:00Z`. Either this or `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub start: Option<Timestamp>,

    /// How long a slot is, `1m` to `20h`.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::slot_length())]
    pub duration: String,
}

fn cron_or_start() -> Rule {
    Rule::new("has(self.cron) != has(self.start)")
        .message("a schedule must have exactly one of cron and start")
}

fn zone_of_a_cron() -> Rule {
    Rule::new("!has(self.timeZone) || has(self.cron)")
        .message("timeZone is of no use without cron: a start has its own")
}

/// Somebody who may connect in the slots of a Show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Presenter {
    /// The user to log in as, up to 64 characters, unique in the Show.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::presenter_name())]
    pub username: String,

    /// Where the password is, 1 to 256 characters. Default: one is made, in the Secret `<name of the Show>-presenters`,
    /// key `<username>`. Another password counts within 2 s; a presenter who is connected stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
}

/// When presenters who are connected go on air: `OnConnect` (at once), `AtStart` (when the slot starts) or `Manual` (when
/// somebody says so with `kubectl radio live`). Default: `OnConnect`.
// The schema takes this text for the optional field, not the field's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GoLive {
    /// At once, before the slot starts, too.
    #[default]
    OnConnect,
    /// When the slot starts; before, it is a rehearsal.
    AtStart,
    /// When somebody says so; before, it is a rehearsal.
    Manual,
}

/// What is made and kept of each slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShowRecording {
    /// What is made besides the final object, which is what the sources sent: `mp3`. Default: as of the Mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub renditions: Vec<Rendition>,

    /// Percent of the slot that has to be on air, 1 to 100; with less it is short, and that is told. Default: as of the
    /// Mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub min_coverage: Option<u8>,

    /// How many of its finished recordings are kept at least, 1 to 10000. Default: any that `keepFor` keeps, and without
    /// either all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub keep: Option<u32>,

    /// For how long its finished recordings are kept at least, e.g. `90d`. Default: as of the Station; none there: any that
    /// `keep` keeps, and without either all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 8))]
    #[x_kube(validation = text::age())]
    pub keep_for: Option<String>,
}

impl ShowSpec {
    /// The zone of its `cron`.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.schedule.time_zone.as_deref().unwrap_or(DEFAULT_TIME_ZONE)
    }

    /// How many seconds a slot is long; `None` if what is written is no time.
    #[must_use]
    pub fn duration_seconds(&self) -> Option<u32> {
        quantity::seconds(&self.schedule.duration)
    }

    /// How many seconds before the start presenters may connect; `None` if what is written is no time.
    #[must_use]
    pub fn early_connect_seconds(&self) -> Option<u32> {
        quantity::span(self.early_connect.as_deref().unwrap_or(DEFAULT_EARLY_CONNECT))
    }

    /// How many seconds after the end they stay on air, none with a hard end; `None` if what is written is no time.
    #[must_use]
    pub fn overrun_seconds(&self) -> Option<u32> {
        let asked = quantity::span(self.overrun.as_deref().unwrap_or(DEFAULT_OVERRUN));
        asked.map(|seconds| if self.hard_end() { 0 } else { seconds })
    }

    /// How many seconds after the start a slot is missed; `None` if what is written is no time.
    #[must_use]
    pub fn missed_after_seconds(&self) -> Option<u32> {
        quantity::seconds(self.missed_after.as_deref().unwrap_or(DEFAULT_MISSED_AFTER))
    }

    /// Whether presenters are disconnected at the end.
    #[must_use]
    pub fn hard_end(&self) -> bool {
        self.hard_end.unwrap_or_default()
    }

    /// When presenters go on air.
    #[must_use]
    pub fn go_live(&self) -> GoLive {
        self.go_live.unwrap_or_default()
    }

    /// Whether there are no new slots.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.suspend.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: &serde_json::Value) -> ShowSpec {
        let mut spec = serde_json::json!({
            "mountRef": {"name": "live"}, "title": "Night Shift", "schedule": {"cron": "0 20 * * FRI", "duration": "2h"},
        });
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn defaults() {
        let plain = spec(&serde_json::json!({}));
        assert_eq!(plain.time_zone(), "UTC");
        assert_eq!(plain.duration_seconds(), Some(7200));
        assert_eq!(plain.early_connect_seconds(), Some(900));
        assert_eq!(plain.overrun_seconds(), Some(900));
        assert_eq!(plain.missed_after_seconds(), Some(300));
        assert_eq!(plain.go_live(), GoLive::OnConnect);
        assert!(!plain.hard_end() && !plain.is_suspended());
    }

    #[test]
    fn what_is_said_counts() {
        let said = spec(&serde_json::json!({
            "earlyConnect": "0s", "overrun": "30m", "missedAfter": "10s", "goLive": "Manual", "suspend": true,
        }));
        assert_eq!(said.early_connect_seconds(), Some(0));
        assert_eq!(said.overrun_seconds(), Some(1800));
        assert_eq!(said.missed_after_seconds(), Some(10));
        assert_eq!(said.go_live(), GoLive::Manual);
        assert!(said.is_suspended());
    }

    #[test]
    fn after_a_hard_end_nothing_overruns() {
        let hard = spec(&serde_json::json!({"hardEnd": true, "overrun": "30m"}));
        assert_eq!(hard.overrun_seconds(), Some(0));
    }
}
