//! Step 5: how a Station is. No IO.

use std::sync::Arc;

use ingest::api::Fill;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::ObjectRef;
use radio_crds::{
    STATION_LABEL, Station, StationStatus,
    conditions::{TAPE_FILLING, reason},
};

use super::{apply::Applied, build::SOURCE_PORT, icecast::render::PORT, validate::ValidStation};
use crate::{
    k8s::{
        conditions::{self, Beside, Report, State},
        meta::{COMPONENT_LABEL, Component, Owner, names},
        rollout::{Rollout, judge, judge_set},
    },
    keep::station::Swept,
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
    /// The ingest, if there is to be one.
    pub ingest: Option<Rollout>,
    /// Why its new version is held back, if it is.
    pub held: Option<String>,
    /// Number of Mounts.
    pub mounts: usize,
    /// How full the tape is of what somebody still needs.
    pub fill: Fill,
    /// The size of the tape.
    pub tape: String,
    /// Where listeners find it inside the cluster.
    pub listen_url: String,
    /// Where sources connect inside the cluster.
    pub source_url: Option<String>,
    /// How its bucket is; not looked at yet if absent.
    pub swept: Option<Swept>,
    /// Why those who are to be told what goes wrong are not.
    pub untold: Option<Beside>,
}

/// Puts together what the API server answered and what the watches saw.
#[must_use]
pub fn observe(
    station: &ValidStation,
    applied: &Applied,
    before: Option<&StationStatus>,
    stores: &Stores,
) -> Observed {
    let owner = &station.spec.owner;
    let deployment = |applied: &Option<_>, name: String, component: Component| {
        let seen = stores
            .deployments
            .get(&ObjectRef::new(&name).within(&owner.namespace));
        match applied.as_ref().or(seen.as_deref()) {
            Some(deployment) => judge(deployment, &pods(stores, owner, component)),
            None => being_made("Deployment", &name),
        }
    };
    let held = station.roll.why();
    let ingest = || {
        let name = names::ingest(&owner.name);
        let seen = stores
            .stateful_sets
            .get(&ObjectRef::new(&name).within(&owner.namespace));
        match applied.ingest.as_ref().or(seen.as_deref()) {
            Some(set) => judge_set(set, held.is_some(), &pods(stores, owner, Component::Ingest)),
            None => being_made("StatefulSet", &name),
        }
    };
    Observed {
        origin: deployment(&applied.origin, names::origin(&owner.name), Component::Origin),
        relay: deployment(&applied.relay, names::relay(&owner.name), Component::Relay),
        relays: station.spec.relays,
        ingest: station.ingest.wanted.then(ingest),
        mounts: station.mounts,
        listen_url: listen_url(owner),
        source_url: station.ingest.wanted.then(|| source_url(owner)),
        fill: fill(station, before),
        tape: station.spec.tape.size.clone(),
        held,
        swept: None,
        untold: None,
    }
}

/// A tape that nobody archives is always full of what was on air, and that is as it should be.
fn fill(station: &ValidStation, before: Option<&StationStatus>) -> Fill {
    if station.ingest.recordings.is_empty() {
        return Fill::Low;
    }
    let told = || {
        before.map_or(Fill::Low, |before| {
            conditions::fill(&before.conditions, TAPE_FILLING)
        })
    };
    station.fill.unwrap_or_else(told)
}

/// What is worth knowing of a Station that is ready.
#[must_use]
pub fn beside(observed: &Observed) -> Vec<Beside> {
    let swept = observed.swept.as_ref().and_then(Swept::beside);
    filling(observed)
        .into_iter()
        .chain(swept)
        .chain(observed.untold.clone())
        .collect()
}

/// A disk that fills up is somebody's business before it is full.
fn filling(observed: &Observed) -> Option<Beside> {
    let (reason, share) = match observed.fill {
        Fill::Low => return None,
        Fill::Half => (reason::HALF_FULL, "half"),
        Fill::High => (reason::NEARLY_FULL, "80 %"),
    };
    Some(Beside {
        type_: TAPE_FILLING,
        status: true,
        reason,
        message: format!(
            "{share} of the tape ({}) is taken; when it is full, the oldest goes, archived or not: see by kubectl get \
             recordings which of them do not get on, and whether their store answers",
            observed.tape
        ),
    })
}

/// What is not there yet.
#[must_use]
pub fn being_made(kind: &str, name: &str) -> Rollout {
    Rollout::Unfinished(Report {
        state: State::Reconciling,
        reason: reason::PROGRESSING,
        message: format!("{kind} {name} is being made"),
    })
}

/// The base of all inputs' addresses inside the cluster.
#[must_use]
pub fn source_url(owner: &Owner) -> String {
    let name = names::ingest(&owner.station);
    format!("http://{name}.{}.svc:{SOURCE_PORT}", owner.namespace)
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

/// Ready when listeners and sources can connect and the origin can be played to. A bad Mount is the Mount's matter.
#[must_use]
pub fn report(observed: &Observed) -> Report {
    let parts = [
        Some(&observed.origin),
        Some(&observed.relay),
        observed.ingest.as_ref(),
    ];
    let unfinished: Vec<&Report> = parts
        .into_iter()
        .flatten()
        .filter_map(|part| match part {
            Rollout::Complete => None,
            Rollout::Unfinished(report) => Some(report),
        })
        .collect();
    // What will not pass by itself is told first.
    let trouble = unfinished
        .iter()
        .find(|report| report.reason != reason::PROGRESSING);
    if let Some(report) = trouble.or_else(|| unfinished.first()) {
        return (*report).clone();
    }
    let mut message = match observed.relays {
        1 => "the origin and its relay are available".to_owned(),
        relays => format!("the origin and its {relays} relays are available"),
    };
    if observed.ingest.is_some() {
        message.push_str(", and the ingest takes sources");
    }
    let Some(held) = &observed.held else {
        return Report {
            state: State::Ready,
            reason: reason::READY,
            message,
        };
    };
    Report {
        state: State::Ready,
        reason: reason::ROLL_PENDING,
        message: format!("{message}; {held}"),
    }
}

/// What the status says beside conditions.
#[must_use]
pub fn details(station: &Station, observed: Option<&Observed>) -> StationStatus {
    let before = station.status.clone().unwrap_or_default();
    let Some(observed) = observed else { return before };
    let mut status = StationStatus {
        mounts: i32::try_from(observed.mounts).ok(),
        listen_url: Some(observed.listen_url.clone()),
        source_url: observed.source_url.clone(),
        swept: before.swept,
        drill: before.drill,
        ..StationStatus::default()
    };
    if let Some(swept) = &observed.swept {
        swept.tell(&mut status);
    }
    status
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        k8s::{
            conditions::find,
            error::{ApiError, Classify},
            events,
            kind::summarize,
        },
        recording::sample,
        station::{Error, credentials::CredentialsError},
        testing::{FULL_STATION, assert_kstatus, valid_station_with, yaml},
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
            ingest: None,
            held: None,
            mounts: 2,
            listen_url: "http://radio-listen.city.svc:8000".to_owned(),
            source_url: None,
            fill: Fill::Low,
            tape: "10Gi".to_owned(),
            swept: None,
            untold: None,
        }
    }

    #[test]
    fn an_ingest_that_is_wanted_has_to_be_there() {
        let station: Station = yaml(FULL_STATION);
        let with = |ingest: Rollout, held: Option<&str>| {
            let mut seen = observed(Rollout::Complete, Rollout::Complete);
            (seen.ingest, seen.held) = (Some(ingest), held.map(str::to_owned));
            seen.source_url = Some("http://radio-ingest.city.svc:8005".to_owned());
            let status = summarize(&station, Ok(&seen), NOW);
            assert_kstatus(&status.conditions, 4);
            assert_eq!(status.source_url, seen.source_url);
            report(&seen)
        };
        let ready = with(Rollout::Complete, None);
        assert_eq!((ready.state, ready.reason), (State::Ready, reason::READY));
        let crashing = with(unfinished(reason::CRASHING, State::Reconciling), None);
        assert_eq!(
            (crashing.state, crashing.reason),
            (State::Reconciling, reason::CRASHING)
        );
        // A new version that waits for the end of a show is no trouble.
        let held = with(Rollout::Complete, Some("the new version waits"));
        assert_eq!((held.state, held.reason), (State::Ready, reason::ROLL_PENDING));
        assert!(
            held.message.ends_with("; the new version waits"),
            "{}",
            held.message
        );
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
    fn a_tape_that_fills_up_is_told_beside_being_ready() {
        let mut station: Station = yaml(FULL_STATION);
        let told = |station: &Station, fill| {
            let mut seen = observed(Rollout::Complete, Rollout::Complete);
            seen.fill = fill;
            let status = summarize(station, Ok(&seen), NOW);
            assert_kstatus(&status.conditions, 4);
            assert_eq!(report(&seen).state, State::Ready);
            let filling = find(&status.conditions, TAPE_FILLING);
            (filling.map(|filling| filling.reason.clone()), status)
        };
        assert_eq!(told(&station, Fill::Low).0, None);
        let half = told(&station, Fill::Half);
        assert_eq!(half.0.as_deref(), Some(reason::HALF_FULL));
        station.status = Some(half.1);
        let high = told(&station, Fill::High);
        assert_eq!(high.0.as_deref(), Some(reason::NEARLY_FULL));

        // On the way up there is an Event, on the way down there is none.
        let events = |old: &StationStatus, new: &StationStatus| {
            let event = events::filling(&old.conditions, &new.conditions, TAPE_FILLING, "TapeFilling");
            event.and_then(|event| event.note)
        };
        let before = station.status.clone().unwrap();
        let note = events(&before, &high.1).unwrap();
        assert!(note.starts_with("80 % of the tape (10Gi) is taken"), "{note}");
        assert_eq!(events(&high.1, &before), None);
        assert_eq!(events(&high.1, &high.1), None);
        assert_eq!(events(&before, &told(&station, Fill::Low).1), None);
    }

    #[test]
    fn how_full_a_tape_is_matters_to_recordings_only_and_is_not_forgotten() {
        let full = || {
            let mut seen = observed(Rollout::Complete, Rollout::Complete);
            seen.fill = Fill::High;
            summarize::<Station>(&yaml(FULL_STATION), Ok(&seen), NOW)
        };
        let with = |recordings: &[&str], said: Option<Fill>, before: Option<&StationStatus>| {
            let recordings = recordings.iter().map(|recording| yaml(recording)).collect();
            let mut station = valid_station_with(FULL_STATION, &[], recordings);
            station.fill = said;
            fill(&station, before)
        };
        let needed = [sample::PLAIN];
        assert_eq!(with(&[], Some(Fill::High), None), Fill::Low);
        assert_eq!(with(&needed, Some(Fill::High), None), Fill::High);
        assert_eq!(with(&needed, Some(Fill::Low), Some(&full())), Fill::Low);
        // The operator has just been started, and the ingest has not answered yet.
        assert_eq!(with(&needed, None, Some(&full())), Fill::High);
        assert_eq!(with(&needed, None, None), Fill::Low);
    }

    #[test]
    fn every_error_is_told_and_keeps_what_was_known() {
        let api = |code: u16, why: &str| {
            let status = kube::core::Status::failure(why, why).with_code(code);
            Error::Api(ApiError::new("read", "Secret", "x")(kube::Error::Api(
                status.boxed(),
            )))
        };
        let unreadable = Error::MountUnreadable {
            mount: "odd".to_owned(),
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
            (unreadable, reason::MOUNT_UNREADABLE, false),
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
