//! An ingest as a process, a store, and a place for Recordings.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use e2e::twin::{Key, Rules, Twin, VersityGw};
use jiff::Timestamp;
use recorder::config::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::dj::{Dj, PASSWORD, PATH};
use crate::recording::Recording;
use crate::versity;

pub const BUCKET: &str = "shows";
/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(10);
const NO_CAP: u64 = 1 << 40;

/// Where Recordings go.
pub enum Store {
    /// versitygw behind a twin of R2.
    Twin(Twin, VersityGw),
    /// versitygw as it is.
    Plain(VersityGw),
    /// One that somebody named.
    Given,
}

/// Everything but the recorder.
pub struct Stage {
    pub store: Store,
    /// The bucket, as Recordings are told of it.
    pub bucket: serde_json::Value,
    pub key: Key,
    since: OnceLock<Timestamp>,
    sources: SocketAddr,
    readers: SocketAddr,
    _ingest: Child,
    dir: TempDir,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with_tape_cap(NO_CAP).await
    }

    pub async fn with_tape_cap(cap: u64) -> Self {
        let versity = versity::with_bucket(BUCKET).await;
        let twin = Twin::start(
            (Ipv4Addr::LOCALHOST, 0).into(),
            versity.backend().unwrap(),
            Rules::R2,
        )
        .unwrap();
        let mut admin = versity.key().clone();
        // versitygw keeps what it is told of an object's owner.
        admin.admin = true;
        twin.keys().put(admin);
        let key = Key::new("dj", "a secret of forty characters, more or less");
        twin.keys().put(key.clone());
        let bucket = serde_json::json!({
            "endpoint": twin.endpoint(), "bucket": BUCKET, "prefix": "archive", "profile": "r2",
        });
        Self::of(Store::Twin(twin, versity), bucket, key, cap).await
    }

    /// On an S3 server that keeps nobody's rules.
    pub async fn plain() -> Self {
        let versity = versity::with_bucket(BUCKET).await;
        let bucket = serde_json::json!({
            "endpoint": versity.endpoint(), "bucket": BUCKET, "region": "us-east-1", "profile": "generic",
        });
        let key = versity.key().clone();
        Self::of(Store::Plain(versity), bucket, key, NO_CAP).await
    }

    /// In a bucket that somebody named.
    pub async fn given(bucket: serde_json::Value, key: Key) -> Self {
        Self::of(Store::Given, bucket, key, NO_CAP).await
    }

    async fn of(store: Store, bucket: serde_json::Value, key: Key, tape_cap: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let (ingest, sources, readers) = ingest(dir.path(), tape_cap).await;
        let stage = Self {
            store,
            bucket,
            key,
            since: OnceLock::new(),
            sources,
            readers,
            _ingest: ingest,
            dir,
        };
        stage.write_keys(&stage.key);
        stage
    }

    pub fn twin(&self) -> &Twin {
        match &self.store {
            Store::Twin(twin, _) => twin,
            Store::Plain(_) | Store::Given => panic!("no twin"),
        }
    }

    /// What is behind the twin, or the store itself.
    pub fn versity(&self) -> &VersityGw {
        match &self.store {
            Store::Twin(_, versity) | Store::Plain(versity) => versity,
            Store::Given => panic!("no versitygw"),
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn tapes(&self) -> PathBuf {
        self.dir.path().join("tapes/sessions")
    }

    pub fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    pub fn sources(&self) -> SocketAddr {
        self.sources
    }

    pub fn readers(&self) -> SocketAddr {
        self.readers
    }

    pub fn write_keys(&self, key: &Key) {
        write_keys(&self.keys(), key);
    }

    /// From when on Recordings are: before the first source, or before they were told.
    pub fn since(&self) -> Timestamp {
        *self.since.get_or_init(Timestamp::now)
    }

    pub async fn connect(&self, content_type: &str) -> Dj {
        self.since();
        Dj::connect(self.sources, content_type).await
    }

    /// One with this name; those that are told of at the desk are `show` and `next`.
    pub fn recording(&self, name: &str) -> Recording<'_> {
        Recording::new(self, name)
    }

    /// The end of what all processes said.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let from = log.len().saturating_sub(8_000);
        log.get(from..).unwrap_or(&log).to_owned()
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
}

/// Where everything of a stage's processes is told.
pub fn log(dir: &Path) -> fs::File {
    let mut options = fs::File::options();
    options.create(true).append(true).open(dir.join("log")).unwrap()
}

/// As kubelet does it: whole or not at all.
pub fn write_keys(dir: &Path, key: &Key) {
    fs::create_dir_all(dir).unwrap();
    for (name, text) in [
        (ACCESS_KEY_ID, &key.access_key),
        (SECRET_ACCESS_KEY, &key.secret_key),
    ] {
        fs::write(dir.join(".new"), text).unwrap();
        fs::rename(dir.join(".new"), dir.join(name)).unwrap();
    }
}

pub fn token(recording: &str) -> String {
    format!("the token of {recording}")
}

/// An ingest, and where sources and readers find it.
async fn ingest(dir: &Path, tape_cap: u64) -> (Child, SocketAddr, SocketAddr) {
    let program = program().await;
    let hex = |text: &str| recorder::store::hex(&Sha256::digest(text));
    let reader = |name: &str| {
        serde_json::json!({
            "name": format!("recording/{name}"), "sha256": hex(&token(name)), "mounts": ["main"],
        })
    };
    let config = serde_json::json!({
        "inputs": [{
            "mount": "main", "name": "studio", "path": PATH, "priority": 0,
            "credentials": [{ "user": "source", "sha256": hex(PASSWORD), "routing": "live" }],
        }],
        "readers": [reader("show"), reader("next")],
        "tapeCapBytes": tape_cap,
    });
    let mounted = dir.join("ingest");
    fs::create_dir(&mounted).unwrap();
    fs::write(
        mounted.join(ingest::config::INGEST_KEY),
        serde_json::to_vec(&config).unwrap(),
    )
    .unwrap();
    let said = dir.join("ingest.log");
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg("--mounted")
        .arg(mounted)
        .arg("--tapes")
        .arg(dir.join("tapes"))
        .args(["--sources", "127.0.0.1:0", "--readers", "127.0.0.1:0"])
        .args(["--health", "127.0.0.1:0"])
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("RUST_LOG");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(&said).unwrap();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if let Some(line) = lines.find(|line| line["message"] == "listening") {
            let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
            return (child, address("sources"), address("readers"));
        }
        assert!(begun.elapsed() < PATIENCE, "the ingest does not listen:\n{log}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The ingest of this build, built if need be.
async fn program() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let mut cargo = Command::new(env!("CARGO"));
        // With the features that `cargo test --workspace` has built it with.
        let built = cargo.args(["build", "--quiet", "--workspace", "--bin", "ingest"]);
        assert!(built.status().await.unwrap().success());
        Path::new(env!("CARGO_BIN_EXE_recorder")).with_file_name("ingest")
    };
    PROGRAM.get_or_init(build).await
}
