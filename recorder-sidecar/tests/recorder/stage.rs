//! An ingest with its tapes in this process, a store behind a twin of R2, and the recorder's processes.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::install::golang;
use e2e::steps::Progress;
use e2e::twin::{Key, Rules, Twin, VersityGw};
use futures::TryStreamExt;
use ingest::api::Container;
use ingest::config::{Credential, Ingest, Input, Reader, Routing, TapeAccess};
use ingest::desk::{self, Desk};
use ingest::tape::{Keeper, Shelf, Writer, keep};
use jiff::Timestamp;
use recorder::config::{ACCESS_KEY_ID, RECORDING_KEY, Recording, SECRET_ACCESS_KEY};
use recorder::manifest::{MANIFEST_KEY, Manifest, SEGMENTS, parse_segment_key};
use recorder::store::Store;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::audio::{FRAME, Mp3};

const BUCKET: &str = "shows";
pub const TOKEN: &str = "recorder's token";
/// No two shows are alike.
static SHOWS: AtomicU64 = AtomicU64::new(0);
/// Longer than any of these shows takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

pub struct Stage {
    pub twin: Twin,
    pub versity: VersityGw,
    pub shelf: Arc<Shelf>,
    pub recording: serde_json::Value,
    pub key: Key,
    config: watch::Sender<Arc<Ingest>>,
    _keeper: Keeper,
    desk: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    pub desk_address: SocketAddr,
    dir: TempDir,
    health: [SocketAddr; 2],
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(Rules::R2, "r2").await
    }

    pub async fn with(rules: Rules, profile: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let versity = VersityGw::start(program().await).await.unwrap();
        let twin = Twin::start(loopback(), versity.backend().unwrap(), rules).unwrap();
        // As versitygw keeps them on its disk.
        let mut admin = versity.key().clone();
        admin.admin = true;
        twin.keys().put(admin);
        let key = Key::new("dj", "a secret of forty characters, more or less");
        twin.keys().put(key.clone());
        make_bucket(&versity).await;
        let shelf = Shelf::open(&dir.path().join("tapes"), "a boot").unwrap();
        let reader = Reader {
            name: "recording/show".to_owned(),
            sha256: recorder::store::hex(&Sha256::digest(TOKEN)),
            mounts: Some(vec!["main".to_owned()]),
        };
        let told = Ingest {
            readers: vec![reader],
            tape_cap_bytes: 1 << 40,
            ..Ingest::default()
        };
        let (config, told) = watch::channel(Arc::new(told));
        let desk_address = free_port().await;
        let access = TapeAccess {
            addresses: vec![desk_address.to_string()],
            token: TOKEN.to_owned(),
        };
        let recording = serde_json::json!({
            "name": "show", "namespace": "radio", "station": "rfx", "mount": "main", "title": "The Show",
            "window": { "from": Timestamp::now() }, "idleEndSeconds": 2, "maxLengthSeconds": 21_600, "tape": access,
            "store": { "endpoint": twin.endpoint(), "bucket": BUCKET, "prefix": "archive", "profile": profile },
        });
        let mut stage = Self {
            _keeper: keep(&shelf, told).unwrap(),
            twin,
            versity,
            shelf,
            recording,
            config,
            key,
            desk: None,
            desk_address,
            dir,
            health: [free_port().await, free_port().await],
        };
        stage.write_keys(&stage.key.clone());
        stage.tell();
        stage.open_desk().await;
        stage
    }

    /// Writes the Recording's Secret as it is now.
    pub fn tell(&self) {
        let dir = self.dir.path().join("recording");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(".new"), serde_json::to_vec(&self.recording).unwrap()).unwrap();
        fs::rename(dir.join(".new"), dir.join(RECORDING_KEY)).unwrap();
    }

    pub fn write_keys(&self, key: &Key) {
        let dir = self.dir.path().join("keys");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(ACCESS_KEY_ID), &key.access_key).unwrap();
        fs::write(dir.join(SECRET_ACCESS_KEY), &key.secret_key).unwrap();
    }

    pub async fn open_desk(&mut self) {
        let listener = TcpListener::bind(self.desk_address).await.unwrap();
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

    pub fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn tapes(&self) -> PathBuf {
        self.dir.path().join("tapes")
    }

    pub fn capture(&self) -> Child {
        self.capture_with_cap(1 << 40)
    }

    pub fn capture_with_cap(&self, cap: u64) -> Child {
        self.run("capture", |command| {
            command
                .arg("--spool-cap")
                .arg(cap.to_string())
                .arg("--health")
                .arg(self.health[0].to_string())
        })
    }

    pub fn ship(&self) -> Child {
        self.run("ship", |command| {
            let keys = self.dir.path().join("keys");
            command
                .arg("--credentials")
                .arg(keys)
                .arg("--health")
                .arg(self.health[1].to_string())
        })
    }

    /// Both again, on another node.
    pub fn elsewhere(&self) -> [Child; 2] {
        let spool = self.dir.path().join("elsewhere");
        ["capture", "ship"].map(|role| {
            self.run_in(&spool, role, |command| {
                let command = command.arg("--health").arg("127.0.0.1:0");
                match role {
                    "ship" => command.arg("--credentials").arg(self.dir.path().join("keys")),
                    _ => command.arg("--spool-cap").arg("1000000000"),
                }
            })
        })
    }

    fn run(&self, role: &str, more: impl FnOnce(&mut Command) -> &mut Command) -> Child {
        self.run_in(&self.spool(), role, more)
    }

    fn run_in(&self, spool: &Path, role: &str, more: impl FnOnce(&mut Command) -> &mut Command) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command
            .arg(role)
            .arg("--mounted")
            .arg(self.dir.path().join("recording"))
            .arg("--spool")
            .arg(spool);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        more(&mut command)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// What the processes said, for a test that failed.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let from = log.len().saturating_sub(6_000);
        log.get(from..).unwrap_or(&log).to_owned()
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
        };
        let writer = self.shelf.begin(&input, &credential, Container::Mp3);
        Show {
            id: writer.session().id().to_owned(),
            audio: Mp3::new(SHOWS.fetch_add(1, Ordering::Relaxed)),
            writer: Some(writer),
            sent: Vec::new(),
        }
    }

    pub fn store(&self) -> Store {
        let mut told = self.recording.clone();
        told["store"]["endpoint"] = self.versity.endpoint().into();
        told["store"]["profile"] = "generic".into();
        told["store"]["region"] = "us-east-1".into();
        let recording = Recording::parse(&serde_json::to_vec(&told).unwrap()).unwrap();
        let keys = self.dir.path().join("root");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join(ACCESS_KEY_ID), &self.versity.key().access_key).unwrap();
        fs::write(keys.join(SECRET_ACCESS_KEY), &self.versity.key().secret_key).unwrap();
        Store::open(&recording, &keys)
    }

    /// As ship has it.
    pub fn recorders_store(&self) -> Store {
        let recording = Recording::parse(self.recording.to_string().as_bytes()).unwrap();
        Store::open(&recording, &self.dir.path().join("keys"))
    }

    /// Waits for ship to end by itself.
    pub async fn over(&self, ship: &mut Child) {
        match timeout(PATIENCE, ship.wait()).await {
            Ok(status) => assert!(status.unwrap().success(), "{}", self.log()),
            Err(late) => panic!("ship does not end, {late}:\n{}", self.log()),
        }
    }

    pub async fn manifest(&self) -> Manifest {
        let text = self
            .store()
            .read(MANIFEST_KEY, 1 << 30)
            .await
            .unwrap()
            .expect("a manifest");
        serde_json::from_slice(&text).unwrap()
    }

    /// By session: the bytes that are in the bucket, each at its offset, and how many are there twice.
    pub async fn bucket(&self) -> BTreeMap<String, (BTreeMap<u64, Vec<u8>>, u64)> {
        let store = self.store();
        let objects: Vec<_> = store.list(SEGMENTS).try_collect().await.unwrap();
        let mut sessions: BTreeMap<String, (BTreeMap<u64, Vec<u8>>, u64)> = BTreeMap::new();
        for object in objects {
            let (session, range) = parse_segment_key(&object.key).unwrap();
            let bytes = store.read(&object.key, 1 << 30).await.unwrap().unwrap();
            assert_eq!(bytes.len() as u64, range.bytes(), "{}", object.key);
            let (all, doubled) = sessions.entry(session.to_owned()).or_default();
            let last_end = all
                .last_key_value()
                .map_or(0, |(from, bytes)| from + bytes.len() as u64);
            *doubled += last_end.saturating_sub(range.from);
            all.insert(range.from, bytes.to_vec());
        }
        sessions
    }

    /// The oracle: what was sent against what is in the bucket. Returns the holes.
    pub async fn compare(&self, shows: &[&Show]) -> Vec<(u64, u64)> {
        let mut bucket = self.bucket().await;
        let (mut lost, mut doubled, mut sent, mut holes) = (0, 0, 0, Vec::new());
        for show in shows {
            let (segments, twice) = bucket.remove(&show.id).unwrap_or_default();
            doubled += twice;
            sent += show.sent.len() as u64;
            let mut at = 0;
            for (from, bytes) in &segments {
                if *from > at {
                    holes.push((at, *from));
                    lost += from - at;
                }
                let to = from + bytes.len() as u64;
                let expected = &show.sent[usize::try_from(*from).unwrap()..usize::try_from(to).unwrap()];
                assert!(
                    bytes == expected,
                    "{}: bytes {from}..{to} are others\n{}",
                    show.id,
                    self.log()
                );
                at = to;
            }
            let end = show.sent.len() as u64;
            if at < end {
                holes.push((at, end));
                lost += end - at;
            }
        }
        println!(
            "{} sessions, {sent} bytes sent: {lost} lost, {doubled} doubled",
            shows.len()
        );
        assert_eq!(doubled, 0, "{}", self.log());
        assert!(
            bucket.is_empty(),
            "sessions that do not belong: {:?}",
            bucket.keys()
        );
        holes
    }

    pub async fn nothing_is_lost(&self, shows: &[&Show]) {
        let holes = self.compare(shows).await;
        assert!(holes.is_empty(), "{holes:?}\n{}", self.log());
        let manifest = self.manifest().await;
        assert!(manifest.over.is_some());
        for show in shows {
            let taped = manifest
                .sessions
                .iter()
                .find(|taped| taped.session.id == show.id)
                .unwrap();
            assert_eq!(taped.end, Some(show.sent.len() as u64));
            assert_eq!(taped.lost, []);
            let told: u64 = taped.segments.iter().map(|segment| segment.range.bytes()).sum();
            assert_eq!(told, show.sent.len() as u64, "the manifest tells of all segments");
        }
    }

    /// `GET /v1/state` of capture (0) or ship (1).
    pub async fn state(&self, process: usize) -> Option<serde_json::Value> {
        let answer = self.get(process, "/v1/state").await?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    pub async fn get(&self, process: usize, path: &str) -> Option<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut socket = tokio::net::TcpStream::connect(self.health[process]).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} does not come to hold:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Bytes of a session that are in the spool.
    pub fn captured(&self, show: &Show) -> u64 {
        let path = self.spool().join(&show.id).join("synced");
        let synced: Option<serde_json::Value> = fs::read(path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        synced.and_then(|synced| synced["tape"].as_u64()).unwrap_or(0)
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
        let bytes = self.audio.frames(seconds * 16_000 / FRAME);
        for piece in bytes.chunks(1_400) {
            self.writer.as_mut().unwrap().append(piece);
        }
        self.sent.extend(bytes);
    }

    /// Sends so many hours of speech at once.
    pub fn send_hours(&mut self, hours: usize) {
        for _ in 0..hours {
            let bytes = self.audio.small_frames(50_000);
            for piece in bytes.chunks(64 << 10) {
                self.writer.as_mut().unwrap().append(piece);
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

pub async fn kill(child: &mut Child) {
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub async fn free_port() -> SocketAddr {
    TcpListener::bind(loopback()).await.unwrap().local_addr().unwrap()
}

/// versitygw keeps each bucket as a folder: one is made as its client would.
async fn make_bucket(versity: &VersityGw) {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    let key = versity.key();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(versity.endpoint())
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            &key.access_key,
            &key.secret_key,
            None,
            None,
            "test",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(config)
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
}

async fn program() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_init(|| async {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/go");
            golang::ensure(&sources, &Progress::default())
                .await
                .unwrap()
                .versitygw
        })
        .await
}
