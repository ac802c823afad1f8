//! The loop: looks at all Shows every few seconds, tells what there is to tell, and hears what came of it. IO.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use radio_crds::{notify::DrillStatus, show::Notice};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    Key,
    drill::Clockwork,
    heartbeat::Heart,
    outbox::{About, Line, Outbox},
    post::Post,
    pulse::Pulse,
    target::Answer,
};
use crate::{context::Context, watch::Queues};

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// An ingest that was not heard for so long since the operator began does not answer.
pub(super) const HEARD_WITHIN: SignedDuration = SignedDuration::from_secs(20);

/// Tells until nobody is left to look; ends only if the copies of the cluster's objects will never be complete.
pub async fn run(context: Arc<Context>, queues: Queues) {
    if !context.stores.filled().await {
        return;
    }
    let since = context.clock.now();
    let mut teller = Teller::new(context.clone(), queues, since);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(landed) = teller.flights.join_next_with_id() => teller.landed(landed, context.clock.now()),
        }
        teller.round(context.clock.now()).await;
    }
}

/// Everything that is remembered from one look to the next.
pub(super) struct Teller {
    pub context: Arc<Context>,
    pub queues: Queues,
    pub post: Post,
    pub since: Timestamp,
    pub outbox: Outbox,
    pub hearts: HashMap<Key, Heart>,
    pub pulses: HashMap<Key, HashMap<String, Pulse>>,
    /// What was written over which version, for as long as our copy is still that version.
    pub written_notices: HashMap<Key, (Option<String>, Vec<Notice>)>,
    pub written_drills: HashMap<Key, (Option<String>, Option<DrillStatus>)>,
    pub clockworks: HashMap<Key, Clockwork>,
    /// The slots of which the outcome was counted.
    pub counted: HashMap<Key, BTreeSet<Timestamp>>,
    pub flights: JoinSet<Landed>,
    pub aloft: HashMap<Id, Aloft>,
}

/// What is under way, to be known also if it breaks off.
pub(super) enum Aloft {
    Letter(Line),
    Beat(Key),
}

/// What has come back.
pub(super) enum Landed {
    Letter {
        line: Line,
        about: About,
        answer: Answer,
    },
    Beat {
        key: Key,
        every: Duration,
        /// `None`: not all was well.
        result: Option<Result<(), String>>,
    },
}

/// What a look finds out by the way.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The API server did not take something: it is not asked for more.
    pub blind: bool,
    /// The Stations with something that somebody was not told.
    pub untold: BTreeSet<Key>,
}

impl Teller {
    pub fn new(context: Arc<Context>, queues: Queues, since: Timestamp) -> Self {
        Self {
            context,
            queues,
            since,
            post: Post::default(),
            outbox: Outbox::default(),
            hearts: HashMap::new(),
            pulses: HashMap::new(),
            written_notices: HashMap::new(),
            written_drills: HashMap::new(),
            clockworks: HashMap::new(),
            counted: HashMap::new(),
            flights: JoinSet::new(),
            aloft: HashMap::new(),
        }
    }

    /// One look at everything.
    pub async fn round(&mut self, now: Timestamp) {
        let stations = self.stations();
        let mut round = Round::default();
        let mut letters = self.shows(&stations, &mut round, now).await;
        self.drills(&stations, &mut letters, &mut round, now).await;
        self.send(&stations, letters, now);
        self.beat(&stations, &round, now);
        let deliveries = self.deliveries(&stations, now);
        self.report(deliveries);
    }

    /// Hears what came of something.
    pub fn landed(&mut self, landed: Result<(Id, Landed), JoinError>, now: Timestamp) {
        match landed {
            Ok((id, landed)) => {
                self.aloft.remove(&id);
                self.take(landed, now);
            }
            Err(error) => {
                tracing::error!(%error, "telling somebody broke off");
                match self.aloft.remove(&error.id()) {
                    Some(Aloft::Letter(line)) => self.outbox.broke_off(&line, now),
                    Some(Aloft::Beat(key)) => {
                        if let Some(heart) = self.hearts.get_mut(&key) {
                            heart.held_back();
                        }
                    }
                    None => {}
                }
            }
        }
    }

    fn take(&mut self, landed: Landed, now: Timestamp) {
        match landed {
            Landed::Letter { line, about, answer } => {
                log(&line, &about, &answer);
                self.outbox.answered(&line, &about, answer, now);
            }
            Landed::Beat { key, every, result } => {
                let Some(heart) = self.hearts.get_mut(&key) else {
                    return;
                };
                match result {
                    Some(result) => {
                        if let Err(words) = &result {
                            tracing::warn!(
                                namespace = key.0,
                                station = key.1,
                                words,
                                "the heartbeat is not heard"
                            );
                        }
                        heart.beaten(result, every, now);
                    }
                    None => heart.held_back(),
                }
            }
        }
    }
}

fn log(line: &Line, about: &About, answer: &Answer) {
    let (namespace, station, way) = (&line.namespace, &line.station, line.way);
    match answer {
        Answer::Delivered => tracing::info!(namespace, station, ?way, ?about, "told"),
        Answer::Later { words, .. } | Answer::Refused { words } => {
            tracing::warn!(
                namespace,
                station,
                ?way,
                ?about,
                words,
                "failed to tell, trying again"
            );
        }
    }
}
