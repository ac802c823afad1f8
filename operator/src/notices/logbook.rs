//! What was found wrong with a Show's slots and who knows, as its status remembers it. No IO, no clock.
//!
//! ```text
//! Due -> Told -> Over -> Recovered        each kind at most once for each slot
//!  '--> Undelivered --^
//! ```

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Unit};
use radio_crds::show::{Notice, NoticeKind, NoticeState, NoticeWay};

use super::judge::Finding;

/// How long it is tried to tell somebody.
pub const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The most a status holds.
const LONGEST: usize = 48;

/// What a way was told: a notice, or that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// When the slot started.
    pub slot: Timestamp,
    /// What was wrong.
    pub kind: NoticeKind,
    /// It is over.
    pub over: bool,
}

/// Takes in what was found of each slot. `slots` are all that there is something known of: what was told of others is
/// forgotten.
#[must_use]
pub fn heed(
    known: &[Notice],
    slots: &[(Timestamp, Vec<Finding>)],
    now: Timestamp,
    words: impl Fn(Timestamp, Finding) -> String,
) -> Vec<Notice> {
    let mut notices = known.to_vec();
    for (slot, findings) in slots {
        for finding in findings {
            let told = notices
                .iter_mut()
                .find(|notice| notice.slot == *slot && is_same(notice.kind, finding.kind));
            match told {
                None if !finding.over => notices.push(Notice {
                    slot: *slot,
                    kind: finding.kind,
                    state: NoticeState::Due,
                    at: second(now),
                    message: words(*slot, *finding),
                    told: Vec::new(),
                    over_told: Vec::new(),
                }),
                Some(notice) if finding.over && ends(notice, finding.kind) => {
                    notice.state = NoticeState::Over;
                    notice.at = second(now);
                    notice.message = words(*slot, *finding);
                }
                _ => {}
            }
        }
    }
    let listed: BTreeSet<Timestamp> = slots.iter().map(|(slot, _)| *slot).collect();
    notices.retain(|notice| listed.contains(&notice.slot) || is_open(notice));
    notices.sort_by_key(|notice| (notice.slot, notice.kind));
    let too_many = notices.len().saturating_sub(LONGEST);
    notices.drain(..too_many);
    notices
}

/// Short and doubtful are two words for one thing: whoever listened knows.
fn is_same(one: NoticeKind, other: NoticeKind) -> bool {
    let finished = |kind| matches!(kind, NoticeKind::Short | NoticeKind::Doubtful);
    one == other || (finished(one) && finished(other))
}

/// What is due is told first: a message that says that something is over is of no use to those who did not know of it.
fn ends(notice: &Notice, kind: NoticeKind) -> bool {
    notice.kind == kind && matches!(notice.state, NoticeState::Told | NoticeState::Undelivered)
}

fn is_open(notice: &Notice) -> bool {
    matches!(notice.state, NoticeState::Due | NoticeState::Over)
}

/// What a way still has to be told, the oldest first.
#[must_use]
pub fn wanted(notices: &[Notice], way: NoticeWay) -> Vec<(Entry, &Notice)> {
    let mut wanted: Vec<(Entry, &Notice)> = notices
        .iter()
        .filter_map(|notice| {
            let over = notice.state == NoticeState::Over;
            let entry = Entry {
                slot: notice.slot,
                kind: notice.kind,
                over,
            };
            let due = match notice.state {
                NoticeState::Due => !notice.told.contains(&way),
                // Who was never told that it is so need not hear that it is not.
                NoticeState::Over => notice.told.contains(&way) && !notice.over_told.contains(&way),
                _ => false,
            };
            due.then_some((entry, notice))
        })
        .collect();
    wanted.sort_by_key(|(_, notice)| notice.at);
    wanted
}

/// Takes in what was delivered, and what all are told, or will not be. `ways`: those the Station has now; absent: it is
/// not known.
pub fn settle(
    notices: &mut [Notice],
    ways: Option<&BTreeSet<NoticeWay>>,
    delivered: &BTreeSet<(Entry, NoticeWay)>,
    now: Timestamp,
) {
    for (entry, way) in delivered {
        let told = notices
            .iter_mut()
            .find(|notice| notice.slot == entry.slot && notice.kind == entry.kind);
        if let Some(notice) = told {
            let list = if entry.over {
                &mut notice.over_told
            } else {
                &mut notice.told
            };
            if !list.contains(way) {
                list.push(*way);
                list.sort();
            }
        }
    }
    for notice in notices {
        let next = match notice.state {
            NoticeState::Due => told_to_all(&notice.told, ways, |_| true).then_some(NoticeState::Told),
            NoticeState::Over => {
                let knew = |way: &NoticeWay| notice.told.contains(way);
                told_to_all(&notice.over_told, ways, knew).then_some(NoticeState::Recovered)
            }
            _ => None,
        };
        let late = is_open(notice) && now.duration_since(notice.at) >= TRIED_FOR;
        let given_up = late.then_some(match notice.state {
            NoticeState::Over => NoticeState::Recovered,
            _ => NoticeState::Undelivered,
        });
        if let Some(state) = next.or(given_up) {
            notice.state = state;
            notice.at = second(now);
        }
    }
}

fn told_to_all(
    told: &[NoticeWay],
    ways: Option<&BTreeSet<NoticeWay>>,
    concerned: impl Fn(&NoticeWay) -> bool,
) -> bool {
    ways.is_some_and(|ways| {
        ways.iter()
            .filter(|way| concerned(way))
            .all(|way| told.contains(way))
    })
}

/// As precise as people need it.
fn second(instant: Timestamp) -> Timestamp {
    instant.round(Unit::Second).unwrap_or(instant)
}

#[cfg(test)]
#[path = "logbook_tests.rs"]
mod tests;
