//! The thread that keeps the tapes: nothing that waits for a disk is done where sources are served. IO: through the shelf.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::shelf::Shelf;
use crate::config::Ingest;

const ROUND: Duration = Duration::from_secs(1);
const RETAIN: Duration = Duration::from_secs(10);
/// What kubelet shows of a Secret may be 90 s old. So long after the start the mounted one is as it was then, or newer.
const OLDEST_MOUNT: Duration = Duration::from_mins(2);

/// Keeps the tapes until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    shelf: Arc<Shelf>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Its other end is the thread's, and goes with it.
    is_alive: oneshot::Receiver<()>,
}

/// Starts the thread that syncs each second, and removes what may go every ten. `is_confirmed`: the config is known to be
/// the present one.
pub fn keep(
    shelf: &Arc<Shelf>,
    config: watch::Receiver<Arc<Ingest>>,
    is_confirmed: watch::Receiver<bool>,
) -> io::Result<Keeper> {
    let kept = Arc::clone(shelf);
    let mut looks = Looks::from(Instant::now());
    repeat(shelf, move || {
        kept.settle();
        let due = looks.due(Instant::now(), *is_confirmed.borrow());
        let config = Arc::clone(&config.borrow());
        let (now, cap, recordings) = (kept.clock().now(), config.tape_cap_bytes, &config.recordings);
        match due {
            Some(Look::Whole) => kept.retain(now, cap, recordings),
            Some(Look::Cap) => kept.keep_to_the_cap(now, cap, recordings),
            None => {}
        }
    })
}

/// What is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Only what the cap asks for.
    Cap,
    /// All that may go.
    Whole,
}

/// When the tapes are looked at.
struct Looks {
    begun: Instant,
    last: Option<(Instant, Look)>,
}

impl Looks {
    fn from(begun: Instant) -> Self {
        Self { begun, last: None }
    }

    /// Whether they are to be looked at now. What one Recording has acked may be what another needs that was named since
    /// the mounted Secret was written: until the Recordings are known for sure, acks are no reason to remove anything.
    fn due(&mut self, now: Instant, is_confirmed: bool) -> Option<Look> {
        let is_sure = is_confirmed || now.duration_since(self.begun) >= OLDEST_MOUNT;
        let look = if is_sure { Look::Whole } else { Look::Cap };
        let is_new = |&(at, last): &(Instant, Look)| last != look || now.duration_since(at) >= RETAIN;
        if !self.last.as_ref().is_none_or(is_new) {
            return None;
        }
        self.last = Some((now, look));
        Some(look)
    }
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

    #[test]
    fn nothing_goes_by_acks_before_the_recordings_are_known_for_sure() {
        let begun = Instant::now();
        let looked = |seconds: &[u64], confirmed: u64| {
            let mut looks = Looks::from(begun);
            let at = |&second: &u64| {
                let look = looks.due(begun + Duration::from_secs(second), second >= confirmed)?;
                Some((second, look))
            };
            seconds.iter().filter_map(at).collect::<Vec<_>>()
        };
        let (cap, whole) = (Look::Cap, Look::Whole);
        assert_eq!(looked(&[0, 1, 10], 0), [(0, whole), (10, whole)]);
        // The API answers, and that is not waited for any longer.
        assert_eq!(looked(&[0, 1, 2, 3, 12], 2), [(0, cap), (2, whole), (12, whole)]);
        // It never does.
        assert_eq!(
            looked(&[0, 9, 10, 115, 119, 120, 129, 130], u64::MAX),
            [(0, cap), (10, cap), (115, cap), (120, whole), (130, whole)]
        );
    }

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
