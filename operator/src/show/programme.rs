//! A Show as far as its slots go: those that have begun, as they began, and those that are near. No IO, no clock.
//!
//! A slot that has begun stays as it was when it began: the Show's status remembers it. Everything else follows from the spec
//! and the time, so that whoever asks, and however often, is told the same.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use radio_crds::{
    ON_AIR_ANNOTATION, Show, ShowStatus,
    show::{GoLive, SlotUnderWay},
};

use super::slots::{Slot, Slots, Timetable};

/// So long before a slot starts its Recording is made, so that it is there in time.
pub const LEAD: SignedDuration = SignedDuration::from_mins(15);
/// A slot that ended so long ago is past: no tape has it for sure.
pub const PAST: SignedDuration = SignedDuration::from_hours(24);
/// The longest slot.
const LONGEST: SignedDuration = SignedDuration::from_hours(20);
/// After an absence no more slots than these get a Recording of their own; what was on air in others is on the tape, and in
/// unscheduled ones.
const MOST_LATE: usize = 64;

/// A Show as far as its slots go. One that is refused has those that have begun, and no others.
#[derive(Clone, Debug)]
pub struct Programme {
    /// Its name.
    pub show: String,
    /// When it was made: of two with the same slot, the older one has it.
    pub since: Timestamp,
    /// The Mount.
    pub mount: String,
    /// Of a Mount with a `*`: the key that stands for it.
    pub input: Option<String>,
    /// When it is on; absent: what is written is no schedule.
    pub timetable: Option<Timetable>,
    /// When its presenters may do what.
    pub rules: Rules,
    /// There are no new slots.
    pub suspended: bool,
    /// When somebody said that presenters are to go on air.
    pub on_air: Option<Timestamp>,
}

/// When presenters may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// So long before the start they may connect.
    pub early_connect: SignedDuration,
    /// So long after the end they are on air.
    pub overrun: SignedDuration,
    /// They are disconnected at the end.
    pub hard_end: bool,
    /// When they go on air.
    pub go_live: GoLive,
}

impl Rules {
    fn of(show: &Show) -> Self {
        let seconds = |asked: Option<u32>| SignedDuration::from_secs(asked.unwrap_or_default().into());
        Self {
            early_connect: seconds(show.spec.early_connect_seconds()),
            overrun: seconds(show.spec.overrun_seconds()),
            hard_end: show.spec.hard_end(),
            go_live: show.spec.go_live(),
        }
    }
}

impl Programme {
    /// What a Show says, as far as it makes sense.
    #[must_use]
    pub fn of(show: &Show) -> Self {
        let on_air = show.annotations().get(ON_AIR_ANNOTATION);
        let since = show.metadata.creation_timestamp.as_ref();
        Self {
            show: show.name_any(),
            since: since.map_or(Timestamp::MAX, |since| since.0),
            mount: show.spec.mount_ref.name.clone(),
            input: show.spec.input.clone(),
            timetable: Timetable::of(&show.spec.schedule).ok(),
            rules: Rules::of(show),
            suspended: show.spec.is_suspended(),
            on_air: on_air.and_then(|instant| instant.parse().ok()),
        }
    }

    /// Whether both are on at the same place, so that only one of them can be.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.show != other.show && self.mount == other.mount && self.input == other.input
    }

    /// A slot by the spec as it is now.
    #[must_use]
    pub fn opened(&self, slot: Slot) -> SlotUnderWay {
        let Rules {
            early_connect,
            overrun,
            hard_end,
            go_live,
        } = self.rules;
        let opens = earlier(slot.start, early_connect);
        let closes = later(slot.end, overrun);
        let said = self.on_air.filter(|said| (opens..closes).contains(said));
        SlotUnderWay {
            start: slot.start,
            end: slot.end,
            opens,
            closes,
            live_from: match go_live {
                GoLive::OnConnect => Some(opens),
                GoLive::AtStart => Some(slot.start),
                GoLive::Manual => said,
            },
            hard_end,
            recording: None,
            on_air_since: None,
            taken_by: None,
        }
    }

    /// A slot that has begun, and in which somebody may have said meanwhile that presenters are to go on air.
    fn gone_on(&self, slot: &SlotUnderWay) -> SlotUnderWay {
        let said = self
            .on_air
            .filter(|said| (slot.opens..slot.closes).contains(said));
        SlotUnderWay {
            live_from: slot.live_from.or(said),
            ..slot.clone()
        }
    }

    /// Slots that have begun, as they began.
    #[must_use]
    pub fn begun(&self, before: &ShowStatus, now: Timestamp) -> Vec<SlotUnderWay> {
        let begun = before.under_way.iter().filter(|slot| slot.start <= now);
        begun.map(|slot| self.gone_on(slot)).collect()
    }

    /// Slots to come that the Show has by its spec, from an instant on that is not past, most of them at once.
    #[must_use]
    pub fn to_come(&self, begun: &[SlotUnderWay], from: Timestamp, most: usize) -> Vec<Slot> {
        let Some(timetable) = self.timetable.as_ref().filter(|_| !self.suspended) else {
            return Vec::new();
        };
        // What has begun is on to its end, whatever the timetable says now.
        let free_from = begun.iter().filter(|slot| slot.start < from).map(|slot| slot.end);
        timetable.next(free_from.fold(from, Timestamp::max), most)
    }

    /// The same, of those that start in a stretch of time; and the starts that are left out.
    #[must_use]
    pub fn between(&self, begun: &[SlotUnderWay], from: Timestamp, to: Timestamp) -> Slots {
        let Some(timetable) = self.timetable.as_ref().filter(|_| !self.suspended) else {
            return Slots::default();
        };
        let mut slots = timetable.between(from, to);
        let is_in_one = |start: Timestamp| begun.iter().any(|slot| slot.start < start && start < slot.end);
        let (hit, free): (Vec<Slot>, Vec<Slot>) = slots.slots.iter().partition(|slot| is_in_one(slot.start));
        slots.slots = free;
        slots.left_out.extend(hit.iter().map(|slot| slot.start));
        slots.left_out.sort_unstable();
        slots
    }

    /// Slots that began and that the status knows nothing of: the operator was away, or the Show is new. What is over was
    /// promised before it began, by the spec that still counts; else nobody was told of it.
    fn missed_beginning(&self, before: &ShowStatus, begun: &[SlotUnderWay], now: Timestamp) -> Vec<Slot> {
        let from = earlier(now, PAST + LONGEST);
        let from = before.seen_until.map_or(from, |seen| from.max(just_after(seen)));
        let promised = before.next_slot.as_ref().map(|next| next.start);
        let is_due = |slot: &Slot| {
            let is_promised = promised.is_some_and(|promised| slot.start >= promised);
            slot.end > now || (is_promised && slot.end > earlier(now, PAST))
        };
        let is_new = |slot: &Slot| begun.iter().all(|other| other.start != slot.start);
        let mut slots = self.between(begun, from, just_after(now)).slots;
        slots.retain(|slot| is_due(slot) && is_new(slot));
        slots.split_off(slots.len().saturating_sub(MOST_LATE))
    }

    /// Every slot that matters now: begun, begun unseen, about to start. The oldest first.
    #[must_use]
    pub fn around(&self, before: &ShowStatus, now: Timestamp) -> Vec<SlotUnderWay> {
        let begun = self.begun(before, now);
        let unseen = self.missed_beginning(before, &begun, now);
        let mut known = begun.clone();
        known.extend(unseen.into_iter().map(|slot| self.opened(slot)));
        let soon = self.between(&known, just_after(now), just_after(later(now, LEAD)));
        known.extend(soon.slots.into_iter().map(|slot| self.opened(slot)));
        known.sort_by_key(|slot| slot.start);
        known
    }
}

/// So much before.
pub(super) fn earlier(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// So much after.
pub(super) fn later(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The first instant after it.
pub(super) fn just_after(instant: Timestamp) -> Timestamp {
    later(instant, SignedDuration::from_nanos(1))
}
