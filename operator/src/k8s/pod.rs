//! The parts every pod of ours is made of: restricted by Pod Security, read-only, with one agent beside the server.
//! No IO.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapProjection, Container, ContainerPort, DownwardAPIProjection,
        DownwardAPIVolumeFile, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, KeyToPath,
        ObjectFieldSelector, PodSecurityContext, Probe, ProjectedVolumeSource, ResourceRequirements,
        SeccompProfile, SecretVolumeSource, SecurityContext, ServiceAccountTokenProjection, TCPSocketAction,
        Toleration, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

/// The user and group of all our images.
const USER: i64 = 10001;
/// Port of the agents' health and metrics.
pub const HEALTH_PORT: i32 = 8001;
/// Where the mounted Secret is.
pub const SECRET_DIR: &str = "/etc/radio";
/// Where the agent writes and its server reads.
pub const RUN_DIR: &str = "/run/radio";

/// The security context of a pod.
#[must_use]
pub fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

/// As [`pod_security`], for pods that write to a volume: it belongs to their group then.
#[must_use]
pub fn pod_security_with_volume() -> PodSecurityContext {
    PodSecurityContext {
        fs_group: Some(USER),
        // A long tape is many files, and all of them are ours already.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        ..pod_security()
    }
}

/// The security context of a container.
#[must_use]
pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

/// Requests for CPU and memory, and a limit on memory; a CPU limit would only make audio stutter.
#[must_use]
pub fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.to_owned()));
    ResourceRequirements {
        requests: Some(BTreeMap::from([quantity("cpu", cpu), quantity("memory", memory)])),
        limits: Some(BTreeMap::from([quantity("memory", memory_limit)])),
        claims: None,
    }
}

/// The agent beside a server: it starts first, ends last, and alone has the token for the API server.
#[must_use]
pub fn agent(image: &str, command: Vec<String>, startup: Probe) -> Container {
    Container {
        name: "agent".to_owned(),
        image: Some(image.to_owned()),
        command: Some(command),
        env: Some(vec![own_namespace()]),
        ports: Some(vec![port("health", HEALTH_PORT)]),
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(startup),
        liveness_probe: Some(every(10, http("/healthz"))),
        resources: Some(resources("10m", "16Mi", "64Mi")),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![
            read_only("config", SECRET_DIR),
            writable("run", RUN_DIR),
            writable("tmp", "/tmp"),
            token_mount(),
        ]),
        ..Container::default()
    }
}

/// Where the pod is.
#[must_use]
pub fn own_namespace() -> EnvVar {
    EnvVar {
        name: "POD_NAMESPACE".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: "metadata.namespace".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
        value: None,
    }
}

/// The volume `config` with the Secret that is watched.
#[must_use]
pub fn secret_volume(secret: &str) -> Volume {
    Volume {
        name: "config".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Mounts the [`token_volume`].
#[must_use]
pub fn token_mount() -> VolumeMount {
    read_only("token", "/var/run/secrets/kubernetes.io/serviceaccount")
}

/// The volumes of [`agent`]. `run` is for what it writes.
#[must_use]
pub fn agent_volumes(secret: &str, run: EmptyDirVolumeSource) -> Vec<Volume> {
    vec![
        secret_volume(secret),
        empty_dir("run", run),
        empty_dir("tmp", EmptyDirVolumeSource::default()),
        token_volume(),
    ]
}

/// What a service account token mount holds, as a volume of its own: the server beside the agent must not have it.
#[must_use]
pub fn token_volume() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: "token".to_owned(),
            expiration_seconds: Some(3600),
            audience: None,
        }),
        ..VolumeProjection::default()
    };
    let authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath {
                key: "ca.crt".to_owned(),
                path: "ca.crt".to_owned(),
                mode: None,
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection {
            items: Some(vec![DownwardAPIVolumeFile {
                path: "namespace".to_owned(),
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.namespace".to_owned(),
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
        }),
        ..VolumeProjection::default()
    };
    Volume {
        name: "token".to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![token, authority, namespace]),
            default_mode: None,
        }),
        ..Volume::default()
    }
}

/// An emptyDir.
#[must_use]
pub fn empty_dir(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(source),
        ..Volume::default()
    }
}

/// An emptyDir in memory, for the few kilobytes that hold passwords.
#[must_use]
pub fn in_memory(size: &str) -> EmptyDirVolumeSource {
    EmptyDirVolumeSource {
        medium: Some("Memory".to_owned()),
        size_limit: Some(Quantity(size.to_owned())),
    }
}

/// Mounts a volume for reading.
#[must_use]
pub fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..writable(volume, path)
    }
}

/// Mounts a volume.
#[must_use]
pub fn writable(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

/// A named TCP port. The protocol is part of the list's merge key, so it is never left to its default.
#[must_use]
pub fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// Asks the agent.
#[must_use]
pub fn http(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("health".to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}

/// Connects to a port: unlike a request it is not refused by a server that is full.
#[must_use]
pub fn connects(port: &str) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction {
            port: IntOrString::String(port.to_owned()),
            host: None,
        }),
        ..Probe::default()
    }
}

/// Three failures in a row count.
#[must_use]
pub fn every(seconds: i32, probe: Probe) -> Probe {
    Probe {
        period_seconds: Some(seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(3),
        ..probe
    }
}

/// Every second, for up to `seconds`.
#[must_use]
pub fn within(seconds: i32, probe: Probe) -> Probe {
    Probe {
        period_seconds: Some(1),
        failure_threshold: Some(seconds),
        ..probe
    }
}

/// A pod there is only one of leaves a lost node after this long, not after Kubernetes' five minutes.
#[must_use]
pub fn leave_lost_nodes_after(seconds: i64) -> Vec<Toleration> {
    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .map(|key| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            toleration_seconds: Some(seconds),
            value: None,
        })
        .to_vec()
}
