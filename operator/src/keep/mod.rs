//! What need not be kept is deleted: Recordings that a Show's rule lets go, and, once a day, what was left behind in a
//! Station's bucket.
//!
//! The operator has no keys to any store. It chooses (`retention`), a Job of the recorder's image deletes and reports, the
//! report is counted in the status, and then the Recordings go (`plan`). Failing harms nobody: the bucket only keeps more than
//! it has to, so nothing here has a bearing on `Ready`.

pub mod build;
pub mod plan;
pub mod retention;
pub mod show;
pub mod station;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{
    events::{Event, EventType},
    reflector::ObjectRef,
};
use radio_crds::{
    conditions::{RETENTION_FAILING, reason},
    retention::Deletion,
};
use recorder::errand::Kept;

use crate::{
    context::Context,
    k8s::{
        apply::{Applier, ApplyError, must_be_ours},
        conditions::Beside,
        error::{message, shorten},
        meta::{COMPONENT_LABEL, Component, Owner},
        rollout,
    },
    recording::{
        apply::{Deed, apply},
        jobs::{self, JobId, Work, one_line},
        words::moment,
    },
};

use build::Ordered;
use plan::Step;

/// Our copy of the status is a moment older than what was just written.
const COUNTED: Duration = Duration::from_secs(1);
/// After the API server refused something.
const REFUSED: Duration = Duration::from_secs(30);

/// The errands of one owner, of one kind.
struct Errands<'a> {
    owner: &'a Owner,
    manager: &'static str,
    /// The Job's.
    name: String,
    context: &'a Context,
}

/// How an errand goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Course {
    step: Step,
    /// What keeps it from going on, as a sentence.
    trouble: Option<String>,
    /// Why nothing could be done now.
    refused: bool,
}

impl Errands<'_> {
    /// Finds out what is to be done, and does it, except for what only the caller can: to count, and to delete Recordings.
    /// `ordered`: what is to be deleted, if anything is.
    async fn go_on(
        &self,
        memory: &Deletion,
        ordered: Option<Result<Ordered, String>>,
        now: Timestamp,
    ) -> Course {
        let (step, trouble) = match self.look() {
            Ok((work, trouble)) => (plan::plan(memory, &work, ordered.is_some(), now), trouble),
            Err(failure) => return Course::refused(&failure),
        };
        let done = match (&step, ordered) {
            (Step::Make, Some(Ok(ordered))) => self.make(&ordered).await,
            (Step::Make, Some(Err(why))) => return Course::impossible(why),
            _ => Ok(()),
        };
        match done {
            Ok(()) => Course {
                step,
                trouble,
                refused: false,
            },
            Err(failure) => Course::refused(&failure),
        }
    }

    /// How far the Job is, and what keeps it from running.
    fn look(&self) -> Result<(Work<Kept>, Option<String>), ApplyError> {
        let Owner { namespace, .. } = self.owner;
        let job = self
            .context
            .stores
            .jobs
            .get(&ObjectRef::new(&self.name).within(namespace));
        if let Some(job) = &job {
            must_be_ours(self.owner, "Job", &self.name, &job.metadata)?;
        }
        let labels = [(COMPONENT_LABEL, Component::Keeper.as_str())];
        let pods = self.context.stores.pods_with(namespace, &labels);
        let work = jobs::keeper(job.as_deref(), &pods);
        let own = job
            .as_deref()
            .map(|job| jobs::pods_of(job, &pods))
            .unwrap_or_default();
        Ok((work, trouble(&own)))
    }

    async fn make(&self, ordered: &Ordered) -> Result<(), ApplyError> {
        let deeds = [
            Deed::Tell(Box::new(build::secret(self.owner, ordered))),
            Deed::Make(Box::new(build::job(self.owner, ordered))),
        ];
        apply(&self.applier(), &deeds).await
    }

    /// The Job has done what it can, and all of that is known.
    async fn clear(&self, job: &JobId) -> Result<(), ApplyError> {
        apply(&self.applier(), &[Deed::Delete(job.clone())]).await
    }

    fn applier(&self) -> Applier<'_> {
        Applier {
            client: &self.context.client,
            stores: &self.context.stores,
            ledger: &self.context.ledger,
            owner: self.owner,
            manager: self.manager,
        }
    }
}

impl Course {
    fn refused(failure: &ApplyError) -> Self {
        Self {
            step: Step::Wait,
            trouble: Some(message(failure)),
            refused: true,
        }
    }

    fn impossible(why: String) -> Self {
        Self {
            step: Step::Wait,
            trouble: Some(why),
            refused: false,
        }
    }

    /// When to look again although nothing changes.
    fn look_again(&self, now: Timestamp) -> Option<Duration> {
        match &self.step {
            _ if self.refused => Some(REFUSED),
            Step::Rest(next) => next.and_then(|next| until(next, now)),
            Step::Count(_) => Some(COUNTED),
            Step::Make | Step::Wait | Step::Clear(..) => None,
        }
    }

    /// What the next errand has to know.
    fn deletion(&self, before: Option<&Deletion>) -> Option<Deletion> {
        match &self.step {
            Step::Count(count) => Some(count.deletion.clone()),
            _ => before.cloned(),
        }
    }

    /// Present while something cannot be deleted.
    fn beside(&self, before: Option<&Deletion>) -> Option<Beside> {
        let deletion = self.deletion(before).unwrap_or_default();
        let said = deletion.said.as_deref().map(|said| {
            let again =
                plan::next_try(&deletion).map(|next| format!("; it is tried again at {}", moment(next)));
            format!("{}{}", one_line(said), again.unwrap_or_default())
        });
        let why = self.trouble.clone().or(said)?;
        Some(Beside {
            type_: RETENTION_FAILING,
            status: true,
            reason: reason::DELETING_FAILED,
            message: shorten(format!(
                "not everything that need not be kept could be deleted: {why}; nothing else is touched by it"
            )),
        })
    }
}

fn until(next: Timestamp, now: Timestamp) -> Option<Duration> {
    Duration::try_from(next.duration_since(now)).ok()
}

fn trouble(pods: &[Arc<Pod>]) -> Option<String> {
    let report = rollout::trouble(pods)?;
    let why = jobs::why_it_failed(pods).map(|words| format!("; it says: {words}"));
    Some(format!("{}{}", report.message, why.unwrap_or_default()))
}

/// A failure is worth an Event when it is new, or another one.
fn failed(old: Option<&Deletion>, new: Option<&Deletion>, reason: &str) -> Option<Event> {
    let said = new?.said.as_ref()?;
    let before = old.and_then(|old| old.said.as_ref());
    (before != Some(said)).then(|| news(EventType::Warning, reason, one_line(said)))
}

fn news(type_: EventType, reason: &str, note: String) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(shorten(note)),
        action: "Delete".to_owned(),
        secondary: None,
    }
}

/// How much more it is than it was.
fn more(old: Option<i64>, new: Option<i64>) -> i64 {
    new.unwrap_or(0) - old.unwrap_or(0)
}

/// Added up, as far as numbers go.
fn sum(before: Option<i64>, more: u64) -> Option<i64> {
    let sum = before
        .unwrap_or(0)
        .saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
    (sum > 0 || before.is_some()).then_some(sum)
}

#[cfg(test)]
mod tests;
