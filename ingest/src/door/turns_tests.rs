use super::*;

/// Minutes after 20:00.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
}

/// A slot with 15 minutes before and after it, and on the air from the first of them.
fn turn(start: i64, end: i64) -> Turn {
    Turn {
        start: at(start),
        end: at(end),
        opens: at(start - 15),
        closes: at(end + 15),
        live_from: Some(at(start - 15)),
        live_until: at(end + 15),
        hard_end: false,
    }
}

fn hard(start: i64, end: i64) -> Turn {
    Turn {
        closes: at(end),
        live_until: at(end),
        hard_end: true,
        ..turn(start, end)
    }
}

fn presenter(show: &str, turns: &[Turn]) -> Credential {
    Credential {
        user: "anna".to_owned(),
        sha256: String::new(),
        routing: Routing::Live,
        show: Some(show.to_owned()),
        turns: turns.to_vec(),
    }
}

fn studio(routing: Routing) -> Credential {
    Credential {
        routing,
        show: None,
        ..presenter("", &[])
    }
}

fn stay(turns: &[Turn], now: i64) -> Stay {
    Stay::begin(Pass::of(&[presenter("Night Shift", turns)]), at(now)).unwrap()
}

/// What becomes of a stay at these minutes.
fn course(stay: &mut Stay, minutes: &[i64]) -> Vec<(i64, Routing, bool)> {
    let seen = minutes.iter().map(|&minute| {
        stay.go_on(at(minute));
        (minute, stay.routing(at(minute)), stay.must_leave(at(minute)))
    });
    seen.collect()
}

#[test]
fn a_turn_opens_and_closes_to_the_second() {
    let pass = Pass::of(&[presenter("Night Shift", &[turn(0, 120)])]);
    for (second, is_in) in [(-901, false), (-900, true), (8099, true), (8100, false)] {
        let now = Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(pass.is_open(now), is_in, "{second}");
        assert_eq!(Stay::begin(pass.clone(), now).is_ok(), is_in, "{second}");
    }
}

#[test]
fn who_is_early_or_late_is_told_the_next_turn_or_else_the_last() {
    let (first, second) = (turn(0, 120), turn(1440, 1560));
    let told = |credentials: &[Credential], now| Stay::begin(Pass::of(credentials), at(now)).unwrap_err();
    let next = |show: &str, turn: Turn| Closed::Next {
        show: Some(show.to_owned()),
        start: turn.start,
        end: turn.end,
        opens: turn.opens,
    };
    let both = [presenter("Night Shift", &[second, first])];
    let show = Some("Night Shift".to_owned());
    assert_eq!(told(&both, -60), next("Night Shift", first));
    assert_eq!(told(&both, 200), next("Night Shift", second));
    let past = Closed::Past {
        show: show.clone(),
        end: second.end,
    };
    assert_eq!(told(&both, 2000), past);
    assert_eq!(told(&[presenter("Night Shift", &[])], 0), Closed::Never { show });
    let two = [presenter("Rarely", &[]), presenter("Daily", &[first])];
    assert_eq!(told(&two, -60), next("Daily", first));
}

#[test]
fn a_password_without_a_show_opens_at_any_time() {
    for routing in [Routing::Live, Routing::Rehearsal] {
        let credentials = [presenter("Night Shift", &[hard(0, 60)]), studio(routing)];
        let mut stay = Stay::begin(Pass::of(&credentials), at(-600)).unwrap();
        assert_eq!(
            course(&mut stay, &[-600, 0, 60, 600]),
            [-600, 0, 60, 600].map(|at| (at, routing, false))
        );
        assert_eq!(stay.next_change(at(0)), None);
    }
}

#[test]
fn a_show_is_on_the_air_as_it_goes_live() {
    let (live, test) = (Routing::Live, Routing::Rehearsal);
    let from = |live_from| Turn {
        live_from,
        ..turn(0, 120)
    };
    let minutes = [-15, -1, 0, 30, 119, 120, 134, 135, 600];
    let table = [
        (
            from(Some(at(-15))),
            [live, live, live, live, live, live, live, test, test],
        ),
        (
            from(Some(at(0))),
            [test, test, live, live, live, live, live, test, test],
        ),
        (
            from(Some(at(30))),
            [test, test, test, live, live, live, live, test, test],
        ),
        (from(None), [test; 9]),
    ];
    for (turn, routings) in table {
        let mut stay = stay(&[turn], -15);
        let expected: Vec<_> = std::iter::zip(minutes, routings)
            .map(|(minute, routing)| (minute, routing, false))
            .collect();
        assert_eq!(course(&mut stay, &minutes), expected, "{turn:?}");
    }
}

#[test]
fn a_hard_end_sends_away() {
    let mut stay = stay(&[hard(0, 60)], 0);
    assert_eq!(stay.next_change(at(0)), Some(at(60)));
    assert_eq!(
        course(&mut stay, &[59, 60, 61]),
        [
            (59, Routing::Live, false),
            (60, Routing::Rehearsal, true),
            (61, Routing::Rehearsal, true)
        ]
    );
}

#[test]
fn every_edge_is_a_change() {
    let mut stay = stay(
        &[Turn {
            live_from: Some(at(0)),
            ..turn(0, 120)
        }],
        -10,
    );
    let mut edges = Vec::new();
    let mut now = at(-10);
    while let Some(next) = stay.next_change(now) {
        now = next;
        stay.go_on(now);
        edges.push(now);
    }
    assert_eq!(edges, [at(0), at(120), at(135)]);
}

#[test]
fn two_turns_in_a_row_are_one_stay() {
    let (live, test) = (Routing::Live, Routing::Rehearsal);
    let hourly = [hard(0, 60), hard(60, 120), turn(120, 180)];
    let mut stay = stay(&hourly, 0);
    assert_eq!(stay.next_change(at(0)), Some(at(45)));
    assert_eq!(
        course(&mut stay, &[59, 60, 119, 120, 194, 195]),
        [
            (59, live, false),
            (60, live, false),
            (119, live, false),
            (120, live, false),
            (194, live, false),
            (195, test, false)
        ]
    );
    assert_eq!(stay.held.len(), 1, "{stay:?}");
    // The one that tells when each ended is the newest.
    assert_eq!(stay.over(), Some((at(180), at(195))));
}

#[test]
fn it_does_not_matter_when_it_is_looked_at() {
    let turns = [turn(0, 60), turn(70, 120), turn(130, 180), turn(300, 360)];
    for first in -15..75 {
        let mut often = stay(&turns, first);
        for minute in first..400 {
            often.go_on(at(minute));
            let mut once = stay(&turns, first);
            once.go_on(at(minute));
            assert_eq!(once, often, "{first} {minute}");
            let is_live = minute < 195;
            assert_eq!(
                often.routing(at(minute)) == Routing::Live,
                is_live,
                "{first} {minute}"
            );
        }
    }
}

#[test]
fn who_was_left_over_does_not_come_on_the_air_by_himself() {
    let mut stay = stay(&[turn(0, 60), turn(91, 120)], 0);
    assert_eq!(
        course(&mut stay, &[75, 76, 91, 100]),
        [75, 76, 91, 100].map(|minute| (minute, Routing::Rehearsal, false))
    );
}

#[test]
fn a_changed_turn_counts_at_once_and_a_deleted_show_keeps_its_own() {
    let mut stay = stay(&[turn(0, 60)], 0);
    let longer = Turn {
        end: at(90),
        closes: at(105),
        live_until: at(105),
        ..turn(0, 60)
    };
    stay.changes_to(Pass::of(&[
        presenter("Other", &[hard(0, 30)]),
        presenter("Night Shift", &[longer]),
    ]));
    stay.go_on(at(1));
    assert_eq!(stay.over(), Some((at(90), at(105))));
    stay.changes_to(Pass::default());
    assert_eq!(
        course(&mut stay, &[104, 105]),
        [(104, Routing::Live, false), (105, Routing::Rehearsal, false)]
    );

    let mut on_air = self::stay(
        &[Turn {
            live_from: None,
            ..turn(0, 60)
        }],
        0,
    );
    assert_eq!(on_air.routing(at(20)), Routing::Rehearsal);
    on_air.changes_to(Pass::of(&[presenter(
        "Night Shift",
        &[Turn {
            live_from: Some(at(20)),
            ..turn(0, 60)
        }],
    )]));
    assert_eq!(on_air.routing(at(20)), Routing::Live);

    let mut studio = Stay::begin(Pass::of(&[self::studio(Routing::Live)]), at(0)).unwrap();
    studio.changes_to(Pass::default());
    assert_eq!(studio.routing(at(9)), Routing::Live);
    studio.changes_to(Pass::of(&[self::studio(Routing::Rehearsal)]));
    assert_eq!(studio.routing(at(9)), Routing::Rehearsal);
}

#[test]
fn a_deleted_show_has_no_further_turns() {
    let mut stay = stay(&[turn(0, 60), turn(60, 120)], 0);
    stay.changes_to(Pass::default());
    assert_eq!(
        course(&mut stay, &[74, 75]),
        [(74, Routing::Live, false), (75, Routing::Rehearsal, false)]
    );
}

/// What; who has the input; who comes, in which minutes; when the first yields; what the other is told at first.
type Wanted<'a> = (
    &'a str,
    Stay,
    &'a dyn Fn(i64) -> Stay,
    std::ops::Range<i64>,
    Option<i64>,
    Option<i64>,
);

#[test]
fn an_input_goes_to_the_next_show_when_both_slots_say_so() {
    let studio = |now| Stay::begin(Pass::of(&[studio(Routing::Live)]), at(now)).unwrap();
    let first = || stay(&[turn(0, 60)], 0);
    let next = |start, end| move |now| stay(&[turn(start, end)], now);
    let cohost = |now| stay(&[turn(0, 60)], now);
    let table: [Wanted; 6] = [
        (
            "back to back",
            first(),
            &next(60, 120),
            45..135,
            Some(60),
            Some(60),
        ),
        ("a gap", first(), &next(70, 130), 55..140, Some(70), Some(70)),
        ("overlapping", first(), &next(30, 90), 15..105, Some(60), Some(60)),
        // Both are over: until it is off the air the first may go on.
        ("its own co-host", first(), &cohost, 0..75, None, Some(75)),
        ("the studio", first(), &studio, 0..100, Some(75), Some(75)),
        (
            "against the studio",
            studio(0),
            &next(60, 120),
            45..135,
            None,
            None,
        ),
    ];
    for (what, holder, comes, minutes, yields, told) in table {
        let mut when = None;
        for minute in minutes.clone() {
            let mut holder = holder.clone();
            holder.go_on(at(minute));
            if holder.yields_to(&comes(minute), at(minute)) {
                when = when.or(Some(minute));
            } else {
                assert_eq!(when, None, "{what}: no longer at {minute}");
            }
        }
        assert_eq!(when, yields, "{what}");
        assert_eq!(holder.free_for(&comes(minutes.start)), told.map(at), "{what}");
    }
}

#[test]
fn who_has_the_next_turn_as_well_does_not_yield() {
    let mut holder = stay(&[turn(0, 60), turn(60, 120)], 0);
    let other = stay(&[turn(60, 120)], 61);
    holder.go_on(at(61));
    assert!(!holder.yields_to(&other, at(61)));
    assert_eq!(holder.free_for(&other), Some(at(135)));
}
