//! Promise: a DJ is heard through the relays in every encoding, with title, soon; when the DJ leaves, the playlist
//! returns, and nobody hears a hole.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, PLAYLIST, TITLE};
use e2e::harness::{Ffmpeg, Login, Stage, audit, play, rows, until};
use e2e::sound::{Codec, Dj, GapKind, Listener, Script, Tone};
use jiff::Timestamp;

/// What ffmpeg plays.
const HZ: u16 = 440;
const DJ: Tone = Tone::Hz(HZ);
/// The longest hole at a switch.
const SWITCH: Duration = Duration::from_secs(1);
/// For a switch to be heard.
const HEARD: Duration = Duration::from_secs(10);
/// Half of the flips must be heard within.
const LATENCY: Duration = Duration::from_secs(3);

/// The tones come round slower than the latency that is measured.
const FLIPS: [Tone; 5] = [
    Tone::Hz(440),
    Tone::Hz(660),
    Tone::Hz(1320),
    Tone::Hz(1760),
    Tone::Hz(2200),
];
const BETWEEN: Duration = Duration::from_secs(1);
/// The first is the beginning of the show, the last makes sure that the one before was heard.
const COUNT: usize = 22;

#[tokio::test(flavor = "multi_thread")]
async fn tape_a_dj_is_heard_and_the_playlist_returns() {
    play("dj", |stage| async move {
        stage.on_air_with_inputs().await?;
        let login = stage.login("live", "studio").await?;
        let listeners = stage.audience().await?;
        for codec in rows(&[Codec::Opus, Codec::Mp3, Codec::Adts]) {
            show(&login, &listeners, *codec)
                .await
                .with_context(|| format!("ffmpeg sends {codec:?}"))?;
        }
        for codec in rows(&[Codec::Mp3, Codec::Opus, Codec::Adts]) {
            flips(&stage, &login, &listeners, *codec)
                .await
                .with_context(|| format!("flips in {codec:?}"))?;
        }
        for listener in &listeners {
            ensure!(listener.disconnects().is_empty(), "{}", listener.report());
        }
        Ok(())
    })
    .await;
}

/// ffmpeg comes, is heard with its title, and goes.
async fn show(login: &Login, listeners: &[Listener], codec: Codec) -> Result<()> {
    let came = Instant::now();
    let title = format!("{TITLE} {codec:?}");
    let mut ffmpeg = Ffmpeg::start(login, codec, HZ, &title)?;
    for listener in listeners {
        let after = listener.await_tone_since(came, DJ, HEARD).await;
        ffmpeg.still_sends().await?;
        println!(
            "tape: ffmpeg started -> heard, {codec:?}: {} ms",
            after?.as_millis()
        );
    }
    if codec != Codec::Opus {
        // ffmpeg puts no title into these that a listener could get.
        login.title(&title).await?;
    }
    for listener in listeners {
        listener.await_title(&title, HEARD).await?;
    }
    ffmpeg.leave().await?;
    let left = Instant::now();
    for listener in listeners {
        let after = listener.await_tone_since(left, PLAYLIST, HEARD).await?;
        println!("tape: DJ left -> playlist, {codec:?}: {} ms", after.as_millis());
        one_show(listener, came, codec)?;
    }
    Ok(())
}

/// Since then a listener heard the playlist, the DJ, the playlist again, and no hole between them.
fn one_show(listener: &Listener, came: Instant, codec: Codec) -> Result<()> {
    let mut spans = listener.spans_since(came);
    spans.retain(|span| matches!(span.tone, Tone::Hz(_)));
    let mut order: Vec<Tone> = spans.iter().map(|span| span.tone).collect();
    order.dedup();
    ensure!(
        order == [PLAYLIST, DJ, PLAYLIST],
        "not one show: {order:?}; {}",
        listener.report()
    );
    for pair in spans.windows(2).filter(|pair| pair[0].tone != pair[1].tone) {
        let hole = pair[1].began.saturating_duration_since(pair[0].ended);
        let what = format!("{} -> {}, {codec:?}", pair[0].tone, pair[1].tone);
        println!("tape: {what}: hole of {} ms", hole.as_millis());
        ensure!(hole <= SWITCH, "{what} took {hole:?}; {}", listener.report());
    }
    let longest = |kind| {
        let gaps = listener.gaps(Duration::ZERO).into_iter();
        gaps.filter(|gap| gap.kind == kind && gap.at + gap.length > came)
            .map(|gap| gap.length)
            .max()
            .unwrap_or_default()
    };
    for kind in [GapKind::NoBytes, GapKind::Silence] {
        let gap = longest(kind);
        println!(
            "tape: longest {kind:?} around the show, {codec:?}: {} ms",
            gap.as_millis()
        );
        ensure!(gap <= SWITCH, "{kind:?} for {gap:?}; {}", listener.report());
    }
    Ok(())
}

/// A DJ who changes the tone each second; meanwhile nothing is written to the API.
async fn flips(stage: &Stage, login: &Login, listeners: &[Listener], codec: Codec) -> Result<()> {
    let script = Script::flips(&FLIPS, BETWEEN, COUNT);
    let (dj, _) = take(ON_AIR, || login.sender().codec(codec).play(script.clone())).await?;
    await_flips(&dj, COUNT / 2).await?;
    let since = Timestamp::now();
    let title = format!("{TITLE}, and {codec:?}");
    if codec != Codec::Opus {
        dj.title(&title).await?;
        for listener in listeners {
            listener.await_title(&title, HEARD).await?;
        }
    }
    await_flips(&dj, COUNT).await?;
    let last = dj.flips()[COUNT - 1];
    for listener in listeners {
        listener.await_tone_since(last.at, last.tone, HEARD).await?;
        let latency = listener.latency(&dj.flips()[1..COUNT - 1]);
        println!("tape: DJ -> listener, {codec:?}: {latency}");
        ensure!(latency.missed == 0, "{latency}; {}", listener.report());
        ensure!(latency.p50() <= LATENCY, "{latency}; {}", listener.report());
    }
    let mut writes = audit::writes(since)?;
    writes.retain(|write| write.object_ref.namespace == stage.namespace);
    ensure!(writes.is_empty(), "written while a DJ just played: {writes:#?}");
    ensure!(dj.is_on_air(), "{}", dj.report());
    dj.finish().await?;
    let left = Instant::now();
    for listener in listeners {
        listener.await_tone_since(left, PLAYLIST, HEARD).await?;
    }
    Ok(())
}

async fn await_flips(dj: &Dj, count: usize) -> Result<()> {
    let within = BETWEEN * u32::try_from(COUNT)? + HEARD;
    until(&format!("{count} flips"), within, || async {
        if dj.flips().len() >= count {
            Ok(())
        } else {
            Err(dj.report())
        }
    })
    .await
    .map(drop)
}
