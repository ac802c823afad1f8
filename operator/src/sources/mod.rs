//! Who is connected to the ingests of all Stations, and who was refused. It is only looked at: no reconcile waits for an
//! ingest, and what was seen last counts until something else is seen.
//!
//! ```text
//! Station's reconcile -> Sources (whom to follow) -> follow (one long-poll each) -> seen -> wakes
//! Mount's and Station's reconcile <- Sources (what was seen)
//! ```

pub mod follow;
pub mod news;
pub mod seen;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use ingest::{api::Sessions, config::TapeAccess};
use jiff::{SignedDuration, Timestamp};

use seen::{Changes, Seen};

/// At most one Event in this time for each reason of a Mount, and one refusal for each reason of an input.
pub const TELL_EVERY: Duration = Duration::from_mins(1);

/// A Station, by namespace and name.
pub type Key = (String, String);

/// Whom to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Follow this Station's ingest, this way from now on.
    Follow(Key, TapeAccess),
    /// No longer.
    Leave(Key),
}

#[derive(Debug)]
struct Followed {
    access: TapeAccess,
    seen: Option<Seen>,
}

/// What was seen of all ingests.
#[derive(Debug)]
pub struct Sources {
    stations: Mutex<HashMap<Key, Followed>>,
    /// When which object was last told of which kind of refusal.
    told: Mutex<HashMap<(String, String, String), Timestamp>>,
    since: Timestamp,
    orders: UnboundedSender<Order>,
}

impl Sources {
    /// Nothing seen yet. Refusals before `since` are no news.
    #[must_use]
    pub fn new(since: Timestamp) -> (Self, UnboundedReceiver<Order>) {
        let (orders, received) = unbounded();
        let sources = Self {
            stations: Mutex::default(),
            told: Mutex::default(),
            since,
            orders,
        };
        (sources, received)
    }

    /// A Station's ingest can be asked like this; `None`: there is none.
    pub fn follow(&self, key: &Key, access: Option<TapeAccess>) {
        let mut stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let order = match (access, stations.get_mut(key)) {
            (None, None) => return,
            (None, Some(_)) => {
                stations.remove(key);
                Order::Leave(key.clone())
            }
            (Some(access), Some(followed)) if followed.access == access => return,
            (Some(access), Some(followed)) => {
                followed.access = access.clone();
                Order::Follow(key.clone(), access)
            }
            (Some(access), None) => {
                let followed = Followed {
                    access: access.clone(),
                    seen: None,
                };
                stations.insert(key.clone(), followed);
                Order::Follow(key.clone(), access)
            }
        };
        drop(stations);
        if self.orders.unbounded_send(order).is_err() {
            tracing::debug!("nobody follows ingests any more");
        }
    }

    /// What was last seen of a Station's ingest; `None`: nothing yet.
    #[must_use]
    pub fn seen(&self, namespace: &str, station: &str) -> Option<Seen> {
        let stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        stations
            .get(&(namespace.to_owned(), station.to_owned()))?
            .seen
            .clone()
    }

    /// An ingest answered. Nothing changes for a Station that is followed no longer.
    pub(crate) fn answered(&self, key: &Key, answer: &Sessions) -> Changes {
        let mut stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followed) = stations.get_mut(key) else {
            return Changes::default();
        };
        let first = followed.seen.is_none();
        let seen = followed.seen.get_or_insert_with(|| Seen::new(self.since));
        Changes {
            first,
            ..seen.take(answer)
        }
    }

    /// Whether an object may be told of a refusal: a new one, and not too many of a kind.
    pub fn may_tell(&self, namespace: &str, object: &str, reason: &str, at: Timestamp) -> bool {
        let recent = |told: Timestamp| at.duration_since(told).abs() < signed(TELL_EVERY);
        if at <= self.since {
            return false;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, last| recent(*last));
        let key = (namespace.to_owned(), object.to_owned(), reason.to_owned());
        if told.contains_key(&key) {
            return false;
        }
        told.insert(key, at);
        true
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("city".to_owned(), "radio".to_owned())
    }

    fn access(token: &str) -> TapeAccess {
        TapeAccess {
            addresses: vec!["radio-ingest-0:8006".to_owned()],
            token: token.to_owned(),
        }
    }

    fn nothing() -> Sessions {
        Sessions {
            version: "1".to_owned(),
            sessions: Vec::new(),
            refusals: Vec::new(),
        }
    }

    #[test]
    fn an_ingest_is_followed_until_it_is_gone() {
        let (sources, mut orders) = Sources::new(Timestamp::UNIX_EPOCH);
        let mut next = || orders.try_recv().ok();
        sources.follow(&key(), None);
        assert_eq!(next(), None);
        sources.follow(&key(), Some(access("a")));
        assert_eq!(next(), Some(Order::Follow(key(), access("a"))));
        sources.follow(&key(), Some(access("a")));
        assert_eq!(next(), None);

        assert_eq!(sources.seen("city", "radio"), None);
        assert!(sources.answered(&key(), &nothing()).first);
        assert!(!sources.answered(&key(), &nothing()).first);
        // Another token is no reason to forget who is connected.
        sources.follow(&key(), Some(access("b")));
        assert_eq!(next(), Some(Order::Follow(key(), access("b"))));
        assert!(sources.seen("city", "radio").is_some());

        sources.follow(&key(), None);
        assert_eq!(next(), Some(Order::Leave(key())));
        assert_eq!(sources.seen("city", "radio"), None);
        // A late answer brings nothing back.
        assert_eq!(sources.answered(&key(), &nothing()), Changes::default());
        assert_eq!(sources.seen("city", "radio"), None);
    }

    #[test]
    fn refusals_are_told_once_a_minute_and_old_ones_never() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let (sources, _orders) = Sources::new(at(0));
        let tell =
            |object: &str, reason: &str, seconds| sources.may_tell("city", object, reason, at(seconds));
        assert!(!tell("live", "Unauthorized", -5));
        assert!(!tell("live", "Unauthorized", 0));
        assert!(tell("live", "Unauthorized", 1));
        assert!(!tell("live", "Unauthorized", 2));
        assert!(tell("live", "Taken", 2));
        assert!(tell("talk", "Unauthorized", 2));
        assert!(!tell("live", "Unauthorized", 60));
        assert!(tell("live", "Unauthorized", 61));
        assert_eq!(sources.told.lock().unwrap().len(), 3);
        assert!(tell("live", "Unauthorized", 500));
        assert_eq!(sources.told.lock().unwrap().len(), 1);
    }
}
