//! Promise: the cluster's own verbs do what they say, so that later tests can lose a node and get it back.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::radio::{ON_AIR, PLAYLIST};
use e2e::harness::{Stage, is_full, play, until};
use e2e::sound::GapKind;
use k8s_openapi::api::core::v1::Node;
use kube::Api;

/// Kubernetes calls a silent node lost after 50 s.
const LOST: Duration = Duration::from_secs(90);
const BACK: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn ground_nodes_are_killed_stopped_partitioned_and_return() {
    if !is_full() {
        println!(
            "not run here: losing nodes disturbs the other tests; `make e2e-full T=ground_nodes` runs it"
        );
        return;
    }
    play("nodes", |stage| async move {
        let node = "node3";
        for (verb, lose) in [("kill", 0), ("stop", 1), ("partition", 2)] {
            match lose {
                0 => verbs::kill_node(node).await?,
                1 => verbs::stop_node(node).await?,
                _ => verbs::partition_node(node).await?,
            }
            let lost = await_node(&stage, node, false, LOST).await?;
            verbs::return_node(node).await?;
            let back = await_node(&stage, node, true, BACK).await?;
            println!(
                "ground: node {verb}: lost after {:.1} s, back {:.1} s after its return",
                lost.as_secs_f32(),
                back.as_secs_f32()
            );
        }
        Ok(())
    })
    .await;
}

async fn await_node(stage: &Stage, name: &str, ready: bool, within: Duration) -> Result<Duration> {
    let nodes: Api<Node> = Api::all(stage.client.clone());
    let ((), took) = until(&format!("node {name} to be ready={ready}"), within, || async {
        let node = nodes.get(name).await.map_err(|e| e.to_string())?;
        let conditions = node
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let status = conditions
            .into_iter()
            .find(|c| c.type_ == "Ready")
            .map(|c| c.status)
            .unwrap_or_default();
        if (status == "True") == ready {
            Ok(())
        } else {
            Err(format!("Ready={status}"))
        }
    })
    .await?;
    Ok(took)
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_traffic_between_two_pods_is_blocked_and_flows_again() {
    play("block", |stage| async move {
        stage.on_air().await?;
        let listener = stage.listen("fm", "/live.mp3", ON_AIR).await?;
        listener.await_tone(PLAYLIST, ON_AIR).await?;
        let playout = stage.pod("app.kubernetes.io/component=playout").await?;
        let origin = stage.pod("app.kubernetes.io/component=origin").await?;
        let before = listener.longest_gap(GapKind::NoBytes);
        verbs::block(&stage.namespace, &playout, &origin).await?;
        let gap = until("the stream to stop", ON_AIR, || async {
            let gap = listener.longest_gap(GapKind::NoBytes);
            if gap > before + Duration::from_secs(2) {
                Ok(gap)
            } else {
                Err(listener.report())
            }
        })
        .await;
        verbs::unblock(&stage.namespace, &playout, &origin).await?;
        gap?;
        let bytes = listener.bytes();
        listener.await_bytes(bytes + 16 * 1024, ON_AIR).await?;
        let gap = listener.longest_gap(GapKind::NoBytes);
        println!(
            "ground: playout cut off its origin: audio away for {} ms, 0 disconnects",
            gap.as_millis()
        );
        ensure!(
            listener.disconnects().is_empty(),
            "a listener was disconnected: {}",
            listener.report()
        );
        Ok(())
    })
    .await;
}
