//! Step 3: what is to be done for a Recording, from what is known of it. No IO, no clock.
//!
//! Its status is the memory: a phase is entered when what it needs is known, and what is known outlives Jobs and pods.
//! Everything a step does may be done twice: names are fixed, the bucket says what is stored, and the status is compared.

use ingest::api;
use jiff::{SignedDuration, Timestamp};
use radio_crds::{
    RecordingStatus,
    recording::{Phase, Session},
};
use recorder::{
    course::{Last, Rule, spans},
    published::{Doubt, GapKind},
    report::{Published, ShipState, Stored},
};

use super::{
    jobs::{JobId, Said, Work},
    sessions::{self, is_open},
    validate::ValidSpec,
};

/// An ingest that comes and goes is not recorded again for ever.
const MOST_REOPENINGS: u32 = 8;
/// A tape that was lost for so long is not kept a place for any longer.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is known beside the status.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The recorder.
    pub recorder: Work<Stored>,
    /// The finalizer of the wanted edition.
    pub finalizer: Work<Published>,
    /// Finalizers of other editions that are not over.
    pub others: Vec<Work<Published>>,
    /// Jobs under way whose pods cannot run with the image they have, while another one is wanted now.
    pub misled: Vec<JobId>,
    /// What the recorder's pod says.
    pub ship: Option<ShipState>,
    /// What the tape has of the Station, if it says now.
    pub tape: Option<Vec<api::Session>>,
}

/// What is to be done, and how far the Recording is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How far it is.
    pub phase: Phase,
    /// How often it was recorded further because a tape came back.
    pub reopened: u32,
    /// The edition that the final objects are of.
    pub edition: Option<u32>,
    /// The connections that belong to it.
    pub sessions: Vec<Session>,
    /// What was stored, as just read.
    pub stored: Option<Stored>,
    /// What was published, as just read.
    pub published: Option<Published>,
    /// Bytes, by the status.
    pub known_bytes: u64,
    /// What is to be done now.
    pub steps: Vec<Step>,
    /// The Job whose report cannot be understood.
    pub strange: Option<String>,
}

impl Plan {
    /// Nothing is to be done, and nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.steps.is_empty() && matches!(self.phase, Phase::Verified | Phase::Doubtful | Phase::Empty)
    }

    /// How much of it is in the bucket.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let listed = self.sessions.iter().filter_map(|session| session.bytes);
        let listed = u64::try_from(listed.sum::<i64>()).unwrap_or(0);
        self.stored
            .as_ref()
            .map_or(self.known_bytes, |stored| stored.bytes)
            .max(listed)
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the recorder.
    Record,
    /// Make the finalizer of an edition.
    Finalize(u32),
    /// Delete a Job; what is to come after it comes when it is gone.
    Delete(JobId),
}

/// What the status remembers.
struct Memory {
    phase: Phase,
    reopened: u32,
    edition: Option<u32>,
    sessions: Vec<Session>,
    bytes: u64,
    ended: Option<Timestamp>,
}

impl Memory {
    fn of(status: Option<&RecordingStatus>) -> Self {
        Self {
            phase: status.and_then(|status| status.phase).unwrap_or(Phase::Waiting),
            reopened: status.and_then(|status| status.reopened).unwrap_or(0),
            edition: status.and_then(|status| status.edition),
            sessions: status.map(|status| status.sessions.clone()).unwrap_or_default(),
            ended: status
                .and_then(|status| status.ended_at.as_ref())
                .map(|ended| ended.0),
            bytes: status
                .and_then(|status| u64::try_from(status.bytes?).ok())
                .unwrap_or(0),
        }
    }

    /// Everything that can be stored is.
    fn is_stored(&self) -> bool {
        match self.phase {
            Phase::Waiting | Phase::OnAir | Phase::Storing => false,
            Phase::Finalizing | Phase::Verified | Phase::Doubtful | Phase::Empty => true,
        }
    }

    fn plan(&self, phase: Phase) -> Plan {
        Plan {
            phase,
            reopened: self.reopened,
            edition: self.edition,
            sessions: self.sessions.clone(),
            stored: None,
            published: None,
            known_bytes: self.bytes,
            steps: Vec::new(),
            strange: None,
        }
    }

    /// The sessions that may have more than is stored.
    fn open(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| is_open(session))
    }

    /// Takes in what is said of sessions, while more of them may come.
    fn learn(&mut self, spec: &ValidSpec, seen: &Seen) {
        let mut before = std::mem::take(&mut self.sessions);
        sessions::forget_logins(&mut before, seen.tape.as_deref().unwrap_or_default());
        self.sessions = match (&seen.recorder, informed(seen), &seen.tape) {
            (Work::Complete(_, Said::Report(stored)), ..) => sessions::stored(&before, stored),
            (_, Some(ship), _) => sessions::told(&before, ship),
            (_, None, Some(tape)) => sessions::on_tape(&before, &Rule::from(&spec.told), tape),
            (_, None, None) => before,
        };
    }
}

/// The edition that is wanted.
#[must_use]
pub fn wanted_edition(spec: &ValidSpec, status: Option<&RecordingStatus>) -> u32 {
    spec.edition.saturating_add(Memory::of(status).reopened)
}

/// Whether a Recording needs what the tape has, or may have when it is back.
#[must_use]
pub fn needs_tape(status: Option<&RecordingStatus>, now: Timestamp) -> bool {
    let memory = Memory::of(status);
    !memory.is_stored() || may_return(&memory, now)
}

/// A session without an end has lost its ingest, and there may be more of it.
fn may_return(memory: &Memory, now: Timestamp) -> bool {
    let gone_for = |ended: &Timestamp| now.duration_since(*ended) >= GIVEN_UP_AFTER;
    memory.phase == Phase::Doubtful
        && memory.reopened < MOST_REOPENINGS
        && memory.open().next().is_some()
        && !memory.ended.as_ref().is_some_and(gone_for)
}

/// Decides.
#[must_use]
pub fn plan(spec: &ValidSpec, status: Option<&RecordingStatus>, seen: &Seen, now: Timestamp) -> Plan {
    let mut memory = Memory::of(status);
    let mut plan = if memory.is_stored() {
        go_on(spec, &memory, seen, now)
    } else {
        memory.learn(spec, seen);
        record(spec, &memory, seen, now)
    };
    // A Job cannot be changed, only made again.
    plan.steps.extend(seen.misled.iter().cloned().map(Step::Delete));
    plan
}

fn go_on(spec: &ValidSpec, memory: &Memory, seen: &Seen, now: Timestamp) -> Plan {
    if has_returned(memory, seen, now) {
        return record_again(memory, seen);
    }
    let mut plan = finalize(spec, memory, seen);
    // One that was made by hand, or from an old copy of the status, would wait for a tape that nobody keeps for it.
    if let Work::UnderWay(id) = &seen.recorder {
        plan.steps.insert(0, Step::Delete(id.clone()));
    }
    plan
}

fn record(spec: &ValidSpec, memory: &Memory, seen: &Seen, now: Timestamp) -> Plan {
    let mut plan = memory.plan(phase_on_air(spec, memory, seen, now));
    match &seen.recorder {
        Work::Absent => plan.steps.push(Step::Record),
        Work::Leaving | Work::UnderWay(_) | Work::Complete(_, Said::NotYet) => {}
        Work::GivenUp(id) | Work::Complete(id, Said::Gone) => plan.steps.push(Step::Delete(id.clone())),
        Work::Complete(id, Said::Strange) => plan.strange = Some(id.name.clone()),
        Work::Complete(_, Said::Report(stored)) => {
            if stored.sessions.is_empty() && stored.sessions_left_out == 0 {
                plan.phase = if memory.open().next().is_some() {
                    Phase::Doubtful
                } else {
                    Phase::Empty
                };
                plan.edition = Some(spec.edition.saturating_add(memory.reopened));
            } else {
                plan = finalize(spec, memory, seen);
            }
            plan.stored = Some(stored.clone());
        }
    }
    plan
}

/// The recorder knows best. Without it the tape tells, as far as it is heard.
fn phase_on_air(spec: &ValidSpec, memory: &Memory, seen: &Seen, now: Timestamp) -> Phase {
    let over = match (informed(seen), &seen.tape) {
        (Some(ship), _) => ship.over.is_some(),
        (None, Some(tape)) => is_over(&Rule::from(&spec.told), tape, now),
        (None, None) => false,
    };
    if over || memory.phase == Phase::Storing {
        Phase::Storing
    } else if memory.sessions.is_empty() {
        Phase::Waiting
    } else {
        Phase::OnAir
    }
}

/// What ship says, once it knows anything: while the store is down, one that begins anew cannot even ask what there is.
fn informed(seen: &Seen) -> Option<&ShipState> {
    let ship = seen.ship.as_ref();
    ship.filter(|ship| ship.over.is_some() || !ship.sessions.is_empty())
}

/// By the tape: somebody was on air, and nobody can come back.
#[must_use]
pub fn is_over(rule: &Rule, tape: &[api::Session], now: Timestamp) -> bool {
    let times: Vec<_> = tape
        .iter()
        .filter(|session| rule.is_of(session))
        .flat_map(spans)
        .collect();
    let reach = rule.reach(&times, &[]);
    reach.last() != Last::Never && reach.over(rule.from, now).is_some()
}

fn finalize(spec: &ValidSpec, memory: &Memory, seen: &Seen) -> Plan {
    let wanted = spec.edition.saturating_add(memory.reopened);
    if memory.edition == Some(wanted) || memory.phase == Phase::Empty {
        return memory.plan(memory.phase);
    }
    let mut plan = memory.plan(Phase::Finalizing);
    // Two of them would make the same version.
    if !seen.others.is_empty() {
        plan.steps = seen
            .others
            .iter()
            .filter_map(Work::id)
            .cloned()
            .map(Step::Delete)
            .collect();
        return plan;
    }
    match &seen.finalizer {
        Work::Absent => plan.steps.push(Step::Finalize(wanted)),
        Work::Leaving | Work::UnderWay(_) | Work::Complete(_, Said::NotYet) => {}
        Work::GivenUp(id) | Work::Complete(id, Said::Gone) => plan.steps.push(Step::Delete(id.clone())),
        Work::Complete(id, Said::Strange) => plan.strange = Some(id.name.clone()),
        Work::Complete(_, Said::Report(published)) => {
            plan.phase = outcome(memory, published);
            plan.edition = Some(wanted);
            plan.published = Some(published.clone());
        }
    }
    plan
}

fn outcome(memory: &Memory, published: &Published) -> Phase {
    let is_empty = |doubt: &Doubt| matches!(doubt, Doubt::NothingOnAir);
    if memory.open().next().is_some() {
        Phase::Doubtful
    } else if published.beyond_doubt {
        Phase::Verified
    } else if published.doubts.iter().all(is_empty)
        && published.gap_list.iter().all(|gap| gap.kind != GapKind::Lost)
    {
        Phase::Empty
    } else {
        Phase::Doubtful
    }
}

fn has_returned(memory: &Memory, seen: &Seen, now: Timestamp) -> bool {
    let on_tape = |open: &Session| seen.tape.iter().flatten().any(|session| session.id == open.id);
    may_return(memory, now) && memory.open().any(on_tape)
}

/// A tape that was given up is back: the recorder goes on from what the bucket has, and all is made again as the next
/// edition.
fn record_again(memory: &Memory, seen: &Seen) -> Plan {
    let mut plan = memory.plan(Phase::Storing);
    plan.reopened = memory.reopened + 1;
    match &seen.recorder {
        Work::Absent => plan.steps.push(Step::Record),
        Work::Leaving | Work::UnderWay(_) => {}
        Work::Complete(id, _) | Work::GivenUp(id) => plan.steps.push(Step::Delete(id.clone())),
    }
    plan
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
