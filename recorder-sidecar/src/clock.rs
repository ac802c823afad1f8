//! Which byte of a session came when, and how few lines tell it. No IO.

use ingest::api::{Line, Session};
use jiff::{SignedDuration, Timestamp};

/// Clock lines come each second while bytes do; a longer pause is one of the source's.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What came after a pause came in its last second, and is not spread over it.
fn resumed(t: Timestamp) -> Timestamp {
    t.saturating_sub(SECOND).unwrap_or(t)
}

/// Which byte of a session came when. The ingest's clock may be set back, and no byte came before an earlier one: until it is
/// again where it was, it stands still here. So two Recordings find the same byte for an instant, however much of the rest
/// either knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WallClock(Vec<(u64, Timestamp)>);

impl WallClock {
    /// From the session's index.
    #[must_use]
    pub fn of(session: &Session, lines: &[Line]) -> Self {
        let told = lines.iter().filter_map(|line| match *line {
            Line::Clock { at, t } | Line::End { at, t, .. } => Some((at, t)),
            _ => None,
        });
        let mut clock = Self(std::iter::once((0, session.started)).chain(told).collect());
        clock.settle();
        clock
    }

    /// Puts the marks in the order of their bytes, none earlier than the one before it.
    fn settle(&mut self) {
        self.0.sort_unstable();
        let mut last = Timestamp::MIN;
        for (_, t) in &mut self.0 {
            last = last.max(*t);
            *t = last;
        }
    }

    /// Takes a line of the index, in the order they come.
    pub fn take(&mut self, line: &Line) {
        let (Line::Clock { at, t } | Line::End { at, t, .. }) = *line else {
            return;
        };
        let Some(&(last_at, last)) = self.0.last() else {
            return self.0.push((at, t));
        };
        if t.duration_since(last) > PAUSE {
            self.0.push((last_at, resumed(t)));
        }
        if at > last_at {
            return self.0.push((at, t.max(last)));
        }
        self.0.push((at, t));
        if (at, t) < (last_at, last) {
            self.settle();
        }
    }

    /// When the byte at this offset came; what is behind the last mark came with it.
    #[must_use]
    pub fn when(&self, offset: u64) -> Option<Timestamp> {
        let behind = self.0.partition_point(|&(at, _)| at <= offset);
        let (at, t) = *self.0.get(behind.checked_sub(1)?)?;
        let Some(&(next, then)) = self.0.get(behind) else {
            return Some(t);
        };
        let share =
            i128::from(offset - at) * then.duration_since(t).as_nanos() / i128::from((next - at).max(1));
        let share = SignedDuration::from_nanos(i64::try_from(share).unwrap_or(i64::MAX));
        t.saturating_add(share).ok()
    }

    /// The first byte that came at or after this instant; `None` if none is known to have come by then.
    #[must_use]
    pub fn offset(&self, instant: Timestamp) -> Option<u64> {
        let behind = self.0.partition_point(|&(_, t)| t < instant);
        let &(at, t) = self.0.get(behind)?;
        let Some(&(before, earlier)) = behind.checked_sub(1).and_then(|last| self.0.get(last)) else {
            return Some(at);
        };
        let whole = t.duration_since(earlier).as_nanos().max(1);
        let part = i128::from(at - before) * instant.duration_since(earlier).as_nanos();
        Some(before + u64::try_from((part + whole - 1) / whole).unwrap_or(0))
    }
}

/// The lines of an index that a manifest keeps, taken in the order they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    kept: Vec<Line>,
    last_clock: Option<(u64, Timestamp)>,
    last_kept_clock: Option<Timestamp>,
}

/// Between two kept Clock lines of a source that sends all the time.
const CLOCKS: SignedDuration = SignedDuration::from_secs(10);

impl Lines {
    /// Takes the next.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Clock { at, t } => self.clock(at, t),
            Line::Lost { .. } => {}
            Line::End { .. } => {
                self.keep_last_clock();
                self.kept.push(line);
            }
            line => self.kept.push(line),
        }
    }

    /// All that are kept, and the newest Clock.
    #[must_use]
    pub fn all(&self) -> Vec<Line> {
        let mut all = self.clone();
        all.keep_last_clock();
        all.kept
    }

    fn clock(&mut self, at: u64, t: Timestamp) {
        let paused = self
            .last_clock
            .filter(|&(_, last)| t.duration_since(last) > PAUSE);
        if let Some((last_at, _)) = paused {
            self.keep_last_clock();
            self.kept.push(Line::Clock {
                at: last_at,
                t: resumed(t),
            });
        }
        self.last_clock = Some((at, t));
        let due = self
            .last_kept_clock
            .is_none_or(|kept| t.duration_since(kept).abs() >= CLOCKS);
        if due || paused.is_some() {
            self.keep_last_clock();
        }
    }

    fn keep_last_clock(&mut self) {
        if let Some((at, t)) = self.last_clock.filter(|&(_, t)| self.last_kept_clock != Some(t)) {
            self.kept.push(Line::Clock { at, t });
            self.last_kept_clock = Some(t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingest::api::Container;
    use ingest::config::Routing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).unwrap()
    }

    fn session() -> Session {
        Session {
            id: "20261121T135025123Z-1f3a".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Ogg,
            codec: None,
            title: None,
            started: at(0),
            bytes: 0,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        }
    }

    #[test]
    fn bytes_have_their_time() {
        let lines = [
            Line::Clock { at: 1_000, t: at(1) },
            Line::Clock { at: 2_000, t: at(2) },
            Line::End {
                at: 2_500,
                t: at(3),
                why: String::new(),
            },
        ];
        let clock = WallClock::of(&session(), &lines);
        assert_eq!(clock.when(0), Some(at(0)));
        assert_eq!(clock.when(1_000), Some(at(1)));
        assert_eq!(clock.when(1_500), Some(at(1) + SignedDuration::from_millis(500)));
        assert_eq!(clock.when(9_999), Some(at(3)));
        assert_eq!(clock.offset(at(-9)), Some(0));
        assert_eq!(clock.offset(at(2)), Some(2_000));
        assert_eq!(
            clock.offset(at(1) + SignedDuration::from_millis(500)),
            Some(1_500)
        );
        assert_eq!(clock.offset(at(4)), None);
    }

    /// A second each thousand bytes, until the clock is set back in the end of second 600.
    fn set_back_by(step: i64) -> Vec<Line> {
        let told = |second: i64| if second <= 600 { second } else { second - step };
        (1..=700)
            .map(|second| Line::Clock {
                at: u64::try_from(second).unwrap() * 1_000,
                t: at(told(second)),
            })
            .collect()
    }

    #[test]
    fn an_instant_has_one_byte_whatever_is_known_of_later_ones() {
        let lines = set_back_by(3);
        let mut growing = WallClock::of(&session(), &[]);
        for (count, line) in (1..).zip(&lines) {
            growing.take(line);
            let known = WallClock::of(&session(), &lines[..count]);
            assert_eq!(growing, known, "{count}");
            for (instant, offset) in [(599, 599_000), (600, 600_000), (601, 604_000)] {
                let expected = known.0.last().filter(|&&(_, t)| t >= at(instant));
                assert_eq!(
                    known.offset(at(instant)),
                    expected.map(|_| offset),
                    "{instant} by {count} lines"
                );
            }
        }
        // The first bytes behind the step came no earlier than the last before it.
        assert_eq!(growing.when(602_000), Some(at(600)));
        assert_eq!(growing.when(604_000), Some(at(601)));
    }

    #[test]
    fn a_clock_that_was_set_back_is_written_down_all_the_same() {
        let mut few = Lines::default();
        for line in set_back_by(3_600) {
            few.take(line);
        }
        let behind = |line: &&Line| matches!(line, Line::Clock { at, .. } if *at > 600_000);
        let kept = few.all().iter().filter(behind).count();
        assert!((10..=12).contains(&kept), "{kept} lines of 100 s");
    }

    #[test]
    fn few_clock_lines_tell_as_much_as_all() {
        let mut all = Vec::new();
        // A source of 1000 bytes a second that pauses from second 40 to 60.
        for second in (1..=40).chain(61..=100) {
            let sent = if second <= 40 { second } else { second - 20 };
            all.push(Line::Clock {
                at: u64::try_from(sent).unwrap() * 1_000,
                t: at(second),
            });
        }
        let mut few = Lines::default();
        let mut exact = WallClock::of(&session(), &[]);
        for line in all {
            exact.take(&line);
            few.take(line);
        }
        let few = few.all();
        assert!(few.len() <= 15, "{few:?}");
        let clock = WallClock::of(&session(), &few);
        let table = [
            (20_500, 20_500),
            (39_999, 39_999),
            (40_500, 60_500),
            (41_000, 61_000),
            (79_900, 99_900),
        ];
        for (offset, millis) in table {
            let expected = at(0) + SignedDuration::from_millis(millis);
            let off = clock.when(offset).unwrap().duration_since(expected).abs();
            assert!(off <= SECOND, "{offset}: {off:?}");
            let off = exact.when(offset).unwrap().duration_since(expected).abs();
            assert!(off <= SECOND, "{offset}: {off:?} with all lines");
        }
    }
}
