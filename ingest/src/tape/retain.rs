//! What may go from the tapes, and what must when they are full. No IO.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

/// A reader that was away comes back within this time.
const LEAST_AGE: SignedDuration = SignedDuration::from_mins(15);
const REHEARSAL: SignedDuration = SignedDuration::from_hours(24);
/// A source that comes and goes every two seconds makes this many in more than five hours.
const MOST_SESSIONS: usize = 10_000;
/// What stays of a session that is being written, whatever the cap says.
const LEAST_TAIL: u64 = 8 << 20;

/// What decides about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// When it connected.
    pub started: Timestamp,
    /// When it ended; `None` while it is written.
    pub ended: Option<Timestamp>,
    /// It was routed live at some time.
    pub aired: bool,
    /// Each Recording that has acked anything has acked all of it, and there is one.
    pub acked: bool,
    /// Bytes the source sent.
    pub sent: u64,
    /// Bytes it takes on the disk.
    pub size: u64,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole session goes.
    Delete {
        /// Its id.
        id: String,
        /// Why.
        why: Why,
    },
    /// The oldest of a session that is being written goes.
    Punch {
        /// Its id.
        id: String,
        /// How much, roughly: a cut decides.
        bytes: u64,
    },
}

/// Why a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The source sent nothing.
    Empty,
    /// A rehearsal that is a day old.
    OldRehearsal,
    /// The tapes are full, and Recordings have it.
    FullAcked,
    /// The tapes are full, and it was a rehearsal.
    FullRehearsal,
    /// The tapes are full, and nobody has it.
    Full,
}

/// What must be done now so that the tapes take no more than `cap` bytes.
#[must_use]
pub fn plan(sessions: &[Facts], now: Timestamp, cap: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut used: u64 = sessions.iter().map(|facts| facts.size).sum();
    let mut count = sessions.len();
    let mut delete = |facts: &Facts, why| {
        used = used.saturating_sub(facts.size);
        count -= 1;
        actions.push(Action::Delete {
            id: facts.id.clone(),
            why,
        });
        used > cap || count > MOST_SESSIONS
    };
    let mut too_much =
        sessions.iter().map(|facts| facts.size).sum::<u64>() > cap || sessions.len() > MOST_SESSIONS;
    let mut left = Vec::new();
    for (facts, ended) in sessions.iter().filter_map(|facts| Some((facts, facts.ended?))) {
        match by_age(facts, now.duration_since(ended)) {
            Some(why) => too_much = delete(facts, why),
            None => left.push((by_need(facts), facts)),
        }
    }
    left.sort_by_key(|(why, facts)| (*why, facts.started));
    for (why, facts) in left {
        if !too_much {
            break;
        }
        too_much = delete(facts, why);
    }
    actions.extend(punch(sessions, used.saturating_sub(cap)));
    actions
}

fn by_age(facts: &Facts, age: SignedDuration) -> Option<Why> {
    if facts.sent == 0 && age >= LEAST_AGE {
        Some(Why::Empty)
    } else if !facts.aired && age >= REHEARSAL {
        Some(Why::OldRehearsal)
    } else {
        None
    }
}

fn by_need(facts: &Facts) -> Why {
    if facts.acked {
        Why::FullAcked
    } else if !facts.aired {
        Why::FullRehearsal
    } else {
        Why::Full
    }
}

/// Takes from the longest, until the next is as long.
fn punch(sessions: &[Facts], mut over: u64) -> Vec<Action> {
    let mut running: Vec<(u64, &Facts)> = sessions
        .iter()
        .filter(|facts| facts.ended.is_none())
        .map(|facts| (facts.size.saturating_sub(LEAST_TAIL), facts))
        .collect();
    running.sort_by_key(|(spare, facts)| (Reverse(*spare), facts.started));
    // Down to which length all are cut: what is above it, of all that are longer, is just enough.
    let mut level = running.first().map_or(0, |(spare, _)| *spare);
    for longer in 1..=running.len() {
        let next = running.get(longer).map_or(0, |(spare, _)| *spare);
        let step = (level - next).min(over.div_ceil(longer as u64));
        level -= step;
        over = over.saturating_sub(step * longer as u64);
    }
    running
        .into_iter()
        .filter(|(spare, _)| *spare > level)
        .map(|(spare, facts)| Action::Punch {
            id: facts.id.clone(),
            bytes: spare - level,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const NOW: i64 = 1_800_000_000;

    /// name, minutes since the end (`None`: running), aired, acked, MiB
    fn facts(id: &str, ended: Option<i64>, aired: bool, acked: bool, mib: u64) -> Facts {
        let at = |minutes: i64| Timestamp::from_second(NOW - 60 * minutes).unwrap();
        Facts {
            id: id.to_owned(),
            started: at(ended.unwrap_or(0) + 60),
            ended: ended.map(at),
            aired,
            acked,
            sent: mib * MIB,
            size: mib * MIB,
        }
    }

    fn planned(sessions: &[Facts], cap_mib: u64) -> Vec<String> {
        let actions = plan(sessions, Timestamp::from_second(NOW).unwrap(), cap_mib * MIB);
        let told = actions.into_iter().map(|action| match action {
            Action::Delete { id, why } => format!("{id} {why:?}"),
            Action::Punch { id, bytes } => format!("{id} -{}", bytes / MIB),
        });
        told.collect()
    }

    #[test]
    fn age_alone() {
        let table = [
            (facts("empty-young", Some(14), true, false, 0), None),
            (facts("empty", Some(15), true, false, 0), Some("empty Empty")),
            (facts("empty-running", None, true, false, 0), None),
            (facts("rehearsal-young", Some(24 * 60 - 1), false, false, 5), None),
            (
                facts("rehearsal", Some(24 * 60), false, false, 5),
                Some("rehearsal OldRehearsal"),
            ),
            (facts("aired", Some(100 * 24 * 60), true, false, 5), None),
            // Which Recordings there should be is not known here: somebody's ack alone removes nothing.
            (facts("acked", Some(100 * 24 * 60), true, true, 5), None),
        ];
        for (facts, expected) in table {
            let id = facts.id.clone();
            assert_eq!(planned(&[facts], 100), Vec::from_iter(expected), "{id}");
        }
    }

    #[test]
    fn the_cap_takes_what_is_least_missed_first() {
        let sessions = [
            facts("old", Some(600), true, false, 30),
            facts("acked-new", Some(1), true, true, 10),
            facts("running", None, true, false, 40),
            facts("rehearsal", Some(30), false, false, 10),
            facts("acked-old", Some(300), true, true, 10),
            facts("new", Some(20), true, false, 30),
        ];
        let all = [
            "acked-old FullAcked",
            "acked-new FullAcked",
            "rehearsal FullRehearsal",
            "old Full",
            "new Full",
            "running -30",
        ];
        for (cap, count) in [
            (130, 0),
            (129, 1),
            (115, 2),
            (110, 2),
            (101, 3),
            (99, 4),
            (50, 5),
            (40, 5),
            (10, 6),
        ] {
            assert_eq!(planned(&sessions, cap), all[..count], "cap {cap}");
        }
        assert_eq!(
            planned(&sessions, 0).last().unwrap(),
            "running -32",
            "the tail stays"
        );
    }

    #[test]
    fn running_sessions_are_cut_to_one_length() {
        let sessions = [
            facts("short", None, true, false, 20),
            facts("long", None, true, false, 100),
            facts("middle", None, true, false, 60),
        ];
        assert_eq!(planned(&sessions, 180), [""; 0]);
        assert_eq!(planned(&sessions, 160), ["long -20"]);
        assert_eq!(planned(&sessions, 120), ["long -50", "middle -10"]);
        assert_eq!(planned(&sessions, 30), ["long -90", "middle -50", "short -10"]);
        assert_eq!(planned(&sessions, 0), ["long -92", "middle -52", "short -12"]);
    }

    #[test]
    fn too_many_sessions() {
        let many: Vec<Facts> = (0..10_003)
            .map(|n| facts(&format!("{n}"), Some(10_010 - n), true, n == 7, 0))
            .map(|facts| Facts { sent: 5, ..facts })
            .collect();
        assert_eq!(planned(&many, 10), ["7 FullAcked", "0 Full", "1 Full"]);
    }
}
