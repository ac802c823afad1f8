use insta::{assert_snapshot, assert_yaml_snapshot};
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Resource, ResourceExt};
use radio_crds::{Recording, RecordingStatus, recording::Over};

use super::*;
use crate::{
    k8s::meta::Owner,
    recording::sample,
    station::{
        readers::digest,
        roll::{Connected, Roll},
    },
    testing::{
        FULL_MOUNT, FULL_STATION, PASSTHROUGH_MOUNT, PLAIN_MOUNT, PLAIN_STATION, SECRET, WILDCARD_MOUNT,
        valid_station, valid_station_with, value, yaml,
    },
};

const MOUNTS: [&str; 4] = [PLAIN_MOUNT, FULL_MOUNT, PASSTHROUGH_MOUNT, WILDCARD_MOUNT];

fn full() -> Desired {
    build(&valid_station(FULL_STATION, &MOUNTS))
}

fn xml(secret: &Secret) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()["icecast.xml"].0.clone()).unwrap()
}

fn json(secret: &Secret, key: &str) -> serde_json::Value {
    serde_json::from_slice(&secret.data.as_ref().unwrap()[key].0).unwrap()
}

/// Everything but the content, which has a snapshot of its own.
fn frame(secret: &Secret) -> Secret {
    Secret {
        data: None,
        ..secret.clone()
    }
}

#[test]
fn the_origin() {
    assert_yaml_snapshot!(full().origin);
}

#[test]
fn the_relays() {
    assert_yaml_snapshot!(full().relay);
}

#[test]
fn the_ingest() {
    assert_yaml_snapshot!(full().ingest);
}

#[test]
fn the_ingest_of_a_station_nobody_sends_to() {
    let ephemeral = PLAIN_STATION.replace(
        "{title: Radio}",
        "{title: Radio, ingest: {tape: {ephemeral: true, size: 500Mi}}}",
    );
    assert_yaml_snapshot!(build(&valid_station(&ephemeral, &[PLAIN_MOUNT])).ingest);
}

#[test]
fn the_services() {
    let Desired {
        origin_service,
        listen_service,
        source_service,
        tape_service,
        ..
    } = full();
    assert_yaml_snapshot!((origin_service, listen_service, source_service, tape_service));
}

#[test]
fn the_configuration_of_the_ingest() {
    let secret = full().ingest_config;
    assert_yaml_snapshot!(frame(&secret));
    let told = json(&secret, "ingest.json");
    assert_yaml_snapshot!(told);
    assert!(!told.to_string().contains(SECRET));
    let read: ::ingest::config::Ingest = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(value(&read), told);
}

#[test]
fn the_feeds_of_the_origin() {
    let told = json(&full().origin_config, "feeds.json");
    assert_yaml_snapshot!(told);
    let read: ::ingest::config::Feeds = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(value(&read), told);
    let without = build(&valid_station(FULL_STATION, &[PLAIN_MOUNT, FULL_MOUNT]));
    assert!(!without.origin_config.data.unwrap().contains_key("feeds.json"));
}

/// The tokens in the configurations of readers are those the ingest knows.
#[test]
fn every_reader_is_let_in() {
    let desired = full();
    let known = json(&desired.ingest_config, "ingest.json");
    let digest_of = |name: &str| {
        let mut readers = known["readers"].as_array().unwrap().iter();
        readers.find(|reader| reader["name"] == name).unwrap()["sha256"].clone()
    };
    let origin = json(&desired.origin_config, "feeds.json")["tape"]["token"].clone();
    assert_eq!(digest(origin.as_str().unwrap()), digest_of("origin"));
    let talk = crate::mount::build::build(&crate::testing::valid_mount(FULL_MOUNT)).unwrap();
    let playout = json(&talk.config, "playout.json");
    let token = playout["tape"]["token"].as_str().unwrap();
    assert_eq!(digest(token), digest_of("playout/talk"));
}

#[test]
fn the_rights() {
    let Access {
        service_account,
        role,
        binding,
    } = full().relay_access;
    assert_yaml_snapshot!((service_account, role, binding));
}

#[test]
fn the_configuration_of_the_origin() {
    let secret = full().origin_config;
    assert_yaml_snapshot!(frame(&secret));
    assert_snapshot!(xml(&secret));
}

#[test]
fn the_configuration_of_the_relays() {
    let secret = full().relay_config;
    assert_yaml_snapshot!(frame(&secret));
    assert_snapshot!(xml(&secret));
}

#[test]
fn a_station_without_mounts() {
    let Desired {
        origin_config,
        relay_config,
        ..
    } = build(&valid_station(PLAIN_STATION, &[]));
    assert_snapshot!(xml(&origin_config));
    assert_snapshot!(xml(&relay_config));
}

#[test]
fn every_name() {
    let desired = full();
    let mut names = Vec::new();
    let mut add = |kind: &str, name: String| names.push(format!("{kind} {name}"));
    for access in [
        &desired.origin_access,
        &desired.relay_access,
        &desired.ingest_access,
    ] {
        add("ServiceAccount", access.service_account.name_any());
        add("Role", access.role.name_any());
        add("RoleBinding", access.binding.name_any());
    }
    for secret in [
        &desired.origin_config,
        &desired.relay_config,
        &desired.ingest_config,
    ] {
        add("Secret", secret.name_any());
    }
    for service in [
        &desired.origin_service,
        &desired.listen_service,
        &desired.source_service,
        &desired.tape_service,
    ] {
        add("Service", service.name_any());
    }
    for deployment in [&desired.origin, &desired.relay] {
        add("Deployment", deployment.name_any());
    }
    add("StatefulSet", desired.ingest.name_any());
    assert_snapshot!(names.join("\n"));
}

#[test]
fn every_child_is_owned_and_labelled() {
    let desired = full();
    let metas = [
        desired.origin_access.service_account.meta(),
        desired.origin_access.role.meta(),
        desired.origin_access.binding.meta(),
        desired.ingest_access.service_account.meta(),
        desired.ingest_access.role.meta(),
        desired.ingest_access.binding.meta(),
        desired.origin_config.meta(),
        desired.relay_config.meta(),
        desired.ingest_config.meta(),
        desired.origin_service.meta(),
        desired.listen_service.meta(),
        desired.source_service.meta(),
        desired.tape_service.meta(),
        desired.origin.meta(),
        desired.relay.meta(),
        desired.ingest.meta(),
    ];
    for meta in metas {
        let owner = &meta.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("Station", "station-uid", Some(true))
        );
        let labels = meta.labels.as_ref().unwrap();
        assert_eq!(labels["app.kubernetes.io/managed-by"], "radio-operator");
        assert_eq!(labels["radio.moafunk.de/station"], "radio");
        assert!(meta.namespace.as_deref() == Some("city") && meta.annotations.is_none());
    }
}

#[test]
fn recordings_are_named_and_may_read() {
    let mut station = valid_station(FULL_STATION, &[]);
    assert!(!station.ingest.wanted);
    let over = RecordingStatus {
        over: Some(Over::Idle),
        ended_at: Some(Time("2026-11-21T15:00:00Z".parse().unwrap())),
        ..RecordingStatus::default()
    };
    let mut stored: Recording = yaml(&sample::PLAIN.replace("live-", "over-"));
    stored.status = Some(over);
    station = valid_station_with(
        FULL_STATION,
        &[],
        vec![yaml(sample::PLAIN), yaml(sample::FULL), stored],
    );
    // Their Mounts are gone, and what they sent is not archived yet.
    assert!(station.ingest.wanted);
    let told = json(&build(&station).ingest_config, "ingest.json");
    assert_yaml_snapshot!((&told["recordings"], &told["readers"]));
    assert_eq!(
        value(&build(&station).ingest.spec.unwrap().template),
        value(&full().ingest.spec.unwrap().template)
    );
}

/// Mounts, passwords and what listeners read are reloaded by the agents: a pod must not be replaced for them.
#[test]
fn only_image_and_number_of_relays_touch_the_pods() {
    let before = full();
    let mut other = valid_station(FULL_STATION, &[FULL_MOUNT]);
    other.credentials.tape = crate::text::Password::random();
    other.credentials.source = crate::text::Password::random();
    other.credentials.relay = crate::text::Password::random();
    other.spec.identity.title = crate::text::Line::parse("title", "Another", 200).unwrap();
    other.spec.hostname = crate::text::HostName::parse("hostname", "other.example.org").unwrap();
    let after = build(&other);
    assert_eq!(value(&before.origin), value(&after.origin));
    assert_eq!(value(&before.relay), value(&after.relay));
    assert_eq!(value(&before.ingest), value(&after.ingest));
    assert_ne!(value(&before.ingest_config), value(&after.ingest_config));
    assert_ne!(value(&before.origin_config), value(&after.origin_config));

    let template = |desired: &Desired| value(&desired.relay.spec.as_ref().unwrap().template);
    let plain = build(&valid_station(PLAIN_STATION, &[]));
    assert_ne!(template(&before), template(&plain));
    other.spec.relays = 9;
    assert_eq!(template(&before), template(&build(&other)));
}

#[test]
fn an_input_without_a_password_stays_and_nothing_opens_it() {
    let mut station = valid_station(FULL_STATION, &MOUNTS);
    let inputs =
        |station: &ValidStation| json(&build(station).ingest_config, "ingest.json")["inputs"].clone();
    let mut before = inputs(&station);
    for door in &mut station.ingest.doors {
        door.password = None;
    }
    let told = inputs(&station);
    for input in before.as_array_mut().unwrap() {
        input["credentials"] = serde_json::json!([]);
    }
    assert_eq!(told, before);
    assert_eq!(told.as_array().unwrap().len(), 5);
}

#[test]
fn a_new_version_of_the_ingest_is_held_back() {
    let mut station = valid_station(FULL_STATION, &MOUNTS);
    let mut partition = |roll: Roll| {
        station.roll = roll;
        let strategy = build(&station).ingest.spec.unwrap().update_strategy.unwrap();
        strategy.rolling_update.unwrap().partition
    };
    assert_eq!(partition(Roll::Held(Connected::Unknown)), Some(1));
    assert_eq!(partition(Roll::Now), Some(0));
}

/// Kubernetes appends a hash of up to 11 characters to it in a pod's label.
#[test]
fn names_fit_at_their_longest() {
    let longest = "x".repeat(radio_crds::MAX_NAME_LENGTH);
    let mut station: radio_crds::Station = yaml(PLAIN_STATION);
    station.metadata.name = Some(longest.clone());
    let owner = Owner::of(&station, &longest).unwrap();
    assert!(names::ingest(&owner.name).len() + 11 <= 63);
}

/// A Station with a Mount of two inputs, and Shows.
fn with_shows(shows: &[&str]) -> ValidStation {
    let spec = crate::station::validate::spec(&yaml(FULL_STATION), &crate::testing::images()).unwrap();
    let mut secrets = crate::testing::input_secrets();
    let presenters = [(
        "anna".to_owned(),
        k8s_openapi::ByteString(format!("{SECRET} anna").into_bytes()),
    )];
    secrets.insert("night-presenters".to_owned(), presenters.into());
    let fetched = crate::station::fetch::Fetched {
        credentials: crate::testing::credentials(),
        mounts: vec![yaml(FULL_MOUNT)],
        secrets,
        roll: Roll::Idle,
        recordings: Vec::new(),
        fill: None,
        shows: shows.iter().map(|show| yaml(show)).collect(),
        now: "2026-11-21T19:40:00Z".parse().unwrap(),
    };
    crate::station::validate::validate(spec, &fetched)
}

const NIGHT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night, namespace: city, uid: show-uid, generation: 1, creationTimestamp: "2026-08-01T11:00:00Z"}
spec:
  mountRef: {name: talk}
  title: Night Shift
  schedule: {cron: "0 20 * * SAT", duration: 2h}
  presenters: [{username: anna}, {username: nobody}]
  inputs: [studio]
"#;

#[test]
fn presenters_of_shows_open_inputs_in_their_turns() {
    let secret = build(&with_shows(&[NIGHT])).ingest_config;
    let told = json(&secret, "ingest.json");
    let credentials = |input: usize| told["inputs"][input]["credentials"].as_array().unwrap().clone();
    assert_eq!(told["inputs"][1]["name"], "van");
    assert_eq!(credentials(1).len(), 1);
    // Whoever has the Mount's own password gets in at any time, as ever.
    assert_eq!(credentials(0)[0].get("turns"), None);
    assert_eq!(
        credentials(0)[1],
        serde_json::json!({
            "user": "anna",
            "sha256": digest(&format!("{SECRET} anna")),
            "routing": "rehearsal",
            "show": "Night Shift",
            "turns": [{
                "start": "2026-11-21T20:00:00Z",
                "end": "2026-11-21T22:00:00Z",
                "opens": "2026-11-21T19:45:00Z",
                "closes": "2026-11-21T22:15:00Z",
                "liveFrom": "2026-11-21T19:45:00Z",
                "liveUntil": "2026-11-21T22:15:00Z",
                "hardEnd": false,
            }],
        })
    );
    assert_eq!(credentials(0).len(), 2);
    assert!(!told.to_string().contains(SECRET));
    // It is what the ingest reads.
    let read: ::ingest::config::Ingest = serde_json::from_value(told).unwrap();
    assert_eq!(read.inputs[0].credentials[1].turns.len(), 1);
    // Nothing of it restarts anything.
    assert_eq!(
        build(&with_shows(&[NIGHT])).ingest,
        build(&with_shows(&[])).ingest
    );
}

#[test]
fn very_many_shows_still_fit_into_a_secret() {
    let often = NIGHT.replace("0 20 * * SAT", "0 */3 * * *");
    let presenters: Vec<String> = (0..16)
        .map(|number| {
            format!("{{username: p{number}, passwordSecretRef: {{name: night-presenters, key: anna}}}}")
        })
        .collect();
    let often = often.replace("{username: anna}, {username: nobody}", &presenters.join(", "));
    let shows: Vec<String> = (0..60)
        .map(|number| often.replace("name: night,", &format!("name: night{number},")))
        .collect();
    let shows: Vec<&str> = shows.iter().map(String::as_str).collect();
    let secret = build(&with_shows(&shows)).ingest_config;
    let size = secret.data.as_ref().unwrap()["ingest.json"].0.len();
    assert!((500_000..=1_000_000).contains(&size), "{size}");
    let told = json(&secret, "ingest.json");
    for credential in &told["inputs"][0]["credentials"].as_array().unwrap()[1..] {
        let turns = credential["turns"].as_array().unwrap();
        // The one in its overrun, and the next.
        assert_eq!(turns[0]["start"], "2026-11-21T18:00:00Z");
        assert_eq!(turns[1]["start"], "2026-11-21T21:00:00Z");
    }
}
