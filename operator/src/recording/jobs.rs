//! How far the Jobs of a Recording are, by the Jobs and what their pods said last. No IO.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use recorder::{
    errand::Kept,
    report::{Published, Report, Stored},
};

use crate::k8s::meta::controller_of;

/// The container that stores, and reports.
pub const SHIP: &str = "ship";
/// The container that publishes, and reports.
pub const FINALIZE: &str = "finalize";
/// The container that deletes what need not be kept, and reports.
pub const KEEP: &str = "keep";

/// A Job, and not another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
}

impl JobId {
    /// Of a Job the API server has seen.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        Self {
            name: job.name_any(),
            uid: job.uid().unwrap_or_default(),
        }
    }
}

/// How far a Job is.
#[derive(Clone, Debug, PartialEq)]
pub enum Work<R> {
    /// There is none.
    Absent,
    /// It is being deleted; another one may be made when it is gone.
    Leaving,
    /// Its pod runs, or is to.
    UnderWay(JobId),
    /// It is complete.
    Complete(JobId, Said<R>),
    /// It was given up, which only somebody's hand can bring about.
    GivenUp(JobId),
}

/// What the pod of a complete Job said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<R> {
    /// This.
    Report(R),
    /// It has, but our copy of the pod is older than that of the Job.
    NotYet,
    /// The pod is gone, and with it what it said.
    Gone,
    /// Nothing that this operator understands.
    Strange,
}

impl<R> Work<R> {
    /// The Job, unless it is leaving.
    #[must_use]
    pub fn id(&self) -> Option<&JobId> {
        match self {
            Self::Absent | Self::Leaving => None,
            Self::UnderWay(id) | Self::Complete(id, _) | Self::GivenUp(id) => Some(id),
        }
    }
}

/// Those that a Job made.
#[must_use]
pub fn pods_of(job: &Job, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let uid = job.uid();
    let of_job = |pod: &&Arc<Pod>| {
        let mut owners = pod.owner_references().iter();
        owners.any(|owner| Some(&owner.uid) == uid.as_ref())
    };
    pods.iter().filter(of_job).cloned().collect()
}

/// How far the recorder is.
#[must_use]
pub fn recorder(job: Option<&Job>, pods: &[Arc<Pod>]) -> Work<Stored> {
    read(job, pods, SHIP, |report| match report {
        Report::Stored(stored) => Some(stored),
        _ => None,
    })
}

/// How far the finalizer is.
#[must_use]
pub fn finalizer(job: Option<&Job>, pods: &[Arc<Pod>]) -> Work<Published> {
    read(job, pods, FINALIZE, |report| match report {
        Report::Published(published) => Some(published),
        _ => None,
    })
}

/// How far what deletes is.
#[must_use]
pub fn keeper(job: Option<&Job>, pods: &[Arc<Pod>]) -> Work<Kept> {
    read(job, pods, KEEP, |report| match report {
        Report::Kept(kept) => Some(kept),
        _ => None,
    })
}

fn read<R>(
    job: Option<&Job>,
    pods: &[Arc<Pod>],
    container: &str,
    wanted: impl Fn(Report) -> Option<R>,
) -> Work<R> {
    let Some(job) = job else { return Work::Absent };
    if job.metadata.deletion_timestamp.is_some() {
        return Work::Leaving;
    }
    let id = JobId::of(job);
    if has(job, "Failed") {
        return Work::GivenUp(id);
    }
    if !is_complete(job) {
        return Work::UnderWay(id);
    }
    // Of several pods, all but one failed.
    let own = || {
        let of_job = |pod: &&Arc<Pod>| controller_of(&pod.metadata).is_some_and(|job| job.uid == id.uid);
        pods.iter().filter(of_job)
    };
    let messages: Vec<&str> = own().filter_map(|pod| last_words(pod, container)).collect();
    let report = messages
        .iter()
        .find_map(|message| Report::parse(message).and_then(&wanted));
    let said = match report {
        Some(report) => Said::Report(report),
        None if own().any(|pod| seems_to_run(pod)) => Said::NotYet,
        None if messages.iter().all(|message| message.is_empty()) => Said::Gone,
        None => Said::Strange,
    };
    Work::Complete(id, said)
}

/// Whether nothing more comes of a Job.
#[must_use]
pub fn is_over(job: &Job) -> bool {
    is_complete(job) || has(job, "Failed")
}

/// `Complete` waits until every pod is gone, and one on a lost node may never be; whether enough of them succeeded is known
/// before.
fn is_complete(job: &Job) -> bool {
    has(job, "SuccessCriteriaMet") || has(job, "Complete")
}

fn has(job: &Job, type_: &str) -> bool {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut conditions = conditions.filter(|condition| condition.type_ == type_);
    conditions.any(|condition| condition.status == "True")
}

/// What a container that ended well said.
fn last_words<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let status = pod.status.as_ref()?;
    let mut containers = status.container_statuses.iter().flatten();
    let ended = containers.find(|status| status.name == container)?;
    let end = ended.state.as_ref()?.terminated.as_ref()?;
    (end.exit_code == 0).then(|| end.message.as_deref().unwrap_or_default())
}

fn seems_to_run(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Why the process in a container that begins again and again could not go on, in its own words.
#[must_use]
pub fn why_it_failed(pods: &[Arc<Pod>]) -> Option<String> {
    let statuses = pods
        .iter()
        .filter_map(|pod| pod.status.as_ref())
        .flat_map(|status| {
            let main = status.container_statuses.iter().flatten();
            main.chain(status.init_container_statuses.iter().flatten())
        });
    let ends = statuses.flat_map(|status| [status.state.as_ref(), status.last_state.as_ref()]);
    let mut messages = ends.filter_map(|state| state?.terminated.as_ref()?.message.as_deref());
    messages.find_map(|message| match Report::parse(message) {
        Some(Report::Failed(failed)) => Some(one_line(&failed.words)),
        _ => None,
    })
}

/// Words from elsewhere, fit for a status.
#[must_use]
pub fn one_line(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(300).collect()
}

#[cfg(test)]
#[path = "jobs_tests.rs"]
mod tests;
