//! One session, as everybody but its writer sees it. IO: none here.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::disk::{Disk, Lines};
use super::join::Boundary;
use super::meta::Meta;
use super::past::Past;
use super::pen::Pen;
use super::ring::Ring;
use super::trouble::Troubles;
use super::{locked, meta};
use crate::api::{self, Aired, Ended, Spell};
use crate::clock::Clock;
use crate::config::Routing;

/// One connection of one source: on the air now, or only on the tape.
#[derive(Debug)]
pub struct Session {
    id: String,
    /// Its directory, which is not there yet while the disk does not take it.
    pub(super) dir: PathBuf,
    meta: Meta,
    /// Held over IO, by the pen and the keeper only.
    pub(super) disk: Mutex<Disk>,
    /// Never held over IO.
    pub(super) view: Mutex<View>,
    /// Held by who writes `acks.json`.
    pub(super) keeping: Mutex<()>,
    pub(super) clock: Clock,
    pub(super) troubles: Arc<Troubles>,
    pub(super) pen: Arc<Pen>,
    /// The pen was asked for it.
    pub(super) is_in_line: AtomicBool,
    progress: watch::Sender<()>,
    /// It has its End line, and nothing of it is in memory only.
    settled: AtomicBool,
}

/// What readers need to know.
#[derive(Debug)]
pub(super) struct View {
    /// The file has everything below, but for what is lost.
    pub disk_end: u64,
    /// The rest; between the two is what fell out of memory.
    pub ring: Ring,
    /// It is counted among those that are in memory.
    pub in_memory: bool,
    /// The tape's last write failed: bytes stay in memory until the keeper has brought all of them to the disk.
    pub failing: bool,
    pub lines: Lines,
    /// Ranges the disk did not take.
    pub lost: Vec<Range<u64>>,
    pub kept_from: u64,
    /// Its head was given up at an offset that is no cut. It was told.
    pub has_no_cuts: bool,
    pub acks: BTreeMap<String, u64>,
    /// Where `join=live` begins.
    pub newest: Option<Boundary>,
    pub codec: Option<String>,
    pub title: Option<String>,
    pub routing: Routing,
    pub aired: Option<Aired>,
    pub media: Duration,
    pub past: Past,
    pub ended: Option<Ended>,
    /// Open while the session is written.
    pub tape: Option<Arc<File>>,
    /// Whole lines in the index file, in bytes.
    pub index_end: u64,
}

/// A session that goes on air more often is told with its shortest breaks left out.
const MOST_SPELLS: usize = 64;

fn join_the_nearest(spells: &mut Vec<Spell>) {
    let silence = |at: usize| {
        let until = spells[at - 1].to.unwrap_or(spells[at].from);
        spells[at].from.duration_since(until)
    };
    if let Some(at) = (1..spells.len()).min_by_key(|&at| silence(at)) {
        let later = spells.remove(at);
        spells[at - 1].to = later.to;
    }
}

impl View {
    pub fn new(routing: Routing, started: Timestamp) -> Self {
        let mut view = Self {
            disk_end: 0,
            ring: Ring::default(),
            in_memory: false,
            failing: false,
            lines: Lines::default(),
            lost: Vec::new(),
            kept_from: 0,
            has_no_cuts: false,
            acks: BTreeMap::new(),
            newest: None,
            codec: None,
            title: None,
            routing,
            aired: None,
            media: Duration::ZERO,
            past: Past::default(),
            ended: None,
            tape: None,
            index_end: 0,
        };
        view.route(routing, started);
        view
    }

    pub fn end(&self) -> u64 {
        self.ring.end()
    }

    pub fn route(&mut self, routing: Routing, now: Timestamp) {
        if routing == Routing::Live {
            self.go_on_air(now);
        } else if self.routing == Routing::Live {
            self.leave_the_air(now);
        }
        self.routing = routing;
    }

    pub fn end_with(&mut self, ended: Ended) {
        if self.routing == Routing::Live {
            self.leave_the_air(ended.at);
        }
        self.ended = Some(ended);
    }

    fn go_on_air(&mut self, now: Timestamp) {
        let aired = self.aired.get_or_insert_with(|| Aired {
            first: now,
            ..Aired::default()
        });
        aired.last = None;
        if aired.spells.last().is_none_or(|spell| spell.to.is_some()) {
            aired.spells.push(Spell { from: now, to: None });
        }
        if aired.spells.len() > MOST_SPELLS {
            join_the_nearest(&mut aired.spells);
        }
    }

    fn leave_the_air(&mut self, now: Timestamp) {
        if let Some(aired) = &mut self.aired {
            // A clock that was set back makes no negative time.
            aired.last = Some(now.max(aired.first));
            if let Some(spell) = aired.spells.last_mut() {
                spell.to = Some(now.max(spell.from));
            }
        }
    }
}

impl Session {
    pub(super) fn new(
        sessions: &Path,
        id: String,
        meta: Meta,
        view: View,
        clock: Clock,
        troubles: Arc<Troubles>,
        pen: Arc<Pen>,
    ) -> Self {
        let settled = AtomicBool::new(view.ended.is_some());
        Self {
            dir: sessions.join(&id),
            id,
            meta,
            disk: Mutex::default(),
            view: Mutex::new(view),
            keeping: Mutex::default(),
            clock,
            troubles,
            pen,
            is_in_line: AtomicBool::new(false),
            progress: watch::Sender::new(()),
            settled,
        }
    }

    /// Its name everywhere.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was known when it began.
    #[must_use]
    pub fn about(&self) -> &Meta {
        &self.meta
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        locked(&self.view).end()
    }

    /// Media so far; with [`Self::bytes`] the measured bitrate.
    #[must_use]
    pub fn media(&self) -> Duration {
        locked(&self.view).media
    }

    /// Bytes below this are no longer on the tape.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        locked(&self.view).kept_from
    }

    /// Whole lines of its index, in bytes.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        locked(&self.view).index_end
    }

    /// Where its index is.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.dir.join(meta::INDEX)
    }

    /// True while the source is connected.
    #[must_use]
    pub fn is_live(&self) -> bool {
        locked(&self.view).ended.is_none()
    }

    /// Where it is heard now.
    #[must_use]
    pub fn routing(&self) -> Routing {
        locked(&self.view).routing
    }

    /// When it ended; `None` while the source is connected.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        locked(&self.view).ended.as_ref().map(|ended| ended.at)
    }

    /// The newest place to join it; `None` before there was one, and for sessions of an earlier process.
    #[must_use]
    pub fn newest(&self) -> Option<Boundary> {
        locked(&self.view).newest.clone()
    }

    /// Changes with each append, each line of the index, and the end.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<()> {
        self.progress.subscribe()
    }

    /// As the read API tells it.
    #[must_use]
    pub fn describe(&self) -> api::Session {
        let view = locked(&self.view);
        let meta = self.meta.clone();
        api::Session {
            id: self.id.clone(),
            mount: meta.mount,
            input: meta.input,
            path: meta.path,
            priority: meta.priority,
            routing: view.routing,
            user: meta.user,
            container: meta.container,
            codec: view.codec.clone(),
            title: view.title.clone(),
            started: meta.started,
            bytes: view.end(),
            kept_from: view.kept_from,
            ended: view.ended.clone(),
            aired: view.aired.clone(),
            acked_by: view.acks.keys().cloned().collect(),
        }
    }

    pub(super) fn wake(&self) {
        self.progress.send_replace(());
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
        locked(&self.view).tape = None;
    }
}
