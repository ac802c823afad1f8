use ingest::api::Aired;
use recorder::manifest::OverWhy;

use super::*;
use crate::recording::sample::{FULL, PLAIN, at, listed, ship, stored as stored_report, taped, valid};

fn rule() -> Rule {
    Rule::from(&valid(PLAIN).told)
}

#[test]
fn what_the_recorder_says_is_added_to_what_was_known() {
    let before = [listed("a", 2, None, None)];
    let said = ship(None, &[("a", 2, Some(50)), ("b", 55, None)]);
    assert_eq!(
        told(&before, &said),
        [listed("a", 2, Some(50), None), listed("b", 55, None, None)]
    );
    assert_eq!(told(&before, &ship(Some(OverWhy::Idle), &[])), before);
    // In rehearsal, until now.
    let mut rehearsal = ship(None, &[("c", 2, None)]);
    rehearsal.sessions[0].from = None;
    assert_eq!(told(&before, &rehearsal), before);
}

#[test]
fn the_tape_tells_what_belongs() {
    let other_input = api::Session {
        input: "van".to_owned(),
        ..taped("c", 10, None)
    };
    let rehearsal = api::Session {
        aired: None,
        ..taped("d", 10, None)
    };
    let tape = [
        taped("a", 2, Some(50)),
        taped("b", 160, None),
        other_input,
        rehearsal,
        taped("e", 9999, None),
    ];
    let ids = |rule: &Rule| {
        let listed = on_tape(&[], rule, &tape);
        listed.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&rule()), ["a", "c", "b", "e"]);
    let one_input = Rule {
        input: Some("studio".to_owned()),
        ..rule()
    };
    assert_eq!(ids(&one_input), ["a", "b", "e"]);
    assert_eq!(ids(&Rule::from(&valid(FULL).told)), [""; 0]);
    // After a silence of more than two minutes another Recording begins.
    let later = [taped("a", 2, Some(50)), taped("b", 171, None)];
    assert_eq!(on_tape(&[], &rule(), &later), [listed("a", 2, Some(50), None)]);
}

#[test]
fn what_was_only_a_login_is_forgotten() {
    let mut known = vec![listed("a", 2, None, None), listed("b", 3, None, None)];
    let login = api::Session {
        bytes: 0,
        aired: Some(Aired {
            first: at(2),
            last: Some(at(3)),
            spells: Vec::new(),
        }),
        ..taped("a", 2, Some(3))
    };
    forget_logins(&mut known, &[login, taped("b", 3, None)]);
    assert_eq!(known, [listed("b", 3, None, None)]);
}

#[test]
fn what_is_stored_counts_and_what_is_not_is_kept_in_mind() {
    let before = [listed("a", 2, None, None), listed("b", 55, Some(60), Some(7))];
    let all = stored(&before, &stored_report(&[("a", 2, Some(50))]));
    assert_eq!(
        all,
        [
            listed("a", 2, Some(50), Some(1000)),
            listed("b", 55, Some(60), None)
        ]
    );
    assert_eq!(all.iter().map(is_open).collect::<Vec<_>>(), [false, true]);
    let mut cut_short = stored_report(&[("a", 2, Some(50))]);
    cut_short.sessions_left_out = 1;
    let short = stored(&before, &cut_short);
    assert_eq!(
        short,
        [
            listed("a", 2, Some(50), Some(1000)),
            listed("b", 55, Some(60), Some(7))
        ]
    );
    assert!(!short.iter().any(is_open), "what was left out had ended well");
    let unseen_end = [listed("c", 70, None, None)];
    assert!(
        stored(&unseen_end, &cut_short).iter().any(is_open),
        "whose end nobody saw is not forgotten"
    );
}

#[test]
fn a_long_list_keeps_what_may_get_more() {
    let ids: Vec<String> = (0..100).map(|number| format!("s{number:03}")).collect();
    let many: Vec<(&str, i64, Option<i64>)> = ids
        .iter()
        .zip(0..)
        .map(|(id, number)| (id.as_str(), number, (number != 99).then_some(number + 1)))
        .collect();
    let listed = stored(&[], &stored_report(&many));
    assert_eq!(
        (listed.len(), listed[62].id.as_str(), listed[63].id.as_str()),
        (64, "s062", "s099")
    );
}
