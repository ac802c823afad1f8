//! The Station's controller: passwords, one ingest, one Icecast origin, the relays and the Services in front of them.

pub mod apply;
pub mod build;
pub mod credentials;
pub mod fetch;
pub mod icecast;
pub mod presenters;
pub mod readers;
pub mod roll;
pub mod status;
pub mod validate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::Event;
use radio_crds::{
    Station, StationStatus,
    conditions::{TAPE_FILLING, event, reason},
};
use thiserror::Error;

use crate::{
    context::Context,
    k8s::{
        apply::{Applier, ApplyError},
        conditions::{Beside, Report},
        error::{ApiError, Class, Classify},
        events,
        kind::Kind,
    },
    keep, notices,
    text::InvalidText,
};

/// Why a Station is not as its spec says.
#[derive(Debug, Error)]
pub enum Error {
    /// The spec breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The Secret with the passwords cannot be used.
    #[error(transparent)]
    Credentials(#[from] credentials::CredentialsError),
    /// A Mount is of no known form.
    #[error(
        "Mount {mount} of this Station is not of a form this operator knows: everything stays as it is, so that its \
         listeners are not dropped, until the Mount is corrected or deleted"
    )]
    MountUnreadable {
        /// The Mount.
        mount: String,
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
            Self::Credentials(error) => error.reason(),
            Self::MountUnreadable { .. } => reason::MOUNT_UNREADABLE,
            Self::Api(error) => error.reason(),
            Self::Apply(error) => error.reason(),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Invalid(_) => Class::Stalled { recheck: None },
            Self::Credentials(error) => error.class(),
            // Mounts are watched.
            Self::MountUnreadable { .. } => Class::Wait(Duration::from_mins(10)),
            Self::Api(error) => error.class(),
            Self::Apply(error) => error.class(),
        }
    }
}

impl Kind for Station {
    const CONTROLLER: &'static str = "station";
    const MANAGER: &'static str = "radio-operator/station";
    type Status = StationStatus;
    type Observed = status::Observed;
    type Error = Error;

    async fn run(&self, context: &Context) -> Result<status::Observed, Error> {
        let spec = validate::spec(self, &context.images)?;
        let fetched = fetch::fetch(&spec, context).await?;
        let valid = validate::validate(spec, &fetched);
        // Before anything is written: a child that cannot be applied says nothing about who is connected.
        let owner = &valid.spec.owner;
        let access = || {
            readers::access(
                &owner.name,
                &owner.namespace,
                &valid.credentials.tape,
                readers::OPERATOR,
            )
        };
        let key = (owner.namespace.clone(), owner.name.clone());
        context.sources.follow(&key, valid.ingest.wanted.then(access));
        // Boxed: so many objects are too much to be carried along by every future above.
        let desired = Box::new(build::build(&valid));
        let children = Applier {
            client: &context.client,
            stores: &context.stores,
            ledger: &context.ledger,
            owner: &valid.spec.owner,
            manager: Self::MANAGER,
        };
        let applied = apply::apply(&children, &desired).await?;
        let before = self.status.as_ref();
        let mut observed = status::observe(&valid, &applied, before, &context.stores);
        observed.swept = Some(keep::station::tend(self, owner, context, context.clock.now()).await);
        let delivery = context.notices.delivery(&owner.namespace, &owner.name);
        let told = before.map_or(&[][..], |status| status.conditions.as_slice());
        observed.untold = notices::condition::failing(&delivery, told);
        Ok(observed)
    }

    fn report(observed: &status::Observed) -> Report {
        status::report(observed)
    }

    fn beside(observed: &status::Observed) -> Vec<Beside> {
        status::beside(observed)
    }

    fn news(&self, wanted: &StationStatus, _: &Context) -> Vec<Event> {
        let old = self.status.clone().unwrap_or_default();
        let new = wanted.conditions.as_slice();
        let filling = events::filling(&old.conditions, new, TAPE_FILLING, event::TAPE_FILLING);
        filling
            .into_iter()
            .chain(keep::station::news(&old, wanted))
            .collect()
    }

    fn look_again(observed: &status::Observed) -> Option<Duration> {
        let swept = observed.swept.as_ref();
        swept.and_then(|swept| swept.look_again(Timestamp::now()))
    }

    fn details(&self, observed: Option<&status::Observed>) -> StationStatus {
        status::details(self, observed)
    }

    fn status(&self) -> Option<&StationStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut StationStatus) -> (&mut Option<i64>, &mut Vec<Condition>) {
        (&mut status.observed_generation, &mut status.conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sources::{Order, Sources},
        testing::{self, FULL_MOUNT, MockApi, PLAIN_STATION, credentials_secret, refusal, value, yaml},
    };

    #[tokio::test]
    async fn a_child_that_cannot_be_applied_does_not_end_following() {
        let api = MockApi::default();
        let client = api.client(
            |asked| match (asked.method.as_str(), asked.path.rsplit('/').next()) {
                ("GET", Some("radio-credentials")) => (200, value(&credentials_secret())),
                ("GET", _) => refusal(404, "NotFound"),
                _ => refusal(403, "Forbidden"),
            },
        );
        let station: Station = yaml(PLAIN_STATION);
        let (stores, _writers) = testing::stores(std::slice::from_ref(&station), &[yaml(FULL_MOUNT)]);
        let (sources, mut orders) = Sources::new(Timestamp::UNIX_EPOCH);
        let mut context = testing::context(client, stores);
        context.sources = sources;
        let failed = Box::pin(station.run(&context)).await;
        assert!(matches!(failed, Err(Error::Apply(_))));
        let order = orders.try_recv().unwrap();
        assert!(matches!(order, Order::Follow((_, station), _) if station == "radio"));
    }
}
