//! The Ogg framer against real files and made-up pages: any split, cut, chain or dirt.

use super::page::{FIRST, FIXED};
use super::*;
use crate::framing::Link;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

const OPUS: &[u8] = include_bytes!("fixtures/tone.opus");
const FLAC: &[u8] = include_bytes!("fixtures/tone.flac.ogg");
const VORBIS: &[u8] = include_bytes!("fixtures/tone.vorbis.ogg");

const CONTINUED_FLAG: u8 = 1;
const LAST_FLAG: u8 = 4;

/// A page with a right checksum.
fn page(serial: u32, flags: u8, packets: &[&[u8]]) -> Vec<u8> {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
        lacing.push(u8::try_from(packet.len() % 255).unwrap());
    }
    let mut page = [CAPTURE, &[0, flags], &[0; 8], &serial.to_le_bytes(), &[0; 8]].concat();
    page.push(u8::try_from(lacing.len()).unwrap());
    page.extend(lacing);
    page.extend(packets.concat());
    crc::seal(&mut page);
    page
}

/// An Opus stream with `count` media pages.
fn opus(serial: u32, count: u8) -> Vec<u8> {
    let mut stream = page(serial, FIRST, &[b"OpusHead...."]);
    stream.extend(page(serial, 0, &[b"OpusTags"]));
    for number in 0..count {
        stream.extend(page(serial, 0, &[&[number; 300], b"more"]));
    }
    stream
}

fn pushed_in_pieces(stream: &[u8], rng: &mut StdRng) -> (Framer, Vec<Unit>) {
    let mut framer = Framer::default();
    let mut units = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.random_range(1..=rest.len().min(700)));
        units.extend(framer.push(piece));
        rest = later;
    }
    (framer, units)
}

/// What a listener who hears all of `units` is sent.
fn sent(units: &[Unit]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut link: Option<&Arc<Link>> = None;
    for unit in units {
        if !link.is_some_and(|link| Arc::ptr_eq(link, &unit.link)) {
            all.extend(unit.link.headers.concat());
        }
        link = Some(&unit.link);
        all.extend_from_slice(&unit.bytes);
    }
    all
}

fn links(units: &[Unit]) -> usize {
    let starts = units
        .windows(2)
        .filter(|pair| !Arc::ptr_eq(&pair[0].link, &pair[1].link));
    starts.count() + usize::from(!units.is_empty())
}

#[test]
fn real_files_pass_unchanged_in_any_pieces() {
    let mut rng = StdRng::seed_from_u64(1);
    for (name, file, headers) in [("opus", OPUS, 2), ("flac", FLAC, 2), ("vorbis", VORBIS, 2)] {
        for _ in 0..50 {
            let (framer, units) = pushed_in_pieces(file, &mut rng);
            assert_eq!(sent(&units), file, "{name}");
            assert_eq!((framer.skipped(), links(&units)), (0, 1), "{name}");
            assert_eq!(units[0].link.headers.len(), headers, "{name}");
        }
    }
}

#[test]
fn a_chain_is_a_link_after_another() {
    let mut rng = StdRng::seed_from_u64(2);
    let chain = [OPUS, FLAC, VORBIS, OPUS].concat();
    let (framer, units) = pushed_in_pieces(&chain, &mut rng);
    assert_eq!(sent(&units), chain);
    assert_eq!(
        (framer.skipped(), links(&units)),
        (0, 4),
        "the same headers again are a link of their own"
    );
}

#[test]
fn a_link_that_ends_in_its_headers_gives_nothing() {
    // Liquidsoap begins like this: a link without audio, and at once another.
    let empty = [
        page(7, FIRST, &[b"OpusHead"]),
        page(7, 0, &[b"OpusTags"]),
        page(7, LAST_FLAG, &[]),
    ]
    .concat();
    let units = Framer::default().push(&[empty, opus(7, 3)].concat());
    assert_eq!(sent(&units), opus(7, 3));
}

#[test]
fn a_cut_stream_gives_its_whole_pages() {
    for length in 0..OPUS.len() {
        let mut framer = Framer::default();
        let units = framer.push(&OPUS[..length]);
        let sent = sent(&units);
        assert!(OPUS.starts_with(&sent));
        assert!(units.is_empty() || length - sent.len() < 1 << 16);
        assert_eq!(framer.skipped(), 0);
    }
}

#[test]
fn garbage_is_skipped_and_nothing_else() {
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..300 {
        let clean = opus(5, 20);
        let whole = Framer::default().push(&clean);
        // Dirt between pages, with the capture pattern in it now and then.
        let mut dirty = Vec::new();
        let mut dirt_bytes = 0;
        for part in whole[0]
            .link
            .headers
            .iter()
            .chain(whole.iter().map(|unit| &unit.bytes))
        {
            let mut dirt: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
            if rng.random_bool(0.3) {
                dirt.extend(&CAPTURE[..rng.random_range(1..=4)]);
            }
            dirt_bytes += dirt.len() as u64;
            dirty.extend(dirt);
            dirty.extend_from_slice(part);
        }
        // What looked like a page may wait for more bytes than there are.
        dirty.extend(vec![0; 1 << 16]);
        let (framer, units) = pushed_in_pieces(&dirty, &mut rng);
        assert_eq!(sent(&units), clean);
        assert!(framer.skipped() >= dirt_bytes);
    }
}

#[test]
fn a_damaged_page_is_lost_alone() {
    let mut rng = StdRng::seed_from_u64(4);
    let clean = opus(5, 20);
    let whole = Framer::default().push(&clean);
    let headers: usize = whole[0].link.headers.iter().map(Bytes::len).sum();
    for _ in 0..200 {
        let mut stream = clean.clone();
        let at = rng.random_range(headers..stream.len());
        stream[at] ^= 1 << rng.random_range(0..8);
        stream.extend(vec![0; 1 << 16]);
        let (_, units) = pushed_in_pieces(&stream, &mut rng);
        assert_eq!(units.len(), 19, "damaged at {at}");
        assert!(
            units
                .iter()
                .all(|unit| whole.iter().any(|known| known.bytes == unit.bytes))
        );
    }
}

#[test]
fn media_without_headers_is_not_given_out() {
    let stream = opus(5, 4);
    let headers = page(5, FIRST, &[b"OpusHead...."]).len();
    let mut framer = Framer::default();
    assert!(
        framer.push(&stream[headers..]).is_empty(),
        "its beginning was missed"
    );
    let units = framer.push(&opus(6, 2));
    assert_eq!(sent(&units), opus(6, 2), "the next link plays");
    assert_eq!(
        framer.push(&page(5, 0, &[b"stray"])).len(),
        0,
        "a page of no stream in this link"
    );
}

#[test]
fn a_page_that_begins_inside_a_packet_cannot_be_joined() {
    let mut stream = opus(5, 1);
    stream.extend(page(5, CONTINUED_FLAG, &[b"the rest", b"whole"]));
    stream.extend(page(5, 0, &[b"whole"]));
    let joins: Vec<bool> = Framer::default()
        .push(&stream)
        .iter()
        .map(|unit| unit.joins)
        .collect();
    assert_eq!(joins, [true, false, true]);
}

#[test]
fn comments_may_take_many_pages() {
    // A packet that goes on has a last lacing value of 255 and no end in its page.
    let full = vec![7; 255 * 200];
    let continued = |flags| {
        let mut page = page(5, flags, &[&full]);
        page[26] -= 1;
        page.remove(FIXED + 200);
        crc::seal(&mut page);
        page
    };
    let media = page(5, 0, &[b"media"]);
    let stream = [
        page(5, FIRST, &[b"OpusHead"]),
        continued(0),
        continued(CONTINUED_FLAG),
        page(5, CONTINUED_FLAG, &[b"end"]),
        media,
    ]
    .concat();
    let units = Framer::default().push(&stream);
    assert_eq!((units.len(), units[0].link.headers.len()), (1, 4));
    assert_eq!(sent(&units), stream);
}

#[test]
fn streams_in_one_link_share_their_headers() {
    let stream = [
        page(1, FIRST, &[b"OpusHead"]),
        page(2, FIRST, &[b"\x01vorbis"]),
        page(1, 0, &[b"OpusTags"]),
        page(2, 0, &[b"comments", b"setup"]),
        page(1, 0, &[b"a"]),
        page(2, 0, &[b"b"]),
    ];
    let units = Framer::default().push(&stream.concat());
    assert_eq!(
        (units.len(), links(&units), units[0].link.headers.len()),
        (2, 1, 4)
    );
    assert_eq!(sent(&units), stream.concat());
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut rng = StdRng::seed_from_u64(5);
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.random()).collect();
    let claims_to_be_long = [CAPTURE, &[0, 0], &[0; 20], &[255], &[255; 255]]
        .concat()
        .repeat(2000);
    let endless_comments = {
        let full = vec![7; 255 * 200];
        [
            page(5, FIRST, &[b"OpusHead"]),
            page(5, 0, &[&full[1..]]).repeat(1),
        ]
        .concat()
        .repeat(40)
    };
    for hostile in [
        noise,
        claims_to_be_long,
        endless_comments,
        b"OggS".repeat(100_000),
    ] {
        let mut framer = Framer::default();
        framer.push(&hostile);
        assert!(
            framer.waiting.len() < 1 << 17,
            "{} bytes wait",
            framer.waiting.len()
        );
        assert!(framer.chain.kept().0 <= chain::MOST_HEADERS);
        assert!(framer.chain.kept().1 <= chain::MOST_STREAMS);
        framer.push(&vec![0; 1 << 17]);
        assert!(sent(&framer.push(OPUS)) == OPUS, "still works");
    }
}

fn with_comments(length: usize) -> Vec<u8> {
    let text = |text: &[u8]| [&u32::try_from(text.len()).unwrap().to_le_bytes(), text].concat();
    let picture = [b"METADATA_BLOCK_PICTURE=".as_slice(), &vec![b'A'; length]].concat();
    let comments = [
        b"OpusTags".to_vec(),
        text(b"encoder"),
        3_u32.to_le_bytes().to_vec(),
        text(&picture),
        text(b"Artist=Nina"),
        text(b"TITLE=Feeling\nGood"),
    ];
    let mut stream = page(5, FIRST, &[b"OpusHead...."]);
    let comments = comments.concat();
    // A packet that goes on has a last lacing value of 255 and no end in its page.
    let (full, last) = comments.split_at(comments.len() / (255 * 200) * (255 * 200));
    for (number, part) in full.chunks(255 * 200).enumerate() {
        let mut page = page(5, u8::from(number > 0) * CONTINUED_FLAG, &[part]);
        page[26] -= 1;
        page.remove(FIXED + 200);
        crc::seal(&mut page);
        stream.extend(page);
    }
    stream.extend(page(5, CONTINUED_FLAG, &[last]));
    stream
}

#[test]
fn cover_art_in_the_comments_plays_and_can_be_joined() {
    let headers = with_comments(600 * 1024);
    let stream = [
        headers.clone(),
        opus(5, 3)[page(5, FIRST, &[b"OpusHead...."]).len()..].to_vec(),
    ]
    .concat();
    let (_, units) = pushed_in_pieces(&stream, &mut StdRng::seed_from_u64(6));
    // The second comments of `opus` are media here, as good as any.
    assert_eq!(units.len(), 4);
    assert!(units.iter().all(|unit| unit.joins));
    assert_eq!(sent(&units), stream);
    assert_eq!(units[0].link.title.as_deref(), Some("Nina - Feeling Good"));
    assert_eq!(units[0].link.headers.concat(), headers);
}

#[test]
fn the_memory_of_a_long_page_is_given_back() {
    let mut framer = Framer::default();
    framer.push(&opus(5, 1));
    for number in 0..20 {
        let long = page(5, 0, &[&vec![number; 60_000]]);
        let pieces: Vec<&[u8]> = long.chunks(1400).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let units = framer.push(piece);
            assert_eq!(units.len(), usize::from(at + 1 == pieces.len()));
            assert!(framer.held() <= 2 * long.len(), "{} bytes held", framer.held());
        }
        assert!(framer.held() <= 8 * 1024, "{} bytes held after it", framer.held());
    }
}

#[test]
fn headers_that_are_too_large_are_not_kept() {
    let mut stream = with_comments(chain::MOST_HEADERS);
    let headers = stream.len() as u64;
    stream.extend(page(5, 0, &[b"media"]));
    stream.extend(page(5, 0, &[b"more media"]));
    let mut framer = Framer::default();
    let units = framer.push(&stream);
    assert_eq!(framer.chain.kept().0, 0);
    assert_eq!(units.iter().map(|unit| unit.at).collect::<Vec<_>>()[0], headers);
    assert_eq!(units.len(), 2, "who was there from the start hears it");
    assert!(
        units
            .iter()
            .all(|unit| !unit.joins && unit.link.headers.is_empty())
    );
    assert_eq!(units[0].link.codec, "opus");
    assert_eq!(sent(&framer.push(OPUS)), OPUS, "the next link can be joined");
}

#[test]
fn false_pages_make_little_work() {
    // Each capture claims the longest page, with as few bytes between them as a header can have.
    let lying = [CAPTURE, &[0, 0], &[255; 20], &[255]].concat();
    let mut hostile = lying.repeat(40_000);
    hostile.truncate(1 << 20);
    let mut framer = Framer::default();
    for piece in hostile.chunks(1000) {
        assert!(framer.push(piece).is_empty());
    }
    let bound = MOST_SAVED + CHECKED_PER_BYTE * (hostile.len() as u64 + (1 << 16));
    assert!(framer.work.done > MOST_SAVED, "they were checked at all");
    assert!(framer.work.done <= bound, "{} bytes checked", framer.work.done);
    // And a stream behind it is found again.
    framer.push(&vec![0; 1 << 18]);
    assert_eq!(sent(&framer.push(OPUS)), OPUS);
}

#[test]
fn granules_tell_how_long_pages_play() {
    let at = |granule: u64| {
        let mut page = page(5, 0, &[b"media"]);
        page[6..14].copy_from_slice(&granule.to_le_bytes());
        crc::seal(&mut page);
        page
    };
    let played = |granules: &[u64]| -> Vec<u128> {
        let headers = [page(5, FIRST, &[b"OpusHead...."]), page(5, 0, &[b"OpusTags"])].concat();
        let pages: Vec<u8> = granules.iter().flat_map(|&granule| at(granule)).collect();
        let units = Framer::default().push(&[headers, pages].concat());
        units.iter().map(|unit| unit.duration.as_millis()).collect()
    };
    let day = 86_400 * 48_000;
    let table: [(&str, &[u64], &[u128]); 5] = [
        ("from the start", &[48_000, 96_000], &[1000, 1000]),
        ("joined in the middle", &[day, day + 960], &[0, 20]),
        (
            "no packet ends in the second",
            &[960, u64::MAX, 2880],
            &[20, 0, 40],
        ),
        ("backwards", &[day, 960, 1920], &[0, 0, 20]),
        ("a leap", &[960, day, u64::MAX - 1], &[20, 0, 0]),
    ];
    for (case, granules, durations) in table {
        assert_eq!(played(granules), durations, "{case}");
    }
}
