use super::*;

/// Seconds after the start.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Two hours, fifteen minutes of overrun, five minutes of patience; it is heard who is on air, and nobody was.
fn scene() -> Scene {
    Scene {
        start: at(0),
        end: at(7200),
        closes: at(8100),
        missed_after: SignedDuration::from_mins(5),
        outcome: None,
        hearing: Hearing::Now,
        air: Air::default(),
        taping: None,
    }
}

fn on_air(first: i64, still: Option<i64>) -> Air {
    Air {
        first: Some(at(first)),
        still: still.map(at),
    }
}

fn recorded(phase: Option<Phase>) -> Recorded {
    Recorded {
        phase,
        until: at(8100),
        coverage: None,
        min_coverage: None,
        doubts: Vec::new(),
        store_out: None,
        says: String::new(),
    }
}

fn taping(quiet_since: i64, moves: bool, recorded: Option<Recorded>) -> Taping {
    Taping {
        name: "live-1".to_owned(),
        quiet_since: at(quiet_since),
        moves,
        recorded,
    }
}

/// What was found, `Missed` or `over Missed`.
fn found(scene: &Scene, second: i64) -> String {
    let words = judge(scene, at(second)).into_iter().map(|finding| {
        let over = if finding.over { "over " } else { "" };
        format!("{over}{:?}", finding.kind)
    });
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn nobody_is_there() {
    let scene = scene();
    for (second, expected) in [
        (-1, ""),
        (0, ""),
        (299, ""),
        (300, "Missed"),
        (7199, "Missed"),
        (90_000, "Missed"),
    ] {
        assert_eq!(found(&scene, second), expected, "{second}");
    }
}

#[test]
fn a_slot_that_is_shorter_than_the_patience_is_missed_at_its_end() {
    let short = Scene {
        end: at(60),
        closes: at(60),
        ..scene()
    };
    assert_eq!(found(&short, 59), "");
    assert_eq!(found(&short, 60), "Missed");
}

#[test]
fn somebody_came() {
    let late = Scene {
        air: on_air(420, Some(420)),
        ..scene()
    };
    assert_eq!(found(&late, 421), "over Missed");
    let went = Scene {
        air: on_air(0, None),
        ..scene()
    };
    assert_eq!(found(&went, 5000), "over Missed");
}

#[test]
fn an_ingest_that_does_not_answer_is_somebody_who_is_not_on_air() {
    let of = |hearing| Scene { hearing, ..scene() };
    assert_eq!(found(&of(Hearing::Silence), 314), "");
    assert_eq!(found(&of(Hearing::Silence), 315), "Missed");
    // An operator that has just begun does not know yet.
    assert_eq!(found(&of(Hearing::NotYet), 900), "");
}

#[test]
fn what_became_of_a_slot_counts_more_than_what_is_left_of_it() {
    for (outcome, expected) in [
        (Outcome::Missed, "Missed"),
        // Its tape and its Recording may be gone by now.
        (Outcome::Recorded, ""),
        (Outcome::Short, ""),
        (Outcome::Doubtful, ""),
        (Outcome::Aired, ""),
        (Outcome::Taken, ""),
        (Outcome::NotRecorded, ""),
        (Outcome::Storing, "Missed"),
    ] {
        let past = Scene {
            outcome: Some(outcome),
            ..scene()
        };
        assert_eq!(found(&past, 90_000), expected, "{outcome:?}");
    }
    let not_recorded = Scene {
        outcome: Some(Outcome::NotRecorded),
        air: on_air(0, None),
        taping: Some(taping(0, false, Some(recorded(None)))),
        ..scene()
    };
    assert_eq!(found(&not_recorded, 9000), "over Missed, NotRecorded");
}

#[test]
fn a_good_show_has_nothing_wrong_with_it_at_any_time() {
    for second in (-900..20_000).step_by(10) {
        let phase = match second {
            ..0 => Phase::Waiting,
            0..8100 => Phase::OnAir,
            8100..9000 => Phase::Storing,
            9000..9600 => Phase::Finalizing,
            _ => Phase::Verified,
        };
        let good = Scene {
            outcome: (second >= 8100).then_some(Outcome::Storing),
            air: if second < -60 {
                Air::default()
            } else {
                on_air(0, (second < 7300).then_some(0))
            },
            // It takes something every ten seconds.
            taping: Some(taping(second.min(7300), second >= 0, Some(recorded(Some(phase))))),
            ..scene()
        };
        let wrong = judge(&good, at(second))
            .into_iter()
            .filter(|finding| !finding.over);
        assert_eq!(wrong.count(), 0, "{second}");
    }
}

#[test]
fn a_recorder_that_dies_after_two_minutes_and_is_never_replaced() {
    let scene = |taping| Scene {
        air: on_air(0, Some(0)),
        taping,
        ..scene()
    };
    let dead = |phase| scene(Some(taping(120, true, Some(recorded(Some(phase))))));
    assert_eq!(found(&dead(Phase::OnAir), 419), "over Missed, over NotRecorded");
    assert_eq!(found(&dead(Phase::OnAir), 420), "over Missed, NotRecorded");
    // Its file is made, and is valid: that is the file of two minutes.
    assert_eq!(found(&dead(Phase::Finalizing), 900), "over Missed, NotRecorded");
    // There is no Recording at all.
    assert_eq!(found(&scene(Some(taping(0, false, None))), 299), "over Missed");
    assert_eq!(
        found(&scene(Some(taping(0, false, None))), 300),
        "over Missed, NotRecorded"
    );
    // Nothing is to be recorded.
    assert_eq!(found(&scene(None), 5000), "over Missed");
}

#[test]
fn a_recorder_is_not_asked_every_second() {
    let hasty = Scene {
        missed_after: SignedDuration::from_secs(5),
        air: on_air(0, Some(0)),
        taping: Some(taping(100, true, Some(recorded(Some(Phase::OnAir))))),
        ..scene()
    };
    assert_eq!(found(&hasty, 129), "over Missed, over NotRecorded");
    assert_eq!(found(&hasty, 130), "over Missed, NotRecorded");
}

#[test]
fn a_recorder_has_nothing_to_take_from_nobody() {
    let alone = |air| Scene {
        air,
        taping: Some(taping(120, true, Some(recorded(Some(Phase::OnAir))))),
        ..scene()
    };
    assert_eq!(found(&alone(on_air(0, None)), 5000), "over Missed");
    // Somebody is back since four minutes.
    assert_eq!(found(&alone(on_air(0, Some(4760))), 5000), "over Missed");
    assert_eq!(
        found(&alone(on_air(0, Some(4700))), 5000),
        "over Missed, NotRecorded"
    );
}

#[test]
fn what_nobody_can_know_is_not_told() {
    let deaf = |hearing| Scene {
        hearing,
        air: on_air(0, Some(0)),
        taping: Some(taping(0, false, Some(recorded(Some(Phase::OnAir))))),
        ..scene()
    };
    // An ingest that does not answer gives a recorder nothing either, and nobody is known to be on air.
    assert_eq!(found(&deaf(Hearing::Silence), 600), "over Missed");
    assert_eq!(found(&deaf(Hearing::NotYet), 600), "over Missed");
    assert_eq!(found(&deaf(Hearing::Now), 600), "over Missed, NotRecorded");
    // An operator that has just begun has not seen its recorder move yet; no reason to call it recovered.
    let just_begun = Scene {
        taping: Some(taping(590, false, Some(recorded(Some(Phase::OnAir))))),
        ..deaf(Hearing::Now)
    };
    assert_eq!(found(&just_begun, 600), "over Missed");
    // After its window, another Recording has it.
    assert_eq!(found(&deaf(Hearing::Now), 8100), "over Missed");
}

#[test]
fn a_recorder_that_takes_something_again() {
    let again = |quiet_since, phase| Scene {
        air: on_air(0, Some(0)),
        taping: Some(taping(quiet_since, true, Some(recorded(Some(phase))))),
        ..scene()
    };
    assert_eq!(
        found(&again(995, Phase::OnAir), 1000),
        "over Missed, over NotRecorded"
    );
    let verified = Scene {
        outcome: Some(Outcome::Recorded),
        ..again(120, Phase::Verified)
    };
    assert_eq!(
        found(&verified, 20_000),
        "over Missed, over NotRecorded, over Short, over Doubtful, over NotStored"
    );
}

#[test]
fn short_and_doubtful_exclude_each_other() {
    for (phase, coverage, least, expected) in [
        (Phase::Doubtful, Some(94), Some(95), "Short, over NotStored"),
        (Phase::Doubtful, Some(95), Some(95), "Doubtful, over NotStored"),
        (Phase::Doubtful, Some(10), None, "Doubtful, over NotStored"),
        (Phase::Doubtful, None, Some(95), "Doubtful, over NotStored"),
        (Phase::Finalizing, Some(10), Some(95), ""),
        (Phase::Empty, None, Some(95), "over NotStored"),
    ] {
        let over = Scene {
            outcome: Some(Outcome::Doubtful),
            taping: Some(taping(
                0,
                true,
                Some(Recorded {
                    coverage,
                    min_coverage: least,
                    ..recorded(Some(phase))
                }),
            )),
            ..scene()
        };
        assert_eq!(found(&over, 9000), expected, "{phase:?} {coverage:?} {least:?}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_told_half_an_hour_after_the_end() {
    let stored = |phase, store_out: Option<i64>| Scene {
        outcome: Some(Outcome::Storing),
        air: on_air(0, None),
        taping: Some(taping(
            0,
            true,
            Some(Recorded {
                store_out: store_out.map(at),
                ..recorded(Some(phase))
            }),
        )),
        ..scene()
    };
    let end = 8100;
    for (phase, store_out, second, expected) in [
        (Phase::OnAir, Some(10), end - 60, "over Missed"),
        (Phase::Storing, Some(10), end + 1799, "over Missed"),
        (Phase::Storing, Some(10), end + 1800, "over Missed, NotStored"),
        // A store that answers may take its time, but not for ever.
        (Phase::Storing, None, end + 1800, "over Missed"),
        (Phase::Finalizing, None, end + 7199, "over Missed"),
        (Phase::Finalizing, None, end + 7200, "over Missed, NotStored"),
        (Phase::Empty, Some(10), end + 9000, "over Missed, over NotStored"),
    ] {
        assert_eq!(
            found(&stored(phase, store_out), second),
            expected,
            "{phase:?} {second}"
        );
    }
}
