//! The Mount's controller: one playout pod and what it is told, or for a passthrough Mount only passwords: its sources
//! are the Station's affair.

pub mod apply;
pub mod appoint;
pub mod build;
pub mod claims;
pub mod entrances;
pub mod fetch;
pub mod inputs;
pub mod pattern;
pub mod recording_name;
pub mod status;
pub mod validate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, runtime::events::Event};
use radio_crds::{Mount, MountStatus, conditions::reason};
use thiserror::Error;

use self::appoint::Archive;
use crate::{
    context::Context,
    k8s::{
        apply::{Applier, ApplyError},
        conditions::Report,
        error::{ApiError, Class, Classify},
        kind::Kind,
    },
    show::plan::reserved,
    sources::news,
    text::InvalidText,
};

/// Why a Mount is not as its spec says.
#[derive(Debug, Error)]
pub enum Error {
    /// The spec breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The Station is not there.
    #[error("Station {name} does not exist in namespace {namespace}; this Mount starts as soon as it does")]
    StationNotFound {
        /// The name in the Mount.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The Station is there, but cannot be played to.
    #[error("Station {name} cannot be played to yet: {why}")]
    StationNotReady {
        /// The Station.
        name: String,
        /// What it lacks.
        why: String,
    },
    /// Something could not be read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A child could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Classify for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => reason::INVALID_SPEC,
            Self::StationNotFound { .. } => reason::STATION_NOT_FOUND,
            Self::StationNotReady { .. } => reason::STATION_NOT_READY,
            Self::Api(error) => error.reason(),
            Self::Apply(error) => error.reason(),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Invalid(_) => Class::Stalled { recheck: None },
            // The Station and its Secret are watched. Not stalled: in one `kubectl apply` either may come first.
            Self::StationNotFound { .. } | Self::StationNotReady { .. } => {
                Class::Wait(Duration::from_mins(10))
            }
            Self::Api(error) => error.class(),
            Self::Apply(error) => error.class(),
        }
    }
}

/// Sees to it that everything on air is in a Recording.
async fn record(mount: &Mount, context: &Context) -> Result<status::Recorded, ApiError> {
    let Some(tape) = fetch::on_tape(mount, context) else {
        return Ok(status::Recorded::default());
    };
    let now = context.clock.now();
    let slots = reserved(&tape.shows, now);
    let wanted = appoint::appoint(
        mount,
        &tape.station,
        &tape.sessions,
        &tape.recordings,
        &slots,
        now,
    );
    let mut recordings = tape.recordings;
    recordings.extend(apply::make(&context.client, wanted).await?);
    let name = mount.name_any();
    Ok(status::Recorded {
        under_way: appoint::under_way(&name, &recordings),
        until_rotation: appoint::until_rotation(&name, &recordings, now),
        no_storage: Archive::of(mount, &tape.station) == Archive::NoStorage,
    })
}

impl Kind for Mount {
    const CONTROLLER: &'static str = "mount";
    const MANAGER: &'static str = "radio-operator/mount";
    type Status = MountStatus;
    type Observed = status::Observed;
    type Error = Error;

    async fn run(&self, context: &Context) -> Result<status::Observed, Error> {
        // First of all, and whatever comes of the rest: what is on air now is not on air again.
        let recorded = record(self, context).await;
        let spec = validate::spec(self, &context.images)?;
        let fetched = fetch::fetch(&spec, self, context).await?;
        let valid = validate::validate(spec, &fetched)?;
        let children = Applier {
            client: &context.client,
            stores: &context.stores,
            ledger: &context.ledger,
            owner: &valid.spec.owner,
            manager: Self::MANAGER,
        };
        let applied = match build::build(&valid) {
            Some(desired) => apply::apply(&children, &desired).await?,
            None => apply::Applied::default(),
        };
        Ok(status::observe(&valid, &applied, recorded?, &context.stores))
    }

    fn report(observed: &status::Observed) -> Report {
        status::report(observed)
    }

    fn look_again(observed: &status::Observed) -> Option<Duration> {
        observed.recorded.until_rotation
    }

    fn details(&self, observed: Option<&status::Observed>) -> MountStatus {
        status::details(self, observed)
    }

    fn news(&self, wanted: &MountStatus, context: &Context) -> Vec<Event> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let old = self
            .status
            .as_ref()
            .map_or(&[][..], |status| status.inputs.as_slice());
        let (sources, now) = (&context.sources, Timestamp::now());
        let heard = sources.heard(&namespace, &self.spec.station_ref.name);
        let object = format!("Mount/{name}");
        let untold = |news: &news::News| match &news.refused {
            Some((reason, at)) => sources.may_tell(&namespace, &object, reason, *at).then_some(0),
            None => sources.may_tell_coming(&namespace, &name, &news.input, &news.event.reason, now),
        };
        let sources = news::of_mount(&name, old, &wanted.inputs, heard.seen())
            .into_iter()
            .filter_map(|news| Some((untold(&news)?, news)))
            .map(|(untold, news)| news.after(untold));
        let before = self.status.as_ref().and_then(|status| status.recording.as_ref());
        sources
            .chain(status::recording_begins(before, wanted.recording.as_ref()))
            .collect()
    }

    fn status(&self) -> Option<&MountStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut MountStatus) -> (&mut Option<i64>, &mut Vec<Condition>) {
        (&mut status.observed_generation, &mut status.conditions)
    }
}

#[cfg(test)]
mod tests {
    use ingest::{
        api::{Fill, Sessions},
        config::TapeAccess,
    };
    use radio_crds::Station;
    use serde_json::json;

    use super::*;
    use crate::{
        sources::Sources,
        testing::{self, MockApi, PLAIN_MOUNT, PLAIN_STATION, aired, refusal, session, yaml},
    };

    /// Somebody is on air at the Mount `live`, of a Station with storage.
    fn on_air(client: kube::Client) -> Context {
        let mut station: Station = yaml(PLAIN_STATION);
        let storage =
            json!({"s3": {"endpoint": "http://s3", "bucket": "shows", "secretRef": {"name": "missing"}}});
        station.spec.storage = Some(serde_json::from_value(storage).unwrap());
        let (stores, _) = testing::stores(&[station], &[yaml(PLAIN_MOUNT)]);
        let mut context = testing::context(client, stores);
        context.sources = Sources::new(Timestamp::UNIX_EPOCH).0;
        let key = ("city".to_owned(), "radio".to_owned());
        let access = TapeAccess {
            addresses: Vec::new(),
            token: "t".to_owned(),
        };
        context.sources.follow(&key, Some(access));
        let began = Timestamp::constant(1_800_000_000, 0);
        let mut dj = session("live", "studio", began);
        dj.aired = Some(aired(began, None));
        let answer = Sessions {
            version: "1".to_owned(),
            sessions: vec![dj],
            refusals: Vec::new(),
            fill: Fill::Low,
        };
        assert!(context.sources.answered(&key, &answer).recorded.contains("live"));
        context
    }

    #[tokio::test]
    async fn who_is_on_air_is_recorded_before_anything_else_can_fail() {
        let api = MockApi::default();
        let client = api.client(
            |asked| match (asked.method.as_str(), asked.path.ends_with("/recordings")) {
                ("POST", true) => (201, asked.body.clone()),
                _ => refusal(403, "Forbidden"),
            },
        );
        let context = on_air(client);
        let mount: Mount = yaml(PLAIN_MOUNT);
        assert!(matches!(mount.run(&context).await, Err(Error::Api(_))));
        assert_eq!(api.asked()[0], "POST recordings");
        let made = api.last_body("POST");
        assert_eq!(made["metadata"]["name"], "live-20270115t080000z");
        assert_eq!(made["metadata"]["ownerReferences"], json!(null));
    }

    #[tokio::test]
    async fn a_recording_that_is_there_already_is_as_good_as_made() {
        let api = MockApi::default();
        let context = on_air(api.client(|_| refusal(409, "AlreadyExists")));
        let recorded = record(&yaml(PLAIN_MOUNT), &context).await.unwrap();
        assert_eq!(recorded.under_way, ["live-20270115t080000z"]);
        let forbidden = MockApi::default();
        let context = on_air(forbidden.client(|_| refusal(403, "Forbidden")));
        assert!(record(&yaml(PLAIN_MOUNT), &context).await.is_err());
    }
}
