//! What a listener got: bytes, connections, titles, audio, and the gaps in them. Pure.

use std::fmt;
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::ear::Ear;

/// Pauses between bytes up to this are how a stream comes, in pages and packets.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(150);

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The server closed it (FIN).
    Ended,
    /// The server, or the network, cut it (RST).
    Reset,
    /// The server broke its own protocol, for example an unfinished chunk.
    Broken(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("closed by the server"),
            Self::Reset => f.write_str("reset"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

/// The end of a connection that had been granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// When we saw it.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
}

/// What was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapKind {
    /// Nothing arrived, connected or not. Measured by the wall clock.
    NoBytes,
    /// Silence was sent. Measured in audio.
    Silence,
}

/// A stretch without sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it began: the last byte before it, or the first silent audio.
    pub at: Instant,
    /// How long it is.
    pub length: Duration,
    /// What was missing.
    pub kind: GapKind,
}

impl Gap {
    /// Its length in whole milliseconds.
    #[must_use]
    pub fn ms(&self) -> u128 {
        self.length.as_millis()
    }
}

/// Everything a [`super::Listener`] knows. Its figures are all computed from this.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub bytes: u64,
    pub connects: Vec<Instant>,
    pub disconnects: Vec<Disconnect>,
    pub failures: Vec<(Instant, String)>,
    pub headers: HeaderMap,
    pub first_byte: Option<Duration>,
    pub last_byte: Option<Instant>,
    pub pauses: Vec<Gap>,
    pub titles: Vec<(Instant, String)>,
    pub trouble: Vec<(Instant, String)>,
    pub ear: Ear,
}

impl Log {
    pub fn bytes_came(&mut self, count: usize, at: Instant) {
        self.bytes += u64::try_from(count).unwrap_or(u64::MAX);
        if let Some(last) = self.last_byte.replace(at) {
            self.pauses.extend(pause(last, at));
        }
    }

    /// Gaps of at least `threshold`, by time; one that still goes on counts up to `now`.
    pub fn gaps(&self, threshold: Duration, now: Instant) -> Vec<Gap> {
        let current = self.last_byte.and_then(|last| pause(last, now));
        let silences = self.ear.silences().map(|s| Gap {
            at: s.at,
            length: s.audio,
            kind: GapKind::Silence,
        });
        let mut gaps: Vec<Gap> = self
            .pauses
            .iter()
            .copied()
            .chain(current)
            .chain(silences)
            .collect();
        gaps.retain(|gap| gap.length >= threshold);
        gaps.sort_by_key(|gap| gap.at);
        gaps
    }
}

fn pause(from: Instant, to: Instant) -> Option<Gap> {
    let length = to.saturating_duration_since(from);
    (length >= SHORTEST_PAUSE).then_some(Gap {
        at: from,
        length,
        kind: GapKind::NoBytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_gaps_even_while_they_last() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut log = Log::default();
        for ms in [0, 100, 200, 700, 800] {
            log.bytes_came(10, after(ms));
        }
        let lengths = |threshold, now| -> Vec<u128> {
            log.gaps(Duration::from_millis(threshold), after(now))
                .iter()
                .map(Gap::ms)
                .collect()
        };
        assert_eq!(lengths(0, 801), [500]);
        assert_eq!(lengths(0, 2800), [500, 2000]);
        assert_eq!(lengths(600, 2800), [2000]);
        assert_eq!(log.bytes, 50);
    }
}
