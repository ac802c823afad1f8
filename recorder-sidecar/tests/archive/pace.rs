//! How long it takes to make an object of a show, beside a program that only uploads it.

use std::time::Duration;

use e2e::harness::is_full;
use tokio::time::Instant;

use crate::audio::mp3_minutes;
use crate::oracle::{nothing_is_lost, published};
use crate::rclone::{ask, at};
use crate::stage::Stage;

/// A show of two hours, 288 MB; or a tenth of it.
#[tokio::test]
async fn two_hours_beside_rclone() {
    let (minutes, row) = if is_full() {
        (120, "2 h of 320 kb/s")
    } else {
        println!(
            "not run here: a show of 2 h beside rclone, one of 12 min stands for it; RADIO_FULL=1 runs it"
        );
        (12, "12 min of 320 kb/s")
    };
    let show = mp3_minutes(minutes);
    let stage = Stage::new().await;
    let mut dj = stage.connect("audio/mpeg").await;
    let recording = stage.recording("show");
    let pod = recording.pod();
    dj.send(&show).await;
    let sent = dj.leave().await;
    recording.over(pod).await;
    nothing_is_lost(row, &recording, &[&sent]).await;

    let file = stage.dir().join("show.mp3");
    std::fs::write(&file, &sent).unwrap();
    let file = file.to_str().unwrap();
    // Before and after, as nobody else may be said to have kept the machine busy for one of them.
    let before = uploaded(&stage, file, "before").await;
    let cost = recording.finalize().await;
    let after = uploaded(&stage, file, "after").await;
    published(row, &recording, 1, &[&sent], cost).await;
    let rclone = (before + after) / 2;
    let ratio = cost.time.as_secs_f64() / rclone.as_secs_f64();
    println!(
        "{row}, {} MB: finalize {:.2} s, rclone {:.2} s and {:.2} s: ratio {ratio:.2}; at most {} MiB",
        sent.len() / 1_000_000,
        cost.time.as_secs_f64(),
        before.as_secs_f64(),
        after.as_secs_f64(),
        cost.peak_mib
    );
    assert!(!is_full() || ratio <= 3.0, "{ratio}");
}

async fn uploaded(stage: &Stage, file: &str, name: &str) -> Duration {
    let begun = Instant::now();
    ask(stage, &["copyto", file, &at(&format!("rclone/{name}.mp3"))]).await;
    begun.elapsed()
}
