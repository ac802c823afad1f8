//! Two pods of one Recording at once: the Job's controller replaces the pod of a node that it does not reach, and that node may
//! well reach ingest and store.

use ingest::config::Routing;
use recorder::manifest::{MANIFESTS, OverWhy};

use crate::stage::{Tape, kill};

/// All four processes are killed in turn, too.
#[tokio::test]
async fn both_go_on_to_the_end_and_nothing_is_lost_or_doubled() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (mut capture, mut ship) = (stage.capture(), stage.ship());
    show.play(60, 30).await;
    let [mut other_capture, mut other] = stage.elsewhere();
    for round in 0..4 {
        show.play(30, 30).await;
        match round {
            0 => {
                kill(&mut capture).await;
                capture = stage.capture();
            }
            1 => {
                kill(&mut ship).await;
                ship = stage.ship();
            }
            _ => {
                kill(&mut other_capture).await;
                kill(&mut other).await;
                [other_capture, other] = stage.elsewhere();
            }
        }
    }
    show.play(30, 30).await;
    show.end();
    stage.over(&mut ship).await;
    stage.over(&mut other).await;
    stage.nothing_is_lost(&[show.log()]).await;
    assert_eq!(
        stage.keys_below(MANIFESTS).await.len(),
        2,
        "each has left its own words"
    );
    let mut finalize = stage.finalize();
    stage.over(&mut finalize).await;
    let published = stage.published(1).await;
    assert_eq!(published.gaps, []);
    assert_eq!(published.intervals.len(), 1);
    assert_eq!(published.intervals[0].bytes.bytes(), show.sent.len() as u64);
}

/// One of them is cut off from the ingest: what it does not know does not come to stand for what the other does.
#[tokio::test]
async fn who_is_cut_off_spoils_nothing() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (mut capture, mut cut_off) = (stage.capture(), stage.ship());
    show.play(60, 30).await;
    kill(&mut capture).await;
    let [_other_capture, mut other] = stage.elsewhere();
    show.play(60, 30).await;
    let mut second = stage.begin(Routing::Live);
    show.end();
    second.play(60, 30).await;
    second.end();
    stage.over(&mut other).await;
    stage.nothing_is_lost(&[show.log(), second.log()]).await;
    assert!(
        cut_off.try_wait().unwrap().is_none(),
        "it waits for what it has not seen: {}",
        stage.log()
    );
    // It reaches the ingest again, and ends as well: whoever writes last, the same is known.
    let _capture = stage.capture();
    stage.over(&mut cut_off).await;
    stage.nothing_is_lost(&[show.log(), second.log()]).await;
    assert_eq!(stage.manifest().await.over.unwrap().why, OverWhy::Idle);
}
