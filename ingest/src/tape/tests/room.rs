//! Removing sessions, and the heads of running ones.

use super::*;
use crate::api::Ack;
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
    let ack = Ack {
        recording: "show-2026-11-21".to_owned(),
        to: stream.len() as u64,
    };
    shelf.ack(acked.id(), &ack).unwrap();
    let now = Timestamp::now();
    let later = |minutes| now + jiff::SignedDuration::from_mins(minutes);
    shelf.retain(later(14), HUGE);
    assert_eq!(ids(&shelf).len(), 4);
    shelf.retain(later(16), HUGE);
    assert!(!ids(&shelf).contains(&empty.id().to_owned()) && !empty.dir.exists());
    let version = shelf.changed().borrow().sessions;
    let mut reader = Reader::of(&acked);
    assert!(matches!(reader.read_blocking(0, 100).unwrap(), Read::Bytes(_)));
    shelf.retain(later(17), shelf.figures().tape_bytes - 1);
    assert_eq!(
        ids(&shelf),
        [rehearsal.id(), aired.id()],
        "what a Recording has goes first"
    );
    assert_eq!(shelf.changed().borrow().sessions, version + 1);
    assert!(
        matches!(reader.read_blocking(0, 100).unwrap(), Read::Bytes(_)),
        "it has the file open"
    );
    assert_eq!(shelf.figures().given_up_bytes, 0);
    shelf.retain(later(25 * 60), HUGE);
    assert_eq!(ids(&shelf), [aired.id()]);
    shelf.retain(later(25 * 60), 1);
    assert_eq!(ids(&shelf), [""; 0]);
    assert_eq!(shelf.figures().given_up_bytes, stream.len() as u64);
    assert_eq!(fs::read_dir(place.path().join("sessions")).unwrap().count(), 0);
}

#[test]
fn a_cap_nobody_told_removes_nothing() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    ended(&shelf, Routing::Live, &opus(1, "One", 10, 1000));
    shelf.retain(Timestamp::now(), 0);
    assert_eq!(shelf.sessions().len(), 1);
}

#[test]
fn acks_only_grow_and_survive() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let session = ended(&shelf, Routing::Live, &opus(1, "One", 3, 1000));
    let ack = |recording: &str, to| {
        shelf.ack(
            session.id(),
            &Ack {
                recording: recording.to_owned(),
                to,
            },
        )
    };
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
    shelf.retain(Timestamp::now(), 12 << 20);
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
    shelf.retain(Timestamp::now(), 12 << 20);
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
    let ack = Ack {
        recording: "show-2026-11-21".to_owned(),
        to: 30 << 20,
    };
    shelf.ack(running.id(), &ack).unwrap();
    let show = ended(&shelf, Routing::Live, &opus(2, "Two", 35, 60_000));
    shelf.retain(Timestamp::now(), 36 << 20);
    assert_eq!(ids(&shelf), [running.id(), show.id()]);
    assert!(running.kept_from() > 0 && running.kept_from() <= 30 << 20);
    assert!(shelf.figures().tape_bytes <= 36 << 20);
    assert_eq!(shelf.figures().given_up_bytes, 0, "a Recording has all that went");
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
    shelf.retain(Timestamp::now(), 16 << 20);
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
