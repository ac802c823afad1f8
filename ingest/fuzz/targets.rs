//! What must hold for any bytes whatever. Used by the fuzzer, and by `replay.rs` on the corpus.
//!
//! Inputs are plain streams, so that a real one is a seed as it is; where it is cut into pieces follows from its bytes.

use std::sync::Arc;
use std::time::Duration;

use ingest::api::Container;
use ingest::config::Format;
use ingest::door::body::{Body, Malformed, Piece};
use ingest::door::{head, metadata};
use ingest::framing::{Framer, Link, SNIFFED_WITHIN, Sniffed, Unit, clean_title, fits, sniff};
use ingest::repage::Repager;

/// Every target.
pub const TARGETS: [&str; 8] = ["ogg", "mp3", "adts", "webm", "sniff", "repage", "head", "chunked"];

/// What a framer may hold of any stream: a unit of the greatest length, and a piece.
const MOST_HELD: usize = 320 * 1024;
const MOST_HEADERS: usize = 1 << 20;

/// Runs one target.
///
/// # Panics
///
/// If something does not hold.
pub fn run(target: &str, data: &[u8]) {
    match target {
        "ogg" => {
            framer(Container::Ogg, data);
            framer(Container::Ogg, &sealed(data));
        }
        "mp3" => framer(Container::Mp3, data),
        "adts" => framer(Container::Adts, data),
        "webm" => framer(Container::Webm, data),
        "sniff" => sniffed(data),
        "repage" => repaged(data),
        "head" => request(data),
        "chunked" => chunked(data),
        other => unreachable!("no target {other}"),
    }
}

/// Numbers that follow from the input, small ones more often.
struct Dice(u64);

impl Dice {
    fn of(data: &[u8]) -> Self {
        Self(data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let limit = [3, 40, 1500, 1 << 20][usize::try_from(self.0 >> 62).unwrap_or(0)].min(most);
        usize::try_from(self.0 >> 32).unwrap_or(0) % (limit + 1)
    }

    fn pieces<'a>(&mut self, data: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        let mut rest = data;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(self.up_to(rest.len() - 1) + 1);
            pieces.push(piece);
            rest = later;
        }
        pieces
    }
}

fn framer(container: Container, data: &[u8]) {
    let mut whole = Framer::of(container);
    let units = whole.push(data);
    let mut dice = Dice::of(data);
    let mut cut = Framer::of(container);
    let mut in_pieces = Vec::new();
    for piece in dice.pieces(data) {
        in_pieces.extend(cut.push(piece));
        assert!(cut.held() <= MOST_HELD, "{} bytes held", cut.held());
    }
    assert!(whole.held() <= MOST_HELD, "{} bytes held", whole.held());
    assert_eq!(content(&units), content(&in_pieces), "however it is cut");
    assert_eq!(whole.skipped(), cut.skipped());
    in_place(data, &units);
    let given: u64 = units.iter().map(|unit| unit.bytes.len() as u64).sum();
    assert!(given + whole.skipped() <= data.len() as u64);
    for unit in &units {
        harmless(container, unit);
    }
    if !units.is_empty() {
        joined(container, &units[dice.up_to(units.len() - 1)]);
    }
}

/// The same with right checksums, which no fuzzer guesses.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut sealed = data.to_vec();
    let mut at = 0;
    while let Some(found) = sealed[at..].windows(4).position(|bytes| bytes == b"OggS") {
        at += found;
        let rest = &mut sealed[at..];
        let lacing = rest.get(27..27 + rest.get(26).map_or(0, |&count| usize::from(count)));
        let length =
            lacing.map(|lacing| 27 + lacing.len() + lacing.iter().map(|&n| usize::from(n)).sum::<usize>());
        let Some(page) = length
            .and_then(|length| rest.get_mut(..length))
            .filter(|page| page.len() > 27)
        else {
            at += 4;
            continue;
        };
        page[22..26].fill(0);
        let sum = page.iter().fold(0_u32, |crc, &byte| {
            (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
                (crc << 1) ^ if crc >> 31 == 0 { 0 } else { 0x04c1_1db7 }
            })
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        at += page.len();
    }
    sealed
}

/// All there is to units, and which of them share a link.
fn content(units: &[Unit]) -> Vec<(String, bool)> {
    let same = |number: usize| number > 0 && Arc::ptr_eq(&units[number - 1].link, &units[number].link);
    units
        .iter()
        .enumerate()
        .map(|(number, unit)| (format!("{unit:?}"), same(number)))
        .collect()
}

/// Units are what stands in the stream where they say, one behind the other.
fn in_place(data: &[u8], units: &[Unit]) {
    let mut end = 0;
    for unit in units {
        let at = usize::try_from(unit.at).unwrap_or(usize::MAX);
        assert!(at >= end && !unit.bytes.is_empty());
        end = at + unit.bytes.len();
        assert_eq!(data.get(at..end), Some(&unit.bytes[..]));
        assert!(unit.link.at <= unit.at);
    }
}

fn harmless(container: Container, unit: &Unit) {
    let Link { headers, title, .. } = &*unit.link;
    assert!(headers.concat().len() <= MOST_HEADERS);
    assert!(
        title
            .as_ref()
            .is_none_or(|title| clean_title(title).as_ref() == Some(title))
    );
    assert!(unit.lead.is_empty() || container == Container::Webm);
    // The longest: a page of Ogg that says so, and a block laced of 256 packets of 120 ms.
    assert!(unit.duration <= Duration::from_mins(1));
}

/// Who joins with a unit finds it.
fn joined(container: Container, unit: &Unit) {
    let empty_last_page = container == Container::Ogg && unit.bytes[5] & 4 != 0;
    if !unit.joins || matches!(container, Container::Mp3 | Container::Adts) || empty_last_page {
        return;
    }
    let sent = [&unit.link.headers.concat()[..], &unit.lead, &unit.bytes].concat();
    let heard = Framer::of(container).push(&sent);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].bytes, [&unit.lead[..], &unit.bytes].concat());
    assert_eq!(heard[0].link.headers, unit.link.headers);
}

fn sniffed(data: &[u8]) {
    let mut dice = Dice::of(data);
    let answer = sniff(data);
    for _ in 0..4 {
        let before = sniff(&data[..dice.up_to(data.len())]);
        assert!(
            before == Sniffed::NotYet || before == answer,
            "{before:?}, then {answer:?}"
        );
    }
    match answer {
        Sniffed::NotYet => assert!(data.len() < SNIFFED_WITHIN),
        Sniffed::Is(container, codec) => {
            for format in [Format::Opus, Format::Ogg, Format::Flac, Format::Mp3, Format::Aac] {
                let _ = fits(format, container, codec);
            }
            let frames = matches!(container, Container::Mp3 | Container::Adts);
            let tagged = data.windows(3).any(|bytes| bytes == b"ID3");
            assert!(!frames || tagged || !Framer::of(container).push(data).is_empty());
        }
        Sniffed::Unknown(what) => assert_eq!(clean_title(&what), Some(what)),
    }
}

fn repaged(data: &[u8]) {
    let units = Framer::of(Container::Webm).push(data);
    let mut repager = Repager::default();
    let mut dice = Dice::of(data);
    let mut pages: Vec<Unit> = Vec::new();
    let mut rest = &units[..];
    while !rest.is_empty() {
        let (some, later) = rest.split_at(dice.up_to(rest.len() - 1) + 1);
        pages.extend(repager.push(some));
        rest = later;
    }
    let mut sent = Vec::new();
    let mut link: Option<&Arc<Link>> = None;
    for page in &pages {
        if !link.is_some_and(|link| Arc::ptr_eq(link, &page.link)) {
            sent.extend(page.link.headers.concat());
            link = Some(&page.link);
        }
        sent.extend_from_slice(&page.bytes);
        assert!(page.joins && page.lead.is_empty() && !page.duration.is_zero());
        // A page is closed at 100 ms, and the last packet has at most 120 of them.
        assert!(page.duration < Duration::from_millis(220));
        assert!(units.iter().any(|unit| unit.at == page.at));
    }
    let mut framer = Framer::of(Container::Ogg);
    let again = framer.push(&sent);
    assert_eq!(framer.skipped(), 0);
    assert_eq!(again.len(), pages.len());
    for (again, page) in again.iter().zip(&pages) {
        assert_eq!(again.bytes, page.bytes);
        assert_eq!(again.duration, page.duration);
        assert_eq!(again.link.headers, page.link.headers);
        assert_eq!(again.link.codec, "opus");
        assert_eq!(again.link.title, page.link.title);
    }
}

fn request(data: &[u8]) {
    let whole = head::parse(data);
    if let Ok(Some((head, length))) = &whole {
        assert!(*length <= data.len() && *length <= head::LONGEST);
        assert!(head.path == "*" || head.path.starts_with('/'));
        assert!(!head.path.chars().any(char::is_control));
        if let Ok(update) = metadata::read(&head.query) {
            assert!(!update.path.chars().any(char::is_control));
        }
    }
    let mut dice = Dice::of(data);
    for _ in 0..4 {
        match head::parse(&data[..dice.up_to(data.len())]) {
            Ok(None) => {}
            Ok(Some(before)) => assert_eq!(whole.as_ref().ok(), Some(&Some(before))),
            Err(before) => assert!(whole.is_err(), "{before:?}, then {whole:?}"),
        }
    }
    assert!(
        data.len() < head::LONGEST || whole != Ok(None),
        "it ends somewhere"
    );
}

fn chunked(data: &[u8]) {
    let whole = read(&[data]);
    let pieces = Dice::of(data).pieces(data);
    assert_eq!(read(&pieces), whole, "however it is cut");
    let (media, ..) = whole;
    assert!(media.len() <= data.len());
}

/// The media, what is left behind the body, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<u8>, usize, Result<bool, Malformed>) {
    let mut body = Body::chunked();
    let mut media = Vec::new();
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let before = rest.len();
            let next = body.next(&mut rest);
            left -= before - rest.len();
            match next {
                Ok(Piece::Media(some)) => {
                    assert!(!some.is_empty());
                    media.extend_from_slice(some);
                }
                Ok(Piece::Hungry) => break,
                Ok(Piece::Over) => return (media, left, Ok(true)),
                Err(malformed) => return (media, left, Err(malformed)),
            }
        }
        assert!(rest.is_empty());
    }
    (media, left, Ok(false))
}
