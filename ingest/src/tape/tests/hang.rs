//! A disk that neither takes what is written nor refuses it.

use super::*;
use std::sync::atomic::Ordering;

/// Waits until the pen has written everything.
fn written(shelf: &Shelf) {
    let started = Instant::now();
    while shelf.figures().in_memory > 0 || !shelf.sessions().iter().all(|session| session.is_written()) {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            shelf.figures()
        );
        thread::sleep(Duration::from_millis(1));
    }
}

fn append_all(writer: &mut Writer, stream: &[u8], piece: usize) {
    for piece in stream.chunks(piece) {
        writer.append(piece);
    }
}

#[test]
fn neither_other_sources_nor_readers_wait_for_it() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let stream = opus(1, "One", 100, 5000);
    let (before, during) = stream.split_at(200_000);
    let mut writers = [(); 2].map(|()| begin(&shelf, Container::Ogg, Routing::Live));
    for writer in &mut writers {
        append_all(writer, before, 1500);
    }
    shelf.settle();
    let sessions = [0, 1].map(|n| Arc::clone(writers[n].session()));

    // Whoever writes or syncs holds this while the disk keeps it waiting.
    let hanging = locked(&sessions[0].disk);
    let started = Instant::now();
    for writer in &mut writers {
        append_all(writer, during, 1500);
        writer.title("While it hangs");
    }
    let mut late = begin(&shelf, Container::Ogg, Routing::Live);
    append_all(&mut late, &stream, 1500);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?} for some 900 writes");
    assert_eq!(shelf.figures().in_memory, 3);
    for session in sessions.iter().chain([late.session()]) {
        assert_eq!(read_all(session, 0), stream);
        assert!(session.newest().unwrap().at > 400_000, "it can be joined");
    }
    assert_eq!(fs::read(sessions[0].dir.join("tape")).unwrap(), before);
    assert!(!late.session().dir.exists());

    drop(hanging);
    written(&shelf);
    for session in sessions.iter().chain([late.session()]) {
        assert_eq!(fs::read(session.dir.join("tape")).unwrap(), stream);
    }
    // From now on writes are waited for again.
    let more = opus(2, "Two", 10, 5000);
    append_all(&mut late, &more, 1500);
    assert_eq!(
        fs::read(late.session().dir.join("tape")).unwrap(),
        [&stream[..], &more].concat()
    );
    for writer in writers {
        writer.end("left");
    }
    shelf.settle();
    for session in &sessions {
        let lines = lines(&session.dir);
        assert_eq!(marks_of(&lines), expected(Container::Ogg, &stream).1);
        assert!(
            lines
                .iter()
                .any(|line| matches!(line, Line::Title { title, .. } if title == "While it hangs"))
        );
        assert!(session.is_settled());
    }
    let figures = shelf.figures();
    assert_eq!((figures.lost_bytes, figures.write_errors), (0, 0));
}

/// Of a program that sends a file, say: 7 MiB while there are 4 MiB of memory.
#[test]
fn who_sends_faster_than_anybody_plays_waits_for_it() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = opus(1, "One", 120, 60_000);
    thread::scope(|scope| {
        let (hangs, told) = std::sync::mpsc::channel();
        let session = &session;
        scope.spawn(move || {
            let _hanging = locked(&session.disk);
            hangs.send(()).unwrap();
            thread::sleep(Duration::from_secs(2));
        });
        told.recv().unwrap();
        let started = Instant::now();
        append_all(&mut writer, &stream, 60_000);
        assert!(
            started.elapsed() > Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
    });
    written(&shelf);
    assert_eq!(fs::read(session.dir.join("tape")).unwrap(), stream);
    assert_eq!(shelf.figures().lost_bytes, 0);
}

#[test]
fn what_memory_cannot_hold_is_confessed_afterwards() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let first = opus(1, "One", 20, 60_000);
    let second = opus(2, "Two", 60, 60_000);
    append_all(&mut writer, &first, 4000);
    let hanging = locked(&session.disk);
    // Many that are in memory leave little for each, and time for a test.
    shelf.troubles.in_memory.fetch_add(31, Ordering::Relaxed);
    append_all(&mut writer, &second[..1_000_000], 60_000);
    let held = locked(&session.view).ring.len();
    assert!((400 << 10..=512 << 10).contains(&held), "{held}");
    shelf.troubles.in_memory.fetch_sub(31, Ordering::Relaxed);
    drop(hanging);
    written(&shelf);
    writer.append(&opus(3, "Three", 1, 5000));
    writer.end("left");
    shelf.settle();
    assert!(session.is_settled());
    let lines = lines(&session.dir);
    let all = [&first[..], &second[..1_000_000]].concat();
    let tape = fs::read(session.dir.join("tape")).unwrap();
    let lost: Vec<_> = lines
        .iter()
        .filter_map(|line| match *line {
            Line::Lost { at, to } => Some(usize::try_from(at).unwrap()..usize::try_from(to).unwrap()),
            _ => None,
        })
        .collect();
    let bytes: usize = lost.iter().map(std::iter::ExactSizeIterator::len).sum();
    assert_eq!(shelf.figures().lost_bytes, bytes as u64);
    assert!(bytes > 0 && bytes <= all.len() - held, "{lost:?}");
    for (at, byte) in all.iter().enumerate() {
        assert!(
            tape[at] == *byte || lost.iter().any(|lost| lost.contains(&at)),
            "byte {at}"
        );
    }
}

#[test]
fn sources_that_come_and_go_meanwhile_do_not_fill_the_memory() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut stays = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(stays.session());
    let hanging = locked(&session.disk);
    let stream = opus(1, "One", 60, 5000);
    stays.append(&stream);
    for _ in 0..300 {
        let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
        writer.append(&stream);
        writer.end("left");
    }
    let held = |shelf: &Shelf| -> usize {
        let sessions = shelf.sessions();
        sessions
            .iter()
            .map(|session| locked(&session.view).ring.len())
            .sum()
    };
    assert!(held(&shelf) <= (16 << 20) + (1 << 20), "{}", held(&shelf));
    drop(hanging);
    written(&shelf);
    shelf.settle();
    assert_eq!(held(&shelf), 0);
    let sessions = shelf.sessions();
    assert!(sessions.len() > 30 && sessions.len() < 301, "{}", sessions.len());
}
