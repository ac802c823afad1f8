//! When a Show is on: its slots, in UTC, from a cron, a zone and a duration. No IO, no clock.
//!
//! What a schedule means does not depend on who asks when: the same slots come out whatever stretch of time is looked at.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use radio_crds::{
    quantity,
    show::{DEFAULT_TIME_ZONE, Schedule},
};

use crate::text::InvalidText;

/// A slot is at least so long.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
/// And at most so long: with its overrun it has to fit into one Recording.
const LONGEST: SignedDuration = SignedDuration::from_hours(20);
/// No clock was ever put forward or back by more than a day.
const GREATEST_JUMP: SignedDuration = SignedDuration::from_hours(25);
/// A stretch that is looked at in one go.
const STRETCH: SignedDuration = SignedDuration::from_hours(24);
/// No cron that fits into this says more than people do.
const LONGEST_CRON: usize = 100;
/// A cron that names no day from here on names none.
const SOMETIME: DateTime = DateTime::constant(2023, 1, 1, 0, 0, 0, 0);

/// One occurrence of a Show, without the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// It starts.
    pub start: Timestamp,
    /// It is over.
    pub end: Timestamp,
}

/// Times that come again and again: a cron as the clocks of a zone show it.
#[derive(Clone, Debug)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

/// When a Show is on.
#[derive(Clone, Debug)]
pub struct Timetable {
    starts: Starts,
    duration: SignedDuration,
}

#[derive(Clone, Debug)]
enum Starts {
    Once(Timestamp),
    Again(Box<Times>),
}

/// What a schedule says of a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Those that start in it, in their order.
    pub slots: Vec<Slot>,
    /// Starts in it that are left out, because the slot before is not over.
    pub left_out: Vec<Timestamp>,
}

fn invalid(field: &str, rule: impl Into<String>) -> InvalidText {
    InvalidText {
        field: field.to_owned(),
        rule: rule.into(),
    }
}

/// Recordings are named after whole seconds.
fn whole(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

impl Times {
    /// Of a cron with five parts, and an IANA zone; `field` is the path of what both are in.
    pub fn parse(field: &str, cron: &str, zone: Option<&str>) -> Result<Self, InvalidText> {
        let (of_cron, of_zone) = (format!("{field}.cron"), format!("{field}.timeZone"));
        let zone = TimeZone::get(zone.unwrap_or(DEFAULT_TIME_ZONE)).map_err(|_| {
            invalid(
                &of_zone,
                "must be the IANA name of a time zone such as Europe/Berlin",
            )
        })?;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        // What the parser says would repeat what was written.
        let five_parts = || {
            invalid(
                &of_cron,
                "must be minute, hour, day of the month, month and day of the week, such as '0 20 * * FRI'",
            )
        };
        let fits = cron.is_ascii() && cron.len() <= LONGEST_CRON && cron.split_whitespace().count() == 5;
        let cron = Some(cron).filter(|_| fits).ok_or_else(five_parts)?;
        let cron = parser.parse(cron).map_err(|_| five_parts())?;
        let times = Self { cron, zone };
        if times.after(SOMETIME).next().is_none() {
            return Err(invalid(&of_cron, "must name a day that there is: it never comes"));
        }
        Ok(times)
    }

    /// When they come in a stretch of time, without its end. A time that the clocks leave out comes as much later as they
    /// jump; one that they show twice comes once, at first.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let first = self.clock(from.saturating_sub(GREATEST_JUMP).unwrap_or(Timestamp::MIN));
        let last = self.clock(to.saturating_add(GREATEST_JUMP).unwrap_or(Timestamp::MAX));
        let mut times: Vec<Timestamp> = self
            .after(first)
            .take_while(|shown| *shown <= last)
            .filter_map(|shown| self.instant(shown))
            .filter(|instant| (from..to).contains(instant))
            .collect();
        // One that was left out may come after, or together with, one that was not.
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The first one from there on.
    #[must_use]
    pub fn next(&self, from: Timestamp) -> Option<Timestamp> {
        let first = self.clock(from.saturating_sub(GREATEST_JUMP).unwrap_or(Timestamp::MIN));
        let found = self
            .after(first)
            .filter_map(|shown| self.instant(shown))
            .find(|instant| *instant >= from)?;
        let just_after = found.saturating_add(SignedDuration::from_nanos(1)).ok()?;
        self.between(from, just_after).first().copied()
    }

    /// What the clocks show that the cron names, from there on.
    fn after(&self, first: DateTime) -> impl Iterator<Item = DateTime> {
        let next = |from: &DateTime, inclusive| self.cron.find_next_occurrence(from, inclusive).ok();
        std::iter::successors(next(&first, true), move |shown| next(shown, false))
    }

    fn clock(&self, instant: Timestamp) -> DateTime {
        self.zone.to_datetime(instant)
    }

    fn instant(&self, shown: DateTime) -> Option<Timestamp> {
        let zoned = self.zone.to_ambiguous_zoned(shown).compatible();
        zoned.ok().map(|zoned| zoned.timestamp())
    }

    fn day(&self, instant: Timestamp) -> Date {
        self.clock(instant).date()
    }

    /// When the day before that one begins, there.
    fn day_before(&self, instant: Timestamp) -> Timestamp {
        let day = self.day(instant).yesterday().ok();
        let begins = day.and_then(|day| self.instant(day.to_datetime(jiff::civil::Time::midnight())));
        begins.unwrap_or(Timestamp::MIN)
    }
}

impl Timetable {
    /// What a Show says.
    pub fn of(asked: &Schedule) -> Result<Self, InvalidText> {
        const FIELD: &str = "spec.schedule";
        let seconds =
            quantity::seconds(&asked.duration).map(|seconds| SignedDuration::from_secs(seconds.into()));
        let duration = seconds
            .filter(|duration| (SHORTEST..=LONGEST).contains(duration))
            .ok_or_else(|| invalid("spec.schedule.duration", "must be a time from 1m to 20h"))?;
        let starts = match (&asked.cron, asked.start) {
            (Some(cron), None) => {
                let times = Times::parse(FIELD, cron, asked.time_zone.as_deref())?;
                Starts::Again(Box::new(times))
            }
            (None, Some(start)) => Starts::Once(whole(start)),
            _ => return Err(invalid(FIELD, "must have exactly one of cron and start")),
        };
        Ok(Self { starts, duration })
    }

    /// How long a slot is.
    #[must_use]
    pub fn duration(&self) -> SignedDuration {
        self.duration
    }

    /// The slots that start in a stretch of time, without its end.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Slots {
        match &self.starts {
            Starts::Once(start) if (from..to).contains(start) => Slots {
                slots: vec![self.slot(*start)],
                left_out: Vec::new(),
            },
            Starts::Once(_) => Slots::default(),
            Starts::Again(times) => self.again(times, from, to),
        }
    }

    /// The slot that starts then, if one does.
    #[must_use]
    pub fn at(&self, start: Timestamp) -> Option<Slot> {
        let just_after = start.saturating_add(SignedDuration::from_nanos(1)).ok()?;
        self.between(start, just_after).slots.first().copied()
    }

    /// The first slots that start from there on, at most so many, however far away they are.
    #[must_use]
    pub fn next(&self, from: Timestamp, most: usize) -> Vec<Slot> {
        let mut found = Vec::new();
        let mut from = from;
        while found.len() < most {
            let start = match &self.starts {
                Starts::Once(start) => Some(*start).filter(|start| *start >= from),
                Starts::Again(times) => times.next(from),
            };
            let Some(stretch) = start.and_then(|start| start.checked_add(STRETCH).ok()) else {
                break;
            };
            found.extend(self.between(from, stretch).slots);
            from = stretch;
        }
        found.truncate(most);
        found
    }

    fn slot(&self, start: Timestamp) -> Slot {
        Slot {
            start,
            end: start.saturating_add(self.duration).unwrap_or(Timestamp::MAX),
        }
    }

    /// A start in the slot before is left out, which depends on whether that one is left out itself, and so on. The chain
    /// begins where nothing that comes before could reach; one that goes on for days is cut at the first start of a day, so
    /// that it need not be followed for ever.
    fn again(&self, times: &Times, from: Timestamp, to: Timestamp) -> Slots {
        let (today, known_from) = (times.day(from), times.day_before(from));
        let before = |instant: Timestamp| instant.saturating_sub(self.duration).unwrap_or(Timestamp::MIN);
        let after = |instant: Timestamp| instant.saturating_add(self.duration).unwrap_or(Timestamp::MAX);
        // The last one may be cut by one that starts later.
        let starts = times.between(before(known_from), after(to));
        let mut chain = Slots::default();
        let mut last: Option<Timestamp> = None;
        let mut free_day: Option<Date> = None;
        for start in starts {
            let is_known = start >= known_from;
            let is_free = is_known && last.is_none_or(|last| after(last) <= start);
            let day = times.day(start);
            let first_of_day = last.is_none_or(|last| times.day(last) < day);
            let yesterday = day.yesterday().ok();
            let is_cut = is_known && first_of_day && free_day < yesterday && day >= today;
            last = Some(start);
            if is_free {
                free_day = Some(day);
            }
            match chain.slots.last_mut() {
                Some(slot) if is_cut && slot.end > start => slot.end = start,
                Some(slot) if slot.end > start => {
                    chain.left_out.push(start);
                    continue;
                }
                None if !is_free && !is_cut => continue,
                _ => {}
            }
            chain.slots.push(self.slot(start));
        }
        chain.slots.retain(|slot| (from..to).contains(&slot.start));
        chain.left_out.retain(|start| (from..to).contains(start));
        chain
    }
}

#[cfg(test)]
#[path = "slots_reference.rs"]
pub(super) mod reference;
#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
