use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::json;

use super::{secrets as secrets_of, *};
use crate::testing::{SECRET, yaml};

const NIGHT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night, namespace: city, uid: show-uid, generation: 1, creationTimestamp: "2026-08-01T11:00:00Z"}
spec:
  mountRef: {name: talk}
  title: Night Shift
  schedule: {cron: "0 20 * * SAT", duration: 2h}
  presenters:
  - {username: anna}
  - {username: bert, passwordSecretRef: {name: guests, key: Bert}}
  - {username: cleo, passwordSecretRef: {name: guests, key: cleo}}
"#;

fn secrets() -> Secrets {
    let entry = |key: &str| {
        (
            key.to_owned(),
            ByteString(format!("{SECRET} of {key}\n").into_bytes()),
        )
    };
    BTreeMap::from([
        ("night-presenters".to_owned(), BTreeMap::from([entry("anna")])),
        ("guests".to_owned(), BTreeMap::from([entry("Bert")])),
    ])
}

fn cast(show: &Show) -> Cast {
    let all = Cast::all(
        std::slice::from_ref(show),
        &secrets(),
        "2026-11-21T12:00:00Z".parse().unwrap(),
    );
    all.into_iter().next().unwrap()
}

fn users(cast: &Cast, mount: &str, input: &str) -> Vec<String> {
    cast.at(mount, input)
        .map(|presenter| presenter.user.to_string())
        .collect()
}

#[test]
fn whoever_has_a_password_may_connect_to_every_input_of_the_mount() {
    let show: Show = yaml(NIGHT);
    assert_eq!(secrets_of(&show), ["night-presenters", "guests", "guests"]);
    let cast = cast(&show);
    assert_eq!(users(&cast, "talk", "studio"), ["anna", "bert"]);
    assert_eq!(users(&cast, "talk", "van"), ["anna", "bert"]);
    assert_eq!(users(&cast, "live", "studio"), [""; 0]);
    let anna = cast.at("talk", "studio").next().unwrap();
    assert_eq!(anna.password.reveal(), format!("{SECRET} of anna"));
    assert_eq!(anna.show, "Night Shift");
    assert_eq!(anna.turns.len(), 1);
    assert!(!format!("{cast:?}").contains(SECRET));
}

#[test]
fn inputs_may_be_named() {
    let mut show: Show = yaml(NIGHT);
    show.spec.inputs = vec!["van".to_owned()];
    assert_eq!(users(&cast(&show), "talk", "studio"), [""; 0]);
    assert_eq!(users(&cast(&show), "talk", "van").len(), 2);
    show.spec.inputs = Vec::new();
    show.spec.input = Some("7".to_owned());
    assert_eq!(users(&cast(&show), "talk", "7").len(), 2);
    assert_eq!(users(&cast(&show), "talk", "8"), [""; 0]);
}

#[test]
fn a_presenter_without_a_slot_is_told_so_all_the_same() {
    let mut show: Show = yaml(NIGHT);
    show.spec.suspend = Some(true);
    let cast = cast(&show);
    let anna = cast.at("talk", "studio").next().unwrap();
    assert_eq!(anna.turns, []);
}

#[test]
fn what_an_older_rule_let_through_opens_nothing() {
    let mut show: Show = yaml(NIGHT);
    show.spec.title = "#{exit}".to_owned();
    show.spec.presenters[0].username = "a:b".to_owned();
    show.spec.presenters[1] = serde_json::from_value(
        json!({"username": "bert", "passwordSecretRef": {"name": "../guests", "key": "Bert"}}),
    )
    .unwrap();
    assert_eq!(secrets_of(&show), ["guests"]);
    assert_eq!(users(&cast(&show), "talk", "studio"), [""; 0]);
    show.spec.presenters = yaml::<Show>(NIGHT).spec.presenters;
    let cast = cast(&show);
    assert_eq!(cast.at("talk", "studio").next().unwrap().show, "night");
}
