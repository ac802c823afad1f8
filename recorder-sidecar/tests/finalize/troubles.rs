//! Stores that lie, and uploads that get lost.

use e2e::twin::{Effect, Fault, Operation, When};
use ingest::api::Container;
use recorder::finalize::published::Doubt;
use recorder::manifest::{Range, SEGMENTS};

use crate::audio::{encoded, framehash, mp3, opus};
use crate::stage::{BUCKET, Source, Stage, at};

fn flip(key: &str, when: When) -> Fault {
    Fault {
        on: vec![Operation::GetObject],
        key: key.to_owned(),
        when,
        effect: Effect::FlipDownload(3000),
    }
}

#[tokio::test]
async fn what_comes_back_wrong_is_read_again_and_what_stays_wrong_is_not_published() {
    let stage = Stage::new().await;
    let stream = opus(30, 440);
    let taped = stage
        .store_session(&Source::new("a", 0, Container::Ogg, stream.clone()))
        .await;
    let segments = taped.segments.len();
    stage.write_manifest(vec![taped]).await;
    stage.twin.faults().add(flip("final-1.ogg", When::Always));
    stage.fails("finalize").await;
    let left = stage.keys("final-").await;
    assert!(
        left.is_empty(),
        "nothing unsure is left: {left:?}\n{}",
        stage.log()
    );
    assert_eq!(stage.keys(SEGMENTS).await.len(), segments);

    stage.twin.faults().clear();
    stage.twin.faults().add(flip("final-1.ogg", When::Next(1)));
    stage.twin.faults().add(flip("segments/", When::Next(2)));
    stage.finalize().await;
    let published = stage.published(1).await;
    assert_eq!(
        (&published.doubts[..], &published.gaps[..]),
        (&[][..], &[][..]),
        "{}",
        stage.log()
    );
    assert_eq!(
        framehash(&stage.object("final-1/final-1.ogg").await),
        framehash(&stream)
    );
    stage.done(stage.run("verify")).await;
    stage
        .versity
        .rot(BUCKET, "archive/radio/rfx/main/show/final-1/final-1.ogg", 5000)
        .unwrap();
    stage.fails("verify").await;
}

#[tokio::test]
async fn what_is_gone_before_its_segments_are_is_made_of_them_again() {
    let mut stage = Stage::new().await;
    let stream = opus(30, 440);
    let taped = stage
        .store_session(&Source::new("a", 0, Container::Ogg, stream.clone()))
        .await;
    stage.write_manifest(vec![taped]).await;
    stage.recording["deleteSegmentsAfterVerify"] = false.into();
    stage.finalize().await;
    let object = |version: u32| format!("final-{version}/final-1.ogg");
    stage.store.delete(&[object(1)]).await.unwrap();
    stage.recording["deleteSegmentsAfterVerify"] = true.into();
    stage.finalize().await;
    assert_eq!(stage.published(2).await.doubts, [], "{}", stage.log());
    assert_eq!(framehash(&stage.object(&object(2)).await), framehash(&stream));
    assert_eq!(stage.keys(SEGMENTS).await, [""; 0]);
}

#[tokio::test]
async fn an_upload_that_the_store_threw_away_begins_again() {
    let stage = Stage::new().await;
    // 40 kB a second: 40 minutes, 96 MB.
    let stream = mp3(60, 440).repeat(40);
    let taped = stage
        .store_session(&Source::new("a", 0, Container::Mp3, stream.clone()))
        .await;
    stage.write_manifest(vec![taped]).await;
    let slow = Fault::on(Operation::UploadPart, When::Always, Effect::Slow(16 << 20));
    stage.twin.faults().add(slow);
    let mut child = stage.run("finalize");
    let mut thrown_away = 0;
    while thrown_away == 0 && child.try_wait().unwrap().is_none() {
        for upload in stage.store.list_uploads("final-").await.unwrap() {
            // Others are on their way then.
            if !stage
                .store
                .list_parts(&upload)
                .await
                .unwrap_or_default()
                .is_empty()
            {
                stage.store.abort(&upload).await.unwrap();
                thrown_away += 1;
            }
        }
    }
    assert!(thrown_away > 0, "{}", stage.log());
    stage.twin.faults().clear();
    stage.done(child).await;
    assert_eq!(stage.published(1).await.doubts, [], "{}", stage.log());
    assert!(stage.object("final-1/final-1.mp3").await.ends_with(&stream));
    assert!(stage.store.list_uploads("final-").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_show_keeps_its_segments() {
    let stage = Stage::new().await;
    let stream = encoded(
        30,
        440,
        &[
            "-af",
            "volume=0",
            "-c:a",
            "libopus",
            "-page_duration",
            "200000",
            "-f",
            "ogg",
        ],
    );
    let taped = stage
        .store_session(&Source::new("a", 0, Container::Ogg, stream))
        .await;
    stage.write_manifest(vec![taped]).await;
    stage.finalize().await;
    let silent = Doubt::Silent {
        key: "final-1/final-1.ogg".to_owned(),
    };
    let doubts = stage.published(1).await.doubts;
    assert!(doubts.contains(&silent), "{doubts:?}\n{}", stage.log());
    assert!(!stage.keys(SEGMENTS).await.is_empty());
}

#[tokio::test]
async fn a_recording_that_begins_in_the_middle_of_a_session() {
    let mut stage = Stage::new().await;
    stage.recording["window"]["from"] = at(25).to_string().into();
    let stream = opus(60, 440);
    let mut taped = stage
        .store_session(&Source::new("a", 0, Container::Ogg, stream.clone()))
        .await;
    // The headers are a segment of their own, and nothing else is stored of what was before.
    let media = taped.lines.iter().find_map(|line| match line {
        ingest::api::Line::Link { media, .. } => Some(*media),
        _ => None,
    });
    let headers = Range {
        from: 0,
        to: media.unwrap(),
    };
    let length = usize::try_from(headers.to).unwrap();
    let headers = stage
        .store_segment(&taped.session, headers, &stream[..length])
        .await;
    taped.headers = Some(headers.range);
    taped.segments.drain(..2);
    taped.start = taped.segments[0].range.from;
    taped.segments.insert(0, headers);
    stage.write_manifest(vec![taped]).await;
    stage.finalize().await;
    let published = stage.published(1).await;
    assert_eq!(
        (&published.doubts[..], &published.gaps[..]),
        (&[][..], &[][..]),
        "{}",
        stage.log()
    );
    assert!((published.seconds - 35.0).abs() < 1.0, "{}", published.seconds);
    let (all, made) = (
        framehash(&stream),
        framehash(&stage.object("final-1/final-1.ogg").await),
    );
    assert!(all.ends_with(&made));
}
