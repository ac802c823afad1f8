//! What is in the bucket, read past the twin: a fault must not hinder the oracle.

use std::collections::BTreeMap;
use std::fs;

use futures::TryStreamExt;
use recorder::config::{ACCESS_KEY_ID, Recording, SECRET_ACCESS_KEY};
use recorder::manifest::{MANIFEST_KEY, Manifest, SEGMENTS, parse_segment_key};
use recorder::published::{FINAL, Final, folder};
use recorder::store::Store;

use super::Stage;

const LARGEST: u64 = 1 << 30;

/// What the bucket has of one session.
#[derive(Default)]
pub struct Stored {
    /// The segments' bytes, by the offset of their first.
    pub segments: BTreeMap<u64, Vec<u8>>,
    /// Bytes that more than one segment has.
    pub doubled: u64,
}

impl Stage {
    /// The store behind the twin.
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

    pub async fn object(&self, key: &str) -> Option<Vec<u8>> {
        let bytes = self.store().read(key, LARGEST).await.unwrap();
        bytes.map(|bytes| bytes.to_vec())
    }

    pub async fn keys_below(&self, prefix: &str) -> Vec<String> {
        let objects: Vec<_> = self.store().list(prefix).try_collect().await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }

    pub async fn manifest(&self) -> Manifest {
        let text = self.object(MANIFEST_KEY).await.expect("a manifest");
        serde_json::from_slice(&text).unwrap()
    }

    /// A version that finalize made.
    pub async fn published(&self, version: u32) -> Final {
        let key = format!("{}{FINAL}", folder(version));
        let text = self.object(&key).await;
        let text = text.unwrap_or_else(|| panic!("{key} is not there\n{}", self.log()));
        serde_json::from_slice(&text).unwrap()
    }

    /// All segments, by session.
    pub async fn bucket(&self) -> BTreeMap<String, Stored> {
        let mut sessions: BTreeMap<String, Stored> = BTreeMap::new();
        for key in self.keys_below(SEGMENTS).await {
            let (session, range) = parse_segment_key(&key).unwrap();
            let bytes = self.object(&key).await.unwrap();
            assert_eq!(bytes.len() as u64, range.bytes(), "{key}");
            let stored = sessions.entry(session.to_owned()).or_default();
            let last = stored.segments.last_key_value();
            let last_end = last.map_or(0, |(from, bytes)| from + bytes.len() as u64);
            stored.doubled += last_end.saturating_sub(range.from);
            stored.segments.insert(range.from, bytes);
        }
        sessions
    }
}
