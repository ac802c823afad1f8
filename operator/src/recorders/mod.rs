//! How the recorders are, as their pods say. It is only looked at: no reconcile waits for a recorder, and what was said last
//! counts until something else is said.
//!
//! ```text
//! Recording's reconcile -> Recorders (whom to ask) -> follow (both processes, every 5 s) -> wakes
//! Recording's reconcile <- Recorders (what was said)      follow -> watchdog -> a pod that hangs is deleted
//! ```

pub mod ask;
pub mod follow;
pub mod watchdog;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use ingest::api::Fill;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use recorder::{
    course::Rule,
    manifest::OverWhy,
    report::{CaptureState, ShipState, Trouble},
};

use crate::recording::validate::ValidSpec;

/// A store that fails for shorter than this is not worth telling: it is tried again within a second.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// A Recording, by namespace and name.
pub type Key = (String, String);

/// A pod that records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub pod: String,
    /// Its identity.
    pub uid: String,
    /// Where it answers.
    pub address: IpAddr,
    /// The Station.
    pub station: String,
    /// What it records.
    pub rule: Rule,
}

impl Target {
    /// `None` while nobody knows where it answers.
    #[must_use]
    pub fn of(pod: &Pod, spec: &ValidSpec) -> Option<Self> {
        Some(Self {
            pod: pod.name_any(),
            uid: pod.uid()?,
            address: pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?,
            station: spec.owner.station.clone(),
            rule: Rule::from(&spec.told),
        })
    }
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ask this pod from now on.
    Follow(Key, Box<Target>),
    /// Ask none any longer.
    Leave(Key),
}

/// What a recorder's pod said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How far the store is.
    pub ship: Option<ShipState>,
    /// How far the second copy is.
    pub capture: Option<CaptureState>,
    /// By the tape, nobody can come back.
    pub over_on_tape: bool,
}

#[derive(Debug)]
struct Followed {
    target: Target,
    told: Told,
}

/// What all recorders said.
#[derive(Debug)]
pub struct Recorders {
    recordings: Mutex<HashMap<Key, Followed>>,
    orders: UnboundedSender<Order>,
}

impl Recorders {
    /// Nobody said anything yet.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Order>) {
        let (orders, received) = unbounded();
        let recorders = Self {
            recordings: Mutex::default(),
            orders,
        };
        (recorders, received)
    }

    /// A Recording's pod is this one; `None`: there is none.
    pub fn follow(&self, key: &Key, target: Option<Target>) {
        let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        let order = match target {
            None if recordings.remove(key).is_none() => return,
            None => Order::Leave(key.clone()),
            Some(target) if recordings.get(key).is_some_and(|known| known.target == target) => return,
            Some(target) => {
                let followed = Followed {
                    target: target.clone(),
                    told: Told::default(),
                };
                recordings.insert(key.clone(), followed);
                Order::Follow(key.clone(), Box::new(target))
            }
        };
        drop(recordings);
        if self.orders.unbounded_send(order).is_err() {
            tracing::debug!("nobody asks recorders any more");
        }
    }

    /// What a Recording's pod said last.
    #[must_use]
    pub fn told(&self, namespace: &str, name: &str) -> Told {
        let recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        recordings
            .get(&key)
            .map(|followed| followed.told.clone())
            .unwrap_or_default()
    }

    /// Takes in an answer of a pod; returns whether the Recording's status has to say something else now. A process that did
    /// not answer has said nothing new.
    pub(crate) fn said(&self, key: &Key, uid: &str, mut said: Told, now: Timestamp) -> bool {
        let mut recordings = self.recordings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followed) = recordings
            .get_mut(key)
            .filter(|followed| followed.target.uid == uid)
        else {
            return false;
        };
        if let Some(ship) = &mut said.ship {
            let before = followed.told.ship.as_ref().and_then(|ship| ship.trouble.as_ref());
            ship.trouble = worth_telling(ship.trouble.take(), before, now);
        }
        let told = Told {
            ship: said.ship.or_else(|| followed.told.ship.clone()),
            capture: said.capture.or_else(|| followed.told.capture.clone()),
            over_on_tape: said.over_on_tape,
        };
        let changed = notable(&told) != notable(&followed.told);
        followed.told = told;
        changed
    }
}

/// Of one trouble the first words count: which of many requests failed last is no news.
fn worth_telling(trouble: Option<Trouble>, before: Option<&Trouble>, now: Timestamp) -> Option<Trouble> {
    let trouble = trouble?;
    let known = before.filter(|before| before.since == trouble.since && before.code == trouble.code);
    if let Some(known) = known {
        return Some(known.clone());
    }
    let patience = SignedDuration::try_from(TOLD_AFTER).unwrap_or(SignedDuration::MAX);
    (now.duration_since(trouble.since) >= patience).then_some(trouble)
}

type Session<'a> = (&'a str, Option<Timestamp>, Option<Timestamp>);

/// What of it is in a status.
#[derive(Debug, PartialEq, Eq)]
struct Notable<'a> {
    heard: bool,
    over_on_tape: bool,
    over: Option<OverWhy>,
    trouble: Option<&'a Trouble>,
    fill: Option<Fill>,
    sessions: Vec<Session<'a>>,
}

fn notable(told: &Told) -> Notable<'_> {
    let ship = told.ship.as_ref();
    let sessions = ship.iter().flat_map(|ship| &ship.sessions);
    Notable {
        heard: ship.is_some(),
        over_on_tape: told.over_on_tape,
        over: ship.and_then(|ship| ship.over),
        trouble: ship.and_then(|ship| ship.trouble.as_ref()),
        fill: told.capture.as_ref().map(|capture| capture.spool_fill),
        sessions: sessions
            .map(|session| (session.id.as_str(), session.from, session.to))
            .collect(),
    }
}

#[cfg(test)]
mod tests;
