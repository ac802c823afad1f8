//! A session from its first byte to its End.

use super::*;

#[test]
fn what_is_sent_is_on_the_tape_and_the_index_tells_of_it() {
    for (name, container, stream) in streams() {
        let place = place();
        let shelf = Shelf::open(place.path(), BOOT).unwrap();
        let mut writer = begin(&shelf, container, Routing::Live);
        let session = Arc::clone(writer.session());
        for piece in stream.chunks(1000) {
            writer.append(piece);
        }
        shelf.settle();
        writer.title(" Two\r\n Words ");
        writer.title("Two Words");
        writer.route(Routing::Rehearsal);
        assert!(session.is_live());
        writer.end("the source left");
        shelf.settle();

        assert_eq!(fs::read(session.dir.join("tape")).unwrap(), stream, "{name}");
        assert_eq!(read_all(&session, 0), stream, "{name}");
        let lines = lines(&session.dir);
        let (units, marks) = expected(container, &stream);
        assert_eq!(marks_of(&lines), marks, "{name}");
        assert!(!marks.is_empty(), "{name}");
        let end = stream.len() as u64;
        let told: Vec<&Line> = lines
            .iter()
            .filter(|line| !matches!(line, Line::Cut { .. } | Line::Link { .. } | Line::Title { .. }))
            .collect();
        assert!(
            matches!(
                told[..],
                [
                    Line::Clock { at: clock, .. },
                    Line::Routing { at: routed, routing: Routing::Rehearsal, .. },
                    Line::End { at, why, .. },
                ] if [*clock, *routed, *at] == [end; 3] && why == "the source left"
            ),
            "{name}: {told:?}"
        );
        let titles = lines.iter().filter(
            |line| matches!(line, Line::Title { at, title, .. } if *at == end && title == "Two Words"),
        );
        assert_eq!(titles.count(), 1, "{name}");

        let told = session.describe();
        assert_eq!(
            (told.bytes, told.kept_from, told.title.as_deref()),
            (end, 0, Some("Two Words"))
        );
        assert_eq!(
            told.codec.as_deref(),
            units.last().map(|last| last.unit.link.codec),
            "{name}"
        );
        assert_eq!(told.ended.unwrap().why, "the source left");
        drop(shelf);
        assert_unchanged_by_a_restart(&place, &session, name);
    }
}

fn assert_unchanged_by_a_restart(place: &TempDir, session: &Session, name: &str) {
    let text = fs::read(session.dir.join("index")).unwrap();
    let again = open_again(place.path(), "another boot");
    let found = again.get(session.id()).unwrap();
    assert_eq!(found.describe(), session.describe(), "{name}");
    assert_eq!(fs::read(found.dir.join("index")).unwrap(), text, "{name}");
}

#[test]
fn cuts_are_ten_seconds_or_four_mebibytes_apart_and_at_each_link() {
    let stream = [
        opus(1, "One", 35, 100),
        opus(2, "Two", 5, 100),
        opus(3, "Three", 150, 64_000),
    ]
    .concat();
    let (_, lines) = expected(Container::Ogg, &stream);
    let cuts: Vec<u64> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Cut { media_ms, .. } => Some(*media_ms),
            _ => None,
        })
        .collect();
    // The encoder's 312 samples before the beginning are not heard, if the framer counts so.
    let seconds: Vec<u64> = cuts.iter().map(|ms| (ms + 500) / 1000).collect();
    assert_eq!(seconds[..6], [0, 10, 20, 30, 35, 40]);
    assert_eq!(seconds.len(), 6 + 14, "{seconds:?}");
    let long = [
        opus(1, "One", 1, 100),
        vec![0; 5 << 20],
        opus(1, "One", 1, 100)[..].to_vec(),
    ]
    .concat();
    assert_eq!(expected(Container::Ogg, &long).1.len(), 4, "garbage is not cut");
}

#[test]
fn versions_count_what_lists_say_and_not_bytes() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let changed = shelf.changed();
    let version = || changed.borrow().sessions;
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    assert_eq!(version(), 1);
    let stream = opus(1, "One", 30, 100);
    for piece in stream.chunks(333) {
        writer.append(piece);
    }
    assert_eq!(version(), 2, "codec and title");
    writer.append(&opus(2, "One", 3, 100));
    assert_eq!(version(), 2, "the same again");
    writer.append(&opus(3, "Three", 3, 100));
    assert_eq!(version(), 3);
    writer.route(Routing::Live);
    assert_eq!(version(), 3);
    writer.route(Routing::Rehearsal);
    assert_eq!(version(), 4);
    drop(writer);
    assert_eq!(version(), 5);
    shelf.settle();
    let [session] = &shelf.sessions()[..] else {
        panic!("one session")
    };
    assert_eq!(session.describe().ended.unwrap().why, "ingest stopped");
    assert_eq!(changed.borrow().sessions, 5);
}

#[test]
fn two_processes_never_have_the_same_tapes() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let second = Shelf::open(place.path(), BOOT).unwrap_err();
    assert!(second.to_string().contains("another process"), "{second}");
    drop(shelf);
    open_again(place.path(), BOOT);
}

#[test]
fn an_empty_title_clears_it() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Mp3, Routing::Live);
    let session = Arc::clone(writer.session());
    writer.append(&include_bytes!("../../framing/fixtures/tone.mp3").repeat(3));
    writer.title("");
    writer.title("News");
    assert_eq!(session.describe().title.as_deref(), Some("News"));
    let version = shelf.changed().borrow().sessions;
    writer.title(" \r\n");
    writer.title("");
    assert_eq!(session.describe().title, None);
    assert_eq!(shelf.changed().borrow().sessions, version + 1);
    let lines = lines(&session.dir);
    let titles = lines.iter().filter_map(|line| match line {
        Line::Title { title, .. } => Some(title.as_str()),
        _ => None,
    });
    assert_eq!(titles.collect::<Vec<_>>(), ["News", ""]);
    let (left, _) = left_behind(&session);
    let again = Shelf::open(left.path(), BOOT).unwrap().get(session.id()).unwrap();
    assert_eq!(again.describe().title, None);
}

#[test]
fn a_clock_line_has_the_time_of_its_own_offset() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writers = [(); 2].map(|()| begin(&shelf, Container::Ogg, Routing::Live));
    writers.sort_by_key(|writer| writer.session().id().to_owned());
    let [first, second] = &mut writers;
    let stream = opus(1, "One", 3, 100);
    let slow = Arc::clone(first.session());
    let disk = locked(&slow.disk);
    let round = std::thread::spawn({
        let shelf = Arc::clone(&shelf);
        move || shelf.settle()
    });
    // It waits for the first one's disk; nothing shows that. Too short a time only makes this test weaker.
    std::thread::sleep(std::time::Duration::from_millis(100));
    second.append(&stream);
    let sent = Timestamp::now();
    drop(disk);
    round.join().unwrap();
    let lines = lines(&second.session().dir);
    let [.., Line::Clock { at, t }] = lines[..] else {
        panic!("{lines:?}")
    };
    assert!(at == stream.len() as u64 && t >= sent, "{t} {sent}");
}
