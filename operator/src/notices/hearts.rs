//! A look at all Stations' heartbeats. IO.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams, runtime::reflector::ObjectRef};
use radio_crds::{Show, Station, notify::Heartbeat};

use super::{
    Key,
    follow::{Aloft, Landed, Round, Teller},
    heartbeat::is_current,
    lines::secret,
    post::Post,
    target::address,
};
use crate::context::Context;

/// For what is asked of the API server on the way.
const PATIENCE: Duration = Duration::from_secs(10);

impl Teller {
    /// Beats where all is well.
    pub fn beat(&mut self, stations: &BTreeMap<Key, Arc<Station>>, round: &Round, now: Timestamp) {
        self.hearts.retain(|key, _| stations.contains_key(key));
        for (key, station) in stations {
            let heartbeat = station.spec.notify.as_ref();
            let heartbeat = heartbeat.and_then(|notify| notify.heartbeat.as_ref());
            let every = heartbeat.and_then(Heartbeat::every_seconds);
            let (Some(heartbeat), Some(every)) = (heartbeat, every) else {
                self.hearts.remove(key);
                continue;
            };
            let heart = self.hearts.entry(key.clone()).or_default();
            let due = heart.is_due(now) && !round.blind && !round.untold.contains(key);
            if !due || !self.can_tell(key, station, now) {
                continue;
            }
            self.hearts.entry(key.clone()).or_default().begins();
            let flight = beat(
                self.context.clone(),
                self.post.clone(),
                key.clone(),
                heartbeat.secret_ref.name.clone(),
                Duration::from_secs(every.into()),
            );
            let id = self.flights.spawn(flight).id();
            self.aloft.insert(id, Aloft::Beat(key.clone()));
        }
    }
}

/// One heartbeat, if the cluster is seen as it is.
async fn beat(context: Arc<Context>, post: Post, key: Key, name: String, every: Duration) -> Landed {
    let sees = tokio::time::timeout(PATIENCE, sees(&context, &key)).await;
    let result = if sees.unwrap_or(false) {
        let secret = secret(&context.client, &key.0, &name).await;
        let url = secret.and_then(|secret| address(&name, secret.as_ref()));
        Some(match url {
            Ok(url) => post.beat(&url).await,
            Err(words) => Err(words),
        })
    } else {
        None
    };
    Landed::Beat { key, every, result }
}

/// Whether the API server answers, and our copies are what it has: a watch that is dead would not say so.
async fn sees(context: &Context, (namespace, station): &Key) -> bool {
    let shows = Api::<Show>::namespaced(context.client.clone(), namespace);
    let stations = Api::<Station>::namespaced(context.client.clone(), namespace);
    let listed = shows.list_metadata(&ListParams::default()).await;
    let live = stations.get_metadata_opt(station).await;
    let (Ok(listed), Ok(Some(live))) = (listed, live) else {
        return false;
    };
    let copy = context
        .stores
        .stations
        .get(&ObjectRef::new(station).within(namespace));
    if copy.and_then(|copy| copy.resource_version()) != live.resource_version() {
        return false;
    }
    let live: Vec<(String, String)> = listed.items.iter().map(versioned).collect();
    let copies = context.stores.shows.state();
    let copies = copies
        .iter()
        .filter(|show| show.namespace().as_deref() == Some(namespace));
    let copies: Vec<(String, String)> = copies.map(|show| versioned(&**show)).collect();
    is_current(&live, &copies)
}

fn versioned<K: ResourceExt>(object: &K) -> (String, String) {
    (object.name_any(), object.resource_version().unwrap_or_default())
}
