//! Segments to final objects: joined, cut to what was on air, stored, read back. IO: the store, files, ffmpeg.
//!
//! Everything comes from the bucket, so it runs anywhere and may be killed anywhere: the next attempt makes the same bytes and
//! goes on with what is there. `final.json` comes last; with it a version is published.

mod assemble;
mod chapters;
mod coverage;
mod cut;
mod intervals;
mod join;
mod make;
mod ogg;
mod parameters;
mod probe;
mod publish;
mod rendition;
mod upload;
pub(crate) mod verify;

#[cfg(test)]
pub(crate) mod fixtures;

pub use crate::published;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::config::Recording;
use crate::ending::{self, Ending};
use crate::manifest::{LARGEST_MANIFEST, MANIFEST_KEY, MANIFESTS, Manifest};
use crate::merge;
use crate::report::{Published, Report};
use crate::settings;
use crate::store::{self, Store, hex};

use published::{FINAL, Final, Versions, folder};

/// How finalize is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Finalize {
    /// The directory where the Recording's Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The directory where the store's keys are mounted.
    #[arg(long)]
    pub credentials: PathBuf,
    /// A directory with room for twice the Recording.
    #[arg(long)]
    pub scratch: PathBuf,
    /// A version made for a lower edition is made again, as long as its segments are there.
    #[arg(long, default_value_t = 1)]
    pub edition: u32,
    /// Where its last words go, if that file is there.
    #[arg(long, default_value = ending::MESSAGE)]
    pub report: PathBuf,
}

/// How verify is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// The directory where the Recording's Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The directory where the store's keys are mounted.
    #[arg(long)]
    pub credentials: PathBuf,
    /// Where its last words go, if that file is there.
    #[arg(long, default_value = ending::MESSAGE)]
    pub report: PathBuf,
}

/// Why a Recording is not published, or not verified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No settings.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// A no that asking again does not help.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The directory of `--scratch`.
    #[error("the scratch directory {} cannot be used: {cause}", at.display())]
    Scratch {
        /// Where.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// ship has stored nothing yet, or the prefix is another one.
    #[error("the bucket has no {MANIFEST_KEY} of this Recording; ship writes it")]
    NoManifest,
    /// What stands in the bucket is of no use.
    #[error("{key} in the bucket is of no use: {words}")]
    Unreadable {
        /// Below the Recording's prefix.
        key: String,
        /// Why.
        words: String,
    },
    /// ship is not ready.
    #[error("the Recording is not over yet; ship says so when it is")]
    NotOver,
    /// No version is there to be verified.
    #[error("no version of this Recording is published yet; finalize makes one")]
    NotPublished,
    /// What came back is not what was stored.
    #[error("{0}; the next attempt stores it again")]
    Damaged(verify::Error),
    /// ffmpeg or ffprobe, whatever they were given.
    #[error("{0}")]
    Program(String),
    /// The process cannot be asked to end.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// It was asked to end.
    #[error("asked to end before the Recording was published; the next attempt goes on")]
    Interrupted,
}

impl From<verify::Error> for Error {
    fn from(failure: verify::Error) -> Self {
        match failure {
            verify::Error::Store(failure) => Self::Store(failure),
            verify::Error::Program(words) => Self::Program(words),
            damaged @ verify::Error::Damaged { .. } => Self::Damaged(damaged),
        }
    }
}

impl Finalize {
    /// Returns well when the Recording is published and verified.
    pub async fn run(self) -> Result<(), Error> {
        work(
            &self.mounted,
            &self.credentials,
            &self.report,
            async |store, recording| self.finalize(store, recording).await,
        )
        .await
    }

    async fn finalize(&self, store: &Store, recording: &Recording) -> Result<Report, Error> {
        let manifest = read_manifest(store).await?;
        if manifest.over.is_none() {
            return Err(Error::NotOver);
        }
        let versions = versions(store).await?;
        let sum = sum(&manifest);
        if let Some(published) = latest(store, versions).await?
            && self.is_done(recording, &published, &sum)
        {
            tracing::info!(version = published.version, "this is published already");
            // Of another manifest, some segments may be in no version.
            let cleared = if published.manifest_sha256 == sum {
                publish::clear(store, recording, &manifest, &published).await
            } else {
                Ok(())
            };
            match cleared {
                Err(Error::Damaged(failure)) => {
                    tracing::error!(%failure, "its segments are there still; the next version is made of them");
                }
                cleared => {
                    cleared?;
                    return Ok(Report::Published(Published::from(&published)));
                }
            }
        }
        let made = make::make(store, &manifest, &self.scratch).await?;
        let work = publish::Wanted {
            manifest_sha256: sum,
            edition: self.edition,
            version: versions.next(),
        };
        let published = publish::publish(store, recording, &manifest, made, work).await?;
        publish::clear(store, recording, &manifest, &published).await?;
        Ok(Report::Published(Published::from(&published)))
    }

    /// Whether nothing is to be made: beyond doubt the segments are gone, and nothing better can be made of what is left.
    fn is_done(&self, recording: &Recording, published: &Final, sum: &str) -> bool {
        let segments_are_gone = published.is_beyond_doubt() && recording.delete_segments_after_verify;
        let is_of_the_edition = published.edition >= self.edition;
        let is_good = published.is_beyond_doubt() || published.manifest_sha256 == sum;
        segments_are_gone || (is_of_the_edition && is_good)
    }
}

impl Verify {
    /// Returns well when all objects of the newest version are in the store as they should be.
    pub async fn run(self) -> Result<(), Error> {
        work(
            &self.mounted,
            &self.credentials,
            &self.report,
            async |store, _| Self::verify(store).await,
        )
        .await
    }

    async fn verify(store: &Store) -> Result<Report, Error> {
        let mut published = newest(store).await?.ok_or(Error::NotPublished)?;
        let mut doubts = Vec::new();
        for object in published.objects.iter().chain(&published.renditions) {
            let found = verify::verify(store, object, None).await?;
            tracing::info!(
                key = object.key,
                frames = object.frames,
                doubts = ?found,
                "an object is as it was stored"
            );
            doubts.extend(
                found
                    .into_iter()
                    .filter(|doubt| !published.doubts.contains(doubt)),
            );
        }
        published.doubts.extend(doubts);
        published.verified_at = Timestamp::now();
        Ok(Report::Published(Published::from(&published)))
    }
}

/// Does its work with the bucket until that is done or it is asked to end, and leaves its last words.
async fn work(
    mounted: &Path,
    credentials: &Path,
    last_words: &Path,
    work: impl AsyncFnOnce(&Store, &Recording) -> Result<Report, Error>,
) -> Result<(), Error> {
    let worked = async {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let settings = settings::follow(mounted)?;
        let recording = Arc::clone(&settings.borrow());
        let store = Store::open(&recording, credentials);
        tokio::select! {
            () = ending.asked() => Err(Error::Interrupted),
            done = work(&store, &recording) => done,
        }
    };
    let outcome = worked.await;
    ending::report(last_words, &outcome);
    outcome.map(drop)
}

/// What all pods that were at work have left.
pub(crate) async fn read_manifest(store: &Store) -> Result<Manifest, Error> {
    let mut all = one_manifest(store, MANIFEST_KEY)
        .await?
        .ok_or(Error::NoManifest)?;
    let left: Vec<store::Object> = store.list(MANIFESTS).try_collect().await?;
    for object in left {
        if let Some(other) = one_manifest(store, &object.key).await? {
            all = merge::manifests(all, other);
        }
    }
    Ok(all)
}

async fn one_manifest(store: &Store, key: &str) -> Result<Option<Manifest>, Error> {
    let Some(text) = store.read(key, LARGEST_MANIFEST).await? else {
        return Ok(None);
    };
    let manifest = serde_json::from_slice(&text);
    manifest.map(Some).map_err(|failure| Error::Unreadable {
        key: key.to_owned(),
        words: failure.to_string(),
    })
}

/// What of a manifest makes the objects.
pub(crate) fn sum(manifest: &Manifest) -> String {
    hex(&Sha256::digest(
        serde_json::to_vec(&manifest.sessions).unwrap_or_default(),
    ))
}

async fn versions(store: &Store) -> Result<Versions, store::Error> {
    let listed = store.list("final-");
    listed
        .try_fold(Versions::default(), |mut versions, object| async move {
            versions.take(&object.key);
            Ok(versions)
        })
        .await
}

/// The newest version that is published.
pub async fn newest(store: &Store) -> Result<Option<Final>, Error> {
    latest(store, versions(store).await?).await
}

async fn latest(store: &Store, versions: Versions) -> Result<Option<Final>, Error> {
    let Some(version) = versions.published else {
        return Ok(None);
    };
    let key = format!("{}{FINAL}", folder(version));
    let Some(text) = store.read(&key, LARGEST_MANIFEST).await? else {
        return Ok(None);
    };
    let published = serde_json::from_slice(&text);
    published.map(Some).map_err(|failure| Error::Unreadable {
        key,
        words: failure.to_string(),
    })
}
