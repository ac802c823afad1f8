//! The life of Recordings that need not be kept, with an operator that is started anew before each reconcile, on an API server
//! and a bucket in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use insta::assert_yaml_snapshot;
use jiff::SignedDuration;
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{ResourceExt, core::DeserializeGuard};
use radio_crds::{
    Recording, SHOW_LABEL, STATION_LABEL, SWEEP_ANNOTATION, Show, ShowStatus, Station, StationStatus,
    retention::Lifecycle as Rule,
};
use recorder::{
    errand::{Errand, Failure, Gone, KEEP_KEY, Lifecycle},
    report::Report,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    recording::{
        jobs::KEEP,
        sample::{complete, pod, reported},
    },
    testing::{self, Asked, MockApi, PLAIN_STATION, fill, refusal, value, yaml},
    text::ImageName,
    watch::Stores,
};

const SHOW: &str = r#"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night-shift, namespace: city, uid: show-uid, generation: 1, creationTimestamp: "2026-08-02T10:00:00Z"}
spec:
  mountRef: {name: live}
  title: Night Shift
  schedule: {cron: 0 20 * * *, duration: 1h}
  recording: {keep: 3}
"#;

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_795_200_000 + number * 86_400).unwrap()
}

fn recording(name: &str, number: i64, phase: &str) -> Recording {
    let ended = (phase == "Verified").then(|| day(number) + SignedDuration::from_hours(1));
    serde_json::from_value(json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
        "metadata": {
            "name": name, "namespace": "city", "uid": format!("{name}-uid"), "generation": 1,
            "labels": {SHOW_LABEL: "night-shift"},
        },
        "spec": {
            "station": "radio", "mount": "live", "title": "Night Shift", "window": {"from": day(number)},
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
        },
        "status": {"phase": phase, "observedGeneration": 1, "conditions": [], "endedAt": ended},
    }))
    .unwrap()
}

fn station() -> Station {
    let mut station: Station = yaml(PLAIN_STATION);
    station.metadata.creation_timestamp = serde_json::from_value(json!(day(0))).unwrap();
    station.spec.storage = serde_json::from_value(json!({
        "s3": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
    }))
    .unwrap();
    station
}

/// What the API server and the bucket have.
struct World {
    station: Station,
    show: Show,
    recordings: BTreeMap<String, Recording>,
    /// Recordings of which the bucket has something, and how many objects.
    bucket: BTreeMap<String, u64>,
    /// What the store says instead of deleting what is of this Recording.
    locked: BTreeMap<String, String>,
    job: Option<Value>,
    pods: Vec<Arc<Pod>>,
    errand: Option<Errand>,
    made: usize,
    events: Vec<String>,
    writes: usize,
    /// The write of this number is not done, and the operator dies of it.
    dies_at: Option<usize>,
}

type Shared = Arc<Mutex<World>>;

/// Five nights that are verified, one that goes on, one of another Show, and one of none.
fn world() -> Shared {
    let mut recordings: Vec<_> = (1..=5)
        .map(|number| recording(&format!("live-{number}"), number, "Verified"))
        .collect();
    recordings.push(recording("live-6", 6, "OnAir"));
    let mut other = recording("other-1", 1, "Verified");
    other.metadata.labels = Some([(SHOW_LABEL.to_owned(), "morning".to_owned())].into());
    let mut free = recording("free-1", 1, "Verified");
    free.metadata.labels = None;
    recordings.extend([other, free]);
    let recordings: BTreeMap<_, _> = recordings
        .into_iter()
        .map(|recording| (recording.name_any(), recording))
        .collect();
    Arc::new(Mutex::new(World {
        station: station(),
        show: yaml(SHOW),
        bucket: recordings.keys().map(|name| (name.clone(), 5)).collect(),
        recordings,
        locked: BTreeMap::new(),
        job: None,
        pods: Vec::new(),
        errand: None,
        made: 0,
        events: Vec::new(),
        writes: 0,
        dies_at: None,
    }))
}

impl World {
    /// Whether this write is done.
    fn writes(&mut self) -> bool {
        self.writes += 1;
        self.dies_at != Some(self.writes)
    }

    fn names(&self) -> Vec<&str> {
        self.recordings.keys().map(String::as_str).collect()
    }

    fn stored(&self) -> Vec<&str> {
        self.bucket.keys().map(String::as_str).collect()
    }

    fn status(&self) -> ShowStatus {
        self.show.status.clone().unwrap_or_default()
    }

    /// What the Job does, and its controller after it.
    fn work(&mut self) {
        let Some(job) = self.job.as_mut().filter(|job| job.get("status").is_none()) else {
            return;
        };
        job["status"] = complete();
        let errand = self.errand.clone().expect("it was told");
        let order = errand.order.as_str();
        assert!(job.to_string().contains(order), "the Job does another errand");
        let mut kept = Kept {
            order: errand.order.clone(),
            lifecycle: errand
                .sweep
                .is_some()
                .then(|| Lifecycle::Unknown("AccessDenied".to_owned())),
            ..Kept::default()
        };
        for place in errand.recordings {
            if let Some(words) = self.locked.get(&place.name) {
                kept.failures.push(Failure {
                    what: place.to_string(),
                    words: words.clone(),
                });
                continue;
            }
            let objects = self.bucket.remove(&place.name).unwrap_or(0);
            kept.objects += objects;
            kept.bytes += objects * 1_000_000;
            kept.recordings.push(Gone {
                name: place.name,
                objects,
                bytes: objects * 1_000_000,
            });
        }
        let job: Job = serde_json::from_value(job.clone()).unwrap();
        self.pods = vec![pod(&job, &reported(KEEP, &Report::Kept(kept)))];
    }
}

fn answer(world: &Shared, asked: &Asked) -> (u16, Value) {
    let mut world = world.lock().unwrap();
    let parts: Vec<&str> = asked.path.rsplit('/').collect();
    if asked.method != "GET" && !world.writes() {
        return refusal(500, "InternalError");
    }
    match (asked.method.as_str(), parts[0], parts[1]) {
        ("PATCH", _, "secrets") => {
            let data = asked.body["data"][KEEP_KEY].as_str().unwrap().to_owned();
            let secret: Secret = serde_json::from_value(json!({"data": {KEEP_KEY: data}})).unwrap();
            world.errand = Errand::parse(&secret.data.unwrap()[KEEP_KEY].0).ok();
            let mut secret = asked.body.clone();
            secret["metadata"]["uid"] = "secret-uid".into();
            (200, secret)
        }
        ("POST", "jobs", _) if world.job.is_some() => refusal(409, "AlreadyExists"),
        ("POST", "jobs", _) => {
            world.made += 1;
            let mut job = asked.body.clone();
            job["metadata"]["uid"] = format!("job-{}", world.made).into();
            world.job = Some(job.clone());
            (201, job)
        }
        ("DELETE", _, "jobs") => {
            world.job = None;
            world.pods.clear();
            (
                200,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            )
        }
        ("DELETE", name, "recordings") => match world.recordings.remove(name) {
            Some(gone) => {
                let uid = asked.body["preconditions"]["uid"].as_str();
                assert_eq!(uid, gone.metadata.uid.as_deref(), "another one by that name");
                (200, value(&gone))
            }
            None => refusal(404, "NotFound"),
        },
        ("GET", ..) => refusal(404, "NotFound"),
        other => panic!("nobody asks for {other:?}"),
    }
}

fn seen(world: &World) -> Stores {
    let (stores, mut writers) = testing::stores(std::slice::from_ref(&world.station), &[]);
    let recordings = world.recordings.values().cloned();
    fill(
        &mut writers.recordings,
        recordings.map(|recording| DeserializeGuard(Ok(recording))),
    );
    let job: Option<Job> = world.job.clone().map(|job| serde_json::from_value(job).unwrap());
    fill(&mut writers.jobs, job);
    fill(&mut writers.pods, world.pods.iter().map(|pod| Pod::clone(pod)));
    stores
}

/// One reconcile of the Show, as far as this folder has to do with it.
async fn reconcile(world: &Shared, now: Timestamp) -> show::Kept {
    let (stores, show) = {
        let world = world.lock().unwrap();
        (seen(&world), world.show.clone())
    };
    let answering = world.clone();
    let client = MockApi::default().client(move |asked| answer(&answering, asked));
    let context = testing::context(client, stores);
    let owner = Owner::of(&show, "radio").unwrap();
    let kept = show::tend(&show, &owner, &context, now).await;
    let old = show.status.clone().unwrap_or_default();
    let mut new = old.clone();
    kept.tell(&mut new);
    let mut world = world.lock().unwrap();
    if new != old && world.writes() {
        let told = show::news(&old, &new);
        let told = told
            .into_iter()
            .map(|event| format!("{}: {}", event.reason, event.note.unwrap()));
        world.events.extend(told);
        world.show.status = Some(new);
    }
    kept
}

/// Reconciles, and lets Jobs work, for so many rounds.
async fn rounds(world: &Shared, count: usize, now: Timestamp) -> show::Kept {
    for _ in 0..count {
        reconcile(world, now).await;
        world.lock().unwrap().work();
    }
    reconcile(world, now).await
}

const LEFT: [&str; 6] = ["free-1", "live-3", "live-4", "live-5", "live-6", "other-1"];

#[tokio::test]
async fn the_newest_three_are_kept_and_what_goes_is_counted() {
    let world = world();
    let kept = rounds(&world, 6, day(7)).await;
    let world = world.lock().unwrap();
    assert_eq!(world.names(), LEFT);
    assert_eq!(world.stored(), LEFT);
    let status = world.status();
    let counts = (
        status.kept,
        status.deleted,
        status.deleted_objects,
        status.deleted_bytes,
    );
    assert_eq!(counts, (Some(3), Some(2), Some(10), Some(10_000_000)));
    assert_eq!(
        world.events,
        [
            "RecordingsDeleted: 2 recordings that need not be kept are deleted, with 10 objects (9.5 MiB); 3 are kept"
        ]
    );
    assert_eq!((world.made, &world.job), (1, &None));
    assert_eq!((kept.beside(), kept.look_again(day(7))), (None, None));
}

#[tokio::test]
async fn nothing_is_written_when_there_is_nothing_to_do() {
    let world = world();
    rounds(&world, 6, day(7)).await;
    let writes = world.lock().unwrap().writes;
    rounds(&world, 3, day(8)).await;
    assert_eq!(world.lock().unwrap().writes, writes);
}

#[tokio::test]
async fn an_operator_that_dies_at_any_of_its_writes_deletes_and_counts_the_same() {
    let counted = world();
    rounds(&counted, 6, day(7)).await;
    let writes = counted.lock().unwrap().writes;
    println!("{writes} writes");
    assert!(writes >= 6, "{writes}");
    for dies_at in 1..=writes {
        let world = world();
        world.lock().unwrap().dies_at = Some(dies_at);
        rounds(&world, 9, day(7)).await;
        let world = world.lock().unwrap();
        assert_eq!(
            (world.names(), world.stored()),
            (LEFT.to_vec(), LEFT.to_vec()),
            "{dies_at}"
        );
        let status = world.status();
        assert_eq!(
            (status.deleted, status.deleted_objects),
            (Some(2), Some(10)),
            "{dies_at}"
        );
        assert_eq!((world.made, world.job.is_none()), (1, true), "{dies_at}");
    }
}

#[tokio::test]
async fn a_failure_is_told_once_and_tried_again_until_it_goes() {
    let world = world();
    let lock = |name: &str| {
        let mut world = world.lock().unwrap();
        world.locked.insert(
            name.to_owned(),
            "the store keeps final.json and says AccessDenied".to_owned(),
        );
    };
    lock("live-2");
    let now = day(7);
    let kept = rounds(&world, 5, now).await;
    {
        let world = world.lock().unwrap();
        assert!(!world.names().contains(&"live-1") && world.names().contains(&"live-2"));
        let status = world.status();
        assert_eq!(
            (status.kept, status.deleted, status.deleted_objects),
            (Some(4), Some(1), Some(5))
        );
        assert_eq!(world.made, 1, "not before it is time");
    }
    let beside = kept.beside().unwrap();
    assert_eq!((beside.type_, beside.status), (RETENTION_FAILING, true));
    assert_eq!(
        beside.message,
        "not everything that need not be kept could be deleted: live/live-2/: the store keeps final.json and says \
         AccessDenied; it is tried again at 2026-11-27 18:40:30 UTC; nothing else is touched by it"
    );
    let pause = kept.look_again(now).unwrap();
    assert_eq!(pause, Duration::from_secs(30));

    // It fails once more, in the same words.
    let later = now + SignedDuration::from_secs(30);
    let kept = rounds(&world, 5, later).await;
    assert_eq!(kept.look_again(later), Some(Duration::from_mins(1)));
    world.lock().unwrap().locked.clear();
    let kept = rounds(&world, 5, later + SignedDuration::from_secs(60)).await;
    assert_eq!(kept.beside(), None);
    let world = world.lock().unwrap();
    assert_eq!((world.names(), world.stored()), (LEFT.to_vec(), LEFT.to_vec()));
    let status = world.status();
    assert_eq!(
        (status.kept, status.deleted, status.deleted_objects),
        (Some(3), Some(2), Some(10))
    );
    let told: Vec<_> = world
        .events
        .iter()
        .map(|event| event.split_once(':').unwrap().0)
        .collect();
    assert_eq!(told, ["RecordingsDeleted", "DeletingFailed", "RecordingsDeleted"]);
    assert_eq!(world.made, 3);
}

#[tokio::test]
async fn what_was_counted_is_not_lost_with_its_pod() {
    let world = world();
    reconcile(&world, day(7)).await;
    world.lock().unwrap().work();
    world.lock().unwrap().pods.clear();
    let kept = reconcile(&world, day(7)).await;
    assert!(kept.beside().unwrap().message.contains("its pod is gone"));
    assert_eq!(world.lock().unwrap().names().len(), 8, "nobody knows what went");
    rounds(&world, 6, day(7) + SignedDuration::from_secs(30)).await;
    let world = world.lock().unwrap();
    assert_eq!((world.names(), world.made), (LEFT.to_vec(), 2));
}

#[tokio::test]
async fn without_the_station_nothing_is_deleted() {
    let world = world();
    world.lock().unwrap().station.metadata.name = Some("another".to_owned());
    let kept = rounds(&world, 3, day(7)).await;
    let world = world.lock().unwrap();
    assert_eq!((world.made, world.names().len(), kept.beside()), (0, 8, None));
    assert_eq!(world.status().kept, Some(5), "they are there all the same");
}

#[tokio::test]
async fn a_job_of_somebody_else_is_left_alone() {
    let world = world();
    world.lock().unwrap().job =
        Some(json!({"metadata": {"name": "night-shift-keep", "namespace": "city", "uid": "x"}}));
    let kept = reconcile(&world, day(7)).await;
    assert!(
        kept.beside()
            .unwrap()
            .message
            .contains("does not belong to Show night-shift")
    );
    assert_eq!(kept.look_again(day(7)), Some(REFUSED));
    assert_eq!(world.lock().unwrap().writes, 1, "its status alone");
}

#[tokio::test]
async fn recordings_of_two_stores_go_one_store_after_the_other() {
    let world = world();
    {
        let mut world = world.lock().unwrap();
        let moved = world.recordings.get_mut("live-1").unwrap();
        moved.spec.store.bucket = "old-shows".to_owned();
    }
    reconcile(&world, day(7)).await;
    {
        let world = world.lock().unwrap();
        let errand = world.errand.as_ref().unwrap();
        assert_eq!(
            (errand.store.bucket.as_str(), errand.recordings.len()),
            ("old-shows", 1)
        );
    }
    rounds(&world, 9, day(7)).await;
    let world = world.lock().unwrap();
    assert_eq!((world.names(), world.made), (LEFT.to_vec(), 2));
}

#[tokio::test]
async fn more_than_a_report_has_room_for_go_in_turns() {
    let world = world();
    {
        let mut world = world.lock().unwrap();
        for number in 10..60 {
            let name = format!("live-{number}");
            world
                .recordings
                .insert(name.clone(), recording(&name, number, "Verified"));
            world.bucket.insert(name, 5);
        }
    }
    rounds(&world, 20, day(100)).await;
    let world = world.lock().unwrap();
    assert_eq!(world.status().deleted, Some(52));
    assert_eq!(world.made, 3);
    assert_eq!(
        world.names(),
        ["free-1", "live-57", "live-58", "live-59", "live-6", "other-1"]
    );
}

/// One reconcile of the Station, as far as this folder has to do with it.
async fn sweep(world: &Shared, now: Timestamp) -> station::Swept {
    let (stores, station) = {
        let world = world.lock().unwrap();
        (seen(&world), world.station.clone())
    };
    let answering = world.clone();
    let client = MockApi::default().client(move |asked| answer(&answering, asked));
    let context = testing::context(client, stores);
    let owner = Owner::of(&station, "radio").unwrap();
    let swept = station::tend(&station, &owner, &context, now).await;
    let old = station.status.clone().unwrap_or_default();
    let mut new = old.clone();
    swept.tell(&mut new);
    let mut world = world.lock().unwrap();
    if new != old && world.writes() {
        let told = station::news(&old, &new);
        let told = told
            .into_iter()
            .map(|event| format!("{}: {}", event.reason, event.note.unwrap()));
        world.events.extend(told);
        world.station.status = Some(new);
    }
    swept
}

async fn sweeps(world: &Shared, now: Timestamp) -> station::Swept {
    for _ in 0..5 {
        sweep(world, now).await;
        world.lock().unwrap().work();
    }
    sweep(world, now).await
}

fn swept_at(world: &Shared) -> Option<Timestamp> {
    let world = world.lock().unwrap();
    let status: &StationStatus = world.station.status.as_ref()?;
    status.swept.as_ref()?.at
}

#[tokio::test]
async fn a_bucket_is_swept_once_a_day_and_when_somebody_asks() {
    let world = world();
    let made = || world.lock().unwrap().made;
    let minutes = |minutes: i64| day(0) + SignedDuration::from_mins(minutes);
    let swept = sweeps(&world, minutes(14)).await;
    assert_eq!(
        (made(), swept.look_again(minutes(14))),
        (0, Some(Duration::from_mins(1)))
    );
    sweeps(&world, minutes(15)).await;
    assert_eq!((made(), swept_at(&world)), (1, Some(minutes(15))));
    {
        let world = world.lock().unwrap();
        let swept = world.station.status.as_ref().unwrap().swept.clone().unwrap();
        assert_eq!(swept.lifecycle, Some(Rule::Unknown));
        assert_eq!(swept.lifecycle_said.as_deref(), Some("AccessDenied"));
        let verified = world.errand.as_ref().unwrap().sweep.clone().unwrap().verified;
        let names: Vec<_> = verified.iter().map(|place| place.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "live-5", "live-4", "live-3", "live-2", "other-1", "live-1", "free-1"
            ]
        );
    }
    let swept = sweeps(&world, minutes(16)).await;
    let next = Duration::from_mins(24 * 60 - 1);
    assert_eq!((made(), swept.look_again(minutes(16))), (1, Some(next)));
    sweeps(&world, minutes(24 * 60 + 15)).await;
    assert_eq!(made(), 2);

    let asked = minutes(24 * 60 + 20) + SignedDuration::from_millis(500);
    let annotation = [(SWEEP_ANNOTATION.to_owned(), asked.to_string())];
    world.lock().unwrap().station.metadata.annotations = Some(annotation.into());
    sweeps(&world, asked + SignedDuration::from_millis(100)).await;
    assert_eq!(made(), 3);
    sweeps(&world, asked + SignedDuration::from_mins(1)).await;
    assert_eq!(made(), 3, "once");
    world.lock().unwrap().station.spec.storage = None;
    sweeps(&world, day(9)).await;
    assert_eq!(made(), 3, "there is no bucket");
}

#[test]
fn what_was_swept_is_worth_an_event_and_nothing_is_not() {
    let told = |objects: Option<i64>, uploads: Option<i64>| StationStatus {
        swept: Some(radio_crds::retention::Swept {
            objects,
            uploads,
            bytes: objects.map(|objects| objects * 1024),
            ..radio_crds::retention::Swept::default()
        }),
        ..StationStatus::default()
    };
    assert!(station::news(&StationStatus::default(), &told(None, None)).is_empty());
    assert!(station::news(&told(Some(3), None), &told(Some(3), None)).is_empty());
    let news = station::news(&told(Some(3), Some(1)), &told(Some(5), Some(2)));
    let note = news[0].note.as_deref().unwrap();
    assert_eq!(
        note,
        "2 objects (2.0 KiB) that were left behind beside verified recordings are deleted, and 1 uploads that nobody \
         completed are given up"
    );
}

#[test]
fn the_job_and_what_it_is_told() {
    let show: Show = yaml(SHOW);
    let owner = Owner::of(&show, "radio").unwrap();
    let recording = recording("live-1", 1, "Verified");
    let errand = |name: &str| Errand {
        order: "it is made".to_owned(),
        store: crate::recording::validate::bucket(&recording.spec.store).unwrap(),
        namespace: "city".to_owned(),
        station: "radio".to_owned(),
        recordings: vec![recorder::errand::Place {
            mount: "live".to_owned(),
            name: name.to_owned(),
        }],
        sweep: None,
    };
    let image = || ImageName::parse("image", "registry.example.org/recorder:1").unwrap();
    let ordered = |name: &str| {
        Ordered::new(
            show::job_name("night-shift"),
            "s3".to_owned(),
            image(),
            errand(name),
        )
    };
    let first = ordered("live-1");
    assert_eq!(first, ordered("live-1"));
    assert_ne!(first.errand.order, ordered("live-2").errand.order);
    assert_yaml_snapshot!(build::job(&owner, &first));
    let secret = build::secret(&owner, &first);
    let told: Value = serde_json::from_slice(&secret.data.as_ref().unwrap()[KEEP_KEY].0).unwrap();
    assert_yaml_snapshot!(told);
    assert!(Errand::parse(told.to_string().as_bytes()).is_ok());
    let labels = secret.metadata.labels.unwrap();
    assert_eq!(labels[STATION_LABEL], "radio");
    assert_eq!(labels[SHOW_LABEL], "night-shift");
}
