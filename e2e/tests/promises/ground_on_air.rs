//! Promise: with images present, from `kubectl apply` to audible takes less than 15 s, in every codec.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::harness::radio::{ON_AIR, PLAYLIST, TITLE, mount, station};
use e2e::harness::{Stage, play};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn ground_applied_is_audible_within_15_s() {
    play("on-air", |stage| async move {
        stage.music("music", PLAYLIST).await?;
        let applied = Instant::now();
        stage.apply(&(station("fm") + &mount("live", "fm"))).await?;
        let (opus, mp3) = tokio::join!(
            heard(&stage, "/live.opus", applied),
            heard(&stage, "/live.mp3", applied)
        );
        println!(
            "ground: applied to audible: opus {:.1} s, mp3 {:.1} s",
            opus?, mp3?
        );
        stage.await_ready("Station", "fm", ON_AIR).await?;
        stage.await_ready("Mount", "live", ON_AIR).await?;
        Ok(())
    })
    .await;
}

async fn heard(stage: &Stage, path: &str, applied: Instant) -> Result<f32> {
    let listener = stage.listen("fm", path, ON_AIR).await?;
    let left = ON_AIR.saturating_sub(applied.elapsed());
    listener.await_tone(PLAYLIST, left).await?;
    Ok(applied.elapsed().as_secs_f32())
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_a_title_arrives_intact() {
    const NAME: &str = r#"Nachtflug 🌙 "live" & more's"#;
    play("title", |stage| async move {
        stage.music("music", PLAYLIST).await?;
        stage.apply(&(station("fm") + &mount("live", "fm"))).await?;
        stage
            .merge(
                "Station",
                "fm",
                json!({"spec": {"title": NAME, "genre": "dub & techno"}}),
            )
            .await?;
        stage.await_ready("Mount", "live", 4 * ON_AIR).await?;
        for path in ["/live.opus", "/live.mp3"] {
            let listener = stage.listen("fm", path, ON_AIR).await?;
            listener.await_tone(PLAYLIST, ON_AIR).await?;
            let name = listener.header("icy-name").unwrap_or_default();
            ensure!(name == NAME, "{path} is called {name:?}");
            ensure!(
                listener.header("icy-genre").as_deref() == Some("dub & techno"),
                "genre of {path}"
            );
            listener.await_title(TITLE, ON_AIR).await?;
        }
        Ok(())
    })
    .await;
}
