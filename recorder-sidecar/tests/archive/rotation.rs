//! A show that is longer than one Recording may be.

use std::time::Duration;

use e2e::harness::rows;
use recorder::manifest::OverWhy;

use crate::audio::{Encoder, FLAC, MP3, OPUS, WEBM, framehash};
use crate::oracle::compare;
use crate::stage::Stage;

const SHOW: Duration = Duration::from_secs(8);

/// The greatest length: two Recordings, and between their objects nothing is lost and nothing doubled.
#[tokio::test]
async fn at_the_greatest_length() {
    for encoder in rows(&[OPUS, MP3, FLAC, WEBM]) {
        rotated(*encoder).await;
    }
}

async fn rotated(encoder: Encoder) {
    let row = format!("rotation, {}", encoder.name);
    let show = encoder.encode(100);
    let stage = Stage::new().await;
    let mut dj = stage.connect(encoder.content_type).await;
    let mut first = stage.recording("show");
    first.told["maxLengthSeconds"] = 4.into();
    first.tell();
    let pod = first.pod();
    dj.play(&show, SHOW).await;
    first.over(pod).await;
    let manifest = first.manifest().await;
    assert_eq!(manifest.over.unwrap().why, OverWhy::MaxLength);

    let mut second = stage.recording("next");
    second.told["window"]["from"] = serde_json::to_value(manifest.recording.limit).unwrap();
    second.tell();
    let pod = second.pod();
    let sent = dj.leave().await;
    second.over(pod).await;
    let end = manifest.sessions[0].end.unwrap();
    let taped = second.manifest().await.sessions.remove(0);
    assert_eq!(taped.lost, []);
    assert!(
        taped.start <= end,
        "between {end} and {} nothing is stored",
        taped.start
    );
    for recording in [&first, &second] {
        compare(&row, recording, &[&sent]).await;
    }

    let mut made = Vec::new();
    let mut seconds = Vec::new();
    for recording in [&first, &second] {
        recording.finalize().await;
        let published = recording.published(1).await;
        assert_eq!(
            (&published.doubts[..], &published.gaps[..]),
            (&[][..], &[][..]),
            "{row}\n{}",
            stage.log()
        );
        seconds.push(published.seconds);
        for object in &published.objects {
            made.push(framehash(&recording.object(&object.key).await));
        }
    }
    let sent = framehash(&sent);
    let all: usize = made.iter().map(Vec::len).sum();
    println!(
        "{row}: {} packets sent; {} + {} in two objects of {seconds:.1?} s: {} lost, {} doubled",
        sent.len(),
        made[0].len(),
        made[1].len(),
        sent.len().saturating_sub(all),
        all.saturating_sub(sent.len())
    );
    assert!(made.concat() == sent, "{row}: the seam is not whole");
}
