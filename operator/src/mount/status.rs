//! Step 5: how a Mount is. No IO.

use std::time::Duration;

use kube::runtime::{
    events::{Event, EventType},
    reflector::ObjectRef,
};
use radio_crds::{
    MOUNT_LABEL, Mount, MountStatus, STATION_LABEL,
    conditions::{event, reason},
    input::InputStatus,
    mount::OutputStatus,
};

use super::{
    apply::Applied,
    entrances,
    fetch::Missing,
    inputs::NoPassword,
    validate::{Rival, ValidMount},
};
use crate::{
    k8s::{
        conditions::{Report, State},
        meta::{COMPONENT_LABEL, Component, names},
        rollout::{Rollout, judge, judge_set},
    },
    station::status::{being_made, listen_url},
    watch::Stores,
};

/// Paths a message lists.
const LISTED_PATHS: usize = 8;

/// What was seen after everything was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What brings the Mount to the origin.
    pub carrier: Carrier,
    /// Where it is brought to.
    pub origin: Rollout,
    /// The Station.
    pub station: String,
    /// The older Mount that has one of the paths.
    pub rival: Option<Rival>,
    /// What is not there.
    pub missing: Vec<Missing>,
    /// Where the outputs are heard.
    pub outputs: Vec<OutputStatus>,
    /// Where sources connect, and who is connected.
    pub inputs: Vec<InputStatus>,
    /// The input that is on air.
    pub source: Option<String>,
    /// What is recorded.
    pub recorded: Recorded,
}

/// What of a Mount is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The Recordings that go on.
    pub under_way: Vec<String>,
    /// How long it is until one of them gives way to the next.
    pub until_rotation: Option<Duration>,
    /// It is to be recorded, and there is no place for it.
    pub no_storage: bool,
}

/// What brings a Mount to the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Its own playout pod.
    Playout(Rollout),
    /// The ingest; the origin takes it from there.
    Ingest(Rollout),
}

/// Puts together what the API server answered and what the watches saw.
#[must_use]
pub fn observe(mount: &ValidMount, applied: &Applied, recorded: Recorded, stores: &Stores) -> Observed {
    let owner = &mount.spec.owner;
    let base = listen_url(owner);
    let output = |name: &str, path: &str| OutputStatus {
        name: name.to_owned(),
        path: path.to_owned(),
        url: format!("{base}{path}"),
    };
    let outputs = if mount.spec.wants.through {
        let open = mount.inputs.iter().filter(|entrance| entrance.open);
        open.map(|entrance| output(&entrance.input.name, entrance.input.path.as_str()))
            .collect()
    } else {
        let outputs = mount.spec.wants.outputs.iter();
        outputs
            .map(|made| output(&made.name, made.path.as_str()))
            .collect()
    };
    let inputs = entrances::inputs(mount);
    Observed {
        carrier: carrier(mount, applied, stores),
        origin: origin(mount, stores),
        station: owner.station.clone(),
        rival: mount.rival.clone(),
        missing: mount.missing.clone(),
        outputs,
        source: entrances::on_air(mount, &inputs),
        inputs,
        recorded,
    }
}

fn carrier(mount: &ValidMount, applied: &Applied, stores: &Stores) -> Carrier {
    let owner = &mount.spec.owner;
    if mount.spec.wants.through {
        let name = names::ingest(&owner.station);
        let set = stores
            .stateful_sets
            .get(&ObjectRef::new(&name).within(&owner.namespace));
        let pods = stores.pods_with(&owner.namespace, &of_station(&owner.station, Component::Ingest));
        // A version that is held back is the Station's news.
        return Carrier::Ingest(set.map_or_else(
            || being_made("StatefulSet", &name),
            |set| judge_set(&set, true, &pods),
        ));
    }
    let name = names::playout(&owner.name);
    let seen = stores
        .deployments
        .get(&ObjectRef::new(&name).within(&owner.namespace));
    let labels = [
        (MOUNT_LABEL, owner.name.as_str()),
        (COMPONENT_LABEL, Component::Playout.as_str()),
    ];
    let pods = || stores.pods_with(&owner.namespace, &labels);
    Carrier::Playout(applied.playout.as_ref().or(seen.as_deref()).map_or_else(
        || being_made("Deployment", &name),
        |playout| judge(playout, &pods()),
    ))
}

fn origin(mount: &ValidMount, stores: &Stores) -> Rollout {
    let owner = &mount.spec.owner;
    let name = names::origin(&owner.station);
    let deployment = stores
        .deployments
        .get(&ObjectRef::new(&name).within(&owner.namespace));
    let pods = || stores.pods_with(&owner.namespace, &of_station(&owner.station, Component::Origin));
    deployment.map_or_else(
        || being_made("Deployment", &name),
        |origin| judge(&origin, &pods()),
    )
}

fn of_station(station: &str, component: Component) -> [(&str, &str); 2] {
    [(STATION_LABEL, station), (COMPONENT_LABEL, component.as_str())]
}

/// Ready when the pod has every output on air, or for a passthrough Mount when what is sent is heard. Missing audio does
/// not make a Mount unready, since something else plays; it is told as the reason all the same.
#[must_use]
pub fn report(observed: &Observed) -> Report {
    if let Some(Rival { path, mount }) = &observed.rival {
        return Report {
            state: State::Stalled,
            reason: reason::PATH_TAKEN,
            message: format!(
                "{path} belongs to Mount {mount}, which is older; this Mount is silent until one of them changes its \
                 path, inputs or outputs, or Mount {mount} is deleted"
            ),
        };
    }
    match (&observed.carrier, &observed.origin) {
        (Carrier::Playout(Rollout::Complete), _) => on_air(observed, "on air"),
        (Carrier::Playout(Rollout::Unfinished(report)), _) => not_on_air(observed, report),
        (Carrier::Ingest(Rollout::Unfinished(ingest)), _) => station_not_ready(observed, "ingest", ingest),
        (Carrier::Ingest(_), Rollout::Unfinished(origin)) => station_not_ready(observed, "origin", origin),
        (Carrier::Ingest(Rollout::Complete), Rollout::Complete) => through(observed),
    }
}

/// A passthrough Mount without any way in cannot be heard.
fn through(observed: &Observed) -> Report {
    match observed.missing.first().map(describe) {
        Some((reason, what, _)) if observed.outputs.is_empty() => Report {
            state: State::Reconciling,
            reason,
            message: format!("no source can connect: {what}"),
        },
        _ => on_air(observed, "sources are heard as they come"),
    }
}

fn on_air(observed: &Observed, how: &str) -> Report {
    let outputs = observed.outputs.iter();
    let paths: Vec<_> = outputs
        .take(LISTED_PATHS)
        .map(|output| output.path.as_str())
        .collect();
    let more = match observed.outputs.len().saturating_sub(LISTED_PATHS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let unrecorded = if observed.recorded.no_storage && !observed.inputs.is_empty() {
        format!(
            "; nothing is recorded, because Station {} has no storage",
            observed.station
        )
    } else {
        String::new()
    };
    let message = format!("{how} at {}{more}{unrecorded}", paths.join(", "));
    let Some((reason, what, meanwhile)) = observed.missing.first().map(describe) else {
        return Report {
            state: State::Ready,
            reason: reason::READY,
            message,
        };
    };
    Report {
        state: State::Ready,
        reason,
        message: format!("{message}, but {what}; {meanwhile} until then"),
    }
}

fn station_not_ready(observed: &Observed, part: &str, report: &Report) -> Report {
    Report {
        state: State::Reconciling,
        reason: reason::STATION_NOT_READY,
        message: format!(
            "the {part} of Station {} is not available: {}",
            observed.station, report.message
        ),
    }
}

/// The pod's own trouble, or else what it waits for.
fn not_on_air(observed: &Observed, report: &Report) -> Report {
    let volume = observed
        .missing
        .iter()
        .find(|missing| matches!(missing, Missing::PlaylistVolume { .. }));
    if let Some(missing) = volume {
        let (reason, what, _) = describe(missing);
        return Report {
            state: State::Reconciling,
            reason,
            message: format!("the playout pod cannot start: {what}"),
        };
    }
    match &observed.origin {
        Rollout::Unfinished(origin) if report.reason == reason::PROGRESSING => {
            station_not_ready(observed, "origin", origin)
        }
        _ => report.clone(),
    }
}

/// The reason, what is missing, and what happens meanwhile.
fn describe(missing: &Missing) -> (&'static str, String, &'static str) {
    const NEXT: &str = "what comes after it is played";
    match missing {
        Missing::PlaylistConfigMap { playlist, name } => (
            reason::PLAYLIST_NOT_FOUND,
            format!("ConfigMap {name} of playlist {playlist} does not exist"),
            NEXT,
        ),
        Missing::PlaylistVolume { playlist, name } => (
            reason::PLAYLIST_NOT_FOUND,
            format!("PersistentVolumeClaim {name} of playlist {playlist} does not exist"),
            NEXT,
        ),
        Missing::Emergency { name, key } => (
            reason::EMERGENCY_NOT_FOUND,
            format!("the emergency audio, key {key} of ConfigMap {name}, does not exist"),
            NEXT,
        ),
        Missing::Password(missing) => (
            reason::PASSWORD_NOT_FOUND,
            no_password(missing),
            "no source can connect with it",
        ),
    }
}

fn no_password(missing: &NoPassword) -> String {
    match missing {
        NoPassword::Secret(name) => format!("Secret {name} with passwords of inputs does not exist"),
        NoPassword::Key(place) => format!(
            "the password of an input, key {} of Secret {}, does not exist",
            place.key, place.name
        ),
        NoPassword::Unusable(place) => format!(
            "key {} of Secret {} is no password, which has 1 to 256 characters and no line break",
            place.key, place.name
        ),
        NoPassword::Unfit(place) => format!(
            "key {} of Secret {} cannot stand for the '*', as up to 40 lower-case letters, digits, '-' and '_' can",
            place.key, place.name
        ),
        NoPassword::TooMany(name) => {
            format!("Secret {name} has more keys than the 100 that count, the first by name")
        }
    }
}

/// The one that goes on, or how many do.
fn under_way(recordings: &[String]) -> Option<String> {
    match recordings {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.len().to_string()),
    }
}

/// What goes on air is recorded from now on.
#[must_use]
pub fn recording_begins(before: Option<&String>, now: Option<&String>) -> Option<Event> {
    let recording = now.filter(|now| before != Some(now))?;
    let is_number = recording.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| Event {
        type_: EventType::Normal,
        reason: event::RECORDING_MADE.to_owned(),
        note: Some(format!("what goes on air is recorded as Recording {recording}")),
        action: "Record".to_owned(),
        secondary: None,
    })
}

/// What the status says beside conditions.
#[must_use]
pub fn details(mount: &Mount, observed: Option<&Observed>) -> MountStatus {
    match observed {
        Some(observed) => MountStatus {
            outputs: observed.outputs.clone(),
            inputs: observed.inputs.clone(),
            source: observed.source.clone(),
            recording: under_way(&observed.recorded.under_way),
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
            carrier: Carrier::Playout(playout),
            origin,
            station: "radio".to_owned(),
            rival: None,
            missing: Vec::new(),
            outputs: vec![output("opus"), output("mp3")],
            inputs: Vec::new(),
            source: None,
            recorded: Recorded::default(),
        }
    }

    fn told(observed: &Observed) -> (State, &'static str, String) {
        let mount: Mount = yaml(PLAIN_MOUNT);
        let status = summarize(&mount, Ok(observed), NOW);
        assert_kstatus(&status.conditions, 1);
        assert_eq!(
            (&status.outputs, status.observed_generation),
            (&observed.outputs, Some(1))
        );
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
    fn what_is_recorded_is_named_and_that_nothing_is() {
        let mut seen = observed(Rollout::Complete, Rollout::Complete);
        let mount: Mount = yaml(PLAIN_MOUNT);
        let named = |seen: &Observed| summarize(&mount, Ok(seen), NOW).recording;
        assert_eq!(named(&seen), None);
        seen.recorded.under_way = vec!["live-20261121t190000z".to_owned()];
        assert_eq!(named(&seen).as_deref(), Some("live-20261121t190000z"));
        seen.recorded.under_way.push("live-20261121t200000z".to_owned());
        assert_eq!(named(&seen).as_deref(), Some("2"));

        seen.recorded = Recorded {
            no_storage: true,
            ..Recorded::default()
        };
        // Nobody can connect: there is nothing to be recorded.
        assert_eq!(told(&seen).2, "on air at /live.opus, /live.mp3");
        seen.inputs = vec![InputStatus::default()];
        assert_eq!(
            told(&seen).2,
            "on air at /live.opus, /live.mp3; nothing is recorded, because Station radio has no storage"
        );
    }

    #[test]
    fn the_beginning_of_a_recording_is_an_event() {
        let note = |before: Option<&str>, now: Option<&str>| {
            let (before, now) = (before.map(str::to_owned), now.map(str::to_owned));
            recording_begins(before.as_ref(), now.as_ref()).and_then(|event| event.note)
        };
        let first = note(None, Some("live-1"));
        assert_eq!(
            first.as_deref(),
            Some("what goes on air is recorded as Recording live-1")
        );
        assert!(note(Some("live-1"), Some("live-2")).is_some());
        assert_eq!(note(Some("live-1"), Some("live-1")), None);
        assert_eq!(note(Some("live-1"), None), None);
        assert_eq!(note(Some("live-1"), Some("2")), None);
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
        let password = Missing::Password(NoPassword::Secret("djs".to_owned()));
        for (missing, expected) in [
            (playlist, reason::PLAYLIST_NOT_FOUND),
            (emergency, reason::EMERGENCY_NOT_FOUND),
            (password, reason::PASSWORD_NOT_FOUND),
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
        seen.rival = Some(Rival {
            path: "/live.mp3".to_owned(),
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
    fn a_passthrough_mount_needs_ingest_origin_and_a_way_in() {
        use Rollout::Complete;
        let broken = || unfinished(reason::CRASHING);
        let nothing = Vec::new;
        let no_secret = || vec![Missing::Password(NoPassword::Secret("keys".to_owned()))];
        let through = |ingest, origin, paths: usize, missing| {
            let mut seen = observed(Complete, origin);
            seen.carrier = Carrier::Ingest(ingest);
            seen.missing = missing;
            seen.outputs = (0..paths)
                .map(|n| OutputStatus {
                    name: n.to_string(),
                    path: format!("/mic-{n}.opus"),
                    url: String::new(),
                })
                .collect();
            told(&seen)
        };
        let ready = through(Complete, Complete, 2, nothing());
        assert_eq!(
            (ready.0, ready.1, ready.2.as_str()),
            (
                State::Ready,
                reason::READY,
                "sources are heard as they come at /mic-0.opus, /mic-1.opus"
            )
        );
        assert!(
            through(Complete, Complete, 100, nothing())
                .2
                .ends_with("/mic-7.opus and 92 more")
        );
        for (ingest, origin, part) in [(broken(), Complete, "ingest"), (Complete, broken(), "origin")] {
            let waits = through(ingest, origin, 2, nothing());
            assert_eq!(
                (waits.0, waits.1),
                (State::Reconciling, reason::STATION_NOT_READY)
            );
            assert!(
                waits.2.starts_with(&format!("the {part} of Station radio")),
                "{}",
                waits.2
            );
        }
        let closed = through(Complete, Complete, 0, no_secret());
        assert_eq!(
            (closed.0, closed.1),
            (State::Reconciling, reason::PASSWORD_NOT_FOUND)
        );
        assert_eq!(through(Complete, Complete, 1, no_secret()).0, State::Ready);
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
