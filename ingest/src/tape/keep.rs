//! The thread that keeps the tapes: nothing that waits for a disk is done where sources are served. IO: through the shelf.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::shelf::Shelf;
use crate::config::Ingest;

const ROUND: Duration = Duration::from_secs(1);
const RETAIN: Duration = Duration::from_secs(10);

/// Keeps the tapes until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    shelf: Arc<Shelf>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread that syncs each second, and removes what may go every ten.
pub fn keep(shelf: &Arc<Shelf>, config: watch::Receiver<Arc<Ingest>>) -> io::Result<Keeper> {
    let stop = Arc::new(AtomicBool::new(false));
    let (kept, told) = (Arc::clone(shelf), Arc::clone(&stop));
    let thread = thread::Builder::new().name("tape".to_owned()).spawn(move || {
        let mut retained: Option<Instant> = None;
        while !told.load(Ordering::Acquire) {
            kept.settle();
            if retained.is_none_or(|at| at.elapsed() >= RETAIN) {
                retained = Some(Instant::now());
                let cap = config.borrow().tape_cap_bytes;
                kept.retain(Timestamp::now(), cap);
            }
            kept.rest(ROUND);
        }
    })?;
    Ok(Keeper {
        shelf: Arc::clone(shelf),
        stop,
        thread: Some(thread),
    })
}

impl Drop for Keeper {
    /// Waits for the round it is in.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.shelf.hurry();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
