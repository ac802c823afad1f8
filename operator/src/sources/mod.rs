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

/// At most one Event in this time for each input that a source comes, and one that it goes.
pub const TELL_COMING_EVERY: Duration = Duration::from_secs(30);
/// How long it is remembered that something was not told.
const REMEMBER: Duration = Duration::from_hours(1);

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

/// How an ingest answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It has not been heard yet.
    NotYet,
    /// It answers: this is so now.
    Now(Seen),
    /// It did not answer when it was asked last; this is what it said before.
    Silence(Option<Seen>),
}

impl Heard {
    /// What it said last.
    #[must_use]
    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Self::NotYet => None,
            Self::Now(seen) => Some(seen),
            Self::Silence(seen) => seen.as_ref(),
        }
    }
}

#[derive(Debug)]
struct Followed {
    access: TapeAccess,
    heard: Heard,
}

/// What was seen of all ingests.
#[derive(Debug)]
pub struct Sources {
    stations: Mutex<HashMap<Key, Followed>>,
    /// When which object was last told of which kind of refusal.
    told: Mutex<HashMap<(String, String, String), Timestamp>>,
    /// When which input of which Mount was last told to have come or gone, and how often not since.
    comings: Mutex<HashMap<[String; 4], (Timestamp, u32)>>,
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
            comings: Mutex::default(),
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
                    heard: Heard::NotYet,
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

    /// What is heard of a Station's ingest.
    #[must_use]
    pub fn heard(&self, namespace: &str, station: &str) -> Heard {
        let stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        stations
            .get(&(namespace.to_owned(), station.to_owned()))
            .map_or(Heard::NotYet, |followed| followed.heard.clone())
    }

    /// How a Station's ingest is asked.
    #[must_use]
    pub fn access(&self, namespace: &str, station: &str) -> Option<TapeAccess> {
        let stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let followed = stations.get(&(namespace.to_owned(), station.to_owned()))?;
        Some(followed.access.clone())
    }

    /// An ingest did not answer; returns whether that is new.
    pub(crate) fn silent(&self, key: &Key) -> bool {
        let mut stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followed) = stations.get_mut(key) else {
            return false;
        };
        if matches!(followed.heard, Heard::Silence(_)) {
            return false;
        }
        followed.heard = Heard::Silence(followed.heard.seen().cloned());
        true
    }

    /// An ingest answered. Nothing changes for a Station that is followed no longer.
    pub(crate) fn answered(&self, key: &Key, answer: &Sessions) -> Changes {
        let mut stations = self.stations.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followed) = stations.get_mut(key) else {
            return Changes::default();
        };
        let first = !matches!(followed.heard, Heard::Now(_));
        let mut seen = match std::mem::replace(&mut followed.heard, Heard::NotYet) {
            Heard::Now(seen) | Heard::Silence(Some(seen)) => seen,
            Heard::NotYet | Heard::Silence(None) => Seen::new(self.since),
        };
        let changes = seen.take(answer);
        followed.heard = Heard::Now(seen);
        Changes { first, ..changes }
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

    /// Whether it may be told that a source came or went: how often it was not told since the last time; `None`: not now.
    pub fn may_tell_coming(
        &self,
        namespace: &str,
        mount: &str,
        input: &str,
        reason: &str,
        now: Timestamp,
    ) -> Option<u32> {
        let age = |told: Timestamp| now.duration_since(told).abs();
        let mut comings = self.comings.lock().unwrap_or_else(PoisonError::into_inner);
        comings.retain(|_, (told, _)| age(*told) < signed(REMEMBER));
        let key = [namespace, mount, input, reason].map(str::to_owned);
        match comings.get_mut(&key) {
            Some((told, untold)) if age(*told) < signed(TELL_COMING_EVERY) => {
                *untold = untold.saturating_add(1);
                None
            }
            before => {
                let untold = before.map_or(0, |(_, untold)| *untold);
                comings.insert(key, (now, 0));
                Some(untold)
            }
        }
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
            fill: ingest::api::Fill::default(),
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

        assert_eq!(sources.heard("city", "radio"), Heard::NotYet);
        assert!(sources.answered(&key(), &nothing()).first);
        assert!(!sources.answered(&key(), &nothing()).first);
        // Another token is no reason to forget who is connected.
        sources.follow(&key(), Some(access("b")));
        assert_eq!(next(), Some(Order::Follow(key(), access("b"))));
        assert!(matches!(sources.heard("city", "radio"), Heard::Now(_)));

        sources.follow(&key(), None);
        assert_eq!(next(), Some(Order::Leave(key())));
        assert_eq!(sources.heard("city", "radio"), Heard::NotYet);
        // A late answer brings nothing back.
        assert_eq!(sources.answered(&key(), &nothing()), Changes::default());
        assert!(!sources.silent(&key()));
        assert_eq!(sources.heard("city", "radio"), Heard::NotYet);
    }

    #[test]
    fn silence_is_news_once_and_so_is_its_end() {
        let (sources, _orders) = Sources::new(Timestamp::UNIX_EPOCH);
        sources.follow(&key(), Some(access("a")));
        assert!(sources.silent(&key()));
        assert_eq!(sources.heard("city", "radio"), Heard::Silence(None));
        assert!(!sources.silent(&key()));
        assert!(sources.answered(&key(), &nothing()).first);
        assert!(sources.silent(&key()));
        // Which refusals were told is not forgotten.
        assert!(sources.heard("city", "radio").seen().is_some());
        assert!(sources.answered(&key(), &nothing()).first);
        assert!(!sources.answered(&key(), &nothing()).first);
    }

    #[test]
    fn an_encoder_that_comes_and_goes_is_told_now_and_then() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let (sources, _orders) = Sources::new(at(0));
        let tell = |input: &str, reason: &str, seconds| {
            sources.may_tell_coming("city", "live", input, reason, at(seconds))
        };
        assert_eq!(tell("studio", "SourceConnected", 1), Some(0));
        assert_eq!(tell("studio", "SourceDisconnected", 2), Some(0));
        assert_eq!(tell("studio", "SourceConnected", 3), None);
        assert_eq!(tell("van", "SourceConnected", 3), Some(0));
        assert_eq!(tell("studio", "SourceConnected", 30), None);
        assert_eq!(tell("studio", "SourceConnected", 31), Some(2));
        assert_eq!(tell("studio", "SourceConnected", 61), Some(0));
        assert_eq!(sources.comings.lock().unwrap().len(), 3);
        assert_eq!(tell("studio", "SourceConnected", 4000), Some(0));
        assert_eq!(sources.comings.lock().unwrap().len(), 1);
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
