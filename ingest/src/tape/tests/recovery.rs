//! A process killed and a node crashed, at every byte.

use super::*;

struct Left {
    container: Container,
    stream: Vec<u8>,
    id: String,
    /// Files before and after the last write.
    meta: Vec<u8>,
    tape: [usize; 2],
    index: [usize; 2],
    text: Vec<u8>,
    clock: usize,
}

/// A session whose last write brought several lines.
fn left(container: Container, stream: Vec<u8>, last: usize) -> Left {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, container, Routing::Live);
    let session = Arc::clone(writer.session());
    let tape = [stream.len() - last, stream.len()];
    let clock = tape[0] - last / 2;
    writer.append(&stream[..clock]);
    shelf.settle();
    writer.append(&stream[clock..tape[0]]);
    let before = session.index_bytes();
    writer.append(&stream[tape[0]..]);
    let sizes = [before, session.index_bytes()].map(|size| usize::try_from(size).unwrap());
    Left {
        container,
        id: session.id().to_owned(),
        meta: fs::read(session.dir.join("meta.json")).unwrap(),
        text: fs::read(session.dir.join("index")).unwrap(),
        stream,
        tape,
        index: sizes,
        clock,
    }
}

impl Left {
    fn open(&self, tape: &[u8], index: &[u8], boot: &str) -> (TempDir, Arc<Session>) {
        let place = place();
        let dir = place.path().join("sessions").join(&self.id);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("meta.json"), &self.meta).unwrap();
        fs::write(dir.join("tape"), tape).unwrap();
        fs::write(dir.join("index"), index).unwrap();
        let session = Shelf::open(place.path(), boot).unwrap().get(&self.id).unwrap();
        (place, session)
    }

    /// Opens it, and holds it against what was sent. Gives how much is kept.
    fn check(&self, tape: &[u8], index: &[u8], boot: &str, case: &str) -> usize {
        let (place, session) = self.open(tape, index, boot);
        let kept = fs::read(session.dir.join("tape")).unwrap();
        assert!(self.stream.starts_with(&kept), "{case}: not what was sent");
        assert_eq!(session.bytes(), kept.len() as u64, "{case}");
        let lines = lines(&session.dir);
        let (_, all) = expected(self.container, &self.stream);
        let (_, sure) = expected(self.container, &kept);
        let marks = marks_of(&lines);
        assert!(
            marks.iter().all(|line| all.contains(line)),
            "{case}: {marks:?} of {all:?}"
        );
        assert!(
            sure.iter().all(|line| marks.contains(line)),
            "{case}: {marks:?} lacks some of {sure:?}"
        );
        assert!(
            marks.windows(2).all(|two| two[0] != two[1]),
            "{case}: doubled: {marks:?}"
        );
        let ends = lines
            .iter()
            .filter(|line| matches!(line, Line::End { .. }))
            .count();
        assert_eq!(ends, 1, "{case}");
        assert!(
            matches!(lines.last(), Some(Line::End { at, .. }) if *at == kept.len() as u64),
            "{case}: {:?}",
            lines.last()
        );
        assert!(session.describe().ended.is_some() && !session.is_live(), "{case}");
        let text = fs::read(session.dir.join("index")).unwrap();
        let again = open_again(place.path(), "yet another boot");
        let again = again.get(&self.id).unwrap();
        assert_eq!(
            again.describe(),
            session.describe(),
            "{case}: the next start changes nothing"
        );
        assert_eq!(fs::read(again.dir.join("index")).unwrap(), text, "{case}");
        kept.len()
    }
}

fn all_left() -> Vec<(&'static str, Left)> {
    // Without its tag: a frame is followed by a frame.
    let mp3: &[u8] = include_bytes!("../../framing/fixtures/tone.mp3");
    let mp3 = &mp3[usize::try_from(expected(Container::Mp3, mp3).0[0].at).unwrap()..];
    let aac: &[u8] = include_bytes!("../../framing/fixtures/tone.aac");
    let webm: &[u8] = include_bytes!("../../framing/fixtures/tone.webm");
    let links = [opus(1, "One", 22, 90), opus(2, "Two", 12, 40)].concat();
    let in_link = links.len() - opus(1, "One", 22, 90).len();
    // The last write of these brings the second link, and a cut ten seconds later.
    vec![
        ("opus", left(Container::Ogg, links, in_link + 30)),
        ("mp3", left(Container::Mp3, mp3.repeat(11), 5000)),
        ("adts", left(Container::Adts, aac.repeat(11), 5000)),
        ("webm", left(Container::Webm, webm.to_vec(), 1200)),
    ]
}

#[test]
fn a_killed_process_loses_nothing_wherever_it_stood() {
    for (name, left) in all_left() {
        let [before, after] = left.tape;
        let step = if name == "opus" { 1 } else { 7 };
        for cut in (before..=after).step_by(step) {
            // The index is written after the tape; here it is also tried the other way round.
            for index in left.index {
                let case = format!("{name}: tape {cut} of {after}, index {index}");
                assert_eq!(
                    left.check(&left.stream[..cut], &left.text[..index], BOOT, &case),
                    cut,
                    "{case}"
                );
            }
        }
        for index in left.index[0]..=left.index[1] {
            let case = format!("{name}: index {index} of {}", left.index[1]);
            assert_eq!(
                left.check(&left.stream, &left.text[..index], BOOT, &case),
                after,
                "{case}"
            );
        }
    }
}

#[test]
fn a_crashed_node_leaves_whole_units_and_all_that_was_synced() {
    for (name, left) in all_left() {
        let [before, after] = left.tape;
        let (units, _) = expected(left.container, &left.stream);
        for cut in (before..=after).step_by(if name == "opus" { 1 } else { 7 }) {
            let case = format!("{name}: tape {cut} of {after}");
            let kept = left.check(&left.stream[..cut], &left.text[..left.index[0]], "other", &case);
            // The last of those without a checksum may be half zeros for all we know.
            let whole: Vec<u64> = units
                .iter()
                .map(Placed::end)
                .filter(|&end| end <= cut as u64)
                .collect();
            let sure = if left.container == Container::Ogg { 1 } else { 2 };
            let least = whole.len().checked_sub(sure).map_or(0, |at| whole[at]);
            assert!(
                kept as u64 >= least.max(left.clock as u64),
                "{case}: {kept} of {least}"
            );
        }
        for index in left.index[0]..=left.index[1] {
            let case = format!("{name}: index {index}");
            left.check(&left.stream, &left.text[..index], "other", &case);
        }
    }
}

#[test]
fn zeros_that_a_crash_left_are_not_kept() {
    for (name, left) in all_left() {
        let [before, after] = left.tape;
        for hole in (left.clock..after).step_by(13) {
            // To the end, and a page in the middle with what was written later behind it.
            for until in [after, (hole + 512).min(after)] {
                let mut tape = left.stream.clone();
                tape[hole..until].fill(0);
                let mut index = left.text[..left.index[0]].to_vec();
                index.extend([0; 300]);
                let case = format!("{name}: zeros {hole}..{until}, {before} {after}");
                let kept = left.check(&tape, &index, "other", &case);
                assert!(kept >= left.clock, "{case}");
            }
        }
    }
}

#[test]
fn an_index_that_is_garbage_is_made_anew_from_the_tape() {
    for (name, left) in all_left() {
        let whole = left.stream.len();
        for index in [
            Vec::new(),
            b"\0\0\0garbage\n{\"is\":\"cut\"}\n\n".to_vec(),
            vec![b'x'; 100_000],
            [b"{}\n", &left.text[..]].concat(),
        ] {
            let case = format!("{name}: {} bytes", index.len());
            assert_eq!(left.check(&left.stream, &index, BOOT, &case), whole, "{case}");
        }
        let lines: Vec<&[u8]> = left.text.split_inclusive(|&byte| byte == b'\n').collect();
        for line in 0..lines.len() {
            let mut text = lines.clone();
            text[line] = b"\xff\xfe\0\n";
            let case = format!("{name}: line {line} is garbage");
            assert_eq!(
                left.check(&left.stream, &text.concat(), BOOT, &case),
                whole,
                "{case}"
            );
        }
    }
}

#[test]
fn titles_and_routing_survive_a_kill() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Mp3, Routing::Live);
    writer.append(&include_bytes!("../../framing/fixtures/tone.mp3").repeat(20));
    writer.title("Ä \"quoted\" <title>");
    writer.route(Routing::Rehearsal);
    let (left, _) = left_behind(writer.session());
    let found = Shelf::open(left.path(), BOOT).unwrap();
    let found = found.get(writer.session().id()).unwrap().describe();
    let live = writer.session().describe();
    assert_eq!(found.ended.clone().unwrap().why, "ingest stopped in the middle");
    assert_eq!(crate::api::Session { ended: None, ..found }, live);
}

#[test]
fn when_it_was_on_the_air_survives() {
    let (live, rehearsal) = (Routing::Live, Routing::Rehearsal);
    let courses: [(&[Routing], bool); 6] = [
        (&[live], true),
        (&[rehearsal], false),
        (&[live, rehearsal], true),
        (&[rehearsal, live], true),
        (&[rehearsal, live, rehearsal], true),
        (&[live, rehearsal, live], true),
    ];
    for (course, is_aired) in courses {
        let place = place();
        let shelf = Shelf::open(place.path(), BOOT).unwrap();
        let mut writer = begin(&shelf, Container::Mp3, course[0]);
        let session = Arc::clone(writer.session());
        let mut told = vec![session.describe().aired];
        for &routing in &course[1..] {
            writer.append(include_bytes!("../../framing/fixtures/tone.mp3"));
            writer.route(routing);
            told.push(session.describe().aired);
        }
        shelf.settle();
        let last = told.last().unwrap().as_ref();
        assert_eq!(last.is_some(), is_aired, "{course:?}");
        let first = told.iter().flatten().next().map(|aired| aired.first);
        assert_eq!(
            last.map(|aired| aired.first),
            first,
            "{course:?}: the first stays"
        );
        let on_air = course.last() == Some(&live);
        assert_eq!(
            last.is_some_and(|aired| aired.last.is_none()),
            on_air,
            "{course:?}"
        );

        let (left, _) = left_behind(&session);
        let killed = Shelf::open(left.path(), BOOT).unwrap();
        let killed = killed.get(session.id()).unwrap().describe();
        let ended_at = killed.ended.unwrap().at;
        assert_eq!(
            killed.aired.as_ref().map(|aired| aired.first),
            first,
            "{course:?}"
        );
        let spells = killed.aired.as_ref().map_or(0, |aired| aired.spells.len());
        let times_live = course.iter().filter(|routing| **routing == live).count();
        assert_eq!(spells, times_live, "{course:?}: each time on the air is told");
        let left_at = if on_air {
            Some(ended_at)
        } else {
            last.and_then(|aired| aired.last)
        };
        assert_eq!(killed.aired.and_then(|aired| aired.last), left_at, "{course:?}");

        writer.end("left");
        shelf.settle();
        let ended = session.describe();
        let (left, _) = left_behind(&session);
        let again = Shelf::open(left.path(), BOOT).unwrap();
        assert_eq!(again.get(session.id()).unwrap().describe(), ended, "{course:?}");
    }
}

#[test]
fn what_is_no_session_is_no_trouble() {
    let left = left(Container::Ogg, opus(1, "One", 12, 90), 300);
    let place = place();
    let sessions = place.path().join("sessions");
    let with = |name: &str, files: &[(&str, &[u8])]| {
        fs::create_dir_all(sessions.join(name)).unwrap();
        for (file, contents) in files {
            fs::write(sessions.join(name).join(file), contents).unwrap();
        }
    };
    let id = |n: u32| format!("20261121T13502512{n}Z-1f3a");
    with(".new-20261121T135025123Z-1f3a", &[("meta.json", b"{\"mou")]);
    with("lost+found", &[("tape", b"x")]);
    with(&id(0), &[("tape", b"audio"), ("index", b"")]);
    with(&id(1), &[("meta.json", b""), ("tape", b""), ("index", b"")]);
    with(&id(2), &[("meta.json", b"{\"mount\":7}"), ("tape", b"audio")]);
    with(&id(3), &[("meta.json", &left.meta)]);
    with(
        &id(4),
        &[
            ("meta.json", &left.meta),
            ("tape", &left.stream),
            ("acks.json", b"{{"),
        ],
    );
    fs::write(sessions.join("a-file"), "x").unwrap();
    fs::write(sessions.join(".hidden"), "x").unwrap();
    fs::write(sessions.join(".gone-file"), "x").unwrap();

    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let found: Vec<_> = shelf
        .sessions()
        .iter()
        .map(|session| (session.id().to_owned(), session.bytes()))
        .collect();
    assert_eq!(found, [(id(3), 0), (id(4), left.stream.len() as u64)]);
    assert!(!sessions.join(".new-20261121T135025123Z-1f3a").exists());
    assert!(!sessions.join(id(1)).exists(), "nothing was in it");
    for damaged in [id(0), id(2)] {
        assert_eq!(
            fs::read(place.path().join("damaged").join(damaged).join("tape")).unwrap(),
            b"audio"
        );
    }
    assert!(sessions.join("lost+found").exists());
}

#[test]
fn an_end_the_disk_does_not_take_is_written_when_it_does() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Mp3, Routing::Live);
    writer.append(&include_bytes!("../../framing/fixtures/tone.mp3").repeat(20));
    writer.title("News");
    let (left, dir) = left_behind(writer.session());
    let before = fs::read_to_string(dir.join("index")).unwrap();
    fs::write(dir.join("index"), format!("{before}{{\"torn")).unwrap();
    // The new index cannot be made.
    fs::create_dir(dir.join(".index")).unwrap();
    let again = Shelf::open(left.path(), BOOT).unwrap();
    let found = again.get(writer.session().id()).unwrap();
    assert_eq!(
        found.index_bytes(),
        before.len() as u64,
        "what is there can be read"
    );
    let told = found.describe();
    assert_eq!(told.ended.clone().unwrap().why, "ingest stopped in the middle");
    assert_eq!(
        crate::api::Session {
            ended: None,
            aired: writer.session().describe().aired,
            ..told.clone()
        },
        writer.session().describe()
    );
    again.retain(Timestamp::now(), 0, &[]);
    assert_eq!(found.index_bytes(), before.len() as u64);

    fs::remove_dir(dir.join(".index")).unwrap();
    let version = again.changed().borrow().sessions;
    let progress = found.progress();
    again.retain(Timestamp::now(), 0, &[]);
    assert_eq!(found.describe(), told);
    assert!(matches!(lines(&dir).last(), Some(Line::End { .. })));
    assert_eq!(
        found.index_bytes(),
        fs::metadata(dir.join("index")).unwrap().len()
    );
    assert!(progress.has_changed().unwrap() && again.changed().borrow().sessions == version + 1);
    again.retain(Timestamp::now(), 0, &[]);
    assert_eq!(again.changed().borrow().sessions, version + 1, "once is enough");
}
