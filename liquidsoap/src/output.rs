//! One encoding on its way from Liquidsoap to the origins: whole units, newest source first, nobody waits. No IO.

use std::sync::atomic::{AtomicU64, Ordering};

use ingest::api::Container;
use ingest::framing::{Framer, Unit};
use tokio::sync::{broadcast, watch};

use crate::config::{self, Codec};

/// Units an origin may lag behind before it loses some: about ten seconds. An Ogg page holds 80 ms, a frame of MP3 24.
const BACKLOG_OGG: usize = 128;
const BACKLOG_MP3: usize = 512;

/// One encoding.
#[derive(Debug)]
pub struct Output {
    /// Its path and codec.
    pub config: config::Output,
    units: broadcast::Sender<Unit>,
    title: watch::Sender<Option<String>>,
    /// Counts the connections of Liquidsoap; only the newest is heard.
    turn: AtomicU64,
}

impl Output {
    /// An output nobody feeds yet.
    #[must_use]
    pub fn new(config: config::Output) -> Self {
        let backlog = match config.codec {
            Codec::Opus => BACKLOG_OGG,
            Codec::Mp3 => BACKLOG_MP3,
        };
        Self {
            config,
            units: broadcast::Sender::new(backlog),
            title: watch::Sender::new(None),
            turn: AtomicU64::new(0),
        }
    }

    /// What Icecast is told it is.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.config.codec {
            Codec::Opus => "application/ogg",
            Codec::Mp3 => "audio/mpeg",
        }
    }

    /// Whole units from here on. Who is too slow is told how many it lost, and no other notices.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Unit> {
        self.units.subscribe()
    }

    /// The title now and whenever it changes; `None` until there was one.
    #[must_use]
    pub fn titles(&self) -> watch::Receiver<Option<String>> {
        self.title.subscribe()
    }

    /// Sets the title.
    pub fn set_title(&self, title: String) {
        self.title.send_replace(Some(title));
    }

    /// Opens the way in for a new connection, and closes it for the one before.
    pub fn feed(&self) -> Feed<'_> {
        let framer = match self.config.codec {
            Codec::Opus => Framer::of(Container::Ogg),
            Codec::Mp3 => Framer::of(Container::Mp3),
        };
        Feed {
            output: self,
            framer,
            turn: self.turn.fetch_add(1, Ordering::SeqCst) + 1,
        }
    }
}

/// The way in for one connection of Liquidsoap. Its framer is its own: half a page that a dying Liquidsoap left
/// behind ends with it.
#[derive(Debug)]
pub struct Feed<'a> {
    output: &'a Output,
    framer: Framer,
    turn: u64,
}

impl Feed<'_> {
    /// Takes bytes as they come; false when a newer connection has the output.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if self.output.turn.load(Ordering::SeqCst) != self.turn {
            return false;
        }
        for unit in self.framer.push(bytes) {
            // An error means that no origin is configured, which is no reason to stop Liquidsoap.
            let _ = self.output.units.send(unit);
        }
        true
    }

    /// Bytes that were no audio.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.framer.skipped()
    }
}
