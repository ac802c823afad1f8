//! The playout pod. Only outputs, image and volumes are in its template: nothing else may restart it. No IO.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
        core::v1::{
            Container, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, PodSpec, PodTemplateSpec,
            Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use radio_crds::GROUP;
use sha2::{Digest, Sha256};

use super::playout::output;
use crate::{
    k8s::{
        meta::Component,
        pod::{
            RUN_DIR, SECRET_DIR, agent, agent_volumes, container_security, every, http,
            leave_lost_nodes_after, pod_security, read_only, resources, within, writable,
        },
    },
    mount::validate::{Source, ValidMount},
    text::{EntryName, ResourceName},
};

/// Where playlists on volumes are mounted.
const PLAYLISTS_DIR: &str = "/playlists";

/// Where the volume of a playlist is mounted.
pub fn playlist_directory(playlist: &EntryName) -> String {
    format!("{PLAYLISTS_DIR}/{playlist}")
}

/// The Deployment. A Mount that lost its path is silent: two of them would fight for it on the origin.
pub fn build(mount: &ValidMount, name: String) -> Deployment {
    let owner = &mount.spec.owner;
    let annotation = (format!("{GROUP}/playout"), hash(mount));
    Deployment {
        metadata: owner.child(name.clone(), Component::Playout),
        spec: Some(DeploymentSpec {
            replicas: Some(i32::from(mount.rival.is_none())),
            selector: owner.selector(Component::Playout),
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                rolling_update: None,
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(owner.labels(Component::Playout)),
                    annotations: Some(BTreeMap::from([annotation])),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(mount, name)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Liquidsoap reads its outputs once, when it starts.
fn hash(mount: &ValidMount) -> String {
    let outputs: Vec<_> = mount.spec.wants.outputs.iter().map(output).collect();
    let text = serde_json::json!({"outputs": outputs, "image": mount.spec.image.as_str()}).to_string();
    let digest: [u8; 32] = Sha256::digest(text).into();
    format!(
        "{:016x}",
        digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    )
}

/// `name` is the Deployment's, and so the Secret's and the `ServiceAccount`'s.
fn pod(mount: &ValidMount, name: String) -> PodSpec {
    let image = mount.spec.image.as_str();
    // Playlists and emergency audio from ConfigMaps are kept here: at most 17 of 1 MiB.
    let run = EmptyDirVolumeSource {
        medium: None,
        size_limit: Some(Quantity("64Mi".to_owned())),
    };
    let mut volumes = agent_volumes(&name, run);
    volumes.extend(claims(mount));
    PodSpec {
        init_containers: Some(vec![playout_agent(mount, image, &name)]),
        containers: vec![liquidsoap(mount, image)],
        volumes: Some(volumes),
        service_account_name: Some(name),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        termination_grace_period_seconds: Some(10),
        tolerations: Some(leave_lost_nodes_after(15)),
        ..PodSpec::default()
    }
}

fn playout_agent(mount: &ValidMount, image: &str, secret: &str) -> Container {
    let command = [
        "playout-agent",
        "serve",
        "--secret",
        secret,
        "--mounted",
        SECRET_DIR,
        "--run-dir",
        RUN_DIR,
        "--playlists-dir",
        PLAYLISTS_DIR,
        "--health",
        "0.0.0.0:8001",
    ];
    let mut agent = agent(
        image,
        command.map(str::to_owned).to_vec(),
        within(60, http("/healthz")),
    );
    agent.readiness_probe = Some(every(2, http("/readyz")));
    // At the API's limits: 17 ConfigMaps of 1 MiB, twice, and the names of 50,000 tracks.
    agent.resources = Some(resources("10m", "24Mi", "256Mi"));
    agent
        .volume_mounts
        .get_or_insert_default()
        .extend(playlist_mounts(mount));
    agent
}

fn liquidsoap(mount: &ValidMount, image: &str) -> Container {
    let mut volume_mounts = vec![writable("run", RUN_DIR), writable("tmp", "/tmp")];
    volume_mounts.extend(playlist_mounts(mount));
    Container {
        name: "liquidsoap".to_owned(),
        image: Some(image.to_owned()),
        command: Some(
            ["playout-agent", "liquidsoap", "--run-dir", RUN_DIR]
                .map(str::to_owned)
                .to_vec(),
        ),
        resources: Some(resources("100m", "192Mi", "512Mi")),
        security_context: Some(container_security()),
        volume_mounts: Some(volume_mounts),
        ..Container::default()
    }
}

fn volume_name(playlist: &EntryName) -> String {
    format!("playlist-{playlist}")
}

/// By name, not by priority: the order in a pod template is a reason to restart, the order of playlists is not.
fn volumes(mount: &ValidMount) -> Vec<(&EntryName, &ResourceName)> {
    let playlists = mount.spec.playlists.iter();
    let mut volumes: Vec<_> = playlists
        .filter_map(|playlist| match &playlist.source {
            Source::ConfigMap(_) => None,
            Source::Volume { claim, .. } => Some((&playlist.name, claim)),
        })
        .collect();
    volumes.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    volumes
}

fn claims(mount: &ValidMount) -> impl Iterator<Item = Volume> {
    volumes(mount).into_iter().map(|(playlist, claim)| Volume {
        name: volume_name(playlist),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.to_string(),
            read_only: Some(true),
        }),
        ..Volume::default()
    })
}

fn playlist_mounts(mount: &ValidMount) -> impl Iterator<Item = VolumeMount> {
    volumes(mount)
        .into_iter()
        .map(|(playlist, _)| read_only(&volume_name(playlist), &playlist_directory(playlist)))
}
