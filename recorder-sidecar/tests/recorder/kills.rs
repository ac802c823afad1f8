//! kill -9, at random and at each request.

use std::fs;
use std::time::Duration;

use e2e::twin::{Effect, Fault, Operation, Outcome, When};
use ingest::config::Routing;
use rand::RngExt;
use tokio::time::{sleep, timeout};

use crate::stage::{Stage, kill};

#[tokio::test]
async fn both_killed_at_random() {
    let stage = Stage::new().await;
    let mut show = stage.begin(Routing::Live);
    let (mut capture, mut ship) = (stage.capture(), stage.ship());
    let mut kills = 0;
    for _ in 0..60 {
        show.send(4);
        sleep(Duration::from_millis(rand::rng().random_range(20..400))).await;
        if rand::rng().random_bool(0.4) {
            kill(&mut capture).await;
            capture = stage.capture();
            kills += 1;
        }
        if rand::rng().random_bool(0.3) {
            kill(&mut ship).await;
            ship = stage.ship();
            kills += 1;
        }
    }
    show.end();
    stage.over(&mut ship).await;
    println!("{kills} kills");
    stage.nothing_is_lost(&[&show]).await;
}

/// Each life of ship is killed at its next request but as many as the lives before it had: in the middle of it, and after
/// the store has done what it was asked.
#[tokio::test]
async fn ship_killed_at_each_request_in_turn() {
    for effect in [Effect::Delay(60_000), Effect::LoseAnswer] {
        let stage = Stage::new().await;
        let mut show = stage.begin(Routing::Live);
        show.send(95);
        show.end();
        let _capture = stage.capture();
        let mut lives = 0;
        let mut at = Vec::new();
        loop {
            lives += 1;
            stage.twin.log().clear();
            stage.twin.faults().clear();
            let nth = u32::try_from(lives).unwrap();
            stage
                .twin
                .faults()
                .add(Fault::anywhere(When::Nth(nth), effect.clone()));
            let mut ship = stage.ship();
            let struck = stage.twin.log().until(|entries| {
                let struck = entries.iter().find(|entry| !entry.effects.is_empty());
                struck.is_some_and(|entry| {
                    effect != Effect::LoseAnswer || matches!(entry.outcome, Outcome::Lost(_))
                })
            });
            tokio::select! {
                () = struck => {
                    kill(&mut ship).await;
                    let entries = stage.twin.log().entries();
                    at.extend(entries.iter().find(|entry| !entry.effects.is_empty()).map(|entry| entry.operation));
                }
                ended = timeout(Duration::from_mins(2), ship.wait()) => {
                    assert!(ended.expect("ship ends").unwrap().success(), "{}", stage.log());
                    break;
                }
            }
        }
        println!("{effect:?}: killed {} times, at {at:?}", lives - 1);
        assert!(
            at.contains(&Operation::PutObject) && at.contains(&Operation::ListObjectsV2),
            "{at:?}"
        );
        stage.nothing_is_lost(&[&show]).await;
    }
}

/// The pod and its node are gone, the spool with them: the next attempt has the bucket and the tape.
#[tokio::test]
async fn a_lost_pod_is_replaced_by_another() {
    let stage = Stage::new().await;
    let mut show = stage.begin(Routing::Live);
    let (mut capture, mut ship) = (stage.capture(), stage.ship());
    for round in 0..3 {
        show.play(60, 30).await;
        if round == 1 {
            stage.twin.outage(e2e::twin::Outage::Refuse);
            show.play(30, 30).await;
        }
        kill(&mut capture).await;
        kill(&mut ship).await;
        fs::remove_dir_all(stage.spool()).unwrap();
        stage.twin.outage(e2e::twin::Outage::None);
        (capture, ship) = (stage.capture(), stage.ship());
    }
    show.play(30, 30).await;
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[&show]).await;
}

/// A zombie of a lost node goes on beside its replacement.
#[tokio::test]
async fn two_attempts_at_once_double_nothing() {
    let stage = Stage::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(40, 20).await;
    let [_other_capture, mut other] = stage.elsewhere();
    show.play(200, 40).await;
    show.end();
    stage.over(&mut ship).await;
    stage.over(&mut other).await;
    stage.nothing_is_lost(&[&show]).await;
}

/// What the spool gave back and the bucket then lost is a hole, and no zeros.
#[tokio::test]
async fn what_vanishes_from_the_bucket_is_told() {
    let stage = Stage::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(80, 40).await;
    let freed = stage.spool().join(&show.id).join("freed");
    let given_back = async || fs::read_to_string(&freed).is_ok_and(|to| to.parse::<u64>().unwrap() > 700_000);
    stage
        .until("some segments are stored and given back", given_back)
        .await;
    kill(&mut ship).await;
    let (first, _) = stage.bucket().await.remove(&show.id).unwrap();
    let (from, bytes) = first.into_iter().nth(2).unwrap();
    let to = from + bytes.len() as u64;
    let range = recorder::manifest::Range { from, to };
    let key = recorder::manifest::segment_key(&show.id, range, ingest::api::Container::Mp3);
    stage.store().delete(&[key]).await.unwrap();
    let mut ship = stage.ship();
    show.end();
    stage.over(&mut ship).await;
    assert_eq!(stage.compare(&[&show]).await, [(from, to)]);
    assert_eq!(stage.manifest().await.sessions[0].lost, [range]);
}
