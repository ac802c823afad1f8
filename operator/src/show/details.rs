//! Step 5, first half: what the status says beside conditions. Nothing in it changes as time goes by. No IO, no clock.

use jiff::Timestamp;
use radio_crds::{
    Show, ShowStatus,
    show::{CurrentSlot, PastSlot, SlotUnderWay},
};

use super::{aired, fetch::Fetched, plan::Plan};

/// Slots that are over, as many as a status lists.
const LISTED: usize = 8;

/// What the status says beside conditions. Notices, and what was deleted, are others' to tell.
#[must_use]
pub fn details(show: &Show, plan: &Plan, fetched: &Fetched, now: Timestamp) -> ShowStatus {
    let before = show.status.clone().unwrap_or_default();
    let mount = &show.spec.mount_ref.name;
    let on_air = aired::on_air(mount, show.spec.input.as_deref(), &fetched.sessions);
    let recording = |name: &Option<String>| name.as_ref().and_then(|name| fetched.recording(name));
    let heard = |slot: &SlotUnderWay| SlotUnderWay {
        on_air_since: aired::since(slot, &on_air, recording(&slot.recording), now),
        ..slot.clone()
    };
    let under_way: Vec<SlotUnderWay> = plan.under_way.iter().map(heard).collect();
    let closed = plan.closed.iter().map(heard);
    let closed = closed.map(|slot| aired::past(&slot, None, recording(&slot.recording)));
    let listed = before.slots.iter();
    let listed = listed.map(|slot| aired::reviewed(slot, recording(&slot.recording)));
    ShowStatus {
        next_slot: plan.next,
        slot: current(&under_way, now),
        under_way,
        slots: newest(closed.chain(listed)),
        seen_until: Some(plan.seen_until),
        ..before
    }
}

/// The one that started last and is not over.
fn current(under_way: &[SlotUnderWay], now: Timestamp) -> Option<CurrentSlot> {
    let is_on = |slot: &&SlotUnderWay| slot.start <= now && now < slot.closes;
    let slot = under_way.iter().filter(is_on).max_by_key(|slot| slot.start)?;
    Some(CurrentSlot {
        start: slot.start,
        end: slot.end,
        recording: slot.recording.clone(),
        on_air_since: slot.on_air_since,
    })
}

fn newest(slots: impl Iterator<Item = PastSlot>) -> Vec<PastSlot> {
    let mut newest: Vec<PastSlot> = Vec::new();
    for slot in slots {
        if newest.iter().all(|other| other.start != slot.start) {
            newest.push(slot);
        }
    }
    newest.sort_by_key(|slot| std::cmp::Reverse(slot.start));
    newest.truncate(LISTED);
    newest
}

#[cfg(test)]
#[path = "details_tests.rs"]
mod tests;
