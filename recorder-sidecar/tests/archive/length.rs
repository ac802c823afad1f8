//! Sessions that are longer than counters: samples in 32 bits end after 24.9 h at 48 kHz and after 27.1 h at 44.1 kHz, MPEG's
//! clock in 33 bits after 26.5 h.

use std::time::Duration;

use e2e::harness::{is_full, rows};
use ingest::api::Line;
use tokio::time::Instant;

use crate::audio::{FLAC, OPUS, SMALL_MP3, SPEECH, WEBM, framehash, probe, speech};
use crate::ogg::{audio_of_one_link, last_granule};
use crate::oracle::{compare, nothing_is_lost, whole};
use crate::recording::Recording;
use crate::stage::Stage;
use crate::webm;

const HOURS: u64 = 28;
const SECONDS: f64 = 28.0 * 3600.0;
/// 2³² samples at 48 kHz, and MPEG's 2³³ at 90 kHz, less a minute.
const SAMPLES_WRAP: u32 = 89_478 - 60;
const CLOCK_WRAPS: u32 = 95_443 - 60;

/// Encoders that have been running for more than a day when they connect, so that their counters pass these ends on the air.
#[tokio::test]
async fn an_encoder_that_has_been_running_for_a_day() {
    let encoders = [(OPUS, SAMPLES_WRAP), (FLAC, SAMPLES_WRAP), (WEBM, CLOCK_WRAPS)];
    for &(encoder, since) in rows(&encoders) {
        let row = format!("{} since {:.1} h", encoder.name, f64::from(since) / 3600.0);
        let show = encoder.encode_at(120, since);
        let stage = Stage::new().await;
        let mut dj = stage.connect(encoder.content_type).await;
        let recording = stage.recording("show");
        let pod = recording.pod();
        dj.play(&show, Duration::from_secs(3)).await;
        let sent = dj.leave().await;
        recording.over(pod).await;
        let published = whole(&row, &recording, &[&sent]).await;
        assert!(
            // FLAC does not tell how long its first page plays.
            (published.seconds - 120.0).abs() < 0.5,
            "{row}: {} s",
            published.seconds
        );
        let (seconds, _) = probe(&recording.object(&published.objects[0].key).await);
        assert!((seconds - 120.0).abs() < 0.5, "{row}: {seconds} s by ffprobe");
        println!("{row}: {:.1} s, {seconds:.1} s by ffprobe", published.seconds);
    }
}

/// Media of 28 h, as fast as it is taken; the clock of the index is the one on the wall. Two Recordings: the second one begins
/// where the first is full, after 27 h.
#[tokio::test]
async fn opus_of_28_hours() {
    if !is_full() {
        println!("not run here: 28 h of Opus; RADIO_FULL=1 runs them");
        return;
    }
    let show = speech().hours(HOURS);
    let cut = show.len() / 280 * 275;
    let stage = Stage::new().await;
    let mut dj = stage.connect(SPEECH.content_type).await;
    let mut first = stage.recording("show");
    let begun = Instant::now();
    let pod = first.pod();
    dj.send(&show[..cut]).await;
    // What came until now is the first one's.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let length = jiff::Timestamp::now().duration_since(stage.since()).as_secs() + 1;
    first.told["maxLengthSeconds"] = length.into();
    first.tell();
    tokio::time::sleep(Duration::from_secs(2)).await;
    dj.play(&show[cut..], Duration::from_secs(4)).await;
    let sent = dj.leave().await;
    first.over(pod).await;
    println!(
        "28 h of Opus: {} bytes stored within {:.0} s",
        sent.len(),
        begun.elapsed().as_secs_f64()
    );
    compare("28 h of Opus, the first", &first, &[&sent]).await;
    let manifest = first.manifest().await;
    let (mut packets, mut seconds) = finalized("28 h of Opus, the first", &first).await;
    assert!(seconds > 26.9 * 3600.0, "{seconds} s");

    let mut second = stage.recording("next");
    second.told["window"]["from"] = serde_json::to_value(manifest.recording.limit).unwrap();
    second.tell();
    second.over(second.pod()).await;
    compare("28 h of Opus, the second", &second, &[&sent]).await;
    let (rest, of_rest) = finalized("28 h of Opus, the second", &second).await;
    packets.extend(rest);
    seconds += of_rest;
    let expected = audio_of_one_link(&sent);
    println!(
        "28 h of Opus: {} packets sent, {} in two objects of {seconds:.1} s",
        expected.len(),
        packets.len()
    );
    assert!(packets == expected, "the seam is not whole");
    assert!((seconds - SECONDS).abs() < 1.0, "{seconds} s");
}

/// The packets of its object, and how long it is by its own clock.
async fn finalized(row: &str, recording: &Recording<'_>) -> (Vec<Vec<u8>>, f64) {
    let cost = recording.finalize().await;
    let published = recording.published(1).await;
    assert_eq!(
        (
            &published.doubts[..],
            &published.gaps[..],
            published.objects.len()
        ),
        (&[][..], &[][..], 1),
        "{row}\n{}",
        recording.stage.log()
    );
    let object = recording.object(&published.objects[0].key).await;
    let (seconds, _) = probe(&object);
    #[expect(clippy::cast_precision_loss, reason = "samples of a day are far below 2⁵²")]
    let by_granule = last_granule(&object) as f64 / 48_000.0;
    println!(
        "{row}: finalized in {:.1} s with at most {} MiB; {:.1} s, {seconds:.1} s by ffprobe, {by_granule:.1} s by its last page",
        cost.time.as_secs_f64(),
        cost.peak_mib,
        published.seconds
    );
    assert!(cost.peak_mib < 128);
    assert!((seconds - published.seconds).abs() < 1.0 && (by_granule - published.seconds).abs() < 1.0);
    (audio_of_one_link(&object), published.seconds)
}

#[tokio::test]
async fn mp3_of_28_hours() {
    if !is_full() {
        println!("not run here: 28 h of MP3; RADIO_FULL=1 runs them");
        return;
    }
    // An encoder ends with a frame that is not full: a little more than five minutes.
    let minutes = SMALL_MP3.encode(300);
    let times = 12 * u16::try_from(HOURS).unwrap();
    let frames = u16::try_from(framehash(&minutes).len()).unwrap();
    let seconds = f64::from(times) * f64::from(frames) * 1152.0 / 44_100.0;
    let show = minutes.repeat(times.into());
    long("28 h of MP3", SMALL_MP3.content_type, show, seconds).await;
}

#[tokio::test]
async fn webm_of_28_hours() {
    if !is_full() {
        println!("not run here: 28 h of WebM; RADIO_FULL=1 runs them");
        return;
    }
    let show = webm::hours(&WEBM.encode(1), &speech().packets, HOURS);
    long("28 h of WebM", WEBM.content_type, show, SECONDS).await;
}

async fn long(row: &str, content_type: &str, show: Vec<u8>, seconds: f64) {
    let stage = Stage::new().await;
    let mut dj = stage.connect(content_type).await;
    let recording = stage.recording("show");
    let begun = Instant::now();
    let pod = recording.pod();
    dj.send(&show).await;
    drop(show);
    let sent = dj.leave().await;
    recording.over(pod).await;
    println!(
        "{row}: {} bytes stored within {:.0} s",
        sent.len(),
        begun.elapsed().as_secs_f64()
    );
    nothing_is_lost(row, &recording, &[&sent]).await;
    let manifest = recording.manifest().await;
    let media = manifest.sessions[0].lines.iter().filter_map(|line| match line {
        Line::Cut { media_ms, .. } => Some(*media_ms),
        _ => None,
    });
    assert!(
        media.max().unwrap() > 27 * 3_600_000,
        "{row}: the index's media time"
    );
    let cost = recording.finalize().await;
    let published = crate::oracle::published(row, &recording, 1, &[&sent], cost).await;
    assert!(
        (published.seconds - seconds).abs() < 1.0,
        "{row}: {} s",
        published.seconds
    );
}
