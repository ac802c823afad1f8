//! Promise: what goes wrong with the recorder, the ingest or the store of a scheduled show costs nothing of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::recording::{PLACED, Recording};
use e2e::harness::show::{self, show, sleep_until, stage_for_shows};
use e2e::harness::{Login, Stage, Store, is_full, play, play_alone, rows, until};
use e2e::sound::{Cut, Dj, Sent};
use e2e::twin::{Effect, Fault as StoreFault, Operation, Outage, Outcome as Answered, When};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::Outcome;

use crate::recording_nodes;

/// What goes wrong in the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The store is down for the whole slot; meanwhile the recorder's pod is deleted, and its spool with it.
    StoreDownAndPodDeleted,
    None,
    Killed(&'static str),
    PodDeleted,
    OutOfMemory(&'static str),
    StoreDown,
    StoreSilent,
    Throttled,
    AnswersLost,
    KeysRotated,
    FinalizeKilled,
    IngestKilled,
    /// Of the recorder: its cable is pulled for good. Not among those that go on side by side.
    NodeLost,
}

/// The first one stands for all: it leaves nothing but the tape.
const FAULTS: [Fault; 14] = [
    Fault::StoreDownAndPodDeleted,
    Fault::None,
    Fault::Killed("capture"),
    Fault::Killed("ship"),
    Fault::PodDeleted,
    Fault::OutOfMemory("capture"),
    Fault::OutOfMemory("ship"),
    Fault::StoreDown,
    Fault::StoreSilent,
    Fault::Throttled,
    Fault::AnswersLost,
    Fault::KeysRotated,
    Fault::FinalizeKilled,
    Fault::IngestKilled,
];

/// Shows of all rows that go on at a time.
const AT_ONCE: usize = 3;
/// When it happens, after the start of the slot.
const MIDDLE: SignedDuration = SignedDuration::from_secs(20);
/// kubelet waits before it starts something again, and who is refused again and again tries ever more slowly.
const VERIFIED: Duration = Duration::from_mins(5);
const ON_AIR: Duration = Duration::from_secs(30);
/// A connection to a killed process is closed by its kernel.
const CLOSED: Duration = Duration::from_secs(5);
/// A request of finalize is answered so late that it is killed before.
const HELD: u64 = 30_000;
/// Slow enough for an upload to be under way when its key goes.
const SLOW: u64 = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn shows_whatever_goes_wrong_are_recorded() {
    let shows = rows(&FAULTS).iter().map(|fault| {
        let fault = *fault;
        play("show-fault", move |stage| async move {
            slot(&stage, fault).await.with_context(|| format!("{fault:?}"))
        })
    });
    futures::stream::iter(shows)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

/// The recorder's node loses its cable in the slot.
#[tokio::test(flavor = "multi_thread")]
async fn shows_whose_node_is_lost_are_recorded() {
    if !is_full() {
        println!(
            "not run here: a scheduled show whose recorder loses its node (make e2e-full); recording_nodes does"
        );
        return;
    }
    play_alone("show-node", |stage| async move {
        let node = recording_nodes::vacant_node(&stage).await?;
        let shown = slot(&stage, Fault::NodeLost).await;
        // Other tests need it, whatever happened here.
        verbs::return_node(&node).await?;
        recording_nodes::close(&stage, |_| false).await?;
        recording_nodes::await_node(&stage, &node).await?;
        shown
    })
    .await;
}

/// A slot in which it happens.
async fn slot(stage: &Stage, fault: Fault) -> Result<()> {
    let store = Store::open().await?;
    stage.recording(&store, &stage_for_shows("live", "opus")).await?;
    if fault == Fault::NodeLost {
        let vacant = recording_nodes::vacant_node(stage).await?;
        recording_nodes::close(stage, |node| node != vacant).await?;
    }
    let start = show::in_seconds(25);
    let rules = "earlyConnect: 10s, overrun: 0s";
    stage.apply(&show("night", "live", start, rules)).await?;
    let (_, recording) = stage.prepared("night", start).await?;
    let login = stage.presenter("night", ("live", "source")).await?;
    before(&store, fault);
    let dj = login.on_air(ON_AIR).await?;
    recording.pod().await?;
    if fault == Fault::NodeLost {
        recording_nodes::close(stage, |_| false).await?;
    }
    sleep_until(start + MIDDLE).await;
    let scene = Scene {
        stage,
        store: &store,
        recording: &recording,
        login: &login,
    };
    let (sent, dj) = scene.happens(fault, dj).await?;
    sleep_until(start + show::SLOT + show::EDGE).await;
    let mut sent: Vec<Vec<u8>> = sent;
    sent.push(dj.finish().await?.log.read()?);
    scene.after(fault).await?;
    scene.is_exact(fault, start, &sent).await
}

struct Scene<'a> {
    stage: &'a Stage,
    store: &'a Store,
    recording: &'a Recording,
    login: &'a Login,
}

fn before(store: &Store, fault: Fault) {
    match fault {
        Fault::StoreDownAndPodDeleted | Fault::StoreDown => store.twin.outage(Outage::Refuse),
        Fault::StoreSilent => store.twin.outage(Outage::Blackhole),
        Fault::Throttled => {
            let busy = Effect::Answer {
                status: 429,
                code: "TooManyRequests".to_owned(),
                retry_after: Some(1),
            };
            store
                .twin
                .faults()
                .add(StoreFault::anywhere(When::Chance(0.7), busy));
        }
        Fault::AnswersLost => {
            let lost = StoreFault::anywhere(When::Chance(0.5), Effect::LoseAnswer);
            store.twin.faults().add(lost);
        }
        Fault::KeysRotated => {
            let slow = StoreFault::on(Operation::PutObject, When::Always, Effect::Slow(SLOW));
            store.twin.faults().add(slow);
        }
        Fault::FinalizeKilled => store.twin.faults().add(StoreFault {
            key: "final-1/final-1.ogg".to_owned(),
            ..StoreFault::on(Operation::PutObject, When::Nth(1), Effect::Delay(HELD))
        }),
        Fault::None
        | Fault::Killed(_)
        | Fault::PodDeleted
        | Fault::OutOfMemory(_)
        | Fault::IngestKilled
        | Fault::NodeLost => {}
    }
}

impl Scene<'_> {
    /// In the middle of the slot. Gives what was sent on connections that are over by then, and who is on air.
    async fn happens(&self, fault: Fault, dj: Dj) -> Result<(Vec<Vec<u8>>, Dj)> {
        let (pod, node) = self.recording.pod().await?;
        match fault {
            Fault::Killed(container) => self.recording.kill_in(&pod, container).await?,
            Fault::OutOfMemory(container) => {
                verbs::starve(&self.stage.namespace, &pod, container, "recorder").await?;
            }
            Fault::PodDeleted | Fault::StoreDownAndPodDeleted => self.delete(&pod).await?,
            Fault::KeysRotated => self.rotate().await?,
            Fault::IngestKilled => return self.kill_ingest(dj).await,
            Fault::NodeLost => verbs::partition_node(&node).await?,
            Fault::None
            | Fault::StoreDown
            | Fault::StoreSilent
            | Fault::Throttled
            | Fault::AnswersLost
            | Fault::FinalizeKilled => {}
        }
        Ok((Vec::new(), dj))
    }

    async fn delete(&self, pod: &str) -> Result<()> {
        self.stage.delete("Pod", pod).await?;
        until("another pod of the recorder", PLACED, || async {
            match self.recording.pod().await {
                Ok((other, _)) if other != pod => Ok(()),
                Ok(_) => Err(format!("it is still {pod}")),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await
        .map(drop)
    }

    async fn rotate(&self) -> Result<()> {
        let under_way = self.store.twin.log().until(|entries| {
            let mut uploads = entries
                .iter()
                .filter(|entry| entry.operation == Operation::PutObject);
            uploads.any(|entry| entry.outcome == Answered::Open)
        });
        let waited = tokio::time::timeout(PLACED, under_way).await;
        waited.context("nothing is uploaded")?;
        self.store.rotate();
        self.store.twin.faults().clear();
        self.stage.apply(&self.store.secret()).await.map(drop)
    }

    /// What the process had read is on the tape; the presenter comes again.
    async fn kill_ingest(&self, dj: Dj) -> Result<(Vec<Vec<u8>>, Dj)> {
        let tape = self.stage.passthrough_tape("fm").await?;
        let hit = verbs::kill_process(&self.stage.namespace, tape.pod(), "ingest", "ingest").await?;
        ensure!(hit > 0, "no process ingest was found");
        dj.await_server_closed(CLOSED).await?;
        let Sent { log, .. } = dj.cut(Cut::Fin).await?;
        let next = self.login.on_air(ON_AIR).await?;
        let sessions = tape.sessions().await?;
        let first = sessions.first().context("no session")?;
        let mut read = log.read()?;
        let kept = usize::try_from(first.bytes)?;
        ensure!(kept <= read.len(), "more is on the tape than was sent");
        println!("shows: {} bytes were on their way at the kill", read.len() - kept);
        read.truncate(kept);
        Ok((vec![read], next))
    }

    /// The slot is over.
    async fn after(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::StoreDownAndPodDeleted | Fault::StoreDown | Fault::StoreSilent => {
                let stored = self.store.segments(&self.recording.prefix)?;
                ensure!(
                    stored.is_empty(),
                    "the store was down, and has {:?}",
                    stored.keys()
                );
                self.store.twin.outage(Outage::None);
            }
            Fault::FinalizeKilled => {
                let is_open = |entry: &e2e::twin::Entry| {
                    entry.key.ends_with("final-1/final-1.ogg") && entry.outcome == Answered::Open
                };
                let held = self.store.twin.log().until(|entries| entries.iter().any(is_open));
                let waited = tokio::time::timeout(VERIFIED, held).await;
                waited.context("no final object is uploaded")?;
                let (pod, _) = self.recording.final_pod(1).await?;
                self.recording.kill_in(&pod, "finalize").await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// One slot, one Recording, one object, and nothing is lost or doubled.
    async fn is_exact(&self, fault: Fault, start: Timestamp, sent: &[Vec<u8>]) -> Result<()> {
        let (told, after) = self.recording.verified(VERIFIED).await?;
        self.store.twin.faults().clear();
        let tally = self.recording.compare_on_air(self.store, 1, sent).await?;
        println!(
            "shows: {fault:?}: verified after {:.1} s; {tally}",
            after.as_secs_f32()
        );
        tally.is_exact()?;
        let gaps: Vec<&str> = told.gap_list.iter().map(|gap| gap.kind.as_str()).collect();
        let made = if fault == Fault::IngestKilled {
            vec!["noSource"]
        } else {
            vec![]
        };
        ensure!(gaps == made, "{:?}", told.gap_list);
        ensure!(told.objects.len() == 1, "one object, not {:?}", told.objects);
        let (from, to) = self.recording.heard(self.store, 1)?;
        show::near("its recording", from, start)?;
        show::near("its end", to, start + show::SLOT)?;
        let all = self.stage.recordings("live").await?;
        ensure!(all.len() == 1, "{} Recordings of one slot", all.len());
        self.stage
            .await_outcome("night", start, Outcome::Recorded, ON_AIR)
            .await
            .map(drop)
    }
}
