use radio_crds::show::{Outcome, SlotTime};
use serde_json::json;

use super::*;
use crate::{
    show::sample::{PLAIN, at, fetched, recording, slot},
    testing::{aired, session, yaml},
};

fn planned() -> Plan {
    Plan {
        under_way: vec![slot()],
        next: Some(SlotTime {
            start: at(10_080),
            end: at(10_200),
        }),
        seen_until: at(0),
        ..Plan::default()
    }
}

#[test]
fn the_slot_that_is_on_and_who_is_heard_in_it() {
    let show: Show = yaml(PLAIN);
    let mut around = fetched(&[], &[]);
    let mut dj = session("talk", "studio", at(-10));
    dj.aired = Some(aired(at(-10), None));
    around.sessions = vec![dj].into();
    let told = details(&show, &planned(), &around, at(1));
    assert_eq!(told.under_way[0].on_air_since, Some(at(0)));
    let on = told.slot.unwrap();
    assert_eq!((on.start, on.on_air_since), (at(0), Some(at(0))));
    assert_eq!(on.recording.as_deref(), Some("talk-20261127t190000z"));
    assert_eq!(told.next_slot.unwrap().start, at(10_080));
    assert_eq!(told.seen_until, Some(at(0)));
    // It is prepared, and not on.
    assert_eq!(details(&show, &planned(), &around, at(-1)).slot, None);
    // In its overrun it still is.
    assert!(details(&show, &planned(), &around, at(134)).slot.is_some());
    assert_eq!(details(&show, &planned(), &around, at(135)).slot, None);
}

#[test]
fn the_newest_of_two_that_overlap_is_on() {
    let show: Show = yaml(PLAIN);
    let mut plan = planned();
    plan.under_way.push(SlotUnderWay {
        start: at(120),
        end: at(240),
        closes: at(255),
        ..slot()
    });
    let told = details(&show, &plan, &fetched(&[], &[]), at(125));
    assert_eq!(told.slot.unwrap().start, at(120));
}

#[test]
fn slots_that_are_over_are_listed_newest_first_and_only_so_many() {
    let mut show: Show = yaml(PLAIN);
    let week = |n: i64| SlotUnderWay {
        start: at(10_080 * n),
        end: at(10_080 * n + 120),
        recording: None,
        ..slot()
    };
    let listed = (1..=8).rev().map(|n| aired::past(&week(n), None, None)).collect();
    let notice = json!({"slot": at(0), "kind": "Missed", "state": "Told", "at": at(5), "message": "x"});
    show.status = Some(ShowStatus {
        slots: listed,
        notices: vec![serde_json::from_value(notice).unwrap()],
        kept: Some(3),
        ..ShowStatus::default()
    });
    let plan = Plan {
        // What was closed already may be so once more, when the status could not be written.
        closed: vec![week(8), week(9)],
        ..Plan::default()
    };
    let told = details(&show, &plan, &fetched(&[], &[]), at(10_080 * 10));
    let starts: Vec<_> = told.slots.iter().map(|slot| slot.start).collect();
    assert_eq!(starts, (2..=9).rev().map(|n| at(10_080 * n)).collect::<Vec<_>>());
    // What others write stays.
    assert_eq!((told.notices.len(), told.kept), (1, Some(3)));
}

#[test]
fn a_slot_that_is_over_follows_its_recording() {
    let mut show: Show = yaml(PLAIN);
    let plan = Plan {
        closed: vec![slot()],
        ..Plan::default()
    };
    let storing = fetched(&[], &[recording(&json!({"phase": "Storing"}))]);
    show.status = Some(details(&show, &plan, &storing, at(140)));
    let outcome = |show: &Show| show.status.as_ref().unwrap().slots[0].outcome;
    assert_eq!(outcome(&show), Outcome::Storing);
    let verified = fetched(&[], &[recording(&json!({"phase": "Verified", "coverage": 99}))]);
    show.status = Some(details(&show, &Plan::default(), &verified, at(150)));
    assert_eq!(outcome(&show), Outcome::Recorded);
    show.status = Some(details(&show, &Plan::default(), &fetched(&[], &[]), at(160)));
    assert_eq!(outcome(&show), Outcome::Recorded);
}
