//! Audio from the intake to a listener of a real Icecast, through what may die on the way. Runs where `icecast2` is
//! on PATH (not as root: Icecast refuses).

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use e2e::ports;
use ingest::api::Container;
use ingest::framing::{Framer, Unit};
use playout_agent::config::{self, Codec, Playout};
use playout_agent::intake::{self, Outputs};
use playout_agent::metrics::{Line, Metrics};
use playout_agent::origins;
use playout_agent::output::Output;
use playout_agent::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Icecast makes other pages of Vorbis; of Opus it sends what it gets.
const OPUS: &[u8] = include_bytes!("tone.opus");
const PATIENCE: Duration = Duration::from_secs(20);
const NOBODY: u32 = 65_534;

struct Icecast {
    process: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Drop for Icecast {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `None` where there is none to run.
async fn icecast(password: &str) -> Option<Icecast> {
    let [address] = ports::free().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let process = start(address, directory.path(), password).await?;
    Some(Icecast {
        process,
        address,
        directory,
    })
}

async fn start(address: SocketAddr, directory: &Path, password: &str) -> Option<Child> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let dir = directory.display();
    let port = address.port();
    let xml = format!(
        "<icecast><limits><sources>4</sources><burst-size>65536</burst-size></limits>\
         <authentication><source-password>{password}</source-password><admin-user>a</admin-user>\
         <admin-password>a</admin-password></authentication><hostname>localhost</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><basedir>{dir}</basedir><logdir>{dir}</logdir><webroot>{dir}</webroot><adminroot>{dir}</adminroot></paths>\
         <logging><accesslog>-</accesslog><errorlog>-</errorlog></logging></icecast>"
    );
    let file = directory.join("icecast.xml");
    std::fs::write(&file, xml).unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("icecast2");
    command
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if std::fs::metadata(&file).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let process = match command.spawn() {
        Ok(process) => process,
        Err(failure) => {
            println!("not run here: icecast2 cannot be started: {failure}");
            return None;
        }
    };
    until("Icecast listens", async || {
        TcpStream::connect(address).await.is_ok()
    })
    .await;
    Some(process)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

struct Playing {
    intake: SocketAddr,
    metrics: Metrics,
    line: Line,
    settings: watch::Sender<Arc<Settings>>,
}

impl Playing {
    fn connects(&self) -> u64 {
        self.metrics.connects.get_or_create(&self.line).get()
    }
}

fn settings(origin: SocketAddr, password: &str, previous: Option<&str>) -> Arc<Settings> {
    let playout: Playout = serde_json::from_value(serde_json::json!({
        "about": {"title": "Test"}, "origins": [origin.to_string()], "sourcePassword": password,
        "outputs": [], "playlists": []
    }))
    .unwrap();
    Arc::new(Settings {
        playout,
        previous_password: previous.map(str::to_owned),
    })
}

/// The way from the intake to `origin`, of one output.
async fn play(origin: SocketAddr, password: &str, path: &str, codec: Codec) -> Playing {
    let config = config::Output {
        path: path.to_owned(),
        codec,
        bitrate_kbps: 64,
    };
    let outputs: Outputs = Arc::new(BTreeMap::from([(path.to_owned(), Arc::new(Output::new(config)))]));
    let (sender, receiver) = watch::channel(settings(origin, password, None));
    let metrics = Metrics::default();
    tokio::spawn(origins::feed_all(Arc::clone(&outputs), receiver, metrics.clone()));
    let line = Line {
        origin: origin.to_string(),
        output: path.to_owned(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let intake = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, intake::routes(outputs)).into_future());
    Playing {
        intake,
        metrics,
        line,
        settings: sender,
    }
}

/// A connection as Liquidsoap makes it.
async fn liquidsoap(intake: SocketAddr, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(intake).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: x/y\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket
}

async fn chunk(socket: &mut TcpStream, bytes: &[u8]) {
    let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    socket.write_all(&framed).await.unwrap();
}

/// Sends a file slowly enough for Icecast to take it page by page.
async fn paced(socket: &mut TcpStream, file: &[u8]) {
    for piece in file.chunks(400) {
        chunk(socket, piece).await;
        sleep(Duration::from_millis(10)).await;
    }
}

/// A listener, past the answer's head.
async fn listener(origin: SocketAddr, path: &str) -> TcpStream {
    let mut answered = None;
    until("the mount point is there", async || {
        let mut socket = TcpStream::connect(origin).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        answered = head.starts_with(b"HTTP/1.0 200").then_some(socket);
        answered.is_some()
    })
    .await;
    answered.unwrap()
}

/// Reads until `framer` has found `count` units.
async fn hear(socket: &mut TcpStream, framer: &mut Framer, count: usize) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut bytes = vec![0; 4096];
    while units.len() < count {
        let read = timeout(PATIENCE, socket.read(&mut bytes))
            .await
            .expect("heard nothing")
            .unwrap();
        assert!(
            read > 0,
            "Icecast dropped the listener after {} of {count} units",
            units.len()
        );
        units.extend(framer.push(&bytes[..read]));
    }
    units
}

fn audio(units: &[Unit]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.bytes.to_vec()).collect()
}

#[tokio::test]
async fn a_dying_liquidsoap_is_a_gap_and_no_more() {
    let Some(icecast) = icecast("hush").await else {
        return;
    };
    let playing = play(icecast.address, "hush", "/live.opus", Codec::Opus).await;
    let cut = &OPUS[..OPUS.len() - 300];
    let (file, cut_file) = (
        Framer::of(Container::Ogg).push(OPUS),
        Framer::of(Container::Ogg).push(cut),
    );

    let mut first = liquidsoap(playing.intake, "/live.opus").await;
    paced(&mut first, OPUS).await;
    let mut socket = listener(icecast.address, "/live.opus").await;
    // It dies in the middle of a page, and comes back from the start.
    paced(&mut first, cut).await;
    drop(first);
    let mut second = liquidsoap(playing.intake, "/live.opus").await;
    paced(&mut second, OPUS).await;
    // Icecast holds some pages back until more come.
    paced(&mut second, OPUS).await;

    let mut framer = Framer::of(Container::Ogg);
    let until_death = file.len() + cut_file.len();
    let heard = hear(&mut socket, &mut framer, until_death + file.len()).await;
    let (before, after) = heard.split_at(until_death);
    assert!(
        audio(before) == [audio(&file), audio(&cut_file)].concat(),
        "whole pages, unchanged"
    );
    assert!(
        audio(&after[..file.len()]) == audio(&file),
        "whole pages, unchanged"
    );
    assert_eq!(after[0].link.headers, file[0].link.headers, "they came again");
    assert!(!Arc::ptr_eq(&after[0].link, &before[until_death - 1].link));
    assert_eq!(framer.skipped(), 0, "no half page was heard");
    assert_eq!(playing.connects(), 1, "Icecast never noticed");
}

#[tokio::test]
async fn a_restarted_icecast_is_found_again() {
    let Some(mut icecast) = icecast("hush").await else {
        return;
    };
    let playing = play(icecast.address, "hush", "/live.mp3", Codec::Mp3).await;
    let frame = [[0xff, 0xfb, 0x90, 0x00].as_slice(), &[7; 413]].concat();
    let mut fed = liquidsoap(playing.intake, "/live.mp3").await;
    let feeding = tokio::spawn(async move {
        loop {
            chunk(&mut fed, &frame).await;
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut socket = listener(icecast.address, "/live.mp3").await;
    hear(&mut socket, &mut Framer::of(Container::Mp3), 20).await;

    icecast.process.kill().unwrap();
    icecast.process.wait().unwrap();
    // It comes back with another password, which the agent learns later.
    playing
        .settings
        .send_replace(settings(icecast.address, "wrong", Some("hush")));
    icecast.process = start(icecast.address, icecast.directory.path(), "hush")
        .await
        .unwrap();
    let mut socket = listener(icecast.address, "/live.mp3").await;
    hear(&mut socket, &mut Framer::of(Container::Mp3), 20).await;
    assert_eq!(
        playing.connects(),
        2,
        "taken again, with the password before this one"
    );
    feeding.abort();
}

#[tokio::test]
async fn a_stuck_origin_stops_nobody() {
    let Some(icecast) = icecast("hush").await else {
        return;
    };
    let stuck = TcpSocket::new_v4().unwrap();
    stuck.set_recv_buffer_size(4096).unwrap();
    stuck.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let stuck = stuck.listen(1).unwrap();
    let stuck_line = Line {
        origin: stuck.local_addr().unwrap().to_string(),
        output: "/live.mp3".to_owned(),
    };
    let playing = play(icecast.address, "hush", "/live.mp3", Codec::Mp3).await;
    let mut both = (*settings(icecast.address, "hush", None)).clone();
    both.playout.origins.push(stuck_line.origin.clone());
    playing.settings.send_replace(Arc::new(both));
    let frame = [[0xff, 0xfb, 0x90, 0x00].as_slice(), &[7; 413]].concat();
    let burst = frame.repeat(64);

    let mut fed = liquidsoap(playing.intake, "/live.mp3").await;
    chunk(&mut fed, &burst).await;
    let (mut taken, _) = stuck.accept().await.unwrap();
    taken.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
    let mut socket = listener(icecast.address, "/live.mp3").await;
    let mut framer = Framer::of(Container::Mp3);
    hear(&mut socket, &mut framer, 32).await;
    // It takes the source and then reads nothing at all, for longer than its backlog lasts.
    let sent = playing.metrics.sent.get_or_create(&stuck_line).clone();
    let mut before = (u64::MAX, 0);
    until("the stuck origin is far behind", async || {
        chunk(&mut fed, &burst).await;
        hear(&mut socket, &mut framer, 60).await;
        before = if sent.get() == before.0 {
            (before.0, before.1 + 1)
        } else {
            (sent.get(), 0)
        };
        before.1 > 20
    })
    .await;
    assert_eq!(
        playing.metrics.lost.get_or_create(&playing.line).get(),
        0,
        "the other lost nothing"
    );
    assert_eq!(playing.connects(), 1);

    // It reads again: some units are missing, and none is half.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(taken.read_u8().await.unwrap());
    }
    let lost = playing.metrics.lost.get_or_create(&stuck_line).clone();
    let mut late = Framer::of(Container::Mp3);
    until("the loss is counted", async || {
        hear(&mut taken, &mut late, 1).await;
        lost.get() > 0
    })
    .await;
    chunk(&mut fed, &burst).await;
    hear(&mut taken, &mut late, 32).await;
    assert_eq!(late.skipped(), 0);
}
