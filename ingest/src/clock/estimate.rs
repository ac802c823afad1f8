//! How far the API server's clock is from the node's monotonic one, from answers that tell only whole seconds. No IO.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// No two clocks drift apart faster than this.
const DRIFT_PER_SECOND: i64 = 200_000;
/// Good enough: the network alone takes as long.
const CLOSE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_mins(1);
/// So many in a row; a slow network makes it no closer.
const MOST_SOON: u32 = 8;
const SECOND: i64 = 1_000_000_000;

/// One answer. Times are since the node's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request went out.
    pub asked: Duration,
    /// The answer was there.
    pub came: Duration,
    /// What its `Date` says: the second in which it was written.
    pub date: Timestamp,
}

/// Where the API server's clock is: between two bounds, in nanoseconds since 1970 at the node's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    lowest: i64,
    highest: i64,
    /// When they held, in nanoseconds since the boot.
    at: i64,
    /// Half of what the last answer took.
    way: i64,
    /// Answers since it was last certain.
    #[serde(skip)]
    soon: u32,
}

impl Estimate {
    /// From one answer alone: somewhere in that second.
    #[must_use]
    pub fn of(answer: Answer) -> Self {
        let (asked, came) = (nanoseconds(answer.asked), nanoseconds(answer.came));
        let date = answer.date.as_second().saturating_mul(SECOND);
        Self {
            lowest: date.saturating_sub(came),
            highest: date.saturating_add(SECOND).saturating_sub(asked),
            at: came,
            way: (came - asked) / 2,
            soon: 0,
        }
    }

    /// With one more answer. Where the two cannot both be right, a clock was set: the newer counts.
    #[must_use]
    pub fn with(self, answer: Answer) -> Self {
        let (before, new) = (self.at(answer.came), Self::of(answer));
        let both = Self {
            lowest: before.lowest.max(new.lowest),
            highest: before.highest.min(new.highest),
            soon: self.soon.saturating_add(1),
            ..new
        };
        if both.lowest < both.highest { both } else { new }
    }

    /// Less is certain as time goes by.
    fn at(self, now: Duration) -> Self {
        let now = nanoseconds(now);
        let passed = now.saturating_sub(self.at).max(0);
        let drift = passed / SECOND * DRIFT_PER_SECOND + passed % SECOND * DRIFT_PER_SECOND / SECOND;
        Self {
            lowest: self.lowest.saturating_sub(drift),
            highest: self.highest.saturating_add(drift),
            at: now,
            ..self
        }
    }

    /// The API server's time, as far as it is known.
    #[must_use]
    pub fn time(&self, now: Duration) -> Timestamp {
        let since_1970 = i128::from(self.middle()) + i128::from(nanoseconds(now));
        Timestamp::from_nanosecond(since_1970).unwrap_or(Timestamp::MAX)
    }

    /// No further from the truth than this.
    #[must_use]
    pub fn error(&self, now: Duration) -> Duration {
        let then = self.at(now);
        let half = then.highest.saturating_sub(then.lowest) / 2;
        Duration::from_nanos(u64::try_from(half).unwrap_or_default())
    }

    /// How long to wait before the next question. It is asked so that it arrives where a second is thought to begin: whichever
    /// second the answer tells, half of what is possible is ruled out.
    #[must_use]
    pub fn next(&self, now: Duration) -> Duration {
        let is_close = self.error(now) <= CLOSE || self.soon >= MOST_SOON;
        let earliest = now + if is_close { LATER } else { SOON };
        let arrives = nanoseconds(earliest).saturating_add(self.way);
        let into_its_second = self.middle().saturating_add(arrives).rem_euclid(SECOND);
        let to_the_next = u64::try_from((SECOND - into_its_second) % SECOND).unwrap_or_default();
        (earliest + Duration::from_nanos(to_the_next)).saturating_sub(now)
    }

    fn middle(&self) -> i64 {
        self.lowest + (self.highest - self.lowest) / 2
    }
}

fn nanoseconds(since_boot: Duration) -> i64 {
    i64::try_from(since_boot.as_nanos()).unwrap_or(i64::MAX)
}

/// What a clock shows that follows another: never less than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hand {
    shown: Timestamp,
    at: Duration,
}

/// What is further ahead than this is jumped to; a jump costs less than a window that opens late.
const JUMP: SignedDuration = SignedDuration::from_secs(1);

impl Hand {
    /// Starts there.
    #[must_use]
    pub fn at(shown: Timestamp, at: Duration) -> Self {
        Self { shown, at }
    }

    /// Shows the truth, or goes towards it: an eighth faster than time passes if it is late, half as fast if it is early.
    pub fn follow(&mut self, truth: Timestamp, now: Duration) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_sub(self.at)).unwrap_or(SignedDuration::MAX);
        let after = |passed: SignedDuration| self.shown.checked_add(passed).unwrap_or(Timestamp::MAX);
        let late = truth.duration_since(after(passed));
        self.shown = if late > JUMP {
            truth
        } else if late.is_negative() {
            truth.max(after(passed / 2))
        } else {
            truth.min(after(passed + passed / 8))
        };
        self.at = now;
        self.shown
    }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
