use super::*;
use ingest::api::{Aired, Container, Ended, Spell};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(10_000 + second).unwrap()
}

fn span(from: i64, to: Option<i64>) -> Span {
    Span {
        from: at(from),
        to: to.map(at),
    }
}

fn rule(until: Option<i64>) -> Rule {
    Rule {
        mount: "main".to_owned(),
        input: None,
        from: at(100),
        until: until.map(at),
        idle_end: SignedDuration::from_secs(120),
        limit: at(until.unwrap_or(700).min(700)),
    }
}

fn session(from: i64, to: Option<i64>, routing: Routing) -> Session {
    Session {
        id: "s1".to_owned(),
        mount: "main".to_owned(),
        input: "studio".to_owned(),
        path: "/live/studio".to_owned(),
        priority: 0,
        routing,
        user: "source".to_owned(),
        container: Container::Ogg,
        codec: None,
        title: None,
        started: at(from),
        bytes: 10,
        kept_from: 0,
        ended: to.map(|to| Ended {
            at: at(to),
            why: String::new(),
        }),
        aired: None,
        acked_by: Vec::new(),
    }
}

fn route(second: i64, routing: Routing) -> Line {
    Line::Routing {
        at: u64::try_from(second).unwrap(),
        t: at(second),
        routing,
    }
}

#[test]
fn steps_of_silence_make_a_chain() {
    let known = [
        span(500, Some(510)), // reached from 400 only
        span(0, Some(90)),
        span(100, Some(200)),
        span(150, Some(300)), // beside it
        span(420, Some(430)), // 120 s later: just still
        span(631, Some(640)), // 121 s later: another Recording's
        span(650, None),
    ];
    let reach = rule(None).reach(&known, &[]);
    assert_eq!(reach.last(), Last::Until(at(510)));
    let belongs = known.map(|span| reach.has(&span));
    assert_eq!(belongs, [true, false, true, true, true, false, false]);
    // What is stored already belongs, whatever the tape has forgotten between.
    let reach = rule(None).reach(&known, &[span(520, Some(600))]);
    assert_eq!(reach.last(), Last::Now);
    // The order of what is known does not matter, nor what it knows besides.
    let mut turned = known;
    turned.reverse();
    assert_eq!(rule(None).reach(&turned, &[]), rule(None).reach(&known, &[]));
    // With an end, silence ends nothing.
    let reach = rule(Some(640)).reach(&known, &[]);
    assert_eq!(
        known.map(|span| reach.has(&span)),
        [true, false, true, true, true, true, false]
    );
}

#[test]
fn other_mounts_and_inputs_have_their_own() {
    let session = session(0, None, Routing::Live);
    let is_of = |mount: &str, input: Option<&str>| {
        let rule = Rule {
            mount: mount.to_owned(),
            input: input.map(str::to_owned),
            ..rule(None)
        };
        rule.is_of(&session)
    };
    assert!(is_of("main", None) && is_of("main", Some("studio")));
    assert!(!is_of("other", None) && !is_of("main", Some("mobile")));
}

#[test]
fn the_list_and_the_index_tell_when_it_was_on_air() {
    use Routing::{Live, Rehearsal};
    let mut listed = session(10, Some(90), Live);
    assert_eq!(spans(&listed), []);
    listed.aired = Some(Aired {
        first: at(20),
        last: Some(at(80)),
        spells: Vec::new(),
    });
    assert_eq!(spans(&listed), [span(20, Some(80))]);
    let spells = [(20, 30), (70, 80)].map(|(from, to)| Spell {
        from: at(from),
        to: Some(at(to)),
    });
    listed.aired.as_mut().unwrap().spells = spells.to_vec();
    assert_eq!(spans(&listed), [span(20, Some(30)), span(70, Some(80))]);
    listed.bytes = 0;
    assert_eq!(spans(&listed), [], "it never was more than a login");

    let table: [(&[Line], Vec<Span>); 4] = [
        (&[], vec![]),
        (
            &[route(120, Live), route(130, Rehearsal)],
            vec![span(120, Some(130))],
        ),
        // It was live from the start.
        (&[route(101, Rehearsal)], vec![span(10, Some(101))]),
        (
            &[route(101, Rehearsal), route(300, Live), route(310, Rehearsal)],
            vec![span(10, Some(101)), span(300, Some(310))],
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(
            spans_told(&session(10, None, Rehearsal), lines),
            expected,
            "{lines:?}"
        );
    }
    assert_eq!(spans_told(&session(10, None, Live), &[]), [span(10, None)]);
    assert_eq!(
        spans_told(&session(10, Some(90), Live), &[]),
        [span(10, Some(90))]
    );
    let mut login = session(10, Some(90), Live);
    login.bytes = 0;
    assert_eq!(
        spans_told(&login, &[]),
        [],
        "the list and the index say the same of a login"
    );
}

#[test]
fn it_is_over_when_nobody_can_come_back() {
    let table = [
        (None, vec![span(100, None), span(105, Some(110))], 500, None),
        (None, vec![span(100, Some(300)), span(110, Some(200))], 419, None),
        (
            None,
            vec![span(100, Some(300)), span(110, Some(200))],
            420,
            Some((OverWhy::Idle, 300)),
        ),
        (None, vec![], 219, None),
        (None, vec![], 220, Some((OverWhy::Idle, 100))),
        (None, vec![span(100, None)], 699, None),
        (None, vec![span(100, None)], 700, Some((OverWhy::MaxLength, 700))),
        // However late anybody looks.
        (
            None,
            vec![span(100, Some(300)), span(500, None)],
            9_000,
            Some((OverWhy::Idle, 300)),
        ),
        // Somebody might have come back before the limit.
        (None, vec![span(100, Some(650))], 699, None),
        (
            None,
            vec![span(100, Some(650))],
            700,
            Some((OverWhy::MaxLength, 700)),
        ),
        (Some(400), vec![], 399, None),
        (Some(400), vec![span(100, None)], 400, Some((OverWhy::Until, 400))),
        (
            Some(900),
            vec![span(100, None)],
            700,
            Some((OverWhy::MaxLength, 700)),
        ),
    ];
    for (until, known, now, expected) in table {
        let reach = rule(until).reach(&known, &[]);
        let over = reach
            .over(at(100), at(now))
            .map(|why| (why, reach.end(why)))
            .map(|(why, end)| (why, end.duration_since(at(0)).as_secs()));
        assert_eq!(over, expected, "{until:?} {known:?} {now}");
    }
}

fn begins(known: &[Span], there: &[Reach], now: i64) -> Vec<i64> {
    let seconds = |secs| SignedDuration::from_secs(secs);
    beginnings(known, there, seconds(120), seconds(600), at(now))
        .into_iter()
        .map(|begin| begin.duration_since(at(0)).as_secs())
        .collect()
}

#[test]
fn everything_on_air_has_its_recording() {
    // Two shows, and one that is on air.
    let known = [
        span(0, Some(50)),
        span(170, Some(180)),
        span(400, Some(450)),
        span(5_000, None),
    ];
    assert_eq!(begins(&known, &[], 5_001), [0, 400, 5_000]);
    let made = |from: i64| {
        let rule = Rule {
            from: at(from),
            limit: at(from + 600),
            ..rule(None)
        };
        rule.reach(&known, &[])
    };
    assert_eq!(begins(&known, &[made(0), made(5_000)], 5_001), [400]);
    // Each turn of a long one, and none before it is due.
    assert!(begins(&known, &[made(0), made(400), made(5_000)], 5_599).is_empty());
    assert_eq!(begins(&known, &[made(0), made(400), made(5_000)], 5_600), [5_600]);
    assert_eq!(
        begins(&known, &[made(0), made(400)], 6_300),
        [5_000, 5_600, 6_200]
    );
    // A silence over the limit: the next begins with its own first sound.
    let known = [span(0, Some(590)), span(630, None)];
    assert_eq!(begins(&known, &[], 700), [0, 630]);
    // A length of nothing makes no end of them.
    let none = SignedDuration::ZERO;
    assert!(beginnings(&known, &[], none, none, at(9_999)).len() <= 64);
}

/// Whoever makes the next Recording and whoever records this one see the same: nothing is in none, nothing in two.
#[test]
fn every_instant_on_air_is_in_exactly_one() {
    use rand::RngExt as _;
    let mut random = rand::rng();
    for _ in 0..2_000 {
        let known: Vec<_> = (0..random.random_range(1..8))
            .map(|_| {
                let from = random.random_range(0..3_000);
                span(from, Some(from + random.random_range(1..900)))
            })
            .collect();
        let reaches: Vec<_> = begins(&known, &[], 10_000)
            .into_iter()
            .map(|from| {
                let rule = Rule {
                    from: at(from),
                    limit: at(from + 600),
                    ..rule(None)
                };
                (from, rule.reach(&known, &[]))
            })
            .collect();
        for &Span { from, to } in &known {
            for second in [from, to.unwrap() - SignedDuration::from_secs(1)] {
                let holds = |(begin, reach): &&(i64, Reach)| {
                    let end = match reach.last() {
                        Last::Until(last) => last.min(at(begin + 600)),
                        other => panic!("{other:?}"),
                    };
                    at(*begin) <= second && second < end
                };
                let holding = reaches.iter().filter(holds).count();
                assert_eq!(holding, 1, "{second} in {known:?} by {reaches:?}");
            }
        }
    }
}

#[test]
fn what_may_end_idle_is_over_then_or_at_its_limit() {
    let recording = |ends_idle: bool| {
        let text = serde_json::json!({
            "name": "r", "namespace": "n", "station": "s", "mount": "main", "title": "", "maxLengthSeconds": 21_600,
            "window": { "from": at(100), "until": at(600) }, "endsIdle": ends_idle,
            "tape": { "addresses": [], "token": "" }, "store": { "endpoint": "http://s3", "bucket": "b" },
        });
        Recording::parse(text.to_string().as_bytes()).unwrap()
    };
    let (slot, before_a_slot) = (Rule::from(&recording(false)), Rule::from(&recording(true)));
    let early = [span(100, Some(200))];
    assert_eq!(slot.reach(&early, &[]).over(at(100), at(599)), None);
    let over = before_a_slot.reach(&early, &[]).over(at(100), at(320));
    assert_eq!(over, Some(OverWhy::Idle));
    // Whoever stays on air is the slot's from its start on.
    let stays = [span(100, None)];
    let over = |now| before_a_slot.reach(&stays, &[]).over(at(100), at(now));
    assert_eq!((over(599), over(600)), (None, Some(OverWhy::MaxLength)));
    assert_eq!(before_a_slot.reach(&stays, &[]).end(OverWhy::MaxLength), at(600));
}
