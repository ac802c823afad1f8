//! What may go from the tapes, and what must when they are full. No IO.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// A reader that was away comes back within this time.
pub(super) const LEAST_AGE: SignedDuration = SignedDuration::from_mins(15);
const REHEARSAL: SignedDuration = SignedDuration::from_hours(24);
/// A source that comes and goes every two seconds makes this many in more than an hour.
const MOST_SESSIONS: usize = 2_000;
/// What stays of a session that is being written, whatever the cap says.
pub(super) const LEAST_TAIL: u64 = 8 << 20;
/// Less than this is not worth the work: nine minutes of 128 kb/s.
const LEAST_TRIM: u64 = 8 << 20;
/// In such steps running sessions are compared with the others; of a long one, in 256.
const STEP: u64 = 1 << 20;

/// What decides about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// The path of its input.
    pub input: String,
    /// When it connected.
    pub started: Timestamp,
    /// When it ended; `None` while it is written.
    pub ended: Option<Timestamp>,
    /// It was routed live at some time.
    pub aired: bool,
    /// Everything below is stored by all Recordings that need it; `None` if nobody needs it and nobody has any of it.
    pub acked_to: Option<u64>,
    /// Everything below was sent at least a quarter of an hour ago.
    pub old: u64,
    /// Bytes below this were given up.
    pub kept_from: u64,
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
    /// The head of a session that is being written goes: Recordings have it.
    Trim {
        /// Its id.
        id: String,
        /// Not beyond.
        to: u64,
    },
    /// The oldest of a session that is being written goes: the tapes are full.
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
    /// Recordings have it.
    Acked,
    /// A rehearsal that is a day old.
    OldRehearsal,
    /// The tapes are full, and Recordings have it.
    FullAcked,
    /// The tapes are full, and it was a rehearsal.
    FullRehearsal,
    /// The tapes are full, and nobody has it.
    Full,
    /// There are too many sessions, most of them of its input.
    TooMany,
}

/// What must be done now so that the tapes take no more than `cap` bytes.
#[must_use]
pub fn plan(sessions: Vec<Facts>, now: Timestamp, cap: u64) -> Vec<Action> {
    let (mut actions, mut left) = (Vec::new(), Vec::new());
    for mut facts in sessions {
        match facts.ended.map(|ended| by_age(&facts, now.duration_since(ended))) {
            Some(Some(why)) => actions.push(delete(&facts, why)),
            Some(None) => left.push(facts),
            None => {
                actions.extend(trim(&mut facts));
                left.push(facts);
            }
        }
    }
    actions.extend(plan_at_the_cap(left, now, cap));
    actions
}

/// The part of it that can't wait until it is sure which Recordings need what.
#[must_use]
pub fn plan_at_the_cap(mut sessions: Vec<Facts>, now: Timestamp, cap: u64) -> Vec<Action> {
    let used: u64 = sessions.iter().map(|facts| facts.size).sum();
    let mut actions = make_room(&mut sessions, now, used.saturating_sub(cap));
    actions.extend(make_few(&sessions));
    actions
}

fn delete(facts: &Facts, why: Why) -> Action {
    Action::Delete {
        id: facts.id.clone(),
        why,
    }
}

fn by_age(facts: &Facts, age: SignedDuration) -> Option<Why> {
    let is_acked = facts.acked_to.is_some_and(|to| to >= facts.sent);
    if facts.sent == 0 && age >= LEAST_AGE {
        Some(Why::Empty)
    } else if is_acked && age >= LEAST_AGE {
        Some(Why::Acked)
    } else if !facts.aired && age >= REHEARSAL {
        Some(Why::OldRehearsal)
    } else {
        None
    }
}

/// What Recordings have of a running session goes when it is old, in large pieces: each costs a look at its index.
fn trim(facts: &mut Facts) -> Option<Action> {
    let most = facts.sent.saturating_sub(LEAST_TAIL);
    let to = facts.acked_to?.min(facts.old).min(most);
    let bytes = to.saturating_sub(facts.kept_from);
    if bytes < LEAST_TRIM {
        return None;
    }
    facts.kept_from = to;
    facts.size = facts.size.saturating_sub(bytes);
    Some(Action::Trim {
        id: facts.id.clone(),
        to,
    })
}

/// What the cap may take next of a session of which it has `taken` something already: the reason, how old the audio
/// is, and how much.
fn offer(facts: &Facts, taken: u64, now: Timestamp) -> Option<(Why, Timestamp, u64)> {
    let unacked = if facts.aired {
        Why::Full
    } else {
        Why::FullRehearsal
    };
    let acked_to = facts.acked_to.unwrap_or(0);
    if facts.ended.is_some() {
        let acked = facts.acked_to.is_some() && acked_to >= facts.sent;
        let why = if acked { Why::FullAcked } else { unacked };
        return (taken == 0 && facts.size > 0).then_some((why, facts.started, facts.size));
    }
    // The index takes room too, but has no head to give.
    let spare = facts.size.min(facts.sent.saturating_sub(facts.kept_from));
    let spare = spare.saturating_sub(LEAST_TAIL);
    let head = facts.kept_from + taken;
    let acked = acked_to.saturating_sub(head);
    let (why, most) = if acked > 0 {
        (Why::FullAcked, acked)
    } else {
        (unacked, u64::MAX)
    };
    let bytes = most.min(spare.saturating_sub(taken)).min(STEP.max(spare / 256));
    (bytes > 0).then(|| (why, heard_at(facts, head, now), bytes))
}

/// When the source sent what stands at an offset of a running session, as if it had sent evenly.
fn heard_at(facts: &Facts, offset: u64, now: Timestamp) -> Timestamp {
    let so_far = now.duration_since(facts.started).as_millis().max(0);
    let until = so_far * i128::from(offset) / i128::from(facts.sent.max(1));
    let until = SignedDuration::from_millis(i64::try_from(until).unwrap_or(0));
    facts.started.checked_add(until).unwrap_or(now)
}

/// Takes what is least missed, the oldest audio first: ended sessions whole, of running ones the head.
fn make_room(left: &mut Vec<Facts>, now: Timestamp, mut over: u64) -> Vec<Action> {
    let mut taken = vec![0; left.len()];
    let mut order = Vec::new();
    let offered = |(n, facts): (usize, &Facts)| {
        let (why, heard, bytes) = offer(facts, 0, now)?;
        Some((why, heard, n, bytes))
    };
    let mut offers: BTreeSet<_> = left.iter().enumerate().filter_map(offered).collect();
    while over > 0
        && let Some((why, _, n, bytes)) = offers.pop_first()
    {
        let facts = &left[n];
        if taken[n] == 0 {
            order.push((n, why));
        }
        let bytes = if facts.ended.is_some() {
            bytes
        } else {
            bytes.min(over)
        };
        taken[n] += bytes;
        over = over.saturating_sub(bytes);
        offers.extend(offer(facts, taken[n], now).map(|(why, heard, bytes)| (why, heard, n, bytes)));
    }
    let action = |(n, why): (usize, Why)| match left[n].ended {
        Some(_) => delete(&left[n], why),
        None => Action::Punch {
            id: left[n].id.clone(),
            bytes: taken[n],
        },
    };
    let actions = order.into_iter().map(action).collect();
    let mut of_each = taken.iter();
    left.retain(|facts| of_each.next() == Some(&0) || facts.ended.is_none());
    actions
}

/// Of too many sessions those of the busiest input go, the smallest first: a source that comes and goes costs nobody
/// else anything, and not its own shows.
fn make_few(left: &[Facts]) -> Vec<Action> {
    let mut inputs: BTreeMap<&str, Vec<&Facts>> = BTreeMap::new();
    for facts in left.iter().filter(|facts| facts.ended.is_some()) {
        inputs.entry(&facts.input).or_default().push(facts);
    }
    for sessions in inputs.values_mut() {
        sessions.sort_by_key(|facts| Reverse((facts.size, facts.started)));
    }
    let mut actions = Vec::new();
    for _ in MOST_SESSIONS..left.len() {
        let busiest = inputs.values_mut().max_by_key(|sessions| sessions.len());
        let smallest = busiest.and_then(Vec::pop);
        actions.extend(smallest.map(|facts| delete(facts, Why::TooMany)));
    }
    actions
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
            input: "/live/studio".to_owned(),
            started: at(ended.unwrap_or(0) + 60),
            ended: ended.map(at),
            aired,
            acked_to: acked.then_some(mib * MIB),
            old: 0,
            kept_from: 0,
            sent: mib * MIB,
            size: mib * MIB,
        }
    }

    fn planned(sessions: &[Facts], cap_mib: u64) -> Vec<String> {
        let actions = plan(
            sessions.to_vec(),
            Timestamp::from_second(NOW).unwrap(),
            cap_mib * MIB,
        );
        let told = actions.into_iter().map(|action| match action {
            Action::Delete { id, why } => format!("{id} {why:?}"),
            Action::Trim { id, to } => format!("{id} from {}", to / MIB),
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
            (facts("acked-young", Some(14), true, true, 5), None),
            (facts("acked", Some(15), true, true, 5), Some("acked Acked")),
            (
                facts("acked-empty", Some(15), true, true, 0),
                Some("acked-empty Empty"),
            ),
            (
                facts("acked-rehearsal", Some(15), false, true, 5),
                Some("acked-rehearsal Acked"),
            ),
            (
                Facts {
                    acked_to: Some(5 * MIB - 1),
                    ..facts("acked-not-all", Some(100 * 24 * 60), true, true, 5)
                },
                None,
            ),
            (
                Facts {
                    acked_to: Some(0),
                    ..facts("needed", Some(100 * 24 * 60), true, true, 5)
                },
                None,
            ),
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
            facts("acked-old", Some(14), true, true, 10),
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

    /// As above, of a session that began that many minutes ago.
    fn running(id: &str, minutes: i64, mib: u64) -> Facts {
        let started = Timestamp::from_second(NOW - 60 * minutes).unwrap();
        Facts {
            started,
            ..facts(id, None, true, false, mib)
        }
    }

    #[test]
    fn the_head_of_a_running_session_goes_when_it_is_acked_and_old() {
        let show = |acked: u64, old: u64, kept_from: u64| Facts {
            acked_to: Some(acked * MIB),
            old: old * MIB,
            kept_from: kept_from * MIB,
            size: (100 - kept_from) * MIB,
            ..running("show", 300, 100)
        };
        let table = [
            (show(60, 70, 0), Some("show from 60")),
            (show(70, 60, 0), Some("show from 60")),
            (show(60, 60, 53), None),
            (show(60, 60, 52), Some("show from 60")),
            (show(60, 60, 70), None),
            // The tail stays, whoever has it.
            (show(100, 100, 0), Some("show from 92")),
            (show(0, 70, 0), None),
            (
                Facts {
                    acked_to: None,
                    ..show(60, 70, 0)
                },
                None,
            ),
        ];
        for (facts, expected) in table {
            let told = format!("{facts:?}");
            assert_eq!(planned(&[facts], 1000), Vec::from_iter(expected), "{told}");
        }
        assert_eq!(
            planned(&[show(60, 60, 0)], 40),
            ["show from 60"],
            "then the cap has nothing to ask for"
        );
        assert_eq!(planned(&[show(60, 60, 0)], 30), ["show from 60", "show -10"]);
    }

    #[test]
    fn an_acked_head_goes_before_a_fresh_show_nobody_has() {
        let show = facts("show", Some(0), true, false, 2);
        let acked = Facts {
            acked_to: Some(30 * MIB),
            ..running("running", 300, 40)
        };
        assert_eq!(planned(&[show.clone(), acked.clone()], 40), ["running -2"]);
        // Ten have not been acked, eight always stay, and the show's audio is younger than the head's.
        assert_eq!(planned(&[show.clone(), acked.clone()], 10), ["running -32"]);
        assert_eq!(
            planned(&[show.clone(), acked.clone()], 9),
            ["running -32", "show Full"]
        );
        let unacked = Facts {
            acked_to: None,
            ..acked
        };
        assert_eq!(planned(&[show.clone(), unacked.clone()], 40), ["running -2"]);
        // What is left of it is of the last quarter of an hour; the show began an hour ago.
        let given_up = Facts {
            kept_from: 760 * MIB,
            sent: 800 * MIB,
            ..unacked
        };
        assert_eq!(planned(&[show, given_up], 40), ["show Full"]);
    }

    #[test]
    fn acked_heads_and_acked_sessions_go_by_age_and_rehearsed_heads_after_them() {
        let acked = Facts {
            acked_to: Some(5 * MIB),
            ..running("running", 300, 40)
        };
        let rehearsed = Facts {
            aired: false,
            ..running("rehearsed", 900, 20)
        };
        let sessions = [
            Facts {
                started: Timestamp::from_second(NOW - 600 * 60).unwrap(),
                ..facts("older", Some(14), true, true, 10)
            },
            facts("newer", Some(10), true, true, 10),
            facts("show", Some(700), true, false, 10),
            acked,
            rehearsed,
        ];
        assert_eq!(planned(&sessions, 89), ["older FullAcked"]);
        assert_eq!(planned(&sessions, 75), ["older FullAcked", "running -5"]);
        let all = [
            "older FullAcked",
            "running -5",
            "newer FullAcked",
            "rehearsed -12",
            "show Full",
        ];
        assert_eq!(
            planned(&sessions, 64),
            all[..4]
                .iter()
                .map(|told| told.replace("12", "1"))
                .collect::<Vec<_>>()
        );
        assert_eq!(planned(&sessions, 53), all[..4]);
        assert_eq!(planned(&sessions, 43), all);
    }

    #[test]
    fn running_sessions_are_cut_at_one_time() {
        let sessions = [
            running("high", 60, 120),
            running("low", 60, 60),
            running("late", 30, 60),
        ];
        assert_eq!(planned(&sessions, 240), [""; 0]);
        assert_eq!(planned(&sessions, 210), ["high -20", "low -10"]);
        assert_eq!(planned(&sessions, 150), ["high -60", "low -30"]);
        assert_eq!(planned(&sessions, 0), ["high -112", "low -52", "late -52"]);
    }

    #[test]
    fn an_index_is_not_taken_for_a_head() {
        let sessions = [Facts {
            kept_from: 90 * MIB,
            sent: 100 * MIB,
            ..running("long", 600, 40)
        }];
        assert_eq!(planned(&sessions, 0), ["long -2"]);
    }

    #[test]
    fn too_many_sessions() {
        let many = |input: &str, count: i64, mib| -> Vec<Facts> {
            let session = |n| Facts {
                input: input.to_owned(),
                sent: 5,
                ..facts(&format!("{input}{n}"), Some(5000 - n), true, false, mib)
            };
            (0..count).map(session).collect()
        };
        let mut sessions = [
            many("shows", 2, 0),
            many("flapping", 1999, 0),
            many("other", 2, 0),
        ]
        .concat();
        assert_eq!(sessions.len(), 2003);
        assert_eq!(
            planned(&sessions, 10),
            ["flapping0 TooMany", "flapping1 TooMany", "flapping2 TooMany"]
        );
        sessions[2].size = MIB;
        assert_eq!(
            planned(&sessions, 10),
            ["flapping1 TooMany", "flapping2 TooMany", "flapping3 TooMany"],
            "its show stays"
        );
        sessions.truncate(2000);
        assert_eq!(planned(&sessions, 10), [""; 0]);
    }
}
