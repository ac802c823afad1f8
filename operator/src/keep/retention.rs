//! Which Recordings of a Show need not be kept any longer. No IO, no clock.
//!
//! What is chosen is deleted for good. So in doubt it stays: what goes on, what is not finished, what may get more from a tape
//! that comes back, and everything as soon as somebody's rule cannot be read.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt};
use radio_crds::{
    KEEP_ANNOTATION, Recording, SHOW_LABEL, Show, Station, quantity, recording::Phase, retention::Retention,
};

use crate::{recording::plan::needs_tape, watch::GuardedRecording};

/// What is kept at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// So many of the newest that are verified.
    pub newest: Option<usize>,
    /// All that ended within this time.
    pub younger_than: Option<SignedDuration>,
}

impl Rule {
    /// A Show's, with its Station's where it says nothing; `None`: everything is kept.
    #[must_use]
    pub fn of(show: &Show, station: &Station) -> Option<Self> {
        let own = show.spec.recording.as_ref();
        let newest = own.and_then(|own| own.keep);
        let keep_for = own.and_then(|own| own.keep_for.as_deref());
        let of_station = station.spec.retention.as_ref();
        let said = keep_for.is_some() || of_station.is_some_and(|rule| rule.keep_for.is_some());
        let seconds = match keep_for {
            Some(age) => quantity::age(age),
            None => of_station.and_then(Retention::keep_for_seconds),
        };
        // Half a rule that can be read would delete what the other half keeps.
        if said && seconds.is_none() || newest.is_none() && !said {
            return None;
        }
        Some(Self {
            newest: newest.map(|newest| usize::try_from(newest).unwrap_or(usize::MAX)),
            younger_than: seconds
                .map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))),
        })
    }
}

/// What comes of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Finished Recordings of the Show that are there, these with them.
    pub finished: usize,
    /// Those that need not be kept, oldest first.
    pub go: Vec<Arc<Recording>>,
    /// When the next one gets old enough.
    pub next: Option<Timestamp>,
}

/// A Recording that nothing more comes of.
struct Finished {
    recording: Arc<Recording>,
    /// Verified: whoever wants three kept wants three that can be heard.
    is_good: bool,
    ended: Timestamp,
}

/// Chooses among all Recordings of a namespace.
#[must_use]
pub fn retention(
    show: &str,
    rule: Option<&Rule>,
    recordings: &[Arc<GuardedRecording>],
    now: Timestamp,
) -> Choice {
    let of_show = recordings
        .iter()
        .filter_map(|recording| recording.0.as_ref().ok());
    let of_show = of_show.filter(|recording| is_of(recording, show));
    let mut finished: Vec<Finished> = of_show.filter_map(|recording| finished(recording, now)).collect();
    finished.sort_by_key(|finished| {
        let recording = &finished.recording;
        (recording.spec.window.from, recording.name_any())
    });
    let count = finished.len();
    let Some(rule) = rule else {
        return Choice {
            finished: count,
            ..Choice::default()
        };
    };
    finished.retain(|finished| !is_to_be_kept(&finished.recording));
    let mut next: Option<Timestamp> = None;
    let mut go = Vec::new();
    for old in before_the_newest(finished, rule.newest) {
        match too_young_until(&old, rule).filter(|until| *until > now) {
            Some(until) => next = Some(next.map_or(until, |next| next.min(until))),
            None => go.push(old.recording),
        }
    }
    Choice {
        finished: count,
        go,
        next,
    }
}

/// Whether a Recording is of the Show, by its label.
#[must_use]
pub fn is_of(recording: &Recording, show: &str) -> bool {
    recording
        .labels()
        .get(SHOW_LABEL)
        .is_some_and(|label| label == show)
}

/// Somebody said so.
fn is_to_be_kept(recording: &Recording) -> bool {
    recording
        .annotations()
        .get(KEEP_ANNOTATION)
        .is_some_and(|said| said != "false")
}

/// Whether nothing more comes of a Recording, whatever its status will be.
#[must_use]
pub fn is_finished(recording: &Recording, now: Timestamp) -> bool {
    let Some(status) = &recording.status else {
        return false;
    };
    let phase = matches!(
        status.phase,
        Some(Phase::Verified | Phase::Doubtful | Phase::Empty)
    );
    // Another edition may have been asked for a moment ago.
    let is_known = status.observed_generation == recording.meta().generation;
    phase && is_known && recording.meta().deletion_timestamp.is_none() && !needs_tape(Some(status), now)
}

fn finished(recording: &Recording, now: Timestamp) -> Option<Finished> {
    let status = recording
        .status
        .as_ref()
        .filter(|_| is_finished(recording, now))?;
    let ended = status.ended_at.as_ref().map(|ended| ended.0);
    Some(Finished {
        is_good: status.phase == Some(Phase::Verified),
        ended: ended.unwrap_or(recording.spec.window.from),
        recording: Arc::new(recording.clone()),
    })
}

/// Those older than the newest so many that are verified. Slots that nobody came to push nothing out, nor does what is in doubt.
fn before_the_newest(mut finished: Vec<Finished>, newest: Option<usize>) -> Vec<Finished> {
    let Some(newest) = newest else {
        return finished;
    };
    let mut good = 0;
    let oldest_kept = finished.iter().rposition(|finished| {
        good += usize::from(finished.is_good);
        good == newest
    });
    finished.truncate(oldest_kept.unwrap_or(0));
    finished
}

fn too_young_until(finished: &Finished, rule: &Rule) -> Option<Timestamp> {
    let kept = rule.younger_than?;
    Some(finished.ended.saturating_add(kept).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
