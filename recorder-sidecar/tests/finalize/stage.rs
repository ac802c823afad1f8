//! A store with the segments of a Recording, and finalize as a process.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use e2e::twin::{Key, Rules, Twin, VersityGw};
use futures::TryStreamExt;
use ingest::api::{Container, Ended, Line, Session};
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};
use recorder::config::{ACCESS_KEY_ID, RECORDING_KEY, Recording, SECRET_ACCESS_KEY};
use recorder::finalize::published::{FINAL, Final, folder};
use recorder::manifest::{MANIFEST_KEY, Manifest, Over, OverWhy, Range, Segment, Taped, segment_key};
use recorder::store::{Body, Store};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{audio, versity};

pub const BUCKET: &str = "shows";
const PATIENCE: Duration = Duration::from_mins(3);

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub struct Stage {
    pub twin: Twin,
    pub store: Store,
    pub recording: serde_json::Value,
    pub versity: VersityGw,
    pub dir: TempDir,
}

impl Stage {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let versity = versity::with_bucket(BUCKET).await;
        let twin = Twin::start(
            (Ipv4Addr::LOCALHOST, 0).into(),
            versity.backend().unwrap(),
            Rules::R2,
        )
        .unwrap();
        let key = Key::new("dj", "a secret of forty characters, more or less");
        let mut admin = versity.key().clone();
        admin.admin = true;
        twin.keys().put(admin);
        twin.keys().put(key.clone());
        let recording = serde_json::json!({
            "name": "show", "namespace": "radio", "station": "rfx", "mount": "main", "title": "The Show",
            "window": { "from": at(-100) }, "maxLengthSeconds": 21_600,
            "tape": { "addresses": [], "token": "" },
            "store": { "endpoint": twin.endpoint(), "bucket": BUCKET, "prefix": "archive", "profile": "r2" },
        });
        let keys = dir.path().join("keys");
        fs::create_dir_all(&keys).unwrap();
        fs::write(keys.join(ACCESS_KEY_ID), &key.access_key).unwrap();
        fs::write(keys.join(SECRET_ACCESS_KEY), &key.secret_key).unwrap();
        let parsed = Recording::parse(&serde_json::to_vec(&recording).unwrap()).unwrap();
        let store = Store::open(&parsed, &keys);
        Self {
            twin,
            store,
            recording,
            versity,
            dir,
        }
    }

    /// Stores the segments of a session.
    pub async fn store_session(&self, source: &Source) -> Taped {
        let started = at(source.from);
        let (mut lines, cuts) = audio::index(source.container, &source.stream, started);
        lines.extend(source.more.iter().cloned());
        let ended = lines.iter().find_map(|line| match line {
            Line::End { t, why, .. } => Some(Ended {
                at: *t,
                why: why.clone(),
            }),
            _ => None,
        });
        let session = Session {
            id: source.id.to_owned(),
            mount: "main".to_owned(),
            input: source.id.to_owned(),
            path: "/live".to_owned(),
            priority: source.priority,
            routing: source.routing,
            user: "source".to_owned(),
            container: source.container,
            codec: None,
            title: None,
            started,
            bytes: source.stream.len() as u64,
            kept_from: 0,
            ended,
            aired: None,
            acked_by: Vec::new(),
        };
        let mut segments = Vec::new();
        for pair in cuts.windows(2) {
            let range = Range {
                from: pair[0],
                to: pair[1],
            };
            let bytes =
                &source.stream[usize::try_from(range.from).unwrap()..usize::try_from(range.to).unwrap()];
            let segment = self.store_segment(&session, range, bytes).await;
            segments.push(segment);
        }
        Taped {
            end: Some(session.bytes),
            session,
            start: 0,
            headers: None,
            segments,
            lost: Vec::new(),
            lines,
        }
    }

    pub async fn store_segment(&self, session: &Session, range: Range, bytes: &[u8]) -> Segment {
        let body = Body::of(Bytes::copy_from_slice(bytes));
        let segment = Segment {
            key: segment_key(&session.id, range, session.container),
            range,
            sha256: body.sha256(),
            md5: body.md5(),
            t0: session.started,
            t1: session.started,
        };
        let metadata = segment.to_metadata(session);
        let content_type = session.container.content_type();
        self.store
            .put_new(&segment.key, &body, content_type, &metadata)
            .await
            .unwrap();
        segment
    }

    pub async fn write_manifest(&self, sessions: Vec<Taped>) {
        let parsed = Recording::parse(&serde_json::to_vec(&self.recording).unwrap()).unwrap();
        let manifest = Manifest {
            recording: (&parsed).into(),
            written: Timestamp::now(),
            over: Some(Over {
                at: at(1000),
                why: OverWhy::Idle,
            }),
            sessions,
            rehearsals: Vec::new(),
        };
        let text = Body::of(Bytes::from(serde_json::to_vec(&manifest).unwrap()));
        self.store
            .put(MANIFEST_KEY, &text, "application/json")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }

    pub fn run(&self, role: &str) -> Child {
        let mounted = self.dir.path().join("recording");
        fs::create_dir_all(&mounted).unwrap();
        fs::write(
            mounted.join(RECORDING_KEY),
            serde_json::to_vec(&self.recording).unwrap(),
        )
        .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command
            .arg(role)
            .arg("--mounted")
            .arg(mounted)
            .arg("--credentials")
            .arg(self.dir.path().join("keys"));
        if role == "finalize" {
            command.arg("--scratch").arg(self.dir.path().join("scratch"));
        }
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

    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.get(log.len().saturating_sub(6000)..)
            .unwrap_or(&log)
            .to_owned()
    }

    /// Runs it to its end; the greatest memory it had, in KiB.
    pub async fn done(&self, mut child: Child) -> u64 {
        let status = format!("/proc/{}/status", child.id().unwrap());
        let mut most = 0;
        let ended = timeout(PATIENCE, async {
            loop {
                let memory = fs::read_to_string(&status).unwrap_or_default();
                let peak = memory
                    .lines()
                    .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
                most = peak.and_then(|peak| peak.trim().parse().ok()).unwrap_or(most);
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let status = ended
            .await
            .unwrap_or_else(|_| panic!("it does not end:\n{}", self.log()));
        assert!(status.success(), "{}", self.log());
        most
    }

    /// Runs it to an end that is not a good one.
    pub async fn fails(&self, role: &str) {
        let status = timeout(PATIENCE, self.run(role).wait()).await;
        assert!(!status.unwrap().unwrap().success(), "{}", self.log());
    }

    pub async fn finalize(&self) -> u64 {
        self.done(self.run("finalize")).await
    }

    pub async fn published(&self, version: u32) -> Final {
        let key = format!("{}{FINAL}", folder(version));
        let text = self.store.read(&key, 1 << 20).await.unwrap().expect("a version");
        serde_json::from_slice(&text).unwrap()
    }

    pub async fn object(&self, key: &str) -> Vec<u8> {
        self.store
            .read(key, 1 << 30)
            .await
            .unwrap()
            .expect("an object")
            .to_vec()
    }

    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let objects: Vec<_> = self.store.list(prefix).try_collect().await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }
}

/// What one source sent, from its first second on.
pub struct Source {
    pub id: &'static str,
    pub priority: u16,
    pub from: i64,
    pub container: Container,
    pub stream: Vec<u8>,
    pub routing: Routing,
    pub more: Vec<Line>,
}

impl Source {
    pub fn new(id: &'static str, from: i64, container: Container, stream: Vec<u8>) -> Self {
        Self {
            id,
            priority: 0,
            from,
            container,
            stream,
            routing: Routing::Live,
            more: Vec::new(),
        }
    }

    /// A title, told so many seconds after the source began.
    pub fn title(mut self, at_byte: u64, second: i64, title: &str) -> Self {
        let t = at(self.from) + SignedDuration::from_secs(second);
        self.more.push(Line::Title {
            at: at_byte,
            t,
            title: title.to_owned(),
        });
        self
    }
}
