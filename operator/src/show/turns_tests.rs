use radio_crds::Show;
use serde_json::{Value, json};

use super::*;
use crate::{show::slots::Slot, testing::yaml};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn show(spec: &Value) -> Programme {
    let mut whole = json!({
        "mountRef": {"name": "live"}, "title": "Night Shift",
        "schedule": {"cron": "0 20 * * *", "timeZone": "Europe/Berlin", "duration": "2h"},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let show = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show",
        "metadata": {"name": "night", "namespace": "city"}, "spec": whole,
    });
    Programme::of(&yaml::<Show>(&show.to_string()))
}

fn at_noon(spec: &Value) -> Vec<Turn> {
    turns(
        &show(spec),
        &ShowStatus::default(),
        &[],
        at("2026-11-21T12:00:00Z"),
    )
}

#[test]
fn a_turn_is_a_slot_with_its_edges() {
    let turns = at_noon(&json!({}));
    assert_eq!(
        turns[0],
        Turn {
            start: at("2026-11-21T19:00:00Z"),
            end: at("2026-11-21T21:00:00Z"),
            opens: at("2026-11-21T18:45:00Z"),
            closes: at("2026-11-21T21:15:00Z"),
            live_from: Some(at("2026-11-21T18:45:00Z")),
            live_until: at("2026-11-21T21:15:00Z"),
            hard_end: false,
        }
    );
    let hard =
        at_noon(&json!({"hardEnd": true, "overrun": "30m", "goLive": "AtStart", "earlyConnect": "1h"}));
    assert_eq!(
        hard[0],
        Turn {
            start: at("2026-11-21T19:00:00Z"),
            end: at("2026-11-21T21:00:00Z"),
            opens: at("2026-11-21T18:00:00Z"),
            closes: at("2026-11-21T21:00:00Z"),
            live_from: Some(at("2026-11-21T19:00:00Z")),
            live_until: at("2026-11-21T21:00:00Z"),
            hard_end: true,
        }
    );
    assert_eq!(at_noon(&json!({"goLive": "Manual"}))[0].live_from, None);
}

#[test]
fn a_week_ahead_and_no_more_than_eight() {
    let opens =
        |spec: &Value| -> Vec<String> { at_noon(spec).iter().map(|turn| turn.start.to_string()).collect() };
    // On the eighth day it opens later than in a week.
    assert_eq!(opens(&json!({})).len(), 7);
    let twice = opens(&json!({"schedule": {"cron": "0 8,20 * * *", "duration": "2h"}}));
    assert_eq!(twice.len(), 8);
    assert_eq!(twice[7], "2026-11-25T08:00:00Z");
    let monthly = json!({"schedule": {"cron": "0 20 1 * *", "duration": "2h"}});
    assert_eq!(opens(&monthly), [""; 0]);
    assert_eq!(opens(&json!({"suspend": true})), [""; 0]);
    assert_eq!(
        opens(&json!({"schedule": {"cron": "what is this * *", "duration": "2h"}})),
        [""; 0]
    );
}

#[test]
fn what_is_not_over_is_told_beside_what_comes() {
    let hourly = show(&json!({"schedule": {"cron": "0 * * * *", "duration": "1h"}}));
    let now = at("2026-11-21T12:10:00Z");
    let told = turns(&hourly, &ShowStatus::default(), &[], now);
    let starts: Vec<String> = told
        .iter()
        .map(|turn| turn.start.strftime("%H").to_string())
        .collect();
    assert_eq!(starts, ["12", "13", "14", "15", "16", "17", "18", "19", "20"]);
    // The one before is in its overrun; it began as its status says, whatever the Show says now.
    let mut status = ShowStatus::default();
    let before = show(&json!({"schedule": {"cron": "0 11 * * *", "duration": "1h"}, "overrun": "20m"}));
    status.under_way = before.around(&ShowStatus::default(), at("2026-11-21T11:30:00Z"));
    assert_eq!(status.under_way.len(), 1);
    status.seen_until = Some(at("2026-11-21T11:00:00Z"));
    let told = turns(&show(&json!({"suspend": true})), &status, &[], now);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].closes, at("2026-11-21T12:20:00Z"));
    assert_eq!(
        turns(
            &show(&json!({"suspend": true})),
            &status,
            &[],
            at("2026-11-21T12:20:00Z")
        ),
        []
    );
}

#[test]
fn each_turn_once_and_in_order_at_any_time() {
    for (cron, duration) in [
        ("*/20 * * * *", "20m"),
        ("0 */3 * * *", "4h"),
        ("30 2 * * *", "20h"),
    ] {
        let show =
            show(&json!({"schedule": {"cron": cron, "timeZone": "Europe/Berlin", "duration": duration}}));
        let mut now = at("2026-03-28T00:00:00Z");
        while now < at("2026-03-30T00:00:00Z") {
            let told = turns(&show, &ShowStatus::default(), &[], now);
            assert!(
                told.windows(2).all(|pair| pair[0].start < pair[1].start),
                "{cron} {now}"
            );
            assert!(told.iter().all(|turn| turn.closes > now), "{cron} {now}");
            let to_come = told.iter().filter(|turn| turn.start > now).count();
            // Of one a day a week has seven.
            assert!(
                to_come == 8 || (duration == "20h" && to_come == 7),
                "{cron} {now} {to_come}"
            );
            now += SignedDuration::from_mins(7);
        }
    }
}

#[test]
fn nobody_talks_over_the_show_before() {
    let before = |end: &str| Claim {
        show: "evening".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        slot: Slot {
            start: at("2026-11-21T17:00:00Z"),
            end: at(&format!("2026-11-21T{end}:00Z")),
        },
        is_held: false,
    };
    let live_from = |spec: &Value, end: &str| {
        let told = turns(
            &show(spec),
            &ShowStatus::default(),
            &[before(end)],
            at("2026-11-21T12:00:00Z"),
        );
        told[0]
            .live_from
            .map(|live_from| live_from.strftime("%H:%M").to_string())
    };
    let plain = json!({});
    for (end, live) in [
        ("18:00", "18:45"),
        ("18:45", "18:45"),
        ("18:50", "18:50"),
        ("19:00", "19:00"),
        ("19:30", "19:00"),
    ] {
        assert_eq!(live_from(&plain, end).as_deref(), Some(live), "{end}");
    }
    assert_eq!(
        live_from(&json!({"goLive": "AtStart"}), "18:50").as_deref(),
        Some("19:00")
    );
    assert_eq!(live_from(&json!({"goLive": "Manual"}), "18:50"), None);
    // Once it has begun it stays as it began.
    let status = ShowStatus {
        under_way: show(&plain).around(&ShowStatus::default(), at("2026-11-21T18:50:00Z")),
        ..ShowStatus::default()
    };
    let told = turns(
        &show(&plain),
        &status,
        &[before("18:59")],
        at("2026-11-21T19:00:00Z"),
    );
    assert_eq!(told[0].live_from, Some(at("2026-11-21T18:45:00Z")));
}
