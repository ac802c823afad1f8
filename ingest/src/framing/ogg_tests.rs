//! The Ogg framer against real files and made-up pages: any split, cut, chain or dirt.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const OPUS: &[u8] = include_bytes!("fixtures/tone.opus");
const FLAC: &[u8] = include_bytes!("fixtures/tone.flac.ogg");
const VORBIS: &[u8] = include_bytes!("fixtures/tone.vorbis.ogg");

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
    let sum = checksum(&page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
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
        page(7, LAST, &[]),
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
    stream.extend(page(5, CONTINUED, &[b"the rest", b"whole"]));
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
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    };
    let media = page(5, 0, &[b"media"]);
    let stream = [
        page(5, FIRST, &[b"OpusHead"]),
        continued(0),
        continued(CONTINUED),
        page(5, CONTINUED, &[b"end"]),
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
        assert!(framer.chain.headers.iter().map(Bytes::len).sum::<usize>() <= MOST_HEADERS);
        assert!(framer.chain.streams.len() <= MOST_STREAMS);
        framer.push(&vec![0; 1 << 17]);
        assert!(sent(&framer.push(OPUS)) == OPUS, "still works");
    }
}

#[test]
fn headers_that_are_too_large_are_not_kept() {
    let full = vec![7; 255 * 200];
    let mut stream = page(5, FIRST, &[b"\x7fFLAC\x01\x00\x00\x40"]);
    for _ in 0..0x40 {
        stream.extend(page(5, 0, &[&full[1..]]));
    }
    stream.extend(page(5, 0, &[b"media"]));
    let mut framer = Framer::default();
    assert!(framer.push(&stream).is_empty());
    assert!(framer.chain.headers.is_empty());
    assert_eq!(sent(&framer.push(OPUS)), OPUS, "the next link plays");
}
