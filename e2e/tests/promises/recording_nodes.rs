//! Promise: the recorder's node may be lost in the middle of a show, and nothing of it is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{PLACED, Recording, microphone};
use e2e::harness::{Stage, Store, play_alone, rows, until};
use e2e::sound::{Codec, Dj, Script, Tone};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

/// Segments that a recorder sends at a time.
const UNDER_WAY: usize = 4;
const APPOINTED: Duration = Duration::from_secs(20);
/// Kubernetes calls a silent node lost after 50 s, and what is not tolerated for 15 s goes then.
const REPLACED: Duration = Duration::from_mins(3);
const VERIFIED: Duration = Duration::from_mins(4);
const BACK: Duration = Duration::from_mins(1);
const SPEED: f64 = 4.0;

/// What becomes of the node.
#[derive(Clone, Copy, Debug)]
enum Loss {
    CableCut,
    /// The recorder there goes on while there is another.
    CableCutForAWhile,
    Power,
    KubeletStopped,
    ContainerdKilled,
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_nodes_may_be_lost() {
    let losses = [
        Loss::CableCut,
        Loss::CableCutForAWhile,
        Loss::Power,
        Loss::KubeletStopped,
        Loss::ContainerdKilled,
    ];
    for loss in rows(&losses) {
        let loss = *loss;
        play_alone("node", |stage| async move {
            let store = Store::open().await?;
            stage.recording(&store, &microphone("opus")).await?;
            let node = vacant_node(&stage).await?;
            let shown = show(&stage, &store, &node, loss).await;
            // Other tests need it, whatever happened here.
            verbs::return_node(&node).await?;
            close(&stage, |_| false).await?;
            await_node(&stage, &node).await?;
            shown
        })
        .await;
    }
}

/// A show whose recorder loses its node.
async fn show(stage: &Stage, store: &Store, node: &str, loss: Loss) -> Result<()> {
    close(stage, |name| name != node).await?;
    let dj = on_air(stage).await?;
    let (recording, _) = stage.await_recording("live", &[], APPOINTED).await?;
    let (pod, placed) = recording.pod().await?;
    close(stage, |_| false).await?;
    ensure!(
        placed == node,
        "{pod} runs on {placed}, where only {node} was open"
    );
    recording.await_stored(store, 0, 2 * PLACED).await?;
    match loss {
        Loss::CableCut | Loss::CableCutForAWhile => verbs::partition_node(node).await?,
        Loss::Power => verbs::kill_node(node).await?,
        Loss::KubeletStopped => verbs::stop_kubelet(node)?,
        Loss::ContainerdKilled => verbs::kill_containerd(node)?,
    }
    let begun = Instant::now();
    let (replaced, _) = until("another recorder", REPLACED, || async {
        match recording.pod().await {
            Ok((other, _)) if other == pod => Err(format!("it is still {pod}")),
            Ok((other, elsewhere)) => Ok((other, elsewhere)),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    let after = begun.elapsed();
    ensure!(replaced.1 != node, "{} runs on {node} again", replaced.0);
    let stored = recording.stored(store)?;
    recording.await_stored(store, stored, 2 * PLACED).await?;
    println!(
        "recording: {loss:?} of its node: another recorder runs after {:.1} s, and stores after {:.1} s",
        after.as_secs_f32(),
        begun.elapsed().as_secs_f32()
    );
    if matches!(loss, Loss::CableCutForAWhile) {
        verbs::return_node(node).await?;
        await_node(stage, node).await?;
        let stored = recording.stored(store)?;
        recording.await_stored(store, stored, 2 * PLACED).await?;
    }
    let sent = dj.finish().await?;
    ensure!(sent.failure.is_none(), "the DJ: {:?}", sent.failure);
    let (_, took) = recording.await_phase("Verified", VERIFIED).await?;
    verbs::return_node(node).await?;
    await_node(stage, node).await?;
    await_end(stage, &pod).await?;
    let tally = recording.compare(store, 1, &[sent.log.read()?]).await?;
    println!(
        "recording: {loss:?} of its node: verified {:.1} s after the DJ left; {tally}",
        took.as_secs_f32()
    );
    nothing_more_is_stored(store, &recording)?;
    tally.is_exact()
}

/// What the old recorder had under way lands when it is back. It holds nothing that is not in the object.
fn nothing_more_is_stored(store: &Store, recording: &Recording) -> Result<()> {
    let left = store.list(&format!("{}segments/", recording.prefix))?;
    println!(
        "recording: {} segments came from the old recorder after that",
        left.len()
    );
    ensure!(
        left.len() <= UNDER_WAY,
        "the old recorder went on storing what was verified: {left:?}"
    );
    Ok(())
}

/// The pod that was left on the node goes, with all that it might still do.
pub async fn await_end(stage: &Stage, pod: &str) -> Result<()> {
    until(&format!("{pod} to be gone"), BACK, || async {
        match stage.kind("Pod").get_opt(pod).await {
            Ok(None) => Ok(()),
            Ok(Some(pod)) => Err(pod.data["status"]["phase"].to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .map(drop)
}

async fn on_air(stage: &Stage) -> Result<Dj> {
    let login = stage.login("live", "source").await?;
    let sender = || {
        let script = Script::steady(Tone::Unknown);
        login.sender().codec(Codec::Opus).speed(SPEED).play(script)
    };
    Ok(take(ON_AIR, sender).await?.0)
}

/// A node on which neither the tape nor the operator is.
pub async fn vacant_node(stage: &Stage) -> Result<String> {
    let pods: Api<Pod> = Api::all(stage.client.clone());
    let mut taken = Vec::new();
    for pod in pods.list(&ListParams::default()).await? {
        let labels = pod.metadata.labels.unwrap_or_default();
        let component = labels.get("app.kubernetes.io/component");
        let of_ours = pod.metadata.namespace.as_ref() == Some(&stage.namespace);
        let is_tape = of_ours && component.is_some_and(|component| component == "ingest");
        let is_operator = pod.metadata.namespace.as_deref() == Some("radio-system");
        if is_tape || is_operator {
            taken.extend(pod.spec.and_then(|spec| spec.node_name));
        }
    }
    let nodes: Api<Node> = Api::all(stage.client.clone());
    let nodes = nodes.list(&ListParams::default()).await?;
    let mut names = nodes.items.into_iter().filter_map(|node| node.metadata.name);
    names
        .find(|name| !taken.contains(name))
        .with_context(|| format!("tape and operator are on {taken:?}; no node is left"))
}

/// New pods come only to nodes that are not closed.
pub async fn close(stage: &Stage, is_closed: impl Fn(&str) -> bool) -> Result<()> {
    let nodes: Api<Node> = Api::all(stage.client.clone());
    for node in nodes.list(&ListParams::default()).await? {
        let name = node.metadata.name.unwrap_or_default();
        let patch = Patch::Merge(json!({"spec": {"unschedulable": is_closed(&name)}}));
        nodes.patch(&name, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

pub async fn await_node(stage: &Stage, name: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(stage.client.clone());
    until(&format!("{name} to be ready"), BACK, || async {
        let node = nodes.get(name).await.map_err(|e| e.to_string())?;
        let conditions = node
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let is_ready = conditions
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True");
        is_ready.then_some(()).ok_or_else(|| format!("{conditions:?}"))
    })
    .await
    .map(drop)
}
