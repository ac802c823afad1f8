//! Promise: presenters are let in, heard and sent away when their show says, to the second; who comes at the wrong time is told
//! the right one; and one show hands over to the next.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::recording::VERIFIED;
use e2e::harness::show::{self, PRESENTER, TITLE, near, show, sleep_until, stage_for_shows};
use e2e::harness::tape::Tape;
use e2e::harness::{Login, Recording, Stage, Store, play, until};
use e2e::sound::{Dj, wall_clock};
use ingest::api::Session;
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::Outcome;

const ON_AIR: Duration = Duration::from_secs(30);
/// The status and the Events tell.
const TOLD: Duration = Duration::from_secs(15);
/// Something that was said counts.
const COUNTS: Duration = Duration::from_secs(5);

/// When something was, by this machine's clock.
fn at(instant: std::time::Instant) -> Timestamp {
    wall_clock(instant)
}

async fn session_of(
    tape: &Tape,
    mount: &str,
    what: &str,
    is_so: impl Fn(&Session) -> bool,
) -> Result<Session> {
    let (session, _) = until(
        &format!("a session of {mount} that is {what}"),
        COUNTS,
        || async {
            let sessions = tape.sessions().await.map_err(|e| format!("{e:#}"))?;
            match sessions.into_iter().rfind(|session| session.mount == mount) {
                Some(session) if is_so(&session) => Ok(session),
                other => Err(format!("{other:?}")),
            }
        },
    )
    .await?;
    Ok(session)
}

/// A Show with a hard end whose presenters are heard from its start on.
#[tokio::test(flavor = "multi_thread")]
async fn shows_turns_open_and_close_to_the_second() {
    play("show-turns", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &stage_for_shows("live", "opus")).await?;
        let start = show::in_seconds(30);
        let rules = "earlyConnect: 10s, hardEnd: true, goLive: AtStart";
        stage.apply(&show("night", "live", start, rules)).await?;
        let (slot, recording) = stage.prepared("night", start).await?;
        let login = stage.presenter("night", ("live", "source")).await?;
        too_early(&stage, &login, &slot).await?;
        let (dj, came) = login.let_in(ON_AIR).await?;
        println!(
            "shows: let in {:#} beside earlyConnect",
            near("its coming in", came, slot.opens)?
        );
        let tape = stage.passthrough_tape("fm").await?;
        session_of(&tape, "live", "in rehearsal", |session| {
            session.routing == Routing::Rehearsal
        })
        .await?;
        ensure!(Timestamp::now() < start, "that was seen too late");
        taken(&login, start).await?;

        dj.await_server_closed(Duration::from_mins(2)).await?;
        let closed = at(dj.server_closed().context("it was closed")?);
        println!(
            "shows: hard end: closed {:#} beside the end",
            near("the hard end", closed, slot.end)?
        );
        let late = login.refusal().await?;
        println!("shows: after the end: {} {}", late.status, late.body.trim());
        ensure!(late.status == 403 && late.body.contains(TITLE), "{late:?}");
        let session = session_of(&tape, "live", "over", |session| session.ended.is_some()).await?;
        let (ended, aired) = (
            session.ended.context("it is")?,
            session.aired.context("it was not on air")?,
        );
        near("it went on air", aired.first, start)?;
        near("it went off air", aired.last.context("it is on air")?, slot.end)?;
        ensure!(ended.why == "its show is over", "{ended:?}");

        let sent = [dj.cut(e2e::sound::Cut::Fin).await?.log.read()?];
        is_the_slot(&store, &recording, (start, slot.end), &sent, session.bytes).await?;
        stage
            .await_outcome("night", start, Outcome::Recorded, ON_AIR)
            .await
            .map(drop)
    })
    .await;
}

/// Who comes before the window is told when it opens, and so is whoever looks; who does not know the password is not.
async fn too_early(stage: &Stage, login: &Login, slot: &radio_crds::show::SlotUnderWay) -> Result<()> {
    let early = login.refusal().await?;
    ensure!(Timestamp::now() < slot.opens, "this came too late to be early");
    println!("shows: too early: {} {}", early.status, early.body.trim());
    // Whole minutes are told without seconds.
    let clock = |instant: Timestamp| {
        let clock = instant.strftime("%T").to_string();
        clock.strip_suffix(":00").unwrap_or(&clock).to_owned()
    };
    let tells = [slot.start, slot.end, slot.opens].map(clock);
    ensure!(
        early.status == 403
            && tells.iter().all(|time| early.body.contains(time))
            && early.body.contains(TITLE),
        "{early:?} should tell of {tells:?}"
    );
    let sentence = early.body.trim();
    stage
        .await_input(("live", "source"), "refusing: OutsideWindow", TOLD, |input| {
            let told = input.last_refusal.as_ref();
            told.is_some_and(|told| told.reason == "OutsideWindow" && told.message == sentence)
        })
        .await?;
    let about = ("Mount", "live");
    let (kind, said) = stage
        .await_event(about, "SourceRefused", sentence.trim_end_matches('.'), TOLD)
        .await?;
    println!("shows: {kind} SourceRefused: {said}");
    // Last, because the status tells of the last.
    let wrong = login.with_password("wrong").refusal().await?;
    ensure!(
        wrong.status == 401 && !wrong.body.contains(TITLE) && !wrong.body.contains("UTC"),
        "a wrong password is told {wrong:?}"
    );
    Ok(())
}

/// Nobody takes the seat of who is there by the same right.
async fn taken(login: &Login, start: Timestamp) -> Result<()> {
    let taken = login.refusal().await?;
    println!(
        "shows: taken, before {start}: {} {}",
        taken.status,
        taken.body.trim()
    );
    ensure!(taken.status == 403 && taken.body.contains(PRESENTER), "{taken:?}");
    Ok(())
}

/// The slot is recorded, all of it and nothing else, of those bytes that the ingest had read when it closed.
async fn is_the_slot(
    store: &Store,
    recording: &Recording,
    (start, end): (Timestamp, Timestamp),
    sent: &[Vec<u8>],
    read: u64,
) -> Result<()> {
    recording.verified(VERIFIED).await?;
    let read = usize::try_from(read)?;
    let read: Vec<Vec<u8>> = sent
        .iter()
        .map(|sent| sent[..read.min(sent.len())].to_vec())
        .collect();
    let tally = recording.compare_on_air(store, 1, &read).await?;
    println!("shows: from its start to its hard end: {tally}");
    tally.is_exact()?;
    let (from, to) = recording.heard(store, 1)?;
    near("its recording", from, start)?;
    near("the end of its recording", to, end)?;
    Ok(())
}

/// Two Shows, one after the other, on one input; the second is in rehearsal until somebody says that it is live.
#[tokio::test(flavor = "multi_thread")]
async fn shows_hand_over_and_go_live_by_hand() {
    play("show-handover", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &stage_for_shows("live", "opus")).await?;
        let first = show::in_seconds(25);
        let second = first + show::SLOT;
        let rules = "earlyConnect: 15s, overrun: 1m";
        let manual = "earlyConnect: 15s, overrun: 0s, goLive: Manual";
        let both = show("evening", "live", first, rules) + &show("night", "live", second, manual);
        stage.apply(&both).await?;
        let (slot, evening) = stage.prepared("evening", first).await?;
        ensure!(slot.closes == second + show::SLOT, "{slot:?}");
        let (_, night) = stage.prepared("night", second).await?;
        let (early, late) = (
            stage.presenter("evening", ("live", "source")).await?,
            stage.presenter("night", ("live", "source")).await?,
        );
        let tape = stage.passthrough_tape("fm").await?;
        let dj = early.on_air(ON_AIR).await?;

        // In its window, but the show before is not over.
        sleep_until(second - 5 * show::EDGE).await;
        let waits = late.refusal().await?;
        println!("shows: before the hand-over: {} {}", waits.status, waits.body.trim());
        let free = second.strftime("%R").to_string();
        ensure!(waits.status == 403 && waits.body.contains(&free), "{waits:?}");
        ensure!(dj.is_on_air(), "{}", dj.report());
        let (next, came) = late.let_in(ON_AIR).await?;
        let (taken, gone) = handed_over(&dj, came, second).await?;
        session_of(&tape, "live", "in rehearsal", |session| session.routing == Routing::Rehearsal).await?;
        println!("shows: hand-over: the next came {taken:#} after the start, the one before was closed {gone:#} after it");

        sleep_until(second + 10 * show::EDGE).await;
        let said = Timestamp::now();
        stage.plugin_says(&["live", "night"]).await?;
        session_of(&tape, "live", "on air", |session| session.routing == Routing::Live).await?;
        sleep_until(second + show::SLOT + show::EDGE).await;
        let read = read_of(&tape).await?;
        let evening_sent = truncated(dj, read.first().copied()).await?;
        let night_sent = next.finish().await?.log.read()?;
        let both = [evening_sent, night_sent];
        of_each(&store, &evening, (first, second), &both[..1]).await?;
        // The moment until the one before had left is in the second slot, so that it is somewhere.
        let begun = of_each(&store, &night, (second, second + show::SLOT), &both).await?;
        let by_hand = begun.context("the second was never on air")?;
        ensure!(by_hand.duration_since(said).abs() <= 3 * show::EDGE, "said at {said}, on air at {by_hand}");
        let told = stage.recordings("live").await?;
        ensure!(told.len() == 2, "two slots, and {} Recordings", told.len());
        Ok(())
    })
    .await;
}

/// The one before is closed once the next one sends. The ingest knows the API server's time to the tenth of a second or so:
/// that much too early is as good as too late.
async fn handed_over(dj: &Dj, came: Timestamp, start: Timestamp) -> Result<(SignedDuration, SignedDuration)> {
    dj.await_server_closed(COUNTS).await?;
    let gone = at(dj.server_closed().context("it was closed")?);
    near("the next one's coming", came, start)?;
    let (taken, gone) = (came.duration_since(start), gone.duration_since(start));
    ensure!(
        -show::EDGE <= gone && gone <= 3 * show::EDGE,
        "the one before was there until {gone:#} after the start"
    );
    Ok((taken, gone))
}

/// How much of each connection the ingest has read, the oldest first.
async fn read_of(tape: &Tape) -> Result<Vec<u64>> {
    let sessions = tape.sessions().await?;
    Ok(sessions
        .iter()
        .filter(|session| session.bytes > 0)
        .map(|session| session.bytes)
        .collect())
}

async fn truncated(dj: Dj, read: Option<u64>) -> Result<Vec<u8>> {
    let mut sent = dj.cut(e2e::sound::Cut::Fin).await?.log.read()?;
    sent.truncate(usize::try_from(read.context("no session")?)?);
    Ok(sent)
}

/// Each slot has what was on air in it, to a hand-over that may take some seconds. Gives when the last one of it came on.
async fn of_each(
    store: &Store,
    recording: &Recording,
    (start, end): (Timestamp, Timestamp),
    sent: &[Vec<u8>],
) -> Result<Option<Timestamp>> {
    recording.verified(2 * VERIFIED).await?;
    let on = recording.published(store, 1)?.intervals;
    let sessions: BTreeSet<&str> = on.iter().map(|on| on.session.as_str()).collect();
    let last = sent.len().saturating_sub(sessions.len());
    let tally = recording.compare_on_air(store, 1, &sent[last..]).await?;
    println!(
        "shows: {}, {} connections: {tally}",
        recording.name,
        sessions.len()
    );
    tally.is_exact()?;
    let (_, to) = recording.heard(store, 1)?;
    let slack = 3 * show::EDGE;
    ensure!(
        on.iter().all(|on| on.from >= start - show::EDGE) && to.duration_since(end).abs() <= slack,
        "{start} to {end} is told as {on:#?}"
    );
    Ok(on.last().map(|on| on.from))
}
