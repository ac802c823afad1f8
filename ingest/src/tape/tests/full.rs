//! A disk that is full, or fails.

use super::*;
use std::fs::OpenOptions;
use std::process::Command;

/// A place with one mebibyte, for this test alone; `false` if this machine has none for us.
fn in_a_small_place(test: &str) -> Option<PathBuf> {
    const VARIABLE: &str = "RADIO_TAPE_SMALL_PLACE";
    if let Some(place) = std::env::var_os(VARIABLE) {
        return Some(place.into());
    }
    let here = place();
    let script = format!(
        "mount -t tmpfs -o size=1m none '{0}' && {VARIABLE}='{0}' exec \"$0\" --exact tape::tests::full::{test} --nocapture",
        here.path().display()
    );
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount"]);
    if !unshare.arg("true").status().is_ok_and(|status| status.success()) {
        println!("not run here: {test} needs a mount namespace of its own");
        return None;
    }
    let told = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success() && output.contains("1 passed"), "{output}");
    None
}

fn fill(place: &Path) -> PathBuf {
    let ballast = place.join("ballast");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&ballast)
        .unwrap();
    let mut all: &fs::File = &file;
    while std::io::Write::write(&mut all, &[7; 4096]).is_ok() {}
    ballast
}

/// Bytes or, where the disk took none, the range.
fn read_around(session: &Arc<Session>) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut reader = Reader::of(session);
    let (mut all, mut gone) = (Vec::new(), Vec::new());
    loop {
        let at = all.len() as u64;
        match reader.read_blocking(at, 1 << 16).unwrap() {
            Read::Bytes(bytes) => all.extend(bytes),
            Read::Wait | Read::Ended => return (all, gone),
            Read::Gone(next) => {
                gone.push((at, next));
                all.resize(usize::try_from(next).unwrap(), 0);
            }
        }
    }
}

fn lost_in(lines: &[Line]) -> u64 {
    let lost = lines.iter().map(|line| match line {
        Line::Lost { at, to } => to - at,
        _ => 0,
    });
    lost.sum()
}

/// How many lines tell a number, each of them one more than the one before.
fn titles(dir: &Path) -> usize {
    let text = fs::read_to_string(dir.join("index")).unwrap();
    let numbers: Vec<&str> = text
        .split("Number ")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("\"}\n")?.0))
        .collect();
    assert!(
        numbers.iter().enumerate().all(|(n, told)| *told == n.to_string()),
        "{numbers:?}"
    );
    numbers.len()
}

fn assert_same_around(seen: &[u8], gone: &[(u64, u64)], sent: &[u8]) {
    for (at, byte) in seen.iter().enumerate() {
        let is_gone = gone.iter().any(|&(from, to)| (from..to).contains(&(at as u64)));
        assert!(is_gone || *byte == sent[at], "byte {at}");
    }
}

#[test]
fn a_full_disk_stops_nobody_and_loses_nothing_that_memory_holds() {
    let Some(place) = in_a_small_place("a_full_disk_stops_nobody_and_loses_nothing_that_memory_holds") else {
        return;
    };
    let shelf = Shelf::open(&place, BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = [opus(1, "One", 100, 20_000), opus(2, "Two", 60, 10_000)].concat();
    let mut appended = 0;
    let mut append = |writer: &mut Writer, count: usize| {
        for piece in stream[appended..appended + count].chunks(1500) {
            writer.append(piece);
        }
        appended += count;
        appended
    };
    append(&mut writer, 500_000);
    shelf.settle();
    let ballast = fill(&place);
    let now = append(&mut writer, 300_000);
    // More than the index has room for in the block it has.
    for n in 0..200 {
        writer.title(&format!("Number {n}"));
    }
    shelf.settle();
    shelf.settle();
    let figures = shelf.figures();
    assert_eq!((figures.in_memory, figures.lost_bytes), (1, 0));
    assert!(figures.write_errors > 0);
    assert_eq!(read_all(&session, 0), &stream[..now], "readers see all of it");
    assert_eq!(
        session.newest().map(|newest| newest.at > 700_000),
        Some(true),
        "and can join"
    );
    // Killed now: what is on the disk is in order.
    let (left, _) = left_behind(&session);
    let found = Shelf::open(left.path(), BOOT).unwrap().get(session.id()).unwrap();
    let kept = read_all(&found, 0);
    assert!(stream.starts_with(&kept) && kept.len() >= 500_000);
    assert!(titles(&session.dir) < 200, "the index was to be full, too");

    fs::remove_file(&ballast).unwrap();
    shelf.settle();
    assert_eq!(shelf.figures().in_memory, 0);
    let now = append(&mut writer, 40_000);
    assert_eq!(fs::read(session.dir.join("tape")).unwrap(), &stream[..now]);
    writer.end("left");
    shelf.settle();
    let lines = lines(&session.dir);
    assert_eq!(marks_of(&lines), expected(Container::Ogg, &stream[..now]).1);
    assert!(matches!(lines.last(), Some(Line::End { .. })));
    assert_eq!(titles(&session.dir), 200);
    assert!(!lines.iter().any(|line| matches!(line, Line::Lost { .. })));
}

#[test]
fn what_memory_cannot_hold_is_confessed() {
    let Some(place) = in_a_small_place("what_memory_cannot_hold_is_confessed") else {
        return;
    };
    let shelf = Shelf::open(&place, BOOT).unwrap();
    let ballast = fill(&place);
    // Begun on a full disk: no directory, and nobody notices.
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    assert!(!session.dir.exists());
    let first = opus(1, "One", 90, 60_000);
    let second = opus(2, "Two", 5, 10_000);
    for piece in first.chunks(4000) {
        writer.append(piece);
    }
    shelf.settle();
    assert_eq!(shelf.figures().in_memory, 1);
    let (seen, gone) = read_around(&session);
    assert_same_around(&seen, &gone, &first);
    let [(0, next)] = gone[..] else { panic!("{gone:?}") };
    assert!(first.len() as u64 - next >= 4 << 20, "four mebibytes are held");

    // Too little room for all of it, then a source that goes on, then room for nothing more.
    fs::remove_file(&ballast).unwrap();
    shelf.settle();
    assert_eq!(shelf.figures().in_memory, 1);
    assert!(session.dir.exists());
    for piece in second.chunks(4000) {
        writer.append(piece);
    }
    shelf.settle();
    let all = [first, second].concat();
    let (seen, gone) = read_around(&session);
    assert_eq!(seen.len(), all.len());
    let lost: u64 = gone.iter().map(|(at, to)| to - at).sum();
    assert_same_around(&seen, &gone, &all);
    // Killed in this state: what the index calls lost is the only thing that is not what was sent.
    let (left, dir) = left_behind(&session);
    let found = Shelf::open(left.path(), BOOT).unwrap().get(session.id()).unwrap();
    let (kept, confessed) = read_around(&found);
    assert_same_around(&kept, &confessed, &all);
    assert!(lines(&dir).iter().any(|line| matches!(line, Line::Lost { .. })));

    writer.end("left");
    shelf.settle();
    assert!(!session.is_settled(), "its end is still in memory");
    // The bigger disk somebody attached.
    let remounted = Command::new("mount")
        .args(["-o", "remount,size=32m"])
        .arg(&place)
        .status()
        .unwrap();
    assert!(remounted.success());
    shelf.settle();
    assert!(session.is_settled());
    let lines = lines(&session.dir);
    assert_eq!((lost_in(&lines), shelf.figures().lost_bytes), (lost, lost));
    assert!(matches!(lines.last(), Some(Line::End { at, .. }) if *at == all.len() as u64));
    // What fell out of memory did not take the headers with it.
    let headers = &expected(Container::Ogg, &all).0[0].unit.link.headers.concat();
    assert_eq!(gone[0].0, headers.len() as u64, "{gone:?}");
    let Joined::At(boundary) = session.join(gone[0].1).unwrap() else {
        panic!("{gone:?}")
    };
    assert_eq!(&boundary.link.headers.concat(), headers);
    assert_eq!(read_around(&session), (seen, gone));
}

#[test]
fn sources_that_come_and_go_without_a_disk_do_not_fill_the_memory() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let sessions = place.path().join("sessions");
    // A file where the directory was: no session can be made, whoever runs this.
    fs::remove_dir(&sessions).unwrap();
    fs::write(&sessions, "").unwrap();
    let stream = opus(1, "One", 60, 60_000);
    for _ in 0..40 {
        let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
        writer.append(&stream);
        writer.end("left");
        shelf.settle();
    }
    let held: usize = shelf
        .sessions()
        .iter()
        .map(|session| locked(&session.view).ring.len())
        .sum();
    assert!(held <= (16 << 20) + (4 << 20), "{held}");
    assert!(shelf.sessions().len() < 40, "what is nowhere is not listed");
    assert_eq!(shelf.figures().in_memory, shelf.sessions().len());
    fs::remove_file(&sessions).unwrap();
    fs::create_dir(&sessions).unwrap();
    shelf.settle();
    assert_eq!(shelf.figures().in_memory, 0);
    assert!(shelf.sessions().iter().all(|session| session.is_settled()));
}

#[test]
fn after_a_failed_sync_everything_since_the_last_good_one_is_written_again() {
    let place = place();
    let shelf = Shelf::open(place.path(), BOOT).unwrap();
    let mut writer = begin(&shelf, Container::Ogg, Routing::Live);
    let session = Arc::clone(writer.session());
    let stream = opus(1, "One", 30, 5000);
    writer.append(&stream[..60_000]);
    shelf.settle();
    writer.append(&stream[60_000..100_000]);
    session.take_back(60_000).unwrap();
    assert_eq!(shelf.figures().in_memory, 1);
    // What such a disk really has of it is anything.
    let tape = OpenOptions::new()
        .write(true)
        .open(session.dir.join("tape"))
        .unwrap();
    tape.set_len(60_000).unwrap();
    writer.append(&stream[100_000..]);
    assert_eq!(read_all(&session, 0), stream);
    shelf.settle();
    assert_eq!(shelf.figures().in_memory, 0);
    assert_eq!(fs::read(session.dir.join("tape")).unwrap(), stream);
    assert_eq!(read_all(&session, 0), stream);
}
