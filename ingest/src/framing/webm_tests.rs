//! The `WebM` framer against made-up streams: sizes told and untold, laces, what stands in between, dirt.

use super::*;
use crate::framing::tests::in_pieces;
use crate::framing::{Framer as Any, Sniffed, sniff};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const CHROMIUM: &[u8] = include_bytes!("fixtures/chromium.webm");
const HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
/// 20 ms of Opus.
const PACKET: &[u8] = b"\x78some sound";

fn id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()
        .into_iter()
        .skip_while(|&byte| byte == 0)
        .collect()
}

fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let size = 0x0100_0000_0000_0000 | body.len() as u64;
    [&id_bytes(id), &size.to_be_bytes()[..], body].concat()
}

fn endless(id: u32, body: &[u8]) -> Vec<u8> {
    [&id_bytes(id), &[0xff][..], body].concat()
}

fn track(number: u8, codec: &[u8], private: &[u8]) -> Vec<u8> {
    let entry = [
        element(id::TRACK_NUMBER, &[number]),
        element(id::CODEC, codec),
        element(id::CODEC_PRIVATE, private),
    ];
    element(id::TRACK, &entry.concat())
}

fn stream_of(tracks: &[u8]) -> Vec<u8> {
    [
        element(id::EBML, &element(id::DOC_TYPE, b"webm")),
        endless(id::SEGMENT, &[]),
        element(id::VOID, &[0; 100]),
        element(id::INFO, &element(id::TITLE, b"A\ntitle")),
        element(id::TRACKS, tracks),
        element(id::TAGS, b"nobody reads them"),
    ]
    .concat()
}

fn stream() -> Vec<u8> {
    stream_of(&track(1, b"A_OPUS", HEAD))
}

fn block(flags: u8, laced: &[u8]) -> Vec<u8> {
    [&[0x81, 0, 7, flags], laced].concat()
}

fn simple(number: u8) -> Vec<u8> {
    element(id::SIMPLE_BLOCK, &block(0x80, &[PACKET, &[number]].concat()))
}

fn at_time(ms: u8) -> Vec<u8> {
    element(id::TIMESTAMP, &[0x12, ms])
}

fn joins(units: &[Unit]) -> Vec<bool> {
    units.iter().map(|unit| unit.joins).collect()
}

fn sizes(units: &[Unit]) -> Vec<usize> {
    units.iter().map(|unit| unit.bytes.len()).collect()
}

#[test]
fn every_block_can_be_joined() {
    for cluster in [element, endless] {
        let first = cluster(id::CLUSTER, &[at_time(1), simple(1), simple(2)].concat());
        let second = cluster(id::CLUSTER, &[at_time(2), simple(3)].concat());
        let units = Framer::default().push(&[stream(), first, second].concat());
        // What ends a cluster of unknown size is only seen with the next.
        assert_eq!(joins(&units), [true; 3]);
        let leads: Vec<&[u8]> = units.iter().map(|unit| &unit.lead[..]).collect();
        let lead = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x88\0\0\0\0\0\0\x12\x01";
        assert_eq!(leads, [b"".as_slice(), lead, b""]);
        assert_eq!(units[1].bytes, simple(2));
        assert!(
            units
                .iter()
                .all(|unit| unit.duration == Duration::from_millis(20))
        );
        assert_eq!(units[0].link.title.as_deref(), Some("A title"));
    }
}

#[test]
fn headers_hold_what_a_decoder_needs_and_no_size() {
    let told = [
        element(id::EBML, &element(id::DOC_TYPE, b"webm")),
        [&id_bytes(id::SEGMENT)[..], &[0x08, 0, 0, 0, 99]].concat(),
        element(id::TRACKS, &track(1, b"A_OPUS", HEAD)),
    ];
    let cluster = endless(id::CLUSTER, &[at_time(1), simple(1)].concat());
    let dirt = b"dirt".as_slice();
    let mut framer = Framer::default();
    let units = framer.push(&[dirt, &told.concat(), &cluster].concat());
    let headers = [&told[0][..], ENDLESS_SEGMENT, &told[2]];
    assert_eq!(units[0].link.headers, headers);
    assert_eq!((units[0].link.at, framer.skipped()), (4, 4));
}

#[test]
fn what_stands_in_a_cluster_goes_with_the_next_block() {
    let void = element(id::VOID, &[0; 50]);
    let children = [
        element(id::CRC, &[1, 2, 3, 4]),
        at_time(1),
        element(id::POSITION, &[9]),
        simple(1),
        void.clone(),
        simple(2),
        void.clone(),
    ];
    let cluster = element(id::CLUSTER, &children.concat());
    let next = element(id::CLUSTER, &[at_time(2), simple(3)].concat());
    let units = Framer::default().push(&[stream(), cluster.clone(), element(id::CUES, b"x"), next].concat());
    let block = simple(1).len();
    assert_eq!(
        sizes(&units)[..3],
        [
            cluster.len() - block - 2 * void.len(),
            void.len() + block,
            void.len()
        ]
    );
    assert_eq!(joins(&units), [true, true, false, true]);
    assert_eq!(units[2].duration, Duration::ZERO);
}

#[test]
fn a_cluster_without_blocks_is_nothing() {
    let empty = element(id::CLUSTER, &at_time(1));
    let full = element(id::CLUSTER, &[at_time(2), simple(1)].concat());
    let mut framer = Framer::default();
    let units = framer.push(&[stream(), empty, full.clone()].concat());
    assert_eq!(sizes(&units), [full.len()]);
}

/// Its name, a block, and the packets in it.
type Laced<'a> = (&'a str, Vec<u8>, &'a [&'a [u8]]);

#[test]
fn blocks_may_be_grouped_and_laced() {
    let length = u8::try_from(PACKET.len()).unwrap();
    let three = PACKET.repeat(3);
    let long = [b"\x78", vec![1; 299].as_slice()].concat();
    let table: [Laced; 5] = [
        ("plain", block(0, PACKET), &[PACKET]),
        (
            "Xiph",
            block(2, &[&[2, length, length], &three[..]].concat()),
            &[PACKET; 3],
        ),
        (
            "Xiph, long",
            block(2, &[&[1, 255, 45], &long[..], PACKET].concat()),
            &[&long, PACKET],
        ),
        ("fixed", block(4, &[&[2], &three[..]].concat()), &[PACKET; 3]),
        (
            "EBML",
            block(
                6,
                &[&[3, 0x80 | length, 0x5f, 0xff, 0xbf], &three[..], PACKET].concat(),
            ),
            &[PACKET; 4],
        ),
    ];
    let known = Track::of(&[Bytes::from(element(id::TRACKS, &track(1, b"A_OPUS", HEAD)))]).unwrap();
    for (case, block, laced) in table {
        let grouped = [element(id::BLOCK, &block), element(0x9b, &[20])].concat();
        for unit in [
            element(id::SIMPLE_BLOCK, &block),
            element(id::BLOCK_GROUP, &grouped),
            endless(
                id::CLUSTER,
                &[at_time(1), element(id::SIMPLE_BLOCK, &block)].concat(),
            ),
        ] {
            assert_eq!(packets(&unit, &known).unwrap(), laced, "{case}");
        }
    }
    for (case, block) in [
        ("another track", [&[0x82, 0, 0, 0], PACKET].concat()),
        ("cut", vec![0x81, 0]),
        ("Xiph beyond its end", block(2, &[1, 200, 1])),
        ("Xiph without lengths", block(2, &[200])),
        ("EBML below zero", block(6, &[2, 0x81, 0x80, 1, 1])),
        ("no lace at all", block(2, &[])),
    ] {
        assert_eq!(
            packets(&element(id::SIMPLE_BLOCK, &block), &known),
            None,
            "{case}"
        );
    }
}

#[test]
fn a_stream_may_follow_a_stream() {
    // A browser that reconnects through something that keeps the connection.
    let twice = [CHROMIUM, CHROMIUM].concat();
    let units = Framer::default().push(&twice);
    assert_eq!(units.len(), 66);
    assert_eq!(units[33].link.at, CHROMIUM.len() as u64);
    assert!(!Arc::ptr_eq(&units[32].link, &units[33].link));
    assert!(Arc::ptr_eq(&units[33].link, &units[65].link));
    // Also in the middle of a cluster that had told a size.
    let cluster = element(id::CLUSTER, &[at_time(1), simple(1), simple(2)].concat());
    let cut = &cluster[..cluster.len() - simple(2).len()];
    let units = Framer::default().push(&[&stream(), cut, CHROMIUM].concat());
    assert_eq!(units.len(), 34);
}

#[test]
fn dirt_is_over_with_the_next_cluster() {
    let mut rng = StdRng::seed_from_u64(1);
    let cluster = |number: u8| {
        let children = [at_time(number), simple(number), simple(number)].concat();
        if number.is_multiple_of(2) {
            element(id::CLUSTER, &children)
        } else {
            endless(id::CLUSTER, &children)
        }
    };
    for _ in 0..300 {
        let mut dirty = stream();
        let mut clean = Vec::new();
        for number in 0..6 {
            let mut dirt: Vec<u8> = (0..rng.random_range(1..200)).map(|_| rng.random()).collect();
            // Never an element that a cluster may hold, which could claim what is behind it.
            dirt[0] = 0x07;
            if rng.random_bool(0.5) {
                dirt.extend(id_bytes(id::CLUSTER));
                dirt.push(0x07);
            }
            dirty.extend(dirt);
            dirty.extend(cluster(number));
            clean.push(simple(number));
            clean.push(simple(number));
        }
        let (_, units) = in_pieces(crate::api::Container::Webm, &dirty, 300, &mut rng);
        let blocks: Vec<&[u8]> = units
            .iter()
            .map(|unit| &unit.bytes[unit.bytes.len() - simple(0).len()..])
            .collect();
        assert_eq!(blocks, clean);
    }
}

#[test]
fn what_is_no_opus_is_refused() {
    let opus = track(1, b"A_OPUS", HEAD);
    let told = |stream: &[u8]| match sniff(stream) {
        Sniffed::Unknown(what) => what,
        other => format!("{other:?}"),
    };
    let table = [
        (
            stream_of(&track(1, b"A_VORBIS", b"")),
            "WebM with A_VORBIS; send Opus",
        ),
        (
            stream_of(&track(1, b"\x1b[2J\n", b"")),
            "WebM with [2J; send Opus",
        ),
        (
            stream_of(&[opus.clone(), track(2, b"V_VP8", b"")].concat()),
            "WebM with more than one track or none; send one track of audio",
        ),
        (
            stream_of(&track(1, b"A_OPUS", b"OpusHead")),
            "WebM with a damaged Opus header",
        ),
        (
            element(id::EBML, &element(id::DOC_TYPE, b"other")),
            "EBML, but no WebM",
        ),
        (stream_of(&opus), "Is(Webm, \"opus\")"),
    ];
    for (stream, what) in table {
        assert_eq!(told(&stream), what);
        let cluster = element(id::CLUSTER, &[at_time(1), simple(1)].concat());
        let mut framer = Framer::default();
        let heard = framer.push(&[stream, cluster].concat()).len();
        assert_eq!(heard, usize::from(what.starts_with("Is")), "{what}");
        assert_eq!(framer.push(CHROMIUM).len(), 33, "the next stream plays");
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut rng = StdRng::seed_from_u64(5);
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.random()).collect();
    let claims = |id: u32| [&id_bytes(id)[..], &[0x08, 0x7f, 0xff, 0xff, 0xff]].concat();
    let long_block = [
        stream(),
        endless(id::CLUSTER, &at_time(1)),
        claims(id::SIMPLE_BLOCK),
    ]
    .concat();
    let voids = [
        stream(),
        endless(id::CLUSTER, &at_time(1)),
        element(id::VOID, &[0; 1000]).repeat(1000),
    ];
    let infos = [
        element(id::EBML, &element(id::DOC_TYPE, b"webm")),
        element(id::INFO, &[0; 10_000]).repeat(100),
    ];
    let endless_tracks = [claims(id::EBML), claims(id::TRACKS)].concat();
    for hostile in [noise, long_block, voids.concat(), infos.concat(), endless_tracks] {
        let mut framer = Any::of(crate::api::Container::Webm);
        framer.push(&hostile);
        framer.push(&vec![0; 1 << 20]);
        assert!(
            framer.held() <= 2 * (MOST_KEPT + PIECE),
            "{} bytes wait",
            framer.held()
        );
        let Any::Webm(webm) = &framer else { unreachable!() };
        let headers: usize = webm.headers.parts.iter().map(Bytes::len).sum();
        assert!(headers <= MOST_KEPT + 100, "{headers} bytes of headers");
        framer.push(&vec![0; 1 << 20]);
        assert_eq!(framer.push(CHROMIUM).len(), 33, "still works");
    }
}

#[test]
fn a_block_of_another_track_is_dirt() {
    let foreign = element(id::SIMPLE_BLOCK, &[&[0x82, 0, 0, 0x80], PACKET].concat());
    let cluster = |children: &[Vec<u8>]| endless(id::CLUSTER, &[&[at_time(1)], children].concat().concat());
    let first = cluster(&[simple(1), foreign, simple(2)]);
    let second = cluster(&[simple(3)]);
    // Also where nothing has come behind it yet.
    for length in 0..first.len() {
        Framer::default().push(&[&stream(), &first[..length]].concat());
    }
    let units = Framer::default().push(&[stream(), first, second].concat());
    assert_eq!(units.len(), 2, "the rest of the cluster goes with it");
}
