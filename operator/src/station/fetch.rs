//! Step 1: everything a Station needs to know. IO.

use std::collections::BTreeSet;

use ingest::api::Fill;
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::reflector::ObjectRef,
};
use radio_crds::{Mount, Recording, Show};

use super::{
    Error,
    credentials::{self, Credentials},
    presenters,
    roll::{Connected, Roll, decide},
    validate::ValidSpec,
};
use crate::{
    context::Context,
    k8s::{
        error::ApiError,
        meta::{Owner, names},
        rollout::{any_ready, pending},
    },
    mount::{
        fetch::secrets,
        inputs::{Secrets, sources},
    },
    recording::needs_tape,
    sources::{Heard, seen::Seen},
};

/// What was found.
pub struct Fetched {
    /// The passwords, made if there were none.
    pub credentials: Credentials,
    /// The Station's Mounts, the oldest first.
    pub mounts: Vec<Mount>,
    /// The passwords of their inputs, and of presenters.
    pub secrets: Secrets,
    /// Whether the ingest may be replaced.
    pub roll: Roll,
    /// The Recordings that still need the tape.
    pub recordings: Vec<Recording>,
    /// How full the tape is, if it ever said.
    pub fill: Option<Fill>,
    /// The Shows of its Mounts.
    pub shows: Vec<Show>,
    /// When all this was so.
    pub now: Timestamp,
}

/// Reads what the Station refers to, and what refers to it.
pub async fn fetch(spec: &ValidSpec, context: &Context) -> Result<Fetched, Error> {
    let owner = &spec.owner;
    if let Some(mount) = unreadable(owner, context).await? {
        return Err(Error::MountUnreadable { mount });
    }
    let mounts = context.stores.mounts_of(&owner.namespace, &owner.name);
    let sources: Vec<_> = mounts.iter().filter_map(|mount| sources(mount).ok()).collect();
    let shows: Vec<Show> = mounts
        .iter()
        .flat_map(|mount| context.stores.shows_of(&owner.namespace, &mount.name_any()))
        .collect();
    let of_presenters: Vec<String> = shows.iter().flat_map(presenters::secrets).collect();
    let of_inputs = sources.iter().flat_map(|sources| sources.secrets());
    let wanted: BTreeSet<&str> = of_inputs
        .chain(of_presenters.iter().map(String::as_str))
        .collect();
    Ok(Fetched {
        credentials: credentials::ensure(&context.client, owner).await?,
        secrets: secrets(&context.client, &owner.namespace, wanted).await?,
        roll: roll(owner, context),
        recordings: context
            .stores
            .recordings_of(&owner.namespace, &owner.name, |recording| {
                recording.metadata.deletion_timestamp.is_none() && needs_tape(recording)
            }),
        fill: context
            .sources
            .heard(&owner.namespace, &owner.name)
            .seen()
            .map(Seen::fill),
        mounts,
        shows,
        now: context.clock.now(),
    })
}

/// A Mount of this Station that cannot be read: without it the Station would drop its listeners.
async fn unreadable(owner: &Owner, context: &Context) -> Result<Option<String>, ApiError> {
    let resource = ApiResource::erase::<Mount>(&());
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), &owner.namespace, &resource);
    for name in context.stores.unreadable_mounts(&owner.namespace) {
        let found = api
            .get_opt(&name)
            .await
            .map_err(ApiError::new("read", "Mount", &name))?;
        let station = found
            .as_ref()
            .and_then(|found| found.data.pointer("/spec/stationRef/name")?.as_str());
        if station == Some(owner.name.as_str()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn roll(owner: &Owner, context: &Context) -> Roll {
    let name = names::ingest(&owner.name);
    let reference = ObjectRef::new(&name).within(&owner.namespace);
    let Some(set) = context.stores.stateful_sets.get(&reference) else {
        return Roll::Idle;
    };
    let connected = match context.sources.heard(&owner.namespace, &owner.name) {
        Heard::NotYet => Connected::Unknown,
        Heard::Silence(_) => Connected::Silent,
        Heard::Now(seen) => seen
            .anybody()
            .map_or(Connected::Nobody, |(mount, input)| Connected::Somebody {
                mount: mount.to_owned(),
                input: input.to_owned(),
            }),
    };
    decide(pending(&set), any_ready(&set), &connected)
}
