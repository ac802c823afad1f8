use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::api::RefusalReason;
use crate::config::Turn;

fn credential(sha256: &str, routing: Routing) -> Credential {
    Credential {
        user: "anna".to_owned(),
        sha256: sha256.to_owned(),
        routing,
        show: None,
        turns: Vec::new(),
    }
}

fn input(credentials: Vec<Credential>) -> Input {
    Input {
        mount: "live".to_owned(),
        name: "studio".to_owned(),
        path: "/live/studio".to_owned(),
        priority: 0,
        accepts: None,
        credentials,
    }
}

fn of(inputs: Vec<Input>) -> Ingest {
    Ingest {
        inputs,
        ..Ingest::default()
    }
}

/// Minutes after the first show's beginning.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
}

fn turn(start: i64, end: i64) -> Turn {
    Turn {
        start: at(start),
        end: at(end),
        opens: at(start - 15),
        closes: at(end + 15),
        live_from: Some(at(start)),
        live_until: at(end + 15),
        hard_end: false,
    }
}

fn presenter(user: &str, turns: &[Turn]) -> Credential {
    Credential {
        user: user.to_owned(),
        show: Some(format!("{user}'s show")),
        turns: turns.to_vec(),
        ..credential(user, Routing::Rehearsal)
    }
}

/// Takes the input that everybody wants.
fn take(seats: &Seats, credential: &Credential, now: i64) -> Result<Seat, Refused> {
    seats.take(
        &input(vec![credential.clone()]),
        vec![credential.clone()],
        at(now),
    )
}

fn is_called(seat: &Seat) -> bool {
    seat.calls.has_changed().unwrap()
}

#[test]
fn an_input_is_one_sources_until_it_leaves() {
    let seats = Seats::default();
    let (input, anna) = (input(Vec::new()), credential("aa", Routing::Live));
    let seat = seats
        .take(&input, vec![anna.clone()], Timestamp::UNIX_EPOCH)
        .unwrap();
    let refused = seats
        .take(&input, vec![anna.clone()], Timestamp::now())
        .unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Taken);
    assert!(
        refused
            .message
            .contains("anna has sent to /live/studio since 1970-01-01 00:00:00")
    );
    drop(seat);
    assert!(seats.take(&input, vec![anna.clone()], Timestamp::now()).is_ok());
}

#[test]
fn titles_reach_the_source_if_its_stream_has_none_inside() {
    let seats = Seats::default();
    let anna = credential("aa", Routing::Live);
    let title = |text: &str| {
        seats.title(
            "/live/studio",
            std::slice::from_ref(&anna),
            text.to_owned(),
            at(0),
        )
    };
    assert_eq!(title("a").unwrap_err().status, 404);
    let mut seat = take(&seats, &anna, 0).unwrap();
    title("before it is known").unwrap();
    seat.sends(Container::Mp3);
    title("b").unwrap();
    assert_eq!(seat.asked(at(0)).title.as_deref(), Some("b"));
    seat.sends(Container::Ogg);
    let refused = title("c").unwrap_err();
    assert_eq!((refused.status, refused.told), (400, false));
    assert!(!is_called(&seat));
}

#[test]
fn a_configuration_moves_sources_and_ends_those_without_an_input() {
    let seats = Seats::default();
    let anna = credential("aa", Routing::Live);
    let before = input(vec![anna.clone()]);
    let mut seat = seats.take(&before, vec![anna.clone()], Timestamp::now()).unwrap();
    seats.follow(&of(vec![before.clone()]));
    assert!(!is_called(&seat));

    seats.follow(&of(vec![input(vec![credential("aa", Routing::Rehearsal)])]));
    assert_eq!(seat.asked(at(0)).routing, Routing::Rehearsal);

    let other = Input {
        mount: "other".to_owned(),
        ..before
    };
    seats.follow(&of(vec![other]));
    assert_eq!(seat.asked(at(0)).leave, Some("its input was removed"));
    seats.follow(&of(Vec::new()));
    assert!(!is_called(&seat));
}

#[test]
fn a_changed_password_ends_nobody_and_its_routing_counts() {
    let seats = Seats::default();
    let anna = credential("aa", Routing::Live);
    let mut seat = seats
        .take(&input(vec![anna.clone()]), vec![anna.clone()], Timestamp::now())
        .unwrap();
    let ben = Credential {
        user: "ben".to_owned(),
        ..credential("cc", Routing::Rehearsal)
    };
    seats.follow(&of(vec![input(vec![
        ben.clone(),
        credential("bb", Routing::Live),
    ])]));
    assert!(!is_called(&seat));
    seats.follow(&of(vec![input(vec![ben, credential("dd", Routing::Rehearsal)])]));
    assert_eq!(seat.asked(at(0)).routing, Routing::Rehearsal);
    assert_eq!(seat.asked(at(0)).leave, None);
}

#[test]
fn a_rehearsal_does_not_go_on_air_because_its_password_is_gone() {
    let seats = Seats::default();
    let (live, test) = (
        credential("aa", Routing::Live),
        credential("bb", Routing::Rehearsal),
    );
    let both = input(vec![live.clone(), test.clone()]);
    let mut seat = seats.take(&both, vec![test.clone()], Timestamp::now()).unwrap();
    seats.follow(&of(vec![input(vec![
        live.clone(),
        credential("cc", Routing::Live),
    ])]));
    seats.follow(&of(vec![input(vec![live])]));
    assert!(!is_called(&seat));
    assert_eq!(seat.asked(at(0)).routing, Routing::Rehearsal);
}

#[test]
fn a_title_is_passed_on_once() {
    let seats = Seats::default();
    let anna = credential("aa", Routing::Live);
    let before = input(vec![anna.clone()]);
    let mut seat = seats.take(&before, vec![anna.clone()], Timestamp::now()).unwrap();
    seats
        .title("/live/studio", std::slice::from_ref(&anna), "a".to_owned(), at(0))
        .unwrap();
    seat.sends(Container::Mp3);
    assert_eq!(seat.asked(at(0)).title.as_deref(), Some("a"));
    assert!(!is_called(&seat));
    seats.follow(&of(vec![input(vec![credential("aa", Routing::Rehearsal)])]));
    let moved = seat.asked(at(0));
    assert_eq!((moved.title, moved.routing), (None, Routing::Rehearsal));
}

#[test]
fn a_title_told_too_early_is_not_that_of_a_stream_with_titles_inside() {
    for container in [Container::Ogg, Container::Webm] {
        let seats = Seats::default();
        let anna = credential("aa", Routing::Live);
        let mut seat = take(&seats, &anna, 0).unwrap();
        seats
            .title("/live/studio", std::slice::from_ref(&anna), "a".to_owned(), at(0))
            .unwrap();
        seat.sends(container);
        assert_eq!(seat.asked(at(0)).title, None);
    }
}

#[test]
fn after_closing_nobody_sits_down() {
    let seats = Seats::default();
    let anna = credential("aa", Routing::Live);
    let mut seat = take(&seats, &anna, 0).unwrap();
    seats.close("ingest was stopped");
    assert_eq!(seat.asked(at(0)).leave, Some("ingest was stopped"));
    let other = Input {
        path: "/b".to_owned(),
        ..input(Vec::new())
    };
    assert_eq!(
        seats
            .take(&other, vec![anna.clone()], Timestamp::now())
            .unwrap_err()
            .status,
        503
    );
}

/// What comes of waiting for the seat, as far as it goes now.
fn sits(seat: &mut Seat, now: i64) -> Poll<Result<bool, Refused>> {
    pin!(seat.sit(at(now))).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn outside_of_its_turns_a_password_opens_nothing() {
    let seats = Seats::default();
    let anna = presenter("anna", &[turn(0, 60)]);
    for now in [-16, 75] {
        let refused = take(&seats, &anna, now).unwrap_err();
        assert_eq!(
            (refused.reason, refused.told),
            (RefusalReason::OutsideWindow, true),
            "{now}"
        );
        assert!(refused.message.starts_with("anna's show "), "{refused:?}");
    }
    let mut seat = take(&seats, &anna, -15).unwrap();
    let early = seat.asked(at(-15));
    assert_eq!((early.routing, early.again), (Routing::Rehearsal, Some(at(0))));
    assert_eq!(seat.asked(at(0)).routing, Routing::Live);
    let late = seat.asked(at(75));
    assert_eq!(
        (late.routing, late.leave, late.again),
        (Routing::Rehearsal, None, None)
    );
    // He left over his encoder; the studio needs the input.
    assert!(take(&seats, &credential("studio", Routing::Live), 76).is_ok());
}

#[test]
fn a_hard_end_is_asked_of_its_source() {
    let seats = Seats::default();
    let hard = Turn {
        closes: at(60),
        live_until: at(60),
        hard_end: true,
        ..turn(0, 60)
    };
    let mut seat = take(&seats, &presenter("anna", &[hard]), 0).unwrap();
    assert_eq!(seat.asked(at(59)).leave, None);
    assert_eq!(seat.asked(at(60)).leave, Some("its show is over"));
}

#[test]
fn the_next_show_replaces_the_one_before_as_soon_as_it_has_audio() {
    let seats = Seats::default();
    let (anna, ben) = (
        presenter("anna", &[turn(0, 60)]),
        presenter("ben", &[turn(60, 120)]),
    );
    let mut first = take(&seats, &anna, 0).unwrap();
    let refused = take(&seats, &ben, 59).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::Taken);
    assert!(
        refused.message.ends_with("; it is free for you from 09:00 UTC"),
        "{refused:?}"
    );

    let mut second = take(&seats, &ben, 61).unwrap();
    let again = take(&seats, &anna, 61).unwrap_err();
    assert!(again.message.contains("in use: ben has sent"), "{again:?}");
    assert_eq!(first.asked(at(61)).leave, None, "so far ben has only connected");
    let title = |of: &Credential, text: &str| {
        seats.title("/live/studio", std::slice::from_ref(of), text.to_owned(), at(61))
    };
    title(&ben, "Ben's").unwrap();
    title(&anna, "Anna's").unwrap();
    assert_eq!(first.asked(at(61)).title.as_deref(), Some("Anna's"));

    assert!(sits(&mut second, 61).is_pending());
    assert!(is_called(&first));
    assert_eq!(first.asked(at(61)).leave, Some("the next show has begun"));
    // Her encoder tries again at once.
    drop(first);
    assert!(take(&seats, &anna, 61).is_err());
    assert_eq!(sits(&mut second, 61), Poll::Ready(Ok(false)));
    let asked = second.asked(at(61));
    assert_eq!(
        (asked.title.as_deref(), asked.routing, asked.leave),
        (Some("Ben's"), Routing::Live, None)
    );
    drop(second);
    assert!(take(&seats, &anna, 62).is_ok(), "nobody is there");
}

#[tokio::test]
async fn who_replaces_somebody_knows() {
    let seats = Seats::default();
    let mut first = take(&seats, &presenter("anna", &[turn(0, 60)]), 0).unwrap();
    let mut second = take(&seats, &presenter("ben", &[turn(60, 120)]), 61).unwrap();
    let replaced = tokio::join!(second.sit(at(61)), async {
        first.calls.changed().await.unwrap();
        drop(first);
    });
    assert_eq!(replaced.0, Ok(true));
}

#[test]
fn who_comes_and_goes_without_audio_costs_the_one_before_nothing() {
    let seats = Seats::default();
    let mut first = take(&seats, &presenter("anna", &[turn(0, 60)]), 0).unwrap();
    let ben = presenter("ben", &[turn(60, 120)]);
    drop(take(&seats, &ben, 61).unwrap());
    assert_eq!(first.asked(at(61)).leave, None);
    let mut second = take(&seats, &ben, 62).unwrap();
    drop(first);
    assert_eq!(
        sits(&mut second, 62),
        Poll::Ready(Ok(false)),
        "she left by herself"
    );
}

#[test]
fn a_show_that_is_made_longer_meanwhile_is_not_replaced() {
    let seats = Seats::default();
    let mut first = take(&seats, &presenter("anna", &[turn(0, 60)]), 0).unwrap();
    let mut second = take(&seats, &presenter("ben", &[turn(60, 120)]), 61).unwrap();
    seats.follow(&of(vec![input(vec![presenter("anna", &[turn(0, 90)])])]));
    let Poll::Ready(Err(refused)) = sits(&mut second, 61) else {
        panic!("it waits");
    };
    assert_eq!(refused.reason, RefusalReason::Taken);
    assert_eq!(first.asked(at(61)).leave, None);
}

#[test]
fn closing_sends_away_who_waits_as_well() {
    let seats = Seats::default();
    let _first = take(&seats, &presenter("anna", &[turn(0, 60)]), 0).unwrap();
    let mut second = take(&seats, &presenter("ben", &[turn(60, 120)]), 61).unwrap();
    assert!(sits(&mut second, 61).is_pending());
    seats.close("ingest was stopped");
    assert!(is_called(&second));
    assert!(matches!(sits(&mut second, 61), Poll::Ready(Err(_))));
}

#[test]
fn a_title_is_that_of_who_sends_or_might() {
    let seats = Seats::default();
    let (anna, ben) = (
        presenter("anna", &[turn(0, 60)]),
        presenter("ben", &[turn(60, 120)]),
    );
    let mut seat = take(&seats, &anna, 0).unwrap();
    let title =
        |of: &Credential, now| seats.title("/live/studio", std::slice::from_ref(of), "a".to_owned(), at(now));
    let refused = title(&ben, 30).unwrap_err();
    assert_eq!(
        (refused.reason, refused.told),
        (RefusalReason::OutsideWindow, false)
    );
    assert_eq!(seat.asked(at(30)).title, None);
    // She overruns; then her encoder is still there, off the air.
    for now in [70, 80] {
        title(&anna, now).unwrap();
        assert!(seat.asked(at(now)).title.is_some(), "{now}");
    }
}

#[test]
fn a_turn_that_changes_and_a_show_that_goes() {
    let seats = Seats::default();
    let anna = presenter("anna", &[turn(0, 60)]);
    let mut seat = take(&seats, &anna, 0).unwrap();
    seats.follow(&of(vec![input(vec![anna.clone()])]));
    assert!(!is_called(&seat), "nothing changed");
    let rotated = Credential {
        sha256: "new".to_owned(),
        ..presenter("anna", &[turn(0, 90)])
    };
    let other = Credential {
        show: Some("another of hers".to_owned()),
        ..credential("bb", Routing::Live)
    };
    seats.follow(&of(vec![input(vec![other, rotated])]));
    assert!(is_called(&seat));
    assert_eq!(seat.asked(at(100)).routing, Routing::Live);
    seats.follow(&of(vec![input(Vec::new())]));
    let asked = seat.asked(at(104));
    assert_eq!(
        (asked.routing, asked.leave, asked.again),
        (Routing::Live, None, Some(at(105)))
    );
    assert_eq!(seat.asked(at(105)).routing, Routing::Rehearsal);
}
