use serde_json::json;

use super::{
    reference::{SHOWS, ZONES, at, in_turn, minute_of, named},
    *,
};

fn timetable(cron: &str, zone: &str, duration: &str) -> Timetable {
    let schedule = json!({"cron": cron, "timeZone": zone, "duration": duration});
    Timetable::of(&serde_json::from_value(schedule).unwrap()).unwrap()
}

fn minutes(slots: &[Slot]) -> Vec<(i64, i64)> {
    let minutes = |slot: &Slot| (slot.start.as_second() / 60, slot.end.as_second() / 60);
    slots.iter().map(minutes).collect()
}

#[test]
fn two_years_in_three_zones_are_as_the_reference_says() {
    let (before, from, to) = (
        minute_of("2025-12-20T00:00:00Z"),
        minute_of("2026-01-01T00:00:00Z"),
        minute_of("2028-01-01T00:00:00Z"),
    );
    let (first, last) = (at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    let mut compared = 0;
    for zone in ZONES {
        for (cron, duration) in SHOWS {
            let length = i64::from(quantity::seconds(duration).unwrap() / 60);
            let starts = named(zone, cron, before, to + length);
            let mut expected = in_turn(zone, &starts, length);
            expected.retain(|slot| (from..to).contains(&slot.0));
            let found = timetable(cron, zone.0, duration).between(first, last);
            assert_eq!(minutes(&found.slots), expected, "{cron} {duration} {}", zone.0);
            let left_out = found.left_out.len();
            let named = starts.iter().filter(|start| (from..to).contains(start)).count();
            assert_eq!(
                found.slots.len() + left_out,
                named,
                "{cron} {duration} {}",
                zone.0
            );
            compared += expected.len();
        }
    }
    println!("{compared} slots compared");
    assert!(compared > 200_000, "{compared}");
}

#[test]
fn the_reference_is_no_mirror() {
    // Berlin's clocks showed this on these days, whatever any program says.
    let night = |cron: &str, zone: usize, day: &str| {
        let from = minute_of(&format!("{day}T00:00:00Z"));
        let told: Vec<String> = named(ZONES[zone], cron, minute_of("2025-12-20T00:00:00Z"), from + 1440)
            .into_iter()
            .filter(|minute| *minute >= from)
            .map(|minute| Timestamp::from_second(minute * 60).unwrap().to_string())
            .collect();
        told
    };
    assert_eq!(night("30 2 * * *", 0, "2026-03-29"), ["2026-03-29T01:30:00Z"]);
    assert_eq!(night("30 2 * * *", 0, "2026-10-25"), ["2026-10-25T00:30:00Z"]);
    assert_eq!(night("30 1 * * *", 1, "2026-11-01"), ["2026-11-01T05:30:00Z"]);
    assert_eq!(night("0 20 * * SUN", 0, "2026-10-25"), ["2026-10-25T19:00:00Z"]);
    assert_eq!(night("45 1 * * SUN", 2, "2026-04-04"), ["2026-04-04T14:45:00Z"]);
}

fn told(slots: &Slots) -> Vec<String> {
    slots
        .slots
        .iter()
        .map(|slot| format!("{} {}", slot.start, slot.end))
        .collect()
}

fn of(cron: &str, zone: &str, duration: &str, from: &str, to: &str) -> Vec<String> {
    told(&timetable(cron, zone, duration).between(at(from), at(to)))
}

#[test]
fn clock_changes() {
    // 02:30 does not exist; half an hour after the jump does. The slot is as long as ever.
    assert_eq!(
        of(
            "30 2 * * *",
            "Europe/Berlin",
            "1h",
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z"
        ),
        [
            "2026-03-29T01:30:00Z 2026-03-29T02:30:00Z",
            "2026-03-30T00:30:00Z 2026-03-30T01:30:00Z"
        ]
    );
    // 02:30 comes twice and counts once.
    assert_eq!(
        of(
            "30 2 * * *",
            "Europe/Berlin",
            "3h",
            "2026-10-24T12:00:00Z",
            "2026-10-25T12:00:00Z"
        ),
        ["2026-10-25T00:30:00Z 2026-10-25T03:30:00Z"]
    );
    // Two that become the same are one.
    assert_eq!(
        of(
            "30 2,3 * * *",
            "Europe/Berlin",
            "1h",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z"
        ),
        ["2026-03-29T01:30:00Z 2026-03-29T02:30:00Z"]
    );
    // One that is put off comes behind one that is not.
    assert_eq!(
        of(
            "0,45 2,3 * * *",
            "Europe/Berlin",
            "15m",
            "2026-03-28T12:00:00Z",
            "2026-03-29T12:00:00Z"
        ),
        [
            "2026-03-29T01:00:00Z 2026-03-29T01:15:00Z",
            "2026-03-29T01:45:00Z 2026-03-29T02:00:00Z"
        ]
    );
}

#[test]
fn clocks_of_all_the_world() {
    // There was no midnight.
    assert_eq!(
        of(
            "0 0 * * *",
            "America/Santiago",
            "1h",
            "2026-09-05T12:00:00Z",
            "2026-09-07T00:00:00Z"
        ),
        ["2026-09-06T04:00:00Z 2026-09-06T05:00:00Z"]
    );
    // There was no such day.
    assert_eq!(
        of(
            "0 12 30 12 *",
            "Pacific/Apia",
            "1h",
            "2011-12-29T00:00:00Z",
            "2012-01-02T00:00:00Z"
        ),
        ["2011-12-30T22:00:00Z 2011-12-30T23:00:00Z"]
    );
    assert_eq!(
        of(
            "0 20 * * *",
            "Asia/Kathmandu",
            "1h",
            "2026-06-01T00:00:00Z",
            "2026-06-02T00:00:00Z"
        ),
        ["2026-06-01T14:15:00Z 2026-06-01T15:15:00Z"]
    );
}

#[test]
fn days_that_people_name() {
    let first = |cron: &str, from: &str| {
        let next = timetable(cron, "UTC", "1h").next(at(from), 1);
        next[0].start.to_string()
    };
    let from = "2026-11-21T00:00:00Z";
    assert_eq!(first("0 20 * * FRI#1", from), "2026-12-04T20:00:00Z");
    assert_eq!(first("0 20 * * FRIL", from), "2026-11-27T20:00:00Z");
    assert_eq!(first("0 20 L * *", from), "2026-11-30T20:00:00Z");
    assert_eq!(first("0 20 29 2 *", from), "2028-02-29T20:00:00Z");
    assert_eq!(first("0 20 * * 7", from), "2026-11-22T20:00:00Z");
    assert_eq!(first("0 20 * * sun", from), "2026-11-22T20:00:00Z");
    assert_eq!(
        first("0 20 * * FRI", "2026-11-20T20:00:00Z"),
        "2026-11-20T20:00:00Z"
    );
    assert_eq!(
        first("0 20 * * FRI", "2026-11-20T20:00:00.5Z"),
        "2026-11-27T20:00:00Z"
    );
}

#[test]
fn the_same_slots_whoever_asks_when() {
    let zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
    let (from, to) = (at("2026-03-20T00:00:00Z"), at("2026-04-10T00:00:00Z"));
    for (cron, duration) in SHOWS {
        for zone in zones {
            let timetable = timetable(cron, zone, duration);
            let whole = timetable.between(from, to);
            // Pieces of an odd length, and their joints are anywhere.
            let mut pieces = Slots::default();
            let mut at = from;
            while at < to {
                let until = (at + SignedDuration::from_mins(437)).min(to);
                let piece = timetable.between(at, until);
                pieces.slots.extend(piece.slots);
                pieces.left_out.extend(piece.left_out);
                at = until;
            }
            assert_eq!(pieces, whole, "{cron} {duration} {zone}");
            // Nothing is on twice at once, and each is found by its start.
            for pair in whole.slots.windows(2) {
                assert!(pair[0].end <= pair[1].start, "{cron} {duration} {zone} {pair:?}");
            }
            for slot in whole.slots.iter().step_by(7) {
                assert_eq!(timetable.at(slot.start), Some(*slot), "{cron} {duration} {zone}");
                assert_eq!(timetable.at(slot.start + SignedDuration::from_secs(1)), None);
                let next = timetable.next(slot.start, 3);
                assert_eq!(next[0], *slot);
                let after = whole.slots.iter().skip_while(|other| other.start < slot.start);
                for (found, expected) in next.iter().zip(after) {
                    assert_eq!(found, expected, "{cron} {duration} {zone}");
                }
            }
        }
    }
}

#[test]
fn a_chain_without_an_end_begins_anew_each_day() {
    let hourly = timetable("0 * * * *", "Europe/Berlin", "90m");
    let day = hourly.between(at("2026-11-20T22:00:00Z"), at("2026-11-21T03:00:00Z"));
    assert_eq!(
        told(&day),
        [
            "2026-11-20T23:00:00Z 2026-11-21T00:30:00Z",
            "2026-11-21T01:00:00Z 2026-11-21T02:30:00Z",
        ]
    );
    assert_eq!(
        day.left_out,
        [
            "2026-11-20T22:00:00Z",
            "2026-11-21T00:00:00Z",
            "2026-11-21T02:00:00Z"
        ]
        .map(at)
    );
    // What does not reach into the night is not touched by it.
    let evening = timetable("0 23 * * *", "Europe/Berlin", "3h");
    let slots = evening.between(at("2026-11-20T00:00:00Z"), at("2026-11-22T00:00:00Z"));
    assert_eq!(slots.left_out, []);
    assert_eq!(slots.slots.len(), 2);
}

#[test]
fn once_is_once() {
    let schedule = json!({"start": "2026-11-21T19:00:00.75Z", "duration": "2h"});
    let once = Timetable::of(&serde_json::from_value(schedule).unwrap()).unwrap();
    let only = Slot {
        start: at("2026-11-21T19:00:00Z"),
        end: at("2026-11-21T21:00:00Z"),
    };
    assert_eq!(once.next(Timestamp::MIN, 8), [only]);
    assert_eq!(once.next(only.start, 8), [only]);
    assert_eq!(once.next(only.end, 8), []);
    assert_eq!(once.between(only.start, only.end).slots, [only]);
    assert_eq!(once.between(Timestamp::MIN, only.start).slots, []);
    assert_eq!(once.at(only.start), Some(only));
}

#[test]
fn what_is_no_schedule_is_refused_with_the_field_and_without_the_text() {
    let refused = |schedule: serde_json::Value| {
        let schedule = serde_json::from_value(schedule).unwrap();
        Timetable::of(&schedule).map(|_| ()).unwrap_err()
    };
    let cron = |cron: &str| refused(json!({"cron": cron, "duration": "1h"})).to_string();
    for bad in [
        "",
        "0 20 * *",
        "0 0 20 * * FRI",
        "0 20 * * FRI 2026",
        "@daily",
        "60 20 * * *",
        "0 24 * * *",
        "0 20 32 * *",
        "0 20 * 13 *",
        "0 20 * * FRY",
        "0 20 * * ü",
        "hello my dear friend there",
        "* * * * *\u{0}",
    ] {
        let told = cron(bad);
        assert!(
            told.starts_with("spec.schedule.cron must be minute, hour"),
            "{bad}: {told}"
        );
    }
    assert!(cron(&format!("0 20 * * {}", "1,".repeat(200))).starts_with("spec.schedule.cron must be"));
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
        assert!(cron(never).contains("it never comes"), "{never}: {}", cron(never));
    }
    for zone in ["Mars/Olympus", "CEST", "../etc/passwd", ""] {
        let told = refused(json!({"cron": "0 20 * * *", "timeZone": zone, "duration": "1h"}));
        assert_eq!(told.field, "spec.schedule.timeZone", "{zone}");
    }
    for duration in ["", "59s", "21h", "1d", "0m", "99999h"] {
        let told = refused(json!({"cron": "0 20 * * *", "duration": duration}));
        assert_eq!(told.field, "spec.schedule.duration", "{duration}");
    }
    for neither in [
        json!({"duration": "1h"}),
        json!({"cron": "0 20 * * *", "start": "2026-11-21T19:00:00Z", "duration": "1h"}),
    ] {
        assert_eq!(refused(neither).field, "spec.schedule");
    }
}

#[test]
fn a_slot_each_minute_is_no_trouble() {
    let begun = std::time::Instant::now();
    let dense = timetable("* * * * *", "Europe/Berlin", "1m");
    let week = dense.between(at("2026-11-21T00:00:00Z"), at("2026-11-28T00:00:00Z"));
    assert_eq!(week.slots.len(), 7 * 1440);
    assert_eq!(dense.next(at("2026-11-21T00:00:00Z"), 8).len(), 8);
    println!("a week of minutes: {:?}", begun.elapsed());
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}
