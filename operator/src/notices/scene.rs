//! From a Show, its Recordings and what its ingest and recorders say to what is known of each of its slots. No IO, no clock.

use std::collections::HashMap;

use ingest::{
    api::{Refusal, Session},
    config::Routing,
};
use jiff::{SignedDuration, Timestamp};
use radio_crds::{
    Recording, Show,
    conditions::{READY, STORE_REACHABLE},
    show::{Outcome, PastSlot, SlotUnderWay},
};
use recorder::course::{Span, spans};

use super::{
    judge::{Air, Hearing, Recorded, Scene, Taping},
    pulse::Pulse,
};
use crate::{k8s::conditions::find, recording::jobs::one_line, sources::seen::Seen};

/// What is seen of a Show's Mount and Recordings.
pub struct View<'a> {
    /// Whether its ingest says who is on air.
    pub hearing: Hearing,
    /// What the ingest said last.
    pub seen: Option<&'a Seen>,
    /// Its Recordings, by name.
    pub recordings: &'a HashMap<String, Recording>,
    /// What their recorders were seen to do.
    pub pulses: &'a HashMap<String, Pulse>,
}

/// A slot that has begun, under way or past.
struct Begun<'a> {
    start: Timestamp,
    end: Timestamp,
    closes: Timestamp,
    recording: Option<&'a str>,
    on_air_since: Option<Timestamp>,
    outcome: Option<Outcome>,
}

impl<'a> From<&'a SlotUnderWay> for Begun<'a> {
    fn from(slot: &'a SlotUnderWay) -> Self {
        Self {
            start: slot.start,
            end: slot.end,
            closes: slot.closes,
            recording: slot.recording.as_deref(),
            on_air_since: slot.on_air_since,
            outcome: slot.taken_by.is_some().then_some(Outcome::Taken),
        }
    }
}

impl<'a> From<&'a PastSlot> for Begun<'a> {
    fn from(slot: &'a PastSlot) -> Self {
        Self {
            start: slot.start,
            end: slot.end,
            closes: slot.end,
            recording: slot.recording.as_deref(),
            on_air_since: slot.on_air_since,
            outcome: Some(slot.outcome),
        }
    }
}

fn begun(show: &Show) -> impl Iterator<Item = Begun<'_>> {
    let status = show.status.iter();
    status.flat_map(|status| {
        let under_way = status.under_way.iter().map(Begun::from);
        under_way.chain(status.slots.iter().map(Begun::from))
    })
}

/// The Recordings of a Show's slots, and whether one goes on.
pub fn recordings_of(show: &Show) -> impl Iterator<Item = (&str, bool)> {
    begun(show).filter_map(|slot| Some((slot.recording?, slot.outcome.is_none())))
}

/// Everything that is known of each of its slots. One that is of no known form says so in its own status, and has no scenes.
#[must_use]
pub fn scenes(show: &Show, view: &View<'_>) -> Vec<Scene> {
    let Some(missed_after) = show.spec.missed_after_seconds() else {
        return Vec::new();
    };
    let missed_after = SignedDuration::from_secs(i64::from(missed_after));
    let on_air: Vec<Span> = sessions(show, view).flat_map(spans).collect();
    let scene = |slot: Begun<'_>| {
        let recording = slot.recording.and_then(|name| view.recordings.get(name));
        let until = recording.and_then(|recording| recording.spec.window.until);
        let closes = until.unwrap_or(slot.closes).max(slot.end);
        Scene {
            start: slot.start,
            end: slot.end,
            closes,
            missed_after,
            outcome: slot.outcome,
            hearing: view.hearing,
            air: air(&slot, closes, &on_air, recording),
            taping: slot.recording.and_then(|name| {
                let pulse = view.pulses.get(name);
                let recorded = recording.map(|recording| recorded(recording, closes));
                if pulse.is_none() && recorded.is_none() {
                    return None;
                }
                Some(Taping {
                    name: name.to_owned(),
                    quiet_since: pulse.map_or(slot.start, |pulse| pulse.quiet_since),
                    moves: pulse.is_some_and(|pulse| pulse.moves),
                    recorded,
                })
            }),
        }
    };
    begun(show).map(scene).collect()
}

fn sessions<'a>(show: &'a Show, view: &'a View<'_>) -> impl Iterator<Item = &'a Session> {
    let all = view.seen.map_or(&[][..], |seen| seen.sessions().as_slice());
    all.iter().filter(|session| {
        let input = show.spec.input.as_ref();
        session.mount == show.spec.mount_ref.name && input.is_none_or(|input| *input == session.input)
    })
}

/// What the tape has forgotten, the Recording and the status still know.
fn air(slot: &Begun<'_>, closes: Timestamp, on_air: &[Span], recording: Option<&Recording>) -> Air {
    let within = |span: &&Span| span.from < closes && span.to.is_none_or(|to| to > slot.start);
    let on_tape = || on_air.iter().filter(within);
    let listed = recording
        .and_then(|recording| recording.status.as_ref())
        .map_or(&[][..], |status| status.sessions.as_slice())
        .iter()
        .map(|session| Span {
            from: session.from,
            to: session.to,
        });
    let listed: Vec<Span> = listed.filter(|span| within(&span)).collect();
    let begins = |span: &Span| span.from.max(slot.start);
    let first = on_tape().chain(&listed).map(begins).min();
    let known = slot.on_air_since.map(|since| since.max(slot.start));
    Air {
        first: first.into_iter().chain(known).min(),
        still: on_tape().filter(|span| span.to.is_none()).map(begins).min(),
    }
}

fn recorded(recording: &Recording, closes: Timestamp) -> Recorded {
    let status = recording.status.clone().unwrap_or_default();
    let store = find(&status.conditions, STORE_REACHABLE).filter(|store| store.status == "False");
    Recorded {
        phase: status.phase,
        until: recording.spec.window.until.unwrap_or(closes),
        coverage: status.coverage,
        min_coverage: recording.spec.min_coverage,
        store_out: store.map(|store| store.last_transition_time.0),
        says: find(&status.conditions, READY).map_or_else(String::new, |ready| ready.message.clone()),
        doubts: status.doubts,
    }
}

/// Who is connected to a Show's Mount without being on air: input and user.
#[must_use]
pub fn rehearsing(show: &Show, view: &View<'_>) -> Vec<String> {
    sessions(show, view)
        .filter(|session| session.ended.is_none() && session.routing == Routing::Rehearsal)
        .map(|session| format!("{} at {}", one_line(&session.user), one_line(&session.input)))
        .collect()
}

/// The last source that was not let in at its Mount, since a time.
#[must_use]
pub fn refused<'a>(show: &Show, view: &View<'a>, since: Timestamp) -> Option<&'a Refusal> {
    let refusals = view.seen?.refusals(&show.spec.mount_ref.name);
    let recent = refusals.filter(|refusal| refusal.at >= since);
    recent.max_by_key(|refusal| refusal.at)
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
