//! A look at all Shows: what is wrong goes into their statuses first, and then to whom it is to be told. IO.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZone};
use kube::{ResourceExt, runtime::reflector::ObjectRef};
use radio_crds::{
    Recording, Show, Station,
    show::{Notice, NoticeWay, Outcome},
};

use super::{
    Key,
    follow::{HEARD_WITHIN, Round, Teller},
    judge::{Finding, Hearing, Scene, judge},
    lines::ways,
    logbook,
    outbox::{About, Letter, Line},
    pulse::Pulse,
    scene::{View, recordings_of, refused, rehearsing, scenes},
    words::{self, Stage},
    write::{self, Unwritten},
};
use crate::{recording::jobs::one_line, sources::Heard};

/// What there is to tell, by way.
pub(super) type Letters = BTreeMap<Line, Vec<Letter>>;

impl Teller {
    /// Looks at every Show; returns all that is to be told of them.
    pub async fn shows(
        &mut self,
        stations: &BTreeMap<Key, Arc<Station>>,
        round: &mut Round,
        now: Timestamp,
    ) -> Letters {
        let shows = self.context.stores.shows.state();
        let shows = shows.iter().filter_map(|show| show.0.as_ref().ok());
        let shows: BTreeMap<Key, &Show> = shows
            .filter(|show| show.metadata.deletion_timestamp.is_none())
            .map(|show| ((show.namespace().unwrap_or_default(), show.name_any()), show))
            .collect();
        self.pulses.retain(|key, _| shows.contains_key(key));
        self.written_notices.retain(|key, _| shows.contains_key(key));
        self.forget_counted(&shows);
        let mut heard: HashMap<Key, Heard> = HashMap::new();
        let mut letters = Letters::new();
        for (key, show) in &shows {
            self.count(key, show);
            let recordings = self.recordings(key, show);
            let of = self.station_of(key, show, &recordings);
            let heard = of.as_ref().map(|of| {
                let known = heard.entry(of.clone());
                known.or_insert_with(|| self.context.sources.heard(&of.0, &of.1))
            });
            self.feel(key, show, now);
            let station = of.as_ref().and_then(|of| stations.get(of));
            let notices = self
                .notices(
                    (key, show),
                    station.map(|station| &**station),
                    &recordings,
                    heard.as_deref(),
                    round,
                    now,
                )
                .await;
            let (Some(of), Some(station)) = (of, station) else {
                continue;
            };
            for way in ways(station) {
                let wanted = letters_of(&notices, show, &of, way);
                if !wanted.is_empty() {
                    round.untold.insert(of.clone());
                }
                let line = Line {
                    namespace: of.0.clone(),
                    station: of.1.clone(),
                    way,
                };
                letters.entry(line).or_default().extend(wanted);
            }
        }
        letters
    }

    /// The Show's notices as they are now; if that is something new, it is in its status.
    async fn notices(
        &mut self,
        (key, show): (&Key, &Show),
        station: Option<&Station>,
        recordings: &HashMap<String, Recording>,
        heard: Option<&Heard>,
        round: &mut Round,
        now: Timestamp,
    ) -> Vec<Notice> {
        let version = show.resource_version();
        if let Some((over, notices)) = self.written_notices.get(key) {
            // Our copy does not have yet what we wrote.
            if *over == version {
                return notices.clone();
            }
            self.written_notices.remove(key);
        }
        let known = show
            .status
            .as_ref()
            .map_or(&[][..], |status| status.notices.as_slice());
        if round.blind {
            return known.to_vec();
        }
        let view = View {
            hearing: hearing(heard, self.since, now),
            seen: heard.and_then(Heard::seen),
            recordings,
            pulses: self.pulses.get(key).unwrap_or(&NO_PULSES),
        };
        let mut notices = found(show, known, &view, station, now);
        let delivered = self.outbox.delivered(&key.0, &key.1);
        let ways = station.map(ways);
        logbook::settle(&mut notices, ways.as_ref(), &delivered, now);
        if notices == known {
            return notices;
        }
        match write::status(&self.context, show, "notices", serde_json::json!(notices)).await {
            Ok(()) => {
                self.written_notices
                    .insert(key.clone(), (version, notices.clone()));
                self.tell(show, known, &notices).await;
                notices
            }
            // Nothing is sent that is not written: who comes after us would send it again.
            Err(unwritten) => {
                round.blind |= unwritten == Unwritten::Unreachable;
                if let Some(station) = station {
                    round.untold.insert((key.0.clone(), station.name_any()));
                }
                known.to_vec()
            }
        }
    }

    async fn tell(&self, show: &Show, before: &[Notice], now: &[Notice]) {
        let about = kube::Resource::object_ref(show, &());
        for event in write::news(before, now) {
            tracing::info!(
                namespace = show.namespace(),
                show = show.name_any(),
                reason = event.reason,
                note = event.note,
                "notice"
            );
            write::publish(&self.context, &event, &about).await;
        }
    }

    fn recordings(&self, (namespace, _): &Key, show: &Show) -> HashMap<String, Recording> {
        let named = recordings_of(show).filter_map(|(name, _)| {
            let reference = ObjectRef::new(name).within(namespace);
            let stored = self.context.stores.recordings.get(&reference)?;
            Some((name.to_owned(), stored.0.as_ref().ok()?.clone()))
        });
        named.collect()
    }

    /// A Mount that is gone was one of the Station that its Recordings are of.
    fn station_of(
        &self,
        (namespace, _): &Key,
        show: &Show,
        recordings: &HashMap<String, Recording>,
    ) -> Option<Key> {
        let reference = ObjectRef::new(&show.spec.mount_ref.name).within(namespace);
        let mount = self.context.stores.mounts.get(&reference);
        let of_mount = mount.and_then(|mount| {
            let mount = mount.0.as_ref().ok()?;
            Some(mount.spec.station_ref.name.clone())
        });
        let recorded = || {
            let newest = recordings
                .values()
                .max_by_key(|recording| recording.spec.window.from);
            newest.map(|recording| recording.spec.station.clone())
        };
        let station = of_mount.or_else(recorded)?;
        Some((namespace.clone(), station))
    }

    /// Looks at the recorders of the slots that are under way.
    fn feel(&mut self, key: &Key, show: &Show, now: Timestamp) {
        let pulses = self.pulses.entry(key.clone()).or_default();
        let under_way: BTreeSet<&str> = recordings_of(show)
            .filter_map(|(name, goes_on)| goes_on.then_some(name))
            .collect();
        pulses.retain(|name, _| under_way.contains(name.as_str()));
        for name in under_way {
            let told = self.context.recorders.told(&key.0, name);
            match pulses.get_mut(name) {
                Some(pulse) => pulse.feel(&told, now),
                None => {
                    pulses.insert(name.to_owned(), Pulse::new(&told, now));
                }
            }
        }
    }

    /// Counts what became of slots. What was so when we came was counted by others.
    fn count(&mut self, (namespace, name): &Key, show: &Show) {
        let slots = show
            .status
            .as_ref()
            .map_or(&[][..], |status| status.slots.as_slice());
        let done = slots.iter().filter(|slot| slot.outcome != Outcome::Storing);
        let key = (namespace.clone(), name.clone());
        match self.counted.get_mut(&key) {
            None => {
                self.context.metrics.show(namespace, name);
                self.counted.insert(key, done.map(|slot| slot.start).collect());
            }
            Some(counted) => {
                for slot in done {
                    if counted.insert(slot.start) {
                        self.context.metrics.slot_over(namespace, name, slot.outcome);
                    }
                }
                counted.retain(|start| slots.iter().any(|slot| slot.start == *start));
            }
        }
    }

    fn forget_counted(&mut self, shows: &BTreeMap<Key, &Show>) {
        let gone: Vec<Key> = self
            .counted
            .keys()
            .filter(|key| !shows.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            self.counted.remove(&key);
            self.context.metrics.show_gone(&key.0, &key.1);
        }
    }
}

static NO_PULSES: std::sync::LazyLock<HashMap<String, Pulse>> = std::sync::LazyLock::new(HashMap::new);

fn hearing(heard: Option<&Heard>, since: Timestamp, now: Timestamp) -> Hearing {
    match heard {
        Some(Heard::Now(_)) => Hearing::Now,
        Some(Heard::Silence(_)) => Hearing::Silence,
        None | Some(Heard::NotYet) if now.duration_since(since) >= HEARD_WITHIN => Hearing::Silence,
        None | Some(Heard::NotYet) => Hearing::NotYet,
    }
}

/// The Show's notices, with what is found now.
fn found(
    show: &Show,
    known: &[Notice],
    view: &View<'_>,
    station: Option<&Station>,
    now: Timestamp,
) -> Vec<Notice> {
    let scenes = scenes(show, view);
    let slots: Vec<(Timestamp, Vec<Finding>)> = scenes
        .iter()
        .map(|scene| (scene.start, judge(scene, now)))
        .collect();
    let zone = TimeZone::get(show.spec.time_zone()).unwrap_or(TimeZone::UTC);
    let sentence = |start: Timestamp, finding: Finding| {
        let scene: Option<&Scene> = scenes.iter().find(|scene| scene.start == start);
        scene.map_or_else(String::new, |scene| {
            let opens = scene.start.checked_sub(EARLY).unwrap_or(scene.start);
            let stage = Stage {
                station: station.map(ResourceExt::name_any).unwrap_or_default(),
                rehearsing: rehearsing(show, view),
                refused: refused(show, view, opens).map(|refusal| (refusal.at, one_line(&refusal.message))),
            };
            words::sentence(finding, scene, &stage, &zone)
        })
    };
    logbook::heed(known, &slots, now, sentence)
}

/// Who comes that early wants to be on air in the slot.
const EARLY: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);

fn letters_of(notices: &[Notice], show: &Show, (namespace, station): &Key, way: NoticeWay) -> Vec<Letter> {
    let wanted = logbook::wanted(notices, way);
    wanted
        .into_iter()
        .map(|(entry, notice)| {
            let about = About::Slot {
                show: show.name_any(),
                entry,
            };
            Letter {
                text: words::letter(
                    &about,
                    &one_line(&show.spec.title),
                    &notice.message,
                    (namespace, station),
                ),
                about,
                at: notice.at,
                station: (namespace.clone(), station.clone()),
            }
        })
        .collect()
}
