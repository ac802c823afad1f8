use super::*;
use crate::finalize::fixtures::{at, manifest, segment, taped};
use crate::manifest::OverWhy;
use ingest::api::Ended;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const RATE: u64 = 1000;

/// A session of 1000 bytes a second from then to then, whose index says so each second.
fn session(id: &str, priority: u16, from: i64, to: i64, routings: &[(i64, Routing)]) -> Taped {
    let mut taped = taped(id, priority);
    let offset = |second: i64| u64::try_from(second - from).unwrap() * RATE;
    taped.session.started = at(from);
    taped.session.ended = Some(Ended {
        at: at(to + 15),
        why: String::new(),
    });
    taped.lines = (from + 1..=to)
        .map(|second| Line::Clock {
            at: offset(second),
            t: at(second),
        })
        .collect();
    taped.lines.push(Line::End {
        at: offset(to),
        t: at(to + 15),
        why: String::new(),
    });
    for &(second, routing) in routings {
        taped.lines.push(Line::Routing {
            at: offset(second),
            t: at(second),
            routing,
        });
        taped.session.routing = routing;
    }
    taped.end = Some(offset(to));
    taped.segments = vec![segment(id, 0, offset(to))];
    taped
}

/// Seconds, rounded: the last byte of a session came a moment before its end.
fn second(t: Timestamp) -> i64 {
    let millis = t.as_millisecond() - at(0).as_millisecond();
    (millis + 500).div_euclid(1000)
}

/// Session, seconds from and to, kilobytes from and to.
type Heard = (usize, i64, i64, u64, u64);
type Missing = (GapKind, i64, i64);

fn told(manifest: &Manifest) -> (Vec<Heard>, Vec<Missing>) {
    let on_air = on_air(manifest);
    let kilo = |bytes: u64| (bytes + RATE / 2) / RATE;
    let pieces = on_air.pieces.iter().map(|piece| {
        (
            piece.session,
            second(piece.from),
            second(piece.to),
            kilo(piece.bytes.from),
            kilo(piece.bytes.to),
        )
    });
    let gaps = on_air
        .gaps
        .iter()
        .map(|gap| (gap.kind, second(gap.from), second(gap.to)));
    (pieces.collect(), gaps.collect())
}

fn all_told(name: &str, manifest: &Manifest, pieces: &[Heard], gaps: &[Missing]) {
    assert_eq!(told(manifest), (pieces.to_vec(), gaps.to_vec()), "{name}");
}

#[test]
fn a_slot_has_edges_and_what_has_none_has_the_edges_of_what_was_on_air() {
    use GapKind::NoSource;
    use OverWhy::{Idle, MaxLength, Until};
    let idle = |sessions| manifest(0, None, Idle, sessions);
    let one = || vec![session("a", 0, 10, 100, &[])];
    let whole: [Heard; 1] = [(0, 10, 100, 0, 90)];
    all_told("a source", &idle(one()), &whole, &[]);
    all_told("nobody", &idle(vec![]), &[], &[]);
    let empty = manifest(0, Some(50), Until, vec![]);
    all_told("nobody in a slot", &empty, &[], &[(NoSource, 0, 50)]);
    let wide = manifest(0, Some(120), Until, one());
    all_told(
        "a wide slot",
        &wide,
        &whole,
        &[(NoSource, 0, 10), (NoSource, 100, 120)],
    );
    let narrow = manifest(20, Some(90), Until, one());
    all_told("a narrow slot", &narrow, &[(0, 20, 90, 10, 80)], &[]);
    let mut until_the_next_slot = wide.clone();
    until_the_next_slot.recording.ends_idle = true;
    all_told("idle before its end", &until_the_next_slot, &whole, &[]);
    until_the_next_slot.recording.limit = at(90);
    let cut = [(0, 10, 90, 0, 80)];
    all_told("on air at its end", &until_the_next_slot, &cut, &[]);
    let longest = manifest(20, None, MaxLength, one());
    all_told("the greatest length", &longest, &[(0, 20, 100, 10, 90)], &[]);
}

#[test]
fn nobody_has_to_overrun_a_slot() {
    use GapKind::{NoSource, Rehearsal};
    let slot = |sessions| {
        let mut slot = manifest(0, Some(150), OverWhy::Until, sessions);
        slot.recording.show = Some(crate::config::SlotOf {
            name: "night-shift".to_owned(),
            slot_end: at(100),
        });
        slot
    };
    let one = |from, to| slot(vec![session("a", 0, from, to, &[])]);
    all_told("to the end", &one(0, 100), &[(0, 0, 100, 0, 100)], &[]);
    let early = [(NoSource, 90, 100)];
    all_told("not to the end", &one(0, 90), &[(0, 0, 90, 0, 90)], &early);
    all_told("an overrun", &one(0, 120), &[(0, 0, 120, 0, 120)], &[]);
    all_told("nobody", &slot(vec![]), &[], &[(NoSource, 0, 100)]);
    let back = slot(vec![session("a", 0, 0, 90, &[]), session("b", 0, 110, 130, &[])]);
    let pieces = [(0, 0, 90, 0, 90), (1, 110, 130, 0, 20)];
    all_told("back in the overrun", &back, &pieces, &[(NoSource, 90, 110)]);
    let off = slot(vec![session("a", 0, 0, 140, &[(80, Routing::Rehearsal)])]);
    all_told("off air", &off, &[(0, 0, 80, 0, 80)], &[(Rehearsal, 80, 100)]);
}

#[test]
fn who_is_heard_and_why_nobody_is() {
    use GapKind::{NoSource, Rehearsal};
    use Routing::Live;
    let idle = |sessions| manifest(0, None, OverWhy::Idle, sessions);
    let reconnect = vec![session("a", 0, 0, 40, &[]), session("b", 0, 45, 80, &[])];
    let pieces = [(0, 0, 40, 0, 40), (1, 45, 80, 0, 35)];
    all_told("a reconnect", &idle(reconnect), &pieces, &[(NoSource, 40, 45)]);
    let rehearsed = || vec![session("a", 0, 10, 100, &[(40, Live), (60, Routing::Rehearsal)])];
    let aired = [(0, 40, 60, 30, 50)];
    all_told("a rehearsal before and after", &idle(rehearsed()), &aired, &[]);
    let slot = manifest(0, Some(100), OverWhy::Until, rehearsed());
    let gaps = [(NoSource, 0, 10), (Rehearsal, 10, 40), (Rehearsal, 60, 100)];
    all_told("a rehearsal in a slot", &slot, &aired, &gaps);
    let both = vec![session("car", 1, 0, 100, &[]), session("studio", 0, 30, 60, &[])];
    let pieces = [(0, 0, 30, 0, 30), (1, 30, 60, 0, 30), (0, 60, 100, 60, 100)];
    all_told("the studio before the car", &idle(both), &pieces, &[]);
    let equals = vec![session("a", 0, 0, 50, &[]), session("b", 0, 30, 80, &[])];
    let pieces = [(0, 0, 50, 0, 50), (1, 50, 80, 20, 50)];
    all_told("of equals the first", &idle(equals), &pieces, &[]);
}

/// The ingest puts a presenter on air some milliseconds after his slot has begun.
#[test]
fn the_moment_before_a_turn_begins_is_no_gap() {
    let waits = |milliseconds: i64| {
        let mut taped = session("a", 0, -10, 100, &[]);
        taped.session.routing = Routing::Live;
        let since = at(0) + jiff::SignedDuration::from_millis(milliseconds);
        taped.lines.insert(
            0,
            Line::Routing {
                at: 0,
                t: at(-10),
                routing: Routing::Rehearsal,
            },
        );
        taped.lines.push(Line::Routing {
            at: 10_000,
            t: since,
            routing: Routing::Live,
        });
        let gaps = on_air(&manifest(0, Some(100), OverWhy::Until, vec![taped])).gaps;
        gaps.iter().filter(|gap| gap.kind == GapKind::Rehearsal).count()
    };
    assert_eq!([waits(2), waits(999), waits(1000)], [0, 0, 1]);
}

#[test]
fn the_tapes_own_change_of_routing_is_exact() {
    let mut taped = session("a", 0, 0, 100, &[]);
    taped.lines.push(Line::Routing {
        at: 40_123,
        t: at(40),
        routing: Routing::Rehearsal,
    });
    taped.session.routing = Routing::Rehearsal;
    let on_air = on_air(&manifest(0, None, OverWhy::Idle, vec![taped]));
    assert_eq!(on_air.pieces[0].bytes, Range { from: 0, to: 40_123 });
}

#[test]
fn a_hole_is_lost_only_where_it_was_heard() {
    let mut taped = session("a", 0, 0, 100, &[(50, Routing::Live)]);
    taped.segments = [(0, 20_000), (30_000, 60_000), (70_000, 100_000)]
        .map(|(from, to)| segment("a", from, to))
        .into();
    let on_air = on_air(&manifest(0, None, OverWhy::Idle, vec![taped]));
    let gaps: Vec<_> = on_air
        .gaps
        .iter()
        .map(|gap| (gap.kind, gap.lost.clone().unwrap().bytes))
        .collect();
    assert_eq!(
        gaps,
        [(
            GapKind::Lost,
            Range {
                from: 60_000,
                to: 70_000
            }
        )]
    );
    assert_eq!((second(on_air.gaps[0].from), second(on_air.gaps[0].to)), (60, 70));
}

/// Some session at some time, that changes its mind.
fn any_session(rng: &mut StdRng, number: usize) -> Taped {
    let from = rng.random_range(0..80);
    let to = from + rng.random_range(1..40);
    let mut seconds: Vec<i64> = (0..rng.random_range(0..4))
        .map(|_| rng.random_range(from..to))
        .collect();
    seconds.sort_unstable();
    seconds.dedup();
    let both = [Routing::Live, Routing::Rehearsal];
    let turn = rng.random_range(0..2);
    let changes: Vec<_> = (1..)
        .zip(seconds)
        .map(|(count, second)| (second, both[(turn + count) % 2]))
        .collect();
    let mut taped = session(&format!("s{number}"), rng.random_range(0..3), from, to, &changes);
    taped.session.routing = changes.last().map_or(both[turn], |last| last.1);
    taped
}

#[test]
fn at_each_instant_the_right_one_is_heard() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let sessions = (0..rng.random_range(0..6)).map(|number| any_session(&mut rng, number));
        let (begin, until) = (10, 90);
        let manifest = manifest(begin, Some(until), OverWhy::Until, sessions.collect());
        let on_air = on_air(&manifest);
        let pieces: Vec<_> = on_air
            .pieces
            .iter()
            .map(|piece| (piece.from, piece.to, Ok(piece.session)))
            .collect();
        let gaps = on_air.gaps.iter().map(|gap| (gap.from, gap.to, Err(gap.kind)));
        let mut spans: Vec<_> = pieces.into_iter().chain(gaps).collect();
        spans.sort_by_key(|span| span.0);
        // Pieces and gaps cover the slot, once.
        assert_eq!(
            (spans[0].0, spans[spans.len() - 1].1),
            (at(begin), at(until)),
            "seed {seed}"
        );
        assert!(
            spans.windows(2).all(|pair| pair[0].1 == pair[1].0),
            "seed {seed}: {spans:?}"
        );
        for (index, a) in on_air.pieces.iter().enumerate() {
            let later = on_air.pieces.iter().skip(index + 1);
            let doubled = later
                .filter(|b| b.session == a.session)
                .any(|b| a.bytes.to > b.bytes.from);
            assert!(!doubled, "seed {seed}: a byte of {a:?} is in two pieces");
        }
        for half in begin * 2..until * 2 {
            let instant = at(0) + jiff::SignedDuration::from_millis(half * 500 + 100);
            let heard = spans
                .iter()
                .find(|&&(from, to, _)| from <= instant && instant < to);
            let expected = brute(&manifest, instant);
            assert_eq!(
                heard.map(|span| span.2),
                Some(expected),
                "seed {seed} at {half}/2 s"
            );
        }
    }
}

/// As one would find it out by hand.
fn brute(manifest: &Manifest, instant: Timestamp) -> Result<usize, GapKind> {
    let mut best: Option<(u16, Timestamp, usize)> = None;
    let mut anybody = false;
    for (index, taped) in manifest.sessions.iter().enumerate() {
        let ended = taped.session.ended.as_ref().unwrap().at - jiff::SignedDuration::from_secs(15);
        if !(taped.session.started <= instant && instant < ended) {
            continue;
        }
        anybody = true;
        let mut routing = taped.first_routing();
        for line in &taped.lines {
            if let Line::Routing { t, routing: next, .. } = *line
                && t <= instant
            {
                routing = next;
            }
        }
        let this = (taped.session.priority, taped.session.started, index);
        if routing == Routing::Live && best.is_none_or(|best| this < best) {
            best = Some(this);
        }
    }
    best.map(|(_, _, index)| index).ok_or(if anybody {
        GapKind::Rehearsal
    } else {
        GapKind::NoSource
    })
}

/// The next Recording begins with the very byte where this one ends, whatever lines and segments each has.
#[test]
fn recordings_in_turns_meet() {
    let limit = at(500) + jiff::SignedDuration::from_millis(317);
    let x = 500_317;
    let mut first = session("a", 0, 0, 1_000, &[]);
    let mut second = first.clone();
    let mut backup = session("b", 1, 0, 1_000, &[]);
    let thin = |taped: &mut Taped, every: u64| {
        taped
            .lines
            .retain(|line| !matches!(line, Line::Clock { at, .. } if at % every != 0));
        taped.lines.push(Line::Clock { at: x, t: limit });
    };
    thin(&mut first, 10_000);
    thin(&mut second, 7_000);
    thin(&mut backup, 10_000);
    // Each is stored to a cut beyond, and from one before.
    first.end = Some(504_000);
    second.start = 494_000;
    let mut one = manifest(0, None, OverWhy::MaxLength, vec![first, backup.clone()]);
    one.recording.limit = limit;
    let mut two = manifest(0, None, OverWhy::Idle, vec![second, backup]);
    two.recording.window.from = limit;
    let (one, two) = (on_air(&one), on_air(&two));
    let last = one.pieces.last().unwrap();
    let next = &two.pieces[0];
    assert_eq!((last.session, last.bytes.to, last.to), (0, x, limit));
    assert_eq!((next.session, next.bytes.from, next.from), (0, x, limit));
    assert_eq!((one.gaps.len(), two.gaps.len()), (0, 0));
}

/// A DJ who comes with the credentials of the rehearsal between two times on air.
#[test]
fn a_rehearsal_of_its_own_is_told_from_nobody() {
    let live = vec![session("a", 0, 0, 10, &[]), session("c", 0, 40, 50, &[])];
    let mut manifest = manifest(0, None, OverWhy::Idle, live);
    let rehearsal = |from, to: Option<i64>| Rehearsal {
        session: format!("b{from}"),
        from: at(from),
        to: to.map(at),
    };
    manifest.rehearsals = vec![rehearsal(15, Some(20)), rehearsal(60, None)];
    let pieces = [(0, 0, 10, 0, 10), (1, 40, 50, 0, 10)];
    let gaps = [
        (GapKind::NoSource, 10, 15),
        (GapKind::Rehearsal, 15, 20),
        (GapKind::NoSource, 20, 40),
    ];
    all_told("reconnecting", &manifest, &pieces, &gaps);
}
