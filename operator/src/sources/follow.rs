//! One long-poll for each Station's ingest, for as long as there is one. IO.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use ingest::{config::TapeAccess, reader::Desk};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{Key, Order, news, seen::Changes};
use crate::{
    context::Context,
    k8s::{backoff::spread, events},
    wake::{self, Wake},
    watch::Queues,
};

/// An ingest that answers all the time is not asked more often.
const BETWEEN_ANSWERS: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Spread it is 3 s at most: after an installation nobody shall wait longer for a status.
const LAST_RETRY: Duration = Duration::from_millis(2500);

/// Follows whom it is ordered to; ends when nobody can order any more. Dropped, it follows nobody.
pub async fn run(context: Arc<Context>, mut orders: UnboundedReceiver<Order>, queues: Queues) {
    let mut tasks = JoinSet::new();
    let mut followed: HashMap<Key, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            order = orders.next() => match order {
                Some(Order::Follow(key, access)) => {
                    let task = follow(context.clone(), queues.clone(), key.clone(), access);
                    if let Some(before) = followed.insert(key, tasks.spawn(task)) {
                        before.abort();
                    }
                }
                Some(Order::Leave(key)) => {
                    if let Some(task) = followed.remove(&key) {
                        task.abort();
                    }
                }
                None => return,
            },
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended && !error.is_cancelled() {
                    tracing::error!(%error, "following an ingest broke off");
                }
            }
        }
    }
}

/// There is one pod; the address of a second one comes with it.
async fn follow(context: Arc<Context>, queues: Queues, key: Key, access: TapeAccess) {
    let Some(desk) = Desk::all(&access).into_iter().next() else {
        return;
    };
    let (namespace, station) = (key.0.as_str(), key.1.as_str());
    let mut after: Option<String> = None;
    let mut failures = 0;
    loop {
        match desk.all_sessions(after.as_deref()).await {
            Ok(answer) => {
                if failures > 0 {
                    tracing::info!(namespace, station, "the ingest answers again");
                }
                failures = 0;
                let changes = context.sources.answered(&key, &answer);
                for wake in wakes(&context, &key, &changes) {
                    queues.send(wake);
                }
                tell_strangers(&context, &key, &changes).await;
                after = Some(answer.version);
                sleep(BETWEEN_ANSWERS).await;
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(namespace, station, %error, "the ingest does not say who is connected, it is asked again");
                }
                if context.sources.silent(&key) {
                    for wake in everybody(&context, &key) {
                        queues.send(wake);
                    }
                }
                // After a restart it counts anew.
                after = None;
                sleep(spread(retry(failures))).await;
                failures += 1;
            }
        }
    }
}

fn retry(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LAST_RETRY)
}

/// A first answer concerns all Mounts: a status may still name a source that went while nobody looked.
fn wakes(context: &Context, key: &Key, changes: &Changes) -> Vec<Wake> {
    if changes.first {
        return everybody(context, key);
    }
    let (namespace, station) = key;
    let mounts = changes.mounts.union(&changes.recorded);
    let mut wakes: Vec<Wake> = mounts.map(|mount| wake::mount(namespace, mount)).collect();
    if changes.came_or_went || changes.filled {
        wakes.push(wake::station(namespace, station));
    }
    for mount in &changes.recorded {
        wakes.extend(wake::recordings_of(namespace, mount, &context.stores));
        wakes.extend(wake::shows_of(namespace, mount, &context.stores));
    }
    wakes
}

/// A Station, its Mounts and their Shows.
fn everybody(context: &Context, (namespace, station): &Key) -> Vec<Wake> {
    let mounts = context.stores.mounts_of(namespace, station);
    let wakes = mounts.iter().flat_map(|mount| {
        let name = mount.name_any();
        let mut wakes = wake::recordings_of(namespace, &name, &context.stores);
        wakes.extend(wake::shows_of(namespace, &name, &context.stores));
        wakes.push(wake::mount(namespace, &name));
        wakes
    });
    wakes.chain([wake::station(namespace, station)]).collect()
}

async fn tell_strangers(context: &Context, (namespace, station): &Key, changes: &Changes) {
    let reference = ObjectRef::new(station).within(namespace);
    let Some(stored) = context.stores.stations.get(&reference) else {
        return;
    };
    let about = kube::Resource::object_ref(&*stored, &());
    for refusal in &changes.strangers {
        let reason = refusal.reason.as_str();
        let object = format!("Station/{station}");
        if context.sources.may_tell(namespace, &object, reason, refusal.at) {
            let event = news::stranger(refusal);
            events::tell(&context.client, &context.reporter, &event, &about).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
    use futures::channel::mpsc::unbounded;
    use ingest::api::{RefusalReason, Sessions};
    use jiff::Timestamp;

    use super::*;
    use crate::{
        sources::{Heard, Sources},
        testing::{self, MockApi, PLAIN_MOUNT, PLAIN_STATION, refused, session, yaml},
    };

    /// Answers the first question, fails the second, answers the third, and never again.
    async fn answer(State(asked): State<Arc<AtomicUsize>>) -> Result<Json<Sessions>, StatusCode> {
        let at = Timestamp::constant(1_800_000_000, 0);
        let number = asked.fetch_add(1, Ordering::SeqCst);
        let sessions = match number {
            0 => Vec::new(),
            1 => return Err(StatusCode::INTERNAL_SERVER_ERROR),
            2 => vec![session("talk", "studio", at)],
            _ => std::future::pending().await,
        };
        Ok(Json(Sessions {
            version: number.to_string(),
            sessions,
            refusals: vec![refused(None, RefusalReason::UnknownPath, at)],
            fill: ingest::api::Fill::default(),
        }))
    }

    #[tokio::test]
    async fn what_an_ingest_says_wakes_those_concerned_and_strangers_are_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new()
            .route("/v1/sessions", get(answer))
            .with_state(asked.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await });

        let api = MockApi::default();
        let (stores, _writers) = testing::stores(&[yaml(PLAIN_STATION)], &[yaml(PLAIN_MOUNT)]);
        let (sources, orders) = Sources::new(Timestamp::UNIX_EPOCH);
        let mut context = testing::context(api.client(|asked| (201, asked.body.clone())), stores);
        context.sources = sources;
        let context = Arc::new(context);
        let (stations, mut woken_stations) = unbounded();
        let (mounts, mut woken_mounts) = unbounded();
        let queues = Queues {
            stations,
            mounts,
            shows: unbounded().0,
            recordings: unbounded().0,
        };
        let following = tokio::spawn(run(context.clone(), orders, queues));

        let key = ("city".to_owned(), "radio".to_owned());
        let access = TapeAccess {
            addresses: vec![address],
            token: "t".to_owned(),
        };
        context.sources.follow(&key, Some(access));
        let patience = Duration::from_secs(10);
        let mut mount = async || {
            let woken = tokio::time::timeout(patience, woken_mounts.next()).await;
            woken.unwrap().unwrap().name
        };
        // All Mounts at the first answer, at the failure, and at the answer after it.
        for _ in 0..3 {
            assert_eq!(mount().await, "live");
        }
        for _ in 0..3 {
            let woken = tokio::time::timeout(patience, woken_stations.next()).await;
            assert_eq!(woken.unwrap().unwrap().name, "radio");
        }
        let Heard::Now(seen) = context.sources.heard("city", "radio") else {
            panic!("it answers again")
        };
        assert_eq!(seen.anybody(), Some(("talk", "studio")));
        assert_eq!(api.asked(), ["POST events"]);
        assert_eq!(api.last_body("POST")["regarding"]["kind"], "Station");

        // Left alone, the connection ends; what is dropped with the tasks says so.
        context.sources.follow(&key, None);
        assert_eq!(context.sources.heard("city", "radio"), Heard::NotYet);
        following.abort();
        server.abort();
    }

    #[test]
    fn retries_slow_down() {
        assert_eq!(retry(0), FIRST_RETRY);
        assert_eq!(retry(2), FIRST_RETRY * 4);
        for _ in 0..100 {
            let longest = spread(retry(u32::MAX));
            assert!(
                longest >= Duration::from_secs(2) && longest <= Duration::from_secs(3),
                "{longest:?}"
            );
        }
    }
}
