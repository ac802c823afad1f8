//! What the seed of this system asked for, and what is left when all of it is gone.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use recorder::finalize::published::GapKind;
use recorder::manifest::SEGMENTS;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::audio::{OPUS, framehash, opus_minute, probe};
use crate::dj::PASSWORD;
use crate::ogg::whole_pages;
use crate::oracle::{nothing_is_lost, published};
use crate::rclone::{ask, at};
use crate::recording::{Recording, kill};
use crate::stage::Stage;

/// Takes what an encoder sends on to the ingest, and keeps a log of it: one stream for each connection.
struct Wire {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    async fn to(sources: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let log = Arc::clone(&streams);
        tokio::spawn(async move {
            while let Ok((encoder, _)) = listener.accept().await {
                let ingest = TcpStream::connect(sources).await.unwrap();
                let number = {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push(Vec::new());
                    log.len() - 1
                };
                tokio::spawn(carry(encoder, ingest, Arc::clone(&log), number));
            }
        });
        Self { address, streams }
    }

    fn bytes(&self) -> u64 {
        self.streams
            .lock()
            .unwrap()
            .iter()
            .map(|stream| stream.len() as u64)
            .sum()
    }

    /// What each connection brought to the ingest, without the request's head.
    fn sent(&self) -> Vec<Vec<u8>> {
        let streams = self.streams.lock().unwrap();
        let body = |stream: &Vec<u8>| {
            let head = stream.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
            stream[head + 4..].to_vec()
        };
        streams.iter().map(body).collect()
    }
}

async fn carry(encoder: TcpStream, ingest: TcpStream, log: Arc<Mutex<Vec<Vec<u8>>>>, number: usize) {
    let (mut from_encoder, mut to_encoder) = encoder.into_split();
    let (mut from_ingest, mut to_ingest) = ingest.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_ingest, &mut to_encoder).await });
    let mut piece = vec![0; 4096];
    // An encoder that was killed may leave a reset connection.
    while let Ok(count @ 1..) = from_encoder.read(&mut piece).await {
        to_ingest.write_all(&piece[..count]).await.unwrap();
        log.lock().unwrap_or_else(PoisonError::into_inner)[number].extend_from_slice(&piece[..count]);
    }
    to_ingest.shutdown().await.unwrap();
    let _ = answers.await;
}

/// The DJ's ffmpeg, ten times as fast as time; the sound goes on where it was.
fn encoder(wire: &Wire, seconds: u32, tone: u32) -> Child {
    let source = format!("aevalsrc=0.4*sin(2*PI*t*({tone}+7*t)):s=48000");
    let icecast = format!(
        "icecast://source:{}@{}/main/studio",
        PASSWORD.replace(' ', "%20").replace('\'', "%27"),
        wire.address
    );
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-readrate", "10", "-f", "lavfi", "-i", &source])
        .args([
            "-t",
            &seconds.to_string(),
            "-ac",
            "2",
            "-c:a",
            "libopus",
            "-b:a",
            "96k",
        ])
        .args([
            "-page_duration",
            "200000",
            "-f",
            "ogg",
            "-content_type",
            "application/ogg",
        ])
        .arg(icecast);
    ffmpeg.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

/// The processes named ffmpeg that this process has begun.
fn ffmpegs_of(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((name, rest)) = stat.rsplit_once(") ") else {
            return false;
        };
        name.ends_with("(ffmpeg") && rest.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

/// Runs finalize, and kills the first ffmpegs it begins: how many, and how finalize ended.
async fn finalize_without_ffmpeg(recording: &Recording<'_>) -> (u32, ExitStatus) {
    let mut finalizing = recording.finalizing();
    let pid = finalizing.id().unwrap();
    let mut killed = 0;
    while killed < 3 && finalizing.try_wait().unwrap().is_none() {
        for ffmpeg in ffmpegs_of(pid) {
            let target = rustix::process::Pid::from_raw(ffmpeg.cast_signed()).unwrap();
            if rustix::process::kill_process(target, rustix::process::Signal::KILL).is_ok() {
                killed += 1;
            }
        }
        sleep(Duration::from_millis(2)).await;
    }
    assert!(killed > 0, "finalize has no ffmpeg");
    (killed, finalizing.wait().await.unwrap())
}

/// kill -9 of the DJ's ffmpeg, which begins again; of capture; of ship; of finalize's ffmpeg; and a full-length object.
#[tokio::test]
async fn recording_seed_acceptance() {
    let row = "recording_seed_acceptance";
    let stage = Stage::new().await;
    let wire = Wire::to(stage.sources()).await;
    let mut recording = stage.recording("show");
    let mut dj = encoder(&wire, 600, 200);
    recording.told["renditions"] = serde_json::json!(["mp3"]);
    // As long as an encoder may take to begin on a busy machine.
    recording.told["idleEndSeconds"] = 10.into();
    recording.tell();
    let mut pod = recording.pod();
    let grown_by = async |bytes: u64| {
        let before = wire.bytes();
        stage
            .until("the DJ's ffmpeg sends", async || wire.bytes() > before + bytes)
            .await;
    };
    grown_by(200_000).await;
    kill(&mut dj).await;
    dj = encoder(&wire, 40, 300);
    grown_by(100_000).await;
    kill(&mut pod.capture).await;
    pod.capture = recording.capture();
    grown_by(100_000).await;
    kill(&mut pod.ship).await;
    pod.ship = recording.ship();
    assert!(dj.wait().await.unwrap().success());
    recording.over(pod).await;
    let sent = wire.sent();
    let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
    assert_eq!(sent.len(), 2);
    nothing_is_lost(row, &recording, &sent).await;

    let (killed, status) = finalize_without_ffmpeg(&recording).await;
    // As its Job begins it again.
    let cost = recording.finalize().await;
    let whole: Vec<&[u8]> = sent.iter().map(|sent| whole_pages(sent)).collect();
    let torn: usize = sent.iter().map(|sent| sent.len() - whole_pages(sent).len()).sum();
    let published = published(row, &recording, 1, &whole, cost).await;
    let expected: f64 = whole.iter().map(|sent| probe(sent).0).sum();
    assert!(
        (published.seconds - expected).abs() < 0.2,
        "{} of {expected} s",
        published.seconds
    );
    assert!(published.gaps.iter().all(|gap| gap.kind == GapKind::NoSource));
    assert_eq!(published.renditions.len(), published.objects.len());
    for rendition in &published.renditions {
        let (seconds, codec) = probe(&recording.object(&rendition.key).await);
        assert!(
            codec == "mp3" && (seconds - expected).abs() < 1.0,
            "{seconds} s of {codec}"
        );
    }
    println!(
        "{row}: kill -9 of the DJ's ffmpeg, capture, ship and {killed} ffmpegs of finalize ({status}); {:.1} of {expected:.1} s in {} object, \
         {torn} bytes of a page that the DJ's ffmpeg had not finished",
        published.seconds,
        published.objects.len()
    );
}

/// Nothing of ours is left but the bucket: list, concatenate in the order of the keys, play.
#[tokio::test]
async fn recording_salvage() {
    let row = "recording_salvage";
    let show = opus_minute();
    let stage = Stage::new().await;
    let mut dj = stage.connect(OPUS.content_type).await;
    let recording = stage.recording("show");
    let pod = recording.pod();
    dj.play(show, Duration::from_secs(5)).await;
    stage
        .until("most of it is stored", async || {
            recording.keys(SEGMENTS).await.len() > 3
        })
        .await;
    // And never comes back.
    pod.kill().await;
    let prefix = format!("{}{SEGMENTS}", recording.prefix());
    let listed = ask(&stage, &["lsf", "--recursive", "--files-only", &at(&prefix)]).await;
    let listed = String::from_utf8(listed).unwrap();
    let mut keys: Vec<&str> = listed.lines().collect();
    keys.sort_unstable();
    let mut stream = Vec::new();
    for key in &keys {
        stream.extend(ask(&stage, &["cat", &at(&format!("{prefix}{key}"))]).await);
    }
    assert!(
        dj.sent.starts_with(&stream),
        "what the DJ sent, from its first byte on"
    );
    let (seconds, codec) = probe(&stream);
    let (made, sent) = (framehash(&stream), framehash(&dj.sent));
    println!(
        "{row}: {} segments, {} of {} bytes, {seconds:.1} s of {codec}, {} of {} packets: none lost or doubled of what is stored",
        keys.len(),
        stream.len(),
        dj.sent.len(),
        made.len(),
        sent.len()
    );
    assert!(codec == "opus" && seconds > 35.0, "{seconds} s of {codec}");
    assert!(sent.starts_with(&made));
    dj.leave().await;
}
