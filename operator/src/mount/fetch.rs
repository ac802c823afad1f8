//! Step 1: everything a Mount needs to know. IO.

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::{Api, runtime::reflector::ObjectRef};
use radio_crds::{Mount, Station};

use super::{
    Error,
    validate::{Emergency, Source, ValidSpec},
};
use crate::{
    context::Context,
    k8s::{error::ApiError, meta::names},
};

/// What was found.
pub struct Fetched {
    /// The Station, if it exists and can be read.
    pub station: Option<Station>,
    /// The Secret with its passwords, if it exists.
    pub credentials: Option<Secret>,
    /// All Mounts of the Station, this one too, the oldest first.
    pub siblings: Vec<Mount>,
    /// What the Mount names and nobody made.
    pub missing: Vec<Missing>,
}

/// Audio that is not there. It never stops a Mount: something else plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A playlist's `ConfigMap`.
    PlaylistConfigMap {
        /// The playlist.
        playlist: String,
        /// The `ConfigMap`.
        name: String,
    },
    /// A playlist's volume. Without it the pod cannot start.
    PlaylistVolume {
        /// The playlist.
        playlist: String,
        /// The claim.
        name: String,
    },
    /// The emergency audio's `ConfigMap` or the key in it.
    Emergency {
        /// The `ConfigMap`.
        name: String,
        /// The key.
        key: String,
    },
}

/// Reads what the Mount refers to.
pub async fn fetch(spec: &ValidSpec, mount: &Mount, context: &Context) -> Result<Fetched, Error> {
    let namespace = &spec.owner.namespace;
    let station_name = &mount.spec.station_ref.name;
    let stored = context
        .stores
        .stations
        .get(&ObjectRef::new(station_name).within(namespace));
    let station = stored.and_then(|station| station.0.as_ref().ok().cloned());
    let mut fetched = Fetched {
        station,
        credentials: None,
        siblings: context.stores.mounts_of(namespace, station_name),
        missing: Vec::new(),
    };
    if fetched.station.is_some() {
        let name = names::credentials(station_name);
        let api = Api::<Secret>::namespaced(context.client.clone(), namespace);
        fetched.credentials = api
            .get_opt(&name)
            .await
            .map_err(ApiError::new("read", "Secret", &name))?;
        fetched.missing = missing(spec, context).await?;
    }
    Ok(fetched)
}

async fn missing(spec: &ValidSpec, context: &Context) -> Result<Vec<Missing>, ApiError> {
    let namespace = &spec.owner.namespace;
    let mut missing = Vec::new();
    for playlist in &spec.playlists {
        let of = playlist.name.to_string();
        match &playlist.source {
            Source::ConfigMap(name) if !config_map_seen(context, namespace, name.as_str()) => {
                missing.push(Missing::PlaylistConfigMap {
                    playlist: of,
                    name: name.to_string(),
                });
            }
            Source::Volume { claim, .. } if !claim_exists(context, namespace, claim.as_str()).await? => {
                missing.push(Missing::PlaylistVolume {
                    playlist: of,
                    name: claim.to_string(),
                });
            }
            Source::ConfigMap(_) | Source::Volume { .. } => {}
        }
    }
    if let Some(emergency) = &spec.emergency
        && !emergency_exists(context, namespace, emergency).await?
    {
        missing.push(Missing::Emergency {
            name: emergency.config_map.to_string(),
            key: emergency.key.to_string(),
        });
    }
    Ok(missing)
}

fn config_map_seen(context: &Context, namespace: &str, name: &str) -> bool {
    context
        .stores
        .config_maps
        .get(&ObjectRef::new(name).within(namespace))
        .is_some()
}

/// Claims are not watched: a pod that waits for one changes when it comes, and pods are.
async fn claim_exists(context: &Context, namespace: &str, name: &str) -> Result<bool, ApiError> {
    let api = Api::<PersistentVolumeClaim>::namespaced(context.client.clone(), namespace);
    let found = api.get_metadata_opt(name).await;
    found
        .map(|found| found.is_some())
        .map_err(ApiError::new("read", "PersistentVolumeClaim", name))
}

/// The keys are not in the metadata we watch.
async fn emergency_exists(
    context: &Context,
    namespace: &str,
    emergency: &Emergency,
) -> Result<bool, ApiError> {
    let name = emergency.config_map.as_str();
    if !config_map_seen(context, namespace, name) {
        return Ok(false);
    }
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
    let found = api
        .get_opt(name)
        .await
        .map_err(ApiError::new("read", "ConfigMap", name))?;
    let key = emergency.key.as_str();
    Ok(found.is_some_and(|config_map| {
        config_map.data.is_some_and(|data| data.contains_key(key))
            || config_map.binary_data.is_some_and(|data| data.contains_key(key))
    }))
}
