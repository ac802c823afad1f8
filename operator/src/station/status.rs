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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        k8s::{
            conditions::find,
            error::{ApiError, Classify},
            kind::summarize,
        },
        station::{Error, credentials::CredentialsError},
        testing::{FULL_STATION, assert_kstatus, yaml},
        text::InvalidText,
    };

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn unfinished(reason: &'static str, state: State) -> Rollout {
        Rollout::Unfinished(Report {
            state,
            reason,
            message: format!("because of {reason}"),
        })
    }

    fn observed(origin: Rollout, relay: Rollout) -> Observed {
        Observed {
            origin,
            relay,
            relays: 3,
            mounts: 2,
            listen_url: "http://radio-listen.city.svc:8000".to_owned(),
        }
    }

    #[test]
    fn ready_is_origin_and_relays_together() {
        use Rollout::Complete;
        let progressing = || unfinished(reason::PROGRESSING, State::Reconciling);
        let image = || unfinished(reason::IMAGE_UNAVAILABLE, State::Stalled);
        for (origin, relay, state, expected) in [
            (Complete, Complete, State::Ready, reason::READY),
            (progressing(), Complete, State::Reconciling, reason::PROGRESSING),
            (Complete, progressing(), State::Reconciling, reason::PROGRESSING),
            (progressing(), image(), State::Stalled, reason::IMAGE_UNAVAILABLE),
            (image(), progressing(), State::Stalled, reason::IMAGE_UNAVAILABLE),
        ] {
            let station: Station = yaml(FULL_STATION);
            let seen = observed(origin, relay);
            let report = report(&seen);
            assert_eq!((report.state, report.reason), (state, expected));
            let status = summarize(&station, Ok(&seen), NOW);
            assert_kstatus(&status.conditions, 4);
            assert_eq!(status.observed_generation, Some(4));
            assert_eq!(
                (status.mounts, status.listen_url.as_deref()),
                (Some(2), Some("http://radio-listen.city.svc:8000"))
            );
        }
    }

    #[test]
    fn every_error_is_told_and_keeps_what_was_known() {
        let api = |code: u16, why: &str| {
            let status = kube::core::Status::failure(why, why).with_code(code);
            Error::Api(ApiError::new("read", "Secret", "x")(kube::Error::Api(
                status.boxed(),
            )))
        };
        let unusable = CredentialsError::Unusable {
            secret: "radio-credentials".to_owned(),
            key: "admin-password",
        };
        let invalid = InvalidText {
            field: "spec.title".to_owned(),
            rule: "must be one line".to_owned(),
        };
        for (error, reason, handled) in [
            (api(500, "InternalError"), reason::API_ERROR, false),
            (api(409, "Conflict"), reason::API_ERROR, false),
            (api(422, "Invalid"), reason::API_ERROR, true),
            (Error::Credentials(unusable), reason::INVALID_SPEC, true),
            (Error::Invalid(invalid), reason::INVALID_SPEC, true),
        ] {
            let mut station: Station = yaml(FULL_STATION);
            let before = summarize(&station, Ok(&observed(Rollout::Complete, Rollout::Complete)), NOW);
            station.status = Some(before);
            station.metadata.generation = Some(5);
            assert_eq!(error.reason(), reason);
            let status = summarize(&station, Err(&error), NOW);
            assert_kstatus(&status.conditions, 5);
            assert_eq!(find(&status.conditions, "Ready").unwrap().reason, reason);
            assert_eq!(
                status.observed_generation,
                Some(if handled { 5 } else { 4 }),
                "{error}"
            );
            assert_eq!(status.mounts, Some(2));
        }
    }
}
