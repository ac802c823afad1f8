//! The ingest: what it is told, and its pod. Nothing in the template depends on inputs or passwords. No IO.

use std::collections::BTreeMap;

use ::ingest::config::{self, Credential, INGEST_KEY, Ingest, Reader, Routing};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::{
            RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy,
            StatefulSetSpec, StatefulSetUpdateStrategy,
        },
        core::v1::{
            Container, EmptyDirVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSpec,
            PodTemplateSpec, Secret, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::service::SOURCE_PORT;
use crate::{
    k8s::{
        meta::{Component, names},
        pod::{
            HEALTH_PORT, SECRET_DIR, container_security, empty_dir, every, http, own_namespace,
            pod_security_with_volume, port, read_only, resources, secret_volume, token_mount, token_volume,
            within, writable,
        },
    },
    station::{
        readers::{self, digest, token},
        validate::{Door, Tape, ValidStation},
    },
};

/// The volume with the tapes, and so the first part of its claim's name.
const TAPE: &str = "tape";
/// Where it is mounted.
const TAPE_DIR: &str = "/var/lib/radio";

/// More than these bytes no Secret may hold, with room for what else is in it.
const MOST_BYTES: usize = 1_000_000;
/// As many turns of a Show are told at most; fewer, if all together do not fit.
const MOST_TURNS: usize = 32;

/// The Secret the ingest watches: digests, no password.
pub fn config(station: &ValidStation) -> Secret {
    let owner = &station.spec.owner;
    let mut ingest = Ingest {
        inputs: station.ingest.doors.iter().map(input).collect(),
        readers: readers(station),
        // The file system and the indexes need the rest.
        tape_cap_bytes: station.spec.tape.bytes / 10 * 9,
        recordings: station.ingest.recordings.clone(),
    };
    let json = fit(&mut ingest);
    Secret {
        metadata: owner.child(names::ingest(&owner.name), Component::Ingest),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(INGEST_KEY.to_owned(), ByteString(json))])),
        ..Secret::default()
    }
}

/// With very many Shows those turns are left out that are farthest away: they come when the others are over.
fn fit(ingest: &mut Ingest) -> Vec<u8> {
    let mut most = MOST_TURNS;
    loop {
        // A struct of strings and numbers always serializes.
        let json = serde_json::to_vec(ingest).unwrap_or_default();
        if json.len() <= MOST_BYTES || most == 1 {
            return json;
        }
        most /= 2;
        let credentials = ingest.inputs.iter_mut().flat_map(|input| &mut input.credentials);
        credentials.for_each(|credential| credential.turns.truncate(most));
    }
}

fn input(door: &Door) -> config::Input {
    let input = &door.input;
    let own = door.password.as_ref().map(|password| Credential {
        user: input.username.to_string(),
        sha256: digest(password.reveal()),
        routing: Routing::Live,
        show: None,
        turns: Vec::new(),
    });
    let of_presenters = door.presenters.iter().map(|presenter| Credential {
        user: presenter.user.to_string(),
        sha256: digest(presenter.password.reveal()),
        routing: Routing::Rehearsal,
        show: Some(presenter.show.clone()),
        turns: presenter.turns.clone(),
    });
    config::Input {
        mount: door.mount.clone(),
        name: input.name.clone(),
        path: input.path.to_string(),
        priority: door.priority,
        accepts: input.accepts,
        credentials: own.into_iter().chain(of_presenters).collect(),
    }
}

fn readers(station: &ValidStation) -> Vec<Reader> {
    let ingest = &station.ingest;
    let reader = |name: String, mounts| Reader {
        sha256: digest(&token(&station.credentials.tape, &name)),
        name,
        mounts,
    };
    let mut readers = vec![reader(readers::OPERATOR.to_owned(), None)];
    if !ingest.through.is_empty() {
        readers.push(reader(readers::ORIGIN.to_owned(), Some(ingest.through.clone())));
    }
    let played = ingest.played.iter();
    readers.extend(played.map(|mount| reader(readers::playout(mount), Some(vec![mount.clone()]))));
    let recordings = ingest.recordings.iter();
    readers.extend(recordings.map(|recording| {
        reader(
            readers::recording(&recording.name),
            Some(vec![recording.mount.clone()]),
        )
    }));
    readers
}

/// One ingest, if anybody may ever connect. Its volume outlives it.
pub fn stateful_set(station: &ValidStation) -> StatefulSet {
    let (owner, tape) = (&station.spec.owner, &station.spec.tape);
    let name = names::ingest(&owner.name);
    let retain = || Some("Retain".to_owned());
    StatefulSet {
        metadata: owner.child(name.clone(), Component::Ingest),
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::from(station.ingest.wanted)),
            service_name: Some(names::tape(&owner.name)),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: owner.selector(Component::Ingest),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateStatefulSetStrategy {
                    partition: Some(station.roll.partition()),
                    max_unavailable: None,
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(owner.labels(Component::Ingest)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(station, name)),
            },
            volume_claim_templates: (!tape.ephemeral).then(|| vec![claim(tape)]),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: retain(),
                when_scaled: retain(),
            }),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn claim(tape: &Tape) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(TAPE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: tape.class.as_ref().map(ToString::to_string),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(tape.size.clone()),
                )])),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// `name` is the `StatefulSet`'s, and so the Secret's and the `ServiceAccount`'s.
fn pod(station: &ValidStation, name: String) -> PodSpec {
    let tape = &station.spec.tape;
    let mut volumes = vec![secret_volume(&name), token_volume()];
    if tape.ephemeral {
        let on_the_node = EmptyDirVolumeSource {
            medium: None,
            size_limit: Some(Quantity(tape.size.clone())),
        };
        volumes.push(empty_dir(TAPE, on_the_node));
    }
    PodSpec {
        containers: vec![container(station.spec.ingest_image.as_str(), &name)],
        volumes: Some(volumes),
        service_account_name: Some(name),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security_with_volume()),
        termination_grace_period_seconds: Some(10),
        ..PodSpec::default()
    }
}

fn container(image: &str, secret: &str) -> Container {
    let command = [
        "ingest",
        "keep",
        "--secret",
        secret,
        "--mounted",
        SECRET_DIR,
        "--tapes",
        TAPE_DIR,
        "--sources",
        "0.0.0.0:8005",
        "--readers",
        "0.0.0.0:8006",
        "--health",
        "0.0.0.0:8001",
    ];
    Container {
        name: "ingest".to_owned(),
        image: Some(image.to_owned()),
        command: Some(command.map(str::to_owned).to_vec()),
        env: Some(vec![own_namespace()]),
        ports: Some(vec![
            port("source", i32::from(SOURCE_PORT)),
            port("tape", i32::from(readers::PORT)),
            port("health", HEALTH_PORT),
        ]),
        // Recovering a long tape takes a while.
        startup_probe: Some(within(120, http("/healthz"))),
        readiness_probe: Some(every(2, http("/readyz"))),
        liveness_probe: Some(every(10, http("/healthz"))),
        resources: Some(resources("50m", "64Mi", "64Mi")),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![
            read_only("config", SECRET_DIR),
            writable(TAPE, TAPE_DIR),
            token_mount(),
        ]),
        ..Container::default()
    }
}
