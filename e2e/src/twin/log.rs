//! What was asked of the twin, and what came of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::fault::Effect;
use super::operation::{Asked, Operation};

/// How many requests are kept; the oldest go first.
const KEPT: usize = 20_000;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing yet; or the client left before an answer.
    Open,
    /// The client was sent this status.
    Answered(u16),
    /// The store behind answered with this status, and the client never heard of it.
    Lost(u16),
    /// The connection was cut before the store behind heard of it.
    Cut,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counted from 0.
    pub number: u64,
    /// When its head had arrived.
    pub at: Timestamp,
    /// The operation.
    pub operation: Operation,
    /// The bucket; empty for the account.
    pub bucket: String,
    /// The key; empty for a bucket.
    pub key: String,
    /// The query's parameters.
    pub query: Vec<(String, String)>,
    /// All headers but the signature and the session token, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What went wrong on purpose.
    pub effects: Vec<Effect>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Entry {
    /// The status the client was sent.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Answered(status) => Some(status),
            _ => None,
        }
    }
}

/// The newest requests.
pub struct Log {
    entries: Mutex<VecDeque<Entry>>,
    version: watch::Sender<u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            version: watch::Sender::new(0),
        }
    }
}

impl Log {
    /// All that is kept, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().iter().cloned().collect()
    }

    /// The requests of one operation, oldest first.
    #[must_use]
    pub fn of(&self, operation: Operation) -> Vec<Entry> {
        let entries = self.lock();
        entries
            .iter()
            .filter(|entry| entry.operation == operation)
            .cloned()
            .collect()
    }

    /// Waits until the log is as it should be.
    pub async fn until(&self, mut is_so: impl FnMut(&[Entry]) -> bool) {
        let mut version = self.version.subscribe();
        loop {
            version.mark_unchanged();
            if is_so(&self.entries()) {
                return;
            }
            if version.changed().await.is_err() {
                return;
            }
        }
    }

    /// Forgets everything; numbers go on.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn begin(&self, asked: &Asked, headers: &HeaderMap, effects: &[Effect]) -> u64 {
        let mut number = 0;
        self.version.send_modify(|version| {
            number = *version;
            *version += 1;
        });
        let mut entries = self.lock();
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(Entry {
            number,
            at: Timestamp::now(),
            operation: asked.operation,
            bucket: asked.bucket.clone(),
            key: asked.key.clone(),
            query: asked.query.clone(),
            headers: of_interest(headers),
            effects: effects.to_vec(),
            outcome: Outcome::Open,
        });
        number
    }

    pub(super) fn end(&self, number: u64, outcome: Outcome) {
        if let Some(entry) = self.lock().iter_mut().rev().find(|entry| entry.number == number) {
            entry.outcome = outcome;
        }
        self.version.send_modify(|_| {});
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_interest(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| !["authorization", "x-amz-security-token"].contains(&name.as_str()))
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}
