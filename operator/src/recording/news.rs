//! What of a Recording is told as Events beside its way from phase to phase, from what changed between two statuses. No IO.

use kube::runtime::events::{Event, EventType};
use radio_crds::{
    RecordingStatus,
    conditions::{SPOOL_FILLING, STORE_REACHABLE, event},
};

use crate::k8s::{conditions::find, error::shorten};

/// What changed.
#[must_use]
pub fn news(old: &RecordingStatus, new: &RecordingStatus) -> Vec<Event> {
    [store(old, new), spool(old, new), tape(old, new)]
        .into_iter()
        .flatten()
        .collect()
}

fn store(old: &RecordingStatus, new: &RecordingStatus) -> Option<Event> {
    let before = find(&old.conditions, STORE_REACHABLE);
    let now = find(&new.conditions, STORE_REACHABLE)?;
    let was_reachable = before.is_none_or(|before| before.status == "True");
    match (was_reachable, now.status == "True") {
        (true, false) => Some(warning(event::STORE_UNREACHABLE, &now.message)),
        (false, true) => Some(normal(event::STORE_REACHABLE, &now.message)),
        (true, true) | (false, false) => None,
    }
}

/// On the way up.
fn spool(old: &RecordingStatus, new: &RecordingStatus) -> Option<Event> {
    let level = |status: &RecordingStatus| match find(&status.conditions, SPOOL_FILLING) {
        None => 0,
        Some(filling) if filling.reason == radio_crds::conditions::reason::HALF_FULL => 1,
        Some(_) => 2,
    };
    let now = find(&new.conditions, SPOOL_FILLING)?;
    (level(new) > level(old)).then(|| warning(event::SPOOL_FILLING, &now.message))
}

fn tape(old: &RecordingStatus, new: &RecordingStatus) -> Option<Event> {
    let note = "a tape that was given up is back: it is recorded further, and the final object is made again as the next \
                edition";
    (new.reopened > old.reopened).then(|| normal(event::TAPE_RETURNED, note))
}

fn normal(reason: &str, note: &str) -> Event {
    Event {
        type_: EventType::Normal,
        reason: reason.to_owned(),
        note: Some(shorten(note.to_owned())),
        action: "Record".to_owned(),
        secondary: None,
    }
}

fn warning(reason: &str, note: &str) -> Event {
    Event {
        type_: EventType::Warning,
        ..normal(reason, note)
    }
}

#[cfg(test)]
#[path = "news_tests.rs"]
mod tests;
