use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// An API server whose clock is so far from the node's boot, as nanoseconds since 1970.
fn answer(clock: i64, asked: Duration, there: Duration, back: Duration) -> Answer {
    let written = clock + nanoseconds(asked + there);
    Answer {
        asked,
        came: asked + there + back,
        date: Timestamp::from_second(written.div_euclid(SECOND)).unwrap(),
    }
}

fn off(estimate: &Estimate, clock: i64, now: Duration) -> Duration {
    let truth = Timestamp::from_nanosecond(i128::from(clock) + i128::from(nanoseconds(now))).unwrap();
    estimate.time(now).duration_since(truth).unsigned_abs()
}

/// Asks when it says, so many times, with ways of that length; the bounds of each.
fn asked(clock: i64, times: usize, there: Duration, back: Duration) -> (Estimate, Duration, Vec<Duration>) {
    let mut now = ms(3_600_123);
    let mut estimate: Option<Estimate> = None;
    let mut errors = Vec::new();
    for _ in 0..times {
        now += estimate.map_or(Duration::ZERO, |estimate| estimate.next(now));
        let answer = answer(clock, now, there, back);
        now = answer.came;
        let next = estimate.map_or_else(|| Estimate::of(answer), |before| before.with(answer));
        assert!(
            off(&next, clock, now) <= next.error(now) + Duration::from_nanos(1),
            "{clock} {now:?} {next:?}"
        );
        errors.push(next.error(now));
        estimate = Some(next);
    }
    (estimate.unwrap(), now, errors)
}

#[test]
fn a_few_answers_of_whole_seconds_tell_the_time_to_a_tenth() {
    let mut worst = Duration::ZERO;
    for fraction in 0..200 {
        let clock = 1_800_000_000 * SECOND + fraction * 5_000_003;
        let (estimate, now, errors) = asked(clock, 6, ms(3), ms(5));
        assert!(errors[0] <= ms(505), "{errors:?}");
        worst = worst.max(off(&estimate, clock, now));
        assert!(estimate.error(now) <= ms(100), "{errors:?}");
        // Then it is asked seldom.
        assert!(estimate.next(now) >= LATER);
    }
    assert!(worst <= ms(100), "{worst:?}");
}

#[test]
fn slow_and_lopsided_ways_are_inside_the_bounds_and_asked_no_more_often() {
    for (there, back) in [(ms(900), ms(5)), (ms(5), ms(900)), (ms(2_000), ms(2_000))] {
        let clock = 1_800_000_000 * SECOND + 123_456_789;
        let (estimate, now, errors) = asked(clock, 12, there, back);
        assert!(estimate.error(now) <= (there + back) / 2 + ms(501), "{errors:?}");
        assert!(estimate.next(now) >= LATER);
    }
}

#[test]
fn a_clock_that_was_set_is_believed_at_once() {
    let clock = 1_800_000_000 * SECOND;
    let (estimate, now, _) = asked(clock, 6, ms(3), ms(5));
    for set in [-300, 300, 2] {
        let clock = clock + set * SECOND;
        let new = estimate.with(answer(clock, now + ms(500), ms(3), ms(5)));
        assert!(off(&new, clock, now) <= ms(505), "{set}");
        // And asked about soon.
        assert!(new.next(now) <= ms(2_000), "{set}");
    }
}

#[test]
fn two_servers_of_slightly_different_clocks_do_no_harm() {
    let clock = 1_800_000_000 * SECOND + 700_000_000;
    let (mut estimate, mut now, _) = asked(clock, 6, ms(3), ms(5));
    for turn in 0..50 {
        now += estimate.next(now);
        let which = clock + (turn % 2) * 300_000_000;
        let answer = answer(which, now, ms(3), ms(5));
        now = answer.came;
        estimate = estimate.with(answer);
        assert!(off(&estimate, clock, now) <= ms(805), "{turn} {estimate:?}");
    }
}

#[test]
fn less_is_certain_as_time_goes_by() {
    let clock = 1_800_000_000 * SECOND;
    let (estimate, now, _) = asked(clock, 6, ms(3), ms(5));
    let hour = now + Duration::from_hours(1);
    let grown = estimate.error(hour).saturating_sub(estimate.error(now));
    assert!(grown >= ms(719) && grown <= ms(721), "{grown:?}");
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
}

#[test]
fn the_hand_goes_to_the_truth_and_never_back() {
    // How far it is off at first, and the milliseconds until it is right.
    for (off, within) in [
        (-300_000_i64, 0),
        (-900, 7_300),
        (-1, 100),
        (0, 0),
        (1, 100),
        (400, 900),
        (300_000, 600_100),
    ] {
        let mut hand = Hand::at(at(off), ms(0));
        let mut last = at(off);
        let mut right = None;
        for now in (0..700_000_u32).step_by(50) {
            let truth = at(now.into());
            let shown = hand.follow(truth, ms(now.into()));
            assert!(shown >= last, "{off} {now}");
            last = shown;
            if shown == truth {
                right = right.or(Some(now));
            } else {
                assert_eq!(right, None, "{off} {now}: it stays right");
            }
        }
        assert!(right.is_some_and(|right| right <= within), "{off}: {right:?}");
    }
}
