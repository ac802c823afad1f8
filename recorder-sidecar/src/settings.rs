//! What the mounted Secret says, now and whenever it changes. IO: reads its files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::watch::{Files, read_mounted};
use tokio::sync::watch;

use crate::config::{RECORDING_KEY, Recording, Unusable};

/// The pod has no way to the API. kubelet brings a change within minutes; looking costs nothing.
const REREAD: Duration = Duration::from_secs(2);

/// Why there are no settings to begin with.
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
    /// Its content.
    #[error("the Secret is of no use: {0}")]
    Unusable(#[from] Unusable),
}

/// Reads them, and goes on reading.
pub fn follow(mounted: &Path) -> Result<watch::Receiver<Arc<Recording>>, Error> {
    let unreadable = |cause| Error::Unreadable {
        at: mounted.to_owned(),
        cause,
    };
    let files = read_mounted(mounted).map_err(unreadable)?;
    let (sender, receiver) = watch::channel(Arc::new(parse(&files)?));
    tokio::spawn(reread(sender, mounted.to_owned(), files));
    Ok(receiver)
}

fn parse(files: &Files) -> Result<Recording, Unusable> {
    Recording::parse(files.0.get(RECORDING_KEY).ok_or(Unusable::Missing)?)
}

async fn reread(sender: watch::Sender<Arc<Recording>>, mounted: PathBuf, mut last: Files) {
    let mut ticks = tokio::time::interval(REREAD);
    while !sender.is_closed() {
        ticks.tick().await;
        let Some(files) = read_mounted(&mounted).ok().filter(|files| *files != last) else {
            continue;
        };
        match parse(&files) {
            Ok(recording) => {
                sender.send_if_modified(|known| {
                    let changed = **known != recording;
                    *known = Arc::new(recording);
                    changed
                });
            }
            Err(failure) => {
                tracing::error!(%failure, "the Secret is of no use; going on with its last content");
            }
        }
        last = files;
    }
}
