//! Spool to bucket: stores what capture has, tells the tape, and knows when the Recording is over. IO: the store, the spool,
//! HTTP to the ingest.
//!
//! It remembers nothing: what is stored, the bucket says. So it may be killed anywhere and started anywhere.

mod adopt;
mod cargo;
mod plan;
mod report;
mod tapes;
mod upload;
mod voyage;
mod words;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Recording;
use crate::course::{Span, spans_told};
use crate::ending::{self, Ending};
use crate::manifest::MANIFEST_KEY;
use crate::report::{self as last, Stored};
use crate::settings;
use crate::spool::{self, Notices};
use crate::store::{self, Store};

pub use words::stored;

use report::Report;
use voyage::Voyage;

/// How ship is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Ship {
    /// The directory where the Recording's Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The directory where the store's keys are mounted.
    #[arg(long)]
    pub credentials: PathBuf,
    /// The spool's directory.
    #[arg(long)]
    pub spool: PathBuf,
    /// For probes, scrapes and the operator.
    #[arg(long, default_value = "0.0.0.0:8002")]
    pub health: SocketAddr,
    /// Where its last words go, if that file is there.
    #[arg(long, default_value = ending::MESSAGE)]
    pub report: PathBuf,
}

/// Why ship ended before the Recording was over and stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No settings.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// The directory of `--spool`.
    #[error("the spool in {} cannot be used: {cause}", at.display())]
    Spool {
        /// Where.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A no that asking again does not help.
    #[error("what the bucket has cannot be known: {0}")]
    Store(#[from] store::Error),
    /// A socket.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The process cannot be asked to end.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// It was asked to end. This must not look like a Recording that is over.
    #[error("asked to end before everything was stored; the next attempt goes on")]
    Interrupted,
}

impl Ship {
    /// Returns well only when the Recording is over and all of it is stored.
    pub async fn run(self) -> Result<(), Error> {
        let outcome = self.stored().await.map(last::Report::Stored);
        ending::report(&self.report, &outcome);
        outcome.map(drop)
    }

    async fn stored(&self) -> Result<Stored, Error> {
        let mut ending = Ending::new().map_err(Error::Signals)?;
        let settings = settings::follow(&self.mounted)?;
        let store = Store::open(&settings.borrow(), &self.credentials);
        let report = Report::new(store.clone());
        let listen_failed = |cause| Error::Listen {
            address: self.health,
            cause,
        };
        let listener = TcpListener::bind(self.health).await.map_err(listen_failed)?;
        tokio::select! {
            () = ending.asked() => Err(Error::Interrupted),
            served = report.clone().serve(listener) => {
                Err(listen_failed(served.err().unwrap_or_else(|| io::Error::other("it was closed"))))
            }
            done = self.sail(settings, store, report) => done,
        }
    }

    async fn sail(
        &self,
        settings: watch::Receiver<Arc<Recording>>,
        store: Store,
        report: Report,
    ) -> Result<Stored, Error> {
        let spool_failed = |cause| Error::Spool {
            at: self.spool.clone(),
            cause,
        };
        let _held = spool::hold(&self.spool, "ship").map_err(spool_failed)?;
        let notices = Notices::of(&self.spool).map_err(spool_failed)?;
        let recording = Arc::clone(&settings.borrow());
        if let Some(stored) = adopt::published(&store).await? {
            tracing::info!(
                "this Recording is published, and nothing speaks against it: nothing is left to be done"
            );
            return Ok(stored);
        }
        let written_by = store
            .head(MANIFEST_KEY)
            .await?
            .and_then(|there| words::writer(&there));
        let adopted = adopt::adopt(&store, &recording).await?;
        let remembered: Vec<Span> = adopted
            .values()
            .flat_map(|taped| spans_told(&taped.session, &taped.lines))
            .collect();
        spool::remember(&self.spool, &remembered).map_err(spool_failed)?;
        let voyage = Voyage::new(self.spool.clone(), store, report, adopted, written_by);
        voyage.sail(settings, notices).await.map_err(spool_failed)
    }
}
