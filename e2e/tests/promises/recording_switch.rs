//! Promise: who is on air may change as often as it likes, and an ingest may be killed: the recording has what was on air, once, and
//! tells of exactly the gaps that the sources made, each with its kind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, PLAYLIST, mount, with_inputs};
use e2e::harness::recording::{PLACED, Told, VERIFIED, microphone};
use e2e::harness::tape::Tape;
use e2e::harness::{Recording, Stage, Store, is_full, play};
use e2e::sound::{Codec, Cut, Dj, Script, Sent, Tone, wall_clock};
use jiff::{SignedDuration, Timestamp};

/// A change of who is on air may be told so much too early or too late.
const EDGE: SignedDuration = SignedDuration::from_secs(1);
/// A second of these shows, nearly.
const SECOND: u64 = 10_000;
/// Longer than any gap of these tests, shorter than their patience.
const IDLE_END: &str = "15s";
/// For the processes to be back and a DJ to be taken again.
const BACK: Duration = Duration::from_mins(1);
/// A connection to a killed process is closed by its kernel.
const CLOSED: Duration = Duration::from_secs(5);

/// One connection of a show.
struct Turn {
    input: &'static str,
    came: Instant,
    sent: Sent,
}

impl Turn {
    fn left(&self) -> Timestamp {
        let last = self.sent.writes.last();
        wall_clock(last.map_or(self.came, |(at, _)| *at))
    }
}

/// A DJ on the air.
struct OnAir {
    input: &'static str,
    came: Instant,
    dj: Dj,
}

impl OnAir {
    async fn play_on(&self, seconds: u64) -> Result<()> {
        self.dj
            .await_sent(self.dj.sent() + seconds * SECOND, ON_AIR)
            .await
    }

    async fn leave(self) -> Result<Turn> {
        let sent = self.dj.finish().await?;
        ensure!(sent.failure.is_none(), "{:?}", sent.failure);
        Ok(Turn {
            input: self.input,
            came: self.came,
            sent,
        })
    }
}

async fn connect(stage: &Stage, input: &'static str, codec: Codec) -> Result<OnAir> {
    let login = stage.login("live", input).await?;
    let script = Script::flips(&[Tone::Hz(440), Tone::Hz(660)], Duration::from_secs(1), 10_000);
    let (dj, _) = take(BACK, || login.sender().codec(codec).play(script.clone())).await?;
    // Its encoder may take a while before there is anything to be heard.
    dj.await_sent(1, ON_AIR).await?;
    let (came, _) = dj.writes().first().copied().context("nothing was sent")?;
    Ok(OnAir { input, came, dj })
}

/// A Mount `live` with the inputs `studio` and `mobile`, recorded.
async fn two_inputs(stage: &Stage, store: &Store) -> Result<()> {
    stage.music("music", PLAYLIST).await?;
    let live = with_inputs(&mount("live", "fm"), "[{name: studio}, {name: mobile}]");
    let recording = format!("recording: {{idleEnd: {IDLE_END}}}, playlists:");
    stage
        .recording(store, &live.replace("playlists:", &recording))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_of_djs_who_come_and_go_has_their_gaps_and_no_other() {
    play("rec-switch", |stage| async move {
        let store = Store::open().await?;
        two_inputs(&stage, &store).await?;
        let rounds = if is_full() { 3 } else { 1 };
        let (mut turns, mut made) = (Vec::new(), Vec::new());
        let mut studio = connect(&stage, "studio", Codec::Opus).await?;
        let (recorded, _) = stage.await_recording("live", &[], PLACED).await?;
        for _ in 0..rounds {
            // The DJ reconnects.
            studio.play_on(3).await?;
            turns.push(studio.leave().await?);
            pause().await;
            studio = connect(&stage, "studio", Codec::Opus).await?;
            made.push(nobody(turns.last(), &studio)?);
            // Two hand over: the second comes while the first is still there.
            studio.play_on(3).await?;
            let mobile = connect(&stage, "mobile", Codec::Opus).await?;
            mobile.play_on(3).await?;
            turns.push(studio.leave().await?);
            mobile.play_on(3).await?;
            // And back, to the input that has priority.
            studio = connect(&stage, "studio", Codec::Opus).await?;
            studio.play_on(3).await?;
            turns.push(mobile.leave().await?);
        }
        studio.play_on(3).await?;
        turns.push(studio.leave().await?);
        pause().await;
        // Opus from the studio, then MP3 from somewhere else.
        let mobile = connect(&stage, "mobile", Codec::Mp3).await?;
        made.push(nobody(turns.last(), &mobile)?);
        mobile.play_on(6).await?;
        turns.push(mobile.leave().await?);

        turns.sort_by_key(|turn| turn.came);
        let (told, _) = recorded.verified(VERIFIED).await?;
        let heard: Vec<_> = turns.iter().map(|turn| turn.input).collect();
        println!("recording: DJs in order of their coming: {}", heard.join(", "));
        same_gaps(&told, &made)?;
        ensure!(told.objects.len() == 2, "Opus and MP3 are {:?}", told.objects);
        heard_in_turn(&recorded, &store, &turns)?;
        let mut sent = Vec::new();
        for turn in &turns {
            sent.push(turn.sent.log.read()?);
        }
        let tally = recorded.compare(&store, 1, &sent).await?;
        println!("recording: reconnects, hand-overs, Opus then MP3: {tally}");
        tally.is_exact()
    })
    .await;
}

/// Long enough to be a gap, and no Recording's end.
async fn pause() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

/// A gap that was made: between when and when it began, between when and when it ended, and its kind.
#[derive(Debug)]
struct Made {
    from: (Timestamp, Timestamp),
    to: (Timestamp, Timestamp),
    kind: &'static str,
}

/// The time between the last DJ's leaving and this one's coming.
fn nobody(last: Option<&Turn>, next: &OnAir) -> Result<Made> {
    let left = last.context("nobody was there before")?.left();
    let came = wall_clock(next.came);
    Ok(Made {
        from: (left, left),
        to: (came, came),
        kind: "noSource",
    })
}

/// The gaps that are told are those that were made.
fn same_gaps(told: &Told, made: &[Made]) -> Result<()> {
    let mut most = SignedDuration::ZERO;
    for (gap, made) in told.gap_list.iter().zip(made) {
        let off = beside(gap.from, made.from).max(beside(gap.to, made.to));
        ensure!(gap.kind == made.kind && off <= EDGE, "told: {gap:?}, {made:?}");
        most = most.max(off);
    }
    ensure!(
        told.gap_list.len() == made.len() && told.gaps == u32::try_from(made.len()).ok(),
        "told: {:#?}; made: {made:#?}",
        told.gap_list
    );
    println!(
        "recording: {} gaps made and told, at most {most:#} beside",
        made.len()
    );
    Ok(())
}

/// How far something lies outside of when it was.
fn beside(at: Timestamp, (from, to): (Timestamp, Timestamp)) -> SignedDuration {
    let outside = from.duration_since(at).max(at.duration_since(to));
    outside.max(SignedDuration::ZERO)
}

/// Each is in the final object from when it had the air to when another took it.
fn heard_in_turn(recorded: &Recording, store: &Store, turns: &[Turn]) -> Result<()> {
    let published = recorded.published(store, 1)?;
    let told = published.intervals.iter().map(|interval| interval.from);
    // Who comes to the input that has priority takes the air; who comes to the other gets it when the first leaves.
    let takes = turns.iter().enumerate().map(|(n, turn)| match turn.input {
        "mobile" => turns[..n].last().map_or_else(
            || wall_clock(turn.came),
            |before| before.left().max(wall_clock(turn.came)),
        ),
        _ => wall_clock(turn.came),
    });
    let takes: Vec<_> = takes.collect();
    ensure!(
        published.intervals.len() == takes.len(),
        "{:#?}",
        published.intervals
    );
    for ((told, takes), turn) in told.zip(takes).zip(turns) {
        let off = told.duration_since(takes).abs();
        ensure!(
            off <= EDGE,
            "{} is heard from {told}, not from {takes}",
            turn.input
        );
    }
    Ok(())
}

/// A connection that lost its ingest.
struct Killed {
    sent: Sent,
    /// Bytes that the ingest surely had read.
    surely_read: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_with_the_ingest_killed_lacks_only_what_could_not_be_delivered() {
    play("rec-ingest", |stage| async move {
        let store = Store::open().await?;
        let mount = microphone("opus").replace("idleEnd: 5s", "idleEnd: 25s");
        stage.recording(&store, &mount).await?;
        let tape = stage.passthrough_tape("fm").await?;
        let rounds = if is_full() { 10 } else { 2 };
        let (mut killed, mut made) = (Vec::new(), Vec::new());
        let mut on_air = connect(&stage, "source", Codec::Opus).await?;
        let (recorded, _) = stage.await_recording("live", &[], PLACED).await?;
        recorded.pod().await?;
        for _ in 0..rounds {
            on_air.play_on(3).await?;
            let surely_read = on_air.dj.sent();
            on_air.play_on(1).await?;
            let hit = verbs::kill_process(&stage.namespace, tape.pod(), "ingest", "ingest").await?;
            let gone = Timestamp::now();
            ensure!(hit > 0, "no process ingest was found");
            on_air.dj.await_server_closed(CLOSED).await?;
            let sent = on_air.dj.cut(Cut::Fin).await?;
            killed.push(Killed { sent, surely_read });
            on_air = connect(&stage, "source", Codec::Opus).await?;
            let came = wall_clock(on_air.came);
            made.push(Made {
                from: (gone, gone),
                to: (came, came),
                kind: "noSource",
            });
        }
        on_air.play_on(3).await?;
        let last = on_air.leave().await?;
        let delivered = delivered(&tape, &killed, &last.sent).await?;
        let (told, _) = recorded.verified(VERIFIED).await?;
        same_gaps(&told, &made)?;
        let tally = recorded.compare(&store, 1, &delivered).await?;
        println!("recording: ingest killed (-9) {rounds} times, of what it had read: {tally}");
        tally.is_exact()
    })
    .await;
}

/// What the ingest got of each connection: nothing is missing that was not on its way at the kill.
async fn delivered(tape: &Tape, killed: &[Killed], last: &Sent) -> Result<Vec<Vec<u8>>> {
    let over = tape.await_session("source", "over", ON_AIR, |session| session.ended.is_some());
    over.await?;
    let sessions = tape.sessions().await?;
    ensure!(sessions.len() == killed.len() + 1, "{sessions:#?}");
    let mut delivered = Vec::new();
    for (session, killed) in sessions.iter().zip(killed) {
        let mut bytes = killed.sent.log.read()?;
        ensure!(
            session.bytes >= killed.surely_read,
            "{} bytes on the tape, but {} were sent a second before the kill",
            session.bytes,
            killed.surely_read
        );
        let on_their_way = u64::try_from(bytes.len())?.checked_sub(session.bytes);
        let on_their_way = on_their_way.context("more is on the tape than was sent")?;
        println!("recording: {on_their_way} bytes were on their way at a kill");
        bytes.truncate(usize::try_from(session.bytes)?);
        delivered.push(bytes);
    }
    delivered.push(last.log.read()?);
    Ok(delivered)
}
