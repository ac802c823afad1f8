//! Whether a slot is what it should be. No IO, no clock.

use jiff::{SignedDuration, Timestamp};
use radio_crds::{
    recording::Phase,
    show::{NoticeKind, Outcome},
};

/// A recorder is asked every few seconds: no shorter silence of it means anything.
const QUIET_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// An ingest that did not answer once may answer the next time.
const SILENT_FOR: SignedDuration = SignedDuration::from_secs(15);
/// How long after its end a recording may wait for a store that does not answer.
const STORED_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// And how long it may take if nothing is wrong that we know of.
const FINISHED_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// What is known of one slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Until when presenters are on air.
    pub closes: Timestamp,
    /// How long after the start somebody has to be on air.
    pub missed_after: SignedDuration,
    /// What became of it; absent: it is under way.
    pub outcome: Option<Outcome>,
    /// Whether the ingest says who is on air.
    pub hearing: Hearing,
    /// Who was on air in it.
    pub air: Air,
    /// What is recorded of it; absent: nothing is to be.
    pub taping: Option<Taping>,
}

/// Whether an ingest says who is on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It has not been asked long enough to know.
    NotYet,
    /// It does not answer.
    Silence,
    /// It does.
    Now,
}

/// Who was on air in a slot, from its start on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Air {
    /// Since when anybody was.
    pub first: Option<Timestamp>,
    /// Since when somebody is; absent: nobody is now.
    pub still: Option<Timestamp>,
}

/// How far the recording of a slot is.
#[derive(Clone, Debug, PartialEq)]
pub struct Taping {
    /// The Recording's name.
    pub name: String,
    /// Since when its recorder has taken nothing.
    pub quiet_since: Timestamp,
    /// Whether it was seen to take anything.
    pub moves: bool,
    /// The Recording; absent: it is not there.
    pub recorded: Option<Recorded>,
}

/// A Recording, as far as it tells what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// How far it is.
    pub phase: Option<Phase>,
    /// When it is over.
    pub until: Timestamp,
    /// Percent of the slot that it has.
    pub coverage: Option<u8>,
    /// Percent it should have.
    pub min_coverage: Option<u8>,
    /// Why somebody should listen to it.
    pub doubts: Vec<String>,
    /// Since when the store takes nothing.
    pub store_out: Option<Timestamp>,
    /// How it is, in its own words.
    pub says: String,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What is, or was, wrong.
    pub kind: NoticeKind,
    /// It is not so, or no longer; what is not found either way is not known now.
    pub over: bool,
}

impl Finding {
    fn wrong(kind: NoticeKind) -> Self {
        Self { kind, over: false }
    }

    fn over(kind: NoticeKind) -> Self {
        Self { kind, over: true }
    }
}

/// What is wrong with a slot, and what is not.
#[must_use]
pub fn judge(scene: &Scene, now: Timestamp) -> Vec<Finding> {
    if now < scene.start || scene.outcome == Some(Outcome::Taken) {
        return Vec::new();
    }
    let recorded = scene.taping.as_ref().and_then(|taping| taping.recorded.as_ref());
    let found = [
        missed(scene, now),
        not_recorded(scene, now),
        recorded.and_then(|recorded| finished(recorded, NoticeKind::Short)),
        recorded.and_then(|recorded| finished(recorded, NoticeKind::Doubtful)),
        recorded.and_then(|recorded| not_stored(recorded, now)),
    ];
    found.into_iter().flatten().collect()
}

fn missed(scene: &Scene, now: Timestamp) -> Option<Finding> {
    if scene.air.first.is_some() {
        return Some(Finding::over(NoticeKind::Missed));
    }
    match scene.outcome {
        Some(Outcome::Missed) => return Some(Finding::wrong(NoticeKind::Missed)),
        None | Some(Outcome::Storing) => {}
        Some(_) => return None,
    }
    // A slot that is shorter than the patience with it is missed at its end.
    let due = after(scene.start, scene.missed_after).min(scene.end);
    let known = match scene.hearing {
        Hearing::NotYet => false,
        Hearing::Silence => now >= after(due, SILENT_FOR),
        Hearing::Now => now >= due,
    };
    known.then_some(Finding::wrong(NoticeKind::Missed))
}

fn not_recorded(scene: &Scene, now: Timestamp) -> Option<Finding> {
    let taping = scene.taping.as_ref()?;
    let phase = taping.recorded.as_ref().and_then(|recorded| recorded.phase);
    if phase == Some(Phase::Verified) {
        return Some(Finding::over(NoticeKind::NotRecorded));
    }
    if scene.outcome == Some(Outcome::NotRecorded) {
        return Some(Finding::wrong(NoticeKind::NotRecorded));
    }
    // Who is on air after that is in the next Recording.
    let until = taping
        .recorded
        .as_ref()
        .map_or(scene.closes, |recorded| recorded.until);
    if scene.outcome.is_some() || now >= until || scene.hearing != Hearing::Now {
        return None;
    }
    let still = scene.air.still?;
    let patience = scene.missed_after.max(QUIET_AFTER);
    if now.duration_since(still.max(taping.quiet_since)) >= patience {
        Some(Finding::wrong(NoticeKind::NotRecorded))
    } else if taping.moves && taping.quiet_since >= still {
        Some(Finding::over(NoticeKind::NotRecorded))
    } else {
        None
    }
}

/// One of the two, never both: a short recording is doubtful because it is short.
fn finished(recorded: &Recorded, kind: NoticeKind) -> Option<Finding> {
    match recorded.phase? {
        Phase::Verified => Some(Finding::over(kind)),
        Phase::Doubtful if (kind == NoticeKind::Short) == is_short(recorded) => Some(Finding::wrong(kind)),
        _ => None,
    }
}

fn is_short(recorded: &Recorded) -> bool {
    let both = recorded.coverage.zip(recorded.min_coverage);
    both.is_some_and(|(coverage, least)| coverage < least)
}

fn not_stored(recorded: &Recorded, now: Timestamp) -> Option<Finding> {
    if matches!(
        recorded.phase,
        Some(Phase::Verified | Phase::Doubtful | Phase::Empty)
    ) {
        return Some(Finding::over(NoticeKind::NotStored));
    }
    let patience = if recorded.store_out.is_some() {
        STORED_AFTER
    } else {
        FINISHED_AFTER
    };
    if now < after(recorded.until, patience) {
        return None;
    }
    Some(Finding::wrong(NoticeKind::NotStored))
}

fn after(instant: Timestamp, time: SignedDuration) -> Timestamp {
    instant.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
