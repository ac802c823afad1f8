//! Removing sessions, and the heads of running ones.

use super::*;
use crate::api::{Ack, Fill};
use crate::config::Named;
use std::os::unix::fs::MetadataExt as _;

const HUGE: u64 = u64::MAX;

fn ended(shelf: &Arc<Shelf>, routing: Routing, stream: &[u8]) -> Arc<Session> {
    let mut writer = begin(shelf, Container::Ogg, routing);
    if !stream.is_empty() {
        writer.append(stream);
    }
    let session = Arc::clone(writer.session());
    writer.end("left");
    shelf.settle();
    session
}

fn ack(shelf: &Shelf, session: &Session, recording: &str, to: usize) -> Result<(), AckError> {
    let ack = Ack {
        recording: recording.to_owned(),
        to: to as u64,
    };
    shelf.ack(session.id(), &ack)
}

/// Everything the Mount of these tests airs from now on.
fn named(name: &str) -> Named {
    Named {
        name: name.to_owned(),
        mount: input().mount,
        input: None,
        from: Timestamp::now(),
        until: None,
    }
}

/// In the order they began; ids of one millisecond have none.
fn ids(shelf: &Shelf) -> Vec<String> {
    let mut sessions = shelf.sessions();
    sessions.sort_by_key(|session| session.about().started);
    sessions.iter().map(|session| session.id().to_owned()).collect()
}

#[test]
fn sessions_go_by_age_and_by_the_cap() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let stream = opus(1, "One", 10, 1000);
    let empty = ended(&shelf, Routing::Live, &[]);
    let rehearsal = ended(&shelf, Routing::Rehearsal, &stream);
    let aired = ended(&shelf, Routing::Live, &stream);
    let acked = ended(&shelf, Routing::Live, &stream);
    ack(&shelf, &acked, "show-2026-11-21", stream.len()).unwrap();
    let now = Timestamp::now();
    let later = |minutes| now + jiff::SignedDuration::from_mins(minutes);
    shelf.retain(later(14), HUGE, &[]);
    assert_eq!(ids(&shelf).len(), 4);
    let version = shelf.changed().borrow().sessions;
    let mut reader = Reader::of(&acked);
    assert!(matches!(reader.read_blocking(0, 100).unwrap(), Read::Bytes(_)));
    shelf.retain(later(14), shelf.figures().tape_bytes - 1, &[]);
    assert_eq!(
        ids(&shelf),
        [empty.id(), rehearsal.id(), aired.id()],
        "what a Recording has goes first"
    );
    assert_eq!(shelf.changed().borrow().sessions, version + 1);
    assert!(
        matches!(reader.read_blocking(0, 100).unwrap(), Read::Bytes(_)),
        "it has the file open"
    );
    assert_eq!(shelf.figures().given_up_bytes, 0);
    shelf.retain(later(16), HUGE, &[]);
    assert_eq!(ids(&shelf), [rehearsal.id(), aired.id()]);
    assert!(!empty.dir.exists());
    shelf.retain(later(25 * 60), HUGE, &[]);
    assert_eq!(ids(&shelf), [aired.id()]);
    shelf.retain(later(25 * 60), 1, &[]);
    assert_eq!(ids(&shelf), [""; 0]);
    assert_eq!(shelf.figures().given_up_bytes, stream.len() as u64);
    assert_eq!(fs::read_dir(place.path().join("sessions")).unwrap().count(), 0);
}

#[test]
fn what_all_named_recordings_have_goes_after_the_least_age() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let recordings = [named("one"), named("two")];
    let stream = opus(1, "One", 10, 1000);
    let all = stream.len();
    let [both, first, unacked] = [(); 3].map(|()| ended(&shelf, Routing::Live, &stream));
    let rehearsal = ended(&shelf, Routing::Rehearsal, &stream);
    for name in ["one", "two"] {
        ack(&shelf, &both, name, all).unwrap();
    }
    ack(&shelf, &first, "one", all).unwrap();
    ack(&shelf, &first, "two", all - 1).unwrap();
    let now = Timestamp::now();
    let later = |minutes| now + jiff::SignedDuration::from_mins(minutes);
    shelf.retain(later(14), HUGE, &recordings);
    assert_eq!(ids(&shelf).len(), 4);
    shelf.retain(later(16), HUGE, &recordings);
    assert_eq!(ids(&shelf), [first.id(), unacked.id(), rehearsal.id()]);
    assert!(!both.dir.exists());
    shelf.retain(later(23 * 60), HUGE, &recordings);
    assert_eq!(ids(&shelf).len(), 3, "one has not all of it");

    // What was acked is known after a restart; who is not named any longer is not waited for.
    drop((both, unacked, rehearsal));
    let id = first.id().to_owned();
    let (left, _) = left_behind(&first);
    let again = Shelf::open(left.path(), BOOT).unwrap();
    assert_eq!(again.get(&id).unwrap().describe(), first.describe());
    assert_eq!(first.describe().acked_by, ["one", "two"]);
    again.retain(later(16), HUGE, &recordings);
    assert_eq!(ids(&again), [&*id]);
    again.retain(later(16), HUGE, &recordings[..1]);
    assert_eq!(ids(&again), [""; 0]);

    shelf.retain(later(100 * 24 * 60), HUGE, &[]);
    assert_eq!(ids(&shelf).len(), 1, "what aired and nobody has stays");
    assert_eq!(shelf.figures().given_up_bytes, 0);
}

#[test]
fn what_only_acks_let_go_stays_while_the_recordings_are_not_known_for_sure() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let stream = opus(1, "One", 10, 1000);
    let [acked, unacked] = [(); 2].map(|()| ended(&shelf, Routing::Live, &stream));
    let rehearsal = ended(&shelf, Routing::Rehearsal, &stream);
    ack(&shelf, &acked, "one", stream.len()).unwrap();
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(25);
    shelf.keep_to_the_cap(later, HUGE, &[]);
    assert_eq!(ids(&shelf), [acked.id(), unacked.id(), rehearsal.id()]);
    // A full disk does not wait, and how full it is is told.
    let used = shelf.figures().tape_bytes;
    shelf.keep_to_the_cap(later, used - 1, &[]);
    assert_eq!(ids(&shelf), [unacked.id(), rehearsal.id()]);
    assert_eq!(shelf.changed().borrow().fill, Fill::Half);
    shelf.retain(later, HUGE, &[]);
    assert_eq!(ids(&shelf), [unacked.id()]);
}

#[test]
fn a_first_ack_is_told_and_no_later_one() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let session = ended(&shelf, Routing::Live, &opus(1, "One", 3, 1000));
    let version = || shelf.version_of(&["main".to_owned()]);
    let before = version();
    ack(&shelf, &session, "two", 5).unwrap();
    let first = version();
    assert_ne!(first, before);
    ack(&shelf, &session, "two", 10).unwrap();
    assert_eq!(version(), first);
    ack(&shelf, &session, "one", 0).unwrap();
    assert_ne!(version(), first);
    assert_eq!(session.describe().acked_by, ["one", "two"]);
}

#[test]
fn how_full_it_is_is_told_when_that_changes() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    ended(&shelf, Routing::Live, &opus(1, "One", 100, 60_000));
    let used = shelf.figures().tape_bytes;
    let mut changed = shelf.changed();
    changed.borrow_and_update();
    let mut told = Vec::new();
    for percent in [10, 40, 55, 47, 77, 85, 76, 74, 30, 10] {
        shelf.retain(Timestamp::now(), used * 100 / percent, &[]);
        if changed.has_changed().unwrap() {
            told.push((percent, changed.borrow_and_update().fill));
        }
    }
    assert_eq!(
        told,
        [
            (55, Fill::Half),
            (85, Fill::High),
            (74, Fill::Half),
            (30, Fill::Low)
        ]
    );
    shelf.retain(Timestamp::now(), 0, &[]);
    assert!(!changed.has_changed().unwrap(), "no cap is never full");
}

#[test]
fn a_cap_nobody_told_removes_nothing() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    ended(&shelf, Routing::Live, &opus(1, "One", 10, 1000));
    shelf.retain(Timestamp::now(), 0, &[]);
    assert_eq!(shelf.sessions().len(), 1);
}

#[test]
fn acks_only_grow_and_survive() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let session = ended(&shelf, Routing::Live, &opus(1, "One", 3, 1000));
    let ack = |recording: &str, to| ack(&shelf, &session, recording, to);
    ack("ns/one", 500).unwrap();
    ack("ns/one", 100).unwrap();
    ack("ns/two", 700).unwrap();
    assert!(matches!(ack("ns/two", 1 << 40), Err(AckError::Wrong(_))));
    assert!(matches!(ack("../../two\n", 1), Err(AckError::Wrong(_))));
    assert!(matches!(ack("", 1), Err(AckError::Wrong(_))));
    for n in 0..100 {
        let _ = ack(&format!("flood-{n}"), 1);
    }
    let acks = |session: &Session| locked(&session.view).acks.clone();
    assert_eq!(
        (
            acks(&session)["ns/one"],
            acks(&session)["ns/two"],
            acks(&session).len()
        ),
        (500, 700, 64)
    );
    let (left, _) = left_behind(&session);
    let again = Shelf::open(left.path(), "other").unwrap();
    assert_eq!(acks(&again.get(session.id()).unwrap()), acks(&session));
    let unknown = again.ack(
        "20261121T135025123Z-1f3a",
        &Ack {
            recording: "x".to_owned(),
            to: 0,
        },
    );
    assert!(matches!(unknown, Err(AckError::Unknown)));
}

#[test]
fn a_running_session_loses_its_head_and_can_still_be_joined() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = opus(1, "One", 300, 60_000);
    for piece in stream.chunks(500_000) {
        writer.append(piece);
    }
    shelf.settle();
    shelf.retain(Timestamp::now(), 12 << 20, &[]);
    let kept_from = session.kept_from();
    let size = stream.len() as u64;
    assert!(
        size - kept_from <= 12 << 20 && size - kept_from > 8 << 20,
        "{kept_from} of {size}"
    );
    assert_eq!(session.describe().kept_from, kept_from);
    assert_eq!(shelf.figures().given_up_bytes, kept_from);
    let blocks = fs::metadata(session.dir.join("tape")).unwrap().blocks() * 512;
    assert!(blocks < 13 << 20, "the disk has the room: {blocks}");

    assert_eq!(
        Reader::of(&session).read_blocking(kept_from - 1, 9).unwrap(),
        Read::Gone(kept_from)
    );
    let from = usize::try_from(kept_from).unwrap();
    assert_eq!(read_all(&session, kept_from), &stream[from..]);
    let Joined::At(boundary) = session.join(kept_from + 1_000_000).unwrap() else {
        panic!("no boundary")
    };
    assert!(!boundary.link.headers.is_empty(), "headers are not given up");
    let units = crate::framing::Framer::of(Container::Ogg).push(&joined(&session, &boundary));
    let (all, _) = expected(Container::Ogg, &stream);
    assert_eq!(
        units.len(),
        all.iter().filter(|placed| placed.at >= boundary.at).count()
    );
    // A second time, and again after a kill.
    writer.append(&opus(2, "Two", 300, 60_000));
    shelf.retain(Timestamp::now(), 12 << 20, &[]);
    let (left, dir) = left_behind(&session);
    let again = Shelf::open(left.path(), BOOT).unwrap();
    let again = again.get(session.id()).unwrap();
    assert_eq!(
        (again.kept_from(), again.bytes()),
        (session.kept_from(), session.bytes())
    );
    assert!(again.kept_from() > size, "{}", again.kept_from());
    assert!(
        matches!(again.join(again.kept_from() + 7).unwrap(), Joined::At(_)),
        "{}",
        dir.display()
    );
}

#[test]
fn the_acked_head_of_a_running_session_goes_before_a_fresh_show() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let running = Arc::clone(writer.session());
    let stream = opus(1, "One", 660, 60_000);
    for piece in stream.chunks(500_000) {
        writer.append(piece);
    }
    ack(&shelf, &running, "show-2026-11-21", 30 << 20).unwrap();
    let show = ended(&shelf, Routing::Live, &opus(2, "Two", 35, 60_000));
    shelf.retain(Timestamp::now(), 36 << 20, &[]);
    assert_eq!(ids(&shelf), [running.id(), show.id()]);
    assert!(running.kept_from() > 0 && running.kept_from() <= 30 << 20);
    assert!(shelf.figures().tape_bytes <= 36 << 20);
    assert_eq!(shelf.figures().given_up_bytes, 0, "a Recording has all that went");
}

#[test]
fn the_head_that_recordings_have_goes_while_the_source_plays() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let recordings = [named("one"), named("two")];
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = opus(1, "One", 660, 60_000);
    for piece in stream.chunks(500_000) {
        writer.append(piece);
    }
    // The keeper's round marks where it was.
    shelf.settle();
    writer.append(&opus(2, "Two", 60, 60_000));
    let now = Timestamp::now();
    let later = |minutes| now + jiff::SignedDuration::from_mins(minutes);
    ack(&shelf, &session, "one", 30 << 20).unwrap();
    shelf.retain(later(16), HUGE, &recordings);
    assert_eq!(session.kept_from(), 0, "the other has nothing");
    ack(&shelf, &session, "two", 20 << 20).unwrap();
    shelf.retain(later(14), HUGE, &recordings);
    assert_eq!(session.kept_from(), 0, "somebody may come back for it");
    shelf.retain(later(16), HUGE, &recordings);
    let kept_from = session.kept_from();
    assert!(kept_from <= 20 << 20 && kept_from > 19 << 20, "{kept_from}");
    let is_it = |line: &Line| matches!(line, Line::Cut { at, .. } if *at == kept_from);
    assert!(lines(&session.dir).iter().any(is_it), "it begins at a cut");
    let from = usize::try_from(kept_from).unwrap();
    assert!(read_all(&session, kept_from).starts_with(&stream[from..]));
    assert!(matches!(session.join(kept_from).unwrap(), Joined::At(at) if at.at == kept_from));
    let blocks = fs::metadata(session.dir.join("tape")).unwrap().blocks() * 512;
    assert!(
        blocks < session.bytes() - (19 << 20),
        "the disk has the room: {blocks}"
    );
    assert_eq!(shelf.figures().given_up_bytes, 0);

    // Everything is acked, but not everything is old.
    let sent = usize::try_from(session.bytes()).unwrap();
    ack(&shelf, &session, "one", sent).unwrap();
    ack(&shelf, &session, "two", sent).unwrap();
    shelf.retain(later(16), HUGE, &recordings);
    let kept_from = session.kept_from();
    let old = stream.len() as u64;
    assert!(
        kept_from <= sent as u64 - (8 << 20) && kept_from <= old,
        "{kept_from} of {old}"
    );
    assert!(kept_from > 33 << 20, "{kept_from}");
    assert_eq!(shelf.figures().given_up_bytes, 0);
}

#[test]
fn a_running_session_without_cuts_loses_its_head_all_the_same() {
    let mp3 = include_bytes!("../../framing/fixtures/tone.mp3");
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Mp3, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = [&mp3[..], &vec![0x55; 30 << 20]].concat();
    for piece in stream.chunks(500_000) {
        writer.append(piece);
    }
    let show = ended(&shelf, Routing::Live, &opus(2, "Two", 20, 60_000));
    shelf.retain(Timestamp::now(), 16 << 20, &[]);
    assert_eq!(ids(&shelf), [session.id(), show.id()], "the other's show stays");
    let kept_from = session.kept_from();
    let size = stream.len() as u64;
    assert!(
        size - kept_from <= 16 << 20 && size - kept_from >= 8 << 20,
        "{kept_from} of {size}"
    );
    let blocks = fs::metadata(session.dir.join("tape")).unwrap().blocks() * 512;
    assert!(blocks < 17 << 20, "the disk has the room: {blocks}");
    let from = usize::try_from(kept_from).unwrap();
    assert_eq!(read_all(&session, kept_from), &stream[from..]);
    // Understood again, it can be joined again; and so it can after a kill.
    writer.append(&mp3.repeat(3));
    assert!(matches!(session.join(kept_from).unwrap(), Joined::At(at) if at.at >= size));
    let (left, _) = left_behind(&session);
    let again = Shelf::open(left.path(), BOOT).unwrap().get(session.id()).unwrap();
    assert_eq!((again.kept_from(), again.bytes()), (kept_from, session.bytes()));
    assert!(matches!(again.join(kept_from).unwrap(), Joined::At(at) if at.at >= size));
}
