//! Promise: the operator is not on the audio path, and a killed Liquidsoap costs no listener.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::radio::{ON_AIR, PLAYLIST, mount};
use e2e::harness::{Stage, play};
use e2e::sound::{GapKind, Listener};

/// Audio is back.
const BACK: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn ground_operator_killed_changes_nothing_for_listeners() {
    play("operator", |stage| async move {
        stage.on_air().await?;
        let listeners = stage.audience().await?;
        let operator = Stage {
            namespace: "radio-system".to_owned(),
            ..stage.clone()
        };
        let pod = operator.pod("app.kubernetes.io/name=radio-operator").await?;
        let ended = verbs::kill_process(&operator.namespace, &pod, "operator", "radio-operator").await?;
        ensure!(ended > 0, "no operator process was found");

        // Only a living operator can do this, so it also is the wait for its return.
        stage.apply(&mount("second", "fm")).await?;
        let healed = stage.await_ready("Mount", "second", 4 * ON_AIR).await?;
        println!(
            "ground: operator killed: a Mount made meanwhile is ready after {:.1} s",
            healed.as_secs_f32()
        );
        for listener in &listeners {
            let gap = listener.longest_gap(GapKind::NoBytes);
            ensure!(
                listener.disconnects().is_empty() && gap < Duration::from_secs(2),
                "{}",
                listener.report()
            );
            println!(
                "ground: operator killed: 0 disconnects, longest pause {} ms",
                gap.as_millis()
            );
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_liquidsoap_killed_keeps_every_listener() {
    play("liquidsoap", |stage| async move {
        stage.on_air().await?;
        let listeners = stage.audience().await?;
        let pod = stage.pod("app.kubernetes.io/component=playout").await?;
        for round in 1..=3 {
            let killed = Instant::now();
            let ended = verbs::kill_process(&stage.namespace, &pod, "liquidsoap", "liquidsoap").await?;
            ensure!(ended > 0, "no liquidsoap process was found");
            for listener in &listeners {
                silence_then_music(listener, killed, round).await?;
            }
        }
        Ok(())
    })
    .await;
}

/// The stream stops within a second of the kill and is back in time.
async fn silence_then_music(listener: &Listener, killed: Instant, round: u32) -> Result<()> {
    let dead = killed + Duration::from_secs(1);
    let (gap, _) = e2e::harness::until("the gap of the kill to end", 2 * BACK, || async {
        let gaps = listener.gaps(Duration::from_millis(300));
        let gap = gaps
            .into_iter()
            .find(|gap| gap.at + gap.length > killed && gap.at < dead);
        let gap = gap.ok_or_else(|| format!("no gap: {}", listener.report()))?;
        let music = listener
            .spans_since(gap.at + gap.length)
            .iter()
            .any(|span| span.tone == PLAYLIST);
        if music {
            Ok(gap)
        } else {
            Err(format!("no music yet: {}", listener.report()))
        }
    })
    .await?;
    println!(
        "ground: Liquidsoap killed, round {round}: audio back after {} ms, 0 disconnects",
        gap.ms()
    );
    ensure!(gap.length <= BACK, "audio was away for {} ms", gap.ms());
    ensure!(
        listener.disconnects().is_empty(),
        "a listener was disconnected: {}",
        listener.report()
    );
    Ok(())
}
