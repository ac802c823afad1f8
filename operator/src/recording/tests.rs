//! The life of a Recording with an operator that is started anew before each reconcile, on an API server in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{ResourceExt, core::DeserializeGuard};
use radio_crds::Station;
use recorder::{
    course::Rule,
    manifest::OverWhy,
    report::{Report as Said, ShipState},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    k8s::{conditions::find, kind::reconcile},
    recorders::Told,
    testing::{self, Asked, MockApi, PLAIN_STATION, credentials_secret, fill, refusal, value, yaml},
};
use sample::{PLAIN, at, complete, in_phase, pod, published, reported, ship, stored, valid};

const NAME: &str = "live-20261121t140000z";

/// What the API server has.
#[derive(Default)]
struct World {
    has_station: bool,
    status: Option<Value>,
    jobs: BTreeMap<String, Value>,
    pods: Vec<Arc<Pod>>,
    secret: Option<Value>,
    ship: Option<ShipState>,
    made: Vec<String>,
    events: Vec<String>,
    status_writes: usize,
    refuses_status: bool,
}

type Shared = Arc<Mutex<World>>;

fn world() -> Shared {
    Arc::new(Mutex::new(World {
        has_station: true,
        ..World::default()
    }))
}

fn answer(world: &Shared, asked: &Asked) -> (u16, Value) {
    let mut world = world.lock().unwrap();
    let parts: Vec<&str> = asked.path.rsplit('/').collect();
    let missing = || refusal(404, "NotFound");
    match (asked.method.as_str(), parts[0], parts[1]) {
        ("GET", "radio-credentials", _) if world.has_station => (200, value(&credentials_secret())),
        ("GET", NAME, "secrets") => world.secret.clone().map_or_else(missing, |secret| (200, secret)),
        ("PATCH", NAME, "secrets") => {
            let mut secret = asked.body.clone();
            secret["metadata"]["uid"] = "secret-uid".into();
            secret["metadata"]["resourceVersion"] = "1".into();
            world.secret = Some(secret.clone());
            (200, secret)
        }
        ("POST", "jobs", _) => {
            let name = asked.body["metadata"]["name"].as_str().unwrap().to_owned();
            if world.jobs.contains_key(&name) {
                return refusal(409, "AlreadyExists");
            }
            let mut job = asked.body.clone();
            job["metadata"]["uid"] = format!("{name}-uid-{}", world.made.len()).into();
            world.jobs.insert(name.clone(), job.clone());
            world.made.push(name);
            (201, job)
        }
        ("GET", name, "jobs") => world
            .jobs
            .get(name)
            .map_or_else(missing, |job| (200, job.clone())),
        ("DELETE", name, "jobs") => {
            let job = world.jobs.remove(name);
            assert_eq!(asked.body["propagationPolicy"], "Background");
            job.map_or_else(missing, |job| {
                assert_eq!(asked.body["preconditions"]["uid"], job["metadata"]["uid"]);
                (200, job)
            })
        }
        ("PATCH", "status", NAME) if world.refuses_status => refusal(409, "Conflict"),
        ("PATCH", "status", NAME) => {
            world.status = Some(asked.body["status"].clone());
            world.status_writes += 1;
            (200, asked.body.clone())
        }
        ("POST", "events", _) => {
            world
                .events
                .push(asked.body["reason"].as_str().unwrap().to_owned());
            (201, asked.body.clone())
        }
        _ => missing(),
    }
}

fn recording(world: &Shared) -> Recording {
    let mut recording: Recording = yaml(PLAIN);
    recording.metadata.resource_version = Some("1".to_owned());
    let status = world.lock().unwrap().status.clone();
    recording.status = status.map(|status| serde_json::from_value(status).unwrap());
    recording
}

/// An operator that has just begun, with its copies filled.
fn operator(world: &Shared) -> Arc<Context> {
    let api = MockApi::default();
    let asked_of = world.clone();
    let client = api.client(move |asked| answer(&asked_of, asked));
    let known = world.lock().unwrap();
    let stations: Vec<Station> = known
        .has_station
        .then(|| yaml(PLAIN_STATION))
        .into_iter()
        .collect();
    let (stores, mut writers) = testing::stores(&stations, &[]);
    let jobs = known
        .jobs
        .values()
        .map(|job| serde_json::from_value::<Job>(job.clone()).unwrap());
    fill(&mut writers.jobs, jobs);
    fill(&mut writers.pods, known.pods.iter().map(|pod| Pod::clone(pod)));
    let context = testing::context(client, stores);
    if let Some(ship) = &known.ship {
        let key = ("city".to_owned(), NAME.to_owned());
        let pod = known.pods.first().unwrap();
        context.recorders.follow(&key, Target::of(pod, &valid(PLAIN)));
        let told = Told {
            ship: Some(ship.clone()),
            ..Told::default()
        };
        context.recorders.said(&key, &pod.uid().unwrap(), told, at(60));
    }
    drop(known);
    Arc::new(context)
}

async fn once(world: &Shared) {
    let object = Arc::new(DeserializeGuard(Ok(recording(world))));
    drop(reconcile(object, operator(world)).await);
}

/// Twice, as after a restart: the second one has nothing to do.
async fn settle(world: &Shared) -> RecordingStatus {
    once(world).await;
    let before = counts(world);
    once(world).await;
    assert_eq!(counts(world), before, "nothing is new, and something was done");
    recording(world).status.unwrap()
}

fn counts(world: &Shared) -> (usize, usize, usize) {
    let world = world.lock().unwrap();
    (world.made.len(), world.events.len(), world.status_writes)
}

fn job(world: &Shared, name: &str) -> Job {
    serde_json::from_value(world.lock().unwrap().jobs[name].clone()).unwrap()
}

fn run_pod(world: &Shared, name: &str) {
    let pod = pod(
        &job(world, name),
        &json!({"phase": "Running", "podIP": "10.1.2.3"}),
    );
    world.lock().unwrap().pods = vec![pod];
}

fn end(world: &Shared, name: &str, container: &str, report: &Said) {
    let pod = pod(&job(world, name), &reported(container, report));
    let mut world = world.lock().unwrap();
    world.pods = vec![pod];
    world.ship = None;
    world.jobs.get_mut(name).unwrap()["status"] = complete();
}

fn made(world: &Shared) -> Vec<String> {
    world.lock().unwrap().made.clone()
}

fn events(world: &Shared) -> Vec<String> {
    world.lock().unwrap().events.clone()
}

#[tokio::test]
async fn a_whole_life_makes_each_job_and_each_event_once() {
    let world = world();
    let status = settle(&world).await;
    assert_eq!((status.phase, made(&world).len()), (Some(Phase::Waiting), 1));
    run_pod(&world, NAME);
    world.lock().unwrap().ship = Some(ship(None, &[("a", 2, None)]));
    assert_eq!(settle(&world).await.phase, Some(Phase::OnAir));
    world.lock().unwrap().ship = Some(ship(Some(OverWhy::Idle), &[("a", 2, Some(7200))]));
    assert_eq!(settle(&world).await.phase, Some(Phase::Storing));
    end(
        &world,
        NAME,
        "ship",
        &Said::Stored(stored(&[("a", 2, Some(7200))])),
    );
    assert_eq!(settle(&world).await.phase, Some(Phase::Finalizing));
    let finalizer = format!("{NAME}-final-1");
    end(
        &world,
        &finalizer,
        "finalize",
        &Said::Published(published(1, &[])),
    );
    let status = settle(&world).await;
    assert_eq!(status.phase, Some(Phase::Verified));
    assert_eq!(find(&status.conditions, "Ready").unwrap().status, "True");
    world.lock().unwrap().jobs.clear();
    world.lock().unwrap().pods.clear();
    assert_eq!(settle(&world).await, status);
    assert_eq!(made(&world), [NAME.to_owned(), finalizer]);
    assert_eq!(
        events(&world),
        ["Waiting", "OnAir", "Storing", "Finalizing", "Verified"]
    );
}

#[tokio::test]
async fn an_operator_that_was_away_for_all_of_it_catches_up() {
    let world = world();
    once(&world).await;
    end(
        &world,
        NAME,
        "ship",
        &Said::Stored(stored(&[("a", 2, Some(7200))])),
    );
    // Its status could not be written, again and again.
    world.lock().unwrap().refuses_status = true;
    for _ in 0..3 {
        once(&world).await;
    }
    let finalizer = format!("{NAME}-final-1");
    assert_eq!(made(&world), [NAME.to_owned(), finalizer.clone()]);
    world.lock().unwrap().refuses_status = false;
    end(
        &world,
        &finalizer,
        "finalize",
        &Said::Published(published(1, &[])),
    );
    let both = [
        pod(
            &job(&world, NAME),
            &reported("ship", &Said::Stored(stored(&[("a", 2, Some(7200))]))),
        ),
        pod(
            &job(&world, &finalizer),
            &reported("finalize", &Said::Published(published(1, &[]))),
        ),
    ];
    world.lock().unwrap().pods = both.to_vec();
    let status = settle(&world).await;
    assert_eq!(
        (status.phase, status.bytes),
        (Some(Phase::Verified), Some(171_966_464))
    );
    assert_eq!(made(&world).len(), 2);
}

#[tokio::test]
async fn a_job_deleted_by_hand_is_made_again_only_while_it_is_needed() {
    let world = world();
    settle(&world).await;
    world.lock().unwrap().jobs.clear();
    settle(&world).await;
    assert_eq!(made(&world), [NAME, NAME]);
    // Complete, and the pod that could have said so is gone.
    world.lock().unwrap().jobs.get_mut(NAME).unwrap()["status"] = complete();
    once(&world).await;
    assert!(world.lock().unwrap().jobs.is_empty());
    settle(&world).await;
    assert_eq!(made(&world).len(), 3);
    end(
        &world,
        NAME,
        "ship",
        &Said::Stored(stored(&[("a", 2, Some(7200))])),
    );
    settle(&world).await;
    world.lock().unwrap().jobs.clear();
    let status = settle(&world).await;
    let finalizer = format!("{NAME}-final-1");
    assert_eq!(
        (status.phase, made(&world)[3..].to_vec()),
        (Some(Phase::Finalizing), vec![finalizer.clone(), finalizer])
    );
}

#[tokio::test]
async fn a_recording_outlives_its_station() {
    let world = world();
    settle(&world).await;
    let told =
        |world: &Shared| world.lock().unwrap().secret.clone().unwrap()["data"]["recording.json"].clone();
    let before = told(&world);
    world.lock().unwrap().has_station = false;
    world.lock().unwrap().jobs.clear();
    settle(&world).await;
    assert_eq!((made(&world).len(), told(&world)), (2, before.clone()));
    // Somebody deletes what it was told: a recorder that is there goes on, and another one needs to know the way.
    world.lock().unwrap().secret = None;
    settle(&world).await;
    assert_eq!(world.lock().unwrap().secret, None);
    world.lock().unwrap().jobs.clear();
    let status = settle(&world).await;
    assert_eq!(
        find(&status.conditions, "Ready").unwrap().reason,
        "StationNotFound"
    );
    world.lock().unwrap().has_station = true;
    settle(&world).await;
    assert_eq!((made(&world).len(), told(&world)), (3, before));
}

#[tokio::test]
async fn without_a_way_to_the_tape_nothing_is_made() {
    let world = world();
    world.lock().unwrap().has_station = false;
    let status = settle(&world).await;
    let ready = find(&status.conditions, "Ready").unwrap();
    assert_eq!(
        (ready.reason.as_str(), made(&world).len()),
        ("StationNotFound", 0)
    );
    world.lock().unwrap().has_station = true;
    assert_eq!(
        (settle(&world).await.phase, made(&world).len()),
        (Some(Phase::Waiting), 1)
    );
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_left_alone() {
    let world = world();
    let foreign =
        json!({"metadata": {"name": NAME, "namespace": "city", "uid": "x"}, "spec": {"template": {}}});
    world
        .lock()
        .unwrap()
        .jobs
        .insert(NAME.to_owned(), foreign.clone());
    let status = settle(&world).await;
    let ready = find(&status.conditions, "Ready").unwrap();
    assert_eq!(ready.reason, "NameTaken");
    assert!(find(&status.conditions, "Stalled").is_some());
    assert_eq!(world.lock().unwrap().jobs[NAME], foreign);
}

#[tokio::test]
async fn what_is_being_deleted_is_left_to_the_garbage_collector() {
    let world = world();
    let mut leaving = recording(&world);
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-21T14:00:00Z")).unwrap();
    let object = Arc::new(DeserializeGuard(Ok(leaving)));
    reconcile(object, operator(&world)).await.unwrap();
    assert_eq!(counts(&world), (0, 0, 0));
}

#[tokio::test]
async fn a_finished_one_costs_no_request() {
    let world = world();
    let status = RecordingStatus {
        edition: Some(1),
        ..in_phase(Phase::Verified)
    };
    world.lock().unwrap().status = Some(value(&status));
    once(&world).await;
    let api = MockApi::default();
    let client = api.client(|_| refusal(500, "InternalError"));
    let context = testing::context(client, testing::stores(&[], &[]).0);
    let object = Arc::new(DeserializeGuard(Ok(recording(&world))));
    reconcile(object, Arc::new(context)).await.unwrap();
    assert_eq!(api.asked(), [""; 0]);
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_stalls_until_there_is_another_one() {
    let world = world();
    settle(&world).await;
    let waiting = json!({"phase": "Pending", "containerStatuses": [{
        "name": "ship", "image": "localhost/radio/recorder:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
    }]});
    let stuck = pod(&job(&world, NAME), &waiting);
    world.lock().unwrap().pods = vec![stuck];
    let status = settle(&world).await;
    let stalled = find(&status.conditions, "Stalled").unwrap();
    assert_eq!(
        (stalled.reason.as_str(), status.phase),
        ("ImageUnavailable", Some(Phase::Waiting))
    );
    // The operator is given another image.
    let mut context = Arc::into_inner(operator(&world)).unwrap();
    context.images.recorder = "localhost/radio/recorder:2".to_owned();
    let object = Arc::new(DeserializeGuard(Ok(recording(&world))));
    reconcile(object, Arc::new(context)).await.unwrap();
    assert!(world.lock().unwrap().jobs.is_empty());
}

/// What is refused of a plain Recording with these changes to its spec.
fn refused(changes: Value) -> Option<String> {
    fn merge(into: &mut Value, changes: Value) {
        match changes {
            Value::Object(changes) => changes
                .into_iter()
                .for_each(|(key, value)| merge(&mut into[key], value)),
            value => *into = value,
        }
    }
    let mut recording: Value = yaml(PLAIN);
    merge(&mut recording["spec"], changes);
    let recording: Recording = serde_json::from_value(recording).unwrap();
    let checked = validate::spec(&recording, &testing::images());
    checked.err().map(|wrong| wrong.to_string())
}

#[test]
fn a_spec_that_breaks_a_rule_is_refused_with_its_field() {
    assert_eq!(refused(json!({})), None);
    for (field, changes) in [
        ("spec.station", json!({"station": "../x"})),
        ("spec.mount", json!({"mount": ""})),
        ("spec.title", json!({"title": "a\nb"})),
        ("spec.idleEnd", json!({"idleEnd": "soon"})),
        ("spec.maxLength", json!({"maxLength": "1d"})),
        ("spec.spoolSize", json!({"spoolSize": "big"})),
        ("spec.store.bandwidthCap", json!({"store": {"bandwidthCap": "2"}})),
        (
            "spec.store.secretRef.name",
            json!({"store": {"secretRef": {"name": "A B"}}}),
        ),
        ("spec must fit", json!({"store": {"endpoint": "http://u:p@h"}})),
        ("spec must fit", json!({"store": {"prefix": "a/../../b"}})),
    ] {
        let words = refused(changes).unwrap();
        assert!(words.starts_with(field), "{field}: {words}");
        assert!(!words.contains("u:p"), "{words}");
    }
    let rule = Rule::from(&valid(PLAIN).told);
    assert_eq!(
        (rule.from, rule.until),
        ("2026-11-21T14:00:00.25Z".parse().unwrap(), None)
    );
}
