//! What sources send, what they send by mistake, and what they send to harm.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MP3: &[u8] = include_bytes!("fixtures/tone.mp3");

fn tag(length: u32) -> Vec<u8> {
    let seven_bits = [21, 14, 7, 0].map(|shift| u8::try_from((length >> shift) & 0x7f).unwrap());
    [b"ID3\x04\0\0", &seven_bits[..], &vec![0; length as usize]].concat()
}

#[test]
fn what_sources_send_is_known() {
    let adts: &[u8] = include_bytes!("fixtures/tone.aac");
    let is = |container, codec| Sniffed::Is(container, codec);
    let table: [(&str, Vec<u8>, Sniffed); 9] = [
        (
            "opus",
            include_bytes!("fixtures/tone.opus").to_vec(),
            is(Container::Ogg, "opus"),
        ),
        (
            "vorbis",
            include_bytes!("fixtures/tone.vorbis.ogg").to_vec(),
            is(Container::Ogg, "vorbis"),
        ),
        (
            "flac",
            include_bytes!("fixtures/tone.flac.ogg").to_vec(),
            is(Container::Ogg, "flac"),
        ),
        ("mp3 with a tag", MP3.to_vec(), is(Container::Mp3, "mp3")),
        (
            "mp3 with a tag that never ends",
            tag(1 << 20),
            is(Container::Mp3, "mp3"),
        ),
        (
            "mp3 from the middle of a frame",
            MP3[500..].to_vec(),
            is(Container::Mp3, "mp3"),
        ),
        ("aac", adts.to_vec(), is(Container::Adts, "aac")),
        (
            "aac with a tag",
            [tag(1000), adts.to_vec()].concat(),
            is(Container::Adts, "aac"),
        ),
        (
            "webm",
            include_bytes!("fixtures/chromium.webm").to_vec(),
            is(Container::Webm, "opus"),
        ),
    ];
    for (case, stream, sniffed) in table {
        assert_eq!(sniff(&stream), sniffed, "{case}");
        // Never another answer before, and none that is taken back.
        for length in 0..stream.len().min(8000) {
            let before = sniff(&stream[..length]);
            assert!(
                before == Sniffed::NotYet || before == sniffed,
                "{case}: {before:?} after {length}"
            );
        }
    }
}

#[test]
fn mistakes_are_named() {
    let opus: &[u8] = include_bytes!("fixtures/tone.opus");
    let mut damaged = opus.to_vec();
    damaged[30] ^= 1;
    let silence = vec![0; SNIFFED_WITHIN];
    let table: [(&[u8], &str); 7] = [
        (b"fLaC\0\0\0\x22", "FLAC without Ogg; send FLAC in Ogg"),
        (b"\0\0\0\x20ftypM4A ", "MP4; send AAC as ADTS, or Ogg, MP3, WebM"),
        (b"RIFF....WAVE", "WAV; send Ogg, MP3, AAC (ADTS) or WebM"),
        (b"<html>", "a text, not audio"),
        (&damaged, "damaged Ogg"),
        (&opus[200..], "Ogg that begins in its middle"),
        (&silence, "no audio we know; send Ogg, MP3, AAC (ADTS) or WebM"),
    ];
    let second = opus.windows(4).rposition(|bytes| bytes == CAPTURE).unwrap();
    for (stream, what) in table {
        let stream = if what.contains("middle") {
            &opus[second..]
        } else {
            stream
        };
        assert_eq!(sniff(stream), Sniffed::Unknown(what.to_owned()));
    }
}

#[test]
fn noise_gets_an_answer() {
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..20 {
        let noise: Vec<u8> = (0..SNIFFED_WITHIN).map(|_| rng.random()).collect();
        assert_ne!(sniff(&noise), Sniffed::NotYet);
        assert_eq!(sniff(&noise[..100]), Sniffed::NotYet);
    }
    for begins in [&b"OggS\0\x02"[..], b"\x1a\x45\xdf\xa3\x9f", b"ID3", b"\xff\xfb"] {
        let mut stream = begins.to_vec();
        stream.resize(SNIFFED_WITHIN, 0xff);
        assert_ne!(sniff(&stream), Sniffed::NotYet, "{begins:x?}");
    }
}

#[test]
fn an_input_takes_its_own_format() {
    use Container::{Adts, Mp3, Ogg, Webm};
    let table = [
        (Format::Opus, Ogg, "opus", None),
        (Format::Opus, Webm, "opus", None),
        (
            Format::Opus,
            Ogg,
            "vorbis",
            Some("this input takes Opus (in Ogg or WebM), this is Ogg with vorbis"),
        ),
        (Format::Ogg, Ogg, "other", None),
        (
            Format::Ogg,
            Webm,
            "opus",
            Some("this input takes Ogg, this is WebM with opus"),
        ),
        (Format::Flac, Ogg, "flac", None),
        (
            Format::Flac,
            Ogg,
            "other",
            Some("this input takes FLAC in Ogg, this is Ogg with an unknown codec"),
        ),
        (Format::Mp3, Mp3, "mp3", None),
        (
            Format::Mp3,
            Adts,
            "aac",
            Some("this input takes MP3, this is AAC"),
        ),
        (Format::Aac, Adts, "aac", None),
        (
            Format::Aac,
            Mp3,
            "mp3",
            Some("this input takes AAC (ADTS), this is MP3"),
        ),
    ];
    for (format, container, codec, refusal) in table {
        assert_eq!(fits(format, container, codec).err().as_deref(), refusal);
    }
}
