//! The Recording's controller: a recorder that ends when everything is stored, then a finalizer, and what became of it.
//!
//! A Recording needs no Station and no Mount to be finished: it says itself where everything goes.

pub mod apply;
pub mod build;
pub mod details;
pub mod ends;
pub mod fetch;
pub mod jobs;
pub mod news;
pub mod plan;
#[cfg(test)]
pub(crate) mod sample;
pub mod sessions;
pub mod status;
pub mod validate;
pub mod words;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::Event;
use radio_crds::{Recording, RecordingStatus, conditions::reason, recording::Phase};
use thiserror::Error;

use crate::{
    context::Context,
    k8s::{
        apply::{Applier, ApplyError},
        conditions::{Beside, Report},
        error::{ApiError, Class, Classify},
        kind::Kind,
    },
    recorders::Target,
    text::InvalidText,
};

pub use ends::stopped_at;

use apply::Deed;
use fetch::Fetched;
use plan::{Plan, Step};
use validate::ValidSpec;

/// Why a Recording is not as its spec says.
#[derive(Debug, Error)]
pub enum Error {
    /// The spec breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// Nobody knows the way to the tapes.
    #[error(
        "Station {station} does not exist in namespace {namespace} or has no {station}-credentials, so its tape cannot be \
         read; this Recording starts as soon as it can"
    )]
    StationNotFound {
        /// The Station.
        station: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// Something could not be read.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Something could not be made or deleted.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Classify for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => reason::INVALID_SPEC,
            Self::StationNotFound { .. } => reason::STATION_NOT_FOUND,
            Self::Api(error) => error.reason(),
            Self::Apply(error) => error.reason(),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Invalid(_) => Class::Stalled { recheck: None },
            // Its Secret is watched.
            Self::StationNotFound { .. } => Class::Wait(Duration::from_mins(10)),
            Self::Api(error) => error.class(),
            Self::Apply(error) => error.class(),
        }
    }
}

/// Whether a Recording needs what the tape has, or may have when a lost ingest is back. That is waited for for a week.
#[must_use]
pub fn needs_tape(recording: &Recording) -> bool {
    plan::needs_tape(recording.status.as_ref(), Timestamp::now())
}

impl Kind for Recording {
    const CONTROLLER: &'static str = "recording";
    const MANAGER: &'static str = "radio-operator/recording";
    type Status = RecordingStatus;
    type Observed = status::Observed;
    type Error = Error;

    async fn run(&self, context: &Context) -> Result<status::Observed, Error> {
        let spec = validate::spec(self, &context.images)?;
        let fetched = fetch::fetch(&spec, self.status.as_ref(), context)?;
        let plan = plan::plan(&spec, self.status.as_ref(), &fetched.seen, Timestamp::now());
        let key = (spec.owner.namespace.clone(), spec.owner.name.clone());
        context.recorders.follow(&key, target(&spec, &fetched));
        let deeds = deeds(&spec, &plan, context).await?;
        let children = Applier {
            client: &context.client,
            stores: &context.stores,
            ledger: &context.ledger,
            owner: &spec.owner,
            manager: Self::MANAGER,
        };
        apply::apply(&children, &deeds).await?;
        Ok(status::Observed {
            spec,
            plan,
            ship: fetched.told.ship,
            capture: fetched.told.capture,
            trouble: fetched.trouble,
            failure: fetched.failure,
            before: self.status.clone().unwrap_or_default(),
        })
    }

    fn report(observed: &status::Observed) -> Report {
        status::report(observed)
    }

    fn beside(observed: &status::Observed) -> Vec<Beside> {
        status::beside(observed)
    }

    fn details(&self, observed: Option<&status::Observed>) -> RecordingStatus {
        match observed {
            Some(observed) => details::details(observed),
            None => self.status.clone().unwrap_or_default(),
        }
    }

    fn news(&self, wanted: &RecordingStatus, _: &Context) -> Vec<Event> {
        news::news(&self.status.clone().unwrap_or_default(), wanted)
    }

    fn status(&self) -> Option<&RecordingStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut RecordingStatus) -> (&mut Option<i64>, &mut Vec<Condition>) {
        (&mut status.observed_generation, &mut status.conditions)
    }
}

/// Whose recorder is to be asked how it is.
fn target(spec: &ValidSpec, fetched: &Fetched) -> Option<Target> {
    let pod = fetched
        .pod
        .as_ref()
        .filter(|_| fetch::is_under_way(&fetched.seen.recorder))?;
    Target::of(pod, spec)
}

/// What the plan needs. Nothing is read for a Recording that is done.
async fn deeds(spec: &ValidSpec, plan: &Plan, context: &Context) -> Result<Vec<Deed>, Error> {
    if plan.is_settled() {
        return Ok(Vec::new());
    }
    let records = matches!(plan.phase, Phase::Waiting | Phase::OnAir | Phase::Storing);
    let mut deeds = Vec::new();
    match fetch::tape(spec, context).await? {
        Some(tape) => deeds.push(Deed::Tell(Box::new(build::config(spec, tape)))),
        // What makes final objects needs no tape.
        None if !records => deeds.push(Deed::Tell(Box::new(build::config(spec, validate::nowhere())))),
        None if plan.steps.contains(&Step::Record) => {
            return Err(Error::StationNotFound {
                station: spec.owner.station.clone(),
                namespace: spec.owner.namespace.clone(),
            });
        }
        None => {}
    }
    deeds.extend(plan.steps.iter().map(|step| match step {
        Step::Record => Deed::Make(Box::new(build::recorder(spec))),
        Step::Finalize(edition) => Deed::Make(Box::new(build::finalizer(spec, *edition, plan.bytes()))),
        Step::Delete(job) => Deed::Delete(job.clone()),
    }));
    Ok(deeds)
}

#[cfg(test)]
mod tests;
