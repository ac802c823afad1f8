//! What the tests share: samples through the real `validate`, fixed passwords, a mock API server, and what every set
//! of conditions has to satisfy. No IO.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::http::{Request, Response};
use ingest::{
    api::{Aired, Container, Refusal, RefusalReason, Session},
    config::Routing,
};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::{
    Client, Resource,
    client::Body,
    core::DeserializeGuard,
    runtime::{
        events::{Recorder, Reporter},
        reflector::store::Writer,
        watcher::Event,
    },
};
use prometheus_client::registry::Registry;
use radio_crds::{
    Mount, Recording, Station,
    conditions::{READY, RECONCILING, STALLED},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    context::{Context, Images},
    k8s::{
        apply::Ledger,
        backoff::Backoff,
        conditions::{OURS, find},
    },
    metrics::Metrics,
    mount::{
        self,
        fetch::{Connected, Missing},
        inputs::Secrets,
        validate::ValidMount,
    },
    notices::Notices,
    recorders::Recorders,
    sources::Sources,
    station::{
        self,
        credentials::{ADMIN, Credentials, RELAY, SOURCE, TAPE},
        roll::Roll,
        validate::ValidStation,
    },
    text::Password,
    watch::{Stores, Writers},
};

/// A Station with every optional field.
pub const FULL_STATION: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Station
metadata: {name: radio, namespace: city, uid: station-uid, generation: 4, creationTimestamp: "2026-08-01T10:00:00Z"}
spec:
  title: 'Söder & Söhne "live" 🎙️'
  description: Music & talk
  genre: jazz
  website: https://radio.example.org/?a=1&b=2
  hostname: radio.example.org
  icecast: {image: registry.example.org/icecast:2}
  relays: {replicas: 3}
  ingest:
    image: registry.example.org/ingest:2
    tape: {size: 20Gi, storageClassName: fast}
"#;

/// A Station with nothing but what is required.
pub const PLAIN_STATION: &str = r"
apiVersion: radio.moafunk.de/v1alpha1
kind: Station
metadata: {name: radio, namespace: city, uid: station-uid, generation: 1}
spec: {title: Radio}
";

/// A Mount with every optional field.
pub const FULL_MOUNT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Mount
metadata: {name: talk, namespace: city, uid: talk-uid, generation: 2, creationTimestamp: "2026-08-01T12:00:00Z"}
spec:
  stationRef: {name: radio}
  path: /city/talk
  title: Talk & more
  outputs:
  - {name: hq.mp3, codec: mp3, bitrateKbps: 320}
  - {name: low, codec: opus, bitrateKbps: 32}
  inputs:
  - {name: studio}
  - {name: van, username: anna, passwordSecretRef: {name: djs, key: van}}
  playlists:
  - {name: day, configMap: {name: day-music}}
  - {name: night, mode: inOrder, volume: {claimName: music, path: night/calm}}
  emergency: {configMap: {name: day-music, key: sorry.ogg}}
  liquidsoap: {image: "registry.example.org/liquidsoap:2"}
"#;

/// A Mount with nothing but what is required.
pub const PLAIN_MOUNT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Mount
metadata: {name: live, namespace: city, uid: live-uid, generation: 1, creationTimestamp: "2026-08-01T11:00:00Z"}
spec: {stationRef: {name: radio}, path: /live}
"#;

/// A Mount whose only source is heard as it comes.
pub const PASSTHROUGH_MOUNT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Mount
metadata: {name: mic, namespace: city, uid: mic-uid, generation: 1, creationTimestamp: "2026-08-01T13:00:00Z"}
spec: {stationRef: {name: radio}, path: /city/mic.mp3, title: "Mic & more", passthrough: {}}
"#;

/// A Mount whose sources are heard as they come, each with a key of its own.
pub const WILDCARD_MOUNT: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Mount
metadata: {name: mics, namespace: city, uid: mics-uid, generation: 1, creationTimestamp: "2026-08-01T14:00:00Z"}
spec: {stationRef: {name: radio}, path: "/mic-*.opus", passthrough: {keysSecretRef: {name: mic-keys}}}
"#;

/// An object from YAML.
pub fn yaml<K: DeserializeOwned>(text: &str) -> K {
    serde_yaml::from_str(text).expect("sample")
}

/// The images of the operator.
pub fn images() -> Images {
    Images {
        icecast: "localhost/radio/icecast:1".to_owned(),
        liquidsoap: "localhost/radio/liquidsoap:1".to_owned(),
        ingest: "localhost/radio/ingest:1".to_owned(),
        recorder: "localhost/radio/recorder:1".to_owned(),
    }
}

/// Every password in the samples contains this.
pub const SECRET: &str = "s3cr3t";

fn password(of: &str) -> Password {
    Password::parse(format!("{SECRET}&<{of}>").as_bytes()).expect("password")
}

/// Passwords that are the same in every test, and not harmless in XML.
pub fn credentials() -> Credentials {
    Credentials {
        admin: password("admin"),
        source: password("source"),
        relay: password("relay"),
        tape: password("tape"),
    }
}

/// The Secrets with the passwords of the sample Mounts' inputs.
pub fn input_secrets() -> Secrets {
    let secrets: [(&str, &[&str]); 4] = [
        ("talk-inputs", &["studio"]),
        ("djs", &["van", "bus"]),
        ("mic-inputs", &["source"]),
        ("mic-keys", &["7", "8"]),
    ];
    let value = |key: &&str| {
        let password = password(key);
        (
            (*key).to_owned(),
            ByteString(password.reveal().as_bytes().to_vec()),
        )
    };
    secrets
        .iter()
        .map(|(name, keys)| ((*name).to_owned(), keys.iter().map(value).collect()))
        .collect()
}

/// A source that is connected.
pub fn session(mount: &str, input: &str, started: Timestamp) -> Session {
    Session {
        id: format!("{input}-{started}"),
        mount: mount.to_owned(),
        input: input.to_owned(),
        path: format!("/{mount}/{input}"),
        priority: 0,
        routing: Routing::Live,
        user: "source".to_owned(),
        container: Container::Ogg,
        codec: None,
        title: None,
        started,
        bytes: 0,
        kept_from: 0,
        ended: None,
        aired: None,
        acked_by: Vec::new(),
    }
}

/// From when to when it was on air.
pub fn aired(first: Timestamp, last: Option<Timestamp>) -> Aired {
    let aired = json!({"first": first, "last": last});
    serde_json::from_value(aired).expect("what an ingest says")
}

/// A source that was not let in, at an input if it was one.
pub fn refused(place: Option<(&str, &str)>, reason: RefusalReason, at: Timestamp) -> Refusal {
    Refusal {
        number: 1,
        at,
        path: "/somewhere".to_owned(),
        mount: place.map(|(mount, _)| mount.to_owned()),
        input: place.map(|(_, input)| input.to_owned()),
        from: "10.1.2.3".to_owned(),
        reason,
        message: format!("not let in: {}.", reason.as_str()),
    }
}

/// The Secret that holds them.
pub fn credentials_secret() -> Secret {
    let fixed = credentials();
    let entry =
        |key: &str, value: &Password| (key.to_owned(), ByteString(value.reveal().as_bytes().to_vec()));
    Secret {
        metadata: owned_by_station("radio-credentials"),
        data: Some(BTreeMap::from([
            entry(ADMIN, &fixed.admin),
            entry(SOURCE, &fixed.source),
            entry(RELAY, &fixed.relay),
            entry(TAPE, &fixed.tape),
        ])),
        ..Secret::default()
    }
}

/// Metadata of a child of the sample Station.
pub fn owned_by_station(name: &str) -> ObjectMeta {
    let station: Station = yaml(PLAIN_STATION);
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("city".to_owned()),
        uid: Some(format!("{name}-uid")),
        resource_version: Some("5".to_owned()),
        owner_references: Some(vec![station.controller_owner_ref(&()).expect("uid")]),
        ..ObjectMeta::default()
    }
}

/// A Station as it would be built.
pub fn valid_station(station: &str, mounts: &[&str]) -> ValidStation {
    valid_station_with(station, mounts, Vec::new())
}

/// The same, with Recordings that need its tape.
pub fn valid_station_with(station: &str, mounts: &[&str], recordings: Vec<Recording>) -> ValidStation {
    let spec = station::validate::spec(&yaml(station), &images()).expect("valid Station");
    let mounts = mounts.iter().map(|mount| yaml(mount)).collect();
    station::validate::validate(
        spec,
        &station::fetch::Fetched {
            credentials: credentials(),
            mounts,
            secrets: input_secrets(),
            roll: Roll::Idle,
            recordings,
            fill: None,
            shows: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        },
    )
}

/// What a Mount of the full Station finds.
pub fn fetched_for_mount(siblings: Vec<Mount>, missing: Vec<Missing>) -> mount::fetch::Fetched {
    mount::fetch::Fetched {
        station: Some(yaml(FULL_STATION)),
        credentials: Some(credentials_secret()),
        siblings,
        missing,
        secrets: input_secrets(),
        connected: Connected::Unknown,
        before: None,
    }
}

/// A Mount as it would be built.
pub fn valid_mount(mount: &str) -> ValidMount {
    let object: Mount = yaml(mount);
    let spec = mount::validate::spec(&object, &images()).expect("valid Mount");
    mount::validate::validate(spec, &fetched_for_mount(vec![object], Vec::new())).expect("valid Mount")
}

/// What kstatus, and so `kubectl wait`, Flux, Argo CD and Helm, rely on.
pub fn assert_kstatus(conditions: &[Condition], generation: i64) {
    let ready = find(conditions, READY).expect("Ready is always there");
    let present = |type_| find(conditions, type_).is_some();
    for condition in conditions {
        assert!(OURS.contains(&condition.type_.as_str()), "{condition:?}");
        assert_eq!(condition.observed_generation, Some(generation), "{condition:?}");
        assert!(
            !condition.message.is_empty() && condition.message.len() <= 1024,
            "{condition:?}"
        );
        assert!(
            condition.reason.chars().all(char::is_alphanumeric) && !condition.reason.is_empty(),
            "{condition:?}"
        );
        assert!(!condition.message.contains(SECRET), "{condition:?}");
        if [RECONCILING, STALLED].contains(&condition.type_.as_str()) {
            assert_eq!(condition.status, "True", "absent or True: {condition:?}");
        }
    }
    match ready.status.as_str() {
        "True" => assert!(!present(RECONCILING) && !present(STALLED), "{conditions:?}"),
        "False" => assert!(present(RECONCILING) != present(STALLED), "{conditions:?}"),
        other => panic!("Ready is {other}"),
    }
}

/// A request as the mock API server got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// GET, PATCH, ...
    pub method: String,
    /// Without query.
    pub path: String,
    /// Which form of the answer is asked for.
    pub accept: String,
    /// Null for GET.
    pub body: Value,
}

/// An API server that answers by a function, and remembers what it was asked.
#[derive(Clone, Default)]
pub struct MockApi {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl MockApi {
    /// A client of it.
    pub fn client(&self, answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Client {
        let asked = self.asked.clone();
        let answer = Arc::new(answer);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (asked, answer) = (asked.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await?;
                let request = Asked {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    accept: parts.headers.get("accept").map_or_else(String::new, |accept| {
                        String::from_utf8_lossy(accept.as_bytes()).into_owned()
                    }),
                    body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                };
                let (code, body) = answer(&request);
                asked.lock().unwrap().push(request);
                let response = Response::builder()
                    .status(code)
                    .header("content-type", "application/json");
                Ok::<_, tower::BoxError>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
            }
        });
        Client::new(service, "city")
    }

    /// `METHOD last-part-of-the-path` of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked_with("")
    }

    /// The same, of requests for this form of the answer.
    pub fn asked_with(&self, accept: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|asked| asked.accept.contains(accept))
            .map(|asked| format!("{} {}", asked.method, last(&asked.path)))
            .collect()
    }

    /// The bodies of all requests with this method so far.
    pub fn bodies(&self, method: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let with = asked.iter().filter(|asked| asked.method == method);
        with.map(|asked| asked.body.clone()).collect()
    }

    /// The body of the last request with this method.
    pub fn last_body(&self, method: &str) -> Value {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .rev()
            .find(|asked| asked.method == method)
            .expect("such a request")
            .body
            .clone()
    }
}

/// The last part of a path, `/status` kept with its object.
fn last(path: &str) -> String {
    let parts: Vec<_> = path.split('/').collect();
    let keep = if parts.last() == Some(&"status") { 2 } else { 1 };
    parts[parts.len() - keep..].join("/")
}

/// An answer of the API server that is a refusal.
pub fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let message = format!("the API server says {reason}");
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

/// The context of one reconcile.
pub fn context(client: Client, stores: Stores) -> Context {
    let reporter = Reporter {
        controller: "test".to_owned(),
        instance: None,
    };
    Context {
        clock: Clock::default(),
        sources: Sources::new(Timestamp::UNIX_EPOCH).0,
        recorders: Recorders::new().0,
        notices: Notices::default(),
        recorder: Recorder::new(client.clone(), reporter.clone()),
        reporter,
        client,
        images: images(),
        stores: Arc::new(stores),
        ledger: Ledger::default(),
        backoff: Backoff::default(),
        metrics: Arc::new(Metrics::register(&mut Registry::default())),
    }
}

/// Stores with these Stations and Mounts in them.
pub fn stores(stations: &[Station], mounts: &[Mount]) -> (Stores, Writers) {
    let (stores, mut writers) = Stores::empty();
    fill(
        &mut writers.stations,
        stations
            .iter()
            .map(|station| DeserializeGuard(Ok(station.clone()))),
    );
    fill(
        &mut writers.mounts,
        mounts.iter().map(|mount| DeserializeGuard(Ok(mount.clone()))),
    );
    (stores, writers)
}

/// Puts objects into a store, as a watch would.
pub fn fill<K>(writer: &mut Writer<K>, objects: impl IntoIterator<Item = K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    for object in objects {
        writer.apply_watcher_event(&Event::Apply(object));
    }
}

/// An object as JSON.
pub fn value<T: Serialize>(object: &T) -> Value {
    serde_json::to_value(object).expect("serializes")
}
