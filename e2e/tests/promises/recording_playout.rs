//! Promise: whatever is killed or blocked behind the tape of a Mount that Liquidsoap plays, its recording is what the DJ sent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, PLAYLIST, mount, with_inputs};
use e2e::harness::recording::{PLACED, VERIFIED, recording};
use e2e::harness::{Recording, Stage, Store, is_full, play};
use e2e::sound::{Codec, Dj, Script, Tone};
use kube::ResourceExt;
use kube::api::ListParams;
use rustix::process::Signal;

const DJ: Tone = Tone::Hz(440);
const BACK: Duration = Duration::from_mins(1);
/// A second of Opus at the rate of this show, nearly.
const SECOND: u64 = 10_000;

/// What stands behind the tape, from there to the listeners.
const CHAIN: [Victim; 3] = [
    Victim {
        component: "playout",
        container: "liquidsoap",
        process: "liquidsoap",
    },
    Victim {
        component: "origin",
        container: "icecast",
        process: "icecast2",
    },
    Victim {
        component: "relay",
        container: "icecast",
        process: "icecast2",
    },
];

struct Victim {
    component: &'static str,
    container: &'static str,
    process: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_is_whole_with_everything_behind_it_killed_and_blocked() {
    play("rec-playout", |stage| async move {
        let store = Store::open().await?;
        stage.music("music", PLAYLIST).await?;
        let live = with_inputs(&mount("live", "fm"), "[{name: studio}, {name: mobile}]");
        let live = live.replace("playlists:", &format!("{}, playlists:", recording()));
        stage
            .recording_with(&store, ", relays: {replicas: 2}", &live)
            .await?;
        let login = stage.login("live", "studio").await?;
        let sender = || login.sender().codec(Codec::Opus).play(Script::steady(DJ));
        let (dj, _) = take(ON_AIR, sender).await?;
        let listener = stage.listen("fm", "/live.mp3", ON_AIR).await?;
        listener.await_tone(DJ, ON_AIR).await?;
        let (recorded, _) = stage.await_recording("live", &[], PLACED).await?;
        recorded.pod().await?;

        if is_full() {
            for victim in &CHAIN {
                all_at_once(&stage, &dj, std::slice::from_ref(victim)).await?;
            }
        }
        all_at_once(&stage, &dj, &CHAIN).await?;
        // The audio itself comes back, too.
        let tone = Tone::Hz(660);
        let flipped = dj.play(tone).await?;
        let listener = stage.listen("fm", "/live.mp3", BACK).await?;
        let after = listener.await_tone_since(flipped, tone, BACK).await?;
        println!(
            "recording: after the last block the DJ is heard within {} ms",
            after.as_millis()
        );
        compare(&store, &recorded, dj).await
    })
    .await;
}

/// Kills these; then lets nothing through to them for a minute; then stops their processes for a minute.
async fn all_at_once(stage: &Stage, dj: &Dj, victims: &[Victim]) -> Result<()> {
    let names: Vec<_> = victims.iter().map(|victim| victim.component).collect();
    let names = names.join(", ");
    let length = Duration::from_secs(if is_full() { 60 } else { 6 });
    for victim in victims {
        hit(stage, victim, Signal::KILL).await?;
    }
    sends_for(dj, Duration::from_secs(3))
        .await
        .context(format!("{names} killed"))?;
    block(stage, victims, true).await?;
    let went_on = sends_for(dj, length).await;
    block(stage, victims, false).await?;
    went_on.context(format!("{names} blocked"))?;
    for victim in victims {
        hit(stage, victim, Signal::STOP).await?;
    }
    let went_on = sends_for(dj, length).await;
    for victim in victims {
        hit(stage, victim, Signal::CONT).await?;
    }
    went_on.context(format!("{names} stopped"))?;
    println!(
        "recording: {names} killed, unreachable for {0} s, stopped for {0} s: the DJ sent {1} bytes so far",
        length.as_secs(),
        dj.sent()
    );
    Ok(())
}

/// Until it has sent for so long; an error if its connection does not stand.
async fn sends_for(dj: &Dj, length: Duration) -> Result<()> {
    let enough = dj.sent() + length.as_secs() * SECOND;
    dj.await_sent(enough, length + ON_AIR).await?;
    ensure!(dj.is_on_air(), "the DJ's connection is gone: {}", dj.report());
    Ok(())
}

async fn hit(stage: &Stage, victim: &Victim, signal: Signal) -> Result<()> {
    let mut hit = 0;
    for pod in running(stage, victim.component).await? {
        let (container, process) = (victim.container, victim.process);
        hit += verbs::signal_process(&stage.namespace, &pod, container, process, signal).await?;
    }
    // What is stopped for long has been replaced before it could go on.
    let must = signal != Signal::CONT;
    ensure!(!must || hit > 0, "no process {} was found", victim.process);
    Ok(())
}

/// Lets no packet pass between those and their neighbours, or lets all pass again.
async fn block(stage: &Stage, victims: &[Victim], blocked: bool) -> Result<()> {
    let is_one = |component: &str| victims.iter().any(|victim| victim.component == component);
    for pair in ["ingest", "playout", "origin", "relay"].windows(2) {
        if !pair.iter().any(|component| is_one(component)) {
            continue;
        }
        for one in running(stage, pair[0]).await? {
            for other in running(stage, pair[1]).await? {
                if blocked {
                    verbs::block(&stage.namespace, &one, &other).await?;
                } else {
                    verbs::unblock(&stage.namespace, &one, &other).await?;
                }
            }
        }
    }
    Ok(())
}

async fn running(stage: &Stage, component: &str) -> Result<Vec<String>> {
    let labels = format!("app.kubernetes.io/component={component}");
    let running = ListParams::default()
        .labels(&labels)
        .fields("status.phase=Running");
    let pods = stage.kind("Pod").list(&running).await?;
    let names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
    ensure!(!names.is_empty(), "no pod of {component} runs");
    Ok(names)
}

async fn compare(store: &Store, recorded: &Recording, dj: Dj) -> Result<()> {
    let sent = dj.finish().await?;
    ensure!(
        sent.failure.is_none(),
        "the DJ's connection failed: {:?}",
        sent.failure
    );
    let (told, after) = recorded.verified(VERIFIED).await?;
    let tally = recorded.compare(store, 1, &[sent.log.read()?]).await?;
    println!(
        "recording: everything behind the tape killed and blocked: {tally}; verified {:.1} s later",
        after.as_secs_f32()
    );
    ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
    tally.is_exact()
}
