//! Keeps a stream so far ahead of who plays it that late pieces are not heard. No IO, no clock: time is an argument.
//!
//! It counts in time, not in audio: sources send frames of 24 ms or pages of a second, and either is heard just as late
//! as it must. What runs dry is held back until there is a cushion again: one pause instead of one before each piece.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// A cushion this thin counts as used up: whoever plays is some milliseconds ahead of what we know.
const THIN: Duration = Duration::from_millis(100);
/// The first is the smallest. Whoever was late gets a larger one.
const THICKEST: Duration = Duration::from_secs(2);
/// Who plays keeps no more than this, and drops the rest.
const FARTHEST: Duration = Duration::from_secs(4);
/// Bytes held back at most: 2 s of the largest FLAC.
const MOST: usize = 1 << 20;

/// Some bytes, and how long the units that end in them play.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// As they came.
    pub bytes: Bytes,
    /// `None` if no unit ends in them; zero if one does that does not say.
    pub plays: Option<Duration>,
}

/// What is held back, or how long what was given lasts.
#[derive(Debug)]
pub struct Cushion {
    thickness: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Holding {
        /// Set with the first unit: headers may come long before.
        until: Option<Instant>,
        held: Vec<Bytes>,
        size: usize,
        plays: Duration,
    },
    Flowing {
        /// `None` while no unit has said how long it plays.
        lasts_until: Option<Instant>,
    },
}

impl State {
    fn holding() -> Self {
        Self::Holding {
            until: None,
            held: Vec::new(),
            size: 0,
            plays: Duration::ZERO,
        }
    }
}

impl Cushion {
    /// A cushion for a stream that has yet to begin.
    #[must_use]
    pub fn of(thickness: Duration) -> Self {
        Self {
            thickness,
            state: State::holding(),
        }
    }

    /// Takes what arrived, gives what is to be sent now.
    pub fn take(&mut self, piece: Piece, now: Instant) -> Vec<Bytes> {
        if let State::Flowing {
            lasts_until: Some(end),
        } = self.state
            && end < now + THIN
        {
            self.thickness = (self.thickness * 2).min(THICKEST);
            self.state = State::holding();
        }
        match &mut self.state {
            State::Holding {
                until,
                held,
                size,
                plays,
            } => {
                *size += piece.bytes.len();
                held.push(piece.bytes);
                if let Some(more) = piece.plays {
                    *plays += more;
                    until.get_or_insert(now + self.thickness);
                }
                if *size > MOST {
                    self.release(now)
                } else {
                    Vec::new()
                }
            }
            State::Flowing { lasts_until } => {
                if let Some(plays) = piece.plays.filter(|plays| !plays.is_zero()) {
                    let end = lasts_until.unwrap_or(now + self.thickness) + plays;
                    *lasts_until = Some(end.min(now + FARTHEST));
                }
                vec![piece.bytes]
            }
        }
    }

    /// When [`Self::release`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        match self.state {
            State::Holding { until, .. } => until,
            State::Flowing { .. } => None,
        }
    }

    /// Gives what was held back.
    pub fn release(&mut self, now: Instant) -> Vec<Bytes> {
        let State::Holding { held, plays, .. } = &mut self.state else {
            return Vec::new();
        };
        let held = std::mem::take(held);
        let lasts_until = (!plays.is_zero()).then(|| now + (*plays).min(FARTHEST));
        self.state = State::Flowing { lasts_until };
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSHION: Duration = Duration::from_millis(500);

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Plays what a cushion lets through: when a source sends at these times (ms), each a piece that plays so long (ms),
    /// gives when playing began and each time it ran dry.
    fn dry(sent: &[(u64, u64)]) -> (u64, Vec<u64>) {
        let start = Instant::now();
        let mut cushion = Cushion::of(CUSHION);
        let (mut began, mut ends, mut dry) = (None, 0, Vec::new());
        let mut at = 0;
        let mut queue = sent.iter().peekable();
        let mut waiting: std::collections::VecDeque<u64> = std::collections::VecDeque::new();
        while queue.peek().is_some() || !waiting.is_empty() {
            let now = start + ms(at);
            let mut given = Vec::new();
            if cushion.due().is_some_and(|due| due <= now) {
                given.extend(cushion.release(now));
            }
            while let Some((_, plays)) = queue.next_if(|(when, _)| *when <= at) {
                waiting.push_back(*plays);
                let piece = Piece {
                    bytes: Bytes::from_static(b"x"),
                    plays: Some(ms(*plays)),
                };
                given.extend(cushion.take(piece, now));
            }
            for _ in given {
                if began.is_none() {
                    began = Some(at);
                    ends = at;
                }
                if ends < at {
                    dry.push(at);
                    ends = at;
                }
                ends += waiting.pop_front().unwrap();
            }
            at += 1;
        }
        (began.unwrap(), dry)
    }

    #[test]
    fn frames_and_pages_are_heard_as_late_as_they_must() {
        let frames: Vec<_> = (0..400).map(|n| (n * 24, 24)).collect();
        assert_eq!(dry(&frames), (500, vec![]));
        let pages: Vec<_> = (1..10).map(|n| (n * 1000, 1000)).collect();
        assert_eq!(dry(&pages), (1500, vec![]));
    }

    #[test]
    fn what_is_late_by_less_is_not_heard() {
        let late = |n: u64| if n % 7 == 3 { 350 } else { 0 };
        let pages: Vec<_> = (1..30).map(|n| (n * 1000 + late(n), 1000)).collect();
        assert!(dry(&pages).1.is_empty());
    }

    #[test]
    fn a_slow_clock_costs_a_pause_now_and_then_and_not_one_a_page() {
        // Far slower than any clock: 1 %.
        let pages: Vec<_> = (1..500).map(|n| (n * 1010, 1000)).collect();
        let (_, pauses) = dry(&pages);
        assert!((2..=4).contains(&pauses.len()), "{pauses:?}");
    }

    #[test]
    fn headers_alone_start_no_clock_and_bytes_have_an_end() {
        let now = Instant::now();
        let mut cushion = Cushion::of(CUSHION);
        let headers = Piece {
            bytes: Bytes::from_static(b"head"),
            plays: None,
        };
        assert!(cushion.take(headers, now).is_empty());
        assert_eq!(cushion.due(), None);
        let cover = Piece {
            bytes: Bytes::from(vec![0; MOST]),
            plays: None,
        };
        assert_eq!(cushion.take(cover, now).len(), 2);
    }

    #[test]
    fn units_that_do_not_say_how_long_they_play_flow() {
        let now = Instant::now();
        let mut cushion = Cushion::of(CUSHION);
        let unit = Piece {
            bytes: Bytes::from_static(b"x"),
            plays: Some(Duration::ZERO),
        };
        assert!(cushion.take(unit.clone(), now).is_empty());
        assert_eq!(cushion.release(now + CUSHION).len(), 1);
        assert_eq!(cushion.take(unit, now + ms(60_000)).len(), 1);
    }
}
