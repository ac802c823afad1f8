//! Provides volumes: a folder of the host per claim, on the node the scheduler chose. Does IO.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::Places;

/// The provisioner's name, and the mark on the volumes that are ours.
const PROVISIONER: &str = "radio.moafunk.de/local";
/// The storage class, which is the default one.
const CLASS: &str = "local";
/// By this annotation the scheduler says where the first pod of a claim will run.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The storage class.
pub fn objects() -> Vec<Value> {
    vec![json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    })]
}

/// Provides and removes volumes, for ever.
pub async fn provision(places: &Places) {
    let folder = places.state.join("volumes");
    loop {
        if let Err(error) = Box::pin(watch(places, &folder)).await {
            warn!("volumes: {error:#}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn watch(places: &Places, folder: &std::path::Path) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(places.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let claims = watcher(
        Api::<PersistentVolumeClaim>::all(client.clone()),
        watcher::Config::default(),
    );
    let volumes = watcher(
        Api::<PersistentVolume>::all(client.clone()),
        watcher::Config::default(),
    );
    let provide = claims
        .default_backoff()
        .applied_objects()
        .map_err(anyhow::Error::from)
        .try_for_each(|claim| {
            let client = client.clone();
            async move { provide(client, folder, &claim).await }
        });
    let remove = volumes
        .default_backoff()
        .applied_objects()
        .map_err(anyhow::Error::from)
        .try_for_each(|volume| {
            let client = client.clone();
            async move { remove(client, folder, &volume).await }
        });
    tokio::try_join!(provide, remove).map(drop)
}

async fn provide(client: Client, folder: &std::path::Path, claim: &PersistentVolumeClaim) -> Result<()> {
    let Some(volume) = volume_for(claim, folder)? else {
        return Ok(());
    };
    let path = folder.join(volume.name_any());
    fs::create_dir_all(&path)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o777)))
        .with_context(|| format!("cannot make {}", path.display()))?;
    match Api::all(client).create(&PostParams::default(), &volume).await {
        Ok(_) => info!(
            claim = claim.name_any(),
            volume = volume.name_any(),
            "volume made"
        ),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(error).context("cannot make the volume"),
    }
    Ok(())
}

async fn remove(client: Client, folder: &std::path::Path, volume: &PersistentVolume) -> Result<()> {
    let Some(path) = folder_to_remove(volume, folder) else {
        return Ok(());
    };
    match Api::<PersistentVolume>::all(client)
        .delete(&volume.name_any(), &DeleteParams::default())
        .await
    {
        Ok(_) => info!(volume = volume.name_any(), "volume removed"),
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        Err(error) => return Err(error).context("cannot delete the volume"),
    }
    crate::install::cache::remove(&path)
}

/// The volume this claim waits for, if it is for us and its node is known.
fn volume_for(claim: &PersistentVolumeClaim, folder: &std::path::Path) -> Result<Option<PersistentVolume>> {
    let Some(spec) = &claim.spec else { return Ok(None) };
    let ours = spec.storage_class_name.as_deref() == Some(CLASS) && spec.volume_name.is_none();
    let (Some(node), Some(uid)) = (claim.annotations().get(SELECTED_NODE), claim.uid()) else {
        return Ok(None);
    };
    if !ours || claim.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let name = format!("pvc-{uid}");
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name, "annotations": { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
        "spec": {
            "capacity": { "storage": spec.resources.as_ref().and_then(|wanted| wanted.requests.as_ref()?.get("storage")) },
            "accessModes": spec.access_modes,
            "volumeMode": "Filesystem",
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "local": { "path": folder.join(&name) },
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": uid,
                "name": claim.name_any(), "namespace": claim.namespace(),
            },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "kubernetes.io/hostname", "operator": "In", "values": [node] },
            ] }] } },
        },
    });
    Ok(Some(serde_json::from_value(volume)?))
}

/// The folder of a volume of ours whose claim is gone.
fn folder_to_remove(volume: &PersistentVolume, folder: &std::path::Path) -> Option<PathBuf> {
    let ours = volume
        .annotations()
        .get("pv.kubernetes.io/provisioned-by")
        .is_some_and(|by| by == PROVISIONER);
    let released = volume.status.as_ref()?.phase.as_deref() == Some("Released");
    let delete = volume.spec.as_ref()?.persistent_volume_reclaim_policy.as_deref() == Some("Delete");
    (ours && released && delete).then(|| folder.join(volume.name_any()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn claim(changes: &Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": {
                "name": "music", "namespace": "radio", "uid": "u-1", "annotations": { SELECTED_NODE: "node2" },
            },
            "spec": {
                "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        for (pointer, value) in changes.as_object().unwrap() {
            *claim.pointer_mut(pointer).unwrap() = value.clone();
        }
        serde_json::from_value(claim).unwrap()
    }

    #[test]
    fn a_claim_gets_a_volume_on_the_node_that_was_selected() {
        let volume = volume_for(&claim(&json!({})), Path::new("/v")).unwrap().unwrap();
        let volume = serde_json::to_value(volume).unwrap();
        assert_eq!(volume["metadata"]["name"], "pvc-u-1");
        assert_eq!(volume["spec"]["local"]["path"], "/v/pvc-u-1");
        assert_eq!(volume["spec"]["capacity"]["storage"], "1Gi");
        let term = &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
        assert_eq!(term["values"], json!(["node2"]));
    }

    #[test]
    fn other_claims_are_left_alone() {
        let cases = [
            json!({ "/spec/storageClassName": "fast" }),
            json!({ "/metadata/annotations": {} }),
            json!({ "/spec": { "storageClassName": "local", "volumeName": "pv-1" } }),
        ];
        for case in cases {
            assert_eq!(
                volume_for(&claim(&case), Path::new("/v")).unwrap(),
                None,
                "{case}"
            );
        }
    }

    #[test]
    fn only_our_released_volumes_are_removed() {
        let volume = |by: &str, phase: &str, policy: &str| -> PersistentVolume {
            serde_json::from_value(json!({
                "metadata": { "name": "pvc-u-1", "annotations": { "pv.kubernetes.io/provisioned-by": by } },
                "spec": { "persistentVolumeReclaimPolicy": policy },
                "status": { "phase": phase },
            }))
            .unwrap()
        };
        let path = |volume| folder_to_remove(&volume, Path::new("/v"));
        assert_eq!(
            path(volume(PROVISIONER, "Released", "Delete")),
            Some("/v/pvc-u-1".into())
        );
        assert_eq!(path(volume(PROVISIONER, "Bound", "Delete")), None);
        assert_eq!(path(volume(PROVISIONER, "Released", "Retain")), None);
        assert_eq!(path(volume("else", "Released", "Delete")), None);
    }
}
