//! What Jobs have in common that work with a Station's bucket. No IO.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::JobSpec,
        core::v1::{PodSpec, PodTemplateSpec, SecretVolumeSource, Volume},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::pod::{leave_lost_nodes_after, pod_security_with_volume, secret_volume};

/// Where the store's keys are.
pub const KEYS_DIR: &str = "/etc/radio-keys";

/// A pod at a time, until what it is made for is done.
#[must_use]
pub fn until_done(labels: BTreeMap<String, String>, pod: PodSpec) -> JobSpec {
    JobSpec {
        // However often a process ends, what it was made for is not done yet.
        backoff_limit: Some(i32::MAX),
        completions: Some(1),
        parallelism: Some(1),
        // A lost node may not say for long that its pod has ended.
        pod_replacement_policy: Some("TerminatingOrFailed".to_owned()),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels),
                ..ObjectMeta::default()
            }),
            spec: Some(pod),
        },
        ..JobSpec::default()
    }
}

/// A pod with what it is `told`, and the `keys` of the store, without containers.
#[must_use]
pub fn pod_with_keys(told: &str, keys: &str) -> PodSpec {
    PodSpec {
        restart_policy: Some("OnFailure".to_owned()),
        volumes: Some(vec![secret_volume(told), keys_volume(keys)]),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security_with_volume()),
        termination_grace_period_seconds: Some(10),
        tolerations: Some(leave_lost_nodes_after(15)),
        ..PodSpec::default()
    }
}

/// Optional: without keys the pod says so, and does what needs none; one that cannot start says nothing.
fn keys_volume(secret: &str) -> Volume {
    Volume {
        name: "keys".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}
