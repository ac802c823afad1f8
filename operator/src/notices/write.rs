//! Writes what is known of notices and drills into statuses, and tells it as Events. IO.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::events::{Event, EventType},
};
use radio_crds::{
    conditions::event,
    show::{Notice, NoticeState},
};
use serde_json::{Value, json};

use super::condition::reason_of;
use crate::{context::Context, k8s::events};

/// The field manager.
const MANAGER: &str = "radio-operator/notices";
/// Nothing else is told while the API server is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes one field of a status. Only over the version it was made from: what another one has told meanwhile is not
/// forgotten, and an object that was made anew is another one.
pub async fn status<K>(context: &Context, of: &K, field: &str, value: Value) -> Result<(), Unwritten>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
{
    let (namespace, name) = (of.namespace().unwrap_or_default(), of.name_any());
    let api = Api::<PartialObjectMeta<K>>::namespaced(context.client.clone(), &namespace);
    let patch = json!({
        "metadata": {"uid": of.uid(), "resourceVersion": of.resource_version()},
        "status": {field: value},
    });
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&patch);
    let written = api.patch_status(&name, &params, &patch);
    match tokio::time::timeout(PATIENCE, written).await {
        Ok(Ok(_)) => Ok(()),
        // Our copy is old, or the object is gone: the next look is at a newer one.
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_not_found() => {
            Err(Unwritten::Outdated)
        }
        Ok(Err(error)) => {
            tracing::warn!(kind = %K::kind(&()), namespace, name, field, %error, "failed to write a status, trying again");
            // What is refused of one object need not be of another.
            Err(match error {
                kube::Error::Api(_) => Unwritten::Refused,
                _ => Unwritten::Unreachable,
            })
        }
        Err(_) => {
            tracing::warn!(kind = %K::kind(&()), namespace, name, field, "the API server does not answer, trying again");
            Err(Unwritten::Unreachable)
        }
    }
}

/// Why a status was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// It was made from an old copy.
    Outdated,
    /// The API server did not take it.
    Refused,
    /// The API server did not answer.
    Unreachable,
}

/// What the step from one to the other has to tell.
#[must_use]
pub fn news(before: &[Notice], now: &[Notice]) -> Vec<Event> {
    let mut events = Vec::new();
    for notice in now {
        let known = before
            .iter()
            .find(|known| known.slot == notice.slot && known.kind == notice.kind);
        let state = known.map(|known| known.state);
        if known.is_none() {
            events.push(told(EventType::Warning, reason_of(notice.kind), &notice.message));
        }
        if is_over(notice.state) && !state.is_some_and(is_over) {
            events.push(told(EventType::Normal, event::SHOW_RECOVERED, &notice.message));
        }
        if notice.state == NoticeState::Undelivered && state != Some(NoticeState::Undelivered) {
            let note = format!(
                "for a day nobody could be told by every way of the Station: {}",
                notice.message
            );
            events.push(told(EventType::Warning, event::NOTICE_UNDELIVERED, &note));
        }
    }
    events
}

fn is_over(state: NoticeState) -> bool {
    matches!(state, NoticeState::Over | NoticeState::Recovered)
}

/// Writes an Event. That nobody answers is no reason to tell nobody else.
pub async fn publish(context: &Context, event: &Event, about: &ObjectReference) {
    let told = events::tell(&context.client, &context.reporter, event, about);
    if tokio::time::timeout(PATIENCE, told).await.is_err() {
        tracing::warn!(reason = event.reason, "failed to publish an Event: no answer");
    }
}

/// An Event of ours.
#[must_use]
pub fn told(type_: EventType, reason: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note.to_owned()),
        action: "Notify".to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use radio_crds::show::NoticeKind;

    use super::*;

    fn notice(state: NoticeState) -> Notice {
        Notice {
            slot: Timestamp::UNIX_EPOCH,
            kind: NoticeKind::Missed,
            state,
            at: Timestamp::UNIX_EPOCH,
            message: "nobody is there".to_owned(),
            told: Vec::new(),
            over_told: Vec::new(),
        }
    }

    #[test]
    fn each_step_is_told_once() {
        use NoticeState::{Due, Over, Recovered, Told, Undelivered};
        let reasons = |before: Option<NoticeState>, now| {
            let before: Vec<_> = before.into_iter().map(notice).collect();
            let events = news(&before, &[notice(now)]);
            events
                .into_iter()
                .map(|event| event.reason)
                .collect::<Vec<_>>()
                .join(", ")
        };
        for (before, now, expected) in [
            (None, Due, "Missed"),
            (None, Told, "Missed"),
            (Some(Due), Due, ""),
            (Some(Due), Told, ""),
            (Some(Told), Over, "Recovered"),
            // Where nobody else is to be told.
            (Some(Told), Recovered, "Recovered"),
            (Some(Over), Recovered, ""),
            (Some(Due), Undelivered, "NoticeUndelivered"),
            (Some(Undelivered), Undelivered, ""),
        ] {
            assert_eq!(reasons(before, now), expected, "{before:?} -> {now:?}");
        }
    }
}
