//! Whether a recorder takes anything, by what its pod says again and again. No IO, no clock.

use std::collections::BTreeMap;

use jiff::Timestamp;
use recorder::report::CaptureState;

use crate::recorders::Told;

/// What a recorder was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Since when it has taken nothing; at first, since when it is looked at.
    pub quiet_since: Timestamp,
    /// Whether it was seen to take anything.
    pub moves: bool,
    taken: BTreeMap<String, u64>,
}

impl Pulse {
    /// It is looked at for the first time.
    #[must_use]
    pub fn new(told: &Told, now: Timestamp) -> Self {
        Self {
            quiet_since: now,
            moves: false,
            taken: taken(told),
        }
    }

    /// It is looked at again.
    pub fn feel(&mut self, told: &Told, now: Timestamp) {
        let taken = taken(told);
        let more = |(id, bytes): (&String, &u64)| self.taken.get(id).is_none_or(|before| bytes > before);
        // A recorder whose spool is full stands still for a reason that is told elsewhere: the store's.
        if taken.iter().any(more) || is_full(told.capture.as_ref()) {
            self.quiet_since = now;
            self.moves = true;
        }
        self.taken = taken;
    }
}

/// Bytes of each session. What capture says counts: ship may still have much to send that was captured long ago.
fn taken(told: &Told) -> BTreeMap<String, u64> {
    let captured = told.capture.as_ref().map(|capture| {
        let sessions = capture.sessions.iter();
        sessions
            .map(|session| (session.id.clone(), session.captured))
            .collect()
    });
    let stored = || {
        let sessions = told.ship.iter().flat_map(|ship| &ship.sessions);
        sessions
            .map(|session| (session.id.clone(), session.stored))
            .collect()
    };
    let mut taken: BTreeMap<String, u64> = captured.unwrap_or_else(stored);
    taken.retain(|_, bytes| *bytes > 0);
    taken
}

fn is_full(capture: Option<&CaptureState>) -> bool {
    capture.is_some_and(|capture| capture.waits_for_room)
}

#[cfg(test)]
mod tests {
    use recorder::report::{Captured, Progress, ShipState};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn captured(sessions: &[(&str, u64)], waits_for_room: bool) -> Told {
        let captured = |(id, captured): &(&str, u64)| Captured {
            id: (*id).to_owned(),
            captured: *captured,
        };
        Told {
            capture: Some(CaptureState {
                spool_bytes: 0,
                spool_cap_bytes: 1,
                spool_fill: ingest::api::Fill::Low,
                waits_for_room,
                sessions: sessions.iter().map(captured).collect(),
            }),
            ..Told::default()
        }
    }

    fn stored(id: &str, stored: u64) -> Told {
        let progress = Progress {
            id: id.to_owned(),
            input: String::new(),
            from: None,
            to: None,
            stored,
            bytes: 9,
            lost: Vec::new(),
            complete: false,
        };
        Told {
            ship: Some(ShipState {
                sessions: vec![progress],
                ..ShipState::default()
            }),
            ..Told::default()
        }
    }

    #[test]
    fn it_is_quiet_since_it_last_took_something() {
        let mut pulse = Pulse::new(&Told::default(), at(0));
        let mut feel = |told: &Told, second| {
            pulse.feel(told, at(second));
            (pulse.quiet_since, pulse.moves)
        };
        assert_eq!(feel(&Told::default(), 5), (at(0), false));
        assert_eq!(feel(&captured(&[("a", 0)], false), 10), (at(0), false));
        assert_eq!(feel(&captured(&[("a", 5)], false), 15), (at(15), true));
        assert_eq!(feel(&captured(&[("a", 5)], false), 20), (at(15), true));
        assert_eq!(feel(&captured(&[("b", 1)], false), 25), (at(25), true));
        // It is gone; then another one has what the first had, and takes more.
        assert_eq!(feel(&Told::default(), 30), (at(25), true));
        assert_eq!(feel(&captured(&[("b", 2)], false), 35), (at(35), true));
        assert_eq!(feel(&captured(&[("b", 2)], true), 40), (at(40), true));
        assert_eq!(feel(&stored("b", 1), 45), (at(40), true));
        assert_eq!(feel(&stored("b", 3), 50), (at(50), true));
    }

    #[test]
    fn sending_what_was_captured_long_ago_is_no_sign_of_life() {
        let both = |bytes| Told {
            capture: captured(&[("a", 9)], false).capture,
            ..stored("a", bytes)
        };
        let mut pulse = Pulse::new(&both(1), at(0));
        pulse.feel(&both(2), at(5));
        pulse.feel(&both(3), at(10));
        assert_eq!((pulse.quiet_since, pulse.moves), (at(0), false));
    }

    #[test]
    fn what_is_there_at_first_sight_is_no_move() {
        let mut pulse = Pulse::new(&captured(&[("a", 7)], false), at(0));
        pulse.feel(&captured(&[("a", 7)], false), at(5));
        assert_eq!((pulse.quiet_since, pulse.moves), (at(0), false));
    }
}
