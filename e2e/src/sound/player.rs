//! Plays a whole stream at once, as a player does that opens a file, and tells what it heard. Starts processes.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::codec::{self, Codec};
use super::tone::{self, RATE, Tone};

/// What is named at a time: 100 ms.
const WINDOW: usize = RATE as usize / 10;

/// What a player made of a stream.
#[derive(Clone, Debug)]
pub struct Played {
    /// The tone of each 100 ms.
    pub tones: Vec<Tone>,
    /// How much audio it was.
    pub length: Duration,
    /// Every line in which the player complained.
    pub complaints: String,
}

/// Decodes all of it.
pub async fn play(codec: Codec, stream: &[u8]) -> Result<Played> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error"]);
    command.args(["-f", codec.demuxer(), "-i", "pipe:0"]);
    // A player's clock is its own: ffmpeg's stumbles over a chain whose first link is shorter than what it looks at.
    command.args(["-vn", "-af", "asetpts=N/SR/TB"]);
    command.args(["-ar", "48000", "-ac", "1", "-f", "s16le", "pipe:1"]);
    let mut child = codec::spawn(&mut command)?;
    let mut stdin = child.stdin.take().context("ffmpeg was started without a stdin")?;
    let feeding = async move {
        // A player that wants no more says why on stderr.
        drop(stdin.write_all(stream).await);
    };
    let ((), output) = tokio::join!(feeding, child.wait_with_output());
    let output = output.context("ffmpeg was lost")?;
    let samples: Vec<i16> = output
        .stdout
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut complaints = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() && complaints.is_empty() {
        complaints = output.status.to_string();
    }
    Ok(Played {
        tones: samples.chunks_exact(WINDOW).map(tone::name).collect(),
        length: Duration::from_secs(1) * u32::try_from(samples.len())? / RATE,
        complaints,
    })
}
