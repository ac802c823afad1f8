//! What is sent by which way of a Station, and whether it arrives. IO.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, runtime::reflector::ObjectRef};
use radio_crds::{
    Station,
    conditions::reason,
    notify::{DrillState, DrillStatus, Notify},
    show::NoticeWay,
};

use super::{
    Key,
    condition::Delivery,
    follow::{Aloft, Landed, Teller},
    outbox::{FAILING_AFTER, Fault, Health, Line},
    shows::Letters,
    target::{Answer, Target},
    words::moment,
};
use crate::wake;

/// For what is asked of the API server on the way.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is called in messages.
const HEARTBEAT: &str = "the heartbeat";

/// How a Station tells anybody.
pub(super) fn ways(station: &Station) -> BTreeSet<NoticeWay> {
    let notify = station.spec.notify.as_ref();
    let telegram = notify.and_then(|notify| notify.telegram.as_ref());
    let webhook = notify.and_then(|notify| notify.webhook.as_ref());
    let telegram = telegram.map(|_| NoticeWay::Telegram);
    let webhook = webhook.map(|_| NoticeWay::Webhook);
    telegram.into_iter().chain(webhook).collect()
}

pub(super) fn called(way: NoticeWay) -> &'static str {
    match way {
        NoticeWay::Telegram => "Telegram",
        NoticeWay::Webhook => "the webhook",
    }
}

/// The Secrets that a Station needs to tell anybody, by whom they are for.
fn secrets(notify: &Notify) -> Vec<(&'static str, &str)> {
    let telegram = notify.telegram.as_ref().map(|way| ("Telegram", &way.secret_ref));
    let webhook = notify
        .webhook
        .as_ref()
        .map(|way| ("the webhook", &way.secret_ref));
    let heartbeat = notify.heartbeat.as_ref().map(|way| (HEARTBEAT, &way.secret_ref));
    let all = telegram.into_iter().chain(webhook).chain(heartbeat);
    all.map(|(whom, secret)| (whom, secret.name.as_str())).collect()
}

pub(super) fn line((namespace, station): &Key, way: NoticeWay) -> Line {
    Line {
        namespace: namespace.clone(),
        station: station.clone(),
        way,
    }
}

fn failed_drill(station: &Station) -> Option<&DrillStatus> {
    let drill = station.status.as_ref()?.drill.as_ref();
    drill.filter(|drill| drill.state == DrillState::Failed)
}

fn lasts(fault: &Fault, now: Timestamp) -> bool {
    now.duration_since(fault.since) >= FAILING_AFTER
}

fn not_since(whom: &str, fault: &Fault) -> String {
    let since = moment(fault.since, &TimeZone::UTC);
    format!("{whom} has not worked since {since}: {}", fault.words)
}

impl Teller {
    /// All Stations that can be read.
    pub fn stations(&self) -> BTreeMap<Key, Arc<Station>> {
        let stations = self.context.stores.stations.state();
        let stations = stations.iter().filter_map(|station| station.0.as_ref().ok());
        stations
            .filter(|station| station.metadata.deletion_timestamp.is_none())
            .map(|station| {
                let key = (station.namespace().unwrap_or_default(), station.name_any());
                (key, Arc::new(station.clone()))
            })
            .collect()
    }

    /// Hands over what is to be told, and sends what may be sent now.
    pub fn send(&mut self, stations: &BTreeMap<Key, Arc<Station>>, mut letters: Letters, now: Timestamp) {
        let mut lines = BTreeSet::new();
        for (key, station) in stations {
            for way in ways(station) {
                let line = line(key, way);
                let settings = self.settings(key, station, way);
                self.outbox
                    .want(&line, &settings, letters.remove(&line).unwrap_or_default());
                lines.insert(line);
            }
        }
        self.outbox.keep(&lines);
        for (line, letter) in self.outbox.next(now) {
            let key = (line.namespace.clone(), line.station.clone());
            let notify = stations.get(&key).and_then(|station| station.spec.notify.clone());
            let (client, post) = (self.context.client.clone(), self.post.clone());
            let aloft = Aloft::Letter(line.clone());
            let flight = async move {
                let answer = match target(&client, &notify.unwrap_or_default(), &line).await {
                    Ok(target) => post.send(&target, &letter, now).await,
                    Err(words) => Answer::Later { words, wait: None },
                };
                let about = letter.about;
                Landed::Letter { line, about, answer }
            };
            self.aloft.insert(self.flights.spawn(flight).id(), aloft);
        }
    }

    /// What differs when a way does: where to, and the Secret.
    fn settings(&self, (namespace, _): &Key, station: &Station, way: NoticeWay) -> String {
        let notify = station.spec.notify.clone().unwrap_or_default();
        let (way, secret) = match way {
            NoticeWay::Telegram => (
                format!("{:?}", notify.telegram),
                notify.telegram.map(|way| way.secret_ref),
            ),
            NoticeWay::Webhook => (String::new(), notify.webhook.map(|way| way.secret_ref)),
        };
        let stored = secret.and_then(|secret| {
            let reference = ObjectRef::new(&secret.name).within(namespace);
            let stored = self.context.stores.secrets.get(&reference)?;
            Some((secret.name, stored.uid(), stored.resource_version()))
        });
        format!("{way} {stored:?}")
    }

    /// Whether each Station's messages arrive.
    pub fn deliveries(
        &self,
        stations: &BTreeMap<Key, Arc<Station>>,
        now: Timestamp,
    ) -> HashMap<Key, Delivery> {
        let deliveries = stations.iter().map(|(key, station)| {
            let delivery = self.delivery(key, station, now);
            (key.clone(), delivery)
        });
        deliveries.collect()
    }

    fn delivery(&self, key: &Key, station: &Station, now: Timestamp) -> Delivery {
        let Some(notify) = &station.spec.notify else {
            return Delivery::None;
        };
        let missing = secrets(notify)
            .into_iter()
            .find(|(_, name)| !self.has_secret(key, name));
        if let Some((whom, name)) = missing {
            return Delivery::Fails {
                reason: reason::NOTIFY_SECRET,
                words: format!("{whom} cannot be reached: Secret {name} does not exist"),
            };
        }
        if let Some(drill) = failed_drill(station) {
            return Delivery::Fails {
                reason: reason::DRILL_FAILED,
                words: self.drill_failed(key, station, drill),
            };
        }
        let heart = self.hearts.get(key).and_then(|heart| heart.fault.as_ref());
        let heart = heart.filter(|fault| lasts(fault, now));
        let faults = self.lasting(key, station, now).into_iter();
        let faults: Vec<String> = faults
            .chain(heart.map(|fault| not_since(HEARTBEAT, fault)))
            .collect();
        let works = |way| self.outbox.health(&line(key, way)) == Health::Works;
        if !faults.is_empty() {
            Delivery::Fails {
                reason: reason::NOT_DELIVERED,
                words: faults.join("; "),
            }
        } else if ways(station).into_iter().all(works) {
            Delivery::Works
        } else {
            Delivery::Untried
        }
    }

    /// The ways that have not worked for long, and why.
    fn lasting(&self, key: &Key, station: &Station, now: Timestamp) -> Vec<String> {
        let fault = |way| match self.outbox.health(&line(key, way)) {
            Health::Fails(fault) if lasts(&fault, now) => Some(not_since(called(way), &fault)),
            _ => None,
        };
        ways(station).into_iter().filter_map(fault).collect()
    }

    /// Whether those who are to be told could be, as far as is known.
    pub fn can_tell(&self, key: &Key, station: &Station, now: Timestamp) -> bool {
        let notify = station.spec.notify.iter().flat_map(secrets);
        let mut secrets = notify.filter(|(whom, _)| *whom != HEARTBEAT);
        secrets.all(|(_, name)| self.has_secret(key, name))
            && failed_drill(station).is_none()
            && self.lasting(key, station, now).is_empty()
    }

    fn has_secret(&self, (namespace, _): &Key, name: &str) -> bool {
        let reference = ObjectRef::new(name).within(namespace);
        self.context.stores.secrets.get(&reference).is_some()
    }

    /// Has Stations say whether messages arrive, where that is news.
    pub fn report(&self, deliveries: HashMap<Key, Delivery>) {
        for (namespace, station) in self.context.notices.deliver(deliveries) {
            self.queues.send(wake::station(&namespace, &station));
        }
    }
}

/// Where a line leads to, by its Secret as it is now.
async fn target(client: &Client, notify: &Notify, line: &Line) -> Result<Target, String> {
    match (line.way, &notify.telegram, &notify.webhook) {
        (NoticeWay::Telegram, Some(telegram), _) => {
            let secret = secret(client, &line.namespace, &telegram.secret_ref.name).await?;
            Target::telegram(telegram, secret.as_ref())
        }
        (NoticeWay::Webhook, _, Some(webhook)) => {
            let name = &webhook.secret_ref.name;
            let secret = secret(client, &line.namespace, name).await?;
            Target::webhook(name, secret.as_ref())
        }
        _ => Err("the Station no longer tells anybody this way".to_owned()),
    }
}

pub(super) async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Secret>, String> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    match tokio::time::timeout(PATIENCE, api.get_opt(name)).await {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(format!("Secret {name} cannot be read: {error}")),
        Err(_) => Err(format!(
            "Secret {name} cannot be read: the API server does not answer"
        )),
    }
}
