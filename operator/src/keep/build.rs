//! The Job that deletes, and the Secret that tells it what. Cannot fail. No IO.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, Secret},
    },
};
use recorder::errand::{Errand, KEEP_KEY};
use sha2::{Digest, Sha256};

use crate::{
    k8s::{
        job::{KEYS_DIR, pod_with_keys, until_done},
        meta::{Component, Owner},
        pod::{SECRET_DIR, container_security, read_only, resources},
    },
    recording::jobs::KEEP,
    text::ImageName,
};

/// A store that takes longer for twenty Recordings hangs in a way that nobody thought of.
const LONGEST_SECONDS: i64 = 6 * 60 * 60;

/// What both have to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// Of Secret and Job.
    pub name: String,
    /// The Secret with the keys to the store.
    pub keys: String,
    /// What runs.
    pub image: ImageName,
    /// What it is told.
    pub errand: Errand,
}

impl Ordered {
    /// An errand that can be told from every other one.
    #[must_use]
    pub fn new(name: String, keys: String, image: ImageName, errand: Errand) -> Self {
        let blank = Errand {
            order: String::new(),
            ..errand
        };
        // A struct of strings always serializes.
        let told = serde_json::to_vec(&blank).unwrap_or_default();
        let sum: [u8; 32] = Sha256::digest(&told).into();
        let first = sum.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        let order = format!("{first:016x}");
        Self {
            name,
            keys,
            image,
            errand: Errand { order, ..blank },
        }
    }
}

/// What the Job is told.
#[must_use]
pub fn secret(owner: &Owner, ordered: &Ordered) -> Secret {
    let json = serde_json::to_vec(&ordered.errand).unwrap_or_default();
    Secret {
        metadata: owner.child(ordered.name.clone(), Component::Keeper),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(KEEP_KEY.to_owned(), ByteString(json))])),
        ..Secret::default()
    }
}

/// The Job. It stays until its report is counted.
#[must_use]
pub fn job(owner: &Owner, ordered: &Ordered) -> Job {
    Job {
        metadata: owner.child(ordered.name.clone(), Component::Keeper),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(LONGEST_SECONDS),
            ..until_done(owner.labels(Component::Keeper), pod(ordered))
        }),
        status: None,
    }
}

fn pod(ordered: &Ordered) -> PodSpec {
    PodSpec {
        containers: vec![container(ordered)],
        ..pod_with_keys(&ordered.name, &ordered.keys)
    }
}

fn container(ordered: &Ordered) -> Container {
    let command = [
        "recorder",
        KEEP,
        "--mounted",
        SECRET_DIR,
        "--credentials",
        KEYS_DIR,
        "--order",
        &ordered.errand.order,
    ];
    Container {
        name: KEEP.to_owned(),
        image: Some(ordered.image.to_string()),
        command: Some(command.map(str::to_owned).to_vec()),
        resources: Some(resources("10m", "32Mi", "128Mi")),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![read_only("config", SECRET_DIR), read_only("keys", KEYS_DIR)]),
        ..Container::default()
    }
}
