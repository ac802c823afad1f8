//! Promise: `kubectl wait` tells the truth, deleting leaves nothing, and an idle station writes nothing to the API.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::harness::radio::{ON_AIR, PLAYLIST, mount, station};
use e2e::harness::{Stage, audit, play, until};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

const OPERATOR: &str = "system:serviceaccount:radio-system:radio-operator";
const IDLE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn ground_kubectl_wait_is_right_after_create_and_edit() {
    play("wait", |stage| async move {
        stage.music("music", PLAYLIST).await?;
        stage.apply(&(station("fm") + &mount("live", "fm"))).await?;
        kubectl_wait(&stage, "station/fm").await?;
        kubectl_wait(&stage, "mount/live").await?;
        let before = stage.pod("app.kubernetes.io/component=playout").await?;

        stage
            .merge(
                "Mount",
                "live",
                json!({"spec": {"outputs": [{"name": "mp3", "codec": "mp3"}]}}),
            )
            .await?;
        kubectl_wait(&stage, "mount/live").await?;
        let after = stage.pod("app.kubernetes.io/component=playout").await?;
        ensure!(
            before != after,
            "Ready was said while the pod with the old outputs was still the running one"
        );
        let mount = stage.kind("Mount").get("live").await?;
        let observed = mount
            .data
            .pointer("/status/observedGeneration")
            .and_then(serde_json::Value::as_i64);
        ensure!(
            observed == mount.metadata.generation,
            "status speaks of generation {observed:?}"
        );
        let listener = stage.listen("fm", "/live.mp3", ON_AIR).await?;
        listener.await_tone(PLAYLIST, ON_AIR).await?;
        Ok(())
    })
    .await;
}

async fn kubectl_wait(stage: &Stage, object: &str) -> Result<()> {
    let words = ["wait", "--for=condition=Ready", "--timeout=60s", object];
    stage.kubectl(&words).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_idle_station_writes_nothing_and_delete_leaves_nothing() {
    play("idle", |stage| async move {
        stage.on_air().await?;
        let objects = station("fm") + &mount("live", "fm");
        let settled = settled(&stage).await?;
        stage.apply(&objects).await?;
        let since = Timestamp::now();
        // Time itself is what is tested here.
        tokio::time::sleep(IDLE).await;
        ensure!(
            stage.versions().await? == settled,
            "a resourceVersion changed after a second apply or while idle"
        );
        let writes = audit::writes(since)?;
        let mine: Vec<_> = writes
            .iter()
            .filter(|w| w.object_ref.namespace == stage.namespace)
            .collect();
        println!(
            "ground: writes in {} idle seconds: {}",
            IDLE.as_secs(),
            mine.len()
        );
        ensure!(mine.is_empty(), "writes while idle: {mine:#?}");
        // Other tests keep the operator busy in namespaces of their own; everywhere else it may write its Lease only.
        let elsewhere =
            |w: &&audit::Write| w.user.username == OPERATOR && !w.object_ref.namespace.starts_with("t-");
        let (leases, others): (Vec<_>, Vec<_>) = writes
            .iter()
            .filter(elsewhere)
            .partition(|w| w.object_ref.resource == "leases");
        ensure!(
            !leases.is_empty(),
            "the audit log shows no Lease of the operator: is it being written?"
        );
        ensure!(others.is_empty(), "the idle operator wrote: {others:#?}");

        stage.delete("Mount", "live").await?;
        stage.delete("Station", "fm").await?;
        let ((), took) = until("no child to be left", Duration::from_mins(1), || async {
            let left = stage.versions().await.map_err(|e| e.to_string())?;
            let left: Vec<_> = left
                .into_iter()
                .map(|(name, _)| name)
                .filter(|n| n != "ConfigMap/music")
                .collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(left.join(", "))
            }
        })
        .await?;
        println!("ground: nothing left {:.1} s after delete", took.as_secs_f32());
        Ok(())
    })
    .await;
}

/// The versions of everything, once Kubernetes' own controllers have stopped writing about the start.
async fn settled(stage: &Stage) -> Result<Vec<(String, String)>> {
    let (versions, _) = until("everything to settle", Duration::from_secs(30), || async {
        let before = stage.versions().await.map_err(|e| e.to_string())?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = stage.versions().await.map_err(|e| e.to_string())?;
        if before == after {
            Ok(after)
        } else {
            Err("versions still change".to_owned())
        }
    })
    .await?;
    Ok(versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_children_are_never_taken_from_others() {
    play("taken", |stage| async move {
        stage
            .apply(
                "{apiVersion: v1, kind: Service, metadata: {name: fm-listen}, spec: {ports: [{port: 80}]}}",
            )
            .await?;
        stage.apply(&station("fm")).await?;
        let message = stage
            .await_not_ready("Station", "fm", "NameTaken", ON_AIR)
            .await?;
        println!("ground: foreign Service: {message}");
        ensure!(
            message.contains("fm-listen"),
            "the sentence does not name the Service: {message}"
        );
        let service = stage.kind("Service").get("fm-listen").await?;
        ensure!(
            service.owner_references().is_empty(),
            "the foreign Service was taken over"
        );
        stage.delete("Service", "fm-listen").await?;
        stage.await_ready("Station", "fm", 4 * ON_AIR).await?;
        Ok(())
    })
    .await;
}
