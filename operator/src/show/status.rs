//! Step 5, second half: how a Show is. No IO.

use jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use radio_crds::{
    ShowStatus,
    conditions::{event, reason},
};

use super::{Error, plan::Plan, validate::Missing};
use crate::{
    k8s::{
        conditions::{Report, State},
        error::shorten,
    },
    mount::inputs::NoPassword,
    recording::words::moment,
};

/// What decides how a Show is.
#[derive(Debug)]
pub struct Told<'a> {
    /// What keeps it from being as its spec says.
    pub trouble: Option<&'a Error>,
    /// Its slots.
    pub plan: &'a Plan,
    /// There are no new slots.
    pub suspended: bool,
    /// What keeps presenters from connecting.
    pub missing: &'a [Missing],
    /// The Station that has no place for recordings that are wanted.
    pub no_storage: Option<&'a str>,
}

/// Ready when its slots come as its schedule says, and presenters can connect in them.
#[must_use]
pub fn report(told: &Told<'_>) -> Report {
    if let Some(trouble) = told.trouble {
        return Report::of_error(trouble);
    }
    if let Some((start, other)) = told.plan.taken.first() {
        return Report {
            state: State::Stalled,
            reason: reason::SLOT_TAKEN,
            message: format!(
                "the slot of {} belongs to Show {other}, which is older, and is recorded as its own; presenters of this Show \
                 get in all the same. Give one of the two another start",
                moment(*start)
            ),
        };
    }
    let (reason, message) = detail(told);
    let unrecorded = told.no_storage.map_or_else(String::new, |station| {
        format!("; nothing is recorded, because Station {station} has no storage")
    });
    Report {
        state: State::Ready,
        reason,
        message: format!("{message}{unrecorded}"),
    }
}

fn detail(told: &Told<'_>) -> (&'static str, String) {
    let course = course(told);
    match (told.missing.first(), told.plan.overlapped) {
        (Some(missing), _) => (
            match missing {
                Missing::Key { .. } => reason::INPUT_NOT_FOUND,
                Missing::Password { .. } => reason::PASSWORD_NOT_FOUND,
            },
            format!("{course}; {}", describe(missing)),
        ),
        (None, _) if told.suspended => (reason::SUSPENDED, course),
        (None, Some(start)) => (
            reason::SCHEDULE_OVERLAPS,
            format!(
                "{course}; the start at {} is left out, because the slot before it is not over by then: make slots shorter, \
                 or starts rarer",
                moment(start)
            ),
        ),
        (None, None) => (reason::READY, course),
    }
}

/// What comes next, as long as it is so.
fn course(told: &Told<'_>) -> String {
    match &told.plan.next {
        _ if told.suspended => "suspended: there are no new slots until spec.suspend is false".to_owned(),
        Some(next) => format!(
            "the next slot is from {} to {}",
            moment(next.start),
            moment(next.end)
        ),
        None if told.plan.under_way.is_empty() => "there is no slot to come".to_owned(),
        None => "there is no slot after this one".to_owned(),
    }
}

fn describe(missing: &Missing) -> String {
    match missing {
        Missing::Key { secret, key } => {
            format!("nobody can connect, because Secret {secret} with the keys of the Mount has no key {key}")
        }
        Missing::Password { username, why } => {
            let why = match why {
                NoPassword::Secret(name) => format!("Secret {name} with the password does not exist"),
                NoPassword::Key(place) => {
                    format!(
                        "key {} of Secret {} with the password does not exist",
                        place.key, place.name
                    )
                }
                NoPassword::Unusable(place) | NoPassword::Unfit(place) => format!(
                    "key {} of Secret {} is no password, which has 1 to 256 characters and no line break",
                    place.key, place.name
                ),
                NoPassword::TooMany(name) => format!("Secret {name} has too many keys"),
            };
            format!("presenter {username} cannot connect, because {why}")
        }
    }
}

/// A slot that is prepared.
#[must_use]
pub fn news(old: &ShowStatus, new: &ShowStatus) -> Vec<Event> {
    let was_there = |start: Timestamp| {
        let mut known = old.under_way.iter();
        known.any(|slot| slot.start == start && slot.recording.is_some())
    };
    let prepared = new.under_way.iter().filter(|slot| !was_there(slot.start));
    prepared
        .filter_map(|slot| {
            let recording = slot.recording.as_ref()?;
            let note = format!(
                "the slot from {} to {} is recorded as Recording {recording}",
                moment(slot.start),
                moment(slot.end)
            );
            Some(Event {
                type_: EventType::Normal,
                reason: event::SLOT_PREPARED.to_owned(),
                note: Some(shorten(note)),
                action: "Prepare".to_owned(),
                secondary: None,
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
