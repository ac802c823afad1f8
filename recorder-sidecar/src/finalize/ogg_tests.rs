//! What is woven, against the packets that went in and against ffmpeg.

use super::*;
use bytes::Bytes;
use ingest::api::Container;
use ingest::framing::Framer;
use std::io::Write as _;
use std::process::{Command, Stdio};

const OPUS: &[u8] = include_bytes!("../../../ingest/src/framing/fixtures/tone.opus");
const VORBIS: &[u8] = include_bytes!("../../../ingest/src/framing/fixtures/tone.vorbis.ogg");
const FLAC: &[u8] = include_bytes!("../../../ingest/src/framing/fixtures/tone.flac.ogg");

fn units(stream: &[u8]) -> Vec<Unit> {
    Framer::of(Container::Ogg).push(stream)
}

fn woven(units: &[Unit], comments: &[String]) -> (Weaver, Vec<u8>) {
    let mut weaver = Weaver::new(7000);
    let mut body = Vec::new();
    for unit in units {
        weaver.take(unit, &mut body);
    }
    weaver.finish(&mut body);
    let all = [weaver.front(comments), body].concat();
    (weaver, all)
}

fn pages(mut stream: &[u8]) -> Vec<Page<'_>> {
    let mut pages = Vec::new();
    while !stream.is_empty() {
        let lacing = usize::from(stream[26]);
        let length = 27
            + lacing
            + stream[27..27 + lacing]
                .iter()
                .map(|&length| usize::from(length))
                .sum::<usize>();
        pages.push(Page::read(&stream[..length]).unwrap());
        stream = &stream[length..];
    }
    pages
}

/// The packets of media, whole, whatever pages they are in.
fn packets<'a>(pages: impl Iterator<Item = Page<'a>>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut open = Vec::new();
    for page in pages {
        for (piece, ends) in page.packets() {
            open.extend_from_slice(piece);
            if ends {
                all.push(std::mem::take(&mut open));
            }
        }
    }
    all
}

fn packets_of(units: &[Unit]) -> Vec<Vec<u8>> {
    packets(units.iter().map(|unit| Page::read(&unit.bytes).unwrap()))
}

/// What ffmpeg says of each packet: its MD5 (behind it come those of what is not the packet's). Also that it can decode all of it without a complaint.
fn framehash(stream: &[u8]) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::with_suffix(".ogg").unwrap();
    file.write_all(stream).unwrap();
    let run = |arguments: &[&str]| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-v", "warning", "-i"])
            .arg(file.path())
            .args(arguments)
            .stdin(Stdio::null());
        let output = ffmpeg.output().unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["-f", "null", "-"]);
    let hashes = run(&[
        "-map",
        "0:a",
        "-c",
        "copy",
        "-f",
        "framehash",
        "-hash",
        "md5",
        "-",
    ]);
    let lines = hashes.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(',').nth(5).unwrap().trim().to_owned())
        .collect()
}

#[test]
fn one_stream_stays_what_it_was() {
    for stream in [OPUS, VORBIS, FLAC] {
        let (weaver, made) = woven(&units(stream), &[]);
        assert_eq!(weaver.links(), 1);
        let hashes = framehash(&made);
        assert!(hashes.len() > 5);
        assert_eq!(hashes, framehash(stream));
    }
}

#[test]
fn opus_links_with_equal_heads_become_one_stream() {
    let stream = OPUS.repeat(3);
    let units = units(&stream);
    let comments = [
        "TITLE=Show".to_owned(),
        "CHAPTER000=00:00:00.000".to_owned(),
        "CHAPTER000NAME=A".to_owned(),
    ];
    let (weaver, made) = woven(&units, &comments);
    assert_eq!(weaver.links(), 1);
    let pages = pages(&made);
    assert!(pages.iter().all(|page| page.serial() == 7000));
    let flags: Vec<_> = pages.iter().map(|page| page.flags()).collect();
    assert_eq!((flags[0], flags[flags.len() - 1]), (FIRST, LAST));
    assert!(
        flags[1..flags.len() - 1]
            .iter()
            .all(|flags| flags & (FIRST | LAST) == 0),
        "{flags:?}"
    );
    assert_eq!(packets(pages[2..].iter().copied()), packets_of(&units));
    let granules: Vec<_> = pages[2..].iter().filter_map(|page| page.granule()).collect();
    assert!(granules.is_sorted() && granules[0] > 0);
    // 20 ms each, as the encoder was told.
    assert_eq!(granules.last(), Some(&(packets_of(&units).len() as u64 * 960)));
    let one = framehash(OPUS);
    assert_eq!(framehash(&made), [&one[..]; 3].concat());
    let again = Framer::of(Container::Ogg).push(&made);
    assert_eq!(again[0].link.title.as_deref(), Some("Show"));
    assert!(again.iter().all(|unit| Arc::ptr_eq(&unit.link, &again[0].link)));
    let seconds: f64 = again.iter().map(|unit| unit.duration.as_secs_f64()).sum();
    assert!(
        (weaver.duration().as_secs_f64() - seconds).abs() < 0.01,
        "{:?} {seconds}",
        weaver.duration()
    );
}

#[test]
fn other_links_stay_a_chain_of_numbers_of_their_own() {
    for stream in [VORBIS, FLAC] {
        let units = units(&stream.repeat(2));
        let (weaver, made) = woven(&units, &[]);
        assert_eq!(weaver.links(), 2);
        assert!(weaver.front(&[]).is_empty());
        let again = Framer::of(Container::Ogg).push(&made);
        assert_eq!(packets_of(&again), packets_of(&units));
        let bytes = |link: &Link| packets(link.headers.iter().map(|page| Page::read(page).unwrap()));
        let (first, last) = (&again[0].link, &again[again.len() - 1].link);
        assert_eq!(
            (bytes(first), bytes(last)),
            (bytes(&units[0].link), bytes(&units[units.len() - 1].link))
        );
        let pages = pages(&made);
        let mut serials: Vec<_> = pages.iter().map(|page| page.serial()).collect();
        serials.dedup();
        assert_eq!(serials, [7000, 7008]);
        for serial in serials {
            let link: Vec<_> = pages.iter().filter(|page| page.serial() == serial).collect();
            assert_eq!(
                (link[0].flags(), link[link.len() - 1].flags() & LAST),
                (FIRST, LAST)
            );
        }
    }
}

/// An encoder that ran for a day before the session goes on counting; the object begins at its own beginning.
#[test]
fn a_clock_that_ran_before_does_not_make_it_longer() {
    let day = 44_100 * 86_400;
    let ran: Vec<u8> = pages(FLAC)
        .into_iter()
        .flat_map(|page| {
            let place = Place {
                flags: page.flags(),
                granule: page
                    .granule()
                    .map(|granule| granule + if granule > 0 { day } else { 0 }),
                serial: page.serial(),
                sequence: 0,
            };
            page.placed(place)
        })
        .collect();
    let granules = |stream: &[u8]| {
        pages(stream)
            .iter()
            .map(|page| page.granule())
            .collect::<Vec<_>>()
    };
    let (_, plain) = woven(&units(FLAC), &[]);
    let (_, made) = woven(&units(&ran), &[]);
    // The last block of this short one is not whole, which nobody can know from its only page.
    for (made, plain) in granules(&made).into_iter().zip(granules(&plain)) {
        let off = made.unwrap_or(0).abs_diff(plain.unwrap_or(0));
        assert!(off <= 4_608, "{made:?} {plain:?}");
    }
}

#[test]
fn another_head_begins_another_stream() {
    let mut stereo = OPUS.to_vec();
    let head = stereo.windows(8).position(|bytes| bytes == b"OpusHead").unwrap();
    stereo[head + 10] ^= 1;
    let page = 27 + 1 + usize::from(stereo[27]);
    let place = |page: Page| Place {
        flags: page.flags(),
        granule: Some(0),
        serial: page.serial(),
        sequence: 0,
    };
    let sealed = Page::read(&stereo[..page])
        .map(|page| page.placed(place(page)))
        .unwrap();
    stereo[..page].copy_from_slice(&sealed);
    let units = units(&[OPUS, &stereo, &stereo, OPUS].concat());
    let (weaver, made) = woven(&units, &[]);
    assert_eq!(weaver.links(), 3);
    assert_eq!(
        packets_of(&Framer::of(Container::Ogg).push(&made)),
        packets_of(&units)
    );
}

#[test]
fn a_unit_lost_is_one_packet_less_and_no_broken_page() {
    let mut units = units(OPUS);
    let whole = packets_of(&units).len();
    let gone = units.remove(units.len() / 2);
    let (_, made) = woven(&units, &[]);
    let gone = usize::try_from(packets_in(&gone)).unwrap();
    assert_eq!(framehash(&made).len(), whole - gone);
}

#[test]
fn the_same_units_make_the_same_bytes() {
    let stream = [OPUS, VORBIS].concat();
    assert_eq!(woven(&units(&stream), &[]).1, woven(&units(&stream), &[]).1);
}

#[test]
fn more_comments_than_a_page_holds_are_left_out() {
    let comments: Vec<_> = (0..2000)
        .map(|number| format!("CHAPTER{number:04}NAME={}", "x".repeat(490)))
        .collect();
    let (_, made) = woven(&units(OPUS), &comments);
    assert_eq!(framehash(&made), framehash(OPUS));
    let empty = Link {
        headers: vec![Bytes::new()],
        at: 0,
        codec: "opus",
        title: None,
    };
    assert_eq!(first_packet(&empty), None);
}
