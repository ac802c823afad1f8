//! Everything a store does wrong.

use std::time::Duration;

use e2e::twin::{Effect, Fault, Key, Operation, Outage, Rules, When};
use ingest::config::Routing;
use tokio::time::sleep;

use crate::stage::Tape;

#[tokio::test]
async fn down_for_the_whole_show() {
    let stage = Tape::new().await;
    stage.twin.outage(Outage::Refuse);
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(120, 30).await;
    show.end();
    stage
        .until("everything is captured", async || {
            stage.captured(&show.id) == show.sent.len() as u64
        })
        .await;
    assert!(ship.try_wait().unwrap().is_none(), "it waits");
    let told = stage.state(1).await.unwrap();
    assert_eq!(told["trouble"]["code"], "Silent", "{told}");
    stage.twin.outage(Outage::None);
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

#[tokio::test]
async fn down_in_the_middle_and_silent_then() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(40, 20).await;
    stage.twin.outage(Outage::Blackhole);
    show.play(60, 20).await;
    stage.twin.outage(Outage::Refuse);
    show.play(40, 20).await;
    stage.twin.outage(Outage::None);
    show.play(40, 20).await;
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// Throttled, broken, forgetful, and turning bits.
#[tokio::test]
async fn everything_at_once() {
    let stage = Tape::new().await;
    let answer = |status, code: &str, retry_after| Effect::Answer {
        status,
        code: code.to_owned(),
        retry_after,
    };
    let effects = [
        (answer(429, "TooManyRequests", Some(1)), 0.08),
        (answer(500, "InternalError", None), 0.04),
        (answer(503, "ServiceUnavailable", None), 0.04),
        (Effect::ResetBefore, 0.04),
        (Effect::LoseAnswer, 0.08),
    ];
    for (effect, chance) in effects {
        stage
            .twin
            .faults()
            .add(Fault::anywhere(When::Chance(chance), effect));
    }
    for effect in [Effect::ResetUpload(50_000), Effect::FlipUpload(1_000)] {
        stage
            .twin
            .faults()
            .add(Fault::on(Operation::PutObject, When::Chance(0.08), effect));
    }
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(300, 30).await;
    show.end();
    // What is left then has waited long enough for its turn.
    sleep(Duration::from_secs(8)).await;
    stage.twin.faults().clear();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
    let struck = stage
        .twin
        .log()
        .entries()
        .iter()
        .filter(|entry| !entry.effects.is_empty())
        .count();
    println!("{struck} requests went wrong");
    assert!(struck > 5);
}

#[tokio::test]
async fn a_storm_of_429_is_answered_with_patience() {
    let stage = Tape::new().await;
    let storm = Effect::Answer {
        status: 429,
        code: "TooManyRequests".to_owned(),
        retry_after: Some(4),
    };
    stage.twin.faults().add(Fault::anywhere(When::Always, storm));
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(120, 10).await;
    show.end();
    let asked = stage.twin.log().entries().len();
    // 12 s, each request asked to wait for 4 s.
    assert!((1..=5).contains(&asked), "{asked} requests");
    stage.twin.faults().clear();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
    println!("{asked} requests in a storm of 12 s");
}

#[tokio::test]
async fn keys_are_rotated_in_the_middle() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(40, 20).await;
    let new = Key::new("new", "another secret of forty characters, nearly");
    stage.twin.keys().put(new.clone());
    stage.twin.keys().revoke(&stage.key.access_key);
    show.play(60, 20).await;
    stage
        .until("it tells that its keys are refused", async || {
            stage.state(1).await.is_some_and(|state| {
                state["trouble"]["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("keys"))
            })
        })
        .await;
    stage.write_keys(&new);
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// A plain S3 server, without R2's rules, and none of whose promises are taken for granted.
#[tokio::test]
async fn a_generic_store_does_as_well() {
    for profile in ["generic", "aws"] {
        let stage = Tape::with(Rules::None, profile).await;
        stage
            .twin
            .faults()
            .add(Fault::on(Operation::PutObject, When::Next(2), Effect::LoseAnswer));
        let mut show = stage.begin(Routing::Live);
        let (_capture, mut ship) = (stage.capture(), stage.ship());
        show.play(60, 30).await;
        show.end();
        stage.over(&mut ship).await;
        stage.nothing_is_lost(&[show.log()]).await;
    }
}
