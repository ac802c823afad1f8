//! Tape to spool: follows every session that belongs to the Recording, byte for byte. IO: HTTP to the ingest, the spool.
//!
//! It knows nothing of the store, needs nothing of ship, and goes on when either is dead.

mod begin;
mod pull;
mod report;
mod room;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use ingest::reader::{OnTape, on_tape};
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Recording;
use crate::course::{Rule, Span, spans};
use crate::ending::Ending;
use crate::settings;
use crate::spool::{self, Local};

use pull::Pull;
use room::Room;

/// How capture is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Capture {
    /// The directory where the Recording's Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The spool's directory.
    #[arg(long)]
    pub spool: PathBuf,
    /// Most bytes the spool may take. When it is full, the tape keeps the rest.
    #[arg(long)]
    pub spool_cap: u64,
    /// For probes, scrapes and the operator.
    #[arg(long, default_value = "0.0.0.0:8001")]
    pub health: SocketAddr,
}

/// Why capture ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No settings.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The directory of `--spool`.
    #[error("the spool in {} cannot be used: {cause}", at.display())]
    Spool {
        /// Where.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A socket.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The process cannot be asked to end.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

/// What all parts of capture know.
#[derive(Clone)]
struct Shared {
    room: Arc<Room>,
    /// The sessions that are followed, by their ids.
    followed: Arc<Mutex<BTreeMap<String, Arc<Local>>>>,
    captured: Counter,
}

impl Capture {
    /// Runs until it is asked to end.
    pub async fn run(self) -> Result<(), Error> {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let settings = settings::follow(&self.mounted)?;
        let _held = spool::hold(&self.spool, "capture").map_err(|cause| self.spool_failed(cause))?;
        let shared = Shared {
            room: Arc::new(Room::new(&self.spool, self.spool_cap).map_err(|cause| self.spool_failed(cause))?),
            followed: Arc::default(),
            captured: Counter::default(),
        };
        let listen_failed = |cause| Error::Listen {
            address: self.health,
            cause,
        };
        let listener = TcpListener::bind(self.health).await.map_err(listen_failed)?;
        tokio::select! {
            () = ending.asked() => {}
            served = report::serve(listener, &shared) => return Err(listen_failed(served.err().unwrap_or_else(closed))),
            () = self.follow(settings, &shared) => {}
            () = shared.room.watch() => {}
        }
        let all = std::mem::take(&mut *locked(&shared.followed));
        for (session, local) in all {
            if let Err(failure) = local.sync() {
                tracing::error!(session, %failure, "the spool's disk does not take the last second; the tape has it");
            }
        }
        Ok(())
    }

    /// Follows sessions as settings and list of sessions have it. Never returns.
    async fn follow(&self, mut settings: watch::Receiver<Arc<Recording>>, shared: &Shared) {
        let mut settings_can_change = true;
        loop {
            let recording = Arc::clone(&settings.borrow_and_update());
            let mut tapes = std::pin::pin!(on_tape(&recording.tape));
            let mut round = Round {
                spool: self.spool.clone(),
                recording: Arc::clone(&recording),
                shared: shared.clone(),
                pulls: JoinSet::new(),
                running: HashSet::new(),
                done: HashSet::new(),
                heard: self.heard(),
            };
            let mut list: Vec<OnTape> = Vec::new();
            loop {
                round.start_missing(&list);
                tokio::select! {
                    changed = settings.changed(), if settings_can_change => {
                        settings_can_change = changed.is_ok();
                        if settings_can_change {
                            break;
                        }
                    }
                    Some(now) = tapes.next() => list = now,
                    Some(ended) = round.pulls.join_next() => match ended {
                        Ok(session) => round.ended(session),
                        Err(failure) => {
                            tracing::error!(%failure, "the capture of a session broke off; all begin again where they are");
                            break;
                        }
                    }
                }
            }
            round.pulls.shutdown().await;
            locked(&shared.followed).clear();
            // What breaks at once must not keep the processor busy.
            tokio::time::sleep(pull::FIRST_PAUSE).await;
        }
    }

    fn heard(&self) -> Option<BTreeMap<String, Vec<Span>>> {
        let heard = spool::on_air(&self.spool);
        if let Err(failure) = &heard {
            tracing::warn!(%failure, "what the spool has cannot be known; more may be captured than is needed");
        }
        heard.ok()
    }

    fn spool_failed(&self, cause: io::Error) -> Error {
        Error::Spool {
            at: self.spool.clone(),
            cause,
        }
    }
}

/// Who is followed under one version of the settings.
struct Round {
    spool: PathBuf,
    recording: Arc<Recording>,
    shared: Shared,
    pulls: JoinSet<String>,
    running: HashSet<String>,
    done: HashSet<String>,
    /// When sessions were on air, of those too that the tape has forgotten; `None` if the spool does not tell.
    heard: Option<BTreeMap<String, Vec<Span>>>,
}

impl Round {
    fn start_missing(&mut self, list: &[OnTape]) {
        let rule = Rule::from(&*self.recording);
        let list: Vec<_> = list.iter().filter(|tape| rule.is_of(&tape.session)).collect();
        if let Some(heard) = &mut self.heard {
            heard.extend(
                list.iter()
                    .map(|tape| (tape.session.id.clone(), spans(&tape.session))),
            );
        }
        let reach = self.rule(rule).reach(&self.known(), &[]);
        for tape in list {
            let id = &tape.session.id;
            let is_wanted = reach.has_any(&spans(&tape.session));
            if !is_wanted || self.done.contains(id) || !self.running.insert(id.clone()) {
                continue;
            }
            let pull = Pull {
                spool: self.spool.clone(),
                recording: Arc::clone(&self.recording),
                tape: tape.clone(),
                shared: self.shared.clone(),
            };
            self.pulls.spawn(pull.run());
        }
    }

    /// As long as nobody could look into the bucket, whatever is in the window may be a link of the chain. ship takes only
    /// what is.
    fn rule(&self, rule: Rule) -> Rule {
        let all_is_known = self.heard.is_some() && spool::remembered(&self.spool).is_some();
        Rule {
            until: rule.until.or_else(|| (!all_is_known).then_some(rule.limit)),
            ..rule
        }
    }

    fn known(&self) -> Vec<Span> {
        let heard = self.heard.iter().flat_map(BTreeMap::values).flatten();
        let mut known: Vec<_> = heard.copied().collect();
        known.extend(spool::remembered(&self.spool).unwrap_or_default());
        known
    }

    fn ended(&mut self, session: String) {
        self.running.remove(&session);
        self.done.insert(session);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> io::Error {
    io::Error::other("it was closed")
}
