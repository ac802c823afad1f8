//! What sources send, and what ffmpeg says of it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ingest::api::{Container, Line};
use ingest::framing::{Framer, Link, Unit};
use jiff::{SignedDuration, Timestamp};

/// Encoded by ffmpeg.
pub fn encoded(seconds: u32, tone: u32, arguments: &[&str]) -> Vec<u8> {
    let source = format!("sine=frequency={tone}:duration={seconds}");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-ac", "2"])
        .args(arguments)
        .arg("-");
    let output = ffmpeg.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

pub fn opus(seconds: u32, tone: u32) -> Vec<u8> {
    encoded(
        seconds,
        tone,
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "96k",
            "-page_duration",
            "200000",
            "-f",
            "ogg",
        ],
    )
}

pub fn flac(seconds: u32, tone: u32) -> Vec<u8> {
    encoded(
        seconds,
        tone,
        &["-c:a", "flac", "-page_duration", "200000", "-f", "ogg"],
    )
}

pub fn mp3(seconds: u32, tone: u32) -> Vec<u8> {
    encoded(
        seconds,
        tone,
        &[
            "-c:a",
            "libmp3lame",
            "-b:a",
            "320k",
            "-write_xing",
            "0",
            "-id3v2_version",
            "0",
            "-f",
            "mp3",
        ],
    )
}

pub fn webm(seconds: u32, tone: u32) -> Vec<u8> {
    encoded(
        seconds,
        tone,
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "96k",
            "-live",
            "1",
            "-cluster_time_limit",
            "1000",
            "-f",
            "webm",
        ],
    )
}

/// The MD5 of each packet; behind it come those of what is not the packet's.
pub fn framehash(stream: &[u8]) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(stream).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file.path());
    ffmpeg.args([
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
    let output = ffmpeg.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let hashes = String::from_utf8(output.stdout).unwrap();
    let lines = hashes.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(',').nth(5).unwrap().trim().to_owned())
        .collect()
}

pub fn units(container: Container, stream: &[u8]) -> Vec<Unit> {
    Framer::of(container).push(stream)
}

/// The index an ingest writes of a stream that came in real time, and the offsets where segments are cut.
pub fn index(container: Container, stream: &[u8], started: Timestamp) -> (Vec<Line>, Vec<u64>) {
    let mut lines = Vec::new();
    let mut cuts = vec![0];
    let mut link: Option<Arc<Link>> = None;
    let (mut media, mut cut_media, mut second) = (Duration::ZERO, Duration::ZERO, 1);
    let mut cut = |at: u64, media: Duration, lines: &mut Vec<Line>| {
        lines.push(Line::Cut {
            at,
            media_ms: u64::try_from(media.as_millis()).unwrap(),
        });
        cuts.push(at);
    };
    for unit in units(container, stream) {
        if !link.as_ref().is_some_and(|link| Arc::ptr_eq(link, &unit.link)) {
            let at = unit.link.at;
            lines.push(Line::Link {
                at,
                media: unit.at,
                codec: unit.link.codec.to_owned(),
            });
            cut(at, media, &mut lines);
            cut_media = media;
        } else if unit.joins && unit.lead.is_empty() && media >= cut_media + Duration::from_secs(10) {
            cut(unit.at, media, &mut lines);
            cut_media = media;
        }
        media += unit.duration;
        while media >= Duration::from_secs(second) {
            let t = started + SignedDuration::from_secs(i64::try_from(second).unwrap());
            lines.push(Line::Clock {
                at: unit.at + unit.bytes.len() as u64,
                t,
            });
            second += 1;
        }
        link = Some(unit.link);
    }
    let t = started + SignedDuration::try_from(media).unwrap();
    lines.push(Line::Clock {
        at: stream.len() as u64,
        t,
    });
    lines.push(Line::End {
        at: stream.len() as u64,
        t: t + SignedDuration::from_secs(10),
        why: "bye".to_owned(),
    });
    cuts.push(stream.len() as u64);
    cuts.dedup();
    (lines, cuts)
}
