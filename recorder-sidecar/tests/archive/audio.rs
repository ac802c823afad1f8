//! What encoders send, and what ffmpeg says of it.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::ogg::Opus;

/// A sound that is nowhere what it was before.
const SWEEP: &str =
    "aevalsrc=0.4*sin(2*PI*t*(200+7*t))+0.2*sin(2*PI*t*(900+3*t))|0.4*sin(2*PI*t*(350+5*t)):s=48000";

/// An encoder, and what it is told.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    pub name: &'static str,
    pub content_type: &'static str,
    arguments: &'static [&'static str],
}

pub const OPUS: Encoder = Encoder {
    name: "Opus 96k",
    content_type: "application/ogg",
    arguments: &[
        "-c:a",
        "libopus",
        "-b:a",
        "96k",
        "-page_duration",
        "200000",
        "-f",
        "ogg",
    ],
};
/// Speech on a slow line, in packets of 60 ms.
pub const SPEECH: Encoder = Encoder {
    name: "Opus 9k",
    content_type: "application/ogg",
    arguments: &[
        "-ac",
        "1",
        "-c:a",
        "libopus",
        "-b:a",
        "9k",
        "-vbr",
        "off",
        "-application",
        "voip",
        "-frame_duration",
        "60",
        "-page_duration",
        "900000",
        "-f",
        "ogg",
    ],
};
pub const MP3: Encoder = Encoder {
    name: "MP3 320k",
    content_type: "audio/mpeg",
    arguments: &[
        "-ar",
        "44100",
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
};
pub const SMALL_MP3: Encoder = Encoder {
    name: "MP3 32k",
    content_type: "audio/mpeg",
    arguments: &[
        "-ar",
        "44100",
        "-ac",
        "1",
        "-c:a",
        "libmp3lame",
        "-b:a",
        "32k",
        "-write_xing",
        "0",
        "-id3v2_version",
        "0",
        "-f",
        "mp3",
    ],
};
pub const WEBM: Encoder = Encoder {
    name: "WebM/Opus 96k",
    content_type: "audio/webm",
    arguments: &[
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
};
pub const FLAC: Encoder = Encoder {
    name: "Ogg FLAC",
    content_type: "application/ogg",
    arguments: &["-c:a", "flac", "-page_duration", "200000", "-f", "ogg"],
};

impl Encoder {
    pub fn encode(self, seconds: u32) -> Vec<u8> {
        self.encode_at(seconds, 0)
    }

    /// As of an encoder that has been running for so many seconds.
    pub fn encode_at(self, seconds: u32, since: u32) -> Vec<u8> {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args([
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                SWEEP,
                "-t",
                &seconds.to_string(),
            ])
            .args(self.arguments);
        if since > 0 {
            ffmpeg.args(["-output_ts_offset", &since.to_string()]);
        }
        output(ffmpeg.arg("-"))
    }
}

/// A minute of 320 kb/s, as often as it takes.
pub fn mp3_minutes(minutes: usize) -> Vec<u8> {
    static MINUTE: OnceLock<Vec<u8>> = OnceLock::new();
    MINUTE.get_or_init(|| MP3.encode(60)).repeat(minutes)
}

/// A minute of 96 kb/s.
pub fn opus_minute() -> &'static [u8] {
    static SHOW: OnceLock<Vec<u8>> = OnceLock::new();
    SHOW.get_or_init(|| OPUS.encode(60))
}

/// Five minutes of speech on a slow line.
pub fn speech() -> &'static Opus {
    static SPOKEN: OnceLock<Opus> = OnceLock::new();
    SPOKEN.get_or_init(|| Opus::parse(&SPEECH.encode(300)))
}

/// What a DJ who left in the middle of a frame of 320 kb/s sent, without that frame.
pub fn whole_frames(stream: &[u8]) -> &[u8] {
    let mut at = 0;
    loop {
        let Some(head) = stream.get(at..at + 4) else {
            return &stream[..at];
        };
        assert_eq!(&head[..2], [0xff, 0xfb], "at {at}");
        let to = at + 1044 + usize::from(head[2] >> 1 & 1);
        if to > stream.len() {
            return &stream[..at];
        }
        at = to;
    }
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn file(stream: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(stream).unwrap();
    file
}

/// ffmpeg's MD5 of each packet.
pub fn framehash(stream: &[u8]) -> Vec<String> {
    let file = file(stream);
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
    let hashes = String::from_utf8(output(&mut ffmpeg)).unwrap();
    let lines = hashes.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(',').nth(5).unwrap().trim().to_owned())
        .collect()
}

/// How long it plays by ffprobe, and what the codec is.
pub fn probe(stream: &[u8]) -> (f64, String) {
    let file = file(stream);
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name:format=duration",
        "-of",
        "json",
    ]);
    let told: serde_json::Value = serde_json::from_slice(&output(ffprobe.arg(file.path()))).unwrap();
    let seconds = told["format"]["duration"]
        .as_str()
        .unwrap_or("0")
        .parse()
        .unwrap();
    let codec = told["streams"][0]["codec_name"].as_str().unwrap_or_default();
    (seconds, codec.to_owned())
}
