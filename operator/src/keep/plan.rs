//! What is to be done next with what need not be kept: a Job deletes it, what it reports is counted in a status, and only then
//! the Recordings go, and the Job. No IO, no clock.
//!
//! Whatever is interrupted begins again where it was: the status tells which report is counted, and a Job that finds nothing
//! left to delete reports that, too.

use jiff::{SignedDuration, Timestamp};
use radio_crds::retention::Deletion;
use recorder::errand::Kept;

use crate::recording::jobs::{JobId, Said, Work};

/// Nothing is lost while it waits: the bucket only keeps more than it has to.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, but perhaps later.
    Rest(Option<Timestamp>),
    /// Make the Job.
    Make,
    /// It is at work, or about to be or to go.
    Wait,
    /// Count what a Job reports.
    Count(Count),
    /// Everything is counted: what it deleted the Recordings of go, and then the Job.
    Clear(JobId, Option<Kept>),
}

/// What a Job did, as the status is to tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What it reports; `None`: that got lost.
    pub kept: Option<Kept>,
    /// What the next one has to know.
    pub deletion: Deletion,
}

/// Decides. `is_due`: there is something to be deleted.
#[must_use]
pub fn plan(memory: &Deletion, work: &Work<Kept>, is_due: bool, now: Timestamp) -> Step {
    let counted = |id: &JobId| memory.job.as_ref() == Some(&id.uid);
    match work {
        Work::Absent if !is_due => Step::Rest(None),
        Work::Absent => match next_try(memory).filter(|next| *next > now) {
            Some(next) => Step::Rest(Some(next)),
            None => Step::Make,
        },
        Work::Leaving | Work::UnderWay(_) | Work::Complete(_, Said::NotYet) => Step::Wait,
        Work::Complete(id, Said::Report(kept)) if counted(id) => Step::Clear(id.clone(), Some(kept.clone())),
        Work::Complete(id, _) | Work::GivenUp(id) if counted(id) => Step::Clear(id.clone(), None),
        Work::Complete(id, Said::Report(kept)) => Step::Count(Count {
            deletion: after(memory, id, kept.failure(), now),
            kept: Some(kept.clone()),
        }),
        Work::Complete(id, Said::Gone) => lost(memory, id, "its pod is gone, and with it what it said", now),
        Work::Complete(id, Said::Strange) => {
            let why = "what it said is not understood; is its image of another version than the operator?";
            lost(memory, id, why, now)
        }
        Work::GivenUp(id) => lost(memory, id, "it was given up; its log may say why", now),
    }
}

fn lost(memory: &Deletion, id: &JobId, why: &str, now: Timestamp) -> Step {
    let said = format!("Job {}: {why}", id.name);
    Step::Count(Count {
        kept: None,
        deletion: after(memory, id, Some(said), now),
    })
}

fn after(memory: &Deletion, id: &JobId, said: Option<String>, now: Timestamp) -> Deletion {
    let failures = memory.failures.unwrap_or_default().saturating_add(1);
    Deletion {
        job: Some(id.uid.clone()),
        failures: said.is_some().then_some(failures),
        at: Some(Timestamp::from_second(now.as_second()).unwrap_or(now)),
        said,
    }
}

/// When it is tried again after a failure.
#[must_use]
pub fn next_try(memory: &Deletion) -> Option<Timestamp> {
    let failures = u32::try_from(memory.failures?).unwrap_or(0).checked_sub(1)?;
    let pause = FIRST_PAUSE.saturating_mul(2_i32.saturating_pow(failures));
    memory.at?.saturating_add(pause.min(LONGEST_PAUSE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use recorder::errand::{Failure, Gone};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_269_600 + second).unwrap()
    }

    fn id(uid: &str) -> JobId {
        JobId {
            name: "night-shift-keep".to_owned(),
            uid: uid.to_owned(),
        }
    }

    fn kept(failures: &[&str]) -> Kept {
        let failure = |words: &&str| Failure {
            what: "live/live-1/".to_owned(),
            words: (*words).to_owned(),
        };
        Kept {
            recordings: vec![Gone {
                name: "live-1".to_owned(),
                objects: 6,
                bytes: 1000,
            }],
            objects: 6,
            bytes: 1000,
            failures: failures.iter().map(failure).collect(),
            ..Kept::default()
        }
    }

    fn failed(times: i32, second: i64) -> Deletion {
        Deletion {
            job: Some("before".to_owned()),
            failures: Some(times),
            at: Some(at(second)),
            said: Some("AccessDenied".to_owned()),
        }
    }

    #[test]
    fn a_job_is_made_counted_and_cleared_away_one_after_the_other() {
        let mut memory = Deletion::default();
        let now = at(0);
        assert_eq!(plan(&memory, &Work::Absent, false, now), Step::Rest(None));
        assert_eq!(plan(&memory, &Work::Absent, true, now), Step::Make);
        let under_way = Work::UnderWay(id("1"));
        assert_eq!(plan(&memory, &under_way, true, now), Step::Wait);
        assert_eq!(
            plan(&memory, &Work::Complete(id("1"), Said::NotYet), true, now),
            Step::Wait
        );

        let complete = Work::Complete(id("1"), Said::Report(kept(&[])));
        let Step::Count(count) = plan(&memory, &complete, true, now) else {
            panic!("it is not counted yet");
        };
        assert_eq!(count.kept, Some(kept(&[])));
        // Until the status is seen again it is counted anew, from the same status.
        assert_eq!(plan(&memory, &complete, true, now), Step::Count(count.clone()));
        memory = count.deletion;
        assert_eq!((&memory.failures, &memory.said), (&None, &None));
        let clear = Step::Clear(id("1"), Some(kept(&[])));
        assert_eq!(plan(&memory, &complete, true, now), clear);
        assert_eq!(plan(&memory, &complete, false, now), clear);
        // The pod may be gone in between: what it said is counted, and asked for once more.
        let gone = Work::Complete(id("1"), Said::Gone);
        assert_eq!(plan(&memory, &gone, true, now), Step::Clear(id("1"), None));
        assert_eq!(plan(&memory, &Work::Leaving, true, now), Step::Wait);
        assert_eq!(plan(&memory, &Work::Absent, true, now), Step::Make);
    }

    #[test]
    fn a_failure_is_remembered_and_tried_again_ever_more_seldom() {
        let complete = Work::Complete(id("2"), Said::Report(kept(&["AccessDenied", "SlowDown"])));
        let Step::Count(count) = plan(&failed(2, 0), &complete, true, at(200)) else {
            panic!("it is not counted yet");
        };
        let expected = Deletion {
            job: Some("2".to_owned()),
            failures: Some(3),
            at: Some(at(200)),
            said: Some("live/live-1/: AccessDenied (and 1 more)".to_owned()),
        };
        assert_eq!(count.deletion, expected);
        assert_eq!(
            count.kept.map(|kept| kept.objects),
            Some(6),
            "what went is counted all the same"
        );
        for (times, pause) in [
            (1, 30),
            (2, 60),
            (3, 120),
            (7, 1920),
            (8, 3600),
            (40, 3600),
            (i32::MAX, 3600),
        ] {
            let memory = failed(times, 0);
            assert_eq!(next_try(&memory), Some(at(pause)), "{times}");
            assert_eq!(
                plan(&memory, &Work::Absent, true, at(pause - 1)),
                Step::Rest(Some(at(pause)))
            );
            assert_eq!(plan(&memory, &Work::Absent, true, at(pause)), Step::Make);
            assert_eq!(plan(&memory, &Work::Absent, false, at(0)), Step::Rest(None));
        }
        assert_eq!(next_try(&Deletion::default()), None);
        assert_eq!(next_try(&failed(0, 0)), None);
    }

    #[test]
    fn a_job_that_says_nothing_has_failed() {
        let works = [
            Work::Complete(id("1"), Said::Gone),
            Work::Complete(id("1"), Said::Strange),
            Work::GivenUp(id("1")),
        ];
        for work in works {
            let Step::Count(count) = plan(&Deletion::default(), &work, true, at(0)) else {
                panic!("{work:?}");
            };
            assert_eq!((count.kept, count.deletion.failures), (None, Some(1)), "{work:?}");
            let said = count.deletion.said.clone().unwrap();
            assert!(said.starts_with("Job night-shift-keep: "), "{said}");
            assert_eq!(
                plan(&count.deletion, &work, true, at(0)),
                Step::Clear(id("1"), None)
            );
        }
    }
}
