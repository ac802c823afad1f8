//! What DJs send: real audio, encoded by ffmpeg once for all tests of the process; and ffmpeg's word on which packets are in a
//! stream.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex};

use e2e::harness::is_full;
use e2e::sound::Codec;
use serde::Deserialize;
use tempfile::{NamedTempFile, TempDir};
use tokio::process::Command;
use tokio::sync::OnceCell;

const CODECS: [Codec; 4] = [Codec::Opus, Codec::Mp3, Codec::OggFlac, Codec::WebmOpus];
/// Length of what is encoded; longer streams repeat it.
const MINUTE: u32 = 60;

/// The codecs of a row: all in the full matrix, otherwise the one that stands for the others.
pub fn codecs(representative: Codec) -> Vec<Codec> {
    let all = if is_full() { &CODECS[..] } else { &[] };
    let others = all.iter().copied().filter(|codec| *codec != representative);
    std::iter::once(representative).chain(others).collect()
}

/// How many times as fast as real time DJs send in the full matrix, and always where moments are compared.
pub const FAST: u32 = 10;

/// How many times as fast as real time a DJ sends who has nothing else to do.
pub fn speed() -> u32 {
    if is_full() { FAST } else { 100 }
}

pub fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "Opus 96k",
        Codec::Mp3 => "MP3 128k",
        Codec::OggFlac => "Ogg FLAC",
        Codec::WebmOpus => "WebM/Opus",
        Codec::Adts | Codec::Vorbis => "not in the matrix",
    }
}

/// A whole stream.
#[derive(Clone)]
pub struct Sound {
    pub codec: Codec,
    pub seconds: u32,
    pub bytes: Vec<u8>,
}

impl Sound {
    pub fn bytes_a_second(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap() / self.seconds
    }

    /// Where this second begins, about.
    pub fn at(&self, second: u32) -> u64 {
        u64::from(self.bytes_a_second()) * u64::from(second)
    }

    /// Another stream behind it on the same connection.
    pub fn and(mut self, next: &Self) -> Self {
        self.bytes.extend_from_slice(&next.bytes);
        self.seconds += next.seconds;
        self
    }
}

type Minutes = Mutex<HashMap<(Codec, u32), Arc<OnceCell<Sound>>>>;

/// A minute of a tone over pink noise.
pub async fn minute(codec: Codec, tone: u32) -> Sound {
    static MINUTES: LazyLock<Minutes> = LazyLock::new(Minutes::default);
    let minute = Arc::clone(MINUTES.lock().unwrap().entry((codec, tone)).or_default());
    minute
        .get_or_init(|| encode(codec, tone, MINUTE, ""))
        .await
        .clone()
}

/// So many minutes of it, as one stream.
pub async fn minutes(codec: Codec, tone: u32, count: u32) -> Sound {
    let dir = TempDir::new().unwrap();
    let (one, all) = (dir.path().join("one"), dir.path().join("all"));
    std::fs::write(&one, minute(codec, tone).await.bytes).unwrap();
    let mut ffmpeg = ffmpeg("ffmpeg");
    ffmpeg.args(["-stream_loop", &(count - 1).to_string()]);
    ffmpeg.args(["-f", demuxer(codec), "-i"]).arg(&one);
    ffmpeg.args(["-c", "copy"]).args(muxing(codec)).arg(&all);
    run(ffmpeg).await;
    Sound {
        codec,
        seconds: MINUTE * count,
        bytes: std::fs::read(all).unwrap(),
    }
}

/// So many seconds of it, with a title inside.
pub async fn encode(codec: Codec, tone: u32, seconds: u32, title: &str) -> Sound {
    let sine = format!("sine=frequency={tone}:sample_rate=48000:duration={seconds}[a]");
    let noise = format!("anoisesrc=duration={seconds}:color=pink:amplitude=0.02:seed={tone}:r=48000[b]");
    let mut ffmpeg = ffmpeg("ffmpeg");
    ffmpeg.args(["-f", "lavfi", "-i"]);
    ffmpeg.arg(format!("{sine};{noise};[a][b]amix=inputs=2:duration=first"));
    let encoder: &[&str] = match codec {
        Codec::Mp3 => &["libmp3lame", "-b:a", "128k"],
        Codec::OggFlac => &["flac"],
        _ => &["libopus", "-b:a", "96k"],
    };
    ffmpeg.args(["-metadata", &format!("title={title}"), "-ac", "2", "-c:a"]);
    ffmpeg.args(encoder).args(muxing(codec)).arg("-");
    Sound {
        codec,
        seconds,
        bytes: run(ffmpeg).await,
    }
}

/// As live encoders do it: small pages, nothing that needs seeking back.
fn muxing(codec: Codec) -> &'static [&'static str] {
    match codec {
        Codec::Mp3 => &["-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"],
        Codec::WebmOpus => &["-live", "1", "-cluster_time_limit", "1000", "-f", "webm"],
        _ => &["-page_duration", "200000", "-f", "ogg"],
    }
}

fn demuxer(codec: Codec) -> &'static str {
    match codec {
        Codec::Mp3 => "mp3",
        Codec::WebmOpus => "matroska",
        _ => "ogg",
    }
}

/// By `ffmpeg -f framehash`: the hash of each packet, of one chained stream after the other.
pub async fn packets(codec: Codec, stream: &[u8]) -> Vec<String> {
    let mut hashes = Vec::new();
    for link in links(codec, stream) {
        let file = file(link);
        let mut ffmpeg = ffmpeg("ffmpeg");
        ffmpeg.args(["-f", demuxer(codec), "-i"]).arg(file.path());
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
        let told = String::from_utf8(run(ffmpeg).await).unwrap();
        let lines = told.lines().filter(|line| !line.starts_with('#'));
        // Behind the hash may stand those of what is said beside the packet.
        hashes.extend(lines.map(|line| line.split(',').nth(5).unwrap().trim().to_owned()));
    }
    hashes
}

/// A packet, and the offset of the page, frame or block that it is in.
pub struct Placed {
    pub at: u64,
    pub hash: String,
}

/// The same by ffprobe, which also tells where each packet is.
pub async fn placed_packets(codec: Codec, stream: &[u8]) -> Vec<Placed> {
    #[derive(Deserialize)]
    struct Told {
        packets: Vec<Packet>,
    }
    #[derive(Deserialize)]
    struct Packet {
        pos: String,
        data_hash: String,
    }
    let file = file(stream);
    let mut ffprobe = ffmpeg("ffprobe");
    ffprobe.args(["-f", demuxer(codec), "-show_entries", "packet=pos,data_hash"]);
    ffprobe
        .args(["-show_data_hash", "md5", "-of", "json"])
        .arg(file.path());
    let told: Told = serde_json::from_slice(&run(ffprobe).await).unwrap();
    let placed = |packet: Packet| Placed {
        at: packet.pos.parse().unwrap(),
        hash: packet.data_hash.rsplit(':').next().unwrap().to_owned(),
    };
    told.packets.into_iter().map(placed).collect()
}

/// ffmpeg reads a chain as what its first stream is: each begins with a page that says so.
fn links(codec: Codec, stream: &[u8]) -> Vec<&[u8]> {
    const FIRST_PAGE: u8 = 2;
    if demuxer(codec) != "ogg" {
        return vec![stream];
    }
    let is_first = |at: &usize| {
        let page = &stream[*at..];
        page.starts_with(b"OggS\0") && page.get(5).is_some_and(|kind| kind & FIRST_PAGE != 0)
    };
    let begins: Vec<usize> = (0..stream.len()).filter(is_first).chain([stream.len()]).collect();
    begins.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

fn file(stream: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(stream).unwrap();
    file
}

fn ffmpeg(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(["-v", "error"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> Vec<u8> {
    let output = command.output().await.unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    output.stdout
}
