//! Promise: an operator that is killed in any of its writes, and away in the slot itself, costs nothing: presenters come and go to
//! the second, and there is one Recording and one object.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::recording::PLACED;
use e2e::harness::show::{self, near, show, sleep_until, stage_for_shows};
use e2e::harness::tape::Tape;
use e2e::harness::{Login, Mortal, Recording, Stage, Store, is_full, play_then_alone, until};
use e2e::sound::{Cut, Dj, wall_clock};
use ingest::api::Session;
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::{Outcome, SlotUnderWay};

/// Each write costs a life, and a life takes a moment to begin.
const UNDER_FIRE: Duration = Duration::from_mins(4);
const ON_AIR: Duration = Duration::from_secs(30);
const SEEN: Duration = Duration::from_secs(5);
/// What presenters of the two Shows may do.
const SOFT: &str = "earlyConnect: 10s, overrun: 5s, goLive: AtStart";
const HARD: &str = "earlyConnect: 10s, hardEnd: true";
/// The two Shows, and their Mounts.
const NAMES: [&str; 2] = ["soft", "hard"];

/// When there is an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Killed in its writes while the slot is prepared and after it, absent in the slot.
    Absent,
    /// Killed in its writes from the beginning to the end.
    UnderFire,
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_operator_killed_in_its_writes_and_absent_in_the_slot() {
    with(Fate::Absent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_operator_killed_in_all_its_writes() {
    if !is_full() {
        println!(
            "not run here: an operator killed in its writes while a show is on air, too (make e2e-full)"
        );
        return;
    }
    with(Fate::UnderFire).await;
}

async fn with(fate: Fate) {
    let prepare = |stage: Stage| async move {
        let store = Store::open().await?;
        let mounts = NAMES.map(|name| stage_for_shows(name, "opus")).concat();
        stage
            .recording(&store, &(mounts + &stage_for_shows("live", "opus")))
            .await?;
        for name in NAMES {
            stage.await_ready("Mount", name, ON_AIR).await?;
        }
        Ok(store)
    };
    play_then_alone("show-operator", prepare, move |stage, store| async move {
        stage.operators(0).await?;
        let shown = slots(&stage, &store, fate).await;
        // Other tests need it, whatever happened here.
        stage.operators(1).await?;
        shown
    })
    .await;
}

/// One slot of both Shows, from the first that is heard of them to their verified objects.
async fn slots(stage: &Stage, store: &Store, fate: Fate) -> Result<()> {
    let start = show::in_seconds(30);
    let mortal = Mortal::start(stage).await?;
    stage
        .apply(&(show("soft", "soft", start, SOFT) + &show("hard", "hard", start, HARD)))
        .await?;
    let mut turns = Vec::new();
    for name in NAMES {
        turns.push(Turn::prepared(stage, name, start).await?);
    }
    ensure!(
        turns.iter().all(|turn| Timestamp::now() < turn.slot.opens),
        "the slots were prepared too late: {:?}",
        mortal.deaths()
    );
    let mortal = match fate {
        Fate::Absent => {
            told("while the slots were prepared", &mortal.end()?)?;
            None
        }
        Fate::UnderFire => Some(mortal),
    };
    let [soft, hard] = turns.as_slice() else {
        anyhow::bail!("two Shows");
    };
    let (soft_sent, hard_sent) = tokio::try_join!(soft.on_air(stage), hard.on_air(stage))?;
    let mortal = match mortal {
        Some(mortal) => mortal,
        None => Mortal::start(stage).await?,
    };
    for (turn, sent) in [(soft, soft_sent), (hard, hard_sent)] {
        let name = turn.name;
        turn.is_whole(stage, store, &sent)
            .await
            .with_context(|| format!("the Show {name}"))?;
    }
    told("after that", &mortal.end()?)
}

/// In which writes it died; with none nothing is proved.
fn told(when: &str, deaths: &[String]) -> Result<()> {
    println!(
        "shows: the operator was killed in {} writes {when}:",
        deaths.len()
    );
    for death in deaths {
        println!("shows:   {death}");
    }
    ensure!(deaths.len() >= 3, "it was killed in {} writes only", deaths.len());
    Ok(())
}

/// One slot, and who presents it.
struct Turn {
    name: &'static str,
    slot: SlotUnderWay,
    recording: Recording,
    login: Login,
    tape: Tape,
}

impl Turn {
    async fn prepared(stage: &Stage, name: &'static str, start: Timestamp) -> Result<Self> {
        let (slot, recording) = stage.prepared(name, start).await?;
        Ok(Self {
            name,
            slot,
            recording,
            login: stage.presenter(name, (name, "source")).await?,
            tape: stage.passthrough_tape("fm").await?,
        })
    }

    /// From before the window to after it. Gives the bytes that the ingest took.
    async fn on_air(&self, stage: &Stage) -> Result<Vec<u8>> {
        let Self { name, slot, .. } = self;
        let early = self.login.refusal().await?;
        ensure!(early.status == 403, "too early: {early:?}");
        let (dj, came) = self.login.let_in(ON_AIR).await?;
        let opened = near("the opening", came, slot.opens)?;
        sleep_until(slot.closes + 2 * show::EDGE).await;
        let closed = self.closed(&dj)?;
        let session = self.session().await?;
        let aired = session.aired.context("it was never on air")?;
        let live_from = slot.live_from.context("AtStart and OnConnect need nobody")?;
        let begun = near("it went on air", aired.first, live_from.max(came))?;
        let over = near(
            "it went off air",
            aired.last.context("it is on air")?,
            slot.closes,
        )?;
        println!(
            "shows: operator absent: {name}: let in {opened:#}, on air {begun:#}, off air {over:#}, closed {closed:?} beside"
        );
        let again = self.login.refusal().await?;
        ensure!(again.status == 403, "too late: {again:?}");
        let made = stage.recordings(name).await?;
        ensure!(made.len() == 1, "{} Recordings of one slot", made.len());
        let mut sent = dj.cut(Cut::Fin).await?.log.read()?;
        sent.truncate(usize::try_from(self.session().await?.bytes)?);
        Ok(sent)
    }

    /// A hard end closes; else presenters stay, and are not heard.
    fn closed(&self, dj: &Dj) -> Result<Option<SignedDuration>> {
        if !self.slot.hard_end {
            ensure!(dj.is_on_air(), "{}", dj.report());
            return Ok(None);
        }
        let closed = dj.server_closed().with_context(|| dj.report())?;
        near("the hard end", wall_clock(closed), self.slot.end).map(Some)
    }

    async fn session(&self) -> Result<Session> {
        let (session, _) = until("the session", SEEN, || async {
            let sessions = self.tape.sessions().await.map_err(|e| format!("{e:#}"))?;
            let own = sessions.into_iter().rfind(|session| session.mount == self.name);
            own.ok_or_else(|| "there is none".to_owned())
        })
        .await?;
        Ok(session)
    }

    /// One Recording, one object, and all of the slot.
    async fn is_whole(&self, stage: &Stage, store: &Store, sent: &[u8]) -> Result<()> {
        let (told, after) = self.recording.verified(UNDER_FIRE).await?;
        let tally = self.recording.compare_on_air(store, 1, &[sent.to_vec()]).await?;
        println!(
            "shows: {}: verified after {:.1} s under fire; {tally}",
            self.name,
            after.as_secs_f32()
        );
        tally.is_exact()?;
        ensure!(told.objects.len() == 1 && told.gap_list.is_empty(), "{told:?}");
        let (from, to) = self.recording.heard(store, 1)?;
        near("its recording", from, self.slot.start)?;
        near("its end", to, self.slot.closes)?;
        let finals = store.list(&format!("{}final-", self.recording.prefix))?;
        let folder = format!("{}final-1/", self.recording.prefix);
        ensure!(
            finals.iter().all(|object| object.key.starts_with(&folder)),
            "{finals:?}"
        );
        let made = stage.recordings(self.name).await?;
        ensure!(made.len() == 1, "{} Recordings of one slot", made.len());
        stage
            .await_outcome(self.name, self.slot.start, Outcome::Recorded, PLACED)
            .await
            .map(drop)
    }
}
