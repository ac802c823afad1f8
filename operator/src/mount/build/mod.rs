//! Step 3: the objects a Mount wants. Cannot fail. No IO.
//!
//! A passthrough Mount wants none: its Station's ingest, origin and relays have its paths.

mod deployment;
mod playout;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};

use super::validate::{Source, ValidMount};
use crate::k8s::{
    meta::{Component, names},
    rbac::{Access, access},
};

/// Every object a Mount wants, one field each.
#[derive(Clone)]
pub struct Desired {
    /// Rights of the playout pod.
    pub access: Access,
    /// What it is told.
    pub config: Secret,
    /// The playout pod.
    pub playout: Deployment,
}

/// All of them.
#[must_use]
pub fn build(mount: &ValidMount) -> Option<Desired> {
    if mount.spec.wants.through {
        return None;
    }
    let name = names::playout(&mount.spec.owner.name);
    let own_secret = std::slice::from_ref(&name);
    Some(Desired {
        access: access(
            &mount.spec.owner,
            Component::Playout,
            &name,
            own_secret,
            &config_maps(mount),
        ),
        config: playout::secret(mount, name.clone()),
        playout: deployment::build(mount, name),
    })
}

/// Every `ConfigMap` the agent reads, each once, in a steady order.
fn config_maps(mount: &ValidMount) -> Vec<String> {
    let playlists = mount
        .spec
        .playlists
        .iter()
        .filter_map(|playlist| match &playlist.source {
            Source::ConfigMap(name) => Some(name.to_string()),
            Source::Volume { .. } => None,
        });
    let emergency = mount
        .spec
        .emergency
        .as_ref()
        .map(|emergency| emergency.config_map.to_string());
    let mut names: Vec<String> = playlists.chain(emergency).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
