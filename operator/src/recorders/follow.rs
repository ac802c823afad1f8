//! Asks each recorder how it is, for as long as there is one, and has one that hangs replaced. IO.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use ingest::{api::Session, reader::Desk};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
    runtime::{
        events::{Event, EventType},
        reflector::ObjectRef,
    },
};
use radio_crds::conditions::event;
use recorder::course::{Rule, spans};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Key, Order, Target,
    ask::{Asker, Doors},
    watchdog::{Verdict, Watchdog, Why},
};
use crate::{context::Context, k8s::events, recording::plan::is_over, sources::Heard, wake, watch::Queues};

/// How often each is asked.
const EVERY: Duration = Duration::from_secs(5);

/// Asks whom it is ordered to; ends when nobody can order any more. Dropped, it asks nobody.
pub async fn run(context: Arc<Context>, mut orders: UnboundedReceiver<Order>, queues: Queues) {
    let asker = Asker::default();
    let mut tasks = JoinSet::new();
    let mut followed: HashMap<Key, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            order = orders.next() => match order {
                Some(Order::Follow(key, target)) => {
                    let asking = Follower {
                        context: context.clone(),
                        queues: queues.clone(),
                        asker: asker.clone(),
                        doors: Doors::of(target.address),
                        key: key.clone(),
                        target: *target,
                        every: EVERY,
                        watchdog: Watchdog::default(),
                    };
                    if let Some(before) = followed.insert(key, tasks.spawn(asking.run())) {
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
                    tracing::error!(%error, "asking a recorder broke off");
                }
            }
        }
    }
}

/// Asks one pod.
pub(super) struct Follower {
    pub context: Arc<Context>,
    pub queues: Queues,
    pub asker: Asker,
    pub doors: Doors,
    pub key: Key,
    pub target: Target,
    pub every: Duration,
    pub watchdog: Watchdog,
}

impl Follower {
    /// Ends when the pod has been replaced.
    pub async fn run(mut self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut told = self.asker.ask(self.doors).await;
            let (sessions, now) = (self.sessions(), Timestamp::now());
            told.over_on_tape = is_over(&self.target.rule, &sessions, now);
            let expected = expected(&self.target.rule, &sessions, now);
            let mut verdict = self.watchdog.look(&told, &expected, Instant::now());
            if self
                .context
                .recorders
                .said(&self.key, &self.target.uid, told, now)
            {
                self.queues.send(wake::recording(&self.key.0, &self.key.1));
            }
            if verdict == Verdict::AskTape {
                let tape = self.tape().await;
                verdict = tape.map_or(Verdict::Fine, |tape| self.watchdog.hear(&tape, Instant::now()));
            }
            if let Verdict::Replace(why) = verdict
                && self.may_replace(&why)
                && self.replace(&why).await
            {
                return;
            }
        }
    }

    /// When the ingest does not answer either, it may be us who are cut off.
    fn may_replace(&self, why: &Why) -> bool {
        let heard = self.context.sources.heard(&self.key.0, &self.target.station);
        *why != Why::Unreachable || matches!(heard, Heard::Now(_))
    }

    /// The Mount's sessions, if the tape tells now.
    fn sessions(&self) -> Vec<Session> {
        let Heard::Now(seen) = self.context.sources.heard(&self.key.0, &self.target.station) else {
            return Vec::new();
        };
        let of_mount = seen
            .sessions()
            .iter()
            .filter(|session| self.target.rule.is_of(session));
        of_mount.cloned().collect()
    }

    /// How much the tape has of each session now.
    async fn tape(&self) -> Option<BTreeMap<String, u64>> {
        let access = self.context.sources.access(&self.key.0, &self.target.station)?;
        let desk = Desk::all(&access).into_iter().next()?;
        let answer = desk.all_sessions(None).await.ok()?;
        let sizes = answer
            .sessions
            .into_iter()
            .map(|session| (session.id, session.bytes));
        Some(sizes.collect())
    }

    /// Deletes the pod; its Job has another one made at once. Returns whether it was this very pod.
    async fn replace(&self, why: &Why) -> bool {
        let (namespace, name) = (&self.key.0, &self.target.pod);
        let api = Api::<Pod>::namespaced(self.context.client.clone(), namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(self.target.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(name, &params).await {
            Ok(_) => {
                tracing::warn!(namespace, pod = name, %why, "a recorder is replaced");
                self.tell(why).await;
                true
            }
            // It is gone, or another one has its name: its own Job knows.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => true,
            Err(error) => {
                tracing::warn!(namespace, pod = name, %error, "failed to replace a recorder, it is tried again");
                false
            }
        }
    }

    async fn tell(&self, why: &Why) {
        let reference = ObjectRef::new(&self.key.1).within(&self.key.0);
        let Some(recording) = self.context.stores.recordings.get(&reference) else {
            return;
        };
        let event = Event {
            type_: EventType::Warning,
            reason: event::RECORDER_REPLACED.to_owned(),
            note: Some(format!(
                "pod {} is replaced: {why}; what it had not stored is on the tape",
                self.target.pod
            )),
            action: "Replace".to_owned(),
            secondary: None,
        };
        let about = kube::Resource::object_ref(&*recording, &());
        events::tell(&self.context.client, &self.context.reporter, &event, &about).await;
    }
}

/// The sessions that are on air now and belong to the Recording.
fn expected(rule: &Rule, sessions: &[Session], now: Timestamp) -> BTreeSet<String> {
    if now >= rule.limit {
        return BTreeSet::new();
    }
    let times: Vec<_> = sessions.iter().flat_map(spans).collect();
    let reach = rule.reach(&times, &[]);
    let on_air = |session: &&Session| {
        let spans = spans(session);
        spans.iter().any(|span| span.to.is_none() && reach.has(span))
    };
    sessions
        .iter()
        .filter(on_air)
        .map(|session| session.id.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::sample::{PLAIN, at, taped, valid};

    #[test]
    fn what_is_on_air_and_belongs_should_be_captured() {
        let rule = Rule::from(&valid(PLAIN).told);
        let ids = |sessions: &[Session], second| {
            let expected = expected(&rule, sessions, at(second));
            expected.into_iter().collect::<Vec<_>>()
        };
        let sessions = [taped("a", 2, Some(50)), taped("b", 60, None)];
        assert_eq!(ids(&sessions, 100), ["b"]);
        assert_eq!(ids(&sessions, 6 * 3600 + 1), [""; 0]);
        // After a silence that was too long another Recording has it.
        assert_eq!(
            ids(&[taped("a", 2, Some(50)), taped("b", 300, None)], 400),
            [""; 0]
        );
        assert_eq!(ids(&[], 100), [""; 0]);
    }
}
