//! What is known of this pod's Icecast: everybody who asks is told from here, so a thousand of them cost Icecast nothing.
//! No IO, no clock.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::flow::{Air, Flows};
use crate::mark::{self, Mark};
use crate::settings::Settings;
use crate::stats::{Mount, Stats};
use crate::status;

/// Without an answer for this long, nothing is known any more.
const STALE: Duration = Duration::from_secs(25);
/// Icecast reloads within 1.1 s; after this long it is told that it has not.
const APPLIED_WITHIN: Duration = Duration::from_secs(20);

/// A configuration that was handed to Icecast.
#[derive(Clone, Debug)]
pub struct Given {
    /// What the agent has to know of it.
    pub settings: Settings,
    /// Read back when it is in effect.
    pub mark: Option<Mark>,
    /// When.
    pub at: Instant,
}

/// What became of a question to Icecast.
#[derive(Debug)]
pub enum Answer {
    /// It told.
    Told(Stats),
    /// It takes no connection more, not even ours (Xiph).
    Full,
    /// No answer, or of no use, in words.
    Failed(String),
}

/// All that is known.
#[derive(Debug, Default)]
pub struct View {
    given: Option<Arc<Given>>,
    /// With the moment it came. While Icecast is full, the last one still counts.
    stats: Option<Stats>,
    heard: Option<Instant>,
    is_full: bool,
    failure: Option<String>,
    flows: Flows,
    applied: Option<Mark>,
    is_not_applied: bool,
    slow_listeners: u64,
    pages: Option<status::Pages>,
}

/// One view, for all.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<RwLock<View>>);

impl Shared {
    /// To look at. Never held while waiting.
    pub fn look(&self) -> RwLockReadGuard<'_, View> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change. Never held while waiting.
    pub fn change(&self) -> RwLockWriteGuard<'_, View> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// Takes what came of asking Icecast, which has been given `given`. `asked` is when.
    pub fn take(&mut self, given: &Arc<Given>, answer: Answer, asked: Instant, clock: Timestamp) {
        self.given = Some(Arc::clone(given));
        match answer {
            Answer::Told(stats) => {
                let settings = &given.settings;
                let is_configured = |path: &str| settings.paths().any(|known| known == path);
                self.flows.take(&stats, is_configured, asked, clock);
                self.applied = mark::split(&stats.location).1;
                self.is_not_applied =
                    given.mark.is_some() && self.applied != given.mark && asked > given.at + APPLIED_WITHIN;
                self.pages = Some(status::Pages::render(&stats, settings, &self.flows));
                (self.heard, self.failure, self.is_full) = (Some(asked), None, false);
                self.stats = Some(stats);
            }
            Answer::Full => (self.heard, self.failure, self.is_full) = (Some(asked), None, true),
            Answer::Failed(why) => self.failure = Some(why),
        }
    }

    /// Takes how many listeners do not keep up.
    pub fn take_slow_listeners(&mut self, count: u64) {
        self.slow_listeners = count;
    }

    /// Whether `mark` was read back from Icecast.
    pub fn is_applied(&self, mark: Option<&Mark>) -> bool {
        mark.is_none_or(|mark| self.applied.as_ref() == Some(mark))
    }

    /// Icecast runs with another configuration than it was given, and should not any more.
    pub fn is_not_applied(&self) -> bool {
        self.is_not_applied
    }

    /// Connections whose bytes pile up.
    pub fn slow_listeners(&self) -> u64 {
        self.slow_listeners
    }

    /// What was given.
    pub fn given(&self) -> Option<&Given> {
        self.given.as_deref()
    }

    /// What Icecast said, unless that is too long ago.
    pub fn stats(&self, now: Instant) -> Option<&Stats> {
        let heard = self.heard?;
        self.stats.as_ref().filter(|_| now < heard + STALE)
    }

    /// How mounts went.
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    /// Pages for the public.
    pub fn pages(&self, now: Instant) -> Option<&status::Pages> {
        self.stats(now).and(self.pages.as_ref())
    }

    /// Whether somebody who comes now hears something: at `path`, or anywhere. If not, why.
    pub fn on_air(&self, path: Option<&str>, is_draining: bool, now: Instant) -> Result<(), Off> {
        let known = self.given().zip(self.stats(now));
        let (given, stats) = known.ok_or_else(|| Off::Untold(self.silence(now)))?;
        if let Some(path) = path {
            let is_known =
                stats.mounts.contains_key(path) || given.settings.paths().any(|known| known == path);
            if given.settings.hides(path) || !is_known {
                return Err(Off::Unknown);
            }
        }
        if is_draining {
            return Err(Off::Draining);
        }
        if self.is_full || stats.clients >= given.settings.clients {
            return Err(Off::Full(given.settings.clients));
        }
        match path {
            Some(path) => self.mount_on_air(given, stats, path),
            None => self.any_on_air(given, stats),
        }
    }

    fn any_on_air(&self, given: &Given, stats: &Stats) -> Result<(), Off> {
        let mut reason = Off::Nothing;
        for path in stats.mounts.keys().filter(|path| !given.settings.hides(path)) {
            match self.mount_on_air(given, stats, path) {
                Ok(()) => return Ok(()),
                Err(Off::NoSource(_)) => {}
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    fn mount_on_air(&self, given: &Given, stats: &Stats, path: &str) -> Result<(), Off> {
        let path = path.to_owned();
        match self.flows.air(&path) {
            Air::Flows => {}
            Air::Silent(time) => return Err(Off::Silent(path, time)),
            Air::NoSource => return Err(Off::NoSource(path)),
            Air::Unknown => return Err(Off::NotYet(path)),
        }
        let mount = stats.mounts.get(&path);
        match most_listeners(&given.settings, mount, &path) {
            Some(most) if mount.is_some_and(|mount| mount.listeners >= most) => {
                Err(Off::MountFull(path, most))
            }
            _ => Ok(()),
        }
    }

    fn silence(&self, now: Instant) -> String {
        let why = self.failure.as_deref().unwrap_or("it was not asked yet");
        match self.heard {
            Some(heard) => format!("nothing from Icecast for {} s: {why}", (now - heard).as_secs()),
            None => format!("nothing from Icecast yet: {why}"),
        }
    }
}

/// What a mount takes: Icecast says so only while it has a source.
pub fn most_listeners(settings: &Settings, mount: Option<&Mount>, path: &str) -> Option<u64> {
    let told = mount.and_then(|mount| mount.max_listeners);
    told.or_else(|| settings.max_listeners(path))
}

/// Why nobody who comes now would hear something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// Icecast does not answer.
    #[error("{0}")]
    Untold(String),
    /// No such mount, or none for the public.
    #[error("there is no such mount here")]
    Unknown,
    /// The pod is going.
    #[error("this server is about to end and takes no listeners more; ask another")]
    Draining,
    /// All of the server.
    #[error("this server is full: it takes {0} connections. More relays, or a higher limit, help")]
    Full(u64),
    /// One mount.
    #[error("{0} is full: it takes {1} listeners")]
    MountFull(String, u64),
    /// No mount at all.
    #[error("no mount has a source")]
    Nothing,
    /// No source.
    #[error("nobody sends to {0}: it has no source")]
    NoSource(String),
    /// A source that sends nothing.
    #[error("the source of {0} is connected and has sent nothing for {time} s", time = .1.as_secs())]
    Silent(String, Duration),
    /// Seen once.
    #[error("{0} was seen for the first time just now; ask again in 10 s")]
    NotYet(String),
}

#[cfg(test)]
mod tests;
