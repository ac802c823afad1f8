//! The MP3 framer against a real file and made-up frames: any split, cut, tag or dirt.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Begins with an ID3 tag.
const FILE: &[u8] = include_bytes!("fixtures/tone.mp3");

/// A frame of 128 kb/s at 44.1 kHz whose body has no byte that begins a header.
fn frame(fill: u8) -> Vec<u8> {
    let mut frame = vec![fill & 0x7f; 417];
    frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x00]);
    frame
}

fn mp3([b0, b1, b2, b3]: [u8; 4]) -> Option<Frame> {
    Frame::read(Format::Mp3, [b0, b1, b2, b3, 0, 0, 0])
}

fn frames(count: u8) -> Vec<u8> {
    (0..count).flat_map(frame).collect()
}

fn pushed_in_pieces(stream: &[u8], rng: &mut StdRng) -> (Framer, Vec<Unit>) {
    let mut framer = Framer::of(Format::Mp3);
    let mut units = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.random_range(1..=rest.len().min(900)));
        units.extend(framer.push(piece));
        rest = later;
    }
    (framer, units)
}

fn joined(units: &[Unit]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.bytes.to_vec()).collect()
}

#[test]
fn a_real_file_loses_only_its_tag() {
    let mut rng = StdRng::seed_from_u64(1);
    let audio = &FILE[tag_length(FILE.first_chunk().unwrap()).unwrap()..];
    for _ in 0..50 {
        let (framer, units) = pushed_in_pieces(FILE, &mut rng);
        assert_eq!(joined(&units), audio);
        assert_eq!(framer.skipped(), (FILE.len() - audio.len()) as u64);
        assert!(
            units
                .iter()
                .all(|unit| unit.joins && unit.link.headers.is_empty())
        );
    }
}

#[test]
fn a_picture_full_of_headers_is_no_audio() {
    let picture = [0xff, 0xfb, 0x90, 0x00].repeat(5000);
    let size = picture.len();
    let seven_bits = |shift: usize| u8::try_from((size >> shift) & 0x7f).unwrap();
    let tag = [
        b"ID3\x04\x00\x00".as_slice(),
        &[seven_bits(21), seven_bits(14), seven_bits(7), seven_bits(0)],
        &picture,
    ];
    let stream = [tag.concat(), frames(5), tag.concat(), frames(5)].concat();
    let (_, units) = pushed_in_pieces(&stream, &mut StdRng::seed_from_u64(2));
    assert_eq!(joined(&units), [frames(5), frames(5)].concat());
}

#[test]
fn three_letters_are_no_tag() {
    for chance in [
        b"ID3\x05\0\0\x7f\x7f\x7f\x7f",
        b"ID3\x04\0\x01\x7f\x7f\x7f\x7f",
        b"ID3\x04\0\0\x80\0\0\0",
    ] {
        let units = Framer::of(Format::Mp3).push(&[&chance[..], &frames(3)].concat());
        assert_eq!(units.len(), 3, "{chance:x?}");
    }
}

#[test]
fn a_cut_stream_gives_its_whole_frames() {
    let stream = frames(4);
    for length in 0..stream.len() {
        let units = Framer::of(Format::Mp3).push(&stream[..length]);
        // The first needs the header of the second to be believed.
        let whole = if length < 417 + HEADER { 0 } else { length / 417 };
        assert_eq!(units.len(), whole, "{length} bytes");
    }
}

#[test]
fn garbage_costs_no_whole_frame() {
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..300 {
        let mut stream = Vec::new();
        let mut dirt_bytes = 0;
        for run in 0..4 {
            // Never half a header at its end: that would swallow the frame's first byte rightly.
            let dirt: Vec<u8> = (0..rng.random_range(0..300))
                .map(|_| rng.random_range(0..0xff))
                .collect();
            dirt_bytes += dirt.len() as u64;
            stream.extend(dirt);
            stream.extend((0..3).flat_map(|number| frame(run * 3 + number)));
        }
        let (framer, units) = pushed_in_pieces(&stream, &mut rng);
        assert_eq!(joined(&units), frames(12));
        assert_eq!(framer.skipped(), dirt_bytes);
    }
}

#[test]
fn a_cut_frame_is_found_out_at_the_next() {
    // Ten bytes are missing in the middle of the third of eight frames.
    let mut stream = frames(8);
    stream.drain(417 * 2 + 100..417 * 2 + 110);
    let units = Framer::of(Format::Mp3).push(&stream);
    // It comes out ten bytes into the fourth, which is lost with it.
    assert_eq!(units.len(), 7);
    assert_eq!(joined(&units[3..]), (4..8).flat_map(frame).collect::<Vec<_>>());
}

#[test]
fn lengths_are_those_of_the_standard() {
    let table = [
        ("MPEG-1 128 kb/s 44.1 kHz", [0xff, 0xfb, 0x90, 0x00], Some(417)),
        ("the same, padded", [0xff, 0xfb, 0x92, 0x00], Some(418)),
        ("MPEG-1 320 kb/s 48 kHz", [0xff, 0xfb, 0xe4, 0x00], Some(960)),
        ("MPEG-1 32 kb/s 32 kHz", [0xff, 0xfb, 0x18, 0x00], Some(144)),
        ("MPEG-2 64 kb/s 22.05 kHz", [0xff, 0xf3, 0x80, 0x00], Some(208)),
        ("MPEG-2.5 8 kb/s 8 kHz", [0xff, 0xe3, 0x18, 0x00], Some(72)),
        ("layer II", [0xff, 0xfd, 0x90, 0x00], None),
        ("reserved version", [0xff, 0xeb, 0x90, 0x00], None),
        ("free format", [0xff, 0xfb, 0x00, 0x00], None),
        ("bad bitrate", [0xff, 0xfb, 0xf0, 0x00], None),
        ("reserved sample rate", [0xff, 0xfb, 0x9c, 0x00], None),
        ("no sync", [0xff, 0x1b, 0x90, 0x00], None),
    ];
    for (case, header, length) in table {
        assert_eq!(mp3(header).map(|frame| frame.length), length, "{case}");
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut rng = StdRng::seed_from_u64(5);
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.random()).collect();
    let endless_tag = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f".to_vec();
    for hostile in [noise, vec![0xff; 1 << 20], b"ID3".repeat(100_000), endless_tag] {
        let mut framer = Framer::of(Format::Mp3);
        framer.push(&hostile);
        assert!(framer.waiting.len() < 4096, "{} bytes wait", framer.waiting.len());
    }
}

/// A frame of AAC-LC at 44.1 kHz, stereo, without a checksum.
fn adts(length: usize) -> Vec<u8> {
    let byte = |value: usize| u8::try_from(value & 0xff).unwrap();
    let mut frame = vec![0x21; length];
    frame[..7].copy_from_slice(&[
        0xff,
        0xf1,
        0x50,
        0x80 | byte(length >> 11),
        byte(length >> 3),
        byte(length << 5) | 0x1f,
        0xfc,
    ]);
    frame
}

#[test]
fn aac_has_frames_of_any_length() {
    let mut rng = StdRng::seed_from_u64(6);
    let lengths: Vec<usize> = (0..50).map(|_| rng.random_range(8..=8191)).collect();
    let stream: Vec<u8> = lengths.iter().flat_map(|&length| adts(length)).collect();
    // The next header makes sure of the first frame only.
    let units = Framer::of(Format::Adts).push(&[&b"dirt"[..], &stream].concat());
    let found: Vec<usize> = units.iter().map(|unit| unit.bytes.len()).collect();
    assert_eq!(found, lengths);
    assert_eq!((units[0].at, units[0].link.at), (4, 4));
    assert_eq!(units[0].duration, Duration::from_nanos(23_219_954));
}

#[test]
fn what_is_no_header_of_aac() {
    let good = [0xff, 0xf1, 0x50, 0x80, 0x40, 0x1f, 0xfc];
    assert!(Frame::read(Format::Adts, good).is_some());
    for (case, at, byte) in [
        ("no sync", 0, 0xfe),
        ("layer III", 1, 0xfb),
        ("a reserved sample rate", 2, 0x74),
        ("shorter than its header", 4, 0x00),
    ] {
        let mut header = good;
        header[at] = byte;
        assert_eq!(Frame::read(Format::Adts, header), None, "{case}");
    }
}
