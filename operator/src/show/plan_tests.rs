use std::collections::BTreeMap;

use radio_crds::{
    Show,
    show::{Outcome, PastSlot},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    show::slots::reference::{ZONES, Zone, at, in_turn, minute_of, named},
    testing::yaml,
};

/// A Show at the Mount `live`, as old as its name says.
fn show(name: &str, spec: &Value) -> Programme {
    let mut whole = json!({
        "mountRef": {"name": "live"}, "title": "Night Shift",
        "schedule": {"cron": "0 20 * * *", "duration": "2h"},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let show = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show",
        "metadata": {"name": name, "namespace": "city", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": whole,
    });
    Programme::of(&yaml::<Show>(&show.to_string()))
}

fn night() -> Programme {
    show("night", &json!({}))
}

fn with_cron(cron: &str, duration: &str) -> Programme {
    show(
        "night",
        &json!({"schedule": {"cron": cron, "duration": duration}}),
    )
}

/// A cluster with one operator, and everything it has made.
#[derive(Clone, Default)]
struct Cluster {
    status: ShowStatus,
    there: BTreeSet<String>,
    made: BTreeMap<String, Wanted>,
    others: Vec<Claim>,
}

impl Cluster {
    fn plan(&self, programme: &Programme, now: Timestamp) -> Plan {
        let seen = Seen {
            others: &self.others,
            there: &self.there,
            has_storage: true,
        };
        plan(programme, &self.status, &seen, now)
    }

    /// Makes what is to be made; no Recording is made a second time, even if it is asked for.
    fn make(&mut self, plan: &Plan) {
        for wanted in &plan.make {
            self.there.insert(wanted.name.clone());
            self.made
                .entry(wanted.name.clone())
                .or_insert_with(|| wanted.clone());
        }
        for name in &plan.withdrawn {
            assert!(self.there.remove(name), "{name}");
            self.made.remove(name);
        }
    }

    fn remember(&mut self, plan: &Plan) {
        self.status.under_way.clone_from(&plan.under_way);
        self.status.next_slot.clone_from(&plan.next);
        self.status.seen_until = Some(plan.seen_until);
        for slot in &plan.closed {
            let past = PastSlot {
                start: slot.start,
                end: slot.end,
                recording: slot.recording.clone(),
                on_air_since: None,
                outcome: Outcome::Storing,
            };
            self.status.slots.insert(0, past);
        }
        self.status.slots.truncate(8);
    }

    /// One reconcile that comes to its end.
    fn look(&mut self, programme: &Programme, now: Timestamp) -> Plan {
        let plan = self.plan(programme, now);
        self.make(&plan);
        self.remember(&plan);
        plan
    }

    /// Looks from an instant to another one, as often as the plan says.
    fn live(&mut self, programme: &Programme, from: &str, to: &str) {
        let (mut now, to) = (at(from), at(to));
        while now < to {
            let wake_at = self.look(programme, now).wake_at;
            let again = self.plan(programme, now);
            assert_eq!((again.make, again.withdrawn), (Vec::new(), Vec::new()), "{now}");
            assert!(wake_at.is_none_or(|wake_at| wake_at > now), "{now} {wake_at:?}");
            now = wake_at.map_or(to, |wake_at| wake_at.min(to));
        }
    }

    fn made(&self) -> Vec<String> {
        self.made
            .values()
            .map(|wanted| format!("{} {}", wanted.from, wanted.until))
            .collect()
    }
}

fn starts(plan: &[SlotUnderWay]) -> Vec<String> {
    plan.iter().map(|slot| slot.start.to_string()).collect()
}

#[test]
fn the_life_of_a_slot() {
    let (mut cluster, night) = (Cluster::default(), night());
    let first = cluster.look(&night, at("2026-11-21T12:00:00Z"));
    assert_eq!(first.under_way, []);
    assert_eq!(first.seen_until, at("2026-11-21T12:00:00Z"));
    assert_eq!(
        first.next.map(|next| next.start),
        Some(at("2026-11-21T20:00:00Z"))
    );
    assert_eq!(first.wake_at, Some(at("2026-11-21T19:45:00Z")));
    assert_eq!(cluster.look(&night, at("2026-11-21T19:44:59.9Z")).make, []);

    let prepared = cluster.look(&night, at("2026-11-21T19:45:00Z"));
    assert_eq!(
        prepared.make,
        [Wanted {
            name: "live-20261121t200000z".to_owned(),
            from: at("2026-11-21T20:00:00Z"),
            until: at("2026-11-21T22:15:00Z"),
            slot_end: at("2026-11-21T22:00:00Z"),
            max_length_seconds: 8100,
        }]
    );
    assert_eq!(prepared.seen_until, first.seen_until);
    assert_eq!(prepared.wake_at, Some(at("2026-11-21T20:00:00Z")));
    let slot = &prepared.under_way[0];
    assert_eq!(slot.opens, at("2026-11-21T19:45:00Z"));
    assert_eq!(slot.closes, at("2026-11-21T22:15:00Z"));
    assert_eq!(slot.live_from, Some(slot.opens));
    assert_eq!(slot.recording.as_deref(), Some("live-20261121t200000z"));

    let on = cluster.look(&night, at("2026-11-21T20:00:00Z"));
    assert_eq!((on.make.len(), on.under_way.len()), (0, 1));
    assert_eq!(on.seen_until, at("2026-11-21T20:00:00Z"));
    assert_eq!(on.next.map(|next| next.start), Some(at("2026-11-22T20:00:00Z")));
    assert_eq!(on.wake_at, Some(at("2026-11-21T22:00:00Z")));
    let overrun = cluster.look(&night, at("2026-11-21T22:00:00Z"));
    assert_eq!(overrun.wake_at, Some(at("2026-11-21T22:15:00Z")));
    let over = cluster.look(&night, at("2026-11-21T22:15:00Z"));
    assert_eq!(
        (over.under_way.len(), starts(&over.closed)),
        (0, vec!["2026-11-21T20:00:00Z".to_owned()])
    );
    assert_eq!(over.wake_at, Some(at("2026-11-22T19:45:00Z")));
    assert_eq!(cluster.look(&night, at("2026-11-21T23:00:00Z")).closed, []);
}

#[test]
fn of_the_past_only_what_is_on_is_recorded_at_first_sight() {
    for (now, made) in [
        (
            "2026-11-21T19:59:59Z",
            vec!["2026-11-21T20:00:00Z 2026-11-21T22:15:00Z"],
        ),
        (
            "2026-11-21T20:00:00Z",
            vec!["2026-11-21T20:00:00Z 2026-11-21T22:15:00Z"],
        ),
        (
            "2026-11-21T21:59:59Z",
            vec!["2026-11-21T20:00:00Z 2026-11-21T22:15:00Z"],
        ),
        ("2026-11-21T22:00:00Z", vec![]),
        ("2026-11-21T22:10:00Z", vec![]),
        ("2026-11-22T10:00:00Z", vec![]),
    ] {
        let mut cluster = Cluster::default();
        cluster.look(&night(), at(now));
        assert_eq!(cluster.made(), made, "{now}");
    }
}

#[test]
fn an_operator_that_was_away_makes_what_it_missed() {
    let away = |until: &str| {
        let mut cluster = Cluster::default();
        cluster.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T19:00:00Z");
        let plan = cluster.look(&night(), at(until));
        let made: Vec<String> = plan.make.iter().map(|wanted| wanted.from.to_string()).collect();
        (made, starts(&plan.under_way), starts(&plan.closed))
    };
    let (sat, sun) = (
        "2026-11-21T20:00:00Z".to_owned(),
        "2026-11-22T20:00:00Z".to_owned(),
    );
    assert_eq!(
        away("2026-11-21T20:30:00Z"),
        (vec![sat.clone()], vec![sat.clone()], vec![])
    );
    assert_eq!(
        away("2026-11-21T22:05:00Z"),
        (vec![sat.clone()], vec![sat.clone()], vec![])
    );
    assert_eq!(
        away("2026-11-22T10:00:00Z"),
        (vec![sat.clone()], vec![], vec![sat.clone()])
    );
    assert_eq!(
        away("2026-11-22T21:59:59Z"),
        (vec![sat.clone(), sun.clone()], vec![sun.clone()], vec![sat])
    );
    // A day after its end no tape has it for sure.
    assert_eq!(
        away("2026-11-22T22:00:00Z"),
        (vec![sun.clone()], vec![sun.clone()], vec![])
    );
    assert_eq!(
        away("2026-11-23T10:00:00Z"),
        (vec![sun.clone()], vec![], vec![sun])
    );
    assert_eq!(away("2026-12-24T10:00:00Z").0, ["2026-12-23T20:00:00Z"]);
}

#[test]
fn an_operator_killed_at_any_of_its_writes_makes_one_recording() {
    let night = night();
    let moments = [
        "19:45:00", "20:00:00", "20:07:00", "22:00:00", "22:15:00", "23:00:00",
    ];
    // Each reconcile may die before it made anything, before it wrote the status, or not at all.
    for deaths in 0..3_u32.pow(6) {
        let mut cluster = Cluster::default();
        cluster.look(&night, at("2026-11-21T12:00:00Z"));
        let mut fate = deaths;
        for moment in moments {
            let plan = cluster.plan(&night, at(&format!("2026-11-21T{moment}Z")));
            if fate % 3 > 0 {
                cluster.make(&plan);
            }
            if fate % 3 > 1 {
                cluster.remember(&plan);
            }
            fate /= 3;
        }
        cluster.look(&night, at("2026-11-22T01:00:00Z"));
        assert_eq!(
            cluster.made(),
            ["2026-11-21T20:00:00Z 2026-11-21T22:15:00Z"],
            "{deaths}"
        );
    }
}

#[test]
fn a_recording_deleted_in_its_slot_is_made_again_and_later_it_is_not() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T21:00:00Z");
    cluster.there.clear();
    assert_eq!(cluster.look(&night(), at("2026-11-21T21:00:00Z")).make.len(), 1);
    cluster.live(&night(), "2026-11-21T21:00:00Z", "2026-11-21T22:30:00Z");
    cluster.there.clear();
    assert_eq!(cluster.look(&night(), at("2026-11-21T22:30:00Z")).make, []);
    // Nor when the operator comes back and finds it gone.
    assert_eq!(cluster.look(&night(), at("2026-11-22T10:00:00Z")).make, []);
}

#[test]
fn what_has_begun_stays_as_it_began() {
    let mut on = Cluster::default();
    on.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T20:30:00Z");
    let now = at("2026-11-21T20:30:00Z");
    let before = on.plan(&night(), now).under_way;
    for changed in [
        json!({"suspend": true}),
        json!({"schedule": {"cron": "0 3 * * *", "duration": "1h"}}),
        json!({"schedule": {"cron": "0 20 * * *", "duration": "5h"}}),
        json!({"schedule": {"cron": "nonsense at all * *", "duration": "5h"}}),
        json!({"overrun": "1h", "earlyConnect": "1h"}),
        json!({"hardEnd": true}),
        json!({"goLive": "Manual"}),
    ] {
        let plan = on.plan(&show("night", &changed), now);
        assert_eq!(plan.under_way, before, "{changed}");
        assert_eq!((plan.make.len(), plan.withdrawn.len()), (0, 0), "{changed}");
        let ended = on
            .clone()
            .look(&show("night", &changed), at("2026-11-21T22:15:00Z"));
        assert_eq!(starts(&ended.closed), ["2026-11-21T20:00:00Z"], "{changed}");
    }
}

#[test]
fn a_slot_that_has_not_begun_follows_the_spec() {
    let mut prepared = Cluster::default();
    prepared.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T19:50:00Z");
    let now = at("2026-11-21T19:50:00Z");
    let change = |spec: Value| {
        let mut cluster = prepared.clone();
        let plan = cluster.look(&show("night", &spec), now);
        (starts(&plan.under_way), plan.withdrawn.len(), cluster.made())
    };
    assert_eq!(change(json!({"suspend": true})), (vec![], 1, vec![]));
    let to_nine = json!({"schedule": {"cron": "0 21 * * *", "duration": "2h"}});
    assert_eq!(change(to_nine.clone()), (vec![], 1, vec![]));
    let five_past = json!({"schedule": {"cron": "5 20 * * *", "duration": "2h"}});
    assert_eq!(
        change(five_past),
        (
            vec!["2026-11-21T20:05:00Z".to_owned()],
            1,
            vec!["2026-11-21T20:05:00Z 2026-11-21T22:20:00Z".to_owned()]
        )
    );
    // Its Recording is what it is; what comes after its end is an unscheduled one's.
    let longer = prepared.plan(
        &show(
            "night",
            &json!({"schedule": {"cron": "0 20 * * *", "duration": "3h"}}),
        ),
        now,
    );
    assert_eq!((longer.make.len(), longer.withdrawn.len()), (0, 0));
    assert_eq!(longer.under_way[0].end, at("2026-11-21T23:00:00Z"));
    // And at its new time it is made.
    let mut cluster = prepared.clone();
    let moved = show("night", &to_nine);
    cluster.live(&moved, "2026-11-21T19:50:00Z", "2026-11-21T23:30:00Z");
    assert_eq!(cluster.made(), ["2026-11-21T21:00:00Z 2026-11-21T23:15:00Z"]);
}

#[test]
fn an_edit_does_not_reach_into_the_past() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z");
    let before = cluster.made();
    // Hourly since yesterday, it now says; only what is on is made, and what comes.
    let hourly = with_cron("0 * * * *", "1h");
    cluster.look(&hourly, at("2026-11-21T12:30:00Z"));
    assert_eq!(cluster.made().len(), before.len() + 1);
    assert_eq!(cluster.made()[1], "2026-11-21T12:00:00Z 2026-11-21T13:00:00Z");
    // After a suspension it is the same.
    let mut cluster = Cluster::default();
    let suspended = show("night", &json!({"suspend": true}));
    cluster.live(&night(), "2026-11-18T12:00:00Z", "2026-11-19T12:00:00Z");
    cluster.live(&suspended, "2026-11-19T12:00:00Z", "2026-11-22T12:00:00Z");
    cluster.live(&night(), "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z");
    assert_eq!(cluster.made(), ["2026-11-18T20:00:00Z 2026-11-18T22:15:00Z"]);
}

#[test]
fn a_start_in_its_own_slot_is_left_out_and_told() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T20:30:00Z");
    let moved = with_cron("0 21 * * *", "2h");
    let plan = cluster.look(&moved, at("2026-11-21T20:30:00Z"));
    assert_eq!(plan.overlapped, Some(at("2026-11-21T21:00:00Z")));
    assert_eq!(plan.next.map(|next| next.start), Some(at("2026-11-22T21:00:00Z")));
    cluster.live(&moved, "2026-11-21T20:30:00Z", "2026-11-22T12:00:00Z");
    assert_eq!(cluster.made(), ["2026-11-21T20:00:00Z 2026-11-21T22:15:00Z"]);
    let overlapping = cluster.plan(&with_cron("0 9-17 * * *", "90m"), at("2026-11-22T08:00:00Z"));
    assert_eq!(overlapping.overlapped, Some(at("2026-11-22T10:00:00Z")));
    assert_eq!(
        cluster.plan(&night(), at("2026-11-22T08:00:00Z")).overlapped,
        None
    );
}

#[test]
fn a_recording_ends_where_the_next_slot_begins() {
    let until = |spec: Value, others: &[Claim]| {
        let mut cluster = Cluster {
            others: others.to_vec(),
            ..Cluster::default()
        };
        cluster.look(&show("night", &spec), at("2026-11-21T19:50:00Z"));
        cluster
            .made
            .values()
            .next()
            .unwrap()
            .until
            .strftime("%H:%M")
            .to_string()
    };
    let other = |start: &str, end: &str| Claim {
        show: "morning".to_owned(),
        since: at("2026-01-01T00:00:00Z"),
        slot: Slot {
            start: at(&format!("2026-11-21T{start}:00Z")),
            end: at(&format!("2026-11-21T{end}:00Z")),
        },
        is_held: false,
    };
    let plain = || json!({});
    assert_eq!(until(plain(), &[]), "22:15");
    assert_eq!(until(json!({"overrun": "0s"}), &[]), "22:00");
    assert_eq!(until(json!({"hardEnd": true}), &[]), "22:00");
    assert_eq!(until(plain(), &[other("22:00", "23:00")]), "22:00");
    assert_eq!(until(plain(), &[other("22:10", "23:00")]), "22:10");
    assert_eq!(until(plain(), &[other("22:15", "23:00")]), "22:15");
    assert_eq!(until(plain(), &[other("22:30", "23:00")]), "22:15");
    // One that begins in the slot takes nothing of it away.
    assert_eq!(until(plain(), &[other("21:00", "23:00")]), "22:15");
    assert_eq!(
        until(plain(), &[other("21:00", "23:00"), other("22:05", "23:00")]),
        "22:05"
    );
    let back_to_back = json!({"schedule": {"cron": "0 20,22 * * *", "duration": "2h"}});
    assert_eq!(until(back_to_back, &[]), "22:00");
}

fn claimed(show: &Programme, now: &str) -> Vec<Claim> {
    claims(show, &ShowStatus::default(), at(now))
}

#[test]
fn of_two_with_the_same_slot_the_older_one_has_it() {
    let now = "2026-11-21T19:50:00Z";
    let mut older = show("zebra", &json!({}));
    older.since = at("2025-01-01T00:00:00Z");
    let younger = night();
    let look = |of: &Programme, other: &Programme| {
        let mut cluster = Cluster {
            others: claimed(other, now),
            ..Cluster::default()
        };
        cluster.look(of, at(now))
    };
    let has = look(&older, &younger);
    assert_eq!((has.make.len(), has.taken), (1, vec![]));
    let has_not = look(&younger, &older);
    assert_eq!((has_not.make.len(), has_not.withdrawn.len()), (0, 0));
    assert_eq!(has_not.taken, [(at("2026-11-21T20:00:00Z"), "zebra".to_owned())]);
    // Its presenters get in all the same.
    assert_eq!(has_not.under_way[0].taken_by.as_deref(), Some("zebra"));
    assert_eq!(has_not.under_way[0].recording, None);
    // Of the same age the first by name has it.
    older.since = younger.since;
    assert_eq!(look(&older, &younger).make, []);
    assert_eq!(look(&younger, &older).make.len(), 1);
    // Two with other starts both have theirs, and so have two at other places.
    let later = with_cron("5 20 * * *", "2h");
    assert_eq!(look(&later, &older).make.len(), 1);
    assert!(!night().is_beside(&night()));
    assert!(older.is_beside(&night()));
    let elsewhere = show("zebra", &json!({"input": "7"}));
    assert!(!elsewhere.is_beside(&night()));
}

#[test]
fn whoever_a_slot_began_with_keeps_it() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T20:30:00Z");
    let now = "2026-11-21T20:30:00Z";
    let mut older = show("zebra", &json!({}));
    older.since = at("2025-01-01T00:00:00Z");
    let held = claims(&night(), &cluster.status, at(now));
    assert!(held[0].is_held && !held[1].is_held, "{held:?}");
    let mut newcomer = Cluster {
        others: held,
        ..Cluster::default()
    };
    assert_eq!(newcomer.look(&older, at(now)).make, []);
    cluster.others = claimed(&older, now);
    let plan = cluster.look(&night(), at(now));
    assert_eq!((plan.taken.len(), plan.withdrawn.len()), (0, 0));
    assert_eq!(
        plan.under_way[0].recording.as_deref(),
        Some("live-20261121t200000z")
    );
    // The next one is the older one's.
    cluster.others = claimed(&older, "2026-11-22T19:50:00Z");
    assert_eq!(cluster.look(&night(), at("2026-11-22T19:50:00Z")).taken.len(), 1);
}

#[test]
fn a_show_made_again_under_another_name_has_the_same_recording() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-21T12:00:00Z", "2026-11-21T20:30:00Z");
    cluster.status = ShowStatus::default();
    let plan = cluster.look(&show("renamed", &json!({})), at("2026-11-21T20:31:00Z"));
    assert_eq!((plan.make.len(), plan.under_way.len()), (0, 1));
    assert_eq!(
        plan.under_way[0].recording.as_deref(),
        Some("live-20261121t200000z")
    );
}

#[test]
fn on_the_air_when_somebody_says_so() {
    let manual = |said: Option<&str>| {
        let mut show = show("night", &json!({"goLive": "Manual"}));
        show.on_air = said.map(at);
        show
    };
    let now = at("2026-11-21T19:50:00Z");
    let mut cluster = Cluster::default();
    let live_from =
        |cluster: &mut Cluster, said, now| cluster.look(&manual(said), now).under_way[0].live_from;
    assert_eq!(live_from(&mut cluster, None, now), None);
    // Of last week, and of a time when nobody may be there yet.
    assert_eq!(live_from(&mut cluster, Some("2026-11-14T20:00:00Z"), now), None);
    assert_eq!(live_from(&mut cluster, Some("2026-11-21T19:44:59Z"), now), None);
    let said = Some("2026-11-21T20:03:07Z");
    assert_eq!(
        live_from(&mut cluster, said, at("2026-11-21T20:03:08Z")),
        said.map(at)
    );
    // What was said stays said.
    assert_eq!(
        live_from(&mut cluster, None, at("2026-11-21T20:04:00Z")),
        said.map(at)
    );
    let at_start = show("night", &json!({"goLive": "AtStart"}));
    assert_eq!(
        Cluster::default().look(&at_start, now).under_way[0].live_from,
        Some(at("2026-11-21T20:00:00Z"))
    );
}

#[test]
fn nothing_is_recorded_where_nothing_is_to_be() {
    let seen = Seen {
        others: &[],
        there: &BTreeSet::new(),
        has_storage: false,
    };
    let plan = plan(
        &night(),
        &ShowStatus::default(),
        &seen,
        at("2026-11-21T20:30:00Z"),
    );
    assert_eq!((plan.make.len(), plan.under_way.len()), (0, 1));
    assert_eq!(plan.under_way[0].recording, None);
}

#[test]
fn the_status_never_overflows() {
    let dense = with_cron("* * * * *", "1m");
    let mut cluster = Cluster::default();
    cluster.live(&dense, "2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z");
    assert!(cluster.status.under_way.len() <= 16);
    // Some are prepared, too.
    assert!(cluster.made.len() >= 60, "{}", cluster.made.len());
    let away = cluster.look(&dense, at("2026-11-22T13:00:00Z"));
    assert!(away.make.len() <= 64 + 16, "{}", away.make.len());
    assert!(away.under_way.len() <= 16);
}

/// Starts and ends in minutes, by the reference.
fn expected(zone: Zone, cron: &str, length: i64, from: &str, to: &str) -> BTreeSet<(i64, i64)> {
    let starts = named(zone, cron, minute_of(from) - 14_400, minute_of(to));
    let slots = in_turn(zone, &starts, length);
    slots
        .into_iter()
        .filter(|slot| slot.0 >= minute_of(from))
        .collect()
}

fn made(cluster: &Cluster) -> BTreeSet<(i64, i64)> {
    let minutes = |wanted: &Wanted| (wanted.from.as_second() / 60, wanted.slot_end.as_second() / 60);
    cluster.made.values().map(minutes).collect()
}

const NIGHTS: [(&str, &str, i64); 4] = [
    ("30 2 * * *", "1h", 60),
    ("0 20 * * FRI", "2h", 120),
    ("45 1 * * *", "20h", 1200),
    ("0 22,23 * * FRI,SAT", "3h", 180),
];

fn in_zone(zone: Zone, cron: &str, duration: &str) -> Programme {
    show(
        "night",
        &json!({"schedule": {"cron": cron, "timeZone": zone.0, "duration": duration}}),
    )
}

/// Looks each hour of two years; the slots, each of which has one Recording, are those of the reference.
fn hour_by_hour(zone: Zone) -> usize {
    let (from, to) = ("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
    let mut slots = 0;
    for (cron, duration, length) in &NIGHTS[..3] {
        let programme = in_zone(zone, cron, duration);
        let mut cluster = Cluster::default();
        let mut now = at(from);
        while now < at(to) {
            let plan = cluster.look(&programme, now);
            for wanted in &plan.make {
                assert!(now >= wanted.from - LEAD && now < wanted.slot_end + SignedDuration::from_hours(1));
            }
            now += SignedDuration::from_hours(1);
        }
        // At first sight one of the year before may be on, and the last one is not seen.
        let is_inside = |slot: &(i64, i64)| slot.0 >= minute_of(from) && slot.1 < minute_of(to) - 60;
        let mut expected = expected(zone, cron, *length, from, to);
        expected.retain(is_inside);
        let mut found = made(&cluster);
        found.retain(is_inside);
        assert_eq!(found, expected, "{cron} {}", zone.0);
        slots += found.len();
    }
    slots
}

#[test]
fn every_hour_of_two_years_in_three_zones() {
    let slots: usize = std::thread::scope(|scope| {
        let zones = ZONES.map(|zone| scope.spawn(move || hour_by_hour(zone)));
        zones.into_iter().map(|zone| zone.join().unwrap()).sum()
    });
    println!("{slots} slots, each recorded once");
    assert!(slots > 4000, "{slots}");
}

/// A small generator, always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn an_operator_that_comes_and_goes_as_it_likes() {
    let (from, to) = ("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z");
    let mut dice = Dice(20_261_121);
    for round in 0..24_usize {
        let (zone, (cron, duration, length)) = (ZONES[round % 3], NIGHTS[round / 3 % 4]);
        let programme = in_zone(zone, cron, duration);
        let mut cluster = Cluster::default();
        let mut now = at(from);
        while now < at(to) {
            let plan = cluster.plan(&programme, now);
            for wanted in &plan.make {
                assert!(
                    now < wanted.slot_end + SignedDuration::from_hours(24),
                    "{wanted:?}"
                );
            }
            // One reconcile in five dies before it made anything, one in five before it said so.
            let fate = dice.roll(5);
            if fate > 0 {
                cluster.make(&plan);
            }
            if fate > 1 {
                cluster.remember(&plan);
            }
            // Away for up to 20 hours: whatever ended meanwhile, ended less than a day ago, with one death on the way.
            let away = if dice.roll(3) == 0 {
                dice.roll(20 * 60)
            } else {
                dice.roll(40)
            };
            now += SignedDuration::from_mins(if fate > 1 {
                i64::try_from(away).unwrap() + 1
            } else {
                1
            });
        }
        let mut expected = expected(zone, cron, length, from, to);
        let (first, last) = (minute_of(from) + 1441, minute_of(to) - 1440);
        let inside = |slot: &(i64, i64)| slot.0 >= first && slot.1 < last;
        expected.retain(inside);
        let mut found = made(&cluster);
        found.retain(inside);
        assert_eq!(found, expected, "{round} {cron} {}", zone.0);
    }
}

fn reserves(shows: &[(Programme, ShowStatus)], now: &str) -> Vec<String> {
    let told = |slot: &Reserved| format!("{} {} {}", slot.from, slot.until, slot.recording);
    let near = |slot: &&Reserved| slot.from < at(now) + SignedDuration::from_hours(40);
    reserved(shows, at(now)).iter().filter(near).map(told).collect()
}

#[test]
fn what_is_reserved_for_shows() {
    let mut cluster = Cluster::default();
    cluster.live(&night(), "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z");
    let late = show(
        "late",
        &json!({"schedule": {"cron": "0 22 * * *", "duration": "1h"}, "hardEnd": true}),
    );
    let shows = [(night(), cluster.status.clone()), (late, ShowStatus::default())];
    assert_eq!(
        reserves(&shows, "2026-11-21T12:00:00Z"),
        [
            // It is over; a tape may still have it.
            "2026-11-20T20:00:00Z 2026-11-20T22:15:00Z live-20261120t200000z",
            "2026-11-21T20:00:00Z 2026-11-21T22:00:00Z live-20261121t200000z",
            "2026-11-21T22:00:00Z 2026-11-21T23:00:00Z live-20261121t220000z",
            "2026-11-22T20:00:00Z 2026-11-22T22:00:00Z live-20261122t200000z",
            "2026-11-22T22:00:00Z 2026-11-22T23:00:00Z live-20261122t220000z",
        ]
    );
    // A new Show that is on, and has no status yet.
    let fresh = [(night(), ShowStatus::default())];
    assert_eq!(
        reserves(&fresh, "2026-11-21T21:00:00Z")[0],
        "2026-11-21T20:00:00Z 2026-11-21T22:15:00Z live-20261121t200000z"
    );
    // Nothing for a slot that another one has, and nothing of a Show that is suspended.
    let twins = [
        (night(), ShowStatus::default()),
        (show("twin", &json!({})), ShowStatus::default()),
    ];
    assert_eq!(reserves(&twins, "2026-11-21T21:00:00Z").len(), 2);
    let suspended = [(show("night", &json!({"suspend": true})), ShowStatus::default())];
    assert_eq!(reserves(&suspended, "2026-11-21T21:00:00Z"), [""; 0]);
}
