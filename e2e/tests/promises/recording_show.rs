//! Promise: a show is in the bucket as it was sent, byte by byte while it goes on, packet by packet in its verified object, and
//! `kubectl get recordings` reads like a log of shows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{PLACED, Told, VERIFIED, full_mount, microphone};
use e2e::harness::{Recording, Stage, Store, play, rows, until};
use e2e::sound::{Codec, Dj, Script, Tone};
use serde_json::Value;

/// At least two segments and a bit.
const SHOW: Duration = Duration::from_secs(25);
/// The tape covers the time until then. A dozen Stations start on two cores meanwhile.
const APPOINTED: Duration = Duration::from_secs(20);
const OBEYED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn recording_show_of_a_passthrough_mount() {
    let codecs = [
        (Codec::Opus, "opus"),
        (Codec::Mp3, "mp3"),
        (Codec::OggFlac, "flac"),
        (Codec::WebmOpus, "opus"),
    ];
    for &(codec, ending) in rows(&codecs) {
        play("show", |stage| async move {
            let store = Store::open().await?;
            stage.recording(&store, &microphone(ending)).await?;
            show(&stage, &store, "source", codec).await
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_show_of_a_full_mount() {
    play("full-show", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &full_mount()).await?;
        show(&stage, &store, "studio", Codec::Mp3).await
    })
    .await;
}

/// From the first sound to the verified object.
async fn show(stage: &Stage, store: &Store, input: &str, codec: Codec) -> Result<()> {
    let dj = connect(stage, input, codec).await?;
    let connected = Instant::now();
    let (recording, appointed) = stage.await_recording("live", &[], APPOINTED).await?;
    recording
        .until("on air", OBEYED, |told| told.phase == "OnAir")
        .await?;
    recording.pod().await?;
    println!(
        "recording: {codec:?}: connected -> appointed {} ms, -> its recorder runs {} ms",
        appointed.as_millis(),
        connected.elapsed().as_millis()
    );
    on_air_reads_well(stage, &recording).await?;
    recording.await_stored(store, 0, PLACED).await?;
    // As long as a show; there is nothing to wait for.
    tokio::time::sleep(SHOW.saturating_sub(connected.elapsed())).await;
    let sent = dj.finish().await?;
    let left = Instant::now();
    ensure!(sent.failure.is_none(), "the DJ: {:?}", sent.failure);
    let (told, _) = recording.await_phase("Verified", VERIFIED).await?;
    println!(
        "recording: {codec:?}: the DJ left -> verified {:.1} s",
        left.elapsed().as_secs_f32()
    );
    let tally = recording.compare(store, 1, &[sent.log.read()?]).await?;
    println!("recording: {codec:?}, no fault: {tally}");
    tally.is_exact()?;
    status_tells_of_it(stage, &recording, &told).await?;
    only_the_final_is_left(store, &recording, &told)?;
    verified_reads_well(stage, &recording, &told).await
}

async fn connect(stage: &Stage, input: &str, codec: Codec) -> Result<Dj> {
    let login = stage.login("live", input).await?;
    let sender = || {
        let script = Script::steady(Tone::Unknown);
        login.sender().codec(codec).tag("title", "The Show").play(script)
    };
    Ok(take(ON_AIR, sender).await?.0)
}

/// The words under the columns of `kubectl get recordings`, for this one.
async fn columns(stage: &Stage, recording: &Recording) -> Result<Vec<(String, String)>> {
    let table = stage.kubectl(&["get", "recordings"]).await?;
    let mut lines = table.lines();
    let head = lines.next().context("no table")?;
    let row = lines.find(|line| line.starts_with(&recording.name));
    let row = row.with_context(|| format!("{} is not in the table:\n{table}", recording.name))?;
    println!("{head}\n{row}");
    // Columns are three blanks apart, and their names have single ones.
    let is_begin = |at: &usize| head[*at - 3..*at] == *"   " && !head[*at..].starts_with(' ');
    let begins: Vec<usize> = [0].into_iter().chain((3..head.len()).filter(is_begin)).collect();
    let ends = begins.iter().skip(1).copied().chain([usize::MAX]);
    let cell = |line: &str, from: usize, to: usize| {
        let to = to.min(line.len());
        line.get(from..to).unwrap_or_default().trim().to_owned()
    };
    let columns = begins.iter().zip(ends);
    Ok(columns
        .map(|(from, to)| (cell(head, *from, to), cell(row, *from, to)))
        .collect())
}

const COLUMNS: [&str; 7] = [
    "NAME",
    "MOUNT",
    "ON AIR SINCE",
    "DURATION",
    "SIZE",
    "STATE",
    "GAPS",
];

async fn on_air_reads_well(stage: &Stage, recording: &Recording) -> Result<()> {
    let columns = columns(stage, recording).await?;
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == COLUMNS, "{names:?}");
    let words: Vec<&str> = columns.iter().map(|(_, word)| word.as_str()).collect();
    ensure!(
        words[1] == "live" && words[3].is_empty() && words[5] == "OnAir",
        "{columns:?}"
    );
    words[2]
        .parse::<jiff::Timestamp>()
        .with_context(|| format!("on air since {}", words[2]))?;
    let mount = stage.kind("Mount").get("live").await?;
    let under_way = mount.data.pointer("/status/recording").and_then(Value::as_str);
    ensure!(
        under_way == Some(&recording.name),
        "the Mount tells of {under_way:?} as the Recording under way"
    );
    Ok(())
}

async fn verified_reads_well(stage: &Stage, recording: &Recording, told: &Told) -> Result<()> {
    let columns = columns(stage, recording).await?;
    let words: Vec<&str> = columns.iter().map(|(_, word)| word.as_str()).collect();
    ensure!(words[5] == "Verified" && words[6] == "0", "{columns:?}");
    ensure!(
        Some(words[3]) == told.duration.as_deref() && Some(words[4]) == told.size.as_deref(),
        "{columns:?}, but the status has {:?} and {:?}",
        told.duration,
        told.size
    );
    Ok(())
}

async fn status_tells_of_it(stage: &Stage, recording: &Recording, told: &Told) -> Result<()> {
    let (ready, _) = stage
        .await_condition(("Recording", &recording.name), ("Ready", "True"), OBEYED)
        .await?;
    println!("recording: Ready {}: {}", ready.reason, ready.message);
    let (from, to) = told
        .started_at
        .zip(told.ended_at)
        .context("it never began or ended")?;
    let length = to.duration_since(from).unsigned_abs();
    ensure!(
        length.abs_diff(SHOW) < Duration::from_secs(10),
        "a show of {SHOW:?} is told as {length:?}"
    );
    ensure!(told.version == Some(1) && told.verified_at.is_some(), "{told:?}");
    ensure!(told.gap_list.is_empty() && told.doubts.is_empty(), "{told:?}");
    ensure!(told.sessions.len() == 1 && told.objects.len() == 1, "{told:?}");
    until("the Mount to tell of no Recording", OBEYED, || async {
        let mount = stage.kind("Mount").get("live").await.map_err(|e| e.to_string())?;
        match mount.data.pointer("/status/recording") {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(other.to_string()),
        }
    })
    .await
    .map(drop)
}

/// Segments are needed no more, and what the status says of the object is true.
fn only_the_final_is_left(store: &Store, recording: &Recording, told: &Told) -> Result<()> {
    let left = store.list(&recording.prefix)?;
    let keys: Vec<&str> = left.iter().map(|object| object.key.as_str()).collect();
    ensure!(!keys.iter().any(|key| key.contains("/segments/")), "{keys:?}");
    let made = told.objects.first().context("no object")?;
    let object = left.iter().find(|object| object.key == made.key);
    let object = object.with_context(|| format!("{} is not among {keys:?}", made.key))?;
    ensure!(
        object.bytes == made.bytes,
        "{object:?}, but the status has {} bytes",
        made.bytes
    );
    ensure!(
        made.url.starts_with("s3://") && made.url.ends_with(&made.key),
        "{}",
        made.url
    );
    Ok(())
}
