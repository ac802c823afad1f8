//! A pod without a cluster: tapes, playout-agent, Liquidsoap, and an origin that listens.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ports;
use ingest::api::Container;
use ingest::config::{Credential, Ingest, Input, Reader, Routing};
use ingest::desk::{self, Desk};
use ingest::framing::Framer;
use ingest::tape::{Shelf, Writer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, MutexGuard, oneshot, watch};
use tokio::task::JoinHandle;

mod ear;
use ear::Ear;

/// What a source sends.
pub const DJ: u16 = 880;
/// What it sends in between, or another does.
pub const OTHER: u16 = 550;
/// What is on the list.
pub const PLAYLIST: u16 = 330;

const FLIP: f64 = 2.0;
const PATIENCE: Duration = Duration::from_secs(20);
/// SHA-256 of `hush`.
const HUSH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";

/// Two Liquidsoaps on two cores would wait for each other.
static ALONE: Mutex<()> = Mutex::const_new(());

pub struct Stage {
    directory: tempfile::TempDir,
    shelf: Arc<Shelf>,
    config: watch::Receiver<Arc<Ingest>>,
    _told: watch::Sender<Arc<Ingest>>,
    ingest: SocketAddr,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    ports: [u16; 5],
    agent: Child,
    engine: Child,
    ear: Ear,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // TERM, so that it takes Liquidsoap with it.
        let engine = rustix::process::Pid::from_child(&self.engine);
        let _ = rustix::process::kill_process(engine, rustix::process::Signal::TERM);
        let _ = self.engine.wait();
        let _ = self.agent.kill();
        let _ = self.agent.wait();
        if std::thread::panicking() {
            for log in ["agent.log", "engine.log"] {
                println!(
                    "--- {log}\n{}",
                    fs::read_to_string(self.directory.path().join(log)).unwrap()
                );
            }
            println!("{:?}", self.ear);
        }
    }
}

impl Stage {
    /// `None`, with a word why, where there is nothing to run it with.
    pub async fn open() -> Option<Self> {
        let version = Command::new("liquidsoap").arg("--version").output();
        let version = version.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
        if !version.as_ref().is_ok_and(|said| said.contains("Liquidsoap 2.")) {
            println!("not run here: no Liquidsoap 2 on PATH: {version:?}");
            return None;
        }
        let alone = ALONE.lock().await;
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().to_owned();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["secret", "run", "tapes", "playlists", "playlists/day"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        let song = encoded(
            PLAYLIST,
            60.0,
            "-c:a libvorbis -metadata artist=Somebody -metadata title=Song -f ogg",
        );
        fs::write(at.join("playlists/day/song.ogg"), song).unwrap();
        for name in ["radio.liq", "emergency.ogg"] {
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), at.join(name)).unwrap();
        }

        let ear = Ear::open().await;
        let (told, config) = watch::channel(Arc::new(Ingest {
            readers: vec![Reader {
                name: "playout/live".to_owned(),
                sha256: HUSH.to_owned(),
                mounts: Some(vec!["live".to_owned()]),
            }],
            ..Ingest::default()
        }));
        let [ingest] = ports::free().unwrap();
        fs::write(at.join("secret/playout.json"), secret(&at, ear.address, ingest)).unwrap();
        let ports = ports::free().unwrap().map(|free| free.port());
        let mut stage = Self {
            shelf: Shelf::open(&at.join("tapes"), "boot").unwrap(),
            config,
            _told: told,
            ingest,
            serving: None,
            ports,
            agent: agent(&at, ports),
            engine: engine(&at),
            ear,
            directory,
            _alone: alone,
        };
        stage.ingest_comes().await;
        stage.ear.hears(PLAYLIST, Instant::now(), PATIENCE).await;
        Some(stage)
    }

    pub fn source(&self, place: u16, container: Container) -> Dj {
        let credential = Credential {
            user: "source".to_owned(),
            sha256: HUSH.to_owned(),
            routing: Routing::Live,
            show: None,
            turns: Vec::new(),
        };
        let input = Input {
            mount: "live".to_owned(),
            name: place.to_string(),
            path: format!("/live/{place}"),
            priority: place,
            accepts: None,
            credentials: vec![credential.clone()],
        };
        Dj {
            writer: self.shelf.begin(&input, &credential, container),
            container,
        }
    }

    /// When this tone was first heard, from now on.
    pub async fn hears(&self, tone: u16, within: Duration) -> Instant {
        self.ear.hears(tone, Instant::now(), within).await
    }

    pub async fn hears_after(&self, tone: u16, after: Instant, within: Duration) -> Instant {
        self.ear.hears(tone, after, within).await
    }

    pub async fn is_titled(&self, title: &str) {
        self.ear.is_titled(title, PATIENCE).await;
    }

    pub fn silence(&self) -> Duration {
        self.ear.silence()
    }

    /// How late each flip was heard of a stream that began then.
    pub fn flips(&self, began: Instant) -> Vec<Duration> {
        self.ear.flips(began, Duration::from_secs_f64(FLIP), [DJ, OTHER])
    }

    pub fn kill_liquidsoap(&self) {
        let parent = self.engine.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let child = children.split_whitespace().next().unwrap().parse().unwrap();
        let child = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    }

    pub fn agent_starts_again(&mut self) {
        self.agent.kill().unwrap();
        self.agent.wait().unwrap();
        self.agent = agent(self.directory.path(), self.ports);
    }

    pub async fn ingest_goes(&mut self) {
        if let Some((stop, serving)) = self.serving.take() {
            stop.send(()).unwrap();
            serving.await.unwrap();
        }
    }

    pub async fn ingest_comes(&mut self) {
        let listener = TcpListener::bind(self.ingest).await.unwrap();
        let desk = Desk::new(Arc::clone(&self.shelf), self.config.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            desk::serve(listener, desk, stopped).await.unwrap();
        });
        self.serving = Some((stop, serving));
    }
}

fn secret(at: &Path, origin: SocketAddr, ingest: SocketAddr) -> String {
    serde_json::json!({
        "about": {"title": "Test"}, "origins": [origin.to_string()], "sourcePassword": "hush",
        "outputs": [
            {"path": "/live.mp3", "codec": "mp3", "bitrateKbps": 128},
            {"path": "/live.opus", "codec": "opus", "bitrateKbps": 96},
        ],
        "playlists": [{"name": "day", "mode": "inOrder", "directory": at.join("playlists/day")}],
        "inputs": [{"name": "studio", "path": "/live/0"}, {"name": "mobile", "path": "/live/1"}],
        "tape": {"addresses": [ingest.to_string()], "token": "hush"},
    })
    .to_string()
}

fn agent(at: &Path, [intake, next, control, harbor, health]: [u16; 5]) -> Child {
    let local = |port: u16| format!("127.0.0.1:{port}");
    program(at, "agent.log")
        .arg("serve")
        .arg("--mounted")
        .arg(at.join("secret"))
        .arg("--run-dir")
        .arg(at.join("run"))
        .arg("--playlists-dir")
        .arg(at.join("playlists"))
        .args(["--intake", &local(intake), "--next", &local(next)])
        .args(["--control", &local(control), "--harbor", &local(harbor)])
        .args(["--health", &local(health)])
        .spawn()
        .unwrap()
}

fn engine(at: &Path) -> Child {
    program(at, "engine.log")
        .env("RADIO_EMERGENCY", at.join("emergency.ogg"))
        .arg("liquidsoap")
        .arg("--run-dir")
        .arg(at.join("run"))
        .arg("--script")
        .arg(at.join("radio.liq"))
        .spawn()
        .unwrap()
}

fn program(at: &Path, log: &str) -> Command {
    let log = fs::File::options()
        .append(true)
        .create(true)
        .open(at.join(log))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_playout-agent"));
    command
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("RADIO_LOG", "text");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command
}

/// A source, at the pace of its media.
pub struct Dj {
    writer: Writer,
    container: Container,
}

impl Dj {
    pub async fn send(&mut self, stream: &[u8]) {
        let began = Instant::now();
        let (mut sent, mut played) = (0, Duration::ZERO);
        for unit in Framer::of(self.container).push(stream) {
            // An encoder has a page when all of it was played.
            played += unit.duration;
            tokio::time::sleep_until((began + played).into()).await;
            let end = usize::try_from(unit.at).unwrap() + unit.bytes.len();
            self.writer.append(&stream[sent..end]);
            sent = end;
        }
        self.writer.append(&stream[sent..]);
    }

    pub fn title(&mut self, title: &str) {
        self.writer.title(title);
    }

    pub fn leave(self) {
        self.writer.end("the source left");
    }
}

/// A tone as ffmpeg encodes it.
pub fn encoded(tone: u16, seconds: f64, how: &str) -> Vec<u8> {
    made(&format!("sine={tone}:r=48000:d={seconds}"), how)
}

/// [`DJ`] and [`OTHER`] in turn.
pub fn flipping(seconds: f64, how: &str) -> Vec<u8> {
    let tone = format!("({DJ}+({OTHER}-{DJ})*mod(floor(t/{FLIP})\\,2))");
    made(
        &format!("aevalsrc=0.3*sin(2*PI*t*{tone}):s=48000:d={seconds}"),
        how,
    )
}

fn made(source: &str, how: &str) -> Vec<u8> {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source, "-ac", "2"])
        .args(how.split(' '))
        .arg("-")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}
