//! What ffmpeg and ffprobe say and make. IO: their processes. They read what strangers sent, so they get no network, and not
//! our environment.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use ingest::api::Container;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// A sample is decoded in a moment.
const SAMPLE_PATIENCE: Duration = Duration::from_mins(1);
/// ffprobe reads a file of hours in seconds.
const PROBE_PATIENCE: Duration = Duration::from_mins(15);
/// A transcoder that is slower than this, in seconds of a second of audio, hangs.
const SLOWEST: u32 = 2;
/// Of a program that is killed.
const TRIES: u32 = 3;
const LONGEST_WORDS: usize = 300;

/// What ffprobe says of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Packets of audio.
    pub packets: u64,
    /// How long it plays, by its container.
    pub seconds: Option<f64>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    nb_read_packets: Option<String>,
}

#[derive(Default, Deserialize)]
struct Format {
    duration: Option<String>,
}

/// The name of ffmpeg's demuxer.
fn demuxer(container: Container) -> &'static str {
    match container {
        Container::Ogg => "ogg",
        Container::Mp3 => "mp3",
        Container::Adts => "aac",
        Container::Webm => "matroska",
    }
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.args(["-hide_banner", "-protocol_whitelist", "file,pipe"]);
    command
}

/// Why there is nothing to be read in what a program said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It ran, and does not like what it was given: a sentence.
    #[error("{0}")]
    Said(String),
    /// It could not run to its end, which says nothing of what it was given: another attempt may.
    #[error("{0}; the next attempt runs it again")]
    Broken(String),
}

/// Runs a program to its end; one that was killed runs again.
async fn ended<F>(what: &str, patience: Duration, mut run: impl FnMut() -> F) -> Result<Output, Error>
where
    F: Future<Output = std::io::Result<Output>>,
{
    let mut tries = 1;
    loop {
        let output = timeout(patience, run())
            .await
            .map_err(|_| Error::Broken(format!("{what} did not end within {patience:?}")))?;
        let output = output.map_err(|failure| Error::Broken(format!("{what} cannot be run: {failure}")))?;
        if output.status.success() {
            return Ok(output);
        }
        let words = format!(
            "{what} ended with {}: {}",
            output.status,
            last_words(&output.stderr)
        );
        match output.status.signal() {
            None => return Err(Error::Said(words)),
            Some(_) if tries == TRIES => return Err(Error::Broken(words)),
            Some(_) => tracing::warn!(words, "a program was killed; it is run again"),
        }
        tries += 1;
    }
}

/// The end of what it said, on one line.
fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let clean: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let skip = clean.chars().count().saturating_sub(LONGEST_WORDS);
    clean.chars().skip(skip).collect::<String>().trim().to_owned()
}

/// Counts a file's packets and reads its length.
pub async fn probe(path: &Path, container: Container) -> Result<Probe, Error> {
    let mut ffprobe = program("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-f",
        demuxer(container),
        "-select_streams",
        "a:0",
        "-count_packets",
    ]);
    ffprobe
        .args([
            "-show_entries",
            "stream=nb_read_packets:format=duration",
            "-of",
            "json",
        ])
        .arg(path);
    let output = ended("ffprobe", PROBE_PATIENCE, || ffprobe.output()).await?;
    let told: Told = serde_json::from_slice(&output.stdout)
        .map_err(|failure| Error::Said(format!("ffprobe answers no JSON: {failure}")))?;
    let stream = told
        .streams
        .first()
        .ok_or_else(|| Error::Said("ffprobe finds no audio".to_owned()))?;
    Ok(Probe {
        packets: stream
            .nb_read_packets
            .as_ref()
            .and_then(|packets| packets.parse().ok())
            .unwrap_or(0),
        seconds: told.format.duration.and_then(|seconds| seconds.parse().ok()),
    })
}

/// The loudest moment of a short stream, in dB below full scale.
pub async fn peak(sample: &[u8], container: Container) -> Result<f64, Error> {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.stdin(Stdio::piped());
    ffmpeg.args([
        "-nostats",
        "-f",
        demuxer(container),
        "-i",
        "pipe:0",
        "-map",
        "0:a:0",
    ]);
    ffmpeg.args(["-af", "volumedetect", "-f", "null", "-"]);
    let output = ended("ffmpeg", SAMPLE_PATIENCE, || fed(&mut ffmpeg, sample)).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let peak = said
        .split("max_volume:")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    peak.and_then(|peak| peak.parse().ok())
        .ok_or_else(|| Error::Said("ffmpeg decodes nothing of it".to_owned()))
}

/// Runs with this on its standard input.
fn fed<'a>(
    program: &mut Command,
    input: &'a [u8],
) -> impl Future<Output = std::io::Result<Output>> + use<'a> {
    let child = program.spawn();
    async move {
        let mut child = child?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // It may end before it has read all: then its own words tell why.
                let _ = stdin.write_all(input).await;
            }
        };
        futures::join!(feed, child.wait_with_output()).1
    }
}

/// Makes an MP3 of a file. The same file makes the same MP3.
pub async fn to_mp3(path: &Path, container: Container, length: Duration, mp3: &Path) -> Result<(), Error> {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg
        .args(["-nostats", "-v", "error", "-y", "-f", demuxer(container), "-i"])
        .arg(path);
    ffmpeg.args([
        "-map",
        "0:a:0",
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        "-flags:a",
        "+bitexact",
    ]);
    ffmpeg
        .args([
            "-c:a",
            "libmp3lame",
            "-b:a",
            "192k",
            "-id3v2_version",
            "0",
            "-f",
            "mp3",
        ])
        .arg(mp3);
    ended("ffmpeg", SAMPLE_PATIENCE + length * SLOWEST, || ffmpeg.output())
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str) -> (Result<Output, Error>, u32) {
        let mut runs = 0;
        let ended = ended("sh", SAMPLE_PATIENCE, || {
            runs += 1;
            Command::new("sh").args(["-c", script]).output()
        });
        let ended = ended.await;
        (ended, runs)
    }

    /// What kills a program, such as the kernel for want of memory, says nothing of the audio.
    #[tokio::test]
    async fn a_killed_program_runs_again_and_is_no_word_about_the_audio() {
        let (ended, runs) = run("exit 0").await;
        assert!(ended.is_ok() && runs == 1);
        let (ended, runs) = run("echo bad >&2; exit 1").await;
        assert!(matches!(ended, Err(Error::Said(words)) if words.ends_with("bad")) && runs == 1);
        let (ended, runs) = run("kill -9 $$").await;
        assert!(matches!(ended, Err(Error::Broken(_))) && runs == TRIES);
        let folder = tempfile::tempdir().unwrap();
        let once = folder.path().join("once");
        let (ended, runs) = run(&format!("mkdir {} && kill -9 $$; exit 0", once.display())).await;
        assert!(ended.is_ok() && runs == 2);
    }
}
