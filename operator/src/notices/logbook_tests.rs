use NoticeKind::{Doubtful, Missed, NotRecorded, Short};
use NoticeState::{Due, Over, Recovered, Told, Undelivered};
use NoticeWay::{Telegram, Webhook};

use super::*;

/// Seconds after the slot's start.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn wrong(kind: NoticeKind) -> Finding {
    Finding { kind, over: false }
}

fn over(kind: NoticeKind) -> Finding {
    Finding { kind, over: true }
}

/// One look: what was found of the slot that began at 0, and what arrived.
fn look(
    known: &[Notice],
    findings: &[Finding],
    ways: &[NoticeWay],
    delivered: &[(NoticeKind, bool, NoticeWay)],
    second: i64,
) -> Vec<Notice> {
    let slots = [(at(0), findings.to_vec())];
    let mut notices = heed(known, &slots, at(second), |_, finding| {
        format!("{finding:?} at {second}")
    });
    let delivered = delivered.iter().map(|(kind, over, way)| {
        let entry = Entry {
            slot: at(0),
            kind: *kind,
            over: *over,
        };
        (entry, *way)
    });
    let ways: BTreeSet<NoticeWay> = ways.iter().copied().collect();
    settle(&mut notices, Some(&ways), &delivered.collect(), at(second));
    notices
}

fn states(notices: &[Notice]) -> Vec<(NoticeKind, NoticeState)> {
    notices.iter().map(|notice| (notice.kind, notice.state)).collect()
}

fn letters(notices: &[Notice], way: NoticeWay) -> Vec<(NoticeKind, bool)> {
    let wanted = wanted(notices, way);
    wanted
        .into_iter()
        .map(|(entry, _)| (entry.kind, entry.over))
        .collect()
}

const BOTH: [NoticeWay; 2] = [Telegram, Webhook];

#[test]
fn a_missed_show_from_its_notice_to_its_recovery() {
    let none = look(&[], &[], &BOTH, &[], 299);
    assert_eq!(states(&none), []);
    let due = look(&none, &[wrong(Missed)], &BOTH, &[], 300);
    assert_eq!(states(&due), [(Missed, Due)]);
    assert_eq!((due[0].slot, due[0].at), (at(0), at(300)));
    assert_eq!(letters(&due, Telegram), [(Missed, false)]);
    assert_eq!(letters(&due, Webhook), [(Missed, false)]);

    // It arrives by one way, and is still found; neither is reason to tell it again there.
    let half = look(&due, &[wrong(Missed)], &BOTH, &[(Missed, false, Webhook)], 302);
    assert_eq!(
        (states(&half), &half[0].told),
        (vec![(Missed, Due)], &vec![Webhook])
    );
    assert_eq!(letters(&half, Webhook), []);
    assert_eq!(letters(&half, Telegram), [(Missed, false)]);
    assert_eq!((half[0].at, &half[0].message), (at(300), &due[0].message));

    // Somebody comes before it was told everywhere: first the one, then the other.
    let still = look(&half, &[over(Missed)], &BOTH, &[], 320);
    assert_eq!(states(&still), [(Missed, Due)]);
    let told = look(&still, &[], &BOTH, &[(Missed, false, Telegram)], 900);
    assert_eq!(states(&told), [(Missed, Told)]);
    assert_eq!(letters(&told, Telegram), []);
    let back = look(&told, &[over(Missed)], &BOTH, &[], 902);
    assert_eq!(states(&back), [(Missed, Over)]);
    assert_eq!(letters(&back, Telegram), [(Missed, true)]);
    let known = [(Missed, true, Telegram), (Missed, true, Webhook)];
    let recovered = look(&back, &[over(Missed)], &BOTH, &known, 905);
    assert_eq!(states(&recovered), [(Missed, Recovered)]);
    assert_eq!(letters(&recovered, Telegram), []);

    // Once for each slot: it is not told again, whatever is found.
    let again = look(&recovered, &[wrong(Missed)], &BOTH, &[], 2000);
    assert_eq!(again, recovered);
}

#[test]
fn what_is_fine_and_was_never_wrong_is_no_news() {
    assert_eq!(look(&[], &[over(Missed), over(Short)], &BOTH, &[], 300), []);
}

#[test]
fn where_nobody_is_to_be_told_it_is_told_by_the_status() {
    let told = look(&[], &[wrong(Missed)], &[], &[], 300);
    assert_eq!(states(&told), [(Missed, Told)]);
    let recovered = look(&told, &[over(Missed)], &[], &[], 400);
    assert_eq!(states(&recovered), [(Missed, Recovered)]);
    // A way that is made afterwards hears neither.
    assert_eq!(look(&recovered, &[], &BOTH, &[], 500), recovered);
    let knows = look(&told, &[over(Missed)], &BOTH, &[], 500);
    assert_eq!(states(&knows), [(Missed, Recovered)]);
}

#[test]
fn a_way_that_is_taken_away_is_waited_for_no_longer() {
    let due = look(&[], &[wrong(Missed)], &BOTH, &[(Missed, false, Webhook)], 300);
    // What arrived before it was known of is taken in, too.
    assert_eq!((due[0].state, &due[0].told), (Due, &vec![Webhook]));
    let told = look(&due, &[wrong(Missed)], &[Webhook], &[], 400);
    assert_eq!(states(&told), [(Missed, Told)]);
}

#[test]
fn a_station_that_is_not_known_is_waited_for() {
    let slots = [(at(0), vec![wrong(Missed)])];
    let mut notices = heed(&[], &slots, at(300), |_, _| String::new());
    settle(&mut notices, None, &BTreeSet::new(), at(300));
    assert_eq!(states(&notices), [(Missed, Due)]);
}

#[test]
fn after_a_day_nobody_tries_any_longer() {
    let day = 24 * 3600;
    let due = look(&[], &[wrong(Missed)], &BOTH, &[(Missed, false, Webhook)], 300);
    assert_eq!(states(&look(&due, &[], &BOTH, &[], 299 + day)), [(Missed, Due)]);
    let given_up = look(&due, &[], &BOTH, &[], 300 + day);
    assert_eq!(states(&given_up), [(Missed, Undelivered)]);
    assert_eq!(letters(&given_up, Telegram), []);
    // Who knew of it hears that it is over.
    let back = look(&given_up, &[over(Missed)], &BOTH, &[], 301 + day);
    assert_eq!(states(&back), [(Missed, Over)]);
    assert_eq!(letters(&back, Webhook), [(Missed, true)]);
    assert_eq!(letters(&back, Telegram), []);
    let forgotten = look(&back, &[], &BOTH, &[], 301 + 2 * day);
    assert_eq!(states(&forgotten), [(Missed, Recovered)]);
}

#[test]
fn short_and_doubtful_are_told_as_one() {
    let short = look(&[], &[wrong(Short)], &[], &[], 9000);
    // Made again, it is long enough, and silent: whoever knows listens anyway.
    let doubtful = look(&short, &[wrong(Doubtful)], &[], &[], 9500);
    assert_eq!(doubtful, short);
    let other = look(&doubtful, &[wrong(NotRecorded)], &[], &[], 9500);
    assert_eq!(states(&other), [(NotRecorded, Told), (Short, Told)]);
    let fine = look(&other, &[over(Short), over(Doubtful)], &[], &[], 9600);
    assert_eq!(states(&fine), [(NotRecorded, Told), (Short, Recovered)]);
}

#[test]
fn what_is_told_is_remembered_as_long_as_its_slot_is() {
    let of = |slots: &[(i64, &[Finding])], known: &[Notice], now| {
        let slots: Vec<_> = slots
            .iter()
            .map(|(start, findings)| (at(*start), findings.to_vec()))
            .collect();
        let mut notices = heed(known, &slots, at(now), |_, _| String::new());
        settle(&mut notices, Some(&BTreeSet::new()), &BTreeSet::new(), at(now));
        notices
    };
    let first = of(&[(0, &[wrong(Missed)])], &[], 300);
    let both = of(&[(0, &[]), (86_400, &[wrong(Missed)])], &first, 86_700);
    assert_eq!(both.len(), 2);
    // The first slot is no longer listed.
    let one = of(&[(86_400, &[wrong(Missed)])], &both, 90_000);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].slot, at(86_400));
    // What was not told yet stays until it is.
    let mut due = heed(&[], &[(at(0), vec![wrong(Missed)])], at(300), |_, _| {
        String::new()
    });
    due = heed(&due, &[(at(86_400), vec![])], at(86_400), |_, _| String::new());
    assert_eq!(states(&due), [(Missed, Due)]);
}

#[test]
fn a_status_has_an_end() {
    let mut notices = Vec::new();
    for slot in 0..100_i64 {
        let slots = [(at(slot * 3600), vec![wrong(Missed)])];
        notices = heed(&notices, &slots, at(slot * 3600 + 300), |_, _| String::new());
    }
    assert_eq!(notices.len(), 48);
    assert_eq!(notices[47].slot, at(99 * 3600));
}

#[test]
fn the_oldest_is_told_first() {
    let mut notices = look(&[], &[wrong(Short)], &BOTH, &[], 300);
    notices = look(&notices, &[wrong(Missed)], &BOTH, &[], 400);
    assert_eq!(letters(&notices, Telegram), [(Short, false), (Missed, false)]);
}
