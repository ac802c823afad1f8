//! Step 5: how a Station is. No IO.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::runtime::reflector::ObjectRef;
use radio_crds::{STATION_LABEL, Station, StationStatus, conditions::reason};

use super::{apply::Applied, icecast::render::PORT, validate::ValidStation};
use crate::{
    k8s::{
        conditions::{Report, State},
        meta::{COMPONENT_LABEL, Component, Owner, names},
        rollout::{Rollout, judge},
    },
    watch::Stores,
};

/// What was seen after everything was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The origin.
    pub origin: Rollout,
    /// The relays.
    pub relay: Rollout,
    /// Their wanted number.
    pub relays: u16,
    /// Number of Mounts.
    pub mounts: usize,
    /// Where listeners find it inside the cluster.
    pub listen_url: String,
}

/// Puts together what the API server answered and what the watches saw.
#[must_use]
pub fn observe(station: &ValidStation, applied: &Applied, stores: &Stores) -> Observed {
    let owner = &station.spec.owner;
    let rollout = |applied: &Option<Deployment>, name: String, component: Component| {
        let seen = stores
            .deployments
            .get(&ObjectRef::new(&name).within(&owner.namespace));
        match applied.as_ref().or(seen.as_deref()) {
            Some(deployment) => judge(deployment, &pods(stores, owner, component)),
            None => Rollout::Unfinished(Report {
                state: State::Reconciling,
                reason: reason::PROGRESSING,
                message: format!("Deployment {name} is being made"),
            }),
        }
    };
    Observed {
        origin: rollout(&applied.origin, names::origin(&owner.name), Component::Origin),
        relay: rollout(&applied.relay, names::relay(&owner.name), Component::Relay),
        relays: station.spec.relays,
        mounts: station.mounts,
        listen_url: listen_url(owner),
    }
}

/// The base of all streams' addresses inside the cluster.
#[must_use]
pub fn listen_url(owner: &Owner) -> String {
    format!(
        "http://{}:{PORT}",
        names::listen_host(&owner.station, &owner.namespace)
    )
}

fn pods(stores: &Stores, owner: &Owner, component: Component) -> Vec<Arc<Pod>> {
    let labels = [
        (STATION_LABEL, owner.station.as_str()),
        (COMPONENT_LABEL, component.as_str()),
    ];
    stores.pods_with(&owner.namespace, &labels)
}

/// Ready when listeners can connect and the origin can be played to. A bad Mount is the Mount's matter.
#[must_use]
pub fn report(observed: &Observed) -> Report {
    match (&observed.origin, &observed.relay) {
        (Rollout::Complete, Rollout::Complete) => Report {
            state: State::Ready,
            reason: reason::READY,
            message: match observed.relays {
                1 => "the origin and its relay are available".to_owned(),
                relays => format!("the origin and its {relays} relays are available"),
            },
        },
        // What will not pass by itself is told first.
        (Rollout::Unfinished(origin), Rollout::Unfinished(relay)) => {
            let ordinary = origin.reason == reason::PROGRESSING && relay.reason != reason::PROGRESSING;
            if ordinary { relay.clone() } else { origin.clone() }
        }
        (Rollout::Unfinished(report), Rollout::Complete)
        | (Rollout::Complete, Rollout::Unfinished(report)) => report.clone(),
    }
}

/// What the status says beside conditions.
#[must_use]
pub fn details(station: &Station, observed: Option<&Observed>) -> StationStatus {
    let before = station.status.clone().unwrap_or_default();
    match observed {
        Some(observed) => StationStatus {
            mounts: i32::try_from(observed.mounts).ok(),
            listen_url: Some(observed.listen_url.clone()),
            ..StationStatus::default()
        },
        None => before,
    }
}
