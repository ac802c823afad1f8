//! Step 1: everything a Mount needs to know. IO.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret},
};
use kube::{Api, Client, runtime::reflector::ObjectRef};
use radio_crds::{Mount, MountStatus, Station};

use super::{
    Error,
    inputs::{NoPassword, Secrets},
    validate::{Emergency, Source, ValidSpec},
};
use crate::{
    context::Context,
    k8s::{
        apply::ApplyError,
        error::ApiError,
        kind::Kind,
        meta::{Component, names},
        passwords,
        rollout::any_ready,
    },
    sources::seen::Seen,
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
    /// The passwords of its inputs.
    pub secrets: Secrets,
    /// Who is connected.
    pub connected: Connected,
    /// What the status said.
    pub before: Option<MountStatus>,
}

/// Who is connected to the Station's ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connected {
    /// It has not said yet.
    Unknown,
    /// It is not there, and so nobody is; this is what it said before.
    NoIngest(Option<Seen>),
    /// What it said.
    Seen(Seen),
}

/// Something that is not there. It never stops a Mount: something else plays.
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
    /// A password, and so a way in.
    Password(NoPassword),
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
        secrets: Secrets::new(),
        connected: connected(context, namespace, station_name),
        before: mount.status.clone(),
    };
    if fetched.station.is_some() {
        let name = names::credentials(station_name);
        let api = Api::<Secret>::namespaced(context.client.clone(), namespace);
        fetched.credentials = api
            .get_opt(&name)
            .await
            .map_err(ApiError::new("read", "Secret", &name))?;
        fetched.missing = missing(spec, context).await?;
        fetched.secrets = input_secrets(spec, context).await?;
    }
    Ok(fetched)
}

fn connected(context: &Context, namespace: &str, station: &str) -> Connected {
    let name = names::ingest(station);
    let reference = ObjectRef::<StatefulSet>::new(&name).within(namespace);
    let set = context.stores.stateful_sets.get(&reference);
    let seen = context.sources.seen(namespace, station);
    match seen {
        seen if !set.is_some_and(|set| any_ready(&set)) => Connected::NoIngest(seen),
        Some(seen) => Connected::Seen(seen),
        None => Connected::Unknown,
    }
}

/// Makes the passwords nobody gave, and reads all of them.
async fn input_secrets(spec: &ValidSpec, context: &Context) -> Result<Secrets, ApplyError> {
    let owner = &spec.owner;
    let own = names::inputs(&owner.name);
    let mut wanted = spec.wants.sources.secrets();
    let to_be_made = spec.wants.sources.to_be_made(&owner.name);
    if to_be_made.is_empty() {
        return Ok(secrets(&context.client, &owner.namespace, wanted).await?);
    }
    wanted.remove(own.as_str());
    let secret = (own.as_str(), Component::Ingest);
    let made = passwords::ensure(&context.client, owner, Mount::MANAGER, secret, &to_be_made).await?;
    let mut secrets = secrets(&context.client, &owner.namespace, wanted).await?;
    secrets.insert(own, made);
    Ok(secrets)
}

/// Reads Secrets with passwords; those that do not exist are left out.
pub async fn secrets(client: &Client, namespace: &str, names: BTreeSet<&str>) -> Result<Secrets, ApiError> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let mut secrets = Secrets::new();
    for name in names {
        let found = api
            .get_opt(name)
            .await
            .map_err(ApiError::new("read", "Secret", name))?;
        if let Some(found) = found {
            secrets.insert(name.to_owned(), found.data.unwrap_or_default());
        }
    }
    Ok(secrets)
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
