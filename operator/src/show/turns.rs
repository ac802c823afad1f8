//! When presenters of a Show may send, as the ingest is told. No IO, no clock.

use ingest::config::Turn;
use jiff::{SignedDuration, Timestamp};
use radio_crds::{ShowStatus, show::SlotUnderWay};

use super::{
    plan::{Claim, wait_for_others},
    programme::{LEAD, Programme, just_after, later},
};

/// As many slots to come are told ahead.
const MOST: usize = 8;
/// And none that opens later than that: nobody is without an operator for so long.
const AHEAD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The turns that are not over, and those that come next, the earliest first. `others` are claims of other Shows there.
#[must_use]
pub fn turns(programme: &Programme, before: &ShowStatus, others: &[Claim], now: Timestamp) -> Vec<Turn> {
    let has_begun = |slot: &SlotUnderWay| {
        slot.start <= now && before.under_way.iter().any(|known| known.start == slot.start)
    };
    let around = programme.around(before, now);
    let after = programme.to_come(&around, just_after(later(now, LEAD)), MOST);
    let after = after.into_iter().map(|slot| programme.opened(slot));
    let (begun, to_come): (Vec<_>, Vec<_>) = around
        .iter()
        .cloned()
        .chain(after)
        .filter(|slot| slot.closes > now)
        .map(|mut slot| {
            if !has_begun(&slot) {
                wait_for_others(&mut slot, others);
            }
            slot
        })
        .partition(|slot| slot.start <= now);
    let to_come = to_come
        .into_iter()
        .take(MOST)
        .filter(|slot| slot.opens <= later(now, AHEAD));
    begun.into_iter().chain(to_come).map(|slot| turn(&slot)).collect()
}

fn turn(slot: &SlotUnderWay) -> Turn {
    Turn {
        start: slot.start,
        end: slot.end,
        opens: slot.opens,
        closes: slot.closes,
        live_from: slot.live_from,
        live_until: slot.closes,
        hard_end: slot.hard_end,
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
