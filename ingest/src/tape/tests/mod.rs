//! The tapes against what was sent.

mod cost;
mod full;
mod hang;
mod random;
mod recovery;
mod room;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use bytes::Bytes;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::marks::{Marks, Placed, Walk};
use super::*;
use crate::api::{Container, Line};
use crate::config::{Credential, Input, Routing};
use crate::framing::ogg::crc;

const BOOT: &str = "6f1d-boot";

/// Memory if there is such a place: these tests sync thousands of times.
fn place() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// Opens what was just closed. A process that some other test is starting holds the lock until it runs its program.
fn open_again(dir: &Path, boot_id: &str) -> Arc<Shelf> {
    let started = Instant::now();
    loop {
        match Shelf::open(dir, boot_id) {
            Err(busy) if busy.kind() == io::ErrorKind::ResourceBusy => {
                assert!(started.elapsed() < Duration::from_secs(20), "{busy}");
                thread::sleep(Duration::from_millis(1));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn input() -> Input {
    Input {
        mount: "main".to_owned(),
        name: "studio".to_owned(),
        path: "/live/studio".to_owned(),
        priority: 0,
        accepts: None,
        credentials: Vec::new(),
    }
}

fn begin(shelf: &Arc<Shelf>, container: Container, routing: Routing) -> Writer {
    let credential = Credential {
        user: "source".to_owned(),
        sha256: String::new(),
        routing,
        show: None,
        turns: Vec::new(),
    };
    shelf.begin(&input(), &credential, container)
}

/// An Opus link: headers, then pages of one second with `payload` bytes each.
pub(crate) fn opus(serial: u32, title: &str, seconds: u64, payload: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(u64::from(serial));
    let mut tags = b"OpusTags\x04\0\0\0test\x01\0\0\0".to_vec();
    let comment = format!("TITLE={title}");
    tags.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
    tags.extend(comment.as_bytes());
    let mut stream = page(serial, 0, 2, 0, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
    stream.extend(page(serial, 1, 0, 0, &tags));
    for second in 0..seconds {
        let body: Vec<u8> = (0..payload).map(|_| rng.random()).collect();
        let number = u32::try_from(second).unwrap() + 2;
        stream.extend(page(serial, number, 0, 48_000 * (second + 1), &body));
    }
    stream
}

fn page(serial: u32, number: u32, flags: u8, granule: u64, packet: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(serial.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    page.push(u8::try_from(packet.len() / 255 + 1).unwrap());
    page.extend(vec![255; packet.len() / 255]);
    page.push(u8::try_from(packet.len() % 255).unwrap());
    page.extend(packet);
    crc::seal(&mut page);
    page
}

/// Streams of every container, with several links where there can be some, and garbage.
fn streams() -> Vec<(&'static str, Container, Vec<u8>)> {
    let mp3: &[u8] = include_bytes!("../../framing/fixtures/tone.mp3");
    let aac: &[u8] = include_bytes!("../../framing/fixtures/tone.aac");
    let webm: &[u8] = include_bytes!("../../framing/fixtures/chromium.webm");
    let mut chained = opus(1, "One", 25, 300);
    chained.extend(opus(2, "Two", 3, 300));
    chained.extend(b"what is this? OggS");
    chained.extend(opus(3, "Three", 14, 700));
    chained.extend(include_bytes!("../../framing/fixtures/tone.flac.ogg"));
    chained.extend(include_bytes!("../../framing/fixtures/tone.vorbis.ogg"));
    vec![
        ("opus", Container::Ogg, opus(7, "Alone", 45, 400)),
        ("chained", Container::Ogg, chained),
        ("mp3", Container::Mp3, mp3.repeat(25)),
        ("adts", Container::Adts, aac.repeat(25)),
        ("webm", Container::Webm, webm.to_vec()),
    ]
}

/// The units of a whole stream, and the Cut and Link lines an undisturbed session has for them.
fn expected(container: Container, stream: &[u8]) -> (Vec<Placed>, Vec<Line>) {
    let units = Walk::from(container, &[], 0).push(stream);
    let (mut marks, mut lines) = (Marks::default(), Vec::new());
    for placed in &units {
        marks.take(placed, Timestamp::UNIX_EPOCH, &mut lines);
    }
    lines.retain(|line| matches!(line, Line::Cut { .. } | Line::Link { .. }));
    (units, lines)
}

fn lines(dir: &Path) -> Vec<Line> {
    let text = fs::read_to_string(dir.join("index")).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the index ends in a torn line"
    );
    let lines = text.lines().map(serde_json::from_str::<Line>);
    lines.map(|line| line.expect(&text)).collect()
}

/// The Cut and Link lines, by offset: recovery adds missing ones behind others.
fn marks_of(lines: &[Line]) -> Vec<Line> {
    let mut marks: Vec<Line> = lines
        .iter()
        .filter(|line| matches!(line, Line::Cut { .. } | Line::Link { .. }))
        .cloned()
        .collect();
    marks.sort_by_key(|line| match *line {
        Line::Link { at, .. } => (at, 0),
        Line::Cut { at, .. } => (at, 1),
        _ => unreachable!("only these two are here"),
    });
    marks
}

/// What a killed process leaves: the files as they are, in a place of their own.
fn left_behind(session: &Session) -> (TempDir, PathBuf) {
    let place = place();
    let dir = place.path().join("sessions").join(session.id());
    fs::create_dir_all(&dir).unwrap();
    for file in fs::read_dir(&session.dir).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
    (place, dir)
}

fn read_all(session: &Arc<Session>, from: u64) -> Vec<u8> {
    let mut reader = Reader::of(session);
    let mut all = Vec::new();
    loop {
        match reader.read_blocking(from + all.len() as u64, 1 << 16).unwrap() {
            Read::Bytes(bytes) => all.extend(bytes),
            Read::Wait | Read::Ended => return all,
            Read::Gone(next) => panic!("gone until {next}"),
        }
    }
}

/// What a reader that joins there is sent, up to now.
fn joined(session: &Arc<Session>, boundary: &Boundary) -> Bytes {
    let mut sent: Vec<u8> = boundary.link.headers.concat();
    sent.extend(&boundary.lead);
    sent.extend(read_all(session, boundary.at));
    sent.into()
}
