//! Events of conditions, made from what changed between two sets of them and from nothing else, and how any Event is
//! published. IO in [`publish`] and [`tell`] only.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as EventObject},
    apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use radio_crds::conditions::{READY, reason};

use super::conditions::{fill, find};

/// A change of `Ready`'s status or reason is worth an Event; a message that gets more precise is not.
#[must_use]
pub fn event(old: &[Condition], new: &[Condition]) -> Option<Event> {
    let ready = find(new, READY)?;
    if let Some(before) = find(old, READY)
        && before.status == ready.status
        && before.reason == ready.reason
    {
        return None;
    }
    let expected = [
        reason::READY,
        reason::PROGRESSING,
        reason::STATION_NOT_READY,
        reason::ROLL_PENDING,
        reason::SUSPENDED,
        reason::WAITING,
        reason::ON_AIR,
        reason::STORING,
        reason::FINALIZING,
        reason::VERIFIED,
        reason::EMPTY,
    ];
    Some(Event {
        type_: if expected.contains(&ready.reason.as_str()) {
            EventType::Normal
        } else {
            EventType::Warning
        },
        reason: ready.reason.clone(),
        note: Some(ready.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    })
}

/// A disk that fills up, by a condition such as `TapeFilling`: told on the way up only.
#[must_use]
pub fn filling(old: &[Condition], new: &[Condition], type_: &str, reason: &str) -> Option<Event> {
    let now = find(new, type_)?;
    (fill(new, type_) > fill(old, type_)).then(|| Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(now.message.clone()),
        action: "Watch".to_owned(),
        secondary: None,
    })
}

/// An Event that cannot be written is only logged: the status says the same.
pub async fn publish(recorder: &Recorder, event: &Event, about: &ObjectReference) {
    if let Err(error) = recorder.publish(event, about).await {
        tracing::warn!(reason = event.reason, %error, "failed to publish an Event");
    }
}

/// Writes an Event that stands for itself. The [`Recorder`] merges all of one reason into the first one's words, and
/// here the words differ: who, when, from where.
pub async fn tell(client: &Client, reporter: &Reporter, event: &Event, about: &ObjectReference) {
    let namespace = about.namespace.clone().unwrap_or_default();
    let name = about.name.as_deref().unwrap_or_default();
    let object = EventObject {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(event.action.clone()),
        event_time: Some(MicroTime(Timestamp::now())),
        note: event.note.clone(),
        reason: Some(event.reason.clone()),
        regarding: Some(about.clone()),
        reporting_controller: Some(reporter.controller.clone()),
        reporting_instance: Some(
            reporter
                .instance
                .clone()
                .unwrap_or_else(|| reporter.controller.clone()),
        ),
        type_: Some(
            match event.type_ {
                EventType::Normal => "Normal",
                EventType::Warning => "Warning",
            }
            .to_owned(),
        ),
        ..EventObject::default()
    };
    let api = Api::<EventObject>::namespaced(client.clone(), &namespace);
    if let Err(error) = api.create(&PostParams::default(), &object).await {
        tracing::warn!(reason = event.reason, %error, "failed to publish an Event");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::conditions::{Report, State, conditions};

    fn of(state: State, reason: &'static str, message: &str) -> Vec<Condition> {
        let report = Report {
            state,
            reason,
            message: message.to_owned(),
        };
        conditions(&report, 1, &[], Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn only_a_new_status_or_reason_makes_an_event() {
        let progressing = of(State::Reconciling, reason::PROGRESSING, "0 of 1");
        let further = of(State::Reconciling, reason::PROGRESSING, "1 of 2");
        let image = of(State::Reconciling, reason::IMAGE_UNAVAILABLE, "no such image");
        let stuck = of(State::Stalled, reason::IMAGE_UNAVAILABLE, "no such image");
        let ready = of(State::Ready, reason::READY, "on air");
        let without_playlist = of(State::Ready, reason::PLAYLIST_NOT_FOUND, "on air, but");
        let seen =
            |old: &[Condition], new: &[Condition]| event(old, new).map(|event| (event.type_, event.reason));

        assert_eq!(
            seen(&[], &progressing),
            Some((EventType::Normal, "Progressing".to_owned()))
        );
        assert_eq!(seen(&progressing, &further), None);
        assert_eq!(
            seen(&further, &image),
            Some((EventType::Warning, "ImageUnavailable".to_owned()))
        );
        assert_eq!(seen(&image, &stuck), None);
        assert_eq!(
            seen(&stuck, &ready),
            Some((EventType::Normal, "Ready".to_owned()))
        );
        assert_eq!(seen(&ready, &ready), None);
        assert_eq!(
            seen(&ready, &without_playlist),
            Some((EventType::Warning, "PlaylistNotFound".to_owned()))
        );
    }
}
