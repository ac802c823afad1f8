//! Tells ship that capture has synced something. IO: inotify, on a thread of its own.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::watch;

/// Enough for some ten events; what does not fit comes with the next read.
const BUFFER: usize = 512;

/// Changes of a spool: new sessions, and new marks of sessions that are watched.
#[derive(Debug)]
pub struct Notices {
    spool: PathBuf,
    inotify: Arc<OwnedFd>,
    changed: watch::Receiver<()>,
}

impl Notices {
    /// Of new sessions, for now.
    pub fn of(spool: &Path) -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC)?);
        inotify::add_watch(&inotify, spool, WatchFlags::MOVED_TO)?;
        let (sender, changed) = watch::channel(());
        let events = Arc::clone(&inotify);
        thread::Builder::new()
            .name("notices".to_owned())
            .spawn(move || pass_on(&events, &sender))?;
        Ok(Self {
            spool: spool.to_owned(),
            inotify,
            changed,
        })
    }

    /// Of this session too. Marks are renamed into their place.
    pub fn watch(&self, session: &str) -> io::Result<()> {
        inotify::add_watch(&self.inotify, self.spool.join(session), WatchFlags::MOVED_TO)?;
        Ok(())
    }

    /// Waits for the next change. Can be dropped and called again.
    pub async fn next(&mut self) -> io::Result<()> {
        let ended = |_| io::Error::other("there is no notice of changes any more");
        self.changed.changed().await.map_err(ended)
    }
}

/// Ends with the process, or when there is nobody to be told.
fn pass_on(inotify: &OwnedFd, sender: &watch::Sender<()>) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut events = Reader::new(inotify, &mut buffer);
    while !sender.is_closed() {
        match events.next() {
            // Ship's own marks are none of its news.
            Ok(event)
                if event
                    .file_name()
                    .is_some_and(|name| name.to_bytes() == super::FREED.as_bytes()) => {}
            Ok(_) => drop(sender.send(())),
            Err(Errno::INTR) => {}
            Err(failure) => {
                tracing::error!(%failure, "changes of the spool cannot be noticed");
                return;
            }
        }
    }
}
