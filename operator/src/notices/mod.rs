//! The dead man's switch: who is told that a show is not what it should be, and that the way to them works.
//!
//! ```text
//! Shows, Recordings, ingests, recorders -> scene -> judge -> logbook -> Show.status.notices (before anything is told)
//! Show.status.notices -> outbox -> post (Telegram, webhook) -> logbook -> Show.status.notices (told)
//! Station.spec.notify -> drill, heartbeat -> outbox, post      outbox -> Station's condition NoticesFailing
//! ```
//!
//! What was told is in the status, and so a message is sent once for each way, unless the operator dies between its arrival
//! and the status: then it is sent again, with the same id.

pub mod condition;
pub mod drill;
mod drills;
pub mod follow;
pub mod heartbeat;
mod hearts;
pub mod judge;
mod lines;
pub mod logbook;
pub mod metrics;
pub mod outbox;
pub mod post;
pub mod pulse;
pub mod scene;
mod shows;
pub mod target;
pub mod words;
mod write;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use condition::Delivery;

/// A Station or a Show, by namespace and name.
pub type Key = (String, String);

/// Whether what goes wrong can be told, for those who make conditions of it.
#[derive(Debug, Default)]
pub struct Notices(Mutex<HashMap<Key, Delivery>>);

impl Notices {
    /// Whether a Station's messages arrive.
    #[must_use]
    pub fn delivery(&self, namespace: &str, station: &str) -> Delivery {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), station.to_owned());
        known.get(&key).cloned().unwrap_or(Delivery::Untried)
    }

    /// Takes in how it is; returns for which Stations that is new.
    pub(crate) fn deliver(&self, now: HashMap<Key, Delivery>) -> Vec<Key> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |(key, delivery): &(&Key, &Delivery)| known.get(*key) != Some(*delivery);
        let changed = now.iter().filter(is_new).map(|(key, _)| key.clone()).collect();
        *known = now;
        changed
    }
}

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;
