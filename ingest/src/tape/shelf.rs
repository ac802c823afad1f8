//! All sessions of one ingest. IO: their directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;

use super::id::{id, is_id};
use super::locked;
use super::meta::{self, Meta};
use super::pen::Pen;
use super::recover::recover;
use super::refusals::Refusals;
use super::session::{Session, View};
use super::trouble::{MEMORY, Troubles};
use super::writer::Writer;
use crate::api::{Ack, Container, Fill, Refusal};
use crate::clock::Clock;
use crate::config::{Credential, Input};

/// How the names of directories begin that are no sessions yet.
pub(super) const MAKING: &str = ".new-";
/// And of those that are none any longer.
pub(super) const GOING: &str = ".gone-";

/// The tapes of one ingest.
#[derive(Debug)]
pub struct Shelf {
    pub(super) dir: PathBuf,
    boot_id: String,
    clock: Clock,
    pub(super) sessions: Mutex<BTreeMap<String, Arc<Session>>>,
    /// Sessions of before whose End the disk has not taken.
    torn: Mutex<BTreeSet<String>>,
    refusals: Mutex<Refusals>,
    pub(super) changed: watch::Sender<Version>,
    /// How often something changed in each Mount's sessions.
    changes: Mutex<BTreeMap<String, u64>>,
    /// Tells this process from the one before.
    epoch: u64,
    pub(super) troubles: Arc<Troubles>,
    pen: Arc<Pen>,
    pub(super) given_up: AtomicU64,
    pub(super) begun: AtomicU64,
    hurry: (Mutex<bool>, Condvar),
    /// Held while this process has the tapes.
    _lock: File,
}

/// Another when something in the list of sessions, or of refusals, changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Sessions began, ended, went, or got a codec, a title, a routing or a Recording.
    pub sessions: u64,
    /// Sources were refused. At most one step a second.
    pub refusals: u64,
    /// How full the tapes are.
    pub fill: Fill,
}

/// Why an ack was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// No such session.
    #[error("There is no such session.")]
    Unknown,
    /// It makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// The disk did not take it.
    #[error("The disk did not take the ack ({0}); send it again.")]
    Disk(#[from] io::Error),
}

impl Shelf {
    /// Opens the tapes in a directory and gives every session an End that an earlier process left without. Blocks.
    /// Fails if another process has them.
    pub fn open(dir: &Path, boot_id: &str) -> io::Result<Arc<Self>> {
        Self::open_by(Clock::default(), dir, boot_id)
    }

    /// The same, where this clock is what the time is told from.
    pub fn open_by(clock: Clock, dir: &Path, boot_id: &str) -> io::Result<Arc<Self>> {
        let sessions = dir.join("sessions");
        fs::create_dir_all(&sessions)?;
        let lock = File::create(dir.join("lock"))?;
        lock.try_lock().map_err(|_| {
            let problem = format!("another process writes the tapes in {}", dir.display());
            io::Error::new(io::ErrorKind::ResourceBusy, problem)
        })?;
        let shelf = Self {
            dir: sessions,
            boot_id: boot_id.to_owned(),
            clock,
            sessions: Mutex::default(),
            torn: Mutex::default(),
            refusals: Mutex::default(),
            changed: watch::Sender::default(),
            changes: Mutex::default(),
            epoch: rand::random(),
            troubles: Arc::default(),
            pen: Pen::new()?,
            given_up: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            hurry: (Mutex::new(false), Condvar::new()),
            _lock: lock,
        };
        for entry in fs::read_dir(&shelf.dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with(MAKING) || name.starts_with(GOING) {
                if let Err(failure) = fs::remove_dir_all(entry.path()) {
                    tracing::warn!(name, %failure, "a session that is half made or half removed stays in the way");
                }
            } else if is_id(&name) {
                shelf.find(&name);
            }
        }
        Ok(Arc::new(shelf))
    }

    fn find(&self, id: &str) {
        let dir = self.dir.join(id);
        match recover(&dir, &self.boot_id) {
            Ok(found) => {
                if found.was_torn {
                    tracing::warn!(
                        session = id,
                        bytes = found.view.end(),
                        "this session had no End: ingest stopped in the middle of it"
                    );
                }
                if !found.is_whole {
                    locked(&self.torn).insert(id.to_owned());
                }
                let session = self.session(id.to_owned(), found.meta, found.view);
                locked(&self.sessions).insert(id.to_owned(), session);
            }
            Err(failure) if matches!(failure.kind(), NotFound | InvalidData | UnexpectedEof) => {
                self.put_aside(id, &failure);
            }
            Err(failure) => tracing::error!(
                session = id, %failure,
                "a session cannot be read and is left as it is; when the disk is mended, restart ingest"
            ),
        }
    }

    /// Tries again to give sessions of before their End. Blocks.
    pub(super) fn mend(&self) {
        let torn = locked(&self.torn).clone();
        for id in torn {
            if self.get(&id).is_none_or(|session| self.is_mended(&session)) {
                locked(&self.torn).remove(&id);
            }
        }
    }

    fn is_mended(&self, session: &Session) -> bool {
        let _alone = locked(&session.keeping);
        match recover(&session.dir, &self.boot_id) {
            Ok(found) if found.is_whole => *locked(&session.view) = found.view,
            Ok(_) => return false,
            Err(failure) => {
                tracing::error!(session = session.id(), %failure, "a session cannot be given its End");
                return false;
            }
        }
        tracing::info!(session = session.id(), "a session got its End at last");
        session.wake();
        self.sessions_changed(&session.about().mount);
        true
    }

    /// What nobody can read is not removed: there may be audio in it.
    fn put_aside(&self, id: &str, failure: &io::Error) {
        let aside = self.dir.with_file_name("damaged");
        let dir = self.dir.join(id);
        let is_empty = match fs::metadata(dir.join(meta::TAPE)) {
            Ok(tape) => tape.len() == 0,
            Err(unknown) => unknown.kind() == NotFound,
        };
        let outcome = if is_empty {
            fs::remove_dir_all(&dir)
        } else {
            fs::create_dir_all(&aside).and_then(|()| fs::rename(&dir, aside.join(id)))
        };
        tracing::error!(
            session = id, %failure, is_empty, ?outcome,
            "a session cannot be read; if it has audio it is now in the directory `damaged` beside the tapes"
        );
    }

    fn session(&self, id: String, meta: Meta, view: View) -> Arc<Session> {
        let (troubles, pen) = (Arc::clone(&self.troubles), Arc::clone(&self.pen));
        let clock = self.clock.clone();
        Arc::new(Session::new(&self.dir, id, meta, view, clock, troubles, pen))
    }

    /// Begins a session. Without a disk it begins in memory. Whether the input is taken is not asked here.
    #[must_use]
    pub fn begin(self: &Arc<Self>, input: &Input, credential: &Credential, container: Container) -> Writer {
        let started = self.clock.now();
        let meta = Meta {
            mount: input.mount.clone(),
            input: input.name.clone(),
            path: input.path.clone(),
            priority: input.priority,
            routing: credential.routing,
            user: credential.user.clone(),
            container,
            started,
            boot_id: self.boot_id.clone(),
        };
        let session = {
            let mut sessions = locked(&self.sessions);
            let id = loop {
                let id = id(started, rand::random());
                if !sessions.contains_key(&id) {
                    break id;
                }
            };
            let session = self.session(id.clone(), meta, View::new(credential.routing, started));
            sessions.insert(id, Arc::clone(&session));
            session
        };
        session.hand_over();
        if self.pen.is_late() {
            // The keeper, whose work it is, may be waiting for the disk, too.
            self.spare_memory();
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.sessions_changed(&input.mount);
        Writer::new(Arc::clone(self), session)
    }

    /// What the time is told from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether any session began in this process.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// The oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        locked(&self.sessions).values().cloned().collect()
    }

    /// By its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Session>> {
        locked(&self.sessions).get(id).cloned()
    }

    /// Changes with what the lists say.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<Version> {
        self.changed.subscribe()
    }

    /// Another in each process.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Another when one of these Mounts' sessions changed, within this process.
    #[must_use]
    pub fn version_of(&self, mounts: &[String]) -> u64 {
        let changes = locked(&self.changes);
        let mut hasher = DefaultHasher::new();
        for mount in mounts {
            (mount, changes.get(mount)).hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn sessions_changed(&self, mount: &str) {
        // Before anybody is woken who looks at it.
        *locked(&self.changes).entry(mount.to_owned()).or_default() += 1;
        self.changed.send_modify(|version| version.sessions += 1);
    }

    /// Remembers that a source was not let in. Its number is given here; who follows the list sees it within a second.
    pub fn refused(&self, refusal: Refusal) {
        locked(&self.refusals).add(refusal);
    }

    /// The newest, the oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        locked(&self.refusals).list()
    }

    /// A Recording has everything below an offset. Blocks until the disk has that.
    pub fn ack(&self, id: &str, ack: &Ack) -> Result<(), AckError> {
        let session = self.get(id).ok_or(AckError::Unknown)?;
        if session.ack(ack)? {
            self.sessions_changed(&session.about().mount);
        }
        Ok(())
    }

    /// What the keeper does each second: sync, Clock and End lines, and what the disk did not take. Blocks.
    pub fn settle(&self) {
        for session in self.unsettled() {
            session.round();
        }
        self.spare_memory();
        let newest = locked(&self.refusals).counted();
        self.changed.send_if_modified(|version| {
            let is_new = version.refusals != newest;
            version.refusals = newest;
            is_new
        });
    }

    fn unsettled(&self) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions();
        sessions.retain(|session| !session.is_settled());
        sessions
    }

    /// Sources that come and go while the disk does not work must not fill the memory.
    fn spare_memory(&self) {
        let unsettled = self.unsettled();
        let in_memory = |session: &Session| locked(&session.view).ring.len();
        let mut all: usize = unsettled.iter().map(|session| in_memory(session)).sum();
        for session in unsettled.iter().filter(|session| !session.is_live()) {
            if all <= MEMORY {
                break;
            }
            all -= in_memory(session);
            if session.give_up_memory() {
                locked(&self.sessions).remove(session.id());
                self.sessions_changed(&session.about().mount);
            }
        }
    }

    /// The keeper does its round now.
    pub(super) fn hurry(&self) {
        *locked(&self.hurry.0) = true;
        self.hurry.1.notify_all();
    }

    /// Returns after a time, or when there is something to hurry for.
    pub(super) fn rest(&self, time: std::time::Duration) {
        let until_hurry = self
            .hurry
            .1
            .wait_timeout_while(locked(&self.hurry.0), time, |hurry| !*hurry);
        if let Ok((mut hurry, _)) = until_hurry {
            *hurry = false;
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.pen.close();
    }
}
