use super::*;
use crate::finalize::fixtures::taped;
use crate::finalize::ogg::packets_in;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const FIXTURES: [(Container, &[u8]); 6] = [
    (
        Container::Ogg,
        include_bytes!("../../../ingest/src/framing/fixtures/tone.opus"),
    ),
    (
        Container::Ogg,
        include_bytes!("../../../ingest/src/framing/fixtures/tone.vorbis.ogg"),
    ),
    (
        Container::Ogg,
        include_bytes!("../../../ingest/src/framing/fixtures/tone.flac.ogg"),
    ),
    (
        Container::Ogg,
        include_bytes!("../../../ingest/src/framing/fixtures/chain.ogg"),
    ),
    (
        Container::Mp3,
        include_bytes!("../../../ingest/src/framing/fixtures/tone.mp3"),
    ),
    (
        Container::Adts,
        include_bytes!("../../../ingest/src/framing/fixtures/tone.aac"),
    ),
];

fn all(container: Container, stream: &[u8]) -> Vec<Unit> {
    Framer::of(container).push(stream)
}

/// A stream that came twice over, as an encoder that began anew sends it; MP3 and AAC go on as one.
fn twice(stream: &[u8]) -> Vec<u8> {
    stream.repeat(2)
}

fn cut_in_chunks(cutter: &mut Cutter, stream: &[u8], from: usize, rng: &mut StdRng) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = from;
    while at < stream.len() && !cutter.is_done() {
        let to = (at + rng.random_range(1..3000)).min(stream.len());
        units.extend(cutter.push(at as u64, &stream[at..to]));
        at = to;
    }
    units
}

fn places(units: &[Unit]) -> Vec<(u64, Bytes)> {
    units.iter().map(|unit| (unit.at, unit.bytes.clone())).collect()
}

#[test]
fn a_piece_is_the_units_between_its_edges() {
    let mut rng = StdRng::seed_from_u64(1);
    for (container, stream) in FIXTURES {
        let stream = twice(stream);
        let length = stream.len() as u64;
        let units = all(container, &stream);
        for _ in 0..40 {
            let from = rng.random_range(0..length);
            let piece = Range {
                from,
                to: rng.random_range(from..=length),
            };
            let mut cutter = Cutter::new(container, piece, &[]);
            let cut = cut_in_chunks(&mut cutter, &stream, 0, &mut rng);
            let first = units
                .iter()
                .position(|unit| unit.joins && unit.at >= piece.from)
                .unwrap_or(units.len());
            let behind = units
                .iter()
                .position(|unit| unit.joins && unit.at >= piece.to)
                .unwrap_or(units.len());
            assert_eq!(
                places(&cut),
                places(&units[first.min(behind)..behind]),
                "{container:?} {piece:?}"
            );
            assert!(
                cut.iter()
                    .all(|unit| stream[usize::try_from(unit.at).unwrap()..].starts_with(&unit.bytes))
            );
        }
    }
}

#[test]
fn pieces_behind_each_other_lose_and_double_nothing() {
    let mut rng = StdRng::seed_from_u64(2);
    for (container, stream) in FIXTURES {
        let stream = twice(stream);
        let length = stream.len() as u64;
        let mut edges: Vec<u64> = (0..5)
            .map(|_| rng.random_range(0..length))
            .chain([0, length])
            .collect();
        edges.sort_unstable();
        let mut joined = Vec::new();
        for pair in edges.windows(2) {
            let mut cutter = Cutter::new(
                container,
                Range {
                    from: pair[0],
                    to: pair[1],
                },
                &[],
            );
            joined.extend(cut_in_chunks(&mut cutter, &stream, 0, &mut rng));
        }
        assert_eq!(places(&joined), places(&all(container, &stream)), "{container:?}");
    }
}

/// The index lines that an ingest writes, with a cut every few units.
fn index(container: Container, stream: &[u8]) -> Taped {
    let mut taped = taped("s", 0);
    taped.session.container = container;
    taped.end = Some(stream.len() as u64);
    let mut link: Option<Arc<Link>> = None;
    for (number, unit) in all(container, stream).into_iter().enumerate() {
        if !link.as_ref().is_some_and(|link| Arc::ptr_eq(link, &unit.link)) {
            let at = unit.link.at;
            taped.lines.push(Line::Link {
                at,
                media: unit.at,
                codec: unit.link.codec.to_owned(),
            });
            taped.lines.push(Line::Cut { at, media_ms: 0 });
        } else if number % 3 == 0 && unit.joins {
            taped.lines.push(Line::Cut {
                at: unit.at,
                media_ms: 0,
            });
        }
        link = Some(unit.link);
    }
    taped
}

#[test]
fn reading_from_a_cut_is_as_good_as_reading_from_the_start() {
    let mut rng = StdRng::seed_from_u64(3);
    for (container, stream) in FIXTURES {
        let stream = twice(stream);
        let taped = index(container, &stream);
        let mut from_the_middle = 0;
        for from in (0..stream.len()).step_by(97) {
            let piece = Range {
                from: from as u64,
                to: stream.len() as u64,
            };
            let begin = Begin::of(&taped, piece.from);
            assert!(begin.from <= piece.from, "{container:?} {begin:?} {piece:?}");
            from_the_middle += usize::from(begin.from > 0);
            let slice = |range: Range| {
                &stream[usize::try_from(range.from).unwrap()..usize::try_from(range.to).unwrap()]
            };
            let headers = begin.headers.map_or(&[][..], slice);
            let mut from_cut = Cutter::new(container, piece, headers);
            let begin = usize::try_from(begin.from).unwrap();
            let mut from_start = Cutter::new(container, piece, &[]);
            let expected = places(&cut_in_chunks(&mut from_start, &stream, 0, &mut rng));
            assert_eq!(
                places(&cut_in_chunks(&mut from_cut, &stream, begin, &mut rng)),
                expected,
                "{container:?} {piece:?}"
            );
        }
        assert!(from_the_middle > 0, "{container:?}");
    }
}

#[test]
fn a_tape_that_starts_in_the_middle_has_its_headers_beside_it() {
    let mut taped = taped("s", 0);
    taped.start = 5000;
    taped.headers = Some(Range { from: 100, to: 200 });
    taped.lines = vec![
        Line::Link {
            at: 100,
            media: 200,
            codec: "opus".to_owned(),
        },
        Line::Cut { at: 100, media_ms: 0 },
    ];
    let expected = Begin {
        headers: taped.headers,
        from: 5000,
    };
    assert_eq!(Begin::of(&taped, 6000), expected);
    taped.lines.clear();
    assert_eq!(Begin::of(&taped, 6000), expected);
    taped.lines = vec![Line::Link {
        at: 5500,
        media: 5600,
        codec: "opus".to_owned(),
    }];
    assert_eq!(
        Begin::of(&taped, 6000),
        Begin {
            headers: None,
            from: 5500
        }
    );
}

#[test]
fn a_hole_costs_no_more_than_the_units_it_touches() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut checked = 0;
    for (container, stream) in FIXTURES {
        let stream = twice(stream);
        let units = all(container, &stream);
        let headers = units[0].at;
        for _ in 0..60 {
            let from = rng.random_range(usize::try_from(headers).unwrap()..stream.len());
            let to = rng.random_range(from..stream.len());
            let mut cutter = Cutter::new(
                container,
                Range {
                    from: 0,
                    to: stream.len() as u64,
                },
                &[],
            );
            let mut cut = cutter.push(0, &stream[..from]);
            cut.extend(cutter.push(to as u64, &stream[to..]));
            let cut = places(&cut);
            let whole = places(&units);
            let (hole_from, hole_to) = (from as u64, to as u64);
            let end = |unit: &(u64, Bytes)| unit.0 + unit.1.len() as u64;
            let before = whole.iter().filter(|unit| end(unit) <= hole_from).count();
            assert_eq!(
                places_below(&cut, hole_from),
                before,
                "{container:?} {from}..{to}"
            );
            // Where headers are in the hole, what is behind cannot be told from what was before.
            if units
                .iter()
                .any(|unit| hole_from < first_media(&units, unit) && hole_to > unit.link.at)
            {
                continue;
            }
            // Nothing that the source did not send, nothing twice, nothing out of order.
            assert!(
                cut.is_sorted_by_key(|(at, _)| *at) && cut.iter().all(|unit| whole.contains(unit)),
                "{container:?} {from}..{to}"
            );
            let behind = units
                .iter()
                .filter(|unit| unit.at >= hole_to)
                .skip_while(|unit| !unit.joins)
                .count();
            let kept = cut.len() - before;
            // The last MP3 or AAC frame has none behind it to be believed by, if it is the only one.
            assert!(
                kept == behind || container != Container::Ogg && kept + 1 == behind,
                "{container:?} {from}..{to}: {kept} of {behind}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

fn places_below(cut: &[(u64, Bytes)], offset: u64) -> usize {
    cut.iter().filter(|unit| unit.0 < offset).count()
}

/// Where the headers of a unit's link end; MP3 and AAC have none.
fn first_media(units: &[Unit], of: &Unit) -> u64 {
    let first = units.iter().find(|unit| Arc::ptr_eq(&unit.link, &of.link));
    first.map_or(0, |unit| if unit.link.headers.is_empty() { 0 } else { unit.at })
}

#[test]
fn webm_comes_out_as_ogg_with_every_packet() {
    let stream: &[u8] = include_bytes!("../../../ingest/src/framing/fixtures/chromium.webm");
    let mut rng = StdRng::seed_from_u64(5);
    let whole = Range {
        from: 0,
        to: stream.len() as u64,
    };
    let pages = cut_in_chunks(&mut Cutter::new(Container::Webm, whole, &[]), stream, 0, &mut rng);
    let expected = Repager::default().push(&all(Container::Webm, stream));
    let count = |units: &[Unit]| units.iter().map(packets_in).sum::<u64>();
    assert!(count(&expected) > 0);
    assert_eq!(count(&pages), count(&expected));
    let half = stream.len() as u64 / 2;
    let before = cut_in_chunks(
        &mut Cutter::new(Container::Webm, Range { from: 0, to: half }, &[]),
        stream,
        0,
        &mut rng,
    );
    let behind = Range {
        from: half,
        to: whole.to,
    };
    let behind = cut_in_chunks(
        &mut Cutter::new(Container::Webm, behind, &[]),
        stream,
        0,
        &mut rng,
    );
    assert_eq!(count(&before) + count(&behind), count(&expected));
    assert!(count(&before) > 0 && count(&behind) > 0);
}
