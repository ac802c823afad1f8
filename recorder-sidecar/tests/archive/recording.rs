//! A Recording's Secret, and its processes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use e2e::ports;
use futures::TryStreamExt as _;
use recorder::config::RECORDING_KEY;
use recorder::finalize::published::{FINAL, Final, folder};
use recorder::manifest::{MANIFEST_KEY, Manifest, SEGMENTS, parse_segment_key};
use recorder::report::Report;
use recorder::store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{PATIENCE, Stage, Store as Backing, log, token, write_keys};

const LARGEST: u64 = 1 << 31;

pub struct Recording<'a> {
    pub stage: &'a Stage,
    pub told: serde_json::Value,
    pub spool: PathBuf,
    pub spool_cap: u64,
    name: String,
    health: [SocketAddr; 2],
}

/// The two processes of its pod.
pub struct Pod {
    pub capture: Child,
    pub ship: Child,
}

/// What a finalize took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub time: Duration,
    pub peak_mib: u64,
}

impl<'a> Recording<'a> {
    pub fn new(stage: &'a Stage, name: &str) -> Self {
        let told = serde_json::json!({
            "name": name, "namespace": "radio", "station": "rfx", "mount": "main", "title": "The Show",
            "window": { "from": stage.since() }, "idleEndSeconds": 4, "maxLengthSeconds": 21_600,
            "tape": { "addresses": [stage.readers().to_string()], "token": token(name) },
            "store": stage.bucket,
        });
        let recording = Self {
            stage,
            told,
            spool: stage.dir().join(format!("spool-{name}")),
            spool_cap: 1 << 40,
            name: name.to_owned(),
            health: ports::free().unwrap(),
        };
        recording.tell();
        recording
    }

    fn mounted(&self) -> PathBuf {
        self.stage.dir().join(&self.name)
    }

    /// Writes its Secret as it is now.
    pub fn tell(&self) {
        let dir = self.mounted();
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(".new"), serde_json::to_vec(&self.told).unwrap()).unwrap();
        fs::rename(dir.join(".new"), dir.join(RECORDING_KEY)).unwrap();
    }

    pub fn pod(&self) -> Pod {
        Pod {
            capture: self.capture(),
            ship: self.ship(),
        }
    }

    pub fn capture(&self) -> Child {
        self.run("capture", |command| {
            command
                .arg("--spool")
                .arg(&self.spool)
                .arg("--spool-cap")
                .arg(self.spool_cap.to_string())
                .arg("--health")
                .arg(self.health[0].to_string());
        })
    }

    pub fn ship(&self) -> Child {
        self.run("ship", |command| {
            command
                .arg("--spool")
                .arg(&self.spool)
                .arg("--credentials")
                .arg(self.stage.keys())
                .arg("--health")
                .arg(self.health[1].to_string());
        })
    }

    pub fn finalizing(&self) -> Child {
        self.run("finalize", |command| {
            command
                .arg("--credentials")
                .arg(self.stage.keys())
                .arg("--scratch")
                .arg(self.stage.dir().join(format!("scratch-{}", self.name)));
        })
    }

    /// Reads the published version back.
    pub fn verifying(&self) -> Child {
        self.run("verify", |command| {
            command.arg("--credentials").arg(self.stage.keys());
        })
    }

    fn run(&self, role: &str, more: impl FnOnce(&mut Command)) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command.arg(role).arg("--mounted").arg(self.mounted());
        if role != "capture" {
            // As kubelet makes it for each container.
            fs::write(self.message(role), "").unwrap();
            command.arg("--report").arg(self.message(role));
        }
        more(&mut command);
        let log = log(self.stage.dir());
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits for ship to end by itself; capture gets what a sidecar gets then.
    pub async fn over(&self, mut pod: Pod) {
        match timeout(PATIENCE, pod.ship.wait()).await {
            Ok(status) => assert!(status.unwrap().success(), "{}", self.stage.log()),
            Err(late) => panic!("ship does not end, {late}:\n{}", self.stage.log()),
        }
        kill(&mut pod.capture).await;
    }

    /// Makes its final object; what it cost.
    pub async fn finalize(&self) -> Cost {
        self.ended_well(self.finalizing()).await
    }

    pub async fn ended_well(&self, mut child: Child) -> Cost {
        let begun = Instant::now();
        let status = format!("/proc/{}/status", child.id().unwrap());
        let mut peak_mib = 0;
        let status = loop {
            let memory = fs::read_to_string(&status).unwrap_or_default();
            let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
            peak_mib = kib.map_or(peak_mib, |kib| kib / 1024);
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.stage.log()
            );
            sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{}", self.stage.log());
        Cost {
            time: begun.elapsed(),
            peak_mib,
        }
    }

    /// The bucket past everything that can go wrong on the way.
    pub fn bucket(&self) -> Store {
        let mut told = self.told.clone();
        let mut keys = self.stage.keys();
        if let Backing::Twin(_, versity) = &self.stage.store {
            told["store"]["endpoint"] = versity.endpoint().into();
            told["store"]["profile"] = "generic".into();
            told["store"]["region"] = "us-east-1".into();
            keys = self.stage.dir().join("root");
            write_keys(&keys, versity.key());
        }
        let recording = recorder::config::Recording::parse(told.to_string().as_bytes()).unwrap();
        Store::open(&recording, &keys)
    }

    /// Where its keys begin in the bucket.
    pub fn prefix(&self) -> String {
        recorder::config::Recording::parse(self.told.to_string().as_bytes())
            .unwrap()
            .prefix()
    }

    pub async fn keys(&self, below: &str) -> Vec<String> {
        let objects: Vec<_> = self.bucket().list(below).try_collect().await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }

    pub async fn object(&self, key: &str) -> Vec<u8> {
        let read = self.bucket().read(key, LARGEST).await.unwrap();
        read.unwrap_or_else(|| panic!("no {key}")).to_vec()
    }

    pub async fn manifest(&self) -> Manifest {
        serde_json::from_slice(&self.object(MANIFEST_KEY).await).unwrap()
    }

    pub async fn published(&self, version: u32) -> Final {
        serde_json::from_slice(&self.object(&format!("{}{FINAL}", folder(version))).await).unwrap()
    }

    /// By session, the oldest first: what is in the bucket.
    pub async fn segments(&self) -> BTreeMap<String, Vec<(u64, Vec<u8>)>> {
        let mut sessions: BTreeMap<String, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
        for key in self.keys(SEGMENTS).await {
            let (session, range) = parse_segment_key(&key).unwrap();
            let bytes = self.object(&key).await;
            assert_eq!(bytes.len() as u64, range.bytes(), "{key}");
            let all = sessions.entry(session.to_owned()).or_default();
            all.push((range.from, bytes));
        }
        sessions
    }

    fn message(&self, role: &str) -> PathBuf {
        self.stage.dir().join(format!("{}-{role}.message", self.name))
    }

    /// The termination message of ship or finalize.
    pub fn report(&self, role: &str) -> Report {
        let message = fs::read(self.message(role)).unwrap();
        serde_json::from_slice(&message)
            .unwrap_or_else(|failure| panic!("{failure}: {}", String::from_utf8_lossy(&message)))
    }

    /// `GET /v1/state` of capture (0) or ship (1).
    pub async fn state(&self, process: usize) -> Option<serde_json::Value> {
        let mut socket = TcpStream::connect(self.health[process]).await.ok()?;
        let request = b"GET /v1/state HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
        socket.write_all(request).await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Bytes that the spool has for good, of all sessions.
    pub fn captured(&self) -> u64 {
        let sessions = fs::read_dir(&self.spool).into_iter().flatten().flatten();
        let synced = sessions.filter_map(|session| {
            let text = fs::read(session.path().join("synced")).ok()?;
            serde_json::from_slice::<serde_json::Value>(&text).ok()?["tape"].as_u64()
        });
        synced.sum()
    }
}

impl Pod {
    /// As a pod is deleted whose node is in a hurry.
    pub async fn kill(mut self) {
        kill(&mut self.capture).await;
        kill(&mut self.ship).await;
    }
}

pub async fn kill(child: &mut Child) {
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}
