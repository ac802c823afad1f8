//! Promise: whatever becomes of the store, and however full spool and tape get, what fits there is in the recording, once; and
//! whoever looks is told in time, and of each byte that did not fit.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::harness::api::Condition;
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{PLACED, Recording, Told, VERIFIED, microphone};
use e2e::harness::tape::Tape;
use e2e::harness::{Login, Stage, Store, api, oracle, play, rows, until};
use e2e::sound::{Codec, Script, Tone};
use e2e::twin::{Effect, Fault, Operation, Outage, Outcome, When};
use serde_json::json;

/// So much faster than in real time, for segments to come soon.
const SPEED: f64 = 4.0;
/// What a show sends before and after the middle: some segments of 10 s.
const HALF: u64 = 250_000;
/// For it to be sent.
const SENT: Duration = Duration::from_secs(40);
/// The status and the Events tell.
const TOLD: Duration = Duration::from_secs(30);
/// The same of a store that says nothing: it might have been slow.
const SILENT: Duration = Duration::from_secs(90);
/// kubelet brings a changed Secret late, and who is refused again and again tries ever more slowly.
const SLOWLY: Duration = Duration::from_mins(5);
/// Slow enough for an upload to be under way when its key goes.
const SLOW: u64 = 20_000;

/// What becomes of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Down for the whole show; meanwhile the recorder's pod is deleted, and its spool with it.
    DownAndPodDeleted,
    /// Down for the whole show.
    Down,
    /// It takes connections, and never answers.
    Silent,
    /// Most requests are answered with 429, in the second half of the show all of them, and then still every other one.
    Throttled,
    /// It does what it is asked, and every other answer is lost.
    AnswersLost,
    /// The keys change while a segment is uploaded, and the old ones count no more.
    KeysRotated,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::DownAndPodDeleted,
    Trouble::Down,
    Trouble::Silent,
    Trouble::Throttled,
    Trouble::AnswersLost,
    Trouble::KeysRotated,
];

#[tokio::test(flavor = "multi_thread")]
async fn recording_with_a_store_in_trouble_loses_and_doubles_nothing() {
    play("rec-store", |stage| async move {
        let store = Store::open().await?;
        stage.recording(&store, &microphone("opus")).await?;
        let login = stage.login("live", "source").await?;
        for trouble in rows(&TROUBLES) {
            show(&stage, &store, &login, *trouble)
                .await
                .with_context(|| format!("{trouble:?}"))?;
        }
        Ok(())
    })
    .await;
}

async fn show(stage: &Stage, store: &Store, login: &Login, trouble: Trouble) -> Result<()> {
    let known = stage.recordings("live").await?;
    before(store, trouble);
    let script = Script::flips(&[Tone::Hz(440), Tone::Hz(660)], Duration::from_secs(1), 10_000);
    let sender = || {
        login
            .sender()
            .codec(Codec::Opus)
            .speed(SPEED)
            .play(script.clone())
    };
    let (dj, _) = take(ON_AIR, sender).await?;
    let (recording, _) = stage.await_recording("live", &known, PLACED).await?;
    dj.await_sent(HALF, SENT).await?;
    in_the_middle(stage, store, &recording, trouble).await?;
    dj.await_sent(dj.sent() + HALF, SENT).await?;
    let sent = dj.finish().await?;
    after(stage, store, &recording, trouble).await?;
    let patience = match trouble {
        Trouble::DownAndPodDeleted | Trouble::Down | Trouble::Silent => VERIFIED,
        Trouble::Throttled | Trouble::AnswersLost | Trouble::KeysRotated => SLOWLY,
    };
    let (told, took) = recording.verified(patience).await?;
    store.twin.faults().clear();
    let tally = recording.compare(store, 1, &[sent.log.read()?]).await?;
    println!(
        "recording: store {trouble:?}: {tally}; verified {:.1} s later",
        took.as_secs_f32()
    );
    ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
    ensure!(
        found(&told.conditions, "StoreReachable").is_none_or(|condition| condition.status == "True"),
        "all is well, but {:?}",
        told.conditions
    );
    tally.is_exact()
}

fn before(store: &Store, trouble: Trouble) {
    match trouble {
        Trouble::DownAndPodDeleted | Trouble::Down => store.twin.outage(Outage::Refuse),
        Trouble::Silent => store.twin.outage(Outage::Blackhole),
        Trouble::Throttled => throttle(store, When::Chance(0.7)),
        Trouble::AnswersLost => {
            let lost = Fault::anywhere(When::Chance(0.5), Effect::LoseAnswer);
            store.twin.faults().add(lost);
        }
        Trouble::KeysRotated => {
            let slow = Fault::on(Operation::PutObject, When::Always, Effect::Slow(SLOW));
            store.twin.faults().add(slow);
        }
    }
}

/// From now on requests are answered with 429 so often.
fn throttle(store: &Store, when: When) {
    let busy = Effect::Answer {
        status: 429,
        code: "TooManyRequests".to_owned(),
        retry_after: Some(1),
    };
    store.twin.faults().clear();
    store.twin.faults().add(Fault::anywhere(when, busy));
}

async fn in_the_middle(stage: &Stage, store: &Store, recording: &Recording, trouble: Trouble) -> Result<()> {
    match trouble {
        Trouble::Down | Trouble::Silent => unreachable_is_told(stage, recording).await,
        Trouble::DownAndPodDeleted => {
            unreachable_is_told(stage, recording).await?;
            let (first, _) = recording.pod().await?;
            stage.delete("Pod", &first).await?;
            until("another pod of the recorder", PLACED, || async {
                match recording.pod().await {
                    Ok((pod, _)) if pod != first => Ok(()),
                    Ok(_) => Err("it is the same".to_owned()),
                    Err(error) => Err(format!("{error:#}")),
                }
            })
            .await
            .map(drop)
        }
        Trouble::Throttled => {
            throttle(store, When::Always);
            Ok(())
        }
        Trouble::AnswersLost => Ok(()),
        Trouble::KeysRotated => rotated(stage, store, recording).await,
    }
}

/// The keys change in the middle of an upload; that the new ones are missing is told.
async fn rotated(stage: &Stage, store: &Store, recording: &Recording) -> Result<()> {
    let under_way = store.twin.log().until(|entries| {
        let is_open = |entry: &e2e::twin::Entry| {
            entry.operation == Operation::PutObject && entry.outcome == Outcome::Open
        };
        entries.iter().any(is_open)
    });
    tokio::time::timeout(SENT, under_way)
        .await
        .context("nothing is uploaded")?;
    store.rotate();
    store.twin.faults().clear();
    let (told, after) = recording
        .until("refused by the store", TOLD, |told| {
            found(&told.conditions, "StoreReachable").is_some_and(|found| found.status == "False")
        })
        .await?;
    let condition = found(&told.conditions, "StoreReachable").context("it was there")?;
    println!(
        "recording: keys revoked -> {}: {} ({:.1} s)",
        condition.reason,
        condition.message,
        after.as_secs_f32()
    );
    stage.apply(&store.secret()).await.map(drop)
}

async fn unreachable_is_told(stage: &Stage, recording: &Recording) -> Result<()> {
    let (told, after) = recording
        .until("without a store", SILENT, |told| {
            found(&told.conditions, "StoreReachable").is_some_and(|found| found.status == "False")
        })
        .await?;
    let condition = found(&told.conditions, "StoreReachable").context("it was there")?;
    println!(
        "recording: store down -> {}: {} ({:.1} s)",
        condition.reason,
        condition.message,
        after.as_secs_f32()
    );
    let about = ("Recording", recording.name.as_str());
    let (kind, _) = stage.await_event(about, "StoreUnreachable", "", TOLD).await?;
    ensure!(kind == "Warning", "a store that is down is {kind}");
    Ok(())
}

/// The show is over; whatever could be stored, the store comes back only now.
async fn after(stage: &Stage, store: &Store, recording: &Recording, trouble: Trouble) -> Result<()> {
    match trouble {
        Trouble::Down | Trouble::Silent => {
            recording.await_phase("Storing", PLACED).await?;
        }
        // A recorder that is new, and has not seen the bucket yet, cannot tell.
        Trouble::DownAndPodDeleted => {
            let gone = stage.await_input(("live", "source"), "gone", TOLD, |input| !input.connected);
            gone.await?;
        }
        Trouble::Throttled => {
            throttle(store, When::Chance(0.5));
            return Ok(());
        }
        Trouble::AnswersLost | Trouble::KeysRotated => return Ok(()),
    }
    let stored = store.segments(&recording.prefix)?;
    ensure!(
        stored.is_empty(),
        "the store was down, and has {:?}",
        stored.keys()
    );
    store.twin.outage(Outage::None);
    Ok(())
}

fn found<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Of the Station that is filled up.
const FULL: &str = ", ingest: {tape: {size: 32Mi, ephemeral: true}}";
const SPOOL: &str = "8Mi";
/// A frame of MP3 at 320 kbit/s and 48 kHz.
const FRAME: usize = 960;
/// The connections that fill the spool by half, nearly, and entirely.
const TO_SPOOL: [u64; 3] = [5_200_000, 2_200_000, 8_600_000];
/// The connection that fills the tape nearly.
const TO_TAPE: u64 = 9_000_000;
/// The one that is too much: the first three have to go from the tape, of which the spool has not all of the third.
const TOO_MUCH: u64 = 14_000_000;
/// A tape that does not come back is given up after a while.
const MISSED: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn recording_fills_its_disks_and_tells_of_it() {
    for overflows in rows(&[false, true]) {
        // Each on a tape of its own: what is stored stays there for a while.
        play("rec-full", |stage| async move {
            let store = Store::open().await?;
            let mount = microphone("mp3").replace("idleEnd: 5s", "idleEnd: 30s");
            stage.recording_with(&store, FULL, &mount).await?;
            let spool = json!({"spec": {"storage": {"spoolSize": SPOOL}}});
            stage.merge("Station", "fm", spool).await?;
            stage.await_ready("Station", "fm", ON_AIR).await?;
            let full = Full {
                login: stage.login("live", "source").await?,
                tape: stage.passthrough_tape("fm").await?,
                audio: audio().await?,
                stage,
                store,
            };
            full.show(*overflows).await
        })
        .await;
    }
}

/// Who takes part in filling it up.
struct Full {
    stage: Stage,
    store: Store,
    login: Login,
    tape: Tape,
    audio: Vec<u8>,
}

impl Full {
    async fn show(&self, overflows: bool) -> Result<()> {
        self.store.twin.outage(Outage::Refuse);
        let mut sent = vec![self.send(TO_SPOOL[0]).await?];
        let (recording, _) = self.stage.await_recording("live", &[], PLACED).await?;
        self.spool(&recording, "HalfFull").await?;
        sent.push(self.send(TO_SPOOL[1]).await?);
        self.spool(&recording, "NearlyFull").await?;
        sent.push(self.send(TO_SPOOL[2]).await?);
        self.tape_is("HalfFull").await?;
        sent.push(self.send(TO_TAPE).await?);
        self.tape_is("NearlyFull").await?;
        let sessions = self.tape.sessions().await?;
        let whole = sessions
            .iter()
            .rev()
            .take(sent.len())
            .all(|session| session.kept_from == 0);
        ensure!(whole, "the cap is not reached, but {sessions:#?}");
        if overflows {
            sent.push(self.send(TOO_MUCH).await?);
            let third = &sessions.last_chunk::<2>().context("two sessions")?[0].id;
            until("the oldest to go from the tape", TOLD, || async {
                let sessions = self.tape.sessions().await.map_err(|e| format!("{e:#}"))?;
                let there: Vec<_> = sessions.iter().map(|session| &session.id).collect();
                if there.contains(&third) {
                    Err(format!("{there:?}"))
                } else {
                    Ok(())
                }
            })
            .await?;
        }
        self.store.twin.outage(Outage::None);
        self.emptied(&recording).await?;
        if overflows {
            self.exactly_told(&recording, &sent).await
        } else {
            let (told, _) = recording.verified(VERIFIED).await?;
            let tally = recording.compare(&self.store, 1, &sent).await?;
            println!("recording: spool full, tape nearly: {tally}");
            ensure!(
                told.gap_list.iter().all(|gap| gap.kind == "noSource"),
                "{:?}",
                told.gap_list
            );
            tally.is_exact()
        }
    }

    /// A connection as fast as it goes; gives what was sent.
    async fn send(&self, bytes: u64) -> Result<Vec<u8>> {
        let whole = usize::try_from(bytes)? / FRAME * FRAME;
        let piece: Vec<u8> = self.audio.iter().copied().cycle().take(whole).collect();
        let sender = || self.login.sender().codec(Codec::Mp3).raw(piece.clone(), None);
        let (dj, _) = take(ON_AIR, sender).await?;
        dj.await_over(SENT).await?;
        let sent = dj.finish().await?;
        ensure!(sent.failure.is_none(), "{:?}", sent.failure);
        sent.log.read()
    }

    async fn spool(&self, recording: &Recording, level: &str) -> Result<()> {
        let is_told = |told: &Told| {
            found(&told.conditions, "SpoolFilling")
                .is_some_and(|found| found.status == "True" && found.reason == level)
        };
        let (told, after) = recording.until(level, TOLD, is_told).await?;
        let condition = found(&told.conditions, "SpoolFilling").context("it was there")?;
        println!(
            "recording: SpoolFilling {level}: {} ({:.1} s)",
            condition.message,
            after.as_secs_f32()
        );
        self.warned(("Recording", &recording.name), "SpoolFilling", &condition.message)
            .await
    }

    async fn tape_is(&self, level: &str) -> Result<()> {
        let stations = self.stage.kind("Station");
        let (condition, after) = until(&format!("the tape {level}"), TOLD, || async {
            let station = stations.get("fm").await.map_err(|e| e.to_string())?;
            match api::condition(&station, "TapeFilling") {
                Some(found) if found.status == "True" && found.reason == level => Ok(found),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        println!(
            "recording: TapeFilling {level}: {} ({:.1} s)",
            condition.message,
            after.as_secs_f32()
        );
        self.warned(("Station", "fm"), "TapeFilling", &condition.message)
            .await
    }

    async fn warned(&self, about: (&str, &str), reason: &str, message: &str) -> Result<()> {
        let (kind, _) = self.stage.await_event(about, reason, message, TOLD).await?;
        ensure!(kind == "Warning", "{reason} is {kind}");
        Ok(())
    }

    /// The store is back: the conditions go.
    async fn emptied(&self, recording: &Recording) -> Result<()> {
        let is_empty =
            |told: &Told| found(&told.conditions, "SpoolFilling").is_none_or(|found| found.status != "True");
        let (_, after) = recording.until("of an empty spool", VERIFIED, is_empty).await?;
        println!(
            "recording: store back -> the spool is empty: {:.1} s",
            after.as_secs_f32()
        );
        Ok(())
    }

    /// What is missing in the bucket is what the cap took and the spool had not, and the status tells each byte of it.
    async fn exactly_told(&self, recording: &Recording, sent: &[Vec<u8>]) -> Result<()> {
        let (told, _) = recording.await_phase("Doubtful", MISSED).await?;
        let segments = self.store.segments(&recording.prefix)?;
        ensure!(segments.len() == sent.len(), "segments of {:?}", segments.keys());
        let mut lost = Vec::new();
        let mut doubled = 0;
        for (segments, sent) in segments.values().zip(sent) {
            let tally = oracle::bytes(sent, segments, 0..sent.len())?;
            lost.push(tally.lost);
            doubled += tally.doubled;
        }
        let is_lost = |gap: &&e2e::harness::recording::Gap| gap.kind == "lost";
        let listed: u64 = told
            .gap_list
            .iter()
            .filter(is_lost)
            .filter_map(|gap| gap.bytes)
            .sum();
        println!(
            "recording: tape over its cap: of {} bytes {} lost, {listed} told, {doubled} doubled; {}",
            sent.iter().map(Vec::len).sum::<usize>(),
            lost.iter().sum::<u64>(),
            told.doubts.join("; ")
        );
        ensure!(doubled == 0, "{doubled} bytes are there twice");
        let [0, 0, third, 0, 0] = lost[..] else {
            bail!("only the third may lack something: {lost:?}");
        };
        ensure!(
            third > 0 && third < TO_SPOOL[2],
            "{third} bytes of the third are lost"
        );
        ensure!(
            listed == third,
            "{third} bytes are lost, {listed} are told: {:?}",
            told.gap_list
        );
        ensure!(!told.doubts.is_empty(), "nothing is said of it");
        Ok(())
    }
}

/// Some audio that is no silence, to be sent again and again.
async fn audio() -> Result<Vec<u8>> {
    let tones = [440, 550, 660, 880, 1100, 1320, 1540, 1760].map(Tone::Hz);
    let script = tones
        .into_iter()
        .cycle()
        .take(24)
        .fold(Script::default(), |script, tone| {
            script.then(tone, Duration::from_secs(1))
        });
    e2e::sound::Sender::to("http://nobody")
        .codec(Codec::Mp3)
        .kbps(320)
        .play(script)
        .unpaced()
        .encode()
        .await
}
