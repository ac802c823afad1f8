//! Step 1: everything a Show needs to know. IO: the API server, for Secrets only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ingest::api::Session;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use radio_crds::{Mount, Recording, Show, Station, station::Storage};

use super::{Error, validate::Valid};
use crate::{
    context::Context,
    k8s::{
        apply::ApplyError,
        kind::Kind,
        meta::{Component, names},
        passwords,
    },
    mount::{
        appoint::Archive,
        fetch::secrets,
        inputs::{Secrets, Sources},
    },
    sources::seen::Seen,
    watch::GuardedRecording,
};

/// What was found.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The Mount, if it exists and can be read.
    pub mount: Option<Mount>,
    /// Its Station, likewise.
    pub station: Option<Station>,
    /// The other Shows of the Mount, the oldest first.
    pub siblings: Vec<Show>,
    /// The Mount's Recordings, by name.
    pub recordings: BTreeMap<String, Arc<GuardedRecording>>,
    /// What the tapes of the Station have.
    pub sessions: Arc<Vec<Session>>,
}

impl Fetched {
    /// Where slots are recorded to, if they are.
    #[must_use]
    pub fn storage(&self) -> Option<&Storage> {
        self.archive()?.of_slots()
    }

    /// Whether slots are to be recorded, and there is no place for it.
    #[must_use]
    pub fn no_storage(&self) -> bool {
        self.archive() == Some(Archive::NoStorage)
    }

    fn archive(&self) -> Option<Archive<'_>> {
        Some(Archive::of(self.mount.as_ref()?, self.station.as_ref()?))
    }

    /// Names of the Recordings that are there.
    #[must_use]
    pub fn there(&self) -> BTreeSet<String> {
        self.recordings.keys().cloned().collect()
    }

    /// A Recording by name.
    #[must_use]
    pub fn recording(&self, name: &str) -> Option<&Recording> {
        self.recordings.get(name)?.0.as_ref().ok()
    }
}

/// Looks at what is known, without asking anybody.
#[must_use]
pub fn fetch(show: &Show, context: &Context) -> Fetched {
    let stores = &context.stores;
    let (namespace, name) = (show.namespace().unwrap_or_default(), show.name_any());
    let mount_name = &show.spec.mount_ref.name;
    let mount = stores.mounts.get(&ObjectRef::new(mount_name).within(&namespace));
    let mount = mount.and_then(|mount| mount.0.as_ref().ok().cloned());
    let station_name = mount.as_ref().map(|mount| mount.spec.station_ref.name.clone());
    let station = station_name
        .as_ref()
        .and_then(|name| stores.stations.get(&ObjectRef::new(name).within(&namespace)));
    let heard = station_name.map(|station| context.sources.heard(&namespace, &station));
    let of_mount = |recording: &Recording| recording.spec.mount == *mount_name;
    let recordings = stores.recordings.state_filter(|recording| {
        recording.meta().namespace.as_deref() == Some(&namespace) && recording.0.as_ref().is_ok_and(of_mount)
    });
    let mut siblings = stores.shows_of(&namespace, mount_name);
    siblings.retain(|sibling| sibling.name_any() != name);
    Fetched {
        station: station.and_then(|station| station.0.as_ref().ok().cloned()),
        siblings,
        recordings: recordings
            .into_iter()
            .map(|recording| (recording.name_any(), recording))
            .collect(),
        sessions: heard
            .as_ref()
            .and_then(|heard| heard.seen().map(Seen::sessions).cloned())
            .unwrap_or_default(),
        mount,
    }
}

/// Makes the passwords nobody gave, and reads all of them, with the keys of a Mount whose path has a `*`.
pub async fn passwords(valid: &Valid, context: &Context) -> Result<Secrets, Error> {
    let owner = &valid.owner;
    let own = names::presenters(&owner.name);
    let mut wanted: BTreeSet<&str> = valid
        .presenters
        .iter()
        .map(|presenter| presenter.password.name.as_str())
        .collect();
    if let Sources::Keyed { secret, .. } = &valid.sources {
        wanted.insert(secret);
    }
    let to_be_made = valid.to_be_made();
    if to_be_made.is_empty() {
        return Ok(secrets(&context.client, &owner.namespace, wanted).await?);
    }
    let secret = (own.as_str(), Component::Ingest);
    let made = match passwords::ensure(&context.client, owner, Show::MANAGER, secret, &to_be_made).await {
        Ok(made) => made,
        // Somebody made it before us, as GitOps does: it is theirs to complete, and counts as it is.
        Err(ApplyError::NameTaken { .. }) => {
            return Ok(secrets(&context.client, &owner.namespace, wanted).await?);
        }
        Err(error) => return Err(error.into()),
    };
    wanted.remove(own.as_str());
    let mut found = secrets(&context.client, &owner.namespace, wanted).await?;
    found.insert(own, made);
    Ok(found)
}
