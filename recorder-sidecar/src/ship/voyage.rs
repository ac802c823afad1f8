//! All sessions of a Recording on their way to the bucket, until it is over. IO: the store, the spool, HTTP to the ingest.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingest::api::Session;
use ingest::reader::Desk;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::adopt::Adopted;
use super::cargo::Cargo;
use super::report::Report;
use super::tapes::Tapes;
use super::upload::{Parcel, upload};
use super::words::{Checked, Checkpoint};
use crate::config::Recording;
use crate::course::{LOST_INGEST, Last, Reach, Rule, Span, spans};
use crate::manifest::{OverWhy, Rehearsal, Segment};
use crate::report::Stored;
use crate::spool::{self, Copy, Notices};
use crate::store::{self, Store};

const AT_ONCE: usize = 4;
/// In memory, of all that is under way.
const BYTES_AT_ONCE: u64 = 16 << 20;
/// For what nobody gives notice of: time that passes, acks that failed.
const ROUND: Duration = Duration::from_secs(5);

/// What was under way and is done.
pub(super) enum Done {
    Stored(Box<(Session, Segment)>),
    Acked { session: String, to: Option<u64> },
    Manifest(Box<Result<Checked, store::Error>>),
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
    /// Why nothing more will belong to the Recording, as far as its course is known.
    pub(super) over: Option<OverWhy>,
    /// How far it goes, as it was last found.
    pub(super) reach: Option<Reach>,
    /// When the last one left the air, once it was told that this was the end. Whoever was seen too late is the next one's:
    /// the operator has made that one by what it was told.
    closed: Option<Timestamp>,
    /// Sessions of the Mount that were never on air, by their ids.
    pub(super) rehearsals: BTreeMap<String, Rehearsal>,
}

impl Voyage {
    /// `written_by`: who wrote the manifest that was adopted.
    pub fn new(
        spool: PathBuf,
        store: Store,
        report: Report,
        adopted: Adopted,
        written_by: Option<String>,
    ) -> Self {
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
            manifest: Checkpoint::of_this_life(written_by),
            over: None,
            reach: None,
            closed: None,
            rehearsals: BTreeMap::new(),
        }
    }

    /// Returns when the Recording is over and everything is stored.
    pub async fn sail(
        mut self,
        mut settings: watch::Receiver<Arc<Recording>>,
        mut notices: Notices,
    ) -> io::Result<Stored> {
        let mut recording = Arc::clone(&settings.borrow_and_update());
        let mut tapes = Tapes::of(&recording.tape);
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.open_new(&notices)?;
        loop {
            self.chart(&recording, &tapes);
            self.load()?;
            tokio::select! {
                any = notices.next() => {
                    any?;
                    self.open_new(&notices)?;
                    self.refresh()?;
                }
                () = tapes.next() => self.take_list(&tapes),
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
                    if let Some(why) = self.over_and_stored() {
                        return Ok(self.finish(&recording, why).await);
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

    fn take_list(&mut self, tapes: &Tapes) {
        for (id, cargo) in &mut self.cargo {
            match tapes.all().find(|tape| tape.session.id == *id) {
                Some(tape) => cargo.list(tape),
                None => cargo.listed = None,
            }
        }
    }

    /// Finds out which sessions belong to the Recording, and how far it goes.
    fn chart(&mut self, recording: &Recording, tapes: &Tapes) {
        let now = Timestamp::now();
        let mut rule = Rule::from(recording);
        if let Some(closed) = self.closed {
            rule.limit = rule.limit.min(closed);
        }
        let on_tape: Vec<_> = tapes.all().filter(|tape| rule.is_of(&tape.session)).collect();
        let is_new = |id: &String| !self.cargo.contains_key(id);
        let listed = on_tape.iter().filter(|tape| is_new(&tape.session.id));
        let mut known: Vec<Span> = listed.flat_map(|tape| spans(&tape.session)).collect();
        let mut stored = Vec::new();
        for cargo in self.cargo.values() {
            known.extend(cargo.spans(now));
            stored.extend(cargo.spans_stored(now));
        }
        let reach = rule.reach(&known, &stored);
        for tape in on_tape {
            self.rehearsed(&tape.session, &rule);
            if !self.cargo.contains_key(&tape.session.id) && reach.has_any(&spans(&tape.session)) {
                let cargo = self.cargo.entry(tape.session.id.clone()).or_default();
                cargo.list(tape);
            }
        }
        // A pod that was never heard of may have the very session that this is about.
        let all_told = tapes.are_known() || now.duration_since(self.begun) > LOST_INGEST;
        let over = reach.over(self.begun, now).filter(|_| all_told);
        self.over = over.map(|why| if self.closed.is_some() { OverWhy::Idle } else { why });
        let edge = self.over.map(|why| reach.end(why));
        let edge = edge.or_else(|| (now >= rule.limit).then_some(rule.limit));
        if let (Some(OverWhy::Idle), Last::Until(_)) = (self.over, reach.last()) {
            self.closed = self.closed.or(edge);
        }
        for cargo in self.cargo.values_mut() {
            cargo.belongs = !cargo.stored.is_empty() || reach.has_any(&cargo.spans(now));
            cargo.edge = edge;
        }
        self.reach = Some(reach);
    }

    fn rehearsed(&mut self, session: &Session, rule: &Rule) {
        let ended = session.ended.as_ref().map(|ended| ended.at);
        let within = session.started < rule.limit && ended.is_none_or(|ended| ended > rule.from);
        if session.aired.is_some() || !within {
            self.rehearsals.remove(&session.id);
            return;
        }
        let rehearsal = Rehearsal {
            session: session.id.clone(),
            from: session.started,
            to: ended,
        };
        self.rehearsals.insert(session.id.clone(), rehearsal);
    }

    pub(super) fn belonging(&self) -> impl Iterator<Item = (&String, &Cargo)> {
        self.cargo.iter().filter(|(_, cargo)| cargo.belongs)
    }

    /// Sends what may be sent.
    fn load(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        for cargo in self.cargo.values_mut().filter(|cargo| cargo.belongs) {
            let under_way = self.bytes_under_way;
            let free = AT_ONCE.saturating_sub(cargo.under_way.len());
            for range in cargo.plan(now, free) {
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
                    cargo.stored(segment, Timestamp::now())?;
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
            Done::Manifest(checked) => self.checked(*checked),
        }
        Ok(())
    }

    /// Asks whether the ingest of a session that stands still is there: if it is, it's capture that does not work, and the
    /// session is waited for.
    fn probe(&mut self) {
        let now = Timestamp::now();
        for (id, cargo) in self.cargo.iter_mut().filter(|(_, cargo)| cargo.belongs) {
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
    fn over_and_stored(&self) -> Option<OverWhy> {
        let now = Timestamp::now();
        let stored = self.belonging().all(|(_, cargo)| cargo.is_complete(now));
        self.over.filter(|_| stored)
    }
}
