//! A store behind a twin of R2, and the recorder's processes. A test chooses who feeds them:
//!
//! ```text
//! Tape      the test itself appends to a tape in this process     ─┐
//! Station   DJs send real audio to an `ingest` that may be killed  ─┴─> capture ─> ship ─> twin ─> versitygw ─> finalize
//! ```
//!
//! Both are a [`Stage`] too.

mod bucket;
mod course;
mod station;
mod tape;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use e2e::ports;
use e2e::twin::{Key, Rules, Twin, VersityGw};
use ingest::config::{Reader, TapeAccess};
use jiff::Timestamp;
use recorder::config::{ACCESS_KEY_ID, RECORDING_KEY, SECRET_ACCESS_KEY};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

pub use station::{Connection, Sent, Station};
pub use tape::{Show, Tape};

use crate::versity;

const BUCKET: &str = "shows";
/// What the recorder shows the tape.
const TOKEN: &str = "recorder's token";
/// The Recording, and its reader.
pub const RECORDING: &str = "show";
/// Longer than any of these shows takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(4);
const LINES_SHOWN: usize = 6_000;

pub struct Stage {
    pub twin: Twin,
    pub versity: VersityGw,
    /// What opens the twin.
    pub key: Key,
    /// `recording.json`; [`Stage::tell`] writes it.
    pub recording: serde_json::Value,
    /// Where the recorder looks for tapes.
    desk: SocketAddr,
    health: [SocketAddr; 2],
    dir: TempDir,
}

impl Stage {
    /// Nobody serves a tape there yet.
    async fn new(rules: Rules, profile: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let versity = versity::with_bucket(BUCKET).await;
        let twin = Twin::start(loopback(), versity.backend().unwrap(), rules).unwrap();
        // As versitygw keeps them on its disk.
        let mut admin = versity.key().clone();
        admin.admin = true;
        twin.keys().put(admin);
        let key = Key::new("dj", "a secret of forty characters, more or less");
        twin.keys().put(key.clone());
        let [desk, capture, ship] = ports::free().unwrap();
        let access = TapeAccess {
            addresses: vec![desk.to_string()],
            token: TOKEN.to_owned(),
        };
        let recording = serde_json::json!({
            "name": RECORDING, "namespace": "radio", "station": "rfx", "mount": "main", "title": "The Show",
            "window": { "from": Timestamp::now() }, "idleEndSeconds": 2, "maxLengthSeconds": 21_600, "tape": access,
            "store": { "endpoint": twin.endpoint(), "bucket": BUCKET, "prefix": "archive", "profile": profile },
        });
        let stage = Self {
            twin,
            versity,
            key,
            recording,
            desk,
            health: [capture, ship],
            dir,
        };
        stage.write_keys(&stage.key);
        stage.tell();
        stage
    }

    /// Writes the Recording's Secret as it is now.
    pub fn tell(&self) {
        let dir = self.dir.path().join("recording");
        replace(
            &dir.join(RECORDING_KEY),
            &serde_json::to_vec(&self.recording).unwrap(),
        );
    }

    /// Writes the store's keys into the Secret that the processes read.
    pub fn write_keys(&self, key: &Key) {
        let dir = self.dir.path().join("keys");
        replace(&dir.join(ACCESS_KEY_ID), key.access_key.as_bytes());
        replace(&dir.join(SECRET_ACCESS_KEY), key.secret_key.as_bytes());
    }

    pub fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    pub fn capture(&self) -> Child {
        self.capture_with_cap(1 << 40)
    }

    pub fn capture_with_cap(&self, cap: u64) -> Child {
        self.capture_in(&self.spool(), cap, self.health[0])
    }

    pub fn ship(&self) -> Child {
        self.ship_in(&self.spool(), self.health[1])
    }

    /// Both again, on another node.
    pub fn elsewhere(&self) -> [Child; 2] {
        let spool = self.dir.path().join("elsewhere");
        [
            self.capture_in(&spool, 1 << 40, loopback()),
            self.ship_in(&spool, loopback()),
        ]
    }

    fn capture_in(&self, spool: &Path, cap: u64, health: SocketAddr) -> Child {
        let mut command = self.recorder("capture");
        command.arg("--spool").arg(spool);
        command.args(["--spool-cap", &cap.to_string(), "--health", &health.to_string()]);
        self.start(command)
    }

    fn ship_in(&self, spool: &Path, health: SocketAddr) -> Child {
        let mut command = self.recorder("ship");
        command
            .arg("--credentials")
            .arg(self.dir.path().join("keys"))
            .arg("--spool")
            .arg(spool);
        command.args(["--health", &health.to_string()]);
        self.start(command)
    }

    pub fn finalize(&self) -> Child {
        let mut command = self.recorder("finalize");
        for (option, folder) in [("--credentials", "keys"), ("--scratch", "scratch")] {
            command.arg(option).arg(self.dir.path().join(folder));
        }
        self.start(command)
    }

    fn recorder(&self, role: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command
            .arg(role)
            .arg("--mounted")
            .arg(self.dir.path().join("recording"));
        command
    }

    fn start(&self, mut command: Command) -> Child {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// What the processes said, for a test that failed.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let from = log.len().saturating_sub(LINES_SHOWN);
        log.get(from..).unwrap_or(&log).to_owned()
    }

    /// Waits for a process to end by itself, and well.
    pub async fn over(&self, process: &mut Child) {
        match timeout(PATIENCE, process.wait()).await {
            Ok(status) => assert!(status.unwrap().success(), "{}", self.log()),
            Err(late) => panic!("it does not end, {late}:\n{}", self.log()),
        }
    }

    /// `GET /v1/state` of capture (0) or ship (1).
    pub async fn state(&self, process: usize) -> Option<serde_json::Value> {
        let answer = self.get(process, "/v1/state").await?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    pub async fn get(&self, process: usize, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.health[process]).await.ok()?;
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
    pub fn captured(&self, session: &str) -> u64 {
        let path = self.spool().join(session).join("synced");
        let synced: Option<serde_json::Value> = fs::read(path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        synced.and_then(|synced| synced["tape"].as_u64()).unwrap_or(0)
    }
}

/// The Recording's access to the tapes of its Mount.
fn reader(recording: &str, token: &str) -> Reader {
    Reader {
        name: format!("recording/{recording}"),
        sha256: digest(token),
        mounts: Some(vec!["main".to_owned()]),
    }
}

fn digest(secret: &str) -> String {
    recorder::store::hex(&Sha256::digest(secret))
}

/// As kubelet does it: the content changes in one step.
fn replace(path: &Path, content: &[u8]) {
    let dir = path.parent().unwrap();
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("..next"), content).unwrap();
    fs::rename(dir.join("..next"), path).unwrap();
}

pub async fn kill(child: &mut Child) {
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}
