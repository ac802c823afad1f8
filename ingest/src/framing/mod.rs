//! Cuts a stream of encoded audio into whole units (Ogg pages, MP3 and AAC frames, `WebM` blocks), whatever way it
//! arrives. No IO.
//!
//! Whoever joins a stream in its middle needs the headers of the present [`Link`], then the unit's [`Unit::lead`], then
//! a unit that starts on a packet of its own ([`Unit::joins`]) and all that follows. Each unit carries all of it, so
//! that fanning out needs no state but "which link did this listener get last".

mod ebml;
pub mod frames;
pub mod ogg;
pub mod opus;
mod sniff;
mod waiting;
pub mod webm;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::api::Container;

pub use sniff::{SNIFFED_WITHIN, Sniffed, fits, sniff};

/// A run of units that one set of headers decodes: a link of a chained Ogg stream, or all of an MP3 stream.
///
/// Two links are the same only if they are the same allocation ([`Arc::ptr_eq`]): a restarted encoder may send
/// the very same headers again, and its listeners still need them.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// What must be sent first, in this order; empty for MP3 and AAC, which need none.
    pub headers: Vec<Bytes>,
    /// Offset in the whole stream of its first byte: of a header, or of the first frame where there are no headers.
    pub at: u64,
    /// Such as `opus`, `vorbis`, `flac`, `mp3`, `aac`; `other` for what is unknown in Ogg.
    pub codec: &'static str,
    /// What its headers say is played, on one line.
    pub title: Option<String>,
}

/// One whole piece of media, ready to be sent on. Headers are not units: they travel in the link.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The page, frame or block, untouched.
    pub bytes: Bytes,
    /// Offset of its first byte in the whole stream.
    pub at: u64,
    /// What must have been sent before it.
    pub link: Arc<Link>,
    /// True if a decoder that has the headers can start here.
    pub joins: bool,
    /// Only for those who join here: to be sent between the headers and this unit. Empty but in the middle of a
    /// `WebM` cluster.
    pub lead: Bytes,
    /// How long it plays; zero if it does not say.
    pub duration: Duration,
}

/// A framer for any container.
#[derive(Debug)]
pub enum Framer {
    /// Ogg with any codec in it.
    Ogg(ogg::Framer),
    /// MP3, or AAC in ADTS.
    Frames(frames::Framer),
    /// `WebM` with Opus.
    Webm(webm::Framer),
}

impl Framer {
    /// A framer for this container.
    #[must_use]
    pub fn of(container: Container) -> Self {
        match container {
            Container::Ogg => Self::Ogg(ogg::Framer::default()),
            Container::Mp3 => Self::Frames(frames::Framer::of(frames::Format::Mp3)),
            Container::Adts => Self::Frames(frames::Framer::of(frames::Format::Adts)),
            Container::Webm => Self::Webm(webm::Framer::default()),
        }
    }

    /// Takes what arrived, gives the media units that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        match self {
            Self::Ogg(framer) => framer.push(arrived),
            Self::Frames(framer) => framer.push(arrived),
            Self::Webm(framer) => framer.push(arrived),
        }
    }

    /// Bytes thrown away so far because they belong to no unit that can be played.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        match self {
            Self::Ogg(framer) => framer.skipped(),
            Self::Frames(framer) => framer.skipped(),
            Self::Webm(framer) => framer.skipped(),
        }
    }

    /// Bytes of memory that wait for those that make them whole.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Ogg(framer) => framer.held(),
            Self::Frames(framer) => framer.held(),
            Self::Webm(framer) => framer.held(),
        }
    }
}

/// A title as players and logs may have it: one line of at most 500 characters; `None` if nothing is left.
#[must_use]
pub fn clean_title(told: &str) -> Option<String> {
    const LONGEST: usize = 500;
    // Line breaks and what turns the direction of writing would reach beyond the title itself.
    let hostile = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut title = String::new();
    let words = told.split(|c: char| c.is_whitespace() || hostile(c));
    for word in words.filter(|word| !word.is_empty()) {
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    let title: String = title.chars().take(LONGEST).collect();
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests;
