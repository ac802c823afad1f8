//! Promise: a reader that joins anywhere, at any time, gets a stream that a player plays.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::is_full;
use e2e::sound::{Dj, Tone, play};
use futures::future::try_join_all;
use ingest::reader::{Desk, Join};
use tokio::sync::Semaphore;

use crate::streams::{self, Stream, TONES};
use crate::support::{self, Ingest, SOON};

const EACH: Duration = Duration::from_secs(3);
/// Link headers and what opens a cluster; Vorbis' codebooks are the longest.
const LONGEST_HEADERS: usize = 16 << 10;
/// What of each 100 ms may be nothing: where decoders begin, and where tones meet.
const BLURRED: usize = 6;
/// More than this would have to wait for a place.
const MOST_READERS: usize = 400;
/// Players at a time.
const PLAYERS: usize = 2;

/// What a reader got.
struct Joined {
    how: Join,
    /// Bytes that had been sent when it asked.
    sent: usize,
    from: usize,
    bytes: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_is_decodable_from_wherever_a_reader_joins() -> Result<()> {
    let streams = streams::all(EACH).await?;
    let half = if is_full() { 100 } else { 10 };
    support::play(support::inputs(streams.iter().map(|s| s.name)), async |ingest| {
        let ingest = &*ingest;
        let players = Semaphore::new(PLAYERS);
        for streams in streams.chunks(MOST_READERS / half) {
            let all = streams.iter().map(|stream| {
                let joined = join(ingest, stream, half, &players);
                async move { joined.await.context(stream.name) }
            });
            try_join_all(all).await?;
        }
        println!(
            "tape: {} streams, of each {half} joins at random times and {half} at random offsets: each plays",
            streams.len()
        );
        Ok(())
    })
    .await
}

async fn join(ingest: &Ingest, stream: &Stream, half: usize, players: &Semaphore) -> Result<()> {
    let dj = stream
        .from(ingest.sender(stream.name), Some(stream.pace()?))
        .start()
        .await?;
    let session = ingest.await_session(stream.name, "there", |_| true).await?.id;
    let desk = ingest.desk();
    let live = try_join_all((0..half).map(|_| at_some_time(&desk, &session, &dj, stream)));
    let over = dj.await_over(stream.length + SOON);
    let (live, ()) = tokio::try_join!(live, over)?;
    drop(dj.finish().await?);
    ingest
        .await_session(stream.name, "over", |s| s.ended.is_some())
        .await?;
    let offsets = try_join_all((0..half).map(|_| at_some_offset(&desk, &session, stream))).await?;
    let judged = live.iter().chain(&offsets).map(|joined| async move {
        let _player = players.acquire().await?;
        let what = || format!("{:?}, {} sent, from {}", joined.how, joined.sent, joined.from);
        judge(stream, joined).await.with_context(what)
    });
    try_join_all(judged).await.map(drop)
}

async fn at_some_time(desk: &Desk, session: &str, dj: &Dj, stream: &Stream) -> Result<Joined> {
    let latest = stream.length.mul_f32(0.8).as_millis();
    let when = rand::random_range(0..u64::try_from(latest)?);
    tokio::time::sleep(Duration::from_millis(when)).await;
    let sent = usize::try_from(dj.sent())?;
    drink(desk, session, Join::Live, sent).await
}

async fn at_some_offset(desk: &Desk, session: &str, stream: &Stream) -> Result<Joined> {
    let all = stream.bytes.len();
    let offset = rand::random_range(0..all * 9 / 10);
    drink(desk, session, Join::At(u64::try_from(offset)?), all).await
}

async fn drink(desk: &Desk, session: &str, how: Join, sent: usize) -> Result<Joined> {
    let mut tape = desk.join(session, how).await?;
    let from = usize::try_from(tape.from())?;
    let mut bytes = Vec::new();
    while let Some(piece) = tape.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(Joined {
        how,
        sent,
        from,
        bytes,
    })
}

async fn judge(stream: &Stream, joined: &Joined) -> Result<()> {
    let rest = stream
        .bytes
        .get(joined.from..)
        .context("it begins behind the end")?;
    ensure!(
        joined.bytes.ends_with(rest),
        "{} bytes, but not the {} from there on",
        joined.bytes.len(),
        rest.len()
    );
    let headers = joined.bytes.len() - rest.len();
    ensure!(headers <= LONGEST_HEADERS, "{headers} bytes before it");
    // Nobody waits for more than a second of the stream, nor is a second behind.
    let second = usize::try_from(stream.pace()?)?;
    match joined.how {
        Join::Live => ensure!(joined.from + second >= joined.sent, "it began in the past"),
        Join::At(offset) => {
            let offset = usize::try_from(offset)?;
            // Headers are no place to begin.
            let latest = offset.max(headers) + second;
            ensure!((offset..=latest).contains(&joined.from), "it began elsewhere");
        }
    }
    let played = play(stream.codec, &joined.bytes).await?;
    ensure!(
        played.complaints.is_empty(),
        "the player said: {}",
        played.complaints
    );
    let expected = stream.length_of(rest.len())?;
    let tolerance = Duration::from_millis(300) + expected / 6;
    ensure!(
        played.length.abs_diff(expected) <= tolerance,
        "{:?} were played of {expected:?}",
        played.length
    );
    in_order(&played.tones)
}

/// The tones are the last ones of what was sent, in order, and hardly anything else.
fn in_order(heard: &[Tone]) -> Result<()> {
    let mut order: Vec<Tone> = heard
        .iter()
        .copied()
        .filter(|tone| matches!(tone, Tone::Hz(_)))
        .collect();
    let blurred = heard.len() - order.len();
    order.dedup();
    ensure!(
        !order.is_empty() && TONES.ends_with(&order) && blurred <= BLURRED,
        "{order:?} was heard, and for {blurred} x 100 ms nothing: {heard:?}"
    );
    Ok(())
}
