//! The Mount's controller: one playout pod and what it is told, or for a passthrough Mount only passwords: its sources
//! are the Station's affair.

pub mod apply;
pub mod build;
pub mod claims;
pub mod entrances;
pub mod fetch;
pub mod inputs;
pub mod pattern;
pub mod status;
pub mod validate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, runtime::events::Event};
use radio_crds::{Mount, MountStatus, conditions::reason};
use thiserror::Error;

use crate::{
    context::Context,
    k8s::{
        apply::{Applier, ApplyError},
        conditions::Report,
        error::{ApiError, Class, Classify},
        kind::Kind,
    },
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

impl Kind for Mount {
    const CONTROLLER: &'static str = "mount";
    const MANAGER: &'static str = "radio-operator/mount";
    type Status = MountStatus;
    type Observed = status::Observed;
    type Error = Error;

    async fn run(&self, context: &Context) -> Result<status::Observed, Error> {
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
        Ok(status::observe(&valid, &applied, &context.stores))
    }

    fn report(observed: &status::Observed) -> Report {
        status::report(observed)
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
        news::of_mount(&name, old, &wanted.inputs, heard.seen())
            .into_iter()
            .filter_map(|news| Some((untold(&news)?, news)))
            .map(|(untold, news)| news.after(untold))
            .collect()
    }

    fn status(&self) -> Option<&MountStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut MountStatus) -> (&mut Option<i64>, &mut Vec<Condition>) {
        (&mut status.observed_generation, &mut status.conditions)
    }
}
