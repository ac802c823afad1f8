//! Figure: what 50 sources cost, beside 50 sources at a bare Icecast in the same seconds.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::tape::is_same;
use e2e::harness::until;
use e2e::sound::{BareIcecast, Codec, Dj, Protocol, Script, Sender, Sent, Tone};
use futures::future::try_join_all;

use crate::support::{self, SOON};

const SOURCES: usize = 50;
/// 128 kbit/s.
const PACE: u32 = 16_000;
const LENGTH: Duration = Duration::from_secs(20);
/// The most that `ingest` may take.
const LARGEST: u64 = 30 << 10;

/// What a process has used, as /proc tells it.
struct Usage {
    cpu: Duration,
    resident_kb: u64,
    peak_kb: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_fifty_sources_beside_a_bare_icecast() -> Result<()> {
    let script = Script::default().then(Tone::Hz(440), LENGTH);
    let mp3 = Sender::to("http://nowhere/")
        .codec(Codec::Mp3)
        .play(script)
        .unpaced()
        .encode()
        .await?;
    let names: Vec<String> = (0..SOURCES).map(|number| format!("mic-{number}")).collect();
    support::play(support::inputs(&names), async |ingest| {
        let icecast = BareIcecast::start(0).await?;
        let ours = i32::try_from(ingest.pid()?.as_raw_nonzero().get())?;
        let bare = i32::try_from(icecast.pid().context("Icecast is gone")?)?;
        let before = (usage(ours)?, usage(bare)?);
        let start = |sender: Sender| sender.protocol(Protocol::USUAL).raw(mp3.clone(), Some(PACE)).start();
        let began = Instant::now();
        let here = try_join_all(names.iter().map(|name| start(ingest.sender(name)))).await?;
        let there = names.iter().map(|name| start(Sender::to(&icecast.source_url(&format!("/{name}")))));
        let there = try_join_all(there).await?;
        try_join_all(here.iter().chain(&there).map(|dj| dj.await_over(LENGTH + SOON))).await?;
        let (lasted, after) = (began.elapsed(), (usage(ours)?, usage(bare)?));
        let here: Vec<Sent> = try_join_all(here.into_iter().map(Dj::finish)).await?;
        drop(there);
        until("all sessions to be over", SOON, || async {
            let sessions = ingest.sessions().await.map_err(|error| format!("{error:#}"))?;
            let over = sessions.iter().filter(|session| session.ended.is_some()).count();
            if over == SOURCES { Ok(()) } else { Err(format!("{over} of {}", sessions.len())) }
        })
        .await?;
        for session in ingest.sessions().await? {
            let sent = names.iter().position(|name| *name == session.input).context("an unknown input")?;
            is_same(&ingest.taped(&session.id).await?, &here[sent].log.read()?).context(session.input)?;
        }
        let cpu = [after.0.cpu - before.0.cpu, after.1.cpu - before.1.cpu];
        let percent = cpu.map(|cpu| 100.0 * cpu.as_secs_f64() / lasted.as_secs_f64());
        println!(
            "tape: {SOURCES} sources at 128 kb/s for {:.0} s, taped: {:.1} % of a CPU, RSS {} KiB (peak {}); bare Icecast, untaped: {:.1} %, RSS {} KiB",
            lasted.as_secs_f64(), percent[0], after.0.resident_kb, after.0.peak_kb, percent[1], after.1.resident_kb
        );
        println!(
            "tape: {SOURCES} sources, ours / bare: CPU {:.2}, RSS {:.2}",
            percent[0] / percent[1],
            f64::from(u32::try_from(after.0.resident_kb)?) / f64::from(u32::try_from(after.1.resident_kb)?)
        );
        ensure!(after.0.peak_kb <= LARGEST, "{} KiB", after.0.peak_kb);
        Ok(())
    })
    .await
}

fn usage(pid: i32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("a process without a name")?;
    // utime and stime, in ticks of 10 ms.
    let ticks: u64 = rest
        .split(' ')
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .with_context(|| format!("/proc tells no {key}"))
    };
    Ok(Usage {
        cpu: Duration::from_millis(ticks * 10),
        resident_kb: kilobytes("VmRSS:")?,
        peak_kb: kilobytes("VmHWM:")?,
    })
}
