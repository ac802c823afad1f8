//! Spools and tapes that are full.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use e2e::twin::Outage;
use recorder::finalize::published::Doubt;
use recorder::manifest::{Range, SEGMENTS};
use recorder::report::Report;
use tokio::time::Instant;

use crate::audio::{OPUS, framehash, mp3_minutes, opus_minute, whole_frames};
use crate::dj::Dj;
use crate::oracle::{compare, nothing_is_lost, published, whole};
use crate::recording::Recording;
use crate::stage::Stage;

const MIB: usize = 1 << 20;
/// The tape keeps the last 8 MiB of a running session in any case.
const TAPE: usize = 12 * MIB;
const SPOOL: usize = 4 * MIB;
/// A second of 320 kb/s.
const SECOND: usize = 40_000;

/// The spool is full all the time, and the tape keeps the rest.
#[tokio::test]
async fn spool_full() {
    let show = opus_minute();
    let stage = Stage::new().await;
    stage.twin().outage(Outage::Refuse);
    let mut dj = stage.connect(OPUS.content_type).await;
    let mut recording = stage.recording("show");
    // Two segments: with less than one nothing could ever be stored.
    recording.spool_cap = 400_000;
    let pod = recording.pod();
    dj.play(show, Duration::from_secs(4)).await;
    let sent = dj.leave().await;
    stage
        .until("the spool is full", async || {
            let told = recording.state(0).await;
            told.is_some_and(|told| told["spoolBytes"].as_u64() >= Some(400_000))
        })
        .await;
    assert!(
        recording.captured() < sent.len() as u64,
        "more than the spool has room for"
    );
    stage.twin().outage(Outage::None);
    recording.over(pod).await;
    whole("spool full", &recording, &[&sent]).await;
}

/// What a stage's tape takes on the disk.
fn taped(stage: &Stage) -> u64 {
    let sessions = fs::read_dir(stage.tapes()).unwrap().flatten();
    sessions
        .filter_map(|session| fs::metadata(session.path().join("tape")).ok())
        .map(|tape| tape.blocks() * 512)
        .sum()
}

/// Goes on as slowly as a DJ does until the tape has been brought below its cap.
async fn until_tape_is_within(stage: &Stage, dj: &mut Dj, rest: &mut impl Iterator<Item = u8>) {
    let begun = Instant::now();
    while taped(stage) > TAPE as u64 || begun.elapsed() < Duration::from_secs(1) {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "{} bytes stay",
            taped(stage)
        );
        let second: Vec<u8> = rest.take(SECOND / 4).collect();
        dj.play(&second, Duration::from_millis(250)).await;
    }
}

/// A store that is down while more is sent than the spool has room for: `sent` bytes, and what it takes the tape to notice.
async fn full_show(
    stage: &Stage,
    recording: &Recording<'_>,
    mut dj: Dj,
    show: &[u8],
    sent: usize,
) -> Vec<u8> {
    stage.twin().outage(Outage::Refuse);
    let pod = recording.pod();
    let (first, rest) = show.split_at(SPOOL + MIB);
    dj.play(first, Duration::from_secs(3)).await;
    stage
        .until("the spool is full", async || {
            recording.captured() + MIB as u64 / 4 > SPOOL as u64
        })
        .await;
    let (second, rest) = rest.split_at(sent - first.len());
    dj.play(second, Duration::from_secs(3)).await;
    until_tape_is_within(stage, &mut dj, &mut rest.iter().copied()).await;
    let sent = dj.leave().await;
    stage.twin().outage(Outage::None);
    recording.over(pod).await;
    sent
}

/// The tape is at its cap and has given up its oldest; the spool has that. Together they hold what they promise.
#[tokio::test]
async fn tape_at_its_cap() {
    let stage = Stage::with_tape_cap(TAPE as u64).await;
    let show = mp3_minutes(12);
    let dj = stage.connect("audio/mpeg").await;
    let mut recording = stage.recording("show");
    recording.spool_cap = SPOOL as u64;
    let sent = full_show(&stage, &recording, dj, &show, TAPE + MIB).await;
    assert!(sent.len() > TAPE && sent.len() < TAPE + SPOOL, "{}", sent.len());
    let row = "tape at its cap";
    nothing_is_lost(row, &recording, &[&sent]).await;
    let cost = recording.finalize().await;
    published(row, &recording, 1, &[whole_frames(&sent)], cost).await;
}

/// More than both hold: what is missing is told, byte for byte.
#[tokio::test]
async fn tape_overflows() {
    let stage = Stage::with_tape_cap(TAPE as u64).await;
    let show = mp3_minutes(12);
    let dj = stage.connect("audio/mpeg").await;
    let mut recording = stage.recording("show");
    recording.spool_cap = SPOOL as u64;
    let sent = full_show(&stage, &recording, dj, &show, TAPE + SPOOL + 2 * MIB).await;
    let holes = compare("tape overflows", &recording, &[&sent]).await;
    let [(0, hole)] = holes[..] else {
        panic!("{holes:?}\n{}", stage.log())
    };
    assert!(hole.bytes() >= MIB as u64, "{hole:?}");
    assert!(
        sent.len() as u64 - hole.bytes() + SECOND as u64 * 12 >= (TAPE + SPOOL) as u64,
        "{hole:?} of {}: less is there than tape and spool hold",
        sent.len()
    );
    let manifest = recording.manifest().await;
    assert_eq!(manifest.sessions[0].lost, [hole], "what ship tells");
    let Report::Stored(stored) = recording.report("ship") else {
        panic!("{:?}", recording.report("ship"))
    };
    let told: Vec<Range> = stored.lost.iter().map(|lost| lost.bytes).collect();
    assert_eq!(
        (told, stored.lost_bytes),
        (vec![hole], hole.bytes()),
        "what ship tells the operator"
    );
    let segments = recording.keys(SEGMENTS).await.len();
    let cost = recording.finalize().await;
    let published = recording.published(1).await;
    let told: Vec<Range> = published
        .gaps
        .iter()
        .filter_map(|gap| Some(gap.lost.as_ref()?.bytes))
        .collect();
    assert_eq!(told, [hole], "what finalize tells");
    assert_eq!(published.doubts, [Doubt::Lost { bytes: hole.bytes() }]);
    assert_eq!(
        recording.keys(SEGMENTS).await.len(),
        segments,
        "the segments stay"
    );

    // All whole frames that are not in the hole are there, and nothing else.
    let mut expected = framehash(&sent[..usize::try_from(hole.from).unwrap()]);
    expected.extend(framehash(&sent[usize::try_from(hole.to).unwrap()..]));
    let made = framehash(&recording.object("final-1/final-1.mp3").await);
    let torn = expected.len().abs_diff(made.len());
    println!(
        "tape overflows: {}..{} is missing, and so it says; {} packets in the object, {torn} torn at the hole; {:.1} s, {} MiB",
        hole.from,
        hole.to,
        made.len(),
        cost.time.as_secs_f64(),
        cost.peak_mib
    );
    assert!(torn <= 2, "{} of {}", made.len(), expected.len());
    assert!(made.iter().all(|packet| expected.contains(packet)) || torn > 0);
}
