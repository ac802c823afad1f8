//! Who reads, and how far behind the source. No IO.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tape::Session;

/// One open reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Its name in the configuration.
    pub reader: String,
    /// The Mount.
    pub mount: String,
    /// The Mount's input.
    pub input: String,
    /// The session.
    pub session: String,
    /// What it has not been sent yet.
    pub bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lags {
    open: Arc<Mutex<HashMap<u64, Open>>>,
    next: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Open {
    reader: String,
    session: Arc<Session>,
    at: Arc<AtomicU64>,
}

/// One reader's entry, as long as it is open.
#[derive(Debug)]
pub(super) struct Entry {
    lags: Lags,
    number: u64,
    at: Arc<AtomicU64>,
}

impl Lags {
    pub fn of(&self, reader: &str, session: &Arc<Session>) -> Entry {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Not behind before it has begun.
        let at = Arc::new(AtomicU64::new(u64::MAX));
        let open = Open {
            reader: reader.to_owned(),
            session: Arc::clone(session),
            at: Arc::clone(&at),
        };
        self.locked().insert(number, open);
        Entry {
            lags: self.clone(),
            number,
            at,
        }
    }

    pub fn list(&self) -> Vec<Lag> {
        let open = self.locked();
        let lags = open.values().map(|open| Lag {
            reader: open.reader.clone(),
            mount: open.session.about().mount.clone(),
            input: open.session.about().input.clone(),
            session: open.session.id().to_owned(),
            bytes: open
                .session
                .bytes()
                .saturating_sub(open.at.load(Ordering::Relaxed)),
        });
        lags.collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub fn is_at(&self, at: u64) {
        self.at.store(at, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lags.locked().remove(&self.number);
    }
}
