//! Where a session was in the last minutes. No IO.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::retain::LEAST_AGE;

const EVERY: SignedDuration = SignedDuration::from_mins(1);

/// A mark each minute, no older than anybody needs.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<(Timestamp, u64)>);

impl Past {
    /// Everything below `at` had been sent by `now`.
    pub fn mark(&mut self, now: Timestamp, at: u64) {
        // A clock that was set back must not keep it from marking.
        let is_due = |&(last, _): &(Timestamp, u64)| now.duration_since(last).abs() >= EVERY;
        if !self.0.back().is_none_or(is_due) {
            return;
        }
        self.0.push_back((now, at));
        // Of those that are old enough the newest is of use.
        while self.0.get(1).is_some_and(|&(then, _)| is_old(then, now)) {
            self.0.pop_front();
        }
    }

    /// Everything below has been there for the least age; up to a minute more may have.
    pub fn old(&self, now: Timestamp) -> u64 {
        let old = self.0.iter().filter(|(then, _)| is_old(*then, now));
        old.map(|&(_, at)| at).max().unwrap_or(0)
    }
}

fn is_old(then: Timestamp, now: Timestamp) -> bool {
    now.duration_since(then) >= LEAST_AGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_known_to_the_minute() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut past = Past::default();
        assert_eq!(past.old(at(0)), 0);
        for second in 0_u16..10_000 {
            past.mark(at(second.into()), u64::from(second) * 100);
            assert!(past.0.len() <= 17, "{}", past.0.len());
        }
        // The last mark was set at 9960.
        for (second, old) in [
            (9_999, 9_060),
            (10_019, 9_060),
            (10_020, 9_120),
            (10_860, 9_960),
            (99_999, 9_960),
        ] {
            assert_eq!(past.old(at(second)), old * 100, "{second}");
        }
        // An hour back: what was marked is not taken for old, and marks go on.
        past.mark(at(6_400), 1_000_000);
        assert_eq!(past.old(at(7_299)), 0);
        assert_eq!(past.old(at(7_300)), 1_000_000);
    }
}
