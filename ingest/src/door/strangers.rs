//! Those who have connected and not said yet what they want. No IO.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Their places; clones share them. Who comes when all are taken gets that of whoever has waited longest: a source
/// says at once who it is, so those who keep silent cannot keep it out.
#[derive(Clone, Debug)]
pub struct Strangers {
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    arrivals: u64,
    /// Dropping the sender tells the stranger that its place is gone.
    by_arrival: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place, as long as this lives or until somebody else gets it.
#[derive(Debug)]
pub struct Stranger {
    all: Strangers,
    arrival: u64,
    displaced: oneshot::Receiver<()>,
}

impl Strangers {
    /// So many places, all of them free.
    #[must_use]
    pub fn with_places(most: usize) -> Self {
        Self {
            most,
            waiting: Arc::default(),
        }
    }

    /// A place for one more.
    #[must_use]
    pub fn enter(&self) -> Stranger {
        let (sender, displaced) = oneshot::channel();
        let mut waiting = self.lock();
        while waiting.by_arrival.len() >= self.most && waiting.by_arrival.pop_first().is_some() {}
        let arrival = waiting.arrivals;
        waiting.arrivals += 1;
        waiting.by_arrival.insert(arrival, sender);
        Stranger {
            all: self.clone(),
            arrival,
            displaced,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Waits until somebody else has got the place.
    pub async fn displaced(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.displaced).await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.all.lock().by_arrival.remove(&self.arrival);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    #[test]
    fn the_oldest_goes_when_there_is_no_other_place() {
        let strangers = Strangers::with_places(2);
        let is_displaced = |stranger: &mut Stranger| match stranger.displaced.try_recv() {
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Closed) => true,
            Ok(()) => unreachable!("nothing is ever sent"),
        };
        let mut first = strangers.enter();
        let mut second = strangers.enter();
        assert!(!is_displaced(&mut first));
        let mut third = strangers.enter();
        assert!(is_displaced(&mut first));
        drop(first);
        assert!(!is_displaced(&mut second) && !is_displaced(&mut third));

        drop(second);
        let mut fourth = strangers.enter();
        assert!(!is_displaced(&mut third), "a free place is taken first");
        let _fifth = strangers.enter();
        assert!(is_displaced(&mut third) && !is_displaced(&mut fourth));
        assert_eq!(strangers.lock().by_arrival.len(), 2);
    }
}
