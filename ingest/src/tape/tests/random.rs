//! Random sources, readers and kills.

use super::*;
use crate::framing::Framer;

#[test]
fn readers_at_any_offset_see_exactly_what_was_sent() {
    let mut rng = StdRng::seed_from_u64(41);
    for round in 0..40 {
        let (name, container, stream) = streams().swap_remove(round % 5);
        let place = place();
        let shelf = Shelf::open(place.path(), BOOT).unwrap();
        let mut writer = begin(&shelf, container, Routing::Live);
        let session = Arc::clone(writer.session());
        let mut sent = 0;
        while sent < stream.len() {
            let piece = rng.random_range(1..=(stream.len() - sent).min(9000));
            writer.append(&stream[sent..sent + piece]);
            sent += piece;
            if rng.random_bool(0.2) {
                shelf.settle();
            }
            let from = rng.random_range(0..=sent);
            assert_eq!(
                read_all(&session, from as u64),
                &stream[from..sent],
                "{name} {round}"
            );
            let mut reader = Reader::of(&session);
            assert_eq!(reader.read_blocking(sent as u64 + 5, 9).unwrap(), Read::Wait);
            if rng.random_bool(0.1) {
                let (left, dir) = left_behind(&session);
                let found = Shelf::open(left.path(), BOOT).unwrap().get(session.id()).unwrap();
                assert_eq!(read_all(&found, 0), &stream[..sent], "{name} {round}: killed");
                assert_eq!(
                    marks_of(&lines(&dir)),
                    expected(container, &stream[..sent]).1,
                    "{name} {round}"
                );
            }
        }
        writer.end("left");
        shelf.settle();
        assert_eq!(read_all(&session, 0), stream, "{name} {round}");
        assert_eq!(
            Reader::of(&session).read_blocking(sent as u64, 9).unwrap(),
            Read::Ended
        );
    }
}

#[test]
fn joins_are_the_first_boundary_there_is_and_decode() {
    let mut rng = StdRng::seed_from_u64(42);
    for (name, container, stream) in streams() {
        let (units, _) = expected(container, &stream);
        let place = place();
        let shelf = Shelf::open(place.path(), BOOT).unwrap();
        let mut writer = begin(&shelf, container, Routing::Live);
        let session = Arc::clone(writer.session());
        let mut checked = 0;
        for piece in stream.chunks(stream.len() / 7 + 1) {
            writer.append(piece);
            for _ in 0..40 {
                let offset = rng.random_range(0..=session.bytes());
                checked += usize::from(check_join(&session, offset, &units, name));
            }
            let newest = session.newest().expect(name);
            check_boundary(&session, &newest, &units, name);
        }
        writer.end("left");
        shelf.settle();
        drop(shelf);
        // From the files alone.
        let shelf = Shelf::open(place.path(), BOOT).unwrap();
        let session = shelf.get(session.id()).unwrap();
        for _ in 0..200 {
            checked += usize::from(check_join(
                &session,
                rng.random_range(0..=session.bytes()),
                &units,
                name,
            ));
        }
        assert!(checked > 250, "{name}: only {checked}");
    }
}

/// False if it cannot be joined there yet.
fn check_join(session: &Arc<Session>, offset: u64, units: &[Placed], name: &str) -> bool {
    let sent = session.bytes();
    let right = units
        .iter()
        .find(|placed| placed.unit.joins && placed.at >= offset && placed.end() <= sent);
    match (session.join(offset).unwrap(), right) {
        (Joined::At(boundary), Some(right)) => {
            assert_eq!(boundary.at, right.at, "{name}: first boundary after {offset}");
            check_boundary(session, &boundary, units, name);
            true
        }
        (Joined::NotYet, _) => {
            assert!(session.is_live(), "{name}");
            false
        }
        (Joined::Never, None) => {
            assert!(!session.is_live(), "{name}");
            false
        }
        (found, right) => panic!("{name}: join at {offset} gives {found:?}, right is {right:?}"),
    }
}

/// A framer that has seen nothing before makes the same units of it, from the first byte on.
fn check_boundary(session: &Arc<Session>, boundary: &Boundary, units: &[Placed], name: &str) {
    let sent = joined(session, boundary);
    let mut framer = Framer::of(session.about().container);
    let got = framer.push(&sent);
    let first = units
        .iter()
        .position(|placed| placed.at == boundary.at)
        .expect(name);
    let right = &units[first];
    assert_eq!(boundary.link.headers, right.unit.link.headers, "{name}");
    assert_eq!(boundary.lead, right.unit.lead, "{name}");
    assert!(
        !got.is_empty() || sent.len() < 20_000,
        "{name}: nothing at {}",
        boundary.at
    );
    // A frame alone, with a tag behind it, is not seen by a framer that has seen none before.
    let alone = units.get(first + 1).is_some_and(|next| next.at != right.end());
    let first = first + usize::from(alone && got.first().is_some_and(|got| got.bytes != right.unit.bytes));
    for (got, right) in got.iter().zip(&units[first..]) {
        assert!(
            got.bytes.ends_with(&right.unit.bytes),
            "{name}: joined at {}, unit {}",
            boundary.at,
            right.at
        );
        assert_eq!(
            got.link.headers, right.unit.link.headers,
            "{name}: joined at {}, unit {}",
            boundary.at, right.at
        );
    }
}
