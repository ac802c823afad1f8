//! What the tests of this folder share: Recordings, their Jobs and pods, and what those say. No IO.

use std::sync::Arc;

use ingest::api::{self, Aired, Ended};
use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use radio_crds::{Recording, RecordingStatus, recording};
use recorder::{
    manifest::{Over, OverWhy},
    published::Doubt,
    report::{CaptureState, Heard, Made, Progress, Published, Report, ShipState, Stored},
};
use serde_json::{Value, json};

use super::{
    build,
    plan::{Seen, plan},
    status::Observed,
    validate::{self, ValidSpec},
};
use crate::testing::{self, images, yaml};

/// A Recording with every optional field.
pub const FULL: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Recording
metadata: {name: talk-van-20261121t140000z, namespace: city, uid: recording-uid, generation: 3}
spec:
  station: radio
  mount: talk
  input: van
  title: Talk & more
  window: {from: "2026-11-21T14:00:00.25Z", until: "2026-11-21T16:00:00Z"}
  idleEnd: 90s
  maxLength: 3h
  store:
    endpoint: https://abc.r2.cloudflarestorage.com
    region: auto
    bucket: shows
    prefix: archive/2026
    profile: r2
    forcePathStyle: false
    bandwidthCap: 2Mi
    secretRef: {name: r2}
  spoolSize: 500Mi
  renditions: [mp3]
  minCoverage: 98
  edition: 2
"#;

/// A Recording with nothing but what is required.
pub const PLAIN: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Recording
metadata: {name: live-20261121t140000z, namespace: city, uid: recording-uid, generation: 1}
spec:
  station: radio
  mount: live
  title: Live
  window: {from: "2026-11-21T14:00:00.25Z"}
  store: {endpoint: "https://s3.example.org", bucket: shows, secretRef: {name: s3}}
"#;

/// Through the real checks.
pub fn valid(text: &str) -> ValidSpec {
    validate::spec(&yaml(text), &images()).unwrap()
}

/// So many seconds after the window's beginning.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_269_600 + second).unwrap()
}

/// The status in a phase.
pub fn in_phase(phase: recording::Phase) -> RecordingStatus {
    RecordingStatus {
        phase: Some(phase),
        ..RecordingStatus::default()
    }
}

/// A Recording with a status.
pub fn with_status(status: RecordingStatus) -> Recording {
    Recording {
        status: Some(status),
        ..yaml(PLAIN)
    }
}

/// Nothing is there.
pub fn nothing() -> Seen {
    Seen {
        recorder: super::jobs::Work::Absent,
        finalizer: super::jobs::Work::Absent,
        others: Vec::new(),
        misled: Vec::new(),
        ship: None,
        tape: None,
    }
}

/// A session on the tape, live from and to these seconds.
pub fn taped(id: &str, from: i64, to: Option<i64>) -> api::Session {
    api::Session {
        id: id.to_owned(),
        bytes: 1000,
        aired: Some(Aired {
            first: at(from),
            last: to.map(at),
            spells: Vec::new(),
        }),
        ended: to.map(|to| Ended {
            at: at(to),
            why: "the source closed the connection".to_owned(),
        }),
        ..testing::session("live", "studio", at(from))
    }
}

/// A session as a status lists it.
pub fn listed(id: &str, from: i64, to: Option<i64>, bytes: Option<i64>) -> recording::Session {
    recording::Session {
        id: id.to_owned(),
        input: "studio".to_owned(),
        from: at(from),
        to: to.map(at),
        bytes,
    }
}

/// What ship says while it works.
pub fn ship(over: Option<OverWhy>, sessions: &[(&str, i64, Option<i64>)]) -> ShipState {
    let progress = |(id, from, to): &(&str, i64, Option<i64>)| Progress {
        id: (*id).to_owned(),
        input: "studio".to_owned(),
        from: Some(at(*from)),
        to: to.map(at),
        stored: 500,
        bytes: 1000,
        lost: Vec::new(),
        complete: false,
    };
    ShipState {
        over,
        sessions: sessions.iter().map(progress).collect(),
        last_stored: None,
        trouble: None,
    }
}

/// What capture says.
pub fn capture() -> CaptureState {
    CaptureState {
        spool_bytes: 0,
        spool_cap_bytes: 2 << 30,
        spool_fill: api::Fill::Low,
        waits_for_room: false,
        sessions: Vec::new(),
    }
}

/// What ship says at its end.
pub fn stored(sessions: &[(&str, i64, Option<i64>)]) -> Stored {
    let heard = |(id, from, to): &(&str, i64, Option<i64>)| Heard {
        id: (*id).to_owned(),
        input: "studio".to_owned(),
        from: at(*from),
        to: to.map(at),
        bytes: 1000,
    };
    Stored {
        over: Over {
            at: at(7320),
            why: OverWhy::Idle,
        },
        from: sessions.first().map(|first| at(first.1)),
        to: sessions.last().and_then(|last| last.2).map(at),
        bytes: 1000 * u64::try_from(sessions.len()).unwrap(),
        lost_bytes: 0,
        lost: Vec::new(),
        sessions: sessions.iter().map(heard).collect(),
        lost_left_out: 0,
        sessions_left_out: 0,
    }
}

/// What finalize says at its end.
pub fn published(version: u32, doubts: &[Doubt]) -> Published {
    Published {
        version,
        verified_at: "2026-11-21T16:03:04.5Z".parse().unwrap(),
        from: at(2),
        to: at(7200),
        seconds: 7195.4,
        coverage_percent: 99.94,
        bytes: 171_966_464,
        objects: vec![Made {
            key: format!("final-{version}/final-1.ogg"),
            codec: "opus".to_owned(),
            bytes: 171_966_464,
            seconds: 7195.4,
            sha256: "ab".repeat(32),
        }],
        renditions: Vec::new(),
        gaps: 0,
        gap_list: Vec::new(),
        doubts: doubts.to_vec(),
        beyond_doubt: doubts.is_empty(),
        objects_left_out: 0,
        doubts_left_out: 0,
    }
}

/// A Job as the API server has it.
pub fn live(mut job: Job, status: &Value) -> Arc<Job> {
    job.metadata.uid = Some(format!("{}-uid", job.metadata.name.as_deref().unwrap()));
    job.status = Some(serde_json::from_value(status.clone()).unwrap());
    Arc::new(job)
}

/// The status of a Job that is complete.
pub fn complete() -> Value {
    json!({"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]})
}

/// The recorder.
pub fn recorder_job(status: &Value) -> Arc<Job> {
    live(build::recorder(&valid(PLAIN)), status)
}

/// The finalizer of an edition.
pub fn finalizer_job(edition: u32, status: &Value) -> Arc<Job> {
    live(build::finalizer(&valid(PLAIN), edition, 1000), status)
}

/// The pod of a Job.
pub fn pod(job: &Job, status: &Value) -> Arc<Pod> {
    let name = job.metadata.name.as_deref().unwrap();
    let pod = json!({
        "metadata": {
            "name": format!("{name}-x"), "namespace": "city", "uid": format!("{name}-x-uid"),
            "labels": job.metadata.labels,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.metadata.uid, "controller": true,
            }],
        },
        "status": status,
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// The status of a pod whose container ended well, with this message.
pub fn said(container: &str, message: Option<&str>) -> Value {
    let mut end = json!({"exitCode": 0, "reason": "Completed"});
    if let Some(message) = message {
        end["message"] = message.into();
    }
    json!({"phase": "Succeeded", "containerStatuses": [{
        "name": container, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": end},
    }]})
}

/// The same, with a report.
pub fn reported(container: &str, report: &Report) -> Value {
    said(container, Some(&report.message()))
}

/// What a reconcile would have seen.
pub fn observed(status: &RecordingStatus, seen: &Seen) -> Observed {
    let spec = valid(PLAIN);
    let plan = plan(&spec, Some(status), seen, at(60));
    Observed {
        spec,
        plan,
        ship: seen.ship.clone(),
        capture: None,
        trouble: None,
        failure: None,
        before: status.clone(),
    }
}
