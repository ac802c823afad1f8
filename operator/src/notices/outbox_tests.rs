use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn line(way: NoticeWay) -> Line {
    Line {
        namespace: "city".to_owned(),
        station: "radio".to_owned(),
        way,
    }
}

fn about(slot: i64) -> About {
    About::Slot {
        show: "night".to_owned(),
        entry: Entry {
            slot: at(slot),
            kind: NoticeKind::Missed,
            over: false,
        },
    }
}

fn letter(slot: i64) -> Letter {
    Letter {
        about: about(slot),
        at: at(slot + 300),
        station: ("city".to_owned(), "radio".to_owned()),
        text: "nobody is there".to_owned(),
    }
}

fn later(wait: Option<u64>) -> Answer {
    Answer::Later {
        words: "Telegram answers 502".to_owned(),
        wait: wait.map(Duration::from_secs),
    }
}

fn refused() -> Answer {
    Answer::Refused {
        words: "Telegram answers 400".to_owned(),
    }
}

fn next(outbox: &mut Outbox, second: i64) -> Vec<(NoticeWay, About)> {
    let next = outbox.next(at(second));
    next.into_iter()
        .map(|(line, letter)| (line.way, letter.about))
        .collect()
}

/// The first second from `from` on at which something is sent.
fn sent_at(outbox: &mut Outbox, from: i64) -> i64 {
    (from..from + 90_000)
        .find(|second| !outbox.next(at(*second)).is_empty())
        .unwrap()
}

use NoticeWay::{Telegram, Webhook};

#[test]
fn one_after_another_for_each_way_and_the_ways_do_not_wait_for_each_other() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(2), letter(1)]);
    outbox.want(&line(Webhook), "", vec![letter(1)]);
    assert_eq!(
        next(&mut outbox, 500),
        [(Telegram, about(1)), (Webhook, about(1))]
    );
    assert_eq!(next(&mut outbox, 501), []);
    outbox.answered(&line(Webhook), &about(1), Answer::Delivered, at(502));
    assert_eq!(next(&mut outbox, 502), []);
    outbox.answered(&line(Telegram), &about(1), Answer::Delivered, at(503));
    assert_eq!(next(&mut outbox, 503), [(Telegram, about(2))]);
    let delivered = outbox.delivered("city", "night");
    assert_eq!(delivered.len(), 2);
    assert!(outbox.delivered("city", "other").is_empty() && outbox.delivered("town", "night").is_empty());
}

#[test]
fn what_arrived_is_not_sent_again_while_the_status_does_not_have_it_yet() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 0).len(), 1);
    outbox.answered(&line(Telegram), &about(1), Answer::Delivered, at(1));
    for second in 2..100 {
        outbox.want(&line(Telegram), "", vec![letter(1)]);
        assert_eq!(next(&mut outbox, second), []);
    }
    // The status has it; should it be wanted anew, it is a new message.
    outbox.want(&line(Telegram), "", Vec::new());
    assert!(outbox.delivered("city", "night").is_empty());
    outbox.want(&line(Telegram), "", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 101).len(), 1);
}

#[test]
fn who_cannot_be_reached_is_tried_again_and_again_but_not_too_often() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1), letter(2)]);
    let mut tries = 0;
    let mut second = 0;
    let mut longest = 0;
    while second < 3600 {
        let sent = sent_at(&mut outbox, second);
        longest = longest.max(sent - second);
        second = sent;
        tries += 1;
        outbox.answered(&line(Telegram), &about(1), later(None), at(second));
    }
    // With both to tell: the way rests, not the one message.
    assert!((60..200).contains(&tries), "{tries}");
    assert!((30..=61).contains(&longest), "{longest}");
    // Back, everything goes at once.
    let sent = sent_at(&mut outbox, second);
    outbox.answered(&line(Telegram), &about(1), Answer::Delivered, at(sent));
    assert_eq!(next(&mut outbox, sent), [(Telegram, about(2))]);
}

#[test]
fn who_asks_us_to_wait_is_not_asked_before() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1), letter(2)]);
    assert_eq!(next(&mut outbox, 0).len(), 1);
    outbox.answered(&line(Telegram), &about(1), later(Some(300)), at(0));
    for second in 0..300 {
        assert_eq!(next(&mut outbox, second), []);
    }
    assert_eq!(next(&mut outbox, 300), [(Telegram, about(1))]);
}

#[test]
fn a_message_that_is_refused_does_not_keep_others_waiting() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1), letter(2)]);
    assert_eq!(next(&mut outbox, 0), [(Telegram, about(1))]);
    outbox.answered(&line(Telegram), &about(1), refused(), at(0));
    assert_eq!(next(&mut outbox, 0), [(Telegram, about(2))]);
    outbox.answered(&line(Telegram), &about(2), Answer::Delivered, at(1));
    let again = sent_at(&mut outbox, 1);
    assert!((5..=11).contains(&again), "{again}");
}

#[test]
fn something_else_in_the_secret_is_tried_at_once() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "Secret 1", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 0).len(), 1);
    outbox.answered(&line(Telegram), &about(1), later(Some(3600)), at(0));
    outbox.want(&line(Telegram), "Secret 1", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 1), []);
    outbox.want(&line(Telegram), "Secret 2", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 2), [(Telegram, about(1))]);
    assert_eq!(outbox.health(&line(Telegram)), Health::Untried);
}

#[test]
fn a_way_fails_since_its_first_failure_for_its_first_reason() {
    let mut outbox = Outbox::default();
    assert_eq!(outbox.health(&line(Telegram)), Health::Untried);
    outbox.want(&line(Telegram), "", vec![letter(1)]);
    outbox.answered(&line(Telegram), &about(1), later(None), at(10));
    outbox.answered(&line(Telegram), &about(1), refused(), at(20));
    let fault = Fault {
        since: at(10),
        words: "Telegram answers 502".to_owned(),
    };
    assert_eq!(outbox.health(&line(Telegram)), Health::Fails(fault));
    outbox.answered(&line(Telegram), &about(1), Answer::Delivered, at(30));
    assert_eq!(outbox.health(&line(Telegram)), Health::Works);
    outbox.keep(&BTreeSet::new());
    assert_eq!(outbox.health(&line(Telegram)), Health::Untried);
}

#[test]
fn what_is_no_longer_wanted_is_not_sent() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1)]);
    outbox.want(&line(Telegram), "", Vec::new());
    assert_eq!(next(&mut outbox, 0), []);
    // A way that is gone takes an answer without complaint.
    outbox.keep(&BTreeSet::new());
    outbox.answered(&line(Telegram), &about(1), Answer::Delivered, at(1));
    outbox.broke_off(&line(Telegram), at(1));
}

#[test]
fn one_that_broke_off_is_sent_again() {
    let mut outbox = Outbox::default();
    outbox.want(&line(Telegram), "", vec![letter(1)]);
    assert_eq!(next(&mut outbox, 0).len(), 1);
    outbox.broke_off(&line(Telegram), at(0));
    let again = sent_at(&mut outbox, 0);
    assert!((1..=3).contains(&again), "{again}");
}

#[test]
fn drills_are_known_by_when_they_were_due() {
    let mut outbox = Outbox::default();
    let drill = Letter {
        about: About::Drill(at(0)),
        ..letter(0)
    };
    outbox.want(&line(Webhook), "", vec![drill.clone()]);
    assert_eq!(next(&mut outbox, 1), [(Webhook, About::Drill(at(0)))]);
    outbox.answered(&line(Webhook), &About::Drill(at(0)), Answer::Delivered, at(2));
    assert_eq!(outbox.drilled("city", "radio", at(0)), [Webhook].into());
    assert!(outbox.drilled("city", "radio", at(1)).is_empty());
    assert!(outbox.drilled("city", "other", at(0)).is_empty());
    assert_eq!(drill.id(), "city/radio/2027-01-15T08:00:00Z/Drill");
    assert_eq!(drill.json()["kind"], "Drill");
}

#[test]
fn a_message_for_programs_says_what_is_what() {
    let json = letter(0).json();
    let expected = json!({
        "id": "city/night/2027-01-15T08:00:00Z/Missed", "namespace": "city", "station": "radio", "show": "night",
        "slot": "2027-01-15T08:00:00Z", "kind": "Missed", "over": false, "at": "2027-01-15T08:05:00Z",
        "text": "nobody is there",
    });
    assert_eq!(json, expected);
}
