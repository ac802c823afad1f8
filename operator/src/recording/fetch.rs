//! Step 1: everything that is known of a Recording. IO: the API server, for Secrets only.

use std::sync::Arc;

use ingest::config::TapeAccess;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::{Api, ResourceExt, runtime::reflector::ObjectRef};
use radio_crds::{RECORDING_LABEL, RecordingStatus, conditions::reason};
use recorder::{config, config::RECORDING_KEY};

use super::{
    Error, build,
    jobs::{self, JobId, Work},
    plan::{Seen, wanted_edition},
    validate::ValidSpec,
};
use crate::{
    context::Context,
    k8s::{
        apply::{ApplyError, must_be_ours},
        conditions::Report,
        error::ApiError,
        meta::{Owner, names},
        rollout,
    },
    recorders::Told,
    sources::Heard,
    station::{credentials, readers},
    watch::GuardedStation,
};

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// What decides what is done.
    pub seen: Seen,
    /// What the recorder's pod says.
    pub told: Told,
    /// The pod that records, while it runs.
    pub pod: Option<Arc<Pod>>,
    /// What keeps a pod from running.
    pub trouble: Option<Report>,
    /// Why a process in it could not go on.
    pub failure: Option<String>,
}

/// What the watches saw.
pub fn fetch(
    spec: &ValidSpec,
    status: Option<&RecordingStatus>,
    context: &Context,
) -> Result<Fetched, ApplyError> {
    let owner = &spec.owner;
    let labels = [(RECORDING_LABEL, owner.name.as_str())];
    let pods = context.stores.pods_with(&owner.namespace, &labels);
    let jobs = context.stores.jobs.state_filter(|job| {
        job.metadata.namespace.as_deref() == Some(&owner.namespace)
            && job.labels().get(RECORDING_LABEL) == Some(&owner.name)
    });
    let recorder = find(owner, &jobs, &owner.name)?;
    let name = build::finalizer_name(&owner.name, wanted_edition(spec, status));
    let finalizer = find(owner, &jobs, &name)?;
    let others = jobs.iter().filter(|job| {
        let named = job.name_any();
        owner.controls(&job.metadata) && named != name && named != owner.name && !jobs::is_over(job)
    });
    let told = context.recorders.told(&owner.namespace, &owner.name);
    let tape = match context.sources.heard(&owner.namespace, &owner.station) {
        Heard::Now(seen) => Some(seen.sessions().to_vec()),
        Heard::NotYet | Heard::Silence(_) => None,
    };
    let working: Vec<Arc<Pod>> = [recorder, finalizer]
        .into_iter()
        .flatten()
        .flat_map(|job| jobs::pods_of(job, &pods))
        .collect();
    let trouble = rollout::trouble(&working);
    Ok(Fetched {
        pod: recorder.and_then(|job| running(job, &pods)),
        failure: trouble.as_ref().and_then(|_| jobs::why_it_failed(&working)),
        seen: Seen {
            misled: [recorder, finalizer]
                .into_iter()
                .flatten()
                .filter(|job| is_misled(job, &pods, spec.image.as_str()))
                .map(JobId::of)
                .collect(),
            recorder: jobs::recorder(recorder, &pods),
            finalizer: jobs::finalizer(finalizer, &pods),
            others: others.map(|job| jobs::finalizer(Some(job), &pods)).collect(),
            ship: told.ship.clone(),
            tape,
        },
        told,
        trouble,
    })
}

/// A Job by name.
fn find<'a>(owner: &Owner, jobs: &'a [Arc<Job>], name: &str) -> Result<Option<&'a Job>, ApplyError> {
    let found = jobs.iter().map(Arc::as_ref).find(|job| job.name_any() == name);
    if let Some(job) = found {
        must_be_ours(owner, "Job", name, &job.metadata)?;
    }
    Ok(found)
}

fn running(job: &Job, pods: &[Arc<Pod>]) -> Option<Arc<Pod>> {
    let runs = |pod: &Arc<Pod>| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
    };
    jobs::pods_of(job, pods).into_iter().find(runs)
}

/// Whether its pods cannot run with the image that the Job was made with, and another one is wanted now.
fn is_misled(job: &Job, pods: &[Arc<Pod>], image: &str) -> bool {
    if job.metadata.deletion_timestamp.is_some() || jobs::is_over(job) {
        return false;
    }
    let template = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let mut containers = template.iter().flat_map(|pod| &pod.containers);
    let has_another = containers.any(|container| container.image.as_deref() != Some(image));
    has_another
        && rollout::trouble(&jobs::pods_of(job, pods))
            .is_some_and(|trouble| [reason::IMAGE_UNAVAILABLE, reason::CRASHING].contains(&trouble.reason))
}

/// The way to the tapes. A Recording outlives its Station: then it stays as it was told.
pub async fn tape(spec: &ValidSpec, context: &Context) -> Result<Option<TapeAccess>, Error> {
    let owner = &spec.owner;
    let api = Api::<Secret>::namespaced(context.client.clone(), &owner.namespace);
    let read = async |name: &str| {
        let found = api.get_opt(name).await;
        found.map_err(ApiError::new("read", "Secret", name))
    };
    let station = ObjectRef::<GuardedStation>::new(&owner.station).within(&owner.namespace);
    if context.stores.stations.get(&station).is_some()
        && let Some(secret) = read(&names::credentials(&owner.station)).await?
        && let Some(known) = credentials::of_secret(&secret)
    {
        let reader = readers::recording(&owner.name);
        return Ok(Some(readers::access(
            &owner.station,
            &owner.namespace,
            &known.tape,
            &reader,
        )));
    }
    Ok(read(&owner.name).await?.and_then(|secret| told_before(&secret)))
}

fn told_before(secret: &Secret) -> Option<TapeAccess> {
    let told = secret.data.as_ref()?.get(RECORDING_KEY)?;
    let tape = config::Recording::parse(&told.0).ok()?.tape;
    (!tape.addresses.is_empty()).then_some(tape)
}

/// Whether a Job's pods still have to do.
#[must_use]
pub fn is_under_way<R>(work: &Work<R>) -> bool {
    matches!(work, Work::UnderWay(_))
}
