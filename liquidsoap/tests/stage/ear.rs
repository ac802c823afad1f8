//! An origin that takes two outputs: listens to the MP3, reads the titles of both.

use std::fmt;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingest::api::Container;
use ingest::framing::Framer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

const TONES: [u16; 5] = [220, 330, 440, 550, 880];
const RATE: f64 = 8000.0;
/// 50 ms.
const WINDOW: u16 = 400;
const WINDOW_TIME: Duration = Duration::from_millis(50);
/// So many windows in a row are a tone, fewer may be an encoder's edge.
const SURE: usize = 3;

/// What was heard when; 0 is silence.
type Heard = Vec<(Instant, u16)>;

pub struct Ear {
    pub address: SocketAddr,
    heard: watch::Receiver<Heard>,
    titles: watch::Receiver<[Option<String>; 2]>,
    decoder: Child,
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.decoder.kill();
        let _ = self.decoder.wait();
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heard = self.heard.borrow();
        let Some((began, _)) = heard.first() else {
            return write!(f, "nothing was heard");
        };
        let mut last = None;
        for (at, tone) in heard.iter() {
            if last != Some(tone) {
                write!(f, "{:.2} s: {tone}; ", at.duration_since(*began).as_secs_f64())?;
            }
            last = Some(tone);
        }
        write!(f, "now titled {:?}", self.titles.borrow())
    }
}

impl Ear {
    pub async fn open() -> Self {
        let mut decoder = Command::new("ffmpeg")
            .args([
                "-v",
                "quiet",
                "-fflags",
                "nobuffer",
                "-probesize",
                "2048",
                "-analyzeduration",
                "0",
                "-f",
                "mp3",
            ])
            .args([
                "-i",
                "-",
                "-ac",
                "1",
                "-ar",
                "8000",
                "-f",
                "s16le",
                "-flush_packets",
                "1",
                "-",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, heard) = watch::channel(Heard::new());
        let mut pcm = decoder.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut window = [0; WINDOW as usize * 2];
            while pcm.read_exact(&mut window).is_ok() {
                let tone = tone(&window);
                tell.send_modify(|heard| heard.push((Instant::now(), tone)));
            }
        });
        let into = Arc::new(Mutex::new(decoder.stdin.take().unwrap()));
        let (title, titles) = watch::channel([None, None]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(take(socket, Arc::clone(&into), title.clone()));
            }
        });
        Self {
            address,
            heard,
            titles,
            decoder,
        }
    }

    pub async fn hears(&self, tone: u16, after: Instant, within: Duration) -> Instant {
        let mut heard = self.heard.clone();
        let first = |heard: &Heard| {
            let since = heard.partition_point(|(at, _)| *at < after);
            let sure = heard[since..]
                .windows(SURE)
                .find(|windows| windows.iter().all(|(_, other)| *other == tone));
            sure.map(|windows| windows[0].0)
        };
        let found = timeout(within, heard.wait_for(|heard| first(heard).is_some())).await;
        first(
            &found
                .unwrap_or_else(|_| panic!("{tone} Hz was not heard within {within:?}"))
                .unwrap(),
        )
        .unwrap()
    }

    pub async fn is_titled(&self, title: &str, within: Duration) {
        let mut titles = self.titles.clone();
        let both = titles.wait_for(|titles| titles.iter().all(|told| told.as_deref() == Some(title)));
        assert!(
            timeout(within, both).await.is_ok(),
            "not titled {title:?}: {:?}",
            self.titles.borrow()
        );
    }

    pub fn silence(&self) -> Duration {
        let heard = self.heard.borrow();
        let silent = heard.iter().filter(|(_, tone)| *tone == 0).count();
        WINDOW_TIME * u32::try_from(silent).unwrap()
    }

    pub fn flips(&self, began: Instant, every: Duration, tones: [u16; 2]) -> Vec<Duration> {
        let heard = self.heard.borrow();
        let late = |flip: usize| {
            let sent = began + every * u32::try_from(flip).unwrap();
            let is_it = |windows: &&[(Instant, u16)]| {
                windows[0].0 >= sent && windows.iter().all(|(_, tone)| *tone == tones[flip % 2])
            };
            let first = heard.windows(SURE).find(is_it)?;
            let late = first[0].0.duration_since(sent);
            // Otherwise it is one of the next.
            (late < every * 2).then_some(late)
        };
        (1..).map_while(late).collect()
    }
}

async fn take(socket: TcpStream, into: Arc<Mutex<ChildStdin>>, titles: watch::Sender<[Option<String>; 2]>) {
    let mut socket = BufReader::new(socket);
    let mut request = String::new();
    socket.read_line(&mut request).await.unwrap();
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    if let Some((_, told)) = request.split_once("&song=") {
        let song = decoded(told.split(' ').next().unwrap());
        titles.send_modify(|titles| titles[0] = Some(song));
        return;
    }
    let is_mp3 = request.contains("/live.mp3");
    let (mut pages, mut bytes) = (Framer::of(Container::Ogg), vec![0; 4096]);
    while let Ok(count @ 1..) = socket.read(&mut bytes).await {
        if is_mp3 {
            into.lock().unwrap().write_all(&bytes[..count]).unwrap();
            continue;
        }
        for unit in pages.push(&bytes[..count]) {
            let told = unit.link.title.clone().unwrap_or_default();
            titles.send_if_modified(|titles| titles[1].replace(told.clone()) != Some(told));
        }
    }
}

fn decoded(song: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = song.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Goertzel.
fn tone(window: &[u8]) -> u16 {
    let samples: Vec<f64> = window
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    if samples.iter().map(|sample| sample * sample).sum::<f64>() / f64::from(WINDOW) < 10_000.0 {
        return 0;
    }
    let power = |tone: u16| {
        let turn = 2.0 * (2.0 * std::f64::consts::PI * f64::from(tone) / RATE).cos();
        let (a, b) = samples
            .iter()
            .fold((0.0, 0.0), |(a, b), sample| (sample + turn * a - b, a));
        a * a + b * b - turn * a * b
    };
    TONES
        .into_iter()
        .max_by(|a, b| power(*a).total_cmp(&power(*b)))
        .unwrap()
}
