//! What holds for every container: however a stream arrives, whatever is cut off it or thrown into it.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Real streams, how many units they have, and how long they play by ffprobe (which does not count the frame that an
/// encoder of MP3 begins with, 26 ms of silence).
const STREAMS: [(&str, Container, &[u8], usize, f64); 8] = [
    (
        "opus",
        Container::Ogg,
        include_bytes!("fixtures/tone.opus"),
        16,
        1.5065,
    ),
    (
        "vorbis",
        Container::Ogg,
        include_bytes!("fixtures/tone.vorbis.ogg"),
        2,
        1.0,
    ),
    (
        "flac",
        Container::Ogg,
        include_bytes!("fixtures/tone.flac.ogg"),
        1,
        1.0,
    ),
    (
        "chain",
        Container::Ogg,
        include_bytes!("fixtures/chain.ogg"),
        3,
        1.2065,
    ),
    (
        "mp3",
        Container::Mp3,
        include_bytes!("fixtures/tone.mp3"),
        41,
        1.071_02,
    ),
    (
        "adts",
        Container::Adts,
        include_bytes!("fixtures/tone.aac"),
        48,
        1.024,
    ),
    (
        "ffmpeg",
        Container::Webm,
        include_bytes!("fixtures/tone.webm"),
        51,
        1.02,
    ),
    (
        "chromium",
        Container::Webm,
        include_bytes!("fixtures/chromium.webm"),
        33,
        1.98,
    ),
];

pub(super) fn in_pieces(
    container: Container,
    stream: &[u8],
    longest: usize,
    rng: &mut StdRng,
) -> (Framer, Vec<Unit>) {
    let mut framer = Framer::of(container);
    let mut units = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.random_range(1..=rest.len().min(longest)));
        units.extend(framer.push(piece));
        rest = later;
    }
    (framer, units)
}

/// All there is to units, but for which of them share a link's allocation.
fn content(units: &[Unit]) -> Vec<String> {
    units.iter().map(|unit| format!("{unit:?}")).collect()
}

fn links(units: &[Unit]) -> Vec<Arc<Link>> {
    let mut links: Vec<Arc<Link>> = Vec::new();
    for unit in units {
        if !links.last().is_some_and(|last| Arc::ptr_eq(last, &unit.link)) {
            links.push(Arc::clone(&unit.link));
        }
    }
    links
}

/// Whether units are what stands in the stream where they say, one behind the other.
fn assert_in_place(stream: &[u8], units: &[Unit], case: &str) {
    let mut end = 0;
    for unit in units {
        let at = usize::try_from(unit.at).unwrap();
        assert!(at >= end, "{case}: in order");
        end = at + unit.bytes.len();
        assert_eq!(stream.get(at..end), Some(&unit.bytes[..]), "{case}: at {at}");
        assert!(unit.link.at <= unit.at, "{case}");
    }
}

/// What is sent to somebody who joins with `units[0]`.
fn sent(units: &[Unit]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut link: Option<&Arc<Link>> = None;
    for unit in units {
        if !link.is_some_and(|link| Arc::ptr_eq(link, &unit.link)) {
            all.extend(unit.link.headers.concat());
            all.extend_from_slice(&unit.lead);
        }
        link = Some(&unit.link);
        all.extend_from_slice(&unit.bytes);
    }
    all
}

#[test]
fn units_are_the_same_however_they_arrive() {
    let mut rng = StdRng::seed_from_u64(1);
    for (name, container, stream, count, _) in STREAMS {
        let whole = Framer::of(container).push(stream);
        assert_eq!(whole.len(), count, "{name}");
        assert_in_place(stream, &whole, name);
        for longest in [1, 7, 100, 5000] {
            let (framer, units) = in_pieces(container, stream, longest, &mut rng);
            assert_eq!(content(&units), content(&whole), "{name}");
            assert_eq!(links(&units).len(), links(&whole).len(), "{name}");
            let mut at_once = Framer::of(container);
            at_once.push(stream);
            assert_eq!(framer.skipped(), at_once.skipped(), "{name}");
        }
    }
}

#[test]
fn they_play_as_long_as_ffprobe_says() {
    for (name, container, stream, _, seconds) in STREAMS {
        let units = Framer::of(container).push(stream);
        let played: Duration = units.iter().map(|unit| unit.duration).sum();
        assert!(
            (played.as_secs_f64() - seconds).abs() < 0.000_01,
            "{name}: {played:?} and not {seconds} s"
        );
    }
}

#[test]
fn every_link_tells_its_codec_and_title() {
    let told = |stream: &str| -> Vec<(&'static str, Option<String>)> {
        let (_, container, stream, ..) = STREAMS.into_iter().find(|(name, ..)| *name == stream).unwrap();
        links(&Framer::of(container).push(stream))
            .iter()
            .map(|link| (link.codec, link.title.clone()))
            .collect()
    };
    let title = |title: &str| Some(title.to_owned());
    assert_eq!(
        told("chain"),
        [
            ("opus", title("Fela Kuti - Zombie")),
            ("vorbis", title("Грай")),
            ("flac", title("Nobody - Tone"))
        ]
    );
    assert_eq!(told("mp3"), [("mp3", None)]);
    assert_eq!(told("adts"), [("aac", None)]);
    assert_eq!(told("chromium"), [("opus", None)]);
}

#[test]
fn a_cut_stream_gives_the_beginning_of_the_whole_one() {
    for (name, container, stream, ..) in STREAMS {
        let whole = content(&Framer::of(container).push(stream));
        for length in 0..stream.len() {
            let mut framer = Framer::of(container);
            let units = framer.push(&stream[..length]);
            assert!(whole.starts_with(&content(&units)), "{name}: {length} bytes");
            let rest = framer.push(&stream[length..]);
            assert_eq!(units.len() + rest.len(), whole.len(), "{name}: {length} bytes");
        }
    }
}

#[test]
fn garbage_costs_no_more_than_what_it_hits() {
    let mut rng = StdRng::seed_from_u64(2);
    for (name, container, stream, ..) in STREAMS {
        for round in 0..200 {
            let at = rng.random_range(0..=stream.len());
            // No byte that could begin a frame of MP3 or AAC and swallow a true one.
            let dirt: Vec<u8> = (0..rng.random_range(1..300))
                .map(|_| rng.random_range(0..0xff))
                .collect();
            let again = stream;
            let dirty = [&stream[..at], &dirt, &stream[at..], &vec![0; 1 << 17], again].concat();
            let (_, units) = in_pieces(container, &dirty, 900, &mut rng);
            assert_in_place(&dirty, &units, name);
            let after = (dirty.len() - stream.len()) as u64;
            let heard: Vec<_> = units.iter().filter(|unit| unit.at >= after).collect();
            let whole = Framer::of(container).push(stream);
            assert_eq!(
                heard.len(),
                whole.len(),
                "{name} {round}: all of the second stream"
            );
        }
    }
}

#[test]
fn what_is_sent_to_somebody_who_joins_is_a_stream() {
    for (name, container, stream, ..) in STREAMS {
        let units = Framer::of(container).push(stream);
        for (number, unit) in units.iter().enumerate().filter(|(_, unit)| unit.joins) {
            if container != Container::Ogg && container != Container::Webm && number + 1 == units.len() {
                // It takes two frames to be sure.
                continue;
            }
            let joined = sent(&units[number..]);
            let heard = Framer::of(container).push(&joined);
            assert_eq!(heard.len(), units.len() - number, "{name}");
            let first = if unit.lead.is_empty() { 0 } else { unit.lead.len() };
            assert_eq!(heard[0].bytes[first..], unit.bytes, "{name}");
            for (heard, unit) in heard.iter().zip(&units[number..]).skip(1) {
                assert_eq!(heard.bytes, unit.bytes, "{name}");
            }
            assert_eq!(sniff(&joined), Sniffed::Is(container, unit.link.codec), "{name}");
        }
    }
}

#[test]
fn little_is_held_of_a_long_stream() {
    for (name, container, stream, ..) in STREAMS {
        let mut framer = Framer::of(container);
        for _ in 0..20 {
            for piece in stream.chunks(1400) {
                framer.push(piece);
                assert!(framer.held() <= 16 * 1024, "{name}: {} bytes", framer.held());
            }
        }
    }
}

#[test]
fn titles_are_one_harmless_line() {
    let table = [
        (
            "  A\r\n title\t of\u{0} two  lines ",
            Some("A title of two lines"),
        ),
        ("evil \u{202e}eltit", Some("evil eltit")),
        ("\u{2028}\u{7f}\n ", None),
        ("", None),
    ];
    for (told, title) in table {
        assert_eq!(clean_title(told).as_deref(), title);
    }
    assert_eq!(clean_title(&"ж".repeat(501)), Some("ж".repeat(500)));
}
