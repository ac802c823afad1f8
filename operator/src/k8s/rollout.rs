//! Whether a Deployment is there, and if not, what its pods say about it. No IO.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Pod},
};
use kube::ResourceExt;
use radio_crds::conditions::reason;

use super::conditions::{Report, State};

/// How far a Deployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// All pods are of the wanted kind and ready.
    Complete,
    /// Not yet, and why.
    Unfinished(Report),
}

/// Judges a Deployment by its own status, and its pods for the reason.
#[must_use]
pub fn judge(deployment: &Deployment, pods: &[Arc<Pod>]) -> Rollout {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let current = status.observed_generation >= deployment.metadata.generation;
    let updated = status.updated_replicas.unwrap_or(0);
    let ready = status.available_replicas.unwrap_or(0);
    if current && updated == wanted && ready == wanted && status.replicas.unwrap_or(0) == wanted {
        return Rollout::Complete;
    }
    let given_up = current
        && status.conditions.iter().flatten().any(|condition| {
            condition.type_ == "Progressing"
                && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
    let mut report = trouble(pods).unwrap_or_else(|| Report {
        state: State::Reconciling,
        reason: reason::PROGRESSING,
        message: format!(
            "{} of {wanted} pods of Deployment {} are ready",
            ready.min(wanted),
            deployment.name_any()
        ),
    });
    if given_up {
        report.state = State::Stalled;
    }
    Rollout::Unfinished(report)
}

/// The first trouble a pod has that will not pass by itself soon.
fn trouble(pods: &[Arc<Pod>]) -> Option<Report> {
    let mut pods: Vec<_> = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .collect();
    pods.sort_by_key(|pod| pod.name_any());
    pods.iter()
        .find_map(|pod| unschedulable(pod).or_else(|| container_statuses(pod).find_map(|c| waiting(pod, c))))
}

fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().flatten().chain(main.into_iter().flatten())
}

fn unschedulable(pod: &Pod) -> Option<Report> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    Some(Report {
        state: State::Reconciling,
        reason: reason::UNSCHEDULABLE,
        message: format!(
            "no node takes pod {}: {}",
            pod.name_any(),
            condition.message.as_deref().unwrap_or_default()
        ),
    })
}

fn waiting(pod: &Pod, container: &ContainerStatus) -> Option<Report> {
    let place = format!("container {} of pod {}", container.name, pod.name_any());
    let state = container.state.clone().unwrap_or_default();
    let waiting = state.waiting.clone().unwrap_or_default();
    let detail = detail(waiting.message.as_deref().unwrap_or_default());
    let report = |state, reason, message| {
        Some(Report {
            state,
            reason,
            message,
        })
    };
    match waiting.reason.as_deref() {
        Some("InvalidImageName") => report(
            State::Stalled,
            reason::IMAGE_UNAVAILABLE,
            format!(
                "{place} cannot start: {:?} is not a valid image name",
                container.image
            ),
        ),
        Some(
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable",
        ) => report(
            State::Reconciling,
            reason::IMAGE_UNAVAILABLE,
            format!(
                "{place} cannot start: its image {} cannot be pulled{detail}",
                container.image
            ),
        ),
        Some("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => report(
            State::Reconciling,
            reason::CONTAINER_NOT_STARTED,
            format!("{place} cannot start{detail}"),
        ),
        _ => crashing(container).then(|| Report {
            state: State::Reconciling,
            reason: reason::CRASHING,
            message: format!(
                "{place} (image {}) ends again and again{}",
                container.image,
                last_end(container)
            ),
        }),
    }
}

/// Between two back-offs a crashing container runs for a moment: that it does not stay up counts, not the moment.
fn crashing(container: &ContainerStatus) -> bool {
    let state = container.state.as_ref();
    let backing_off =
        state.and_then(|state| state.waiting.as_ref()?.reason.as_deref()) == Some("CrashLoopBackOff");
    backing_off || (!container.ready && container.restart_count >= 2)
}

fn last_end(container: &ContainerStatus) -> String {
    let end =
        |state: Option<&k8s_openapi::api::core::v1::ContainerState>| state.and_then(|s| s.terminated.clone());
    let Some(end) = end(container.last_state.as_ref()).or_else(|| end(container.state.as_ref())) else {
        return String::new();
    };
    match end.reason.as_deref() {
        Some("OOMKilled") => ": it was killed for using more memory than its limit".to_owned(),
        _ => format!(", last with exit code {}; its log says why", end.exit_code),
    }
}

/// The kubelet's own words, made the same for the failure and for the wait after it, so that the status is steady.
fn detail(message: &str) -> String {
    let message = match message.split_once(": ErrImagePull: ") {
        Some((prefix, rest)) if prefix.starts_with("Back-off pulling image") => rest,
        _ if message.starts_with("Back-off pulling image") => "",
        _ => message,
    };
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
