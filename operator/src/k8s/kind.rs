//! One reconcile, the same for every kind: run it, write its status whatever came of it, say what comes next. IO.

use std::{fmt::Debug, sync::Arc, time::Duration};

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
    core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::{controller::Action, events::Event},
};
use radio_crds::conditions::reason;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use thiserror::Error;

use super::{
    backoff::spread,
    conditions::{Beside, Report, State, besides, conditions, ours},
    error::{ApiError, Class, Classify, message, shorten},
    events, status,
};
use crate::context::Context;

/// With every cause of change watched, this is only a net below the net. It makes no write when nothing changed.
const RESYNC: Duration = Duration::from_mins(10);
/// Clocks are read once before and once after a wait, and are not that precise.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// A reconcile that takes longer hangs on a connection that is gone.
const LONGEST_RECONCILE: Duration = Duration::from_mins(1);

/// A custom resource with a controller.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The controller's name in metrics and logs.
    const CONTROLLER: &'static str;
    /// The field manager of all writes.
    const MANAGER: &'static str;
    /// The status of the kind.
    type Status: Clone + Debug + Default + PartialEq + Serialize + Send + Sync + 'static;
    /// What was seen after everything was applied.
    type Observed: Send + Sync + 'static;
    /// What can go wrong.
    type Error: Classify;

    /// Fetch, validate, build, apply.
    fn run(&self, context: &Context) -> impl Future<Output = Result<Self::Observed, Self::Error>> + Send;
    /// How the object is.
    fn report(observed: &Self::Observed) -> Report;
    /// What else is worth a condition.
    fn beside(_observed: &Self::Observed) -> Vec<Beside> {
        Vec::new()
    }
    /// When something has to happen although nothing changes.
    fn look_again(_observed: &Self::Observed) -> Option<Duration> {
        None
    }
    /// The status without its conditions and observedGeneration; `None` keeps what was known before.
    fn details(&self, observed: Option<&Self::Observed>) -> Self::Status;
    /// What else than conditions is worth Events in the step from the present status to this one.
    fn news(&self, _wanted: &Self::Status, _context: &Context) -> Vec<Event> {
        Vec::new()
    }
    /// The status in the object, as last seen.
    fn status(&self) -> Option<&Self::Status>;
    /// The fields every status has.
    fn common(status: &mut Self::Status) -> (&mut Option<i64>, &mut Vec<Condition>);
}

/// What a reconcile failed with, as the controller needs it.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Failure {
    /// What happens next.
    pub class: Class,
    /// The one word for metrics.
    pub reason: &'static str,
    message: String,
}

impl Failure {
    fn of<E: Classify>(error: &E) -> Self {
        Self {
            class: error.class(),
            reason: error.reason(),
            message: message(error),
        }
    }

    /// The task did not come to its end.
    #[must_use]
    pub fn panicked(error: &tokio::task::JoinError) -> Self {
        Self {
            class: Class::Retry,
            reason: "Panicked",
            message: format!("the reconcile broke off: {error}"),
        }
    }
}

#[derive(Debug, Error)]
#[error("the API server did not answer within {} s", LONGEST_RECONCILE.as_secs())]
struct TooSlow;

impl Classify for TooSlow {
    fn reason(&self) -> &'static str {
        reason::API_ERROR
    }

    fn class(&self) -> Class {
        Class::Retry
    }
}

/// One reconcile of one object.
pub async fn reconcile<K: Kind>(
    object: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Failure> {
    match &object.0 {
        Ok(object) if object.meta().deletion_timestamp.is_some() => Ok(Action::await_change()),
        Ok(object) => match tokio::time::timeout(LONGEST_RECONCILE, run_and_report(object, &context)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::of(&TooSlow)),
        },
        Err(invalid) => Err(refuse::<K>(invalid, &context).await),
    }
}

async fn run_and_report<K: Kind>(object: &K, context: &Context) -> Result<Action, Failure> {
    // Boxed: what a kind carries along is none of the futures' above.
    let outcome = Box::pin(object.run(context)).await;
    let now = Timestamp::now()
        .round(Unit::Second)
        .unwrap_or_else(|_| Timestamp::now());
    let wanted = summarize(object, outcome.as_ref(), now);
    let written = write_status(object, &wanted, context).await;
    let observed = outcome.map_err(|error| Failure::of(&error))?;
    written.map_err(|error| Failure::of(&error))?;
    let next = K::look_again(&observed).map(|wait| wait.max(SHORTEST_WAIT));
    let resync = spread(RESYNC);
    Ok(Action::requeue(next.map_or(resync, |next| next.min(resync))))
}

/// The status that follows from what happened.
pub fn summarize<K: Kind>(object: &K, outcome: Result<&K::Observed, &K::Error>, now: Timestamp) -> K::Status {
    let generation = object.meta().generation.unwrap_or_default();
    let mut old = object.status().cloned().unwrap_or_default();
    let mut new = object.details(outcome.ok());
    let report = outcome.map_or_else(Report::of_error, K::report);
    let beside = outcome.ok().map(K::beside);
    // Only a generation that was carried out, or that nothing more will happen to, counts as observed.
    let handled = outcome.is_ok() || matches!(outcome.map_err(Classify::class), Err(Class::Stalled { .. }));
    let (old_observed, old_conditions) = K::common(&mut old);
    let (observed, new_conditions) = K::common(&mut new);
    *observed = if handled { Some(generation) } else { *old_observed };
    *new_conditions = conditions(&report, generation, old_conditions, now);
    new_conditions.extend(besides(beside.as_deref(), generation, old_conditions, now));
    new
}

async fn write_status<K: Kind>(object: &K, wanted: &K::Status, context: &Context) -> Result<(), ApiError> {
    let mut wanted = wanted.clone();
    let mut old = object.status().cloned().unwrap_or_default();
    let old_conditions = K::common(&mut old).1;
    *old_conditions = ours(old_conditions);
    let event = events::event(old_conditions, K::common(&mut wanted).1);
    if old == wanted {
        return Ok(());
    }
    status::write::<K>(&context.client, object.meta(), &wanted).await?;
    let about = object.object_ref(&());
    for event in object.news(&wanted, context) {
        events::tell(&context.client, &context.reporter, &event, &about).await;
    }
    if let Some(event) = event {
        tracing::info!(
            reason = event.reason,
            note = event.note,
            name = object.name_any(),
            "{}",
            K::CONTROLLER
        );
        events::publish(&context.recorder, &event, &about).await;
    }
    Ok(())
}

/// An object whose form we do not know, stored before its schema existed: its status says so, the next edit has to
/// pass the schema, and no other object is kept waiting.
async fn refuse<K: Kind>(invalid: &InvalidObject, context: &Context) -> Failure {
    let report = Report {
        state: State::Stalled,
        reason: reason::INVALID_SPEC,
        message: shorten(format!(
            "this {} is not of a form this operator knows: {}",
            K::kind(&()),
            invalid.error
        )),
    };
    match tell::<K>(&invalid.metadata, &report, context).await {
        Ok(()) => Failure {
            class: Class::Stalled { recheck: None },
            reason: report.reason,
            message: report.message,
        },
        Err(error) => Failure::of(&error),
    }
}

/// Reads the conditions out of what else may be in the object, and replaces them.
async fn tell<K: Kind>(of: &ObjectMeta, report: &Report, context: &Context) -> Result<(), ApiError> {
    let (name, namespace) = (
        of.name.as_deref().unwrap_or_default(),
        of.namespace.as_deref().unwrap_or_default(),
    );
    let resource = ApiResource::erase::<K>(&());
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource);
    let live = api
        .get_opt(name)
        .await
        .map_err(ApiError::new("read", &K::kind(&()), name))?;
    let Some(live) = live else { return Ok(()) };
    let old: Option<Vec<Condition>> = live
        .data
        .pointer("/status/conditions")
        .and_then(|old| serde_json::from_value(old.clone()).ok());
    let old = ours(&old.unwrap_or_default());
    let generation = live.metadata.generation.unwrap_or_default();
    let new = conditions(report, generation, &old, now());
    if old == new {
        return Ok(());
    }
    let status = json!({"observedGeneration": generation, "conditions": new});
    status::write::<K>(&context.client, &live.metadata, &status).await?;
    if let Some(event) = events::event(&old, &new) {
        events::publish(&context.recorder, &event, &live.object_ref(&resource)).await;
    }
    Ok(())
}

/// As precise as a status is.
fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// When to look again after a failure.
pub fn next_try<K: Kind>(object: &DeserializeGuard<K>, failure: &Failure, context: &Context) -> Action {
    match failure.class {
        Class::Retry => Action::requeue(context.backoff.failed(key::<K>(object.meta()))),
        Class::Wait(wait) | Class::Stalled { recheck: Some(wait) } => Action::requeue(spread(wait)),
        Class::Stalled { recheck: None } => Action::await_change(),
    }
}

/// An object's identity in our own tables.
#[must_use]
pub fn key<K: Kind>(metadata: &ObjectMeta) -> (&'static str, String, String) {
    (
        K::CONTROLLER,
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests;
