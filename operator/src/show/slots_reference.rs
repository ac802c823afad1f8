//! What slots have to be, worked out in another way and by nothing that the operator uses: every minute of the world's time is
//! looked at, with calendar, cron and zones of its own. Only for tests.

use std::collections::BTreeSet;

use jiff::Timestamp;

/// Minutes that are named for themselves, in each part of a cron, as bits. It knows `*`, lists, ranges, steps and names.
struct Marks {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Marks {
    fn of(cron: &str) -> Self {
        let parts: Vec<&str> = cron.split(' ').collect();
        let bits = |part: &str, first: u32, last: u32, names: &[&str]| {
            let number = |text: &str| {
                let named = names.iter().position(|name| *name == text);
                named.map_or_else(
                    || text.parse().unwrap(),
                    |place| u32::try_from(place).unwrap() + first,
                )
            };
            let mut bits = 0_u64;
            for item in part.split(',') {
                let (range, step) = item.split_once('/').unwrap_or((item, "1"));
                let (low, high) = match (range, range.split_once('-')) {
                    ("*", _) => (first, last),
                    (_, Some((low, high))) => (number(low), number(high)),
                    (one, None) => (number(one), number(one)),
                };
                for at in (low..=high).step_by(step.parse().unwrap()) {
                    bits |= 1 << at;
                }
            }
            bits
        };
        Self {
            minutes: bits(parts[0], 0, 59, &[]),
            hours: bits(parts[1], 0, 23, &[]),
            days: bits(parts[2], 1, 31, &[]),
            months: bits(parts[3], 1, 12, &MONTHS),
            weekdays: bits(parts[4], 0, 6, &WEEKDAYS),
            either_day: parts[2] != "*" && parts[4] != "*",
        }
    }

    fn has(&self, clock: &Clock) -> bool {
        let is = |bits: u64, at: i64| bits >> at & 1 == 1;
        let (day, weekday) = (is(self.days, clock.day), is(self.weekdays, clock.weekday));
        is(self.minutes, clock.minute)
            && is(self.hours, clock.hour)
            && is(self.months, clock.month)
            && if self.either_day {
                day || weekday
            } else {
                day && weekday
            }
    }
}

/// What a clock shows so many minutes after 1970 began, by Hinnant's calendar.
struct Clock {
    month: i64,
    day: i64,
    weekday: i64,
    hour: i64,
    minute: i64,
}

impl Clock {
    fn showing(minutes: i64) -> Self {
        let days = minutes.div_euclid(1440);
        let of_day = minutes.rem_euclid(1440);
        let era_days = days + 719_468;
        let of_era = era_days.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        Self {
            month: if shifted < 10 { shifted + 3 } else { shifted - 9 },
            day: of_year - (153 * shifted + 2) / 5 + 1,
            weekday: (days + 4).rem_euclid(7),
            hour: of_day / 60,
            minute: of_day % 60,
        }
    }
}

/// A zone, by Python's zoneinfo: minutes east of Greenwich at first, and from which second on so many others.
pub type Zone = (&'static str, i64, &'static [(&'static str, i64)]);

/// Two years of three of them.
pub const ZONES: [Zone; 3] = [
    (
        "Europe/Berlin",
        60,
        &[
            ("2026-03-29T01:00:00Z", 120),
            ("2026-10-25T01:00:00Z", 60),
            ("2027-03-28T01:00:00Z", 120),
            ("2027-10-31T01:00:00Z", 60),
        ],
    ),
    (
        "America/New_York",
        -300,
        &[
            ("2026-03-08T07:00:00Z", -240),
            ("2026-11-01T06:00:00Z", -300),
            ("2027-03-14T07:00:00Z", -240),
            ("2027-11-07T06:00:00Z", -300),
        ],
    ),
    // Half an hour, and the other half of the year.
    (
        "Australia/Lord_Howe",
        660,
        &[
            ("2026-04-04T15:00:00Z", 630),
            ("2026-10-03T15:30:00Z", 660),
            ("2027-04-03T15:00:00Z", 630),
            ("2027-10-02T15:30:00Z", 660),
        ],
    ),
];

/// Crons and lengths of slots.
pub const SHOWS: [(&str, &str); 26] = [
    ("0 20 * * FRI", "2h"),
    ("0 20 * * *", "2h"),
    ("30 2 * * *", "1h"),
    ("0 2 * * *", "30m"),
    ("15 2 * * SUN", "45m"),
    ("30 1 * * *", "90m"),
    ("45 1 * * SUN", "20m"),
    ("0 3 * * *", "1h"),
    ("59 23 * * *", "2h"),
    ("0 0 * * *", "20h"),
    ("30 2,3 * * *", "30m"),
    ("0 * * * *", "1h"),
    ("0 * * * *", "30m"),
    ("*/30 * * * *", "30m"),
    ("*/15 1-4 * * SAT,SUN", "15m"),
    ("0 */2 * * *", "2h"),
    ("0 9-17/4 * * MON-FRI", "4h"),
    ("0 12 1 * *", "6h"),
    ("0 12 31 * *", "6h"),
    ("0 18 13 * FRI", "1h"),
    ("0 18 1,15 JAN-JUN,DEC *", "1h"),
    // These run into the next one.
    ("0 * * * *", "90m"),
    ("0 * * * *", "20h"),
    ("0 9-17 * * *", "90m"),
    ("0 6,18 * * *", "13h"),
    ("0 22,23 * * FRI,SAT", "3h"),
];

/// An instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Minutes since 1970.
pub fn minute_of(text: &str) -> i64 {
    at(text).as_second() / 60
}

/// Minutes at which slots start, one minute of the world's time after the other.
pub fn named((_, first, changes): Zone, cron: &str, from: i64, to: i64) -> Vec<i64> {
    let marks = Marks::of(cron);
    let mut starts = BTreeSet::new();
    let mut east = first;
    let mut changes = changes
        .iter()
        .map(|(when, east)| (minute_of(when), *east))
        .peekable();
    let mut shown_before = i64::MIN;
    for minute in from..to {
        if let Some((_, next)) = changes.next_if(|(when, _)| *when == minute) {
            for jumped in 0..next - east {
                if marks.has(&Clock::showing(minute + east + jumped)) {
                    starts.insert(minute + jumped);
                }
            }
            shown_before = shown_before.max(minute + east);
            east = next;
        }
        let shown = minute + east;
        // What is shown for the second time is none.
        if shown >= shown_before && marks.has(&Clock::showing(shown)) {
            starts.insert(minute);
        }
    }
    starts.into_iter().collect()
}

/// Local day of a minute, counted from 1970.
fn day_in((_, first, changes): Zone, minute: i64) -> i64 {
    let last = changes.iter().rev().find(|(when, _)| minute_of(when) <= minute);
    (minute + last.map_or(first, |last| last.1)).div_euclid(1440)
}

/// Slots as first and last minute: whoever starts while the one before is on has none.
pub fn in_turn(zone: Zone, starts: &[i64], length: i64) -> Vec<(i64, i64)> {
    let mut slots: Vec<(i64, i64)> = Vec::new();
    for (place, start) in starts.iter().enumerate() {
        let today = day_in(zone, *start);
        let before = place.checked_sub(1).map(|place| starts[place]);
        let is_alone = |place: usize| place == 0 || starts[place] - starts[place - 1] >= length;
        let of_yesterday = (0..place)
            .rev()
            .take_while(|place| day_in(zone, starts[*place]) >= today - 1);
        let chained = place > 0 && !of_yesterday.clone().any(is_alone);
        let first_today = before.is_none_or(|before| day_in(zone, before) < today);
        if let Some(last) = slots.last_mut()
            && last.1 > *start
        {
            if !(first_today && chained) {
                continue;
            }
            last.1 = *start;
        }
        slots.push((*start, start + length));
    }
    slots
}
