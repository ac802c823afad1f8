//! Who was not let in lately. No IO.

use std::collections::VecDeque;

use jiff::SignedDuration;

use crate::api::Refusal;

const MOST: usize = 64;
/// An encoder that tries again all the time is told of once in this time.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_PATH: usize = 200;
const LONGEST_MESSAGE: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Refusals {
    newest: VecDeque<Refusal>,
    counted: u64,
}

impl Refusals {
    /// True if there is something new to tell.
    pub fn add(&mut self, mut refusal: Refusal) -> bool {
        refusal.path = one_line(&refusal.path, LONGEST_PATH);
        refusal.message = one_line(&refusal.message, LONGEST_MESSAGE);
        let same = self.newest.iter().position(|known| {
            known.path == refusal.path && known.reason == refusal.reason && known.from == refusal.from
        });
        if let Some(place) = same {
            // From when it was told, which is not moved by each try.
            if refusal.at.duration_since(self.newest[place].at) < TOLD_EVERY {
                return false;
            }
            // It must not push out everybody else.
            self.newest.remove(place);
        }
        self.counted += 1;
        refusal.number = self.counted;
        if self.newest.len() == MOST {
            self.newest.pop_front();
        }
        self.newest.push_back(refusal);
        true
    }

    /// How many there were.
    pub fn counted(&self) -> u64 {
        self.counted
    }

    pub fn list(&self) -> Vec<Refusal> {
        self.newest.iter().cloned().collect()
    }
}

/// Hostile text on one line, no longer than `most` characters.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .take(most)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RefusalReason;
    use jiff::Timestamp;

    fn refusal(path: &str, second: i64) -> Refusal {
        Refusal {
            number: 0,
            at: Timestamp::from_second(second).unwrap(),
            path: path.to_owned(),
            mount: None,
            input: None,
            from: "10.0.0.9".to_owned(),
            reason: RefusalReason::UnknownPath,
            message: "No input.".to_owned(),
        }
    }

    #[test]
    fn the_same_within_a_minute_is_one() {
        let mut refusals = Refusals::default();
        assert!(refusals.add(refusal("/a", 100)));
        assert!(!refusals.add(refusal("/a", 159)));
        assert!(refusals.add(refusal("/b", 159)));
        assert!(refusals.add(refusal("/a", 160)), "counted from when it was told");
        let numbers: Vec<_> = refusals
            .list()
            .iter()
            .map(|r| (r.number, r.path.clone()))
            .collect();
        assert_eq!(numbers, [(2, "/b".into()), (3, "/a".into())]);
    }

    #[test]
    fn who_knocks_all_night_is_told_once_a_minute_and_hides_nobody() {
        let mut refusals = Refusals::default();
        assert!(refusals.add(refusal("/other", 0)));
        let told = (0..8 * 3600)
            .step_by(2)
            .filter(|&second| refusals.add(refusal("/a", second)));
        assert_eq!(told.count(), 8 * 60);
        let paths: Vec<_> = refusals.list().iter().map(|r| r.path.clone()).collect();
        assert_eq!(paths, ["/other", "/a"]);
    }

    #[test]
    fn hostile_and_many() {
        let mut refusals = Refusals::default();
        for n in 0..1000 {
            refusals.add(refusal(&format!("/\r\n\u{1b}[31m{n}\0{}", "ä".repeat(5000)), 1));
        }
        let list = refusals.list();
        assert_eq!((list.len(), list[0].number, list[63].number), (64, 937, 1000));
        assert!(
            list.iter()
                .all(|r| r.path.chars().count() <= 200 && !r.path.contains(char::is_control))
        );
    }
}
