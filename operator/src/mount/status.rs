//! Step 5: how a Mount is. No IO.

use kube::runtime::reflector::ObjectRef;
use radio_crds::{MOUNT_LABEL, Mount, MountStatus, STATION_LABEL, conditions::reason, mount::OutputStatus};

use super::{
    apply::Applied,
    fetch::Missing,
    validate::{Rival, ValidMount},
};
use crate::{
    k8s::{
        conditions::{Report, State},
        meta::{COMPONENT_LABEL, Component, names},
        rollout::{Rollout, judge},
    },
    station::status::listen_url,
    watch::Stores,
};

/// What was seen after everything was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The playout pod.
    pub playout: Rollout,
    /// Where playout pods send to.
    pub origin: Rollout,
    /// The Station.
    pub station: String,
    /// The older Mount that has one of the paths.
    pub rival: Option<Rival>,
    /// Audio that is not there.
    pub missing: Vec<Missing>,
    /// Where the outputs are heard.
    pub outputs: Vec<OutputStatus>,
}

/// Puts together what the API server answered and what the watches saw.
#[must_use]
pub fn observe(mount: &ValidMount, applied: &Applied, stores: &Stores) -> Observed {
    let owner = &mount.spec.owner;
    let deployment = |name: &str| {
        stores
            .deployments
            .get(&ObjectRef::new(name).within(&owner.namespace))
    };
    let absent = |name: &str| {
        Rollout::Unfinished(Report {
            state: State::Reconciling,
            reason: reason::PROGRESSING,
            message: format!("Deployment {name} is being made"),
        })
    };
    let playout_name = names::playout(&owner.name);
    let seen = deployment(&playout_name);
    let playout = applied.playout.as_ref().or(seen.as_deref()).map_or_else(
        || absent(&playout_name),
        |playout| {
            judge(
                playout,
                &stores.pods_with(&owner.namespace, &[(MOUNT_LABEL, &owner.name)]),
            )
        },
    );
    let origin_name = names::origin(&owner.station);
    let labels = [
        (STATION_LABEL, owner.station.as_str()),
        (COMPONENT_LABEL, Component::Origin.as_str()),
    ];
    let origin = deployment(&origin_name).map_or_else(
        || absent(&origin_name),
        |origin| judge(&origin, &stores.pods_with(&owner.namespace, &labels)),
    );
    let base = listen_url(owner);
    let outputs = mount.spec.outputs.iter().map(|output| OutputStatus {
        name: output.name.clone(),
        path: output.path.to_string(),
        url: format!("{base}{}", output.path),
    });
    Observed {
        playout,
        origin,
        station: owner.station.clone(),
        rival: mount.rival.clone(),
        missing: mount.missing.clone(),
        outputs: outputs.collect(),
    }
}

/// Ready when the pod has every output on air. Missing audio does not make a Mount unready, since something else
/// plays; it is told as the reason all the same.
#[must_use]
pub fn report(observed: &Observed) -> Report {
    if let Some(Rival { path, mount }) = &observed.rival {
        return Report {
            state: State::Stalled,
            reason: reason::PATH_TAKEN,
            message: format!(
                "{path} belongs to Mount {mount}, which is older; this Mount is silent until one of them changes its \
                 path or outputs, or Mount {mount} is deleted"
            ),
        };
    }
    match &observed.playout {
        Rollout::Complete => on_air(observed),
        Rollout::Unfinished(report) => not_on_air(observed, report),
    }
}

fn on_air(observed: &Observed) -> Report {
    let paths: Vec<_> = observed
        .outputs
        .iter()
        .map(|output| output.path.as_str())
        .collect();
    let heard = format!("on air at {}", paths.join(", "));
    let Some((reason, what)) = observed.missing.first().map(describe) else {
        return Report {
            state: State::Ready,
            reason: reason::READY,
            message: heard,
        };
    };
    let message = format!("{heard}, but {what}; what comes after it is played until then");
    Report {
        state: State::Ready,
        reason,
        message,
    }
}

/// The pod's own trouble, or else what it waits for.
fn not_on_air(observed: &Observed, report: &Report) -> Report {
    let volume = observed
        .missing
        .iter()
        .find(|missing| matches!(missing, Missing::PlaylistVolume { .. }));
    if let Some(missing) = volume {
        let (reason, what) = describe(missing);
        return Report {
            state: State::Reconciling,
            reason,
            message: format!("the playout pod cannot start: {what}"),
        };
    }
    match &observed.origin {
        Rollout::Unfinished(origin) if report.reason == reason::PROGRESSING => Report {
            state: State::Reconciling,
            reason: reason::STATION_NOT_READY,
            message: format!(
                "the origin of Station {} is not available: {}",
                observed.station, origin.message
            ),
        },
        _ => report.clone(),
    }
}

fn describe(missing: &Missing) -> (&'static str, String) {
    match missing {
        Missing::PlaylistConfigMap { playlist, name } => (
            reason::PLAYLIST_NOT_FOUND,
            format!("ConfigMap {name} of playlist {playlist} does not exist"),
        ),
        Missing::PlaylistVolume { playlist, name } => (
            reason::PLAYLIST_NOT_FOUND,
            format!("PersistentVolumeClaim {name} of playlist {playlist} does not exist"),
        ),
        Missing::Emergency { name, key } => (
            reason::EMERGENCY_NOT_FOUND,
            format!("the emergency audio, key {key} of ConfigMap {name}, does not exist"),
        ),
    }
}

/// What the status says beside conditions.
#[must_use]
pub fn details(mount: &Mount, observed: Option<&Observed>) -> MountStatus {
    match observed {
        Some(observed) => MountStatus {
            outputs: observed.outputs.clone(),
            ..MountStatus::default()
        },
        None => mount.status.clone().unwrap_or_default(),
    }
}
