//! What need not be kept is deleted: Recordings whose time is over, and what was left behind. IO: the store, one file.
//!
//! It deletes exactly what its errand names, counts, and says what it could not delete; who sent it decides what comes of
//! that. It may be killed anywhere: the next attempt deletes the rest.

mod recordings;
mod sweep;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::watch::read_mounted;
use jiff::Timestamp;

use crate::config::Unusable;
use crate::ending::{self, Ending};
use crate::errand::{Errand, Failure, KEEP_KEY, Kept};
use crate::report::Report;
use crate::store::Store;

/// How keep is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Keep {
    /// The directory where the Secret with the errand is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The directory where the store's keys are mounted.
    #[arg(long)]
    pub credentials: PathBuf,
    /// Which errand this is. kubelet may still show an earlier one, and that is nobody's any more.
    #[arg(long)]
    pub order: String,
    /// For how many seconds a store that does not answer is asked. Who sent the errand sends it again later, and tells of it.
    #[arg(long, default_value_t = 15)]
    pub patience: u32,
    /// Where its last words go, if that file is there.
    #[arg(long, default_value = ending::MESSAGE)]
    pub report: PathBuf,
}

/// Why nothing could be begun, or not everything was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory.
    #[error("the mounted Secret at {} cannot be read: {cause}", at.display())]
    Unreadable {
        /// Where.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is no errand.
    #[error("the mounted Secret has no {KEEP_KEY}")]
    NoErrand,
    /// Its content.
    #[error("the Secret is of no use: {0}")]
    Unusable(#[from] Unusable),
    /// It is not the one this Job was made for.
    #[error(
        "the mounted Secret has another errand than this Job's, so nothing is deleted; it is looked at again"
    )]
    OtherErrand,
    /// The process cannot be asked to end.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// It was asked to end.
    #[error("asked to end before everything was deleted; the next attempt goes on")]
    Interrupted,
}

impl Keep {
    /// Returns well when its errand is done, or as much of it as the store lets it do.
    pub async fn run(self) -> Result<(), Error> {
        let outcome = self.kept().await;
        ending::report(&self.report, &outcome);
        outcome.map(drop)
    }

    async fn kept(&self) -> Result<Report, Error> {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let errand = read(&self.mounted)?;
        if errand.order != self.order {
            return Err(Error::OtherErrand);
        }
        let store = Store::at(&errand.store, errand.prefix(), &self.credentials);
        let store = store.patient_for(Duration::from_secs(self.patience.into()));
        let kept = tokio::select! {
            () = ending.asked() => return Err(Error::Interrupted),
            kept = run(&store, &errand, Timestamp::now()) => kept,
        };
        for failure in &kept.failures {
            tracing::error!(what = failure.what, words = failure.words, "not deleted");
        }
        tracing::info!(
            prefix = errand.prefix(),
            recordings = kept.recordings.len(),
            objects = kept.objects,
            bytes = kept.bytes,
            uploads = kept.uploads,
            failures = kept.failures.len(),
            lifecycle = ?kept.lifecycle,
            "the errand is done"
        );
        Ok(Report::Kept(kept))
    }
}

fn read(mounted: &Path) -> Result<Errand, Error> {
    let files = read_mounted(mounted).map_err(|cause| Error::Unreadable {
        at: mounted.to_owned(),
        cause,
    })?;
    Ok(Errand::parse(files.0.get(KEEP_KEY).ok_or(Error::NoErrand)?)?)
}

async fn run(store: &Store, errand: &Errand, now: Timestamp) -> Kept {
    let mut kept = Kept {
        order: errand.order.clone(),
        ..Kept::default()
    };
    for place in &errand.recordings {
        if let Err(failure) = recordings::delete(store, place, &mut kept).await {
            kept.failures.push(Failure {
                what: place.to_string(),
                words: failure.to_string(),
            });
            // The next one would be waited for as long, for the same answer.
            if failure.passes() {
                return kept;
            }
        }
    }
    if let Some(wanted) = &errand.sweep {
        sweep::sweep(store, wanted, now, &mut kept).await;
        // Whose rule it is: several Stations may share a bucket.
        let rule = format!("radio-operator {}/{}", errand.namespace, errand.station);
        kept.lifecycle = Some(store.give_up_uploads(&rule).await);
    }
    kept
}
