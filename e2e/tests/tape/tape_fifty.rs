//! Figure: what 50 sources cost, beside 50 sources at a bare Icecast in the same seconds.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::tape::is_same;
use e2e::sound::{BareIcecast, Codec, Dj, Script, Sender, Sent, Tone};
use futures::future::try_join_all;

use crate::support::{self, SOON};

const SOURCES: usize = 50;
/// 128 kbit/s.
const PACE: u32 = 16_000;
const LENGTH: Duration = Duration::from_secs(20);
/// The most that `ingest` may take, in KiB.
const LARGEST: u32 = 30 << 10;
/// What Linux counts time in for programs.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used, as /proc tells it.
struct Usage {
    cpu: Duration,
    resident_kb: u32,
    peak_kb: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_fifty_sources_beside_a_bare_icecast() -> Result<()> {
    let script = Script::default().then(Tone::Hz(440), LENGTH);
    let mp3 = Sender::to("http://nowhere/").codec(Codec::Mp3).play(script);
    let mp3 = mp3.unpaced().encode().await?;
    let names: Vec<String> = (0..SOURCES).map(|number| format!("mic-{number}")).collect();
    support::play(support::inputs(&names), async |ingest| {
        let icecast = BareIcecast::start(0).await?;
        let processes = [
            ingest.pid()?.as_raw_nonzero().get(),
            i32::try_from(icecast.pid().context("Icecast is gone")?)?,
        ];
        let began = Instant::now();
        let before = usages(processes)?;
        let start = |sender: Sender| sender.raw(mp3.clone(), Some(PACE)).start();
        let here = names.iter().map(|name| start(ingest.sender(name)));
        let there = names
            .iter()
            .map(|name| start(Sender::to(&icecast.source_url(&format!("/{name}")))));
        let (here, there) = tokio::try_join!(try_join_all(here), try_join_all(there))?;
        let sending = here.iter().chain(&there).map(|dj| dj.await_over(LENGTH + SOON));
        try_join_all(sending).await?;
        let (after, lasted) = (usages(processes)?, began.elapsed());
        let sent: Vec<Sent> = try_join_all(here.into_iter().map(Dj::finish)).await?;
        for (name, sent) in names.iter().zip(sent) {
            let session = ingest.await_session(name, "over", |s| s.ended.is_some()).await?;
            is_same(&ingest.taped(&session.id).await?, &sent.log.read()?).context(session.input)?;
        }
        report(&before, &after, lasted);
        let [ours, _] = after;
        ensure!(ours.peak_kb <= LARGEST, "{} KiB of memory", ours.peak_kb);
        Ok(())
    })
    .await
}

fn report(before: &[Usage; 2], after: &[Usage; 2], lasted: Duration) {
    let percent = [0, 1].map(|process| {
        let used = after[process].cpu.abs_diff(before[process].cpu);
        100.0 * used.as_secs_f64() / lasted.as_secs_f64()
    });
    let [ours, bare] = after;
    println!(
        "tape: {SOURCES} sources at 128 kb/s for {} s, taped: {:.1} % of a CPU, RSS {} KiB (peak {}); \
         bare Icecast, nothing taped: {:.1} % of a CPU, RSS {} KiB",
        lasted.as_secs(),
        percent[0],
        ours.resident_kb,
        ours.peak_kb,
        percent[1],
        bare.resident_kb
    );
    println!(
        "tape: {SOURCES} sources, ours / bare: CPU {:.2}, RSS {:.2}",
        percent[0] / percent[1],
        f64::from(ours.resident_kb) / f64::from(bare.resident_kb)
    );
}

fn usages([ours, bare]: [i32; 2]) -> Result<[Usage; 2]> {
    Ok([usage(ours)?, usage(bare)?])
}

fn usage(pid: i32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("a process without a name")?;
    // utime and stime.
    let ticks = rest.split(' ').skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<_, _>>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .with_context(|| format!("/proc tells no {key}"))
    };
    Ok(Usage {
        cpu: TICK * u32::try_from(ticks)?,
        resident_kb: kilobytes("VmRSS:")?,
        peak_kb: kilobytes("VmHWM:")?,
    })
}
