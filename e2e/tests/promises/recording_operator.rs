//! Promise: without an operator, a recorder that is placed goes on and comes back, and a show that begins meanwhile waits on the
//! tape. What was live is in the recording, however often sources went from test to live and back, and nothing else is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{Gap, PLACED, Told, VERIFIED, microphone};
use e2e::harness::tape::Tape;
use e2e::harness::{Recording, Stage, Store, is_full, play_alone, until};
use e2e::sound::{Codec, Dj, Script, Sent, Tone, wall_clock};
use ingest::config::{INGEST_KEY, Ingest, Routing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A second of Opus at the rate of these shows, nearly.
const SECOND: u64 = 10_000;
/// The edges of what was live.
const EDGE: SignedDuration = SignedDuration::from_secs(1);
/// A changed routing counts within 2 s; then somebody has to have seen it.
const COUNTS: Duration = Duration::from_secs(10);
const TIMES: usize = 10;

/// Between when and when something happened.
type Between = (Timestamp, Timestamp);

#[tokio::test(flavor = "multi_thread")]
async fn recording_without_an_operator_has_what_was_live() {
    play_alone("rec-absent", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &mounts()).await?;
        for mount in ["late", "test"] {
            stage.await_ready("Mount", mount, 4 * ON_AIR).await?;
        }
        let (early, tested) = (connect(&stage, "live").await?, connect(&stage, "test").await?);
        let (placed, _) = stage.await_recording("live", &[], PLACED).await?;
        let (followed, _) = stage.await_recording("test", &[], PLACED).await?;
        for recording in [&placed, &followed] {
            recording.pod().await?;
            recording.await_phase("OnAir", PLACED).await?;
        }
        stage.operators(0).await?;
        let shown = tokio::try_join!(
            goes_on(&stage, &placed, early),
            begins(&stage),
            test_and_live(&stage, tested)
        );
        // Other tests need it, whatever happened here.
        stage.operators(1).await?;
        let (early, (late, live), (tested, gaps)) = shown?;

        let (appointed, after) = stage.await_recording("late", &[], PLACED).await?;
        println!(
            "recording: operator back -> the show that goes on is recorded: {:.1} s",
            after.as_secs_f32()
        );
        ensure!(late.is_on_air(), "{}", late.report());
        appointed.await_phase("OnAir", PLACED).await?;
        let late = late.finish().await?;

        let (told, _) = placed.verified(VERIFIED).await?;
        let tally = placed.compare(&store, 1, &[early.log.read()?]).await?;
        println!("recording: operator absent after placing, pod deleted: {tally}");
        ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
        tally.is_exact()?;

        let (told, _) = appointed.verified(VERIFIED).await?;
        let tally = appointed.compare_on_air(&store, 1, &[late.log.read()?]).await?;
        println!("recording: operator absent at go-live: {tally}");
        ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
        near("it began", told.started_at, live)?;
        near("it ended", told.ended_at, last_byte(&late)?)?;
        tally.is_exact()?;

        let (told, _) = followed.verified(VERIFIED).await?;
        let tally = followed.compare_on_air(&store, 1, &[tested.log.read()?]).await?;
        println!("recording: test -> live -> test {TIMES} times: {tally}");
        rehearsals(&told, &gaps)?;
        tally.is_exact()
    })
    .await;
}

/// `live` is on air before the operator goes, `late` begins without it, and `test` changes all the time.
fn mounts() -> String {
    let mount = |name: &str, idle_end: &str| {
        microphone("opus")
            .replace("name: live", &format!("name: {name}"))
            .replace("/live.opus", &format!("/{name}.opus"))
            .replace("idleEnd: 5s", &format!("idleEnd: {idle_end}"))
    };
    // The pause between two pieces that are live is no show's end.
    mount("live", "5s") + &mount("late", "5s") + &mount("test", "15s")
}

async fn connect(stage: &Stage, mount: &str) -> Result<Dj> {
    let login = stage.login(mount, "source").await?;
    let script = Script::flips(&[Tone::Hz(440), Tone::Hz(660)], Duration::from_secs(1), 10_000);
    let sender = || login.sender().codec(Codec::Opus).play(script.clone());
    Ok(take(ON_AIR, sender).await?.0)
}

async fn play_on(dj: &Dj, seconds: u64) -> Result<()> {
    let within = Duration::from_secs(2 * seconds) + ON_AIR;
    dj.await_sent(dj.sent() + seconds * SECOND, within).await
}

/// A show whose recorder is placed loses its recorder's pod, and ends; all of it is stored, still without an operator.
async fn goes_on(stage: &Stage, placed: &Recording, early: Dj) -> Result<Sent> {
    let (first, _) = placed.pod().await?;
    play_on(&early, 5).await?;
    stage.delete("Pod", &first).await?;
    let (second, after) = until("another pod of the recorder", PLACED, || async {
        match placed.pod().await {
            Ok((pod, _)) if pod != first => Ok(pod),
            Ok(_) => Err("it is the same".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    println!(
        "recording: operator absent: {second} for the deleted pod after {:.1} s",
        after.as_secs_f32()
    );
    play_on(&early, 5).await?;
    let early = early.finish().await?;
    let ((), after) = until("the recorder to be done", VERIFIED, || async {
        let job = stage.kind("Job").get(&placed.name).await;
        let job = job.map_err(|e| e.to_string())?.data;
        match job.pointer("/status/succeeded").and_then(Value::as_i64) {
            Some(1) => Ok(()),
            _ => Err(job["status"].to_string()),
        }
    })
    .await?;
    println!(
        "recording: operator absent: all is stored {:.1} s after the last byte",
        after.as_secs_f32()
    );
    Ok(early)
}

/// A show begins: first in rehearsal, then it goes live. Tells when.
async fn begins(stage: &Stage) -> Result<(Dj, Between)> {
    tell(stage, "late", Routing::Rehearsal).await?;
    let tape = stage.passthrough_tape("fm").await?;
    let late = connect(stage, "late").await?;
    play_on(&late, 3).await?;
    let live = route(stage, &tape, "late", Routing::Live).await?;
    play_on(&late, if is_full() { 300 } else { 20 }).await?;
    let made = stage.recordings("late").await?;
    ensure!(
        made.is_empty(),
        "somebody else than the operator made {}",
        made[0].name
    );
    Ok((late, live))
}

/// The DJ goes off the air and on it again, on one connection.
async fn test_and_live(stage: &Stage, dj: Dj) -> Result<(Sent, Vec<(Between, Between)>)> {
    let tape = stage.passthrough_tape("fm").await?;
    play_on(&dj, 2).await?;
    let mut made = Vec::new();
    for _ in 0..TIMES {
        let tested = route(stage, &tape, "test", Routing::Rehearsal).await?;
        play_on(&dj, 1).await?;
        let live = route(stage, &tape, "test", Routing::Live).await?;
        play_on(&dj, 1).await?;
        made.push((tested, live));
    }
    // Nobody came after it: this is the end, and no gap.
    route(stage, &tape, "test", Routing::Rehearsal).await?;
    play_on(&dj, 2).await?;
    Ok((dj.finish().await?, made))
}

/// Changes where the source of a Mount is heard; tells between when and when that counted.
async fn route(stage: &Stage, tape: &Tape, mount: &str, routing: Routing) -> Result<Between> {
    let before = Timestamp::now();
    tell(stage, mount, routing).await?;
    until(&format!("{mount} to be {routing:?}"), COUNTS, || async {
        let sessions = tape.sessions().await.map_err(|e| format!("{e:#}"))?;
        let newest = sessions.into_iter().rfind(|session| session.mount == mount);
        match newest {
            Some(session) if session.routing == routing => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok((before, Timestamp::now()))
}

/// Shows will have passwords for rehearsals; until then, while no operator says what is true, this is a way to come by one.
async fn tell(stage: &Stage, mount: &str, routing: Routing) -> Result<()> {
    // Two tests at once write into it.
    static WRITING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = WRITING.lock().await;
    let told = stage.secret("fm-ingest", INGEST_KEY).await?;
    let mut told: Ingest = serde_json::from_str(&told)?;
    for input in told.inputs.iter_mut().filter(|input| input.mount == mount) {
        for credential in &mut input.credentials {
            credential.routing = routing;
        }
    }
    let told = json!({"stringData": {INGEST_KEY: serde_json::to_string(&told)?}});
    stage.merge("Secret", "fm-ingest", told).await
}

/// The gaps that are told are the rehearsals, and no other.
fn rehearsals(told: &Told, made: &[(Between, Between)]) -> Result<()> {
    ensure!(
        told.gap_list.len() == made.len() && told.gaps == u32::try_from(made.len()).ok(),
        "told: {:#?}; made: {made:#?}",
        told.gap_list
    );
    for (Gap { from, to, kind, .. }, (tested, live)) in told.gap_list.iter().zip(made) {
        ensure!(kind == "rehearsal", "a rehearsal is {kind}");
        near("a rehearsal began", Some(*from), *tested)?;
        near("a rehearsal ended", Some(*to), *live)?;
    }
    println!(
        "recording: {} gaps made by rehearsals, and told as such",
        made.len()
    );
    Ok(())
}

fn near(what: &str, told: Option<Timestamp>, (from, to): Between) -> Result<()> {
    let told = told.with_context(|| format!("nobody tells when {what}"))?;
    ensure!(
        from.checked_sub(EDGE)? <= told && told <= to.checked_add(EDGE)?,
        "{what} between {from} and {to}; told is {told}"
    );
    Ok(())
}

fn last_byte(sent: &Sent) -> Result<Between> {
    let (last, _) = sent.writes.last().context("nothing was sent")?;
    Ok((wall_clock(*last), wall_clock(*last)))
}
