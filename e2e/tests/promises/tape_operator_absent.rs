//! Promise: without an operator nothing changes, DJs come and go and are heard; when it is back, status tells the truth.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, PLAYLIST};
use e2e::harness::{Stage, play_alone, until};
use e2e::sound::{Codec, Dj, GapKind, Script, Tone};
use serde_json::Value;

const EARLY: Tone = Tone::Hz(440);
const LATE: Tone = Tone::Hz(660);
const HEARD: Duration = Duration::from_secs(10);
const TOLD: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn tape_operator_absent_changes_nothing_and_new_djs_are_heard() {
    play_alone("absent", |stage| async move {
        stage.on_air_with_inputs().await?;
        let early = connect(&stage, "mobile", EARLY).await?;
        stage
            .await_input(("live", "mobile"), "connected", TOLD, |input| input.connected)
            .await?;
        let pods = stage.pods().await?;
        stage.operators(0).await?;
        let shown = without_operator(&stage, &early).await;
        // Other tests need it, whatever happened here.
        stage.operators(1).await?;
        let late = shown?;

        let told = stage
            .await_input(("live", "studio"), "connected", TOLD, |input| input.connected)
            .await?;
        await_source(&stage, Some("studio")).await?;
        println!(
            "tape: operator back: the status tells of the DJ after {:.1} s",
            told.1.as_secs_f32()
        );
        ensure!(early.is_on_air() && late.is_on_air(), "a DJ was disconnected");
        ensure!(stage.pods().await? == pods, "a pod went, came or was restarted");
        late.finish().await?;
        early.finish().await?;
        await_source(&stage, None).await?;
        let inputs = stage.inputs("live").await?;
        ensure!(inputs.iter().all(|input| !input.connected), "{inputs:?}");
        Ok(())
    })
    .await;
}

/// A listener hears the one DJ go on, and a new one come to the input that has priority.
async fn without_operator(stage: &Stage, early: &Dj) -> Result<Dj> {
    let listener = stage.listen("fm", "/live.opus", ON_AIR).await?;
    listener.await_tone(EARLY, HEARD).await?;
    let came = Instant::now();
    let late = connect(stage, "studio", LATE).await?;
    let after = listener.await_tone_since(came, LATE, HEARD).await?;
    println!(
        "tape: operator absent: a new DJ is heard {} ms after connecting",
        after.as_millis()
    );
    ensure!(
        early.is_on_air(),
        "the DJ before was disconnected: {}",
        early.report()
    );
    // Before that the relay's burst may still hold the playlist.
    let strayed = listener
        .spans_since(came)
        .iter()
        .any(|span| span.tone == PLAYLIST);
    ensure!(!strayed, "{}", listener.report());
    ensure!(listener.disconnects().is_empty(), "{}", listener.report());
    let silence = listener.longest_gap(GapKind::Silence);
    ensure!(silence < Duration::from_secs(1), "{}", listener.report());
    Ok(late)
}

async fn connect(stage: &Stage, input: &str, tone: Tone) -> Result<Dj> {
    let login = stage.login("live", input).await?;
    let sender = || login.sender().codec(Codec::Opus).play(Script::steady(tone));
    let (dj, _) = take(ON_AIR, sender).await?;
    Ok(dj)
}

async fn await_source(stage: &Stage, source: Option<&str>) -> Result<()> {
    until(&format!("the source on air to be {source:?}"), TOLD, || async {
        let mount = stage.kind("Mount").get("live").await.map_err(|e| e.to_string())?;
        let told = mount.data.pointer("/status/source").and_then(Value::as_str);
        if told == source {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await
    .map(drop)
}
