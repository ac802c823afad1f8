//! Promise: of a show the newest recordings are kept that its rule says; the others go, to the last object, and are counted;
//! a failure is told, and tried again; and nothing else is touched.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{PLACED, Recording, VERIFIED};
use e2e::harness::show::{self, show};
use e2e::harness::store::PREFIX;
use e2e::harness::{Login, Stage, Store, play, until};
use e2e::sound::Dj;
use e2e::twin::{Effect, Fault, Operation, When};
use serde_json::{Value, json};

/// As many as stay.
const KEPT: usize = 3;
/// A second of Opus, nearly.
const SECOND: u64 = 10_000;
const TOLD: Duration = Duration::from_mins(1);
/// A failure is followed by the next try after half a minute.
const AGAIN: Duration = Duration::from_mins(3);

/// Streams of one Mount; each of their recordings but the last will be of the show.
const STREAMS: [&str; 6] = ["a", "b", "c", "d", "e", "other"];

#[tokio::test(flavor = "multi_thread")]
async fn shows_retention_deletes_what_need_not_be_kept_and_nothing_else() {
    play("show-keep", |stage| async move {
        let store = Store::open().await?;
        stage.apply(&keys()).await?;
        stage.recording(&store, &mount()).await?;
        let recordings = recorded(&stage).await?;
        let (of_show, other) = recordings.split_at(STREAMS.len() - 1);
        for recording in of_show {
            let label = json!({"metadata": {"labels": {radio_crds::SHOW_LABEL: "night"}}});
            stage.merge("Recording", &recording.name, label).await?;
        }
        let (go, stay) = of_show.split_at(of_show.len() - KEPT);
        let stay: Vec<&Recording> = stay.iter().chain(other).collect();
        let objects = objects_of(&store, go)?;
        let kept = everything_but(&store, go)?;
        // Of one of them something cannot be deleted, and the first answers are lost.
        refuse(&store, &go[0]);
        stage.apply(&night()).await?;
        failure_is_told(&stage).await?;
        ensure!(
            there(&stage, &go[0]).await?,
            "it was not deleted, and its Recording is gone"
        );
        store.twin.faults().clear();

        deleted(&stage, go).await?;
        let left = objects_of(&store, go)?;
        ensure!(left.is_empty(), "{left:?} is left");
        ensure!(everything_but(&store, go)? == kept, "something else was touched");
        for recording in &stay {
            ensure!(there(&stage, recording).await?, "{} is gone", recording.name);
            let told = recording.told().await?;
            ensure!(told.phase == "Verified", "{} is {}", recording.name, told.phase);
        }
        counted(&stage, go.len(), objects.len()).await
    })
    .await;
}

fn keys() -> String {
    let keys: Vec<String> = STREAMS.iter().map(|key| format!("{key}: word-{key}")).collect();
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: keys}}, stringData: {{{}}}}}\n---\n",
        keys.join(", ")
    )
}

fn mount() -> String {
    "{apiVersion: radio.moafunk.de/v1alpha1, kind: Mount, metadata: {name: live}, spec: {stationRef: {name: fm}, \
     path: /mic-*.opus, passthrough: {keysSecretRef: {name: keys}}, recording: {idleEnd: 5s}}}\n---\n"
        .to_owned()
}

/// Its next slot is far away.
fn night() -> String {
    let start = show::in_seconds(86_400);
    show(
        "night",
        "live",
        start,
        &format!("recording: {{keep: {KEPT}}}, input: a"),
    )
}

/// A short recording of each stream, one after the other by their beginnings; all verified.
async fn recorded(stage: &Stage) -> Result<Vec<Recording>> {
    let mut djs: Vec<Dj> = Vec::new();
    for stream in STREAMS {
        let login: Login = stage.login("live", stream).await?;
        djs.push(login.on_air(ON_AIR).await?);
    }
    let (mut made, _) = until("a Recording of each", PLACED, || async {
        let made = stage.recordings("live").await.map_err(|e| format!("{e:#}"))?;
        let number = made.len();
        (number == STREAMS.len())
            .then_some(made)
            .ok_or_else(|| format!("{number}"))
    })
    .await?;
    for dj in djs {
        dj.await_sent(3 * SECOND, ON_AIR).await?;
        dj.finish().await?;
    }
    let mut begun = Vec::new();
    for recording in &made {
        recording.verified(2 * VERIFIED).await?;
        let object = stage.kind("Recording").get(&recording.name).await?;
        let spec = &object.data["spec"];
        let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        begun.push((text("/input") == Some("other".to_owned()), text("/window/from")));
    }
    // Names have the input before the time.
    let mut order: Vec<usize> = (0..made.len()).collect();
    order.sort_by_key(|place| begun[*place].clone());
    made = order.into_iter().map(|place| made[place].clone()).collect();
    Ok(made)
}

fn objects_of(store: &Store, recordings: &[Recording]) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for recording in recordings {
        keys.extend(
            store
                .list(&recording.prefix)?
                .into_iter()
                .map(|object| object.key),
        );
    }
    Ok(keys)
}

/// Key and bytes of all other objects in the bucket.
fn everything_but(store: &Store, gone: &[Recording]) -> Result<BTreeSet<(String, u64)>> {
    ensure!(!store.list(PREFIX)?.is_empty(), "the bucket is empty");
    let is_gone = |key: &str| gone.iter().any(|recording| key.starts_with(&recording.prefix));
    let all = store.list("")?.into_iter();
    let others = all.filter(|object| !is_gone(&object.key));
    Ok(others.map(|object| (object.key, object.bytes)).collect())
}

fn refuse(store: &Store, recording: &Recording) {
    let refuses = Effect::Answer {
        status: 403,
        code: "AccessDenied".to_owned(),
        retry_after: None,
    };
    store.twin.faults().add(Fault {
        on: vec![Operation::DeleteObject, Operation::DeleteObjects],
        key: String::new(),
        when: When::Always,
        effect: refuses,
    });
    println!("shows: nothing of {} can be deleted", recording.name);
}

async fn failure_is_told(stage: &Stage) -> Result<()> {
    let (condition, after) = stage
        .await_condition(("Show", "night"), ("RetentionFailing", "True"), TOLD)
        .await?;
    println!(
        "shows: RetentionFailing {}: {} ({:.1} s)",
        condition.reason,
        condition.message,
        after.as_secs_f32()
    );
    let (kind, said) = stage
        .await_event(("Show", "night"), "DeletingFailed", "", TOLD)
        .await?;
    println!("shows: {kind} DeletingFailed: {said}");
    ensure!(kind == "Warning", "a failure is {kind}");
    // What is kept too long is no reason to miss a slot.
    stage.await_ready("Show", "night", TOLD).await.map(drop)
}

async fn there(stage: &Stage, recording: &Recording) -> Result<bool> {
    Ok(stage.kind("Recording").get_opt(&recording.name).await?.is_some())
}

async fn deleted(stage: &Stage, go: &[Recording]) -> Result<()> {
    let ((), after) = until("the Recordings to be deleted", AGAIN, || async {
        let mut left = Vec::new();
        for recording in go {
            if there(stage, recording).await.map_err(|e| format!("{e:#}"))? {
                left.push(&recording.name);
            }
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?} are there"))
        }
    })
    .await?;
    println!(
        "shows: tried again, and deleted {:.1} s later",
        after.as_secs_f32()
    );
    Ok(())
}

/// What the status and an Event tell is what was there.
async fn counted(stage: &Stage, recordings: usize, objects: usize) -> Result<()> {
    let is_told = |told: &radio_crds::ShowStatus| {
        told.deleted == i32::try_from(recordings).ok()
            && told.deleted_objects == i64::try_from(objects).ok()
            && told.kept == i32::try_from(KEPT).ok()
    };
    let what = format!("of {recordings} deleted Recordings and {objects} objects");
    let (told, _) = stage.await_show("night", &what, TOLD, is_told).await?;
    let failing = told
        .conditions
        .iter()
        .find(|condition| condition.type_ == "RetentionFailing");
    ensure!(
        failing.is_none_or(|failing| failing.status != "True"),
        "{failing:?}"
    );
    let (kind, said) = stage
        .await_event(("Show", "night"), "RecordingsDeleted", "", TOLD)
        .await?;
    println!("shows: {kind} RecordingsDeleted: {said}");
    let bytes = told.deleted_bytes.context("no bytes")?;
    println!("shows: {recordings} deleted, {objects} objects, {bytes} bytes, {KEPT} kept");
    Ok(())
}
