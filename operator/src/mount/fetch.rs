//! Step 1: everything a Mount needs to know. IO.

use std::{collections::BTreeSet, sync::Arc};

use ingest::api::Session;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret},
};
use kube::{Api, Client, ResourceExt, runtime::reflector::ObjectRef};
use radio_crds::{Mount, MountStatus, Recording, STATION_LABEL, ShowStatus, Station};

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
        meta::{COMPONENT_LABEL, Component, names},
        passwords,
    },
    show::programme::Programme,
    sources::{Heard, seen::Seen},
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

/// What decides which Recordings a Mount has to get.
pub struct OnTape {
    /// Its Station.
    pub station: Station,
    /// What the tapes of the Station have.
    pub sessions: Arc<Vec<Session>>,
    /// The Mount's Recordings that are there.
    pub recordings: Vec<Recording>,
    /// Its Shows, and what is remembered of their slots.
    pub shows: Vec<(Programme, ShowStatus)>,
}

/// Looks at what is known, without asking anybody. `None`: there is no Station that can be read.
#[must_use]
pub fn on_tape(mount: &Mount, context: &Context) -> Option<OnTape> {
    let (namespace, name) = (mount.namespace()?, mount.name_any());
    let station_name = &mount.spec.station_ref.name;
    let stored = context
        .stores
        .stations
        .get(&ObjectRef::new(station_name).within(&namespace))?;
    let heard = context.sources.heard(&namespace, station_name);
    Some(OnTape {
        station: stored.0.as_ref().ok()?.clone(),
        sessions: heard.seen().map(Seen::sessions).cloned().unwrap_or_default(),
        recordings: context
            .stores
            .recordings_of(&namespace, station_name, |recording| recording.spec.mount == name),
        shows: context
            .stores
            .shows_of(&namespace, &name)
            .into_iter()
            .map(|show| (Programme::of(&show), show.status.unwrap_or_default()))
            .collect(),
    })
}

/// Who is connected to the Station's ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connected {
    /// It has not said yet, or does not answer at the moment.
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
    let none_wanted = set.is_some_and(|set| set.spec.as_ref().and_then(|spec| spec.replicas) == Some(0));
    let labels = [
        (STATION_LABEL, station),
        (COMPONENT_LABEL, Component::Ingest.as_str()),
    ];
    let any_pod = || !context.stores.pods_with(namespace, &labels).is_empty();
    match context.sources.heard(namespace, station) {
        heard if none_wanted => Connected::NoIngest(heard.seen().cloned()),
        Heard::Now(seen) => Connected::Seen(seen),
        Heard::Silence(seen) if !any_pod() => Connected::NoIngest(seen),
        // A pod that is not ready, or is being asked again, may have everybody still: what was told stays.
        Heard::Silence(_) | Heard::NotYet => Connected::Unknown,
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
    let secret = (own.as_str(), Component::Ingest);
    let made = match passwords::ensure(&context.client, owner, Mount::MANAGER, secret, &to_be_made).await {
        Ok(made) => made,
        // Somebody made it before us, as GitOps does: it is theirs to complete, and counts as it is.
        Err(ApplyError::NameTaken { .. }) => {
            return Ok(secrets(&context.client, &owner.namespace, wanted).await?);
        }
        Err(error) => return Err(error),
    };
    wanted.remove(own.as_str());
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

#[cfg(test)]
mod tests {
    use ingest::{api::Sessions, config::TapeAccess};
    use k8s_openapi::api::{apps::v1::StatefulSetSpec, core::v1::Pod};
    use kube::core::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::{
        mount::validate,
        testing::{self, FULL_MOUNT, MockApi, fill, images, refusal, yaml},
    };

    fn context_with(replicas: i32, pod: bool) -> Context {
        let (stores, mut writers) = testing::stores(&[], &[]);
        let metadata = |name: &str| ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("city".to_owned()),
            labels: Some(
                [(STATION_LABEL, "radio"), (COMPONENT_LABEL, "ingest")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        };
        // Its status says that nothing is ready.
        let set = StatefulSet {
            metadata: metadata("radio-ingest"),
            spec: Some(StatefulSetSpec {
                replicas: Some(replicas),
                ..StatefulSetSpec::default()
            }),
            status: None,
        };
        fill(&mut writers.stateful_sets, [set]);
        let pod = pod.then(|| Pod {
            metadata: metadata("radio-ingest-0"),
            ..Pod::default()
        });
        fill(&mut writers.pods, pod);
        testing::context(MockApi::default().client(|_| refusal(500, "x")), stores)
    }

    #[tokio::test]
    async fn only_an_ingest_that_is_gone_has_nobody() {
        let key = ("city".to_owned(), "radio".to_owned());
        let access = TapeAccess {
            addresses: Vec::new(),
            token: String::new(),
        };
        let answer = Sessions {
            version: "1".to_owned(),
            sessions: Vec::new(),
            refusals: Vec::new(),
            fill: ingest::api::Fill::default(),
        };
        for (replicas, pod, told) in [
            (1, true, ["Unknown", "Seen", "Unknown"]),
            (1, false, ["Unknown", "Seen", "NoIngest"]),
            (0, true, ["NoIngest", "NoIngest", "NoIngest"]),
        ] {
            let context = context_with(replicas, pod);
            let word = || match connected(&context, "city", "radio") {
                Connected::Unknown => "Unknown",
                Connected::NoIngest(_) => "NoIngest",
                Connected::Seen(_) => "Seen",
            };
            context.sources.follow(&key, Some(access.clone()));
            let not_yet = word();
            context.sources.answered(&key, &answer);
            let answers = word();
            context.sources.silent(&key);
            assert_eq!([not_yet, answers, word()], told, "{replicas} {pod}");
        }
    }

    #[tokio::test]
    async fn a_secret_somebody_else_made_counts_as_it_is() {
        let api = MockApi::default();
        let client = api.client(|asked| match asked.path.rsplit('/').next() {
            Some("talk-inputs") => (
                200,
                json!({"metadata": {"name": "talk-inputs"}, "data": {"other": "eA=="}}),
            ),
            _ => refusal(404, "NotFound"),
        });
        let context = testing::context(client, testing::stores(&[], &[]).0);
        let spec = validate::spec(&yaml(FULL_MOUNT), &images()).unwrap();
        let secrets = input_secrets(&spec, &context).await.unwrap();
        assert_eq!(secrets["talk-inputs"].keys().collect::<Vec<_>>(), ["other"]);
        assert!(api.asked().iter().all(|asked| asked.starts_with("GET ")));
        let missing = spec.wants.sources.resolve(&secrets, &[]).missing;
        assert!(matches!(&missing[0], NoPassword::Key(place) if place.key == "studio"));
    }
}
