//! Promise: what can't work is refused or says why, hurts no other station, and heals once it is mended.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::harness::radio::{ON_AIR, PLAYLIST, mount, station};
use e2e::harness::{Stage, play};
use e2e::sound::GapKind;
use serde_json::{Value, json};

const SAID: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn ground_bad_objects_say_why_hurt_nobody_and_heal() {
    play("bad", |stage| async move {
        stage.on_air().await?;
        let listener = stage.listen("fm", "/live.opus", ON_AIR).await?;
        listener.await_tone(PLAYLIST, ON_AIR).await?;

        bad_image(&stage).await?;
        missing_station(&stage).await?;
        path_clash(&stage).await?;
        hostile_titles(&stage).await?;

        ensure!(
            listener.disconnects().is_empty(),
            "the good station lost its listener: {}",
            listener.report()
        );
        let gap = listener.longest_gap(GapKind::NoBytes);
        ensure!(
            gap < Duration::from_secs(2),
            "the good station paused: {}",
            listener.report()
        );
        println!(
            "ground: beside four bad objects: 0 disconnects, longest pause {} ms",
            gap.as_millis()
        );
        Ok(())
    })
    .await;
}

async fn bad_image(stage: &Stage) -> Result<()> {
    const IMAGE: &str = "localhost/radio/not-there:1";
    stage.apply(&station("bad")).await?;
    stage
        .merge("Station", "bad", json!({"spec": {"icecast": {"image": IMAGE}}}))
        .await?;
    let message = stage
        .await_not_ready("Station", "bad", "ImageUnavailable", SAID)
        .await?;
    println!("ground: bad image: {message}");
    ensure!(
        message.contains(IMAGE),
        "the sentence does not name the image: {message}"
    );
    stage
        .merge("Station", "bad", json!({"spec": {"icecast": null}}))
        .await?;
    stage
        .await_ready("Station", "bad", 4 * ON_AIR)
        .await
        .context("a mended image heals")?;
    stage.delete("Station", "bad").await
}

async fn missing_station(stage: &Stage) -> Result<()> {
    stage.apply(&mount("early", "late")).await?;
    let message = stage
        .await_not_ready("Mount", "early", "StationNotFound", SAID)
        .await?;
    println!("ground: missing Station: {message}");
    ensure!(
        message.contains("late"),
        "the sentence does not name the Station: {message}"
    );
    stage.apply(&station("late")).await?;
    stage
        .await_ready("Mount", "early", 4 * ON_AIR)
        .await
        .context("a Station that appears heals")?;
    stage.delete("Mount", "early").await?;
    stage.delete("Station", "late").await
}

async fn path_clash(stage: &Stage) -> Result<()> {
    stage
        .apply(&mount("second", "fm").replace("path: /second", "path: /live"))
        .await?;
    let message = stage
        .await_not_ready("Mount", "second", "PathTaken", SAID)
        .await?;
    println!("ground: path clash: {message}");
    ensure!(
        message.contains("/live.opus") && message.contains("Mount live"),
        "not a clear sentence: {message}"
    );
    stage
        .merge("Mount", "second", json!({"spec": {"path": "/second"}}))
        .await?;
    stage
        .await_ready("Mount", "second", 4 * ON_AIR)
        .await
        .context("a path that is free heals")?;
    stage.delete("Mount", "second").await
}

/// Markup, interpolation and length are refused by the API server; an emoji is a title like any other
/// (`ground_a_title_arrives_intact`).
async fn hostile_titles(stage: &Stage) -> Result<()> {
    let long = "x".repeat(10_000);
    let two_lines = "one\ntwo";
    for title in [
        r#""/><mount>"#,
        "#{process.run(\"id\")}",
        long.as_str(),
        two_lines,
    ] {
        let refused = stage
            .merge("Station", "fm", json!({"spec": {"title": title}}))
            .await;
        let Err(error) = refused else {
            bail!("the title {title:.20} was taken")
        };
        let sentence = error.root_cause().to_string();
        println!(
            "ground: title {title:.12}...: {:.160}",
            sentence.replace('\n', " ")
        );
        ensure!(
            sentence.contains("spec.title"),
            "the sentence does not name the field: {sentence}"
        );
    }
    let title = stage
        .kind("Station")
        .get("fm")
        .await?
        .data
        .pointer("/spec/title")
        .cloned();
    ensure!(
        title == Some(Value::from("Radio fm")),
        "the title became {title:?}"
    );
    Ok(())
}
