//! Which slots of a Show are prepared, under way and over, and which Recordings they get. No IO, no clock.
//!
//! A Recording of a slot has one name, whoever makes it and how often: it is made once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use radio_crds::{
    ShowStatus,
    show::{SlotTime, SlotUnderWay},
};

use super::{
    programme::{LEAD, Programme, earlier, just_after, later},
    slots::Slot,
};
use crate::mount::recording_name::name_of;

/// How far ahead slots are looked at: farther than presenters are told of theirs.
const AHEAD: SignedDuration = SignedDuration::from_hours(8 * 24);
/// How far ahead starts that are left out are told.
const TOLD_AHEAD: SignedDuration = SignedDuration::from_hours(7 * 24);
/// As many as the status takes.
const MOST_UNDER_WAY: usize = 16;
/// A Recording is at least so many seconds long.
const SHORTEST: u32 = 60;

/// A slot that a Show lays claim to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The Show.
    pub show: String,
    /// When that was made.
    pub since: Timestamp,
    /// The slot.
    pub slot: Slot,
    /// It began as this Show's.
    pub is_held: bool,
}

/// What is known beside a Show and its status.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Claims of the other Shows at the same place.
    pub others: &'a [Claim],
    /// Names of the Recordings that are there.
    pub there: &'a BTreeSet<String>,
    /// Recordings are to be made, and there is somewhere to put them.
    pub has_storage: bool,
}

/// What is to be done, and how things are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Slots from when they are prepared to the end of their overrun, the oldest first.
    pub under_way: Vec<SlotUnderWay>,
    /// Slots that are over since the status was written, the oldest first.
    pub closed: Vec<SlotUnderWay>,
    /// The first one that has not started.
    pub next: Option<SlotTime>,
    /// Every slot that starts up to here has been dealt with.
    pub seen_until: Timestamp,
    /// Recordings that are not there.
    pub make: Vec<Wanted>,
    /// Recordings that were made ahead for slots that are none any longer. Nothing of them has happened.
    pub withdrawn: Vec<String>,
    /// The next start that is left out because the slot before is not over then.
    pub overlapped: Option<Timestamp>,
    /// Slots that another Show has, and which.
    pub taken: Vec<(Timestamp, String)>,
    /// When the answer is another one, if nothing else changes.
    pub wake_at: Option<Timestamp>,
}

/// A Recording that a slot needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The slot starts, and so does it.
    pub from: Timestamp,
    /// It ends: with the overrun, unless somebody else's slot begins in it.
    pub until: Timestamp,
    /// The slot ends.
    pub slot_end: Timestamp,
    /// How long it may get.
    pub max_length_seconds: u32,
}

/// Decides.
#[must_use]
pub fn plan(programme: &Programme, before: &ShowStatus, seen: &Seen, now: Timestamp) -> Plan {
    let around = programme.around(before, now);
    let starts = starts(programme, &around, seen.others, now);
    let mut plan = Plan {
        seen_until: seen_until(before, &around, now),
        ..Plan::default()
    };
    for mut slot in around.clone() {
        let known = before.under_way.iter().find(|known| known.start == slot.start);
        let held = known.filter(|known| known.start <= now);
        slot.taken_by = if let Some(held) = held {
            held.taken_by.clone()
        } else {
            wait_for_others(&mut slot, seen.others);
            taken_by(programme, slot.start, seen.others)
        };
        if let Some(by) = &slot.taken_by {
            plan.taken.push((slot.start, by.clone()));
        }
        let name = name_of(&programme.mount, programme.input.as_deref(), slot.start);
        let is_over = slot.closes <= now;
        // One that was deleted is made again while its slot goes on, not afterwards.
        let is_wanted = seen.has_storage && slot.taken_by.is_none() && (!is_over || known.is_none());
        if is_wanted && !seen.there.contains(&name) {
            plan.make.push(wanted(name.clone(), &slot, &starts));
        }
        slot.recording = (is_wanted || slot.recording.is_some()).then_some(name);
        if is_over {
            plan.closed.push(slot);
        } else {
            plan.under_way.push(slot);
        }
    }
    plan.withdrawn = withdrawn(before, &plan.under_way, now);
    crowd_out(&mut plan, now);
    look_ahead(&mut plan, programme, &around, now);
    plan
}

/// Slots at the same place, of all Shows: where a Recording that overruns has to end.
fn starts(
    programme: &Programme,
    around: &[SlotUnderWay],
    others: &[Claim],
    now: Timestamp,
) -> BTreeSet<Timestamp> {
    let own = ahead(programme, around, now);
    let own = around
        .iter()
        .map(|slot| slot.start)
        .chain(own.iter().map(|slot| slot.start));
    own.chain(others.iter().map(|claim| claim.slot.start)).collect()
}

/// Slots that are not near yet.
fn ahead(programme: &Programme, around: &[SlotUnderWay], now: Timestamp) -> Vec<Slot> {
    let (from, to) = (just_after(later(now, LEAD)), later(now, AHEAD));
    programme.between(around, from, to).slots
}

/// Only what has started has been dealt with: until then it may still be moved. A slot that is over leaves no trace, so that
/// what would have started in it is counted as seen then.
fn seen_until(before: &ShowStatus, around: &[SlotUnderWay], now: Timestamp) -> Timestamp {
    let first_sight = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let seen = before.seen_until.unwrap_or(first_sight);
    let begun = around.iter().filter(|slot| slot.start <= now).map(|slot| {
        if slot.end <= now {
            earlier(slot.end, SignedDuration::from_secs(1)).max(slot.start)
        } else {
            slot.start
        }
    });
    begun.fold(seen, Timestamp::max)
}

/// Who has a slot with this start, if it is not this Show: whoever it began with, else the oldest.
fn taken_by(programme: &Programme, start: Timestamp, others: &[Claim]) -> Option<String> {
    let rank = |claim: &Claim| (!claim.is_held, claim.since, claim.show.clone());
    let own = (true, programme.since, programme.show.clone());
    let first = others
        .iter()
        .filter(|claim| claim.slot.start == start)
        .min_by_key(|claim| rank(claim));
    first
        .filter(|first| rank(first) < own)
        .map(|first| first.show.clone())
}

/// Who connects ahead of the slot, and perhaps to an input that is heard before others, does not talk over the Show before.
pub(super) fn wait_for_others(slot: &mut SlotUnderWay, others: &[Claim]) {
    if slot.live_from != Some(slot.opens) {
        return;
    }
    let before = others.iter().filter(|claim| claim.slot.start < slot.start);
    let over = before.map(|claim| claim.slot.end.min(slot.start)).max();
    slot.live_from = slot.live_from.max(over);
}

/// Until the end of the overrun; what is on air after the next slot began is in that one's Recording.
fn until(slot: &SlotUnderWay, starts: &BTreeSet<Timestamp>) -> Timestamp {
    let next = starts.range(slot.end..).next();
    next.map_or(slot.closes, |next| slot.closes.min(*next))
        .max(slot.end)
}

fn wanted(name: String, slot: &SlotUnderWay, starts: &BTreeSet<Timestamp>) -> Wanted {
    let until = until(slot, starts);
    let seconds = until.duration_since(slot.start).as_secs();
    Wanted {
        name,
        from: slot.start,
        until,
        slot_end: slot.end,
        max_length_seconds: u32::try_from(seconds).unwrap_or(u32::MAX).max(SHORTEST),
    }
}

/// What was prepared for a slot that is none any longer: nothing of it has happened.
fn withdrawn(before: &ShowStatus, under_way: &[SlotUnderWay], now: Timestamp) -> Vec<String> {
    let prepared = before.under_way.iter().filter(|slot| slot.start > now);
    let is_wanted = |name: &String| under_way.iter().any(|slot| slot.recording.as_ref() == Some(name));
    let names = prepared.filter_map(|slot| slot.recording.clone());
    names.filter(|name| !is_wanted(name)).collect()
}

/// The status has only so many places: first those go that are in their overrun, then those that are farthest away.
fn crowd_out(plan: &mut Plan, now: Timestamp) {
    while plan.under_way.len() > MOST_UNDER_WAY {
        match plan.under_way.iter().position(|slot| slot.end <= now) {
            Some(place) => plan.closed.push(plan.under_way.remove(place)),
            None => plan.under_way.truncate(MOST_UNDER_WAY),
        }
    }
}

fn look_ahead(plan: &mut Plan, programme: &Programme, around: &[SlotUnderWay], now: Timestamp) {
    let next = programme.to_come(around, just_after(now), 1);
    plan.next = next.first().map(|slot| SlotTime {
        start: slot.start,
        end: slot.end,
    });
    let left_out = programme.between(around, now, later(now, TOLD_AHEAD)).left_out;
    plan.overlapped = left_out.first().copied();
    let to_prepare = programme.to_come(around, just_after(later(now, LEAD)), 1);
    let to_prepare = to_prepare
        .iter()
        .filter_map(|slot| slot.start.checked_sub(LEAD).ok());
    let turns = plan
        .under_way
        .iter()
        .flat_map(|slot| [slot.start, slot.end, slot.closes]);
    plan.wake_at = turns.chain(to_prepare).filter(|instant| *instant > now).min();
}

/// What a Show lays claim to, for the others at the same place.
#[must_use]
pub fn claims(programme: &Programme, before: &ShowStatus, now: Timestamp) -> Vec<Claim> {
    let around = programme.around(before, now);
    let claim = |slot: Slot, is_held: bool| Claim {
        show: programme.show.clone(),
        since: programme.since,
        slot,
        is_held,
    };
    let is_held = |slot: &SlotUnderWay| {
        slot.start <= now && before.under_way.iter().any(|known| known.start == slot.start)
    };
    let near = around.iter().filter(|slot| slot.taken_by.is_none()).map(|slot| {
        let times = Slot {
            start: slot.start,
            end: slot.end,
        };
        claim(times, is_held(slot))
    });
    let ahead = ahead(programme, &around, now);
    near.chain(ahead.into_iter().map(|slot| claim(slot, false)))
        .collect()
}

/// A stretch of time at a place that is a slot's own: its Recording is there, or comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Of a Mount with a `*`: the key that stands for it.
    pub input: Option<String>,
    /// The slot starts.
    pub from: Timestamp,
    /// Its Recording ends.
    pub until: Timestamp,
    /// The name of its Recording.
    pub recording: String,
}

/// What is reserved at a Mount for the slots of these Shows, the earliest first: those that are near, those to come, and
/// those whose Recording is gone already, while a tape may still have them.
#[must_use]
pub fn reserved(shows: &[(Programme, ShowStatus)], now: Timestamp) -> Vec<Reserved> {
    let claimed: Vec<Vec<Claim>> = shows
        .iter()
        .map(|(programme, before)| claims(programme, before, now))
        .collect();
    let mut reserved = Vec::new();
    for (programme, before) in shows {
        let beside = shows
            .iter()
            .zip(&claimed)
            .filter(|((other, _), _)| other.is_beside(programme));
        let others: Vec<Claim> = beside.flat_map(|(_, claims)| claims.clone()).collect();
        reserved.extend(reserved_by(programme, before, &others, now));
    }
    reserved.sort_by(|a, b| (a.from, &a.recording).cmp(&(b.from, &b.recording)));
    reserved.dedup_by(|a, b| a.recording == b.recording);
    reserved
}

fn reserved_by(
    programme: &Programme,
    before: &ShowStatus,
    others: &[Claim],
    now: Timestamp,
) -> Vec<Reserved> {
    let seen = Seen {
        others,
        there: &BTreeSet::new(),
        has_storage: true,
    };
    let plan = plan(programme, before, &seen, now);
    let ahead = ahead(programme, &plan.under_way, now);
    let ahead = ahead
        .into_iter()
        .filter(|slot| taken_by(programme, slot.start, others).is_none());
    let past = before
        .slots
        .iter()
        .filter(|slot| slot.recording.is_some())
        .map(|slot| Slot {
            start: slot.start,
            end: slot.end,
        });
    let by_spec = ahead.chain(past).map(|slot| programme.opened(slot));
    let near = plan
        .under_way
        .iter()
        .chain(&plan.closed)
        .filter(|slot| slot.recording.is_some());
    let starts = starts(programme, &plan.under_way, others, now);
    let reserve = |slot: SlotUnderWay| Reserved {
        input: programme.input.clone(),
        from: slot.start,
        until: until(&slot, &starts),
        recording: name_of(&programme.mount, programme.input.as_deref(), slot.start),
    };
    near.cloned().chain(by_spec).map(reserve).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
