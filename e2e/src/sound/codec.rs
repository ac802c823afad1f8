//! The encodings a DJ may send, and how ffmpeg is asked for them. Starts processes.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use tokio::process::{Child, Command};

/// An encoding in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// MP3, no container.
    Mp3,
    /// AAC in ADTS frames.
    Adts,
    /// Opus in Ogg.
    Opus,
    /// Vorbis in Ogg.
    Vorbis,
    /// FLAC in Ogg.
    OggFlac,
    /// Opus in `WebM`, as browsers send it.
    WebmOpus,
}

impl Codec {
    /// All of them, for tests that go round.
    pub const ALL: [Self; 6] = [
        Self::Mp3,
        Self::Adts,
        Self::Opus,
        Self::Vorbis,
        Self::OggFlac,
        Self::WebmOpus,
    ];

    /// The Content-Type a DJ's program sends with it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::Opus | Self::Vorbis | Self::OggFlac => "application/ogg",
            Self::WebmOpus => "audio/webm",
        }
    }

    /// The ending of a file of it.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
            Self::Opus => "opus",
            Self::Vorbis => "ogg",
            Self::OggFlac => "oga",
            Self::WebmOpus => "webm",
        }
    }

    /// Kilobits per second when nobody says; FLAC takes what it takes.
    #[must_use]
    pub fn usual_kbps(self) -> u32 {
        match self {
            Self::Opus | Self::WebmOpus => 96,
            Self::Mp3 | Self::Adts | Self::Vorbis | Self::OggFlac => 128,
        }
    }

    pub(super) fn muxer(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "adts",
            Self::Opus | Self::Vorbis | Self::OggFlac => "ogg",
            Self::WebmOpus => "webm",
        }
    }

    pub(super) fn demuxer(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
            Self::Opus | Self::Vorbis | Self::OggFlac => "ogg",
            Self::WebmOpus => "matroska",
        }
    }

    pub(super) fn encoding(self, kbps: u32) -> Vec<String> {
        let (codec, rate) = match self {
            Self::Mp3 => ("libmp3lame", Some(kbps)),
            Self::Adts => ("aac", Some(kbps)),
            Self::Opus | Self::WebmOpus => ("libopus", Some(kbps)),
            Self::Vorbis => ("libvorbis", Some(kbps)),
            Self::OggFlac => ("flac", None),
        };
        let mut args = vec!["-ac".into(), "2".into(), "-c:a".into(), codec.into()];
        if let Some(kbps) = rate {
            args.extend(["-b:a".into(), format!("{kbps}k")]);
        }
        args
    }

    /// Muxer options for a live stream: small pages, nothing that needs seeking back.
    pub(super) fn live(self, page: Duration) -> Vec<String> {
        let options: &[(&str, String)] = match self {
            Self::Mp3 => &[("-write_xing", "0".into()), ("-id3v2_version", "0".into())],
            Self::Adts => &[],
            Self::Opus | Self::Vorbis | Self::OggFlac => &[("-page_duration", page.as_micros().to_string())],
            Self::WebmOpus => &[
                ("-live", "1".into()),
                ("-cluster_time_limit", page.as_millis().to_string()),
            ],
        };
        options
            .iter()
            .flat_map(|(option, value)| [(*option).to_owned(), value.clone()])
            .collect()
    }
}

/// An ffmpeg that will encode the mono s16le it is given on stdin.
pub(super) fn encoder() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-fflags", "+nobuffer"]);
    command.args(["-probesize", "32", "-analyzeduration", "0"]);
    command.args(["-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "pipe:0"]);
    command
}

/// An ffmpeg that decodes what it is given on stdin as soon as it can, to s16le on stdout.
pub(super) fn decoder(demuxer: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-nostdin",
        "-hide_banner",
        "-v",
        "error",
        "-fflags",
        "+nobuffer",
        "-flags",
        "low_delay",
    ]);
    // ADTS ends where it finds no next frame within so many bytes; for the others they would be delay.
    let looked_at = if demuxer == "aac" { "65536" } else { "32" };
    command.args([
        "-probesize",
        looked_at,
        "-analyzeduration",
        "0",
        "-f",
        demuxer,
        "-i",
        "pipe:0",
    ]);
    command.args([
        "-vn",
        "-ar",
        "48000",
        "-ac",
        "1",
        "-f",
        "s16le",
        "-flush_packets",
        "1",
        "pipe:1",
    ]);
    command
}

/// Starts it with pipes on all three; it ends with its handle.
pub(super) fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::msg("ffmpeg is not installed: apt-get install ffmpeg"),
        _ => Error::new(error).context("ffmpeg could not be started"),
    })
}

/// Fails early, and with what to install, on a host that cannot listen.
pub async fn require_ffmpeg() -> Result<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-version"]);
    let output = spawn(&mut command)?
        .wait_with_output()
        .await
        .context("ffmpeg was lost")?;
    anyhow::ensure!(
        output.status.success(),
        "`ffmpeg -version` fails: reinstall it with apt-get install ffmpeg"
    );
    Ok(())
}
