//! The Jobs of a Recording. A Job's controller replaces a pod that is deleted, or lost with its node, also while the operator
//! is away; the processes themselves go on where the ones before them were. No IO.

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Affinity, Container, EmptyDirVolumeSource, HTTPGetAction, PodAffinityTerm, PodAntiAffinity,
            PodSpec, Probe, WeightedPodAffinityTerm,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use radio_crds::STATION_LABEL;

use super::{CAPTURE_PORT, SHIP_PORT};
use crate::{
    k8s::{
        job::{KEYS_DIR, pod_with_keys, until_done},
        meta::{COMPONENT_LABEL, Component},
        pod::{
            SECRET_DIR, container_security, empty_dir, every, port, read_only, resources, within, writable,
        },
    },
    recording::{
        jobs::{FINALIZE, SHIP},
        validate::ValidSpec,
    },
};

/// The sidecar that copies the tape.
const CAPTURE: &str = "capture";
/// How long a finished Job stays to be looked at: its log says what happened.
const KEPT_SECONDS: i32 = 24 * 60 * 60;
const SPOOL_DIR: &str = "/var/lib/radio";
const SCRATCH_DIR: &str = "/var/lib/radio";
/// What a show of no length needs to be made.
const LEAST_SCRATCH: u64 = 256 << 20;

pub(super) fn recorder(spec: &ValidSpec) -> Job {
    // An emptyDir that is full evicts its pod: what capture counts is a little less than what the disk does.
    let spool = spec.spool_bytes.saturating_add(spec.spool_bytes / 5);
    let pod = PodSpec {
        init_containers: Some(vec![capture(spec)]),
        containers: vec![ship(spec)],
        affinity: Some(away_from_the_ingest(spec)),
        ..pod(spec, "spool", spool)
    };
    job(spec, spec.owner.name.clone(), Component::Recorder, pod)
}

pub(super) fn finalizer(spec: &ValidSpec, name: String, edition: u32, bytes: u64) -> Job {
    // The joined show and what is cut out of it; each rendition may be as large again.
    let copies = 2 + u64::try_from(spec.told.renditions.len()).unwrap_or(1) * 2;
    let scratch = bytes.saturating_mul(copies).saturating_add(bytes / 4);
    let pod = PodSpec {
        containers: vec![finalize(spec, edition)],
        ..pod(spec, "scratch", scratch.saturating_add(LEAST_SCRATCH))
    };
    job(spec, name, Component::Finalizer, pod)
}

fn job(spec: &ValidSpec, name: String, component: Component, pod: PodSpec) -> Job {
    let owner = &spec.owner;
    Job {
        metadata: owner.child(name, component),
        spec: Some(JobSpec {
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            ..until_done(owner.labels(component), pod)
        }),
        status: None,
    }
}

/// What both pods have. `disk` is the volume they work on.
fn pod(spec: &ValidSpec, disk: &str, bytes: u64) -> PodSpec {
    let on_the_node = EmptyDirVolumeSource {
        medium: None,
        size_limit: Some(Quantity(format!("{}Mi", bytes.div_ceil(1 << 20)))),
    };
    let mut pod = pod_with_keys(&spec.owner.name, &spec.keys.to_string());
    pod.volumes
        .get_or_insert_default()
        .push(empty_dir(disk, on_the_node));
    pod
}

/// The second copy is worth most on another node than the first.
fn away_from_the_ingest(spec: &ValidSpec) -> Affinity {
    let labels = [
        (COMPONENT_LABEL.to_owned(), Component::Ingest.as_str().to_owned()),
        (STATION_LABEL.to_owned(), spec.owner.station.clone()),
    ];
    let ingest = PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: Some(labels.into()),
            match_expressions: None,
        }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: ingest,
            }]),
            required_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    }
}

fn container(spec: &ValidSpec, name: &str, arguments: &[&str]) -> Container {
    let command = ["recorder", name, "--mounted", SECRET_DIR]
        .into_iter()
        .chain(arguments.iter().copied());
    Container {
        name: name.to_owned(),
        image: Some(spec.image.to_string()),
        command: Some(command.map(str::to_owned).collect()),
        security_context: Some(container_security()),
        ..Container::default()
    }
}

fn capture(spec: &ValidSpec) -> Container {
    let cap = spec.spool_bytes.to_string();
    let arguments = [
        "--spool",
        SPOOL_DIR,
        "--spool-cap",
        &cap,
        "--health",
        "0.0.0.0:8001",
    ];
    Container {
        // A sidecar: it starts first, and ends when ship has.
        restart_policy: Some("Always".to_owned()),
        ports: Some(vec![port(CAPTURE, i32::from(CAPTURE_PORT))]),
        startup_probe: Some(within(60, alive(CAPTURE))),
        liveness_probe: Some(every(10, alive(CAPTURE))),
        resources: Some(resources("10m", "32Mi", "32Mi")),
        volume_mounts: Some(vec![
            read_only("config", SECRET_DIR),
            writable("spool", SPOOL_DIR),
        ]),
        ..container(spec, CAPTURE, &arguments)
    }
}

fn ship(spec: &ValidSpec) -> Container {
    let arguments = [
        "--credentials",
        KEYS_DIR,
        "--spool",
        SPOOL_DIR,
        "--health",
        "0.0.0.0:8002",
    ];
    Container {
        ports: Some(vec![port(SHIP, i32::from(SHIP_PORT))]),
        liveness_probe: Some(every(10, alive(SHIP))),
        resources: Some(resources("20m", "96Mi", "96Mi")),
        volume_mounts: Some(vec![
            read_only("config", SECRET_DIR),
            read_only("keys", KEYS_DIR),
            writable("spool", SPOOL_DIR),
        ]),
        ..container(spec, SHIP, &arguments)
    }
}

fn finalize(spec: &ValidSpec, edition: u32) -> Container {
    let edition = edition.to_string();
    let arguments = [
        "--credentials",
        KEYS_DIR,
        "--scratch",
        SCRATCH_DIR,
        "--edition",
        &edition,
    ];
    Container {
        resources: Some(resources("50m", "128Mi", "128Mi")),
        volume_mounts: Some(vec![
            read_only("config", SECRET_DIR),
            read_only("keys", KEYS_DIR),
            writable("scratch", SCRATCH_DIR),
        ]),
        ..container(spec, FINALIZE, &arguments)
    }
}

/// Asks a process by its own port: both are in one pod.
fn alive(port: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/healthz".to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        ..Probe::default()
    }
}
