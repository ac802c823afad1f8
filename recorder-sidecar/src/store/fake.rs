//! A bucket in memory for tests, whose `ETag`s are what a test wants, and which spoils what it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body as Answer, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Body, Store};
use crate::config::{ACCESS_KEY_ID, Recording, SECRET_ACCESS_KEY};

/// What stores have as `ETag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Etags {
    /// The MD5 of what they have.
    Md5,
    /// As long as an MD5, and none: objects are encrypted.
    Encrypted,
    /// Something of their own.
    Own,
}

impl Etags {
    fn of(self, bytes: &Bytes) -> String {
        let md5 = Body::of(bytes.clone()).md5();
        match self {
            Self::Md5 => md5,
            Self::Encrypted => md5.chars().rev().collect(),
            Self::Own => format!("own-{}", &md5[..8]),
        }
    }
}

/// An object as it lies there.
#[derive(Debug)]
struct Lying {
    bytes: Bytes,
    etag: String,
    told: HeaderMap,
}

#[derive(Debug)]
struct Inside {
    etags: Etags,
    objects: BTreeMap<String, Lying>,
    /// Nobody may delete these.
    locked: BTreeSet<String>,
    /// So many of the next puts are stored with a bit turned.
    spoils: usize,
    requests: Vec<(Method, String)>,
}

/// The bucket, seen from behind. Keys are below the Recording's prefix.
#[derive(Debug)]
pub struct Fake {
    pub store: Store,
    pub recording: Recording,
    inside: Arc<Mutex<Inside>>,
    _keys: TempDir,
}

impl Fake {
    pub async fn new(profile: &str, etags: Etags) -> Self {
        let inside = Arc::new(Mutex::new(Inside {
            etags,
            objects: BTreeMap::new(),
            locked: BTreeSet::new(),
            spoils: 0,
            requests: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let text = serde_json::json!({
            "name": "r", "namespace": "n", "station": "s", "mount": "main", "title": "", "maxLengthSeconds": 600,
            "window": { "from": "2026-11-21T14:00:00Z" }, "tape": { "addresses": [], "token": "" },
            "store": { "endpoint": format!("http://{address}"), "bucket": "b", "profile": profile },
        });
        let recording = Recording::parse(&serde_json::to_vec(&text).unwrap()).unwrap();
        let keys = TempDir::new().unwrap();
        std::fs::write(keys.path().join(ACCESS_KEY_ID), "id").unwrap();
        std::fs::write(keys.path().join(SECRET_ACCESS_KEY), "secret").unwrap();
        Self {
            store: Store::open(&recording, keys.path()),
            recording,
            inside,
            _keys: keys,
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: &str) -> String {
        format!("/b/{}{key}", self.recording.prefix())
    }

    pub fn spoil_next(&self, puts: usize) {
        self.inside().spoils = puts;
    }

    pub fn lock(&self, key: &str) {
        let path = self.path(key);
        self.inside().locked.insert(path);
    }

    pub fn unlock(&self) {
        self.inside().locked.clear();
    }

    pub fn bytes(&self, key: &str) -> Option<Bytes> {
        let inside = self.inside();
        inside
            .objects
            .get(&self.path(key))
            .map(|lying| lying.bytes.clone())
    }

    /// A bit is turned where it lies, and nothing else tells of it.
    pub fn rot(&self, key: &str) {
        let path = self.path(key);
        let mut inside = self.inside();
        let lying = inside.objects.get_mut(&path).unwrap();
        lying.bytes = turned(&lying.bytes);
    }

    /// Somebody puts other bytes in its place, of which the `ETag` tells, and leaves its words as they are.
    pub fn overwrite(&self, key: &str) {
        self.rot(key);
        let path = self.path(key);
        let mut inside = self.inside();
        let etags = inside.etags;
        let lying = inside.objects.get_mut(&path).unwrap();
        lying.etag = etags.of(&lying.bytes);
    }

    /// How many requests were made with this method of keys that begin so.
    pub fn asked(&self, method: &Method, key: &str) -> usize {
        let path = self.path(key);
        let is_such = |(asked, of): &&(Method, String)| asked == method && of.starts_with(&path);
        self.inside().requests.iter().filter(is_such).count()
    }
}

fn turned(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[0] ^= 1;
    bytes.into()
}

async fn answer(State(inside): State<Arc<Mutex<Inside>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
    let path = head.uri.path().to_owned();
    inside.requests.push((head.method.clone(), path.clone()));
    match (head.method, head.uri.query()) {
        (Method::PUT, _) => inside.put(path, body, &head.headers),
        (Method::POST, _) => inside.delete(&String::from_utf8_lossy(&body)),
        (Method::GET, Some(query)) if query.contains("list-type=2") => inside.list(query),
        (Method::GET, Some(query)) if query.contains("uploads") => {
            let none = "<ListMultipartUploadsResult/>";
            plain(StatusCode::OK).body(none.into()).unwrap()
        }
        _ => inside.get(&path),
    }
}

fn plain(status: StatusCode) -> http::response::Builder {
    Response::builder().status(status)
}

impl Inside {
    fn put(&mut self, path: String, body: Bytes, headers: &HeaderMap) -> Response {
        let stored = if self.spoils > 0 { turned(&body) } else { body };
        self.spoils = self.spoils.saturating_sub(1);
        let etag = self.etags.of(&stored);
        let told = headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let answer = plain(StatusCode::OK).header("etag", format!("\"{etag}\""));
        let lying = Lying {
            bytes: stored,
            etag,
            told,
        };
        self.objects.insert(path, lying);
        answer.body(Answer::empty()).unwrap()
    }

    fn get(&self, path: &str) -> Response {
        let Some(lying) = self.objects.get(path) else {
            let none = "<Error><Code>NoSuchKey</Code></Error>";
            return plain(StatusCode::NOT_FOUND).body(none.into()).unwrap();
        };
        let mut answer = plain(StatusCode::OK).header("etag", format!("\"{}\"", lying.etag));
        for (name, value) in &lying.told {
            answer = answer.header(name, value);
        }
        answer.body(lying.bytes.clone().into()).unwrap()
    }

    fn delete(&mut self, body: &str) -> Response {
        let mut text = "<DeleteResult>".to_owned();
        for named in body.split("<Key>").skip(1) {
            let (key, _) = named.split_once("</Key>").unwrap();
            let path = format!("/b/{key}");
            if self.locked.contains(&path) {
                let code = "ObjectLockedByBucketPolicy";
                write!(text, "<Error><Key>{key}</Key><Code>{code}</Code></Error>").unwrap();
            } else {
                self.objects.remove(&path);
            }
        }
        text.push_str("</DeleteResult>");
        plain(StatusCode::OK).body(text.into()).unwrap()
    }

    fn list(&self, query: &str) -> Response {
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
        let prefix = prefix.unwrap().replace("%2F", "/");
        let mut text = "<ListBucketResult>".to_owned();
        for (path, lying) in &self.objects {
            let key = path.trim_start_matches("/b/");
            if key.starts_with(&prefix) {
                let (size, etag) = (lying.bytes.len(), &lying.etag);
                write!(
                    text,
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;{etag}&quot;</ETag></Contents>"
                )
                .unwrap();
            }
        }
        text.push_str("</ListBucketResult>");
        plain(StatusCode::OK).body(text.into()).unwrap()
    }
}
