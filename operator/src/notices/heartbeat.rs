//! When somebody outside is shown that all is well. No IO, no clock.
//!
//! Who waits for it raises the alarm when it does not come: when the operator, its cluster or the way out is gone, and
//! while there is something that nobody could be told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::outbox::Fault;

/// One that was not heard is repeated after this time, if the next one is not sooner.
const AGAIN: Duration = Duration::from_secs(10);

/// The heart of one Station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heart {
    next: Option<Timestamp>,
    beating: bool,
    /// Since when it is not heard, if it is not.
    pub fault: Option<Fault>,
}

impl Heart {
    /// Whether to beat now. One that was held back is not left out: it comes as soon as all is well.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.beating && self.next.is_none_or(|next| now >= next)
    }

    /// A beat is on its way.
    pub fn begins(&mut self) {
        self.beating = true;
    }

    /// Not all was well, and there was none.
    pub fn held_back(&mut self) {
        self.beating = false;
    }

    /// What came of it; the next one comes `every` after this, or sooner if nobody heard it.
    pub fn beaten(&mut self, result: Result<(), String>, every: Duration, now: Timestamp) {
        self.beating = false;
        let every = if result.is_ok() { every } else { every.min(AGAIN) };
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        // Late ones keep the rhythm, unless one came very late.
        let planned = self.next.and_then(|next| next.checked_add(every).ok());
        let next = planned.filter(|next| *next > now);
        self.next = next.or_else(|| now.checked_add(every).ok());
        self.fault = match (result, self.fault.take()) {
            (Ok(()), _) => None,
            (Err(_), Some(fault)) => Some(fault),
            (Err(words), None) => Some(Fault { since: now, words }),
        };
    }
}

/// Whether our copies are what the API server has: names and versions of both. A watch that is dead shows here.
#[must_use]
pub fn is_current(live: &[(String, String)], copies: &[(String, String)]) -> bool {
    live.iter().all(|object| copies.contains(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn beat(heart: &mut Heart, second: i64) -> bool {
        let due = heart.is_due(at(second));
        if due {
            heart.begins();
            heart.beaten(Ok(()), MINUTE, at(second));
        }
        due
    }

    #[test]
    fn it_keeps_its_rhythm() {
        let mut heart = Heart::default();
        let beats = (0..=180).filter(|second| beat(&mut heart, *second));
        assert_eq!(beats.collect::<Vec<_>>(), [0, 60, 120, 180]);
    }

    #[test]
    fn one_that_was_held_back_comes_late_and_is_not_left_out() {
        let mut heart = Heart::default();
        assert!(beat(&mut heart, 0));
        assert!(heart.is_due(at(60)) && heart.is_due(at(75)));
        assert!(beat(&mut heart, 75));
        assert!(!heart.is_due(at(119)) && beat(&mut heart, 120));
        // Held back for long, it does not make up for all it missed.
        assert!(beat(&mut heart, 1000));
        assert!(!heart.is_due(at(1059)) && heart.is_due(at(1060)));
    }

    #[test]
    fn one_at_a_time_and_its_failures_are_known() {
        let mut heart = Heart::default();
        heart.begins();
        assert!(!heart.is_due(at(500)));
        heart.held_back();
        assert!(heart.is_due(at(500)) && heart.fault.is_none());
        heart.begins();
        heart.beaten(Err("it answers 500".to_owned()), MINUTE, at(500));
        assert!(!heart.is_due(at(509)) && heart.is_due(at(510)));
        heart.begins();
        heart.beaten(Err("it answers 502".to_owned()), MINUTE, at(511));
        let fault = heart.fault.clone().unwrap();
        assert_eq!((fault.since, fault.words.as_str()), (at(500), "it answers 500"));
        heart.begins();
        heart.beaten(Ok(()), MINUTE, at(520));
        assert_eq!(heart.fault, None);
    }

    #[test]
    fn a_copy_that_lacks_something_is_not_current() {
        let list = |items: &[(&str, &str)]| -> Vec<(String, String)> {
            let items = items.iter();
            items
                .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
                .collect()
        };
        let live = list(&[("a", "2"), ("b", "1")]);
        assert!(is_current(&live, &list(&[("a", "2"), ("b", "1"), ("gone", "1")])));
        assert!(!is_current(&live, &list(&[("a", "1"), ("b", "1")])));
        assert!(!is_current(&live, &list(&[("a", "2")])));
        assert!(is_current(&[], &[]));
    }
}
