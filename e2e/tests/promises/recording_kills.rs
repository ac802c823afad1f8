//! Promise: whatever is killed of a Recording, nothing of the show is lost and nothing doubled.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{PLACED, microphone};
use e2e::harness::{Recording, Stage, Store, is_full, play, until};
use e2e::sound::{Codec, Dj, Script, Tone};
use e2e::twin::{Effect, Entry, Fault, Operation, Outcome, When};

const APPOINTED: Duration = Duration::from_secs(20);
/// kubelet waits longer before each start of what was killed again.
const VERIFIED: Duration = Duration::from_mins(4);
/// Segments come every few seconds.
const SPEED: f64 = 4.0;
/// A request of finalize is answered so late that it is killed before.
const HELD: Duration = Duration::from_secs(30);

/// What happens to the recorder's pod while the show goes on.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Killed(&'static str),
    OutOfMemory(&'static str),
    PodDeleted,
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_kills_of_capture_and_ship() {
    let kills: &[Happens] = &[Happens::Killed("capture"), Happens::Killed("ship")];
    // kubelet's waits grow from 10 s on.
    let rounds = if is_full() { 3 } else { 1 };
    row("kills", Codec::Opus, kills.repeat(rounds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_kills_of_the_pod() {
    let rounds = if is_full() { 3 } else { 1 };
    row("deleted", Codec::Mp3, [Happens::PodDeleted].repeat(rounds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_kills_for_want_of_memory() {
    let kills = [Happens::OutOfMemory("ship"), Happens::OutOfMemory("capture")];
    let rounds = if is_full() { 2 } else { 1 };
    row("memory", Codec::WebmOpus, kills.repeat(rounds)).await;
}

async fn row(name: &str, codec: Codec, events: Vec<Happens>) {
    play(name, |stage| async move {
        let store = Store::open().await?;
        let ending = if codec == Codec::Mp3 { "mp3" } else { "opus" };
        stage.recording(&store, &microphone(ending)).await?;
        let dj = connect(&stage, codec).await?;
        let (recording, _) = stage.await_recording("live", &[], APPOINTED).await?;
        recording.pod().await?;
        for event in &events {
            recording.await_stored(&store, 0, 2 * PLACED).await?;
            let begun = Instant::now();
            happens(&stage, &recording, *event)
                .await
                .with_context(|| format!("{event:?}"))?;
            let stored = recording.stored(&store)?;
            let next = recording.await_stored(&store, stored, 2 * PLACED).await;
            next.with_context(|| format!("after {event:?}"))?;
            println!(
                "recording: {event:?}: the next segment is stored after {:.1} s",
                begun.elapsed().as_secs_f32()
            );
        }
        let sent = dj.finish().await?;
        ensure!(sent.failure.is_none(), "the DJ: {:?}", sent.failure);
        let (told, after) = recording.await_phase("Verified", VERIFIED).await?;
        let tally = recording.compare(&store, 1, &[sent.log.read()?]).await?;
        println!(
            "recording: {codec:?}, {events:?}: verified {:.1} s after the DJ left; {tally}",
            after.as_secs_f32()
        );
        ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
        tally.is_exact()
    })
    .await;
}

async fn happens(stage: &Stage, recording: &Recording, event: Happens) -> Result<()> {
    let (pod, _) = recording.pod().await?;
    match event {
        Happens::Killed(container) => recording.kill_in(&pod, container).await,
        Happens::PodDeleted => {
            stage.delete("Pod", &pod).await?;
            until("another pod of the recorder", PLACED, || async {
                match recording.pod().await {
                    Ok((other, _)) if other != pod => Ok(()),
                    Ok(_) => Err(format!("it is still {pod}")),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await
            .map(drop)
        }
        Happens::OutOfMemory(container) => {
            verbs::starve(&stage.namespace, &pod, container, "recorder").await?;
            let what = format!("{container} to be known as out of memory");
            until(&what, PLACED, || async {
                let pod = stage.kind("Pod").get(&pod).await.map_err(|e| e.to_string())?;
                let said = pod.data["status"].to_string();
                said.contains("\"OOMKilled\"").then_some(()).ok_or(said)
            })
            .await
            .map(drop)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_kills_of_finalize() {
    play("finalize", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &microphone("opus")).await?;
        let dj = connect(&stage, Codec::Opus).await?;
        let (recording, _) = stage.await_recording("live", &[], APPOINTED).await?;
        recording.await_stored(&store, 0, 2 * PLACED).await?;
        // In the order they come; the recorder's own tests have each of its requests.
        let calls: &[(Operation, &str)] = &[
            (Operation::PutObject, "final-1/final-1.ogg"),
            (Operation::GetObject, "final-1/final-1.ogg"),
            (Operation::PutObject, "final-1/final.json"),
        ];
        let calls = if is_full() { calls } else { &calls[..1] };
        for (operation, key) in calls {
            let held = u64::try_from(HELD.as_millis())?;
            store.twin.faults().add(Fault {
                key: (*key).to_owned(),
                ..Fault::on(*operation, When::Nth(1), Effect::Delay(held))
            });
        }
        let sent = dj.finish().await?;
        for (operation, key) in calls {
            let (pod, _) = recording.final_pod(1).await?;
            let is_open = |entry: &Entry| {
                entry.operation == *operation
                    && entry.key.ends_with(key)
                    && !entry.effects.is_empty()
                    && entry.outcome == Outcome::Open
            };
            let held = store.twin.log().until(|entries| entries.iter().any(is_open));
            tokio::time::timeout(VERIFIED, held)
                .await
                .with_context(|| format!("no {operation:?} of {key}"))?;
            recording.kill_in(&pod, "finalize").await?;
            println!("recording: finalize killed (-9) in {operation:?} of {key}");
        }
        recording.await_phase("Verified", VERIFIED).await?;
        let tally = recording.compare(&store, 1, &[sent.log.read()?]).await?;
        println!("recording: finalize killed (-9) {} times: {tally}", calls.len());
        tally.is_exact()
    })
    .await;
}

async fn connect(stage: &Stage, codec: Codec) -> Result<Dj> {
    let login = stage.login("live", "source").await?;
    let sender = || {
        login
            .sender()
            .codec(codec)
            .speed(SPEED)
            .play(Script::steady(Tone::Unknown))
    };
    Ok(take(ON_AIR, sender).await?.0)
}
