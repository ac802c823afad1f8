//! The same chain on other stores than the twin of R2.

use std::env;
use std::time::Duration;

use e2e::harness::is_full;
use e2e::twin::Key;
use jiff::Timestamp;

use crate::audio::mp3_minutes;
use crate::oracle::whole;
use crate::recording::kill;
use crate::stage::Stage;

/// A show large enough for parts, with capture and ship killed once each.
async fn chain(row: &str, stage: &Stage) {
    let show = mp3_minutes(9);
    let mut dj = stage.connect("audio/mpeg").await;
    let recording = stage.recording("show");
    let mut pod = recording.pod();
    let mut thirds = show.chunks(show.len() / 3 + 1);
    let mut play = async || dj.play(thirds.next().unwrap(), Duration::from_secs(2)).await;
    play().await;
    kill(&mut pod.capture).await;
    pod.capture = recording.capture();
    play().await;
    kill(&mut pod.ship).await;
    pod.ship = recording.ship();
    play().await;
    let sent = dj.leave().await;
    recording.over(pod).await;
    whole(row, &recording, &[&sent]).await;
    recording.ended_well(recording.verifying()).await;
    let made = recording.keys("").await;
    recording.bucket().delete(&made).await.unwrap();
    assert_eq!(recording.keys("").await, [""; 0]);
}

#[tokio::test]
async fn on_the_twin_of_r2() {
    if !is_full() {
        println!("not run here: the chain on the twin of R2, where all other rows are; RADIO_FULL=1 runs it");
        return;
    }
    chain("the twin of R2", &Stage::new().await).await;
}

#[tokio::test]
async fn on_plain_versitygw() {
    chain("plain versitygw", &Stage::plain().await).await;
}

/// `RADIO_S3_ENDPOINT`, `RADIO_S3_BUCKET`, `RADIO_S3_PROFILE` (r2, aws, generic), `RADIO_S3_REGION` if need be,
/// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Everything is made below `radio-operator-test-<time>/`, and deleted.
#[tokio::test]
async fn on_a_bucket_that_is_named() {
    let names = [
        "RADIO_S3_ENDPOINT",
        "RADIO_S3_BUCKET",
        "RADIO_S3_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ];
    let given: Vec<String> = names.iter().filter_map(|name| env::var(name).ok()).collect();
    let [endpoint, bucket, profile, id, secret] = &given[..] else {
        println!(
            "not run here: the chain on a real bucket; set {}",
            names.join(", ")
        );
        return;
    };
    let mut told = serde_json::json!({
        "endpoint": endpoint, "bucket": bucket, "profile": profile,
        "prefix": format!("radio-operator-test-{}", Timestamp::now().as_second()),
    });
    if let Ok(region) = env::var("RADIO_S3_REGION") {
        told["region"] = region.into();
    }
    let stage = Stage::given(told, Key::new(id, secret)).await;
    chain(&format!("{endpoint} ({profile})"), &stage).await;
}
