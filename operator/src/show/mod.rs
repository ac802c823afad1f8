//! The Show's controller: its slots, their Recordings, and who may connect when.
//!
//! Nothing waits for it when a slot starts: its Recording is made ahead, and the ingest knows the turns of presenters.

pub mod aired;
pub mod apply;
pub mod build;
pub mod details;
pub mod fetch;
pub mod plan;
pub mod programme;
#[cfg(test)]
pub(crate) mod sample;
pub mod slots;
pub mod status;
pub mod turns;
pub mod validate;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, runtime::events::Event};
use radio_crds::{Show, ShowStatus, conditions::reason};
use thiserror::Error;

use crate::{
    context::Context,
    k8s::{
        apply::ApplyError,
        backoff::spread,
        conditions::{Beside, Report},
        error::{ApiError, Class, Classify, message},
        kind::Kind,
    },
    keep::{self, show::Kept},
    notices,
    text::InvalidText,
};

use fetch::Fetched;
use plan::{Claim, Plan, Seen};
use programme::Programme;
use validate::Missing;

/// A slot that could not be prepared is tried again so soon: the tape keeps what goes on air meanwhile.
const AGAIN: Duration = Duration::from_secs(5);

/// Why a Show is not as its spec says. What has begun goes on all the same.
#[derive(Debug, Error)]
pub enum Error {
    /// The spec breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidText),
    /// The Mount is not there.
    #[error(
        "Mount {mount} does not exist in namespace {namespace}, or cannot be read; this Show has its slots as soon as it does"
    )]
    MountNotFound {
        /// The name in the Show.
        mount: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The Mount is there, and its inputs are not.
    #[error("the inputs of Mount {mount} are not as they should be; see the conditions of Mount {mount}")]
    MountNotReady {
        /// The Mount.
        mount: String,
    },
    /// Nobody could connect.
    #[error("Mount {mount} has no inputs, so nobody can be on air there; give it some in spec.inputs")]
    NoInput {
        /// The Mount.
        mount: String,
    },
    /// An input is not there.
    #[error("Mount {mount} has no input {input}; correct the Show, or give the Mount this input")]
    InputNotFound {
        /// The Mount.
        mount: String,
        /// The name in the Show.
        input: String,
    },
    /// Something could not be read or made.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The Secret with the passwords could not be made.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Classify for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => reason::INVALID_SPEC,
            Self::MountNotFound { .. } => reason::MOUNT_NOT_FOUND,
            Self::MountNotReady { .. } => reason::MOUNT_NOT_READY,
            Self::NoInput { .. } | Self::InputNotFound { .. } => reason::INPUT_NOT_FOUND,
            Self::Api(error) => error.reason(),
            Self::Apply(error) => error.reason(),
        }
    }

    fn class(&self) -> Class {
        match self {
            // Mounts are watched. Not stalled: in one `kubectl apply` either may come first.
            Self::MountNotFound { .. } | Self::MountNotReady { .. } => Class::Wait(Duration::from_mins(10)),
            Self::Invalid(_) | Self::NoInput { .. } | Self::InputNotFound { .. } => {
                Class::Stalled { recheck: None }
            }
            Self::Api(error) => error.class(),
            Self::Apply(error) => error.class(),
        }
    }
}

/// What was seen after everything was done.
#[derive(Debug)]
pub struct Observed {
    /// What keeps it from being as its spec says.
    pub trouble: Option<Error>,
    /// Its slots.
    pub plan: Plan,
    /// What the status says beside conditions.
    pub details: ShowStatus,
    /// There are no new slots.
    pub suspended: bool,
    /// What keeps presenters from connecting.
    pub missing: Vec<Missing>,
    /// The Station that has no place for recordings that are wanted.
    pub no_storage: Option<String>,
    /// What was deleted of its recordings; `None`: nobody looked.
    pub kept: Option<Kept>,
    /// When it was.
    pub now: Timestamp,
}

impl Kind for Show {
    const CONTROLLER: &'static str = "show";
    const MANAGER: &'static str = "radio-operator/show";
    type Status = ShowStatus;
    type Observed = Observed;
    type Error = Error;

    /// What goes wrong is observed, and no failure: what has begun goes on, and the status has to say how.
    async fn run(&self, context: &Context) -> Result<Observed, Error> {
        let now = context.clock.now();
        let fetched = fetch::fetch(self, context);
        let mut plan = self::plan(self, &fetched, now);
        // First of all, and whatever comes of the rest.
        let prepared = prepare(self, &fetched, &mut plan, context).await;
        let checked = check(self, &fetched);
        let doors = match &checked {
            Ok(valid) => fetch::passwords(valid, context)
                .await
                .map(|secrets| valid.missing(&secrets)),
            Err(_) => Ok(Vec::new()),
        };
        let (missing, no_passwords) = match doors {
            Ok(missing) => (missing, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        // Last of all: nothing waits for what is deleted.
        let kept = match &checked {
            Ok(valid) => Some(keep::show::tend(self, &valid.owner, context, now).await),
            Err(_) => None,
        };
        let trouble = checked.err().or_else(|| prepared.err()).or(no_passwords);
        if let Some(error) = trouble.as_ref().filter(|error| error.class() == Class::Retry) {
            tracing::warn!(
                controller = Self::CONTROLLER,
                name = self.name_any(),
                reason = error.reason(),
                error = message(error),
                "failed"
            );
        }
        let station = fetched.station.as_ref().filter(|_| fetched.no_storage());
        let mut details = details::details(self, &plan, &fetched, now);
        if let Some(kept) = &kept {
            kept.tell(&mut details);
        }
        Ok(Observed {
            trouble,
            details,
            kept,
            plan,
            suspended: self.spec.is_suspended(),
            missing,
            no_storage: station.map(ResourceExt::name_any),
            now,
        })
    }

    fn report(observed: &Observed) -> Report {
        status::report(&status::Told {
            trouble: observed.trouble.as_ref(),
            plan: &observed.plan,
            suspended: observed.suspended,
            missing: &observed.missing,
            no_storage: observed.no_storage.as_deref(),
        })
    }

    fn beside(observed: &Observed) -> Vec<Beside> {
        let missed = notices::condition::missed(&observed.details, observed.now);
        let kept = observed.kept.as_ref().and_then(Kept::beside);
        missed.into_iter().chain(kept).collect()
    }

    fn look_again(observed: &Observed) -> Option<Duration> {
        let until = |instant: Timestamp| Duration::try_from(instant.duration_since(observed.now));
        let turn = observed
            .plan
            .wake_at
            .map(|instant| until(instant).unwrap_or_default());
        let again = observed
            .trouble
            .as_ref()
            .and_then(|trouble| match trouble.class() {
                Class::Retry => Some(spread(AGAIN)),
                Class::Wait(wait) | Class::Stalled { recheck: Some(wait) } => Some(spread(wait)),
                Class::Stalled { recheck: None } => None,
            });
        let kept = observed
            .kept
            .as_ref()
            .and_then(|kept| kept.look_again(observed.now));
        [turn, again, kept].into_iter().flatten().min()
    }

    fn details(&self, observed: Option<&Observed>) -> ShowStatus {
        match observed {
            Some(observed) => observed.details.clone(),
            None => self.status.clone().unwrap_or_default(),
        }
    }

    fn news(&self, wanted: &ShowStatus, _: &Context) -> Vec<Event> {
        let old = self.status.clone().unwrap_or_default();
        let mut news = status::news(&old, wanted);
        news.extend(keep::show::news(&old, wanted));
        news
    }

    fn status(&self) -> Option<&ShowStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut ShowStatus) -> (&mut Option<i64>, &mut Vec<Condition>) {
        (&mut status.observed_generation, &mut status.conditions)
    }
}

/// Its slots, beside those of the others at the same place.
fn plan(show: &Show, fetched: &Fetched, now: Timestamp) -> Plan {
    let programme = Programme::of(show);
    let beside = fetched.siblings.iter().map(|other| (Programme::of(other), other));
    let others: Vec<Claim> = beside
        .filter(|(other, _)| other.is_beside(&programme))
        .flat_map(|(programme, other)| {
            plan::claims(&programme, &other.status.clone().unwrap_or_default(), now)
        })
        .collect();
    let seen = Seen {
        others: &others,
        there: &fetched.there(),
        has_storage: fetched.storage().is_some(),
    };
    plan::plan(&programme, &show.status.clone().unwrap_or_default(), &seen, now)
}

/// Makes the Recordings of slots. What could not be made is none in the plan, so that it is made next time.
async fn prepare(show: &Show, fetched: &Fetched, plan: &mut Plan, context: &Context) -> Result<(), Error> {
    let mut prepared = Ok(());
    let (mount, storage) = (fetched.mount.as_ref(), fetched.storage());
    if let (Some(mount), Some(storage)) = (mount, storage) {
        for wanted in std::mem::take(&mut plan.make) {
            let recording = build::recording(show, mount, storage, &wanted);
            if let Err(error) = apply::make(&context.client, &recording).await {
                forget(plan, &wanted, show.status.as_ref());
                prepared = prepared.and(Err(error.into()));
            }
        }
    }
    let withdrawn = plan.withdrawn.iter().filter_map(|name| fetched.recording(name));
    for recording in withdrawn.filter(|recording| is_of(recording, show)) {
        let taken_back = apply::take_back(&context.client, recording).await;
        prepared = prepared.and_then(|()| taken_back.map_err(Error::from));
    }
    prepared
}

/// Somebody may have made a Recording by hand that has the name of one.
fn is_of(recording: &radio_crds::Recording, show: &Show) -> bool {
    let slot = recording.spec.show.as_ref();
    slot.is_some_and(|slot| slot.name == show.name_any())
}

/// Takes a Recording that could not be made out of the plan.
fn forget(plan: &mut Plan, wanted: &plan::Wanted, before: Option<&ShowStatus>) {
    plan.closed.retain(|slot| slot.start != wanted.from);
    for slot in plan.under_way.iter_mut().filter(|slot| slot.start == wanted.from) {
        slot.recording = None;
    }
    // What has been dealt with ends before it.
    let just_before = wanted.from.saturating_sub(jiff::SignedDuration::from_secs(1));
    let seen = before.and_then(|before| before.seen_until);
    let until = just_before
        .unwrap_or(Timestamp::MIN)
        .max(seen.unwrap_or(Timestamp::MIN));
    plan.seen_until = plan.seen_until.min(until);
    // One that is over already is known by having been the next one.
    plan.next = before.and_then(|before| before.next_slot).or(plan.next);
}

fn check(show: &Show, fetched: &Fetched) -> Result<validate::Valid, Error> {
    let mount = fetched.mount.as_ref().ok_or_else(|| Error::MountNotFound {
        mount: show.spec.mount_ref.name.clone(),
        namespace: show.namespace().unwrap_or_default(),
    })?;
    validate::check(show, mount)
}

#[cfg(test)]
mod tests;
