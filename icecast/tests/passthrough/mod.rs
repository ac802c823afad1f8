//! Sources on real tapes, heard at a real Icecast that `icecast-agent` feeds: byte for byte. Needs `icecast2` and `ffmpeg`.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pod::{self, PATIENCE, Pod};
use ingest::api::Container;
use ingest::config::{Credential, Ingest, Input, Reader, Routing};
use ingest::desk::{self, Desk};
use ingest::framing::{Framer, Unit};
use ingest::tape::{Shelf, Writer};
use rustix::process::{Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// SHA-256 of `hush`.
const HUSH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";
/// Faster than it plays, for the test's sake.
const PIECE: usize = 800;
const BETWEEN: Duration = Duration::from_millis(10);

struct Station {
    pod: Pod,
    shelf: Arc<Shelf>,
    _tapes: tempfile::TempDir,
    _config: watch::Sender<Arc<Ingest>>,
}

impl Station {
    async fn open(paths: &[&str]) -> Option<Self> {
        let mut pod = Pod::new()?;
        let tapes = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(tapes.path(), "boot").unwrap();
        let (told, config) = watch::channel(Arc::new(Ingest {
            readers: vec![Reader {
                name: "origin".to_owned(),
                sha256: HUSH.to_owned(),
                mounts: None,
            }],
            ..Ingest::default()
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Desk::new(Arc::clone(&shelf), config);
        tokio::spawn(desk::serve(listener, desk, std::future::pending()));
        pod.project_all(&[
            ("icecast.xml", &pod::config(pod.icecast, "")),
            ("feeds.json", &feeds(address, paths)),
        ]);
        pod.start();
        Some(Self {
            pod,
            shelf,
            _tapes: tapes,
            _config: told,
        })
    }

    fn source(&self, path: &str, container: Container) -> Writer {
        let credential = Credential {
            user: "source".to_owned(),
            sha256: HUSH.to_owned(),
            routing: Routing::Live,
            show: None,
            turns: Vec::new(),
        };
        let input = Input {
            mount: "mics".to_owned(),
            name: path.trim_matches('/').to_owned(),
            path: path.to_owned(),
            priority: 0,
            accepts: None,
            credentials: vec![credential.clone()],
        };
        self.shelf.begin(&input, &credential, container)
    }

    /// What a listener gets from the moment the path is there.
    async fn listener(&self, path: &str) -> TcpStream {
        let ask = async {
            loop {
                match self.asked(path).await {
                    Ok(Some(socket)) => return socket,
                    // Not there yet, or killed just now.
                    Ok(None) | Err(_) => sleep(BETWEEN).await,
                }
            }
        };
        timeout(PATIENCE, ask).await.expect("the path is never there")
    }

    async fn asked(&self, path: &str) -> std::io::Result<Option<TcpStream>> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.pod.icecast)).await?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        Ok(head.starts_with(b"HTTP/1.0 200").then_some(socket))
    }

    async fn status(&self) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.pod.icecast)).await.unwrap();
        socket
            .write_all(b"GET /status-json.xsl HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        let mut status = String::new();
        socket.read_to_string(&mut status).await.unwrap();
        status
    }
}

fn feeds(desk: SocketAddr, paths: &[&str]) -> String {
    let feeds: Vec<_> = paths
        .iter()
        .map(|path| serde_json::json!({"path": path, "title": "Mic"}))
        .collect();
    serde_json::json!({
        "tape": {"addresses": [desk.to_string()], "token": "hush"}, "sourcePassword": "opensesame", "feeds": feeds
    })
    .to_string()
}

/// Sends piece by piece, then leaves.
fn sending(mut writer: Writer, stream: Vec<u8>) -> JoinHandle<()> {
    tokio::spawn(async move {
        for piece in stream.chunks(PIECE) {
            writer.append(piece);
            sleep(BETWEEN).await;
        }
        writer.end("the source left");
    })
}

async fn all_of(mut listener: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // Icecast ends the listener with the source.
    timeout(PATIENCE, listener.read_to_end(&mut heard))
        .await
        .expect("the listener is never sent away")
        .unwrap();
    heard
}

fn made(how: &str) -> Vec<u8> {
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "anoisesrc=r=48000:d=12",
            "-ac",
            "2",
        ])
        .args(how.split(' '))
        .arg("-")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

fn units(container: Container, stream: &[u8]) -> Vec<Unit> {
    Framer::of(container).push(stream)
}

/// Each of `heard` stands in `sent`, in this order and without one left out.
fn is_a_run_of(heard: &[Unit], sent: &[Unit]) -> bool {
    let from = sent.iter().position(|unit| unit.bytes == heard[0].bytes);
    from.is_some_and(|from| {
        heard.len() <= sent.len() - from
            && heard
                .iter()
                .zip(&sent[from..])
                .all(|(a, b)| a.bytes == b.bytes && a.link.headers == b.link.headers)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_get_what_the_source_sent() {
    let formats = [
        ("/mic-1.mp3", Container::Mp3, "-c:a libmp3lame -b:a 128k -f mp3"),
        ("/mic-2.aac", Container::Adts, "-c:a aac -b:a 96k -f adts"),
        (
            "/mic-3.opus",
            Container::Ogg,
            "-c:a libopus -b:a 96k -page_duration 100000 -f ogg",
        ),
        ("/mic-4.flac", Container::Ogg, "-c:a flac -f ogg"),
    ];
    let paths = formats.map(|(path, ..)| path);
    let Some(station) = Station::open(&paths).await else {
        return;
    };
    for (path, container, how) in formats {
        let stream = made(how);
        let sent = units(container, &stream);
        let source = sending(station.source(path, container), stream.clone());
        let bytes = all_of(station.listener(path).await).await;
        source.await.unwrap();
        let heard = units(container, &bytes);
        println!(
            "{path}: {} of {} units heard, {} bytes",
            heard.len(),
            sent.len(),
            bytes.len()
        );
        assert!(heard.len() > sent.len() / 2, "{path}");
        assert!(is_a_run_of(&heard, &sent), "{path}");
        if container != Container::Ogg {
            let whole = stream.windows(bytes.len()).any(|window| window == bytes);
            assert!(whole, "{path}: not one piece of what was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webm_arrives_as_ogg() {
    let Some(station) = Station::open(&["/mic.opus"]).await else {
        return;
    };
    let stream = made("-c:a libopus -b:a 96k -f webm -live 1");
    let sent: Duration = units(Container::Webm, &stream)
        .iter()
        .map(|unit| unit.duration)
        .sum();
    let source = sending(station.source("/mic.opus", Container::Webm), stream);
    let heard = units(Container::Ogg, &all_of(station.listener("/mic.opus").await).await);
    source.await.unwrap();
    let plays: Duration = heard.iter().map(|unit| unit.duration).sum();
    println!("{plays:?} of {sent:?} heard");
    assert!(heard.iter().all(|unit| unit.link.codec == "opus") && plays > sent / 2 && plays <= sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_icecast_is_fed_again_at_once() {
    let Some(station) = Station::open(&["/mic.mp3"]).await else {
        return;
    };
    let mut writer = station.source("/mic.mp3", Container::Mp3);
    writer.title("Ärger & Wut");
    let source = sending(writer, made("-c:a libmp3lame -b:a 320k -f mp3").repeat(4));
    let mut listener = station.listener("/mic.mp3").await;
    let mut some = [0; 4096];
    listener.read_exact(&mut some).await.unwrap();
    let titled = timeout(PATIENCE, async {
        while !station.status().await.contains("rger & Wut") {
            sleep(BETWEEN).await;
        }
    });
    titled.await.expect("the title never arrives");
    for _ in 0..3 {
        kill_process(station.pod.icecast_pid().unwrap(), Signal::KILL).unwrap();
        let killed = Instant::now();
        let mut listener = station.listener("/mic.mp3").await;
        listener.read_exact(&mut some).await.unwrap();
        let fed = killed.elapsed();
        println!("Icecast killed, heard again after {fed:?}");
        assert!(fed < Duration::from_secs(1), "{fed:?}");
    }
    let watch = station.pod.processes[0].id();
    let status = std::fs::read_to_string(format!("/proc/{watch}/status")).unwrap();
    let rss = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    println!("icecast-agent: {rss}");
    let kib: u64 = rss.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 15 << 10, "{rss}");
    source.abort();
}
