//! A spool that fills.

use std::fs;
use std::os::unix::fs::MetadataExt;

use e2e::twin::Outage;
use ingest::config::Routing;

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
