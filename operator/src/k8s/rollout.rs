//! Whether a Deployment or `StatefulSet` is there, and if not, what its pods say about it. No IO.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ContainerStatus, Pod},
};
use kube::ResourceExt;
use radio_crds::conditions::reason;

use super::conditions::{Report, State};

/// How far the pods are.
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
    let mut report =
        trouble(pods).unwrap_or_else(|| progressing("Deployment", &deployment.name_any(), ready, wanted));
    if given_up {
        report.state = State::Stalled;
    }
    Rollout::Unfinished(report)
}

/// The same for a `StatefulSet`. One whose new version is held back is there, as long as the old one is.
#[must_use]
pub fn judge_set(set: &StatefulSet, held: bool, pods: &[Arc<Pod>]) -> Rollout {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = set.status.clone().unwrap_or_default();
    let current = status.observed_generation >= set.metadata.generation;
    let ready = status.available_replicas.unwrap_or(0);
    let updated = held || status.updated_replicas.unwrap_or(0) == wanted;
    if current && updated && ready == wanted && status.replicas == wanted {
        return Rollout::Complete;
    }
    Rollout::Unfinished(
        trouble(pods).unwrap_or_else(|| progressing("StatefulSet", &set.name_any(), ready, wanted)),
    )
}

/// Whether pods of an older version are still there, or have to be replaced.
#[must_use]
pub fn pending(set: &StatefulSet) -> bool {
    let status = set.status.clone().unwrap_or_default();
    status.observed_generation >= set.metadata.generation && status.current_revision != status.update_revision
}

/// Whether any pod is ready.
#[must_use]
pub fn any_ready(set: &StatefulSet) -> bool {
    let status = set.status.as_ref();
    status.and_then(|status| status.ready_replicas).unwrap_or(0) > 0
}

fn progressing(kind: &str, name: &str, ready: i32, wanted: i32) -> Report {
    Report {
        state: State::Reconciling,
        reason: reason::PROGRESSING,
        message: format!(
            "{} of {wanted} pods of {kind} {name} are ready",
            ready.min(wanted)
        ),
    }
}

/// The first trouble a pod has that will not pass by itself soon.
#[must_use]
pub fn trouble(pods: &[Arc<Pod>]) -> Option<Report> {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(generation: i64, wanted: i32, status: &Value) -> Deployment {
        let object = json!({
            "metadata": {"name": "radio-relay", "generation": generation},
            "spec": {"replicas": wanted, "selector": {}, "template": {}},
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn pod(status: &Value) -> Vec<Arc<Pod>> {
        vec![Arc::new(
            serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap(),
        )]
    }

    fn container(state: &Value, extra: &Value) -> Vec<Arc<Pod>> {
        let mut container = json!({
            "name": "icecast", "image": "icecast:1", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        });
        container
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        pod(&json!({"containerStatuses": [container]}))
    }

    fn waiting(reason: &str, message: &str) -> Vec<Arc<Pod>> {
        container(
            &json!({"waiting": {"reason": reason, "message": message}}),
            &json!({}),
        )
    }

    fn unfinished(pods: &[Arc<Pod>]) -> Report {
        match judge(&deployment(1, 1, &json!({"observedGeneration": 1})), pods) {
            Rollout::Unfinished(report) => report,
            Rollout::Complete => panic!("not complete"),
        }
    }

    #[test]
    fn complete_means_all_pods_of_this_generation_and_no_others() {
        let full =
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3});
        assert_eq!(judge(&deployment(2, 3, &full), &[]), Rollout::Complete);
        assert_eq!(
            judge(&deployment(2, 0, &json!({"observedGeneration": 2})), &[]),
            Rollout::Complete
        );
        for (field, value) in [
            ("observedGeneration", 1),
            ("replicas", 4),
            ("updatedReplicas", 2),
            ("availableReplicas", 2),
        ] {
            let mut status = full.clone();
            status[field] = json!(value);
            let judged = judge(&deployment(2, 3, &status), &[]);
            assert!(
                matches!(judged, Rollout::Unfinished(report) if report.reason == reason::PROGRESSING),
                "{field}"
            );
        }
        assert!(matches!(
            judge(&deployment(1, 1, &Value::Null), &[]),
            Rollout::Unfinished(_)
        ));
    }

    #[test]
    fn a_stateful_set_is_complete_or_held_back() {
        let set = |status: &Value| -> StatefulSet {
            let object = json!({
                "metadata": {"name": "radio-ingest", "generation": 2},
                "spec": {"replicas": 1, "serviceName": "radio-tape", "selector": {}, "template": {}},
                "status": status,
            });
            serde_json::from_value(object).unwrap()
        };
        let with = |field: &str, value: Value| {
            let mut status = json!({
                "observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                "availableReplicas": 1, "currentRevision": "a", "updateRevision": "a",
            });
            status[field] = value;
            set(&status)
        };
        let full = with("replicas", json!(1));
        assert_eq!(judge_set(&full, false, &[]), Rollout::Complete);
        assert!(any_ready(&full) && !pending(&full));
        for (field, value) in [
            ("observedGeneration", 1),
            ("replicas", 0),
            ("updatedReplicas", 0),
            ("availableReplicas", 0),
        ] {
            let judged = judge_set(&with(field, json!(value)), false, &[]);
            assert!(matches!(judged, Rollout::Unfinished(_)), "{field}");
        }
        assert_eq!(
            judge_set(&with("updatedReplicas", json!(0)), true, &[]),
            Rollout::Complete
        );
        let gone = with("availableReplicas", json!(0));
        assert!(matches!(judge_set(&gone, true, &[]), Rollout::Unfinished(_)));
        assert!(pending(&with("updateRevision", json!("b"))));
        assert!(!any_ready(&with("readyReplicas", json!(0))));
        // What the controller has not looked at says nothing yet.
        assert!(!pending(&set(
            &json!({"observedGeneration": 1, "replicas": 1, "currentRevision": "a", "updateRevision": "b"})
        )));
    }

    #[test]
    fn a_deployment_that_gave_up_is_stalled() {
        let conditions =
            json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let status = json!({"observedGeneration": 1, "conditions": conditions});
        let Rollout::Unfinished(report) = judge(&deployment(1, 1, &status), &[]) else {
            panic!()
        };
        assert_eq!(
            (report.state, report.reason),
            (State::Stalled, reason::PROGRESSING)
        );
        // Unless a newer generation is already on its way.
        let Rollout::Unfinished(report) = judge(&deployment(2, 1, &status), &[]) else {
            panic!()
        };
        assert_eq!(report.state, State::Reconciling);
    }

    #[test]
    fn waiting_containers() {
        for (waits, state, reason) in [
            ("ErrImagePull", State::Reconciling, reason::IMAGE_UNAVAILABLE),
            ("ImagePullBackOff", State::Reconciling, reason::IMAGE_UNAVAILABLE),
            ("InvalidImageName", State::Stalled, reason::IMAGE_UNAVAILABLE),
            (
                "CreateContainerConfigError",
                State::Reconciling,
                reason::CONTAINER_NOT_STARTED,
            ),
            ("CrashLoopBackOff", State::Reconciling, reason::CRASHING),
            ("ContainerCreating", State::Reconciling, reason::PROGRESSING),
            ("PodInitializing", State::Reconciling, reason::PROGRESSING),
        ] {
            let report = unfinished(&waiting(waits, "details"));
            assert_eq!((report.state, report.reason), (state, reason), "{waits}");
            if reason != reason::PROGRESSING {
                assert!(
                    report.message.contains("container icecast of pod p"),
                    "{}",
                    report.message
                );
            }
        }
    }

    #[test]
    fn the_message_is_the_same_for_the_failure_and_the_wait_after_it() {
        let failed = unfinished(&waiting("ErrImagePull", "not found"));
        let backing_off = "Back-off pulling image \"icecast:1\": ErrImagePull: not found";
        assert_eq!(unfinished(&waiting("ImagePullBackOff", backing_off)), failed);
        assert_eq!(
            failed.message,
            "container icecast of pod p cannot start: its image icecast:1 cannot be pulled: not found"
        );
    }

    #[test]
    fn a_container_that_dies_again_and_again_stays_crashing_between_its_lives() {
        let last = json!({"terminated": {"exitCode": 7, "reason": "Error"}});
        let waits = container(
            &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}}),
            &json!({"restartCount": 3, "lastState": last}),
        );
        let runs = container(
            &json!({"running": {}}),
            &json!({"restartCount": 4, "lastState": last}),
        );
        assert_eq!(unfinished(&waits), unfinished(&runs));
        assert!(unfinished(&waits).message.contains("last with exit code 7"));
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let killed = container(
            &json!({"running": {}}),
            &json!({"restartCount": 4, "lastState": killed}),
        );
        assert!(unfinished(&killed).message.contains("more memory than its limit"));
        let first = container(
            &json!({"running": {}}),
            &json!({"restartCount": 1, "lastState": last}),
        );
        assert_eq!(unfinished(&first).reason, reason::PROGRESSING);
    }

    #[test]
    fn a_pod_without_a_node() {
        let scheduled =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"});
        let report = unfinished(&pod(&json!({"conditions": [scheduled]})));
        assert_eq!(
            (report.reason, report.message.as_str()),
            (reason::UNSCHEDULABLE, "no node takes pod p: 0/3")
        );
    }

    #[test]
    fn a_pod_that_is_being_deleted_says_nothing() {
        let mut pods = waiting("CrashLoopBackOff", "");
        let deleted = serde_json::from_value(json!("2026-08-01T10:00:00Z")).unwrap();
        Arc::make_mut(&mut pods[0]).metadata.deletion_timestamp = Some(deleted);
        assert_eq!(unfinished(&pods).reason, reason::PROGRESSING);
    }
}
