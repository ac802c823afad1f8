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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        k8s::{conditions::find, kind::summarize},
        mount::Error,
        testing::{PLAIN_MOUNT, assert_kstatus, yaml},
        text::StreamPath,
    };

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn unfinished(reason: &'static str) -> Rollout {
        Rollout::Unfinished(Report {
            state: State::Reconciling,
            reason,
            message: format!("because of {reason}"),
        })
    }

    fn observed(playout: Rollout, origin: Rollout) -> Observed {
        let output = |name: &str| OutputStatus {
            name: name.to_owned(),
            path: format!("/live.{name}"),
            url: format!("http://x/live.{name}"),
        };
        Observed {
            playout,
            origin,
            station: "radio".to_owned(),
            rival: None,
            missing: Vec::new(),
            outputs: vec![output("opus"), output("mp3")],
        }
    }

    fn told(observed: &Observed) -> (State, &'static str, String) {
        let mount: Mount = yaml(PLAIN_MOUNT);
        let status = summarize(&mount, Ok(observed), NOW);
        assert_kstatus(&status.conditions, 1);
        assert_eq!((status.outputs.len(), status.observed_generation), (2, Some(1)));
        let report = report(observed);
        (report.state, report.reason, report.message)
    }

    #[test]
    fn on_air() {
        let (state, reason, message) = told(&observed(Rollout::Complete, Rollout::Complete));
        assert_eq!(
            (state, reason, message.as_str()),
            (State::Ready, reason::READY, "on air at /live.opus, /live.mp3")
        );
    }

    #[test]
    fn missing_audio_is_told_but_does_not_make_it_unready() {
        let playlist = Missing::PlaylistConfigMap {
            playlist: "day".to_owned(),
            name: "day-music".to_owned(),
        };
        let emergency = Missing::Emergency {
            name: "audio".to_owned(),
            key: "sorry.ogg".to_owned(),
        };
        for (missing, expected) in [
            (playlist, reason::PLAYLIST_NOT_FOUND),
            (emergency, reason::EMERGENCY_NOT_FOUND),
        ] {
            let mut seen = observed(Rollout::Complete, Rollout::Complete);
            seen.missing = vec![missing];
            let (state, reason, message) = told(&seen);
            assert_eq!((state, reason), (State::Ready, expected));
            assert!(message.contains("does not exist"), "{message}");
        }
    }

    #[test]
    fn a_missing_volume_keeps_the_pod_from_starting() {
        let mut seen = observed(unfinished(reason::UNSCHEDULABLE), Rollout::Complete);
        seen.missing = vec![Missing::PlaylistVolume {
            playlist: "night".to_owned(),
            name: "music".to_owned(),
        }];
        let (state, reason, message) = told(&seen);
        assert_eq!((state, reason), (State::Reconciling, reason::PLAYLIST_NOT_FOUND));
        assert!(
            message.contains("PersistentVolumeClaim music of playlist night"),
            "{message}"
        );
    }

    #[test]
    fn the_origin_is_named_only_if_the_pod_has_no_trouble_of_its_own() {
        let waits = told(&observed(
            unfinished(reason::PROGRESSING),
            unfinished(reason::IMAGE_UNAVAILABLE),
        ));
        assert_eq!(
            (waits.0, waits.1),
            (State::Reconciling, reason::STATION_NOT_READY)
        );
        assert!(waits.2.contains("origin of Station radio"), "{}", waits.2);
        let own = told(&observed(
            unfinished(reason::CRASHING),
            unfinished(reason::IMAGE_UNAVAILABLE),
        ));
        assert_eq!(own.1, reason::CRASHING);
        let starting = told(&observed(unfinished(reason::PROGRESSING), Rollout::Complete));
        assert_eq!(starting.1, reason::PROGRESSING);
    }

    #[test]
    fn a_lost_path_is_stalled_and_names_the_winner() {
        let mut seen = observed(Rollout::Complete, Rollout::Complete);
        let path = StreamPath::parse("path", "/live", "mp3").unwrap();
        seen.rival = Some(Rival {
            path,
            mount: "older".to_owned(),
        });
        let (state, reason, message) = told(&seen);
        assert_eq!((state, reason), (State::Stalled, reason::PATH_TAKEN));
        assert!(
            message.starts_with("/live.mp3 belongs to Mount older"),
            "{message}"
        );
    }

    #[test]
    fn a_missing_station_is_waited_for() {
        let mount: Mount = yaml(PLAIN_MOUNT);
        let error = Error::StationNotFound {
            name: "radio".to_owned(),
            namespace: "city".to_owned(),
        };
        let status = summarize(&mount, Err(&error), NOW);
        assert_kstatus(&status.conditions, 1);
        assert_eq!(status.observed_generation, None);
        assert_eq!(
            find(&status.conditions, "Reconciling").unwrap().reason,
            reason::STATION_NOT_FOUND
        );
    }
}
