//! What the tests of this folder share: Shows and what is around them. No IO.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{ResourceExt, core::DeserializeGuard};
use radio_crds::{Mount, Recording, Show, Station, show::SlotUnderWay};
use serde_json::json;

use super::fetch::Fetched;
use crate::testing::{FULL_MOUNT, PLAIN_STATION, yaml};

/// A Show with every optional field, on Fridays from 19:00 to 21:00 UTC in winter.
pub const FULL: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night-shift, namespace: city, uid: night-shift-uid, generation: 3, creationTimestamp: "2026-08-02T10:00:00Z"}
spec:
  mountRef: {name: talk}
  title: Night & Shift
  hosts: [Anna, Bert]
  schedule: {cron: 0 20 * * FRI, timeZone: Europe/Berlin, duration: 2h}
  presenters:
  - {username: anna}
  - {username: bert, passwordSecretRef: {name: djs, key: van}}
  inputs: [studio]
  earlyConnect: 30m
  overrun: 10m
  hardEnd: false
  goLive: AtStart
  recording: {renditions: [mp3], minCoverage: 95, keep: 3, keepFor: 90d}
  missedAfter: 2m
  suspend: false
"#;

/// A Show with nothing but what is required.
pub const PLAIN: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: news, namespace: city, uid: news-uid, generation: 1, creationTimestamp: "2026-08-03T10:00:00Z"}
spec:
  mountRef: {name: talk}
  title: News
  schedule: {start: "2026-11-27T19:00:00Z", duration: 2h}
"#;

/// So many minutes after the start of a slot of both.
pub fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_795_806_000 + 60 * minute).unwrap()
}

/// The Mount of both.
pub fn mount() -> Mount {
    yaml(FULL_MOUNT)
}

/// Its Station, with storage.
pub fn station() -> Station {
    let mut station: Station = yaml(PLAIN_STATION);
    let storage = json!({"s3": {"endpoint": "http://s3", "bucket": "shows", "secretRef": {"name": "s3"}}, "spoolSize": "1Gi"});
    station.spec.storage = Some(serde_json::from_value(storage).unwrap());
    station
}

/// What is found around a Show.
pub fn fetched(siblings: &[Show], recordings: &[Recording]) -> Fetched {
    Fetched {
        mount: Some(mount()),
        station: Some(station()),
        siblings: siblings.to_vec(),
        recordings: recordings
            .iter()
            .map(|recording| {
                (
                    recording.name_any(),
                    Arc::new(DeserializeGuard(Ok(recording.clone()))),
                )
            })
            .collect(),
        sessions: Arc::default(),
    }
}

/// The slot of both that starts at minute 0.
pub fn slot() -> SlotUnderWay {
    SlotUnderWay {
        start: at(0),
        end: at(120),
        opens: at(-15),
        closes: at(135),
        live_from: Some(at(-15)),
        recording: Some("talk-20261127t190000z".to_owned()),
        ..SlotUnderWay::default()
    }
}

/// Its Recording, with this status.
pub fn recording(status: &serde_json::Value) -> Recording {
    serde_json::from_value(json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
        "metadata": {"name": "talk-20261127t190000z", "namespace": "city", "uid": "recording-uid", "resourceVersion": "7"},
        "spec": {
            "station": "radio", "mount": "talk", "title": "News", "minCoverage": 95,
            "window": {"from": at(0), "until": at(135)},
            "show": {"name": "news", "slotEnd": at(120)},
            "store": {"endpoint": "http://s3", "bucket": "shows", "secretRef": {"name": "s3"}},
        },
        "status": status,
    }))
    .unwrap()
}
