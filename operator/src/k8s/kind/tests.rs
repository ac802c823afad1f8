use kube::core::DeserializeGuard;
use radio_crds::{Mount, Station, StationStatus};
use serde_json::json;

use super::*;
use crate::testing::{
    Asked, FULL_MOUNT, MockApi, PASSTHROUGH_MOUNT, PLAIN_MOUNT, PLAIN_STATION, SECRET, assert_kstatus,
    context, credentials_secret, fill, refusal, refused, session, stores, value, yaml,
};

fn station() -> Station {
    let mut station: Station = yaml(PLAIN_STATION);
    station.metadata.resource_version = Some("41".to_owned());
    station
}

async fn run<K: Kind>(
    object: K,
    stations: &[Station],
    answer: impl Fn(&Asked) -> (u16, serde_json::Value) + Send + Sync + 'static,
) -> (Result<Action, Failure>, MockApi) {
    let api = MockApi::default();
    let (stores, _writers) = stores(stations, &[]);
    let context = Arc::new(context(api.client(answer), stores));
    (
        reconcile(Arc::new(DeserializeGuard(Ok(object))), context).await,
        api,
    )
}

/// Everything works; what is written comes back.
fn works(asked: &Asked) -> (u16, serde_json::Value) {
    match asked.method.as_str() {
        "GET" if asked.path.ends_with("credentials") => (200, value(&credentials_secret())),
        "GET" => refusal(404, "NotFound"),
        _ => (200, asked.body.clone()),
    }
}

#[tokio::test]
async fn a_station_is_made_in_order_and_its_status_written_last() {
    let (result, api) = run(station(), &[], works).await;
    assert!(result.is_ok());
    let asked = api.asked();
    let writes: Vec<_> = asked.iter().filter(|asked| !asked.starts_with("GET")).collect();
    let position = |wanted: &str| writes.iter().position(|asked| asked.as_str() == wanted).unwrap();
    assert_eq!(writes.len(), 21, "{writes:?}");
    assert!(position("PATCH radio/status") > position("PATCH radio-relay"));
    assert_eq!(writes.last().unwrap().as_str(), "POST events");
    let body = api.last_body("PATCH");
    // Only if nobody wrote in between.
    assert_eq!(body["metadata"]["resourceVersion"], "41");
    let status: StationStatus = serde_json::from_value(body["status"].clone()).unwrap();
    assert_kstatus(&status.conditions, 1);
    assert!(!body.to_string().contains(SECRET));
}

#[tokio::test]
async fn passwords_are_made_once() {
    let (result, api) = run(station(), &[], |asked| match asked.method.as_str() {
        "GET" => refusal(404, "NotFound"),
        "POST" if asked.path.ends_with("/secrets") => (201, asked.body.clone()),
        _ => (200, asked.body.clone()),
    })
    .await;
    assert!(result.is_ok());
    assert_eq!(
        api.asked()
            .iter()
            .filter(|asked| asked.as_str() == "POST secrets")
            .count(),
        1
    );

    // Another process was faster: nothing else is written with our passwords.
    let (result, api) = run(station(), &[], |asked| match asked.method.as_str() {
        "GET" => refusal(404, "NotFound"),
        "POST" if asked.path.ends_with("/secrets") => refusal(409, "AlreadyExists"),
        _ => (200, asked.body.clone()),
    })
    .await;
    assert!(result.is_err());
    assert_eq!(
        api.asked(),
        [
            "GET radio-credentials",
            "POST secrets",
            "PATCH radio/status",
            "POST events"
        ]
    );
}

#[tokio::test]
async fn the_status_is_written_whatever_fails() {
    for code in [403_u16, 404, 409, 422, 429, 500] {
        let (result, api) = run(station(), &[], move |asked| match asked.method.as_str() {
            "PATCH" if asked.path.ends_with("/serviceaccounts/radio-origin-0") => refusal(code, "Refused"),
            _ => works(asked),
        })
        .await;
        assert!(result.is_err());
        let status: StationStatus = serde_json::from_value(api.last_body("PATCH")["status"].clone()).unwrap();
        assert_kstatus(&status.conditions, 1);
        assert_eq!(status.conditions[0].reason, reason::API_ERROR);
        assert!(
            status.conditions[0]
                .message
                .contains("ServiceAccount radio-origin-0"),
            "{:?}",
            status.conditions
        );
    }
}

#[tokio::test]
async fn an_equal_status_is_not_written() {
    let (_, api) = run(station(), &[], works).await;
    let mut again = station();
    again.status = serde_json::from_value(api.last_body("PATCH")["status"].clone()).unwrap();
    let (result, api) = run(again, &[], works).await;
    assert!(result.is_ok());
    let asked = api.asked();
    assert!(
        !asked
            .iter()
            .any(|asked| asked.ends_with("status") || asked.ends_with("events")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_status_made_from_an_old_copy_is_not_forced_and_makes_no_event() {
    let (result, api) = run(station(), &[], |asked| {
        if asked.path.ends_with("/status") {
            refusal(409, "Conflict")
        } else {
            works(asked)
        }
    })
    .await;
    assert_eq!(result.unwrap_err().class, Class::Wait(Duration::from_secs(1)));
    assert!(!api.asked().iter().any(|asked| asked.ends_with("events")));
}

#[tokio::test]
async fn a_mount_without_station_says_so_and_makes_nothing() {
    let mount: Mount = yaml(PLAIN_MOUNT);
    let (result, api) = run(mount, &[], works).await;
    assert!(matches!(result.unwrap_err().class, Class::Wait(_)));
    assert_eq!(api.asked(), ["PATCH live/status", "POST events"]);
}

#[tokio::test]
async fn a_mount_with_station_is_made() {
    let mount: Mount = yaml(PLAIN_MOUNT);
    let (result, api) = run(mount, &[station()], works).await;
    assert!(result.is_ok());
    let written = api.asked();
    let written: Vec<_> = written
        .iter()
        .filter(|asked| asked.starts_with("PATCH"))
        .collect();
    assert_eq!(written.len(), 6, "{written:?}");
    assert!(!api.last_body("PATCH").to_string().contains(SECRET));
}

#[tokio::test]
async fn passwords_nobody_gave_are_made_and_others_read() {
    let (result, api) = run(yaml::<Mount>(FULL_MOUNT), &[station()], works).await;
    assert!(result.is_ok());
    let asked = api.asked();
    assert!(asked.contains(&"POST secrets".to_owned()) && asked.contains(&"GET djs".to_owned()));
    let status = api.last_body("PATCH")["status"].clone();
    let condition = &status["conditions"][0];
    // Nobody has made the Secret `djs`: told, and the input made by us can be used.
    assert!(
        status["inputs"][0]["secretRef"]["name"] == "talk-inputs" && condition["type"] == "Ready",
        "{status}"
    );
    assert!(!status.to_string().contains(SECRET));
}

#[tokio::test]
async fn a_passthrough_mount_makes_its_password_and_nothing_else() {
    let (result, api) = run(yaml::<Mount>(PASSTHROUGH_MOUNT), &[station()], works).await;
    assert!(result.is_ok());
    let asked = api.asked();
    let writes: Vec<_> = asked.iter().filter(|asked| !asked.starts_with("GET")).collect();
    assert_eq!(writes, ["POST secrets", "PATCH mic/status", "POST events"]);
}

/// A source is told with the status that says so, in an Event of its own, and not again.
#[tokio::test]
async fn who_came_and_who_was_refused_are_told_once() {
    let key = ("city".to_owned(), "radio".to_owned());
    let at = jiff::Timestamp::constant(1_800_000_000, 0);
    let api = MockApi::default();
    let (stores, mut writers) = stores(&[station()], &[]);
    fill(&mut writers.stateful_sets, [ready_ingest()]);
    let context = Arc::new(context(api.client(works), stores));
    let access =
        crate::station::readers::access("radio", "city", &crate::text::Password::random(), "operator");
    context.sources.follow(&key, Some(access));
    let answer = ingest::api::Sessions {
        version: "1".to_owned(),
        sessions: vec![session("talk", "studio", at)],
        refusals: vec![refused(
            Some(("talk", "van")),
            ingest::api::RefusalReason::Unauthorized,
            at,
        )],
        fill: ingest::api::Fill::default(),
    };
    context.sources.answered(&key, &answer);
    let mut mount: Mount = yaml(FULL_MOUNT);
    let told = |api: &MockApi| {
        api.asked()
            .iter()
            .filter(|asked| asked.as_str() == "POST events")
            .count()
    };
    let run = |mount: &Mount| reconcile(Arc::new(DeserializeGuard(Ok(mount.clone()))), context.clone());
    assert!(run(&mount).await.is_ok());
    // One for each, and one for the conditions.
    assert_eq!(told(&api), 3);
    let status = api.last_body("PATCH")["status"].clone();
    assert_eq!(status["source"], "studio");

    mount.status = serde_json::from_value(status).unwrap();
    assert!(run(&mount).await.is_ok());
    assert_eq!(told(&api), 3);
    // As after a restart of the operator: the status is known, the limits are not.
    mount.status.as_mut().unwrap().inputs[1].last_refusal = None;
    assert!(run(&mount).await.is_ok());
    assert_eq!(told(&api), 3, "the same refusal within a minute");
}

fn ready_ingest() -> k8s_openapi::api::apps::v1::StatefulSet {
    let object = json!({
        "metadata": {"name": "radio-ingest", "namespace": "city"},
        "spec": {"selector": {}, "serviceName": "radio-tape", "template": {}},
        "status": {"replicas": 1, "readyReplicas": 1},
    });
    serde_json::from_value(object).unwrap()
}

#[tokio::test]
async fn a_station_with_a_mount_nobody_can_read_changes_nothing() {
    let odd = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Mount",
        "metadata": {"name": "odd", "namespace": "city"},
        "spec": {"stationRef": {"name": "radio"}, "path": 7},
    });
    for (of_station, written) in [("radio", false), ("another", true)] {
        let mut odd = odd.clone();
        odd["spec"]["stationRef"]["name"] = json!(of_station);
        let api = MockApi::default();
        let (stores, mut writers) = stores(&[], &[]);
        fill(
            &mut writers.mounts,
            [serde_json::from_value::<DeserializeGuard<Mount>>(odd.clone()).unwrap()],
        );
        let client = api.client(move |asked| match asked.method.as_str() {
            "GET" if asked.path.ends_with("/mounts/odd") => (200, odd.clone()),
            _ => works(asked),
        });
        let result = reconcile(
            Arc::new(DeserializeGuard(Ok(station()))),
            Arc::new(context(client, stores)),
        )
        .await;
        assert_eq!(result.is_ok(), written);
        assert_eq!(api.asked().contains(&"PATCH radio-relay".to_owned()), written);
        if let Err(failure) = result {
            assert!(matches!(failure.class, Class::Wait(_)));
            let status = api.last_body("PATCH")["status"].to_string();
            assert!(
                status.contains("MountUnreadable") && status.contains("Mount odd"),
                "{status}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_being_deleted_is_left_alone() {
    let mut station = station();
    station.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-08-01T10:00:00Z")).unwrap());
    let (result, api) = run(station, &[], works).await;
    assert_eq!(result.unwrap(), Action::await_change());
    assert_eq!(api.asked(), [""; 0]);
}

#[tokio::test]
async fn an_object_we_cannot_read_is_told_once_and_stops_nothing() {
    let mut unreadable = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1",
        "kind": "Station",
        "metadata": {"name": "odd", "namespace": "city", "uid": "u", "generation": 3, "resourceVersion": "9"},
        "spec": {"title": 7},
    });
    for asked in [
        vec!["GET odd", "PATCH odd/status", "POST events"],
        vec!["GET odd"],
    ] {
        let object: DeserializeGuard<Station> = serde_json::from_value(unreadable.clone()).unwrap();
        let (api, live) = (MockApi::default(), unreadable.clone());
        let client = api.client(move |asked| {
            (
                200,
                if asked.method == "GET" {
                    live.clone()
                } else {
                    asked.body.clone()
                },
            )
        });
        let context = Arc::new(context(client, stores(&[], &[]).0));
        let failure = reconcile(Arc::new(object), context).await.unwrap_err();
        assert_eq!(
            (failure.class, failure.reason),
            (Class::Stalled { recheck: None }, reason::INVALID_SPEC)
        );
        assert_eq!(api.asked(), asked);
        if asked.len() > 1 {
            let status = api.last_body("PATCH")["status"].clone();
            let conditions: Vec<Condition> = serde_json::from_value(status["conditions"].clone()).unwrap();
            assert_kstatus(&conditions, 3);
            assert!(
                conditions[0].message.starts_with("this Station is not of a form"),
                "{conditions:?}"
            );
            unreadable["status"] = status;
        }
    }
}

#[tokio::test]
async fn failures_come_back_in_time() {
    let context = context(MockApi::default().client(works), stores(&[], &[]).0);
    let object = DeserializeGuard(Ok(station()));
    let next = |class| {
        next_try(
            &object,
            &Failure {
                class,
                reason: "x",
                message: String::new(),
            },
            &context,
        )
    };
    assert_eq!(next(Class::Stalled { recheck: None }), Action::await_change());
    assert_ne!(
        next(Class::Stalled {
            recheck: Some(Duration::from_secs(20))
        }),
        Action::await_change()
    );
    assert_ne!(next(Class::Retry), Action::await_change());
}
