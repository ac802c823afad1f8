//! When somebody was on air in a slot, and what became of it. No IO, no clock.

use ingest::api::Session;
use jiff::Timestamp;
use radio_crds::{
    Recording,
    recording::Phase,
    show::{Outcome, PastSlot, SlotUnderWay},
};
use recorder::course::{Span, spans};

/// When sources of a Mount, or of one of its inputs, were on air.
#[must_use]
pub fn on_air(mount: &str, input: Option<&str>, sessions: &[Session]) -> Vec<Span> {
    let here = sessions
        .iter()
        .filter(|session| session.mount == mount && input.is_none_or(|input| input == session.input));
    here.flat_map(spans).collect()
}

/// When somebody was on air first in a slot that has started; whoever was before it is from its start on.
#[must_use]
pub fn since(
    slot: &SlotUnderWay,
    on_air: &[Span],
    recording: Option<&Recording>,
    now: Timestamp,
) -> Option<Timestamp> {
    if slot.on_air_since.is_some() || slot.start > now {
        return slot.on_air_since;
    }
    let within = on_air
        .iter()
        .filter(|span| span.from < slot.closes && span.to.is_none_or(|to| to > slot.start));
    let started = recording.and_then(|recording| recording.status.as_ref()?.started_at.as_ref());
    within
        .map(|span| span.from)
        .chain(started.map(|started| started.0))
        .min()
        .map(|first| whole(first).max(slot.start))
}

/// As precise as people want it.
fn whole(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

/// A slot that is over, as its Recording is; `before` is what was known of it. A Recording that is gone was finished, or
/// somebody deleted it.
#[must_use]
pub fn past(slot: &SlotUnderWay, before: Option<Outcome>, recording: Option<&Recording>) -> PastSlot {
    let outcome = match (&slot.taken_by, &slot.recording) {
        (Some(_), _) => Outcome::Taken,
        (None, None) if slot.on_air_since.is_some() => Outcome::Aired,
        (None, None) => Outcome::Missed,
        (None, Some(_)) => recorded(slot.on_air_since.is_some(), before, recording),
    };
    PastSlot {
        start: slot.start,
        end: slot.end,
        recording: slot.recording.clone(),
        on_air_since: slot.on_air_since,
        outcome,
    }
}

/// The same of one that is listed already.
#[must_use]
pub fn reviewed(slot: &PastSlot, recording: Option<&Recording>) -> PastSlot {
    if slot.recording.is_none() {
        return slot.clone();
    }
    let started = recording.and_then(|recording| recording.status.as_ref()?.started_at.as_ref());
    let on_air_since = slot
        .on_air_since
        .or_else(|| started.map(|started| whole(started.0).max(slot.start)));
    PastSlot {
        on_air_since,
        outcome: recorded(on_air_since.is_some(), Some(slot.outcome), recording),
        ..slot.clone()
    }
}

fn recorded(was_on_air: bool, before: Option<Outcome>, recording: Option<&Recording>) -> Outcome {
    let nothing = if was_on_air {
        Outcome::NotRecorded
    } else {
        Outcome::Missed
    };
    let Some(recording) = recording else {
        return before
            .filter(|before| *before != Outcome::Storing)
            .unwrap_or(nothing);
    };
    let status = recording.status.as_ref();
    let is_short = || {
        let asked = recording.spec.min_coverage;
        let found = status.and_then(|status| status.coverage);
        asked.zip(found).is_some_and(|(asked, found)| found < asked)
    };
    match status.and_then(|status| status.phase) {
        None | Some(Phase::Waiting | Phase::OnAir | Phase::Storing | Phase::Finalizing) => Outcome::Storing,
        Some(Phase::Empty) => nothing,
        Some(Phase::Verified | Phase::Doubtful) if is_short() => Outcome::Short,
        Some(Phase::Verified) => Outcome::Recorded,
        Some(Phase::Doubtful) => Outcome::Doubtful,
    }
}

#[cfg(test)]
#[path = "aired_tests.rs"]
mod tests;
