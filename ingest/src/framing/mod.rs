//! Cuts a stream of encoded audio into whole units (Ogg pages, MP3 frames), whatever way it arrives. No IO.
//!
//! Whoever joins a stream in its middle needs two things: the headers of the present [`Link`], and a unit that
//! starts on a packet of its own ([`Unit::joins`]). Each unit carries both, so that fanning out needs no state
//! but "which link did this listener get last".

pub mod mp3;
pub mod ogg;

use std::sync::Arc;

use bytes::Bytes;

/// A run of units that one set of headers decodes: a link of a chained Ogg stream, or all of an MP3 stream.
///
/// Two links are the same only if they are the same allocation ([`Arc::ptr_eq`]): a restarted encoder may send
/// the very same headers again, and its listeners still need them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Header units, in the order they must be sent; empty for MP3, which needs none.
    pub headers: Vec<Bytes>,
}

/// One whole piece of media, ready to be sent on. Headers are not units: they travel in the link.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The page or frame, untouched.
    pub bytes: Bytes,
    /// What must have been sent before it.
    pub link: Arc<Link>,
    /// True if a decoder that has the headers can start here.
    pub joins: bool,
}

/// A framer for either container.
#[derive(Debug)]
pub enum Framer {
    /// Ogg with any codec in it.
    Ogg(ogg::Framer),
    /// MPEG audio layer III.
    Mp3(mp3::Framer),
}

impl Framer {
    /// A framer for Ogg.
    #[must_use]
    pub fn ogg() -> Self {
        Self::Ogg(ogg::Framer::default())
    }

    /// A framer for MP3.
    #[must_use]
    pub fn mp3() -> Self {
        Self::Mp3(mp3::Framer::default())
    }

    /// Takes what arrived, gives the media units that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        match self {
            Self::Ogg(framer) => framer.push(arrived),
            Self::Mp3(framer) => framer.push(arrived),
        }
    }

    /// Bytes thrown away so far because they belong to no unit that can be played.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        match self {
            Self::Ogg(framer) => framer.skipped(),
            Self::Mp3(framer) => framer.skipped(),
        }
    }
}
