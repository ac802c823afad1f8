//! The store of a test's recordings: a twin of R2 where pods reach it, and every segment that was ever stored in it. Does IO.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use rand::distr::{Alphanumeric, SampleString};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::Places;
use crate::install::golang;
use crate::steps::Progress;
use crate::twin::{Entry, Key, Operation, Outcome, Rules, Twin, VersityGw};

/// The bucket of every test's own store.
pub const BUCKET: &str = "shows";
/// What a Station's objects lie below.
pub const PREFIX: &str = "archive";
/// The Secret with its keys, in the test's namespace.
pub const SECRET: &str = "store";
/// The folder of segments, in keys.
const SEGMENTS: &str = "/segments/";

/// A store of one test's own. What it kept is gone with it.
pub struct Store {
    /// Faults, outages, keys, and the log of requests.
    pub twin: Arc<Twin>,
    versity: VersityGw,
    key: Mutex<Key>,
    kept: Arc<Kept>,
    _keeping: AbortOnDropHandle<()>,
}

/// An object in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
}

/// A piece of a session, by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its key.
    pub key: String,
    /// The offset of its first byte.
    pub from: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Opens one that keeps R2's rules, with one key pair and the bucket [`BUCKET`].
    pub async fn open() -> Result<Self> {
        let sources = Places::find()?.repository.join("e2e/go");
        let program = golang::ensure(&sources, &Progress::default()).await?.versitygw;
        let versity = VersityGw::start(&program).await?;
        let backend = versity.backend()?;
        backend.create_bucket(BUCKET).await?;
        let twin = Arc::new(Twin::start_in_cluster(backend, Rules::R2)?);
        let key = new_key();
        twin.keys().put(key.clone());
        let kept = Arc::new(Kept::beside(&versity)?);
        let keeping = tokio::spawn(keep(Arc::clone(&twin), Arc::clone(&kept)));
        Ok(Self {
            twin,
            versity,
            key: Mutex::new(key),
            kept,
            _keeping: AbortOnDropHandle::new(keeping),
        })
    }

    /// `spec.storage.s3` of a Station, in YAML on one line.
    #[must_use]
    pub fn s3(&self) -> String {
        format!(
            "{{endpoint: \"{}\", bucket: {BUCKET}, prefix: {PREFIX}, profile: r2, secretRef: {{name: {SECRET}}}}}",
            self.twin.endpoint()
        )
    }

    /// The Secret [`SECRET`] with the present key pair, in YAML.
    #[must_use]
    pub fn secret(&self) -> String {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: {SECRET}}}, stringData: \
             {{access-key-id: \"{}\", secret-access-key: \"{}\"}}}}\n---\n",
            key.access_key, key.secret_key
        )
    }

    /// Takes another key pair, and from now on no other. [`Store::secret`] tells it.
    pub fn rotate(&self) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        self.twin.keys().revoke(&key.access_key);
        *key = new_key();
        self.twin.keys().put(key.clone());
    }

    /// The store behind the twin.
    #[must_use]
    pub fn versity(&self) -> &VersityGw {
        &self.versity
    }

    /// What lies below a prefix now, in the order of the keys.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let root = self.versity.folder().join(BUCKET);
        let mut objects = Vec::new();
        walk(&root, &mut |path| {
            let key = path.strip_prefix(&root)?.to_string_lossy().into_owned();
            // What the store behind keeps for itself.
            if key.starts_with(prefix) && !key.starts_with('.') {
                let bytes = fs::metadata(path)?.len();
                objects.push(Object { key, bytes });
            }
            Ok(())
        })?;
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    /// An object, if it is there.
    pub fn find(&self, key: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.versity.folder().join(BUCKET).join(key)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{key} in the store cannot be read")),
        }
    }

    /// An object.
    pub fn read(&self, key: &str) -> Result<Vec<u8>> {
        self.find(key)?.with_context(|| format!("the store has no {key}"))
    }

    /// An object that is JSON.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        serde_json::from_slice(&self.read(key)?).with_context(|| format!("{key} in the store"))
    }

    /// Every segment below a prefix that was ever stored, by session, in the order of the keys; also those that are deleted by
    /// now. An error if one was stored twice with other bytes.
    pub fn segments(&self, prefix: &str) -> Result<BTreeMap<String, Vec<Segment>>> {
        self.kept.segments(prefix)
    }
}

fn new_key() -> Key {
    let random = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    Key::new(random(20), random(40))
}

fn walk(folder: &Path, found: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        // It was just deleted with its last object.
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else {
            found(&path)?;
        }
    }
    Ok(())
}

/// Another name for each segment, so that it stays when the store deletes it.
struct Kept {
    bucket: PathBuf,
    folder: TempDir,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// Requests that were looked at.
    requests: BTreeSet<u64>,
    /// What should not have happened.
    wrongs: Vec<String>,
}

/// Looks at every request that stored something, as long as the test lasts.
async fn keep(twin: Arc<Twin>, kept: Arc<Kept>) {
    let look = |entries: &[Entry]| {
        for entry in entries {
            kept.look(entry);
        }
        false
    };
    twin.log().until(look).await;
}

impl Kept {
    fn beside(versity: &VersityGw) -> Result<Self> {
        Ok(Self {
            bucket: versity.folder().join(BUCKET),
            // Hard links do not leave a file system.
            folder: TempDir::with_prefix_in(
                "kept-",
                versity.folder().parent().unwrap_or_else(|| versity.folder()),
            )
            .context("no folder for what was stored")?,
            noted: Mutex::default(),
        })
    }

    fn look(&self, entry: &Entry) {
        let stored = matches!(entry.outcome, Outcome::Answered(200) | Outcome::Lost(200));
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if entry.operation != Operation::PutObject
            || !stored
            || !entry.key.contains(SEGMENTS)
            || !noted.requests.insert(entry.number)
        {
            return;
        }
        if let Err(error) = self.link(&entry.key) {
            noted.wrongs.push(format!("{}: {error:#}", entry.key));
        }
    }

    fn link(&self, key: &str) -> Result<()> {
        let (there, here) = (self.bucket.join(key), self.folder.path().join(key));
        if here.exists() {
            ensure!(
                fs::read(&here)? == fs::read(&there)?,
                "stored again with other bytes"
            );
            return Ok(());
        }
        fs::create_dir_all(here.parent().context("a key without a folder")?)?;
        fs::hard_link(&there, &here).context("it was stored, but is not there")
    }

    fn segments(&self, prefix: &str) -> Result<BTreeMap<String, Vec<Segment>>> {
        let wrongs = self
            .noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wrongs
            .join("; ");
        ensure!(
            wrongs.is_empty(),
            "segments are not what they should be: {wrongs}"
        );
        let mut sessions = BTreeMap::<String, Vec<Segment>>::new();
        walk(self.folder.path(), &mut |path| {
            let key = path
                .strip_prefix(self.folder.path())?
                .to_string_lossy()
                .into_owned();
            if key.starts_with(prefix) {
                let (session, segment) = segment(key, fs::read(path)?)?;
                sessions.entry(session).or_default().push(segment);
            }
            Ok(())
        })?;
        for segments in sessions.values_mut() {
            segments.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(sessions)
    }
}

/// A segment and its session, by its key `.../segments/<session>/<from>-<to>.<ext>`.
fn segment(key: String, bytes: Vec<u8>) -> Result<(String, Segment)> {
    let parts = key.rsplit_once(SEGMENTS).and_then(|(_, rest)| {
        let (session, file) = rest.split_once('/')?;
        let (from, to) = file.split_once('.')?.0.split_once('-')?;
        Some((
            session.to_owned(),
            from.parse::<u64>().ok()?,
            to.parse::<u64>().ok()?,
        ))
    });
    let (session, from, to) = parts.ok_or_else(|| anyhow!("{key} is no segment's key"))?;
    ensure!(
        to.checked_sub(from) == u64::try_from(bytes.len()).ok(),
        "{key} has {} bytes",
        bytes.len()
    );
    Ok((session, Segment { key, from, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_what_its_key_says() {
        let key = "archive/t/fm/live/live-1/segments/20261121T1-a/000000000000010-000000000000012.ogg";
        let (session, found) = segment(key.to_owned(), b"ab".to_vec()).unwrap();
        assert_eq!((session.as_str(), found.from), ("20261121T1-a", 10));
        assert!(segment(key.to_owned(), b"abc".to_vec()).is_err());
        assert!(segment("archive/segments/x/manifest.json".to_owned(), vec![]).is_err());
    }
}
