//! Step 3: the objects a Station wants. Cannot fail. No IO.

mod config;
mod deployment;
mod ingest;
mod service;

pub use service::SOURCE_PORT;

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{Secret, Service},
};

use super::validate::ValidStation;
use crate::k8s::{
    meta::{Component, names},
    rbac::{Access, access},
};

/// Every object a Station wants, one field each; the Secret with the passwords is made before.
#[derive(Clone)]
pub struct Desired {
    /// Rights of the origin.
    pub origin_access: Access,
    /// Rights of the relays.
    pub relay_access: Access,
    /// Rights of the ingest.
    pub ingest_access: Access,
    /// Configuration of the origin.
    pub origin_config: Secret,
    /// Configuration of the relays.
    pub relay_config: Secret,
    /// Configuration of the ingest.
    pub ingest_config: Secret,
    /// The address of the origin.
    pub origin_service: Service,
    /// The address of the relays.
    pub listen_service: Service,
    /// Where sources connect.
    pub source_service: Service,
    /// The names of the ingest pods.
    pub tape_service: Service,
    /// The origin.
    pub origin: Deployment,
    /// The relays.
    pub relay: Deployment,
    /// The ingest.
    pub ingest: StatefulSet,
}

/// All of them.
#[must_use]
pub fn build(station: &ValidStation) -> Desired {
    let owner = &station.spec.owner;
    let (origin, relay) = (names::origin(&owner.name), names::relay(&owner.name));
    let ingest = names::ingest(&owner.name);
    let own_secret =
        |component, name: &String| access(owner, component, name, std::slice::from_ref(name), &[]);
    Desired {
        origin_access: own_secret(Component::Origin, &origin),
        relay_access: own_secret(Component::Relay, &relay),
        ingest_access: own_secret(Component::Ingest, &ingest),
        origin_config: config::origin(station),
        relay_config: config::relay(station),
        ingest_config: ingest::config(station),
        origin_service: service::icecast(owner, origin, Component::Origin),
        listen_service: service::icecast(owner, names::listen(&owner.name), Component::Relay),
        source_service: service::sources(owner),
        tape_service: service::tape(owner),
        origin: deployment::origin(&station.spec),
        relay: deployment::relay(&station.spec),
        ingest: ingest::stateful_set(station),
    }
}

#[cfg(test)]
mod tests;
