//! Segments to final objects: joined, cut to what was on air, stored, read back. IO: the store, files, ffmpeg.
//!
//! Everything comes from the bucket, so it runs anywhere and may be killed anywhere: the next attempt makes the same bytes and
//! goes on with what is there. `final.json` comes last; with it a version is published.

mod assemble;
mod chapters;
mod cut;
mod intervals;
mod join;
mod make;
mod ogg;
mod parameters;
mod probe;
mod publish;
pub mod published;
mod rendition;
mod upload;
mod verify;

#[cfg(test)]
mod fixtures;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::config::Recording;
use crate::ending::Ending;
use crate::manifest::{MANIFEST_KEY, Manifest};
use crate::settings;
use crate::store::{self, Store, hex};

use published::{FINAL, Final, Versions, folder};

/// Days of segments and lines are far below.
const LARGEST_MANIFEST: u64 = 64 << 20;

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
            damaged @ verify::Error::Damaged { .. } => Self::Damaged(damaged),
        }
    }
}

impl Finalize {
    /// Returns well when the Recording is published and verified.
    pub async fn run(self) -> Result<(), Error> {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let settings = settings::follow(&self.mounted)?;
        let recording = Arc::clone(&settings.borrow());
        let store = Store::open(&recording, &self.credentials);
        tokio::select! {
            () = ending.asked() => Err(Error::Interrupted),
            done = self.finalize(&store, &recording) => done,
        }
    }

    async fn finalize(&self, store: &Store, recording: &Recording) -> Result<(), Error> {
        let manifest = read_manifest(store).await?;
        if manifest.over.is_none() {
            return Err(Error::NotOver);
        }
        let versions = versions(store).await?;
        let sum = sum(&manifest);
        if let Some(published) = latest(store, versions).await?
            && (published.is_beyond_doubt() || published.manifest_sha256 == sum)
        {
            tracing::info!(version = published.version, "this is published already");
            return publish::clear(store, recording, &manifest, &published).await;
        }
        let made = make::make(store, &manifest, &self.scratch).await?;
        let published = publish::publish(store, recording, &manifest, sum, made, versions.next()).await?;
        publish::clear(store, recording, &manifest, &published).await
    }
}

impl Verify {
    /// Returns well when all objects of the newest version are in the store as they should be.
    pub async fn run(self) -> Result<(), Error> {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let settings = settings::follow(&self.mounted)?;
        let recording = Arc::clone(&settings.borrow());
        let store = Store::open(&recording, &self.credentials);
        tokio::select! {
            () = ending.asked() => Err(Error::Interrupted),
            done = Self::verify(&store) => done,
        }
    }

    async fn verify(store: &Store) -> Result<(), Error> {
        let published = latest(store, versions(store).await?)
            .await?
            .ok_or(Error::NotPublished)?;
        for object in published.objects.iter().chain(&published.renditions) {
            let doubts = verify::verify(store, object, None).await?;
            tracing::info!(
                key = object.key,
                frames = object.frames,
                ?doubts,
                "an object is as it was stored"
            );
        }
        Ok(())
    }
}

async fn read_manifest(store: &Store) -> Result<Manifest, Error> {
    let text = store
        .read(MANIFEST_KEY, LARGEST_MANIFEST)
        .await?
        .ok_or(Error::NoManifest)?;
    serde_json::from_slice(&text).map_err(|failure| Error::Unreadable {
        key: MANIFEST_KEY.to_owned(),
        words: failure.to_string(),
    })
}

/// What of a manifest makes the objects.
fn sum(manifest: &Manifest) -> String {
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
