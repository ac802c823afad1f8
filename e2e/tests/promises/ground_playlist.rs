//! Promise: what a playlist loses is bridged by the emergency audio within a second, and comes back by itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::radio::{EMERGENCY, ON_AIR, PLAYLIST, mount, station};
use e2e::harness::{Stage, play};
use e2e::sound::{Codec, GapKind, Listener, Track};
use serde_json::json;

const SWITCH: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn ground_playlist_removed_is_bridged() {
    play("playlist", |stage| async move {
        stage.on_air().await?;
        let listeners = [
            stage.listen("fm", "/live.opus", ON_AIR).await?,
            stage.listen("fm", "/live.mp3", ON_AIR).await?,
        ];
        for listener in &listeners {
            listener.await_tone(PLAYLIST, ON_AIR).await?;
        }
        let removed = Instant::now();
        stage
            .merge("ConfigMap", "music", json!({"binaryData": null}))
            .await?;
        switched(
            &listeners,
            removed,
            EMERGENCY,
            SWITCH,
            "ConfigMap emptied -> emergency",
        )
        .await?;
        let returned = Instant::now();
        stage.music("music", PLAYLIST).await?;
        switched(
            &listeners,
            returned,
            PLAYLIST,
            BACK,
            "ConfigMap filled -> playlist",
        )
        .await?;
        let removed = Instant::now();
        stage.delete("ConfigMap", "music").await?;
        switched(
            &listeners,
            removed,
            EMERGENCY,
            SWITCH,
            "ConfigMap deleted -> emergency",
        )
        .await?;
        uninterrupted(&listeners)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_file_on_a_volume_removed_is_bridged() {
    play("volume", |stage| async move {
        stage.apply(CLAIM).await?;
        let mounted = mount("live", "fm").replace("configMap: {name: music}", "volume: {claimName: music}");
        stage.apply(&(station("fm") + &mounted)).await?;
        let listeners = [stage.listen("fm", "/live.mp3", 4 * ON_AIR).await?];
        listeners[0]
            .await_tone(EMERGENCY, ON_AIR)
            .await
            .context("an empty volume plays the emergency audio")?;

        let file = folder(&stage).await?.join("tone.opus");
        // Beside the volume's folder, not in it: half a file in there is a track like any other.
        let beside = file
            .parent()
            .context("a volume without a folder")?
            .with_extension("part");
        Track::of(PLAYLIST)
            .codec(Codec::Opus)
            .length(Duration::from_secs(30))
            .write(&beside)
            .await?;
        let added = Instant::now();
        std::fs::rename(&beside, &file)?;
        switched(&listeners, added, PLAYLIST, BACK, "file added -> playlist").await?;
        let removed = Instant::now();
        std::fs::remove_file(&file)?;
        switched(
            &listeners,
            removed,
            EMERGENCY,
            SWITCH,
            "file removed -> emergency",
        )
        .await?;
        uninterrupted(&listeners)
    })
    .await;
}

const CLAIM: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: music}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Mi}}}
";

/// Where the local cluster keeps the claim's files on this host.
async fn folder(stage: &Stage) -> Result<PathBuf> {
    let claim = stage.kind("PersistentVolumeClaim").get("music").await?;
    let volume = claim
        .data
        .pointer("/spec/volumeName")
        .and_then(|v| v.as_str())
        .context("the claim is not bound")?;
    let volumes: kube::Api<k8s_openapi::api::core::v1::PersistentVolume> =
        kube::Api::all(stage.client.clone());
    let spec = volumes
        .get(volume)
        .await?
        .spec
        .context("a volume without a spec")?;
    let path = spec
        .local
        .map(|l| l.path)
        .or_else(|| spec.host_path.map(|h| h.path));
    Ok(PathBuf::from(path.context("not a local volume")?))
}

async fn switched(
    listeners: &[Listener],
    event: Instant,
    tone: e2e::sound::Tone,
    within: Duration,
    what: &str,
) -> Result<()> {
    for listener in listeners {
        let after = listener
            .await_tone_since(event, tone, within)
            .await
            .with_context(|| what.to_owned())?;
        println!("ground: {what}: {} ms", after.as_millis());
    }
    Ok(())
}

fn uninterrupted(listeners: &[Listener]) -> Result<()> {
    for listener in listeners {
        ensure!(
            listener.disconnects().is_empty(),
            "a listener was disconnected: {}",
            listener.report()
        );
        let silence = listener.longest_gap(GapKind::Silence);
        ensure!(
            silence < SWITCH,
            "{} ms of silence: {}",
            silence.as_millis(),
            listener.report()
        );
    }
    Ok(())
}
