//! An ingest's tape in this process, written by the test: every byte of it is known, and it can be spoiled.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::twin::Rules;
use ingest::api::Container;
use ingest::config::{Credential, Ingest, Input, Routing};
use ingest::desk::{self, Desk};
use ingest::tape::{Keeper, Shelf, Writer, keep};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{RECORDING, Stage, TOKEN, reader};
use crate::frames::{FRAME, Mp3};

/// No two shows are alike.
static SHOWS: AtomicU64 = AtomicU64::new(0);
/// Bytes a second of what [`Mp3`] makes.
const BYTES_A_SECOND: usize = 16_000;

/// A [`Stage`] with a tape.
pub struct Tape {
    stage: Stage,
    pub shelf: Arc<Shelf>,
    config: watch::Sender<Arc<Ingest>>,
    desk: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _keeper: Keeper,
}

impl Deref for Tape {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Tape {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Tape {
    pub async fn new() -> Self {
        Self::with(Rules::R2, "r2").await
    }

    pub async fn with(rules: Rules, profile: &str) -> Self {
        let stage = Stage::new(rules, profile).await;
        let shelf = Shelf::open(&stage.dir.path().join("tapes"), "a boot").unwrap();
        let told = Ingest {
            readers: vec![reader(RECORDING, TOKEN)],
            tape_cap_bytes: 1 << 40,
            ..Ingest::default()
        };
        let (config, told) = watch::channel(Arc::new(told));
        let mut tape = Self {
            _keeper: keep(&shelf, told, watch::channel(true).1).unwrap(),
            stage,
            shelf,
            config,
            desk: None,
        };
        tape.open_desk().await;
        tape
    }

    pub async fn open_desk(&mut self) {
        let listener = TcpListener::bind(self.stage.desk).await.unwrap();
        let desk = Desk::new(Arc::clone(&self.shelf), self.config.subscribe());
        let (close, closed) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            desk::serve(listener, desk, async { drop(closed.await) })
                .await
                .unwrap();
        });
        self.desk = Some((close, serving));
    }

    pub async fn close_desk(&mut self) {
        let (close, serving) = self.desk.take().unwrap();
        drop(close);
        serving.await.unwrap();
    }

    /// Another Recording begins where this one ended: its name and its token are its own.
    pub fn hand_over_to(&mut self, recording: &str) {
        let token = format!("token of {recording}");
        self.config.send_modify(|told| {
            let mut next = Ingest::clone(told);
            next.readers = vec![reader(recording, &token)];
            *told = Arc::new(next);
        });
        self.recording["name"] = recording.into();
        self.recording["tape"]["token"] = token.into();
    }

    /// The folder of a session on the tape.
    pub fn session(&self, show: &Show) -> PathBuf {
        self.dir.path().join("tapes/sessions").join(&show.id)
    }

    pub fn begin(&self, routing: Routing) -> Show {
        self.begin_at("studio", 0, routing)
    }

    pub fn begin_at(&self, input: &str, priority: u16, routing: Routing) -> Show {
        let input = Input {
            mount: "main".to_owned(),
            name: input.to_owned(),
            path: format!("/main/{input}"),
            priority,
            accepts: None,
            credentials: Vec::new(),
        };
        let credential = Credential {
            user: "source".to_owned(),
            sha256: String::new(),
            routing,
            show: None,
            turns: Vec::new(),
        };
        let writer = self.shelf.begin(&input, &credential, Container::Mp3);
        Show {
            id: writer.session().id().to_owned(),
            audio: Mp3::new(SHOWS.fetch_add(1, Ordering::Relaxed)),
            writer: Some(writer),
            sent: Vec::new(),
        }
    }
}

/// A source, and everything it sent.
pub struct Show {
    pub id: String,
    pub sent: Vec<u8>,
    audio: Mp3,
    writer: Option<Writer>,
}

impl Show {
    /// Sends so many seconds of audio at once, in pieces as they come from sockets.
    pub fn send(&mut self, seconds: usize) {
        let bytes = self.audio.frames(seconds * BYTES_A_SECOND / FRAME);
        for piece in bytes.chunks(1_400) {
            self.writer().append(piece);
        }
        self.sent.extend(bytes);
    }

    /// Sends so many hours of speech at once.
    pub fn send_hours(&mut self, hours: usize) {
        for _ in 0..hours {
            let bytes = self.audio.small_frames(50_000);
            for piece in bytes.chunks(64 << 10) {
                self.writer().append(piece);
            }
            self.sent.extend(bytes);
        }
    }

    /// Sends it over time: `speed` seconds of audio a second.
    pub async fn play(&mut self, seconds: usize, speed: usize) {
        for _ in 0..seconds.div_ceil(speed) * 5 {
            self.send(speed.div_ceil(5));
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().unwrap()
    }

    pub fn end(&mut self) {
        self.writer.take().unwrap().end("the source said goodbye");
    }
}
