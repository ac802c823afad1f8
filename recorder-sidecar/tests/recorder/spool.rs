//! A spool that fills.

use std::fs;
use std::os::unix::fs::MetadataExt;

use e2e::twin::Outage;
use ingest::config::Routing;
use jiff::Timestamp;

use crate::stage::Tape;

#[tokio::test]
async fn a_full_spool_leaves_the_rest_on_the_tape() {
    let stage = Tape::new().await;
    stage.twin.outage(Outage::Refuse);
    let mut show = stage.begin(Routing::Live);
    let cap = 1 << 20;
    let (_capture, mut ship) = (stage.capture_with_cap(cap), stage.ship());
    show.play(240, 60).await;
    stage
        .until("the spool is full", async || {
            stage
                .state(0)
                .await
                .is_some_and(|state| state["spoolBytes"].as_u64().unwrap() >= cap)
        })
        .await;
    show.play(60, 60).await;
    let used = fs::metadata(stage.spool().join(&show.id).join("tape"))
        .unwrap()
        .blocks()
        * 512;
    println!("{used} bytes in a spool of {cap}, {} sent", show.sent.len());
    assert!(used < cap + (256 << 10), "{used}");
    let metrics = stage.get(0, "/metrics").await.unwrap();
    assert!(
        metrics.contains("radio_recorder_spool_cap_bytes 1048576"),
        "{metrics}"
    );
    assert!(
        metrics.contains(&format!(
            "radio_recorder_captured_offset{{session=\"{}\"}}",
            show.id
        )),
        "{metrics}"
    );
    show.end();
    stage.twin.outage(Outage::None);
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// Store down, spool full, and then the tape over its cap: what is gone is told to the byte.
#[tokio::test]
async fn what_the_tape_gives_up_before_it_was_captured_is_told_as_lost() {
    let stage = Tape::new().await;
    stage.twin.outage(Outage::Refuse);
    let mut show = stage.begin(Routing::Live);
    let cap = 1 << 20;
    let (_capture, mut ship) = (stage.capture_with_cap(cap), stage.ship());
    show.play(120, 60).await;
    stage
        .until("the spool is full", async || {
            stage
                .state(0)
                .await
                .is_some_and(|state| state["waitsForRoom"] == true)
        })
        .await;
    show.send(60);
    show.end();
    stage.shelf.settle();
    stage.shelf.retain(Timestamp::now(), 1, &[]);
    assert!(stage.shelf.get(&show.id).is_none(), "the tape has given it up");
    let captured = stage.captured(&show.id);
    stage.twin.outage(Outage::None);
    stage.over(&mut ship).await;

    let sent = show.sent.len() as u64;
    let holes = stage.compare(&[show.log()]).await.1;
    println!("{captured} of {sent} bytes captured, holes {holes:?}");
    assert_eq!(holes, [(captured, sent)], "{}", stage.log());
    let manifest = stage.manifest().await;
    let told = &manifest.sessions[0];
    assert_eq!((told.lost.len(), told.end), (1, Some(sent)), "{told:?}");
    assert_eq!((told.lost[0].from, told.lost[0].to), (captured, sent));
}
