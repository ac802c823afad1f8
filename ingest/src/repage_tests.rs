//! Pages against real browser streams: every packet, in order, and what ffmpeg makes of them.

use super::*;
use crate::api::Container;
use crate::framing::{Framer, Sniffed, sniff};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

const CHROMIUM: &[u8] = include_bytes!("framing/fixtures/chromium.webm");
const FFMPEG: &[u8] = include_bytes!("framing/fixtures/tone.webm");

fn units(stream: &[u8]) -> Vec<Unit> {
    Framer::of(Container::Webm).push(stream)
}

/// What is sent to somebody who hears all of it.
fn sent(pages: &[Unit]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut link: Option<&Arc<Link>> = None;
    for page in pages {
        if !link.is_some_and(|link| Arc::ptr_eq(link, &page.link)) {
            all.extend(page.link.headers.concat());
        }
        link = Some(&page.link);
        all.extend_from_slice(&page.bytes);
    }
    all
}

fn packets_of(units: &[Unit]) -> Vec<Vec<u8>> {
    let track = Track::of(&units[0].link.headers).unwrap();
    units
        .iter()
        .flat_map(|unit| packets(&unit.bytes, &track).unwrap())
        .map(<[u8]>::to_vec)
        .collect()
}

/// The packets of pages that hold only whole ones.
fn packets_in_pages(pages: &[Unit]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for page in pages {
        let lacing = &page.bytes[27..27 + usize::from(page.bytes[26])];
        let mut rest = &page.bytes[27 + lacing.len()..];
        let mut packet = Vec::new();
        for &length in lacing {
            packet.extend_from_slice(&rest[..usize::from(length)]);
            rest = &rest[usize::from(length)..];
            if length < 255 {
                all.push(std::mem::take(&mut packet));
            }
        }
        assert!(packet.is_empty());
    }
    all
}

fn granules(pages: &[Unit]) -> Vec<u64> {
    let granule = |page: &Unit| u64::from_le_bytes(page.bytes[6..14].try_into().unwrap());
    pages.iter().map(granule).collect()
}

#[test]
fn every_packet_is_there_once() {
    for stream in [CHROMIUM, FFMPEG] {
        let units = units(stream);
        let mut one_by_one = Repager::default();
        let single: Vec<Unit> = units
            .iter()
            .flat_map(|unit| one_by_one.push(std::slice::from_ref(unit)))
            .collect();
        assert_eq!(single.len(), units.len(), "nothing waits");
        let together = Repager::default().push(&units);
        assert!(together.len() < units.len());
        for pages in [single, together] {
            assert_eq!(packets_in_pages(&pages), packets_of(&units));
            assert!(
                pages
                    .iter()
                    .all(|page| page.duration <= Duration::from_millis(120))
            );
            let played: Duration = pages.iter().map(|page| page.duration).sum();
            let samples = u128::from(*granules(&pages).last().unwrap());
            assert_eq!(played.as_nanos() * 48 / 1_000_000, samples);
            assert!(
                pages
                    .iter()
                    .all(|page| units.iter().any(|unit| unit.at == page.at))
            );
        }
    }
}

#[test]
fn a_framer_finds_the_same_pages_again() {
    let pages = Repager::default().push(&units(CHROMIUM));
    let stream = sent(&pages);
    assert_eq!(sniff(&stream), Sniffed::Is(Container::Ogg, "opus"));
    let mut framer = Framer::of(Container::Ogg);
    let again = framer.push(&stream);
    let bytes = |units: &[Unit]| units.iter().map(|unit| unit.bytes.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&again), bytes(&pages));
    assert_eq!(framer.skipped(), 0);
    assert_eq!(again[0].link.headers, pages[0].link.headers);
}

#[test]
fn each_link_is_a_stream_of_its_own() {
    let units = units(&[CHROMIUM, FFMPEG, CHROMIUM].concat());
    let pages = Repager::default().push(&units);
    let serials: BTreeSet<&[u8]> = pages.iter().map(|page| &page.bytes[14..18]).collect();
    assert_eq!(serials.len(), 3);
    let again = Framer::of(Container::Ogg).push(&sent(&pages));
    assert_eq!(again.len(), pages.len());
    let sequences: Vec<u32> = again
        .iter()
        .filter(|page| page.bytes[14..18] == pages[0].bytes[14..18])
        .map(|page| u32::from_le_bytes(page.bytes[18..22].try_into().unwrap()))
        .collect();
    let counted: Vec<u32> = (2..).take(sequences.len()).collect();
    assert_eq!(sequences, counted, "behind two pages of headers");
}

#[test]
fn a_title_and_odd_packets() {
    let mut units = units(CHROMIUM);
    let link = Arc::new(Link {
        headers: units[0].link.headers.clone(),
        at: 0,
        codec: "opus",
        title: Some("Грай".to_owned()),
    });
    for unit in &mut units {
        unit.link = Arc::clone(&link);
    }
    // A block with an empty packet, as DTX may leave behind.
    units[1].bytes = Bytes::from_static(b"\xa3\x84\x81\x00\x00\x80");
    let pages = Repager::default().push(&units);
    assert_eq!(packets_in_pages(&pages).len(), units.len() - 1);
    let again = Framer::of(Container::Ogg).push(&sent(&pages));
    assert_eq!(again[0].link.title.as_deref(), Some("Грай"));
}

fn ffmpeg_is_missing() -> bool {
    let missing = Command::new("ffmpeg").arg("-version").output().is_err();
    assert!(!missing || std::env::var_os("CI").is_none(), "no ffmpeg");
    missing
}

/// Decodes it all, loudly about errors; the samples of one channel at 48 kHz.
fn decoded(ogg: Vec<u8>) -> usize {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-f", "ogg", "-i", "pipe:0"])
        .args(["-f", "s16le", "-ac", "1", "-ar", "48000", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || input.write_all(&ogg));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg said: {said}");
    output.stdout.len() / 2
}

#[test]
fn ffmpeg_plays_it_from_anywhere() {
    if ffmpeg_is_missing() {
        println!("not run here: no ffmpeg");
        return;
    }
    for (stream, packet, pre_skip) in [(CHROMIUM, 2880, 0), (FFMPEG, 960, 312)] {
        let units = units(stream);
        for from in [0, 1, units.len() / 2] {
            let heard = &units[from..];
            let samples = decoded(sent(&Repager::default().push(heard)));
            assert_eq!(samples, heard.len() * packet - pre_skip, "from {from}");
        }
    }
    let chain = units(&[CHROMIUM, FFMPEG].concat());
    assert!(decoded(sent(&Repager::default().push(&chain))) > 33 * 2880);
}
