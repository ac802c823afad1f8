//! Promise: a reader that stalls, dies or comes back costs the others no time and itself no byte.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::tape::is_same;
use e2e::sound::{Codec, Latency, Script, Sender, Tone};
use futures::future::try_join_all;
use ingest::reader::{Desk, Join};
use tokio::time::sleep;

use crate::support::{self, SOON};

const READERS: usize = 20;
/// The number of the reader that stalls.
const STALLED: usize = 0;
/// The number of the one that dies.
const DYING: usize = 1;
/// Far more than a stream has, so that what a stalled reader leaves fills every buffer on the way.
const PACE: u32 = 600_000;
const LENGTH: u32 = 12;
const AWAY: Duration = Duration::from_secs(5);
const ON_TIME: Duration = Duration::from_millis(200);
/// A part of what came while the live reader was away: the rest is in buffers.
const SKIPPED: usize = 1 << 20;
/// What is looked at of its end.
const LAST: usize = 50_000;

/// What a reader got, and when.
#[derive(Default)]
struct Got {
    bytes: Vec<u8>,
    arrivals: Vec<(Instant, usize)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_stalled_reader_delays_nobody() -> Result<()> {
    let bytes = noise().await?;
    support::play_alone(support::inputs(["studio"]), async |ingest| {
        let sender = ingest.sender("studio").codec(Codec::OggFlac);
        let dj = sender.raw(bytes.clone(), Some(PACE)).start().await?;
        let session = ingest.await_session("studio", "there", |_| true).await?.id;
        let desk = ingest.desk();
        let readers = try_join_all((0..READERS).map(|number| read(&desk, &session, number)));
        let over = dj.await_over(Duration::from_secs(LENGTH.into()) + SOON);
        let (readers, live, ()) = tokio::try_join!(readers, stalled_live(&desk, &session), over)?;
        let sent = dj.finish().await?;
        let log = sent.log.read()?;
        let mut lags = Vec::new();
        for (number, got) in readers.iter().enumerate() {
            is_same(&got.bytes, &log).with_context(|| format!("reader {number}"))?;
            if ![STALLED, DYING].contains(&number) {
                lags.extend(lag(&got.arrivals, &sent.writes));
            }
        }
        let lags = Latency::from_samples(lags);
        println!("tape: {READERS} readers, one stalls, one dies, both come back; lag of the others: {lags}");
        ensure!(lags.p99() < ON_TIME, "{lags}");
        let (from, live) = live;
        let skipped = log.len() - from - live.len();
        println!("tape: a live reader that stalled for {AWAY:?} was moved over {skipped} bytes");
        ensure!(skipped > SKIPPED, "it was not brought up to date");
        ensure!(log.ends_with(&live[live.len() - LAST..]), "it ended elsewhere");
        Ok(())
    })
    .await
}

/// FLAC of noise: many bytes for little audio.
async fn noise() -> Result<Vec<u8>> {
    let wanted = usize::try_from(PACE * LENGTH)?;
    let mut bytes = Vec::new();
    while bytes.len() < wanted {
        let script = Script::default().then(Tone::Unknown, Duration::from_secs(20));
        let link = Sender::to("http://nowhere/")
            .codec(Codec::OggFlac)
            .play(script)
            .unpaced();
        bytes.extend(link.encode().await?);
    }
    Ok(bytes)
}

/// Reads to the end; two of them with a break in the middle.
async fn read(desk: &Desk, session: &str, number: usize) -> Result<Got> {
    let mut got = Got::default();
    let mut tape = desk.read(session, 0, true).await?;
    let break_at = Instant::now() + Duration::from_secs(2);
    let mut broken = ![STALLED, DYING].contains(&number);
    while let Some(piece) = tape.next().await? {
        got.bytes.extend_from_slice(&piece);
        got.arrivals.push((Instant::now(), got.bytes.len()));
        if !broken && Instant::now() > break_at {
            broken = true;
            if number == DYING {
                drop(tape);
                sleep(AWAY).await;
                tape = desk.read(session, u64::try_from(got.bytes.len())?, true).await?;
            } else {
                sleep(AWAY).await;
            }
        }
    }
    Ok(got)
}

/// A live reader that does not read for a while; gives where it began and what it got.
async fn stalled_live(desk: &Desk, session: &str) -> Result<(usize, Vec<u8>)> {
    let mut tape = desk.join(session, Join::Live).await?;
    let from = usize::try_from(tape.from())?;
    sleep(AWAY).await;
    let mut bytes = Vec::new();
    while let Some(piece) = tape.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok((from, bytes))
}

/// How long after its last byte was written each piece arrived.
fn lag(arrivals: &[(Instant, usize)], writes: &[(Instant, u64)]) -> Vec<Duration> {
    let mut writes = writes.iter().peekable();
    let mut written = |total: usize| {
        let earlier = |write: &&(Instant, u64)| usize::try_from(write.1).is_ok_and(|sent| sent < total);
        while writes.next_if(earlier).is_some() {}
        writes.peek().map(|(at, _)| *at)
    };
    let lag = |(at, total): &(Instant, usize)| Some(at.saturating_duration_since(written(*total)?));
    arrivals.iter().filter_map(lag).collect()
}
