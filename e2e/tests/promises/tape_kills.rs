//! Promise: whatever is killed behind the ingest, the DJ's connection stands, the DJ is audible again within 5 s, and the tape
//! is what was sent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::tape::is_same;
use e2e::harness::{Login, Stage, is_full, play, rows};
use e2e::sound::{Codec, Dj, Latency, Listener, Script, Tone};

/// The DJ is audible again.
const BACK: Duration = Duration::from_secs(5);
/// Players connect again; on Xiph's Icecast an origin takes its relays' listeners along.
const RECONNECT: Duration = Duration::from_millis(200);
/// None of them is heard before its kill.
const TONES: [Tone; 2] = [Tone::Hz(660), Tone::Hz(1320)];

/// What is killed, and where.
struct Victim {
    labels: &'static str,
    container: &'static str,
    process: &'static str,
    /// Whether its end is the end of a listener's connection.
    disconnects: bool,
}

const LIQUIDSOAP: Victim = Victim {
    labels: "app.kubernetes.io/component=playout",
    container: "liquidsoap",
    process: "liquidsoap",
    disconnects: false,
};
const ORIGIN: Victim = Victim {
    labels: "app.kubernetes.io/component=origin",
    container: "icecast",
    process: "icecast2",
    disconnects: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn tape_kills_behind_the_ingest_cost_the_dj_nothing() {
    play("kills", |stage| async move {
        stage.on_air_with_inputs().await?;
        let login = stage.login("live", "studio").await?;
        let listener = stage.ear("fm", "/live.mp3", ON_AIR).await?.reconnect(RECONNECT);
        let listener = listener.open().await?;
        for codec in rows(&[Codec::Opus, Codec::Mp3, Codec::Adts]) {
            show(&stage, &login, &listener, *codec)
                .await
                .with_context(|| format!("a DJ in {codec:?}"))?;
        }
        Ok(())
    })
    .await;
}

/// One DJ, one connection, and many kills.
async fn show(stage: &Stage, login: &Login, listener: &Listener, codec: Codec) -> Result<()> {
    let tape = stage.tape("live").await?;
    let sender = || login.sender().codec(codec).play(Script::steady(Tone::Hz(440)));
    let (dj, _) = take(ON_AIR, sender).await?;
    listener.await_tone(Tone::Hz(440), ON_AIR).await?;
    let rounds = if is_full() { 10 } else { 2 };
    for victim in [LIQUIDSOAP, ORIGIN] {
        let disconnects = listener.disconnects().len();
        let mut back = Vec::new();
        for tone in TONES.iter().cycle().take(rounds) {
            let after = kill(stage, &victim, &dj, listener, *tone).await;
            back.push(after.with_context(|| format!("{} killed, round {}", victim.process, back.len() + 1))?);
        }
        println!(
            "tape: {} killed (-9), {codec:?}: the DJ is audible again after {}",
            victim.process,
            Latency::from_samples(back)
        );
        ensure!(
            victim.disconnects || listener.disconnects().len() == disconnects,
            "a listener was disconnected: {}",
            listener.report()
        );
    }
    let session = tape
        .await_session("studio", "on air", ON_AIR, |s| s.ended.is_none())
        .await?;
    let sent = dj.finish().await?;
    ensure!(
        sent.failure.is_none(),
        "the DJ's connection failed: {:?}",
        sent.failure
    );
    let ended = tape
        .await_session("studio", "over", ON_AIR, |s| s.ended.is_some())
        .await?;
    ensure!(
        ended.id == session.id,
        "{ended:?} is another session than {session:?}"
    );
    let taped = tape.bytes(&ended.id).await?;
    is_same(&taped, &sent.log.read()?).context("the tape is not what was sent")?;
    println!("tape: {codec:?}: {} bytes sent, the tape is the same", sent.bytes);
    Ok(())
}

/// Kills, changes the tone, and waits for it: what was on its way at the kill is not mistaken for a recovery.
async fn kill(stage: &Stage, victim: &Victim, dj: &Dj, listener: &Listener, tone: Tone) -> Result<Duration> {
    let pod = stage.pod(victim.labels).await?;
    let killed = Instant::now();
    let hit = verbs::kill_process(&stage.namespace, &pod, victim.container, victim.process).await?;
    ensure!(hit > 0, "no process {} was found in {pod}", victim.process);
    dj.play(tone).await?;
    let back = listener.await_tone_since(killed, tone, BACK).await;
    ensure!(dj.is_on_air(), "the DJ's connection is gone: {}", dj.report());
    back
}
