//! The thread that keeps the tapes: nothing that waits for a disk is done where sources are served. IO: through the shelf.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

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
    /// Its other end is the thread's, and goes with it.
    is_alive: oneshot::Receiver<()>,
}

/// Starts the thread that syncs each second, and removes what may go every ten.
pub fn keep(shelf: &Arc<Shelf>, config: watch::Receiver<Arc<Ingest>>) -> io::Result<Keeper> {
    let kept = Arc::clone(shelf);
    let mut retained: Option<Instant> = None;
    repeat(shelf, move || {
        kept.settle();
        if retained.is_none_or(|at| at.elapsed() >= RETAIN) {
            retained = Some(Instant::now());
            let config = Arc::clone(&config.borrow());
            kept.retain(Timestamp::now(), config.tape_cap_bytes, &config.recordings);
        }
    })
}

fn repeat(shelf: &Arc<Shelf>, mut round: impl FnMut() + Send + 'static) -> io::Result<Keeper> {
    let stop = Arc::new(AtomicBool::new(false));
    let (kept, told) = (Arc::clone(shelf), Arc::clone(&stop));
    let (alive, is_alive) = oneshot::channel();
    let thread = thread::Builder::new().name("tape".to_owned()).spawn(move || {
        let _alive: oneshot::Sender<()> = alive;
        while !told.load(Ordering::Acquire) {
            round();
            kept.rest(ROUND);
        }
    })?;
    Ok(Keeper {
        shelf: Arc::clone(shelf),
        stop,
        thread: Some(thread),
        is_alive,
    })
}

impl Keeper {
    /// Returns if the thread breaks off: from then on nothing is synced and nothing removed.
    pub async fn died(&mut self) {
        let _ = (&mut self.is_alive).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_keeper_that_breaks_off_is_noticed() {
        let place = tempfile::TempDir::new().unwrap();
        let shelf = Shelf::open(place.path(), "boot").unwrap();
        let (told, mut rounds) = tokio::sync::mpsc::unbounded_channel();
        let mut count = 0;
        let mut keeper = repeat(&shelf, move || {
            count += 1;
            told.send(count).unwrap();
            assert!(count < 2, "this panic is part of the test");
        })
        .unwrap();
        assert_eq!(rounds.recv().await, Some(1));
        let alive = tokio::time::timeout(Duration::from_millis(50), keeper.died()).await;
        assert!(alive.is_err(), "one round is no reason");
        shelf.hurry();
        let died = tokio::time::timeout(Duration::from_mins(1), keeper.died()).await;
        assert!(died.is_ok() && rounds.recv().await == Some(2));
    }
}
