//! Stores that are away, in a storm, deaf, or lie, and keys that change under way.

use std::fs;
use std::time::Duration;

use e2e::harness::rows;
use e2e::twin::{Effect, Fault, Key, Operation, Outage, When};
use recorder::finalize::published::Doubt;
use recorder::manifest::{MANIFEST_KEY, Range, SEGMENTS};
use recorder::store::Body;
use tokio::time::{sleep, timeout};

use crate::audio::{OPUS, mp3_minutes, opus_minute};
use crate::oracle::{nothing_is_lost, published, whole};
use crate::recording::Recording;
use crate::stage::{BUCKET, PATIENCE, Stage};

const SHOW: Duration = Duration::from_secs(4);

/// How a store is away.
#[derive(Clone, Copy, Debug)]
enum Away {
    Refuses,
    Swallows,
    Fails,
}

#[tokio::test]
async fn down_for_the_whole_show_and_back_after() {
    let show = opus_minute();
    for away in rows(&[Away::Refuses, Away::Swallows, Away::Fails]) {
        let stage = Stage::new().await;
        match away {
            Away::Refuses => stage.twin().outage(Outage::Refuse),
            Away::Swallows => stage.twin().outage(Outage::Blackhole),
            Away::Fails => stage
                .twin()
                .faults()
                .add(Fault::anywhere(When::Always, unavailable())),
        }
        let mut dj = stage.connect(OPUS.content_type).await;
        let recording = stage.recording("show");
        let pod = recording.pod();
        dj.play(show, SHOW).await;
        let sent = dj.leave().await;
        stage
            .until("all of it is in the spool", async || {
                recording.captured() == sent.len() as u64
            })
            .await;
        stage
            .until("ship says what is wrong", async || {
                recording
                    .state(1)
                    .await
                    .is_some_and(|state| state["trouble"].is_object())
            })
            .await;
        assert!(recording.keys("").await.is_empty(), "nothing can be stored");
        stage.twin().outage(Outage::None);
        stage.twin().faults().clear();
        recording.over(pod).await;
        whole(
            &format!("store {away:?} for the whole show"),
            &recording,
            &[&sent],
        )
        .await;
    }
}

fn unavailable() -> Effect {
    Effect::Answer {
        status: 503,
        code: "ServiceUnavailable".to_owned(),
        retry_after: None,
    }
}

#[tokio::test]
async fn storms_of_429() {
    let show = opus_minute();
    let stage = Stage::new().await;
    let storm = |retry_after| Effect::Answer {
        status: 429,
        code: "TooManyRequests".to_owned(),
        retry_after,
    };
    let weather = |when, effect| stage.twin().faults().add(Fault::anywhere(when, effect));
    let mut dj = stage.connect(OPUS.content_type).await;
    let recording = stage.recording("show");
    weather(When::Always, storm(Some(2)));
    let pod = recording.pod();
    dj.play(show, SHOW).await;
    let asked = stage.twin().log().entries().len();
    assert!(
        (1..=5).contains(&asked),
        "{asked} requests, each told to wait 2 s"
    );
    stage.twin().faults().clear();
    weather(When::Chance(0.2), storm(None));
    weather(When::Chance(0.1), storm(Some(1)));
    let sent = dj.leave().await;
    recording.over(pod).await;
    whole("storms of 429", &recording, &[&sent]).await;
    println!("storms of 429: {} answers", struck(&stage));
    assert!(struck(&stage) > 5);
}

/// Requests on which something went wrong.
fn struck(stage: &Stage) -> usize {
    let entries = stage.twin().log().entries();
    entries.iter().filter(|entry| !entry.effects.is_empty()).count()
}

/// Each kind of request: done, and nobody hears of it. The object is large enough to be stored in parts.
#[tokio::test]
async fn answers_are_lost() {
    let show = mp3_minutes(9);
    let stage = Stage::new().await;
    let mut dj = stage.connect("audio/mpeg").await;
    let recording = stage.recording("show");
    let lost = Fault::anywhere(When::Chance(0.05), Effect::LoseAnswer);
    stage.twin().faults().add(lost);
    for operation in [
        Operation::PutObject,
        Operation::GetObject,
        Operation::ListObjectsV2,
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::DeleteObjects,
    ] {
        stage
            .twin()
            .faults()
            .add(Fault::on(operation, When::Nth(1), Effect::LoseAnswer));
    }
    let pod = recording.pod();
    dj.play(&show, SHOW).await;
    let sent = dj.leave().await;
    recording.over(pod).await;
    whole("answers are lost", &recording, &[&sent]).await;
    println!("answers are lost: {} of them", struck(&stage));
    assert!(struck(&stage) > 5);
}

/// While ship stores segments, and again while finalize is in the middle of the parts of an object.
#[tokio::test]
async fn keys_are_rotated_in_the_middle_of_uploads() {
    let show = mp3_minutes(9);
    let stage = Stage::new().await;
    let mut dj = stage.connect("audio/mpeg").await;
    let recording = stage.recording("show");
    let pod = recording.pod();
    let (first, second) = show.split_at(show.len() / 2);
    dj.play(first, SHOW / 2).await;
    let new = Key::new("new", "another secret of forty characters, nearly");
    stage.twin().keys().put(new.clone());
    stage.twin().keys().revoke(&stage.key.access_key);
    dj.play(second, SHOW / 2).await;
    stage
        .until("ship says that its keys are refused", async || {
            recording.state(1).await.is_some_and(|state| {
                let message = state["trouble"]["message"].as_str();
                message.is_some_and(|message| message.contains("keys"))
            })
        })
        .await;
    stage.write_keys(&new);
    let sent = dj.leave().await;
    recording.over(pod).await;
    nothing_is_lost("keys rotated", &recording, &[&sent]).await;

    let creeping = Fault::on(Operation::UploadPart, When::Always, Effect::Slow(4 << 20));
    stage.twin().faults().add(creeping);
    let finalizing = recording.finalizing();
    stage
        .until("parts are on their way", async || {
            let entries = stage.twin().log().entries();
            entries
                .iter()
                .any(|entry| entry.operation == Operation::UploadPart)
        })
        .await;
    let newest = Key::new("newest", "a third secret of forty characters, at most");
    stage.twin().keys().revoke(&new.access_key);
    stage.twin().keys().put(newest.clone());
    stage.twin().faults().clear();
    sleep(Duration::from_secs(2)).await;
    stage.write_keys(&newest);
    let cost = recording.ended_well(finalizing).await;
    published("keys rotated", &recording, 1, &[&sent], cost).await;
    let refused = stage
        .twin()
        .log()
        .entries()
        .iter()
        .filter(|entry| matches!(entry.status(), Some(401 | 403)))
        .count();
    println!("keys rotated: {refused} requests were refused");
    assert!(refused > 1);
}

/// Nothing is left of the recorder but what the tape has.
#[tokio::test]
async fn down_and_the_recorders_pod_deleted() {
    let show = opus_minute();
    let stage = Stage::new().await;
    let mut dj = stage.connect(OPUS.content_type).await;
    let recording = stage.recording("show");
    let mut pod = recording.pod();
    let (stored, rest) = show.split_at(show.len() / 3);
    dj.play(stored, SHOW / 3).await;
    stage
        .until("something is stored", async || {
            !recording.keys(SEGMENTS).await.is_empty()
        })
        .await;
    stage.twin().outage(Outage::Refuse);
    for piece in rest.chunks(rest.len() / 3 + 1) {
        let before = recording.captured();
        dj.play(piece, SHOW / 4).await;
        stage
            .until("capture goes on", async || recording.captured() > before)
            .await;
        pod.kill().await;
        fs::remove_dir_all(&recording.spool).unwrap();
        pod = recording.pod();
    }
    let sent = dj.leave().await;
    stage.twin().outage(Outage::None);
    recording.over(pod).await;
    whole("store down, pod deleted three times", &recording, &[&sent]).await;
}

/// On the way there, in the store's disk before anything is made of it, on the way back, and in the store's disk afterwards.
#[tokio::test]
async fn a_flipped_byte_is_caught_before_anything_is_deleted() {
    let show = mp3_minutes(2);
    let stage = Stage::new().await;
    for number in [1, 3] {
        let flip = Fault::on(
            Operation::PutObject,
            When::Nth(number),
            Effect::FlipUpload(20_000),
        );
        stage.twin().faults().add(flip);
    }
    let mut dj = stage.connect("audio/mpeg").await;
    let recording = stage.recording("show");
    let pod = recording.pod();
    dj.play(&show, SHOW / 2).await;
    let sent = dj.leave().await;
    recording.over(pod).await;
    nothing_is_lost("a byte flipped on its way", &recording, &[&sent]).await;

    // A bit of a segment rots.
    let taped = recording.manifest().await.sessions.remove(0);
    let rotten = &taped.segments[3];
    let place = |key: &str| format!("{}{key}", recording.prefix());
    let rot = |key: &str, offset| stage.versity().rot(BUCKET, &place(key), offset).unwrap();
    rot(&rotten.key, 5_000);
    recording.finalize().await;
    let first = recording.published(1).await;
    let lost = first.gaps.iter().filter_map(|gap| gap.lost.as_ref());
    let lost: Vec<Range> = lost.map(|lost| lost.bytes).collect();
    assert_eq!(lost, [rotten.range]);
    assert!(first.doubts.contains(&Doubt::Lost {
        bytes: rotten.range.bytes()
    }));
    let there = recording.keys(SEGMENTS).await.len();
    assert_eq!(there, taped.segments.len(), "all segments stay");
    rot(&rotten.key, 5_000);

    ask_again(&recording).await;

    // What comes back of the final object is wrong, and stays wrong.
    stage.twin().faults().clear();
    let flip = Fault {
        key: "final-1.mp3".to_owned(),
        ..Fault::on(Operation::GetObject, When::Always, Effect::FlipDownload(300_000))
    };
    stage.twin().faults().add(flip);
    let failed = timeout(PATIENCE, recording.finalizing().wait()).await;
    assert!(!failed.unwrap().unwrap().success(), "{}", stage.log());
    assert_eq!(recording.keys("final-2/").await, [""; 0], "nothing is published");
    assert_eq!(
        recording.keys(SEGMENTS).await.len(),
        taped.segments.len(),
        "all segments stay"
    );

    stage.twin().faults().clear();
    let cost = recording.finalize().await;
    published("a byte flipped", &recording, 2, &[&sent], cost).await;
    recording.ended_well(recording.verifying()).await;
    rot("final-2/final-1.mp3", 400_000);
    let found = timeout(PATIENCE, recording.verifying().wait()).await;
    assert!(!found.unwrap().unwrap().success(), "{}", stage.log());
    println!(
        "a byte flipped: on 2 uploads, in a segment, in what came back, in the object; found 5 times, 0 lost"
    );
}

/// The manifest is the same, and finalize has made its version of it: a change that means nothing asks for another.
async fn ask_again(recording: &Recording<'_>) {
    let mut manifest = recording.manifest().await;
    manifest.sessions[0].session.title = Some("again".to_owned());
    let text = Body::of(serde_json::to_vec(&manifest).unwrap().into());
    let put = recording
        .bucket()
        .put(MANIFEST_KEY, &text, "application/json")
        .await;
    put.unwrap();
}
