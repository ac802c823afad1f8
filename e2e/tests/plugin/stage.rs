//! A cluster with a Station, a bucket with what it recorded, and the program.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use e2e::harness::program;
use e2e::install::golang;
use e2e::steps::Progress;
use e2e::twin::VersityGw;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;

use crate::api::Api;

pub const BUCKET: &str = "shows";
pub const RECORDINGS: &str = "/apis/radio.moafunk.de/v1alpha1/namespaces/city/recordings";
/// Everything of the Station is below.
const PLACE: &str = "archive/city/radio";
const SECRET: &str = "/api/v1/namespaces/city/secrets/s3";

pub struct Stage {
    pub api: Api,
    pub versity: VersityGw,
    dir: TempDir,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

impl Stage {
    pub async fn new() -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
        let programs = golang::ensure(&sources, &Progress::default()).await.unwrap();
        let versity = VersityGw::start(&programs.versitygw).await.unwrap();
        versity.backend().unwrap().create_bucket(BUCKET).await.unwrap();
        let api = Api::default();
        let address = api.serve().await;
        let dir = TempDir::new().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "city"}}],
            "users": [{"name": "me", "user": {}}],
        });
        fs::write(dir.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let stage = Self { api, versity, dir };
        stage.put_secret(&stage.versity.key().secret_key);
        let station = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Station",
            "metadata": {"name": "radio", "namespace": "city", "uid": "u"},
            "spec": {"title": "Radio", "storage": {"s3": stage.store()}},
        });
        let place = "/apis/radio.moafunk.de/v1alpha1/namespaces/city/stations/radio";
        stage.api.put(place, station);
        stage
    }

    /// As a Station and a Recording name it.
    pub fn store(&self) -> Value {
        json!({
            "endpoint": self.versity.endpoint(), "bucket": BUCKET, "prefix": "archive", "region": "us-east-1",
            "secretRef": {"name": "s3"},
        })
    }

    /// With this secret key.
    pub fn put_secret(&self, secret_key: &str) {
        let base64 = |text: &str| BASE64_STANDARD.encode(text);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", "namespace": "city"},
            "data": {
                "access-key-id": base64(&self.versity.key().access_key), "secret-access-key": base64(secret_key),
            },
        });
        self.api.put(SECRET, secret);
    }

    /// Runs it as kubectl does.
    pub async fn run(&self, line: &str) -> Said {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(program("kubectl-radio").unwrap())
            .args(line.split(' '))
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env_remove("HTTPS_PROXY")
            .env_remove("HTTP_PROXY")
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = Said {
            code: status.code(),
            out: text(stdout),
            err: text(stderr),
        };
        assert!(
            !format!("{}{}", said.out, said.err).contains(&self.versity.key().secret_key),
            "the secret key was shown"
        );
        said
    }

    /// Where a file of the bucket is on this disk.
    pub fn file(&self, key: &str) -> PathBuf {
        self.versity.folder().join(BUCKET).join(key)
    }

    fn write(&self, key: &str, content: &[u8]) {
        let file = self.file(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// A Recording that is verified, in the bucket and in the cluster; returns where its audio lies.
    pub fn record(&self, name: &str, audio: &[u8]) -> String {
        let place = format!("{PLACE}/live/{name}");
        let key = format!("{place}/final-1/final-1.ogg");
        self.write(&key, audio);
        let about = json!({
            "name": name, "namespace": "city", "station": "radio", "mount": "live", "title": "Live",
            "window": {"from": "2026-11-21T18:02:42.25Z"}, "limit": "2026-11-22T00:02:42.25Z", "idleEndSeconds": 120,
            "maxLengthSeconds": 21_600,
        });
        let sum = sha256(audio);
        self.write(
            &format!("{place}/final-1/final.json"),
            published(&about, audio.len(), &sum).to_string().as_bytes(),
        );
        self.write(
            &format!("{place}/manifest.json"),
            manifest(&about, Some("idle"), audio.len()).to_string().as_bytes(),
        );
        let mut recording = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
            "metadata": {"name": name, "namespace": "city", "uid": name},
            "spec": {
                "station": "radio", "mount": "live", "title": "Live", "window": {"from": "2026-11-21T18:02:42.25Z"},
            },
            "status": {
                "phase": "Verified", "startedAt": "2026-11-21T18:02:43Z", "endedAt": "2026-11-21T18:03:07Z",
                "duration": "24s", "bytes": audio.len(), "size": "1.0 KiB", "gaps": 0, "version": 1, "coverage": 98,
                "verifiedAt": "2026-11-21T18:05:10Z", "over": "Idle", "edition": 1,
                "sessions": [{
                    "id": "20261121T180243000Z-1f3a", "input": "studio", "from": "2026-11-21T18:02:43Z",
                    "to": "2026-11-21T18:03:07Z", "bytes": audio.len(),
                }],
                "objects": [{
                    "key": key, "url": format!("s3://{BUCKET}/{key}"), "bytes": audio.len(), "seconds": 24, "codec": "opus",
                    "sha256": sum,
                }],
            },
        });
        recording["spec"]["store"] = self.store();
        self.api.put(&format!("{RECORDINGS}/{name}"), recording);
        key
    }

    /// One that was on air when the cluster was lost: only the bucket knows of it.
    pub fn begin(&self, name: &str) {
        let about = json!({
            "name": name, "namespace": "city", "station": "radio", "mount": "live", "title": "Live",
            "window": {"from": "2026-11-21T18:02:42.25Z"}, "limit": "2026-11-22T00:02:42.25Z",
        });
        self.write(
            &format!("{PLACE}/live/{name}/manifest.json"),
            manifest(&about, None, 10).to_string().as_bytes(),
        );
    }

    /// Something that nobody can read.
    pub fn spoil(&self, name: &str) {
        self.write(
            &format!("{PLACE}/live/{name}/manifest.json"),
            b"{\"recording\": 1",
        );
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn published(about: &Value, bytes: usize, sum: &str) -> Value {
    json!({
        "version": 1, "recording": about, "manifestSha256": "aa", "verifiedAt": "2026-11-21T18:05:10.5Z",
        "from": "2026-11-21T18:02:43Z", "to": "2026-11-21T18:03:07Z",
        "intervals": [{
            "from": "2026-11-21T18:02:43Z", "to": "2026-11-21T18:03:07Z", "session": "20261121T180243000Z-1f3a",
            "input": "studio", "bytes": {"from": 0, "to": bytes},
        }],
        "gaps": [], "seconds": 24.0, "coveragePercent": 98.4,
        "objects": [{
            "key": "final-1/final-1.ogg", "contentType": "application/ogg", "codec": "opus", "rate": 48_000, "channels": 2,
            "bytes": bytes, "sha256": sum, "frames": 1_200, "seconds": 24.0, "links": 1,
        }],
    })
}

fn manifest(about: &Value, over: Option<&str>, bytes: usize) -> Value {
    let mut manifest = json!({
        "recording": about, "written": "2026-11-21T18:05:00Z",
        "sessions": [{
            "session": {
                "id": "20261121T180243000Z-1f3a", "mount": "live", "input": "studio", "path": "/live/studio", "priority": 0,
                "routing": "live", "user": "source", "container": "ogg", "codec": "opus", "started": "2026-11-21T18:02:43Z",
                "bytes": bytes, "keptFrom": 0,
                "ended": {"at": "2026-11-21T18:03:07Z", "why": "the source closed the connection"},
                "aired": {"first": "2026-11-21T18:02:43Z", "last": "2026-11-21T18:03:07Z"},
            },
            "start": 0, "end": bytes,
            "segments": [{
                "key": "segments/20261121T180243000Z-1f3a/x.ogg", "from": 0, "to": bytes, "sha256": "bb", "md5": "cc",
                "t0": "2026-11-21T18:02:43Z", "t1": "2026-11-21T18:03:07Z",
            }],
            "lines": [],
        }],
    });
    if let Some(why) = over {
        manifest["over"] = json!({"at": "2026-11-21T18:05:00Z", "why": why});
    }
    manifest
}
