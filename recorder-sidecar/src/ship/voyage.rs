//! All sessions of a Recording on their way to the bucket, until it is over. IO: the store, the spool, HTTP to the ingest.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::api::{Line, Session};
use ingest::reader::{self, Desk, OnTape};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::adopt::Adopted;
use super::cargo::Cargo;
use super::report::Report;
use super::tapes::Tapes;
use super::upload::{Parcel, upload};
use super::words::Checkpoint;
use crate::config::Recording;
use crate::course::{Belongs, LOST_INGEST, OnAir, belongs, over, was_on_air};
use crate::manifest::{MANIFEST_KEY, OverWhy, Segment};
use crate::spool::{self, Copy, Notices};
use crate::store::{self, Store};

const AT_ONCE: usize = 4;
/// In memory, of all that is under way.
const BYTES_AT_ONCE: u64 = 16 << 20;
/// For what nobody gives notice of: time that passes, acks that failed.
const ROUND: Duration = Duration::from_secs(5);
/// The tape keeps what nobody acked; that is no harm, so an ingest that is gone is not waited for.
const LAST_ACKS: Duration = Duration::from_secs(30);

/// What was under way and is done.
pub(super) enum Done {
    Stored(Box<(Session, Segment)>),
    Acked { session: String, to: Option<u64> },
    Manifest(Result<u64, store::Error>),
    Probed { session: String, answered: bool },
}

pub(super) struct Voyage {
    spool: PathBuf,
    pub(super) store: Store,
    pub(super) report: Report,
    pub(super) cargo: BTreeMap<String, Cargo>,
    pub(super) tasks: JoinSet<Done>,
    begun: Timestamp,
    bytes_under_way: u64,
    pub(super) last_stored: Option<Timestamp>,
    pub(super) manifest: Checkpoint,
}

impl Voyage {
    pub fn new(spool: PathBuf, store: Store, report: Report, adopted: Adopted) -> Self {
        Self {
            spool,
            store,
            report,
            cargo: adopted
                .into_iter()
                .map(|(id, taped)| (id, Cargo::adopted(taped)))
                .collect(),
            tasks: JoinSet::new(),
            begun: Timestamp::now(),
            bytes_under_way: 0,
            last_stored: None,
            manifest: Checkpoint::default(),
        }
    }

    /// Returns when the Recording is over and everything is stored.
    pub async fn sail(
        mut self,
        mut settings: watch::Receiver<Arc<Recording>>,
        mut notices: Notices,
    ) -> io::Result<()> {
        let mut recording = Arc::clone(&settings.borrow_and_update());
        let mut tapes = Tapes::of(&recording.tape);
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.open_new(&notices)?;
        loop {
            self.load(&recording)?;
            tokio::select! {
                any = notices.next() => {
                    any?;
                    self.open_new(&notices)?;
                    self.refresh()?;
                }
                () = tapes.next() => self.take_list(&recording, &tapes),
                Some(done) = self.tasks.join_next() => {
                    self.take(done.map_err(io::Error::other)?, &recording)?;
                }
                Ok(()) = settings.changed() => {
                    let now = Arc::clone(&settings.borrow_and_update());
                    if now.tape != recording.tape {
                        tapes = Tapes::of(&now.tape);
                    }
                    recording = now;
                }
                _ = rounds.tick() => {
                    self.acks(&recording);
                    self.probe();
                    self.checkpoint(&recording);
                    if let Some(why) = self.over_and_stored(&recording, &tapes).await {
                        self.finish(&recording, why).await;
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sessions that capture has begun.
    fn open_new(&mut self, notices: &Notices) -> io::Result<()> {
        for id in spool::sessions(&self.spool)? {
            let cargo = self.cargo.entry(id.clone()).or_default();
            if cargo.copy.is_none() {
                // The notice first: what is synced in between is then known of.
                notices.watch(&id)?;
                cargo.copy = Some(Copy::open(&self.spool, &id)?);
                self.manifest.changed = true;
            }
        }
        Ok(())
    }

    fn refresh(&mut self) -> io::Result<()> {
        for copy in self
            .cargo
            .values_mut()
            .filter_map(|cargo| cargo.copy.as_mut())
            .filter(|copy| !copy.is_whole())
        {
            let is_news = copy.refresh()?;
            self.manifest.changed |= is_news;
        }
        Ok(())
    }

    fn take_list(&mut self, recording: &Recording, tapes: &Tapes) {
        for tape in tapes.all() {
            let known = self.cargo.contains_key(&tape.session.id);
            if known || belongs(recording, &tape.session) == Belongs::Yes {
                self.cargo.entry(tape.session.id.clone()).or_default().list(tape);
            }
        }
        for (id, cargo) in &mut self.cargo {
            if !tapes.all().any(|tape| tape.session.id == *id) {
                cargo.listed = None;
            }
        }
    }

    /// Sends what may be sent.
    fn load(&mut self, recording: &Recording) -> io::Result<()> {
        let now = Timestamp::now();
        for cargo in self.cargo.values_mut() {
            let under_way = self.bytes_under_way;
            let free = AT_ONCE.saturating_sub(cargo.under_way.len());
            for range in cargo.plan(recording, now, free) {
                let fits = self.bytes_under_way == 0 || self.bytes_under_way + range.bytes() <= BYTES_AT_ONCE;
                let Some(copy) = cargo.copy.as_ref().filter(|_| fits) else {
                    break;
                };
                let parcel = Parcel {
                    session: copy.session().clone(),
                    segment: Segment {
                        key: String::new(),
                        range,
                        sha256: String::new(),
                        md5: String::new(),
                        t0: copy.clock().when(range.from).unwrap_or(now),
                        t1: copy.clock().when(range.to).unwrap_or(now),
                    },
                    bytes: copy.read(range)?,
                };
                cargo.under_way.insert(range.from);
                self.bytes_under_way += range.bytes();
                let store = self.store.clone();
                self.tasks
                    .spawn(async move { Done::Stored(Box::new(upload(store, parcel).await)) });
            }
            if self.bytes_under_way == under_way {
                cargo.free()?;
            }
        }
        Ok(())
    }

    fn take(&mut self, done: Done, recording: &Recording) -> io::Result<()> {
        match done {
            Done::Stored(stored) => {
                let (session, segment) = *stored;
                let bytes = segment.range.bytes();
                self.bytes_under_way -= bytes;
                self.report.stored.inc_by(bytes);
                self.last_stored = Some(Timestamp::now());
                self.manifest.changed = true;
                self.manifest.stored_since += bytes;
                tracing::debug!(key = segment.key, "stored");
                if let Some(cargo) = self.cargo.get_mut(&session.id) {
                    cargo.stored(segment, recording, Timestamp::now())?;
                }
                self.acks(recording);
                self.checkpoint(recording);
            }
            Done::Acked { session, to } => {
                if let Some(cargo) = self.cargo.get_mut(&session) {
                    cargo.ack_under_way = false;
                    cargo.acked = to.unwrap_or(cargo.acked);
                }
            }
            Done::Probed { session, answered } => {
                if let Some(cargo) = self.cargo.get_mut(&session) {
                    cargo.probed(answered, Timestamp::now());
                }
            }
            Done::Manifest(written) => {
                self.manifest.under_way = false;
                match written {
                    Ok(size) => self.manifest.size = size,
                    Err(failure) => {
                        self.manifest.changed = true;
                        tracing::error!(%failure, "the manifest is refused; it is tried again");
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks whether the ingest of a session that stands still is there: if it is, it's capture that does not work, and the
    /// session is waited for.
    fn probe(&mut self) {
        let now = Timestamp::now();
        for (id, cargo) in &mut self.cargo {
            let Some(desk) = cargo.silent_ingest(now) else {
                continue;
            };
            let session = id.clone();
            self.tasks.spawn(async move {
                let answered = Desk::sessions(&desk, None).await.is_ok();
                Done::Probed { session, answered }
            });
        }
    }

    /// Why nothing more will belong to the Recording, once all that does is stored.
    async fn over_and_stored(&mut self, recording: &Recording, tapes: &Tapes) -> Option<OverWhy> {
        let now = Timestamp::now();
        // A pod that was never heard of may have the very session that this is about.
        if !tapes.are_known() && now.duration_since(self.begun) <= LOST_INGEST {
            return None;
        }
        let on_air: Vec<OnAir> = self
            .cargo
            .values()
            .filter_map(|cargo| cargo.on_air(now))
            .collect();
        let why = over(recording, &on_air, self.begun, now)?;
        let state = self.state(recording, Some(why));
        self.report.tell(state);
        let stored = self.cargo.values().all(|cargo| cargo.is_complete(recording, now));
        (stored && !self.missed_any(recording, tapes).await).then_some(why)
    }

    /// A rehearsal that was on air for a moment, and capture has not begun with.
    async fn missed_any(&self, recording: &Recording, tapes: &Tapes) -> bool {
        for tape in tapes.all() {
            let id = &tape.session.id;
            if !self.cargo.contains_key(id) && belongs(recording, &tape.session) == Belongs::IfAired {
                match routings(tape).await {
                    Ok(lines) if !was_on_air(recording, &tape.session, &lines) => {}
                    // Without its index it can't be known: the next round asks again.
                    Ok(_) | Err(_) => return true,
                }
            }
        }
        false
    }

    /// The last words.
    async fn finish(mut self, recording: &Recording, why: OverWhy) {
        self.acks(recording);
        let acks = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(LAST_ACKS, acks).await.is_err() {
            tracing::warn!("not all tapes could be told what is stored; they keep it until they are full");
        }
        self.tasks.shutdown().await;
        let body = self.manifest_body(recording, Some(why));
        while let Err(failure) = self.store.put(MANIFEST_KEY, &body, "application/json").await {
            tracing::error!(%failure, "the last manifest is refused; it is tried again");
            tokio::time::sleep(ROUND).await;
        }
        let bytes: u64 = self
            .cargo
            .values()
            .flat_map(|cargo| cargo.stored.values())
            .map(|segment| segment.range.bytes())
            .sum();
        tracing::info!(
            recording = recording.name,
            sessions = self.cargo.len(),
            bytes,
            ?why,
            "over, and all of it is stored"
        );
    }
}

async fn routings(tape: &OnTape) -> Result<Vec<Line>, reader::Error> {
    let mut lines = tape.desk.index(&tape.session.id, 0, false).await?;
    let mut routings = Vec::new();
    while let Some(line) = lines.next().await? {
        if matches!(line, Line::Routing { .. }) {
            routings.push(line);
        }
    }
    Ok(routings)
}
