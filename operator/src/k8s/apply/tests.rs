use radio_crds::Station;
use serde_json::json;

use super::*;
use crate::{
    k8s::{error::message, kind::Kind, meta::Component},
    testing::{Asked, MockApi, PLAIN_STATION, fill, owned_by_station, refusal, value, yaml},
};

fn owner() -> Owner {
    let station: Station = yaml(PLAIN_STATION);
    Owner::of(&station, "radio").unwrap()
}

fn service() -> Service {
    Service {
        metadata: owner().child("radio-listen".to_owned(), Component::Relay),
        ..Service::default()
    }
}

/// Applies a Service `times` times; the answers come from `answer`.
async fn apply(
    times: usize,
    seen: Option<ObjectMeta>,
    answer: impl Fn(&Asked) -> (u16, serde_json::Value) + Send + Sync + 'static,
) -> (Result<Option<Service>, ApplyError>, MockApi) {
    let api = MockApi::default();
    let client = api.client(answer);
    let (stores, mut writers) = Stores::empty();
    if let Some(metadata) = seen {
        let partial = PartialObjectMeta {
            types: None,
            metadata,
            _phantom: std::marker::PhantomData,
        };
        fill(&mut writers.services, [partial]);
    }
    let (ledger, owner) = (Ledger::default(), owner());
    let children = Applier {
        client: &client,
        stores: &stores,
        ledger: &ledger,
        owner: &owner,
        manager: Station::MANAGER,
    };
    let mut result = Ok(None);
    for _ in 0..times {
        result = children.apply(&service()).await;
    }
    (result, api)
}

fn live() -> ObjectMeta {
    ObjectMeta {
        labels: service().metadata.labels,
        ..owned_by_station("radio-listen")
    }
}

fn answer_live(asked: &Asked) -> (u16, serde_json::Value) {
    let body = if asked.method == "GET" {
        json!({"metadata": live()})
    } else {
        value(&Service {
            metadata: live(),
            ..service()
        })
    };
    (200, body)
}

#[tokio::test]
async fn a_new_child_is_applied_with_force_and_our_name() {
    let (result, api) = apply(1, None, |asked| match asked.method.as_str() {
        "GET" => refusal(404, "NotFound"),
        _ => (
            201,
            value(&Service {
                metadata: live(),
                ..service()
            }),
        ),
    })
    .await;
    assert!(result.unwrap().is_some());
    assert_eq!(api.asked(), ["GET radio-listen", "PATCH radio-listen"]);
    let body = api.last_body("PATCH");
    assert_eq!(
        (&body["kind"], &body["metadata"]["uid"]),
        (&json!("Service"), &json!(null))
    );
}

#[tokio::test]
async fn an_existing_child_is_written_only_to_the_very_object_looked_at() {
    let (_, api) = apply(1, None, answer_live).await;
    assert_eq!(api.last_body("PATCH")["metadata"]["uid"], "radio-listen-uid");
}

#[tokio::test]
async fn an_unchanged_child_costs_no_request() {
    let (result, api) = apply(3, Some(live()), answer_live).await;
    assert!(result.unwrap().is_none());
    assert_eq!(api.asked(), ["GET radio-listen", "PATCH radio-listen"]);
}

#[tokio::test]
async fn a_child_the_watch_has_not_seen_yet_is_only_looked_at() {
    let (result, api) = apply(2, None, answer_live).await;
    assert!(result.unwrap().is_none());
    assert_eq!(
        api.asked(),
        ["GET radio-listen", "PATCH radio-listen", "GET radio-listen"]
    );
}

#[tokio::test]
async fn a_child_somebody_edited_or_unlabelled_is_applied_again() {
    let edited = ObjectMeta {
        resource_version: Some("6".to_owned()),
        ..live()
    };
    let unlabelled = ObjectMeta {
        labels: None,
        ..live()
    };
    for seen in [edited, unlabelled] {
        let (stored, answered) = (seen.clone(), seen);
        let (result, api) = apply(2, Some(stored), move |asked| match asked.method.as_str() {
            "GET" => (200, json!({"metadata": answered})),
            _ => (
                200,
                value(&Service {
                    metadata: live(),
                    ..service()
                }),
            ),
        })
        .await;
        assert!(result.unwrap().is_some());
        assert_eq!(
            api.asked()
                .iter()
                .filter(|asked| asked.starts_with("PATCH"))
                .count(),
            2
        );
    }
}

#[tokio::test]
async fn a_foreign_object_is_never_written() {
    let foreign = ObjectMeta {
        owner_references: None,
        ..live()
    };
    let (result, api) = apply(1, None, move |_| (200, json!({"metadata": foreign}))).await;
    let error = result.unwrap_err();
    assert_eq!(
        (error.reason(), api.asked()),
        (reason::NAME_TAKEN, vec!["GET radio-listen".to_owned()])
    );
    assert!(matches!(error.class(), Class::Stalled { recheck: Some(_) }));
    assert!(
        error
            .to_string()
            .starts_with("Service radio-listen already exists and does not belong to Station radio")
    );
}

#[tokio::test]
async fn what_is_left_of_an_earlier_station_is_waited_for() {
    let mut old = live();
    old.owner_references.as_mut().unwrap()[0].uid = "earlier".to_owned();
    let (result, api) = apply(1, None, move |_| (200, json!({"metadata": old}))).await;
    assert!(matches!(result.unwrap_err().class(), Class::Wait(_)));
    assert_eq!(api.asked(), ["GET radio-listen"]);
}

#[tokio::test]
async fn refusals_are_told_with_kind_and_name() {
    for (code, why, class) in [
        (403, "Forbidden", Class::Retry),
        (404, "NotFound", Class::Retry),
        (409, "Conflict", Class::Wait(Duration::from_secs(1))),
        (
            422,
            "Invalid",
            Class::Stalled {
                recheck: Some(Duration::from_mins(5)),
            },
        ),
        (500, "InternalError", Class::Retry),
    ] {
        let (result, _) = apply(1, None, move |asked| match asked.method.as_str() {
            "GET" => refusal(404, "NotFound"),
            _ => refusal(code, why),
        })
        .await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.class(), error.reason()),
            (class, reason::API_ERROR),
            "{code}"
        );
        assert_eq!(
            message(&error),
            format!("failed to apply Service radio-listen: the API server says {why}")
        );
    }
}
