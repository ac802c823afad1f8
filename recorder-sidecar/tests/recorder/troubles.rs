//! An ingest that goes, comes back, and has lost something.

use std::time::Duration;

use ingest::config::Routing;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::stage::Tape;

#[tokio::test]
async fn the_ingest_cannot_be_reached_for_a_while() {
    let mut stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    for _ in 0..3 {
        show.play(30, 30).await;
        stage.close_desk().await;
        show.play(60, 30).await;
        stage.open_desk().await;
    }
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// The tape was at its cap before the recorder came.
#[tokio::test]
async fn what_the_tape_has_no_more_is_told_exactly() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    show.send(1_200);
    stage.shelf.settle();
    stage.shelf.retain(Timestamp::now(), 9 << 20, &[]);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(20, 20).await;
    show.end();
    stage.over(&mut ship).await;
    let holes = stage.compare(&[show.log()]).await.1;
    let [(0, to)] = holes[..] else {
        panic!("{holes:?}\n{}", stage.log())
    };
    assert!(to > 8 << 20, "{to}");
    let manifest = stage.manifest().await;
    let told: Vec<_> = manifest.sessions[0]
        .lost
        .iter()
        .map(|lost| (lost.from, lost.to))
        .collect();
    assert_eq!(told, holes);
    assert_eq!(manifest.sessions[0].end, Some(show.sent.len() as u64));
}

/// Its token is rotated, and it is somewhere else now.
#[tokio::test]
async fn new_settings_are_taken_without_a_restart() {
    let mut stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let right = stage.recording["tape"].clone();
    stage.recording["tape"]["token"] = "wrong".into();
    stage.tell();
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(60, 30).await;
    assert_eq!(stage.captured(&show.id), 0);
    assert!(!stage.log().contains("wrong\""), "a token in the log");
    stage.recording["tape"] = right;
    stage.tell();
    sleep(Duration::from_secs(1)).await;
    show.play(30, 30).await;
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}
