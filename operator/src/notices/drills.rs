//! A look at all Stations' drills. IO.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use kube::{ResourceExt, runtime::events::EventType};
use radio_crds::{
    DRILL_ANNOTATION, Station,
    conditions::event,
    notify::{DrillState, DrillStatus},
};

use super::{
    Key,
    drill::{self, Clockwork, Wanted},
    follow::{Round, Teller},
    lines::{called, line, ways},
    outbox::{About, Health, Letter},
    shows::Letters,
    words::{self, moment},
    write::{self, Unwritten},
};
use crate::recording::jobs::one_line;

impl Teller {
    /// Begins and follows drills; their messages are added to what is to be told.
    pub async fn drills(
        &mut self,
        stations: &BTreeMap<Key, Arc<Station>>,
        letters: &mut Letters,
        round: &mut Round,
        now: Timestamp,
    ) {
        self.clockworks.retain(|key, _| stations.contains_key(key));
        self.written_drills.retain(|key, _| stations.contains_key(key));
        for (key, station) in stations {
            let Some(drill) = self.drill(key, station, round, now).await else {
                continue;
            };
            for way in ways(station) {
                if drill::is_wanted(&drill, way, now) {
                    letters
                        .entry(line(key, way))
                        .or_default()
                        .push(drill_letter(&drill, key, station));
                }
            }
        }
    }

    async fn drill(
        &mut self,
        key: &Key,
        station: &Station,
        round: &mut Round,
        now: Timestamp,
    ) -> Option<DrillStatus> {
        let version = station.resource_version();
        if let Some((over, drill)) = self.written_drills.get(key) {
            if *over == version {
                return drill.clone();
            }
            self.written_drills.remove(key);
        }
        let known = station.status.as_ref().and_then(|status| status.drill.clone());
        let wanted = Wanted {
            scheduled: self.scheduled(key, station, now),
            asked: asked(station),
        };
        let due = known.as_ref().map(|known| known.due);
        let delivered = due.map(|due| self.outbox.drilled(&key.0, &key.1, due));
        let drill = drill::step(
            known.as_ref(),
            wanted,
            &ways(station),
            &delivered.unwrap_or_default(),
            now,
        );
        if drill == known || round.blind {
            return known;
        }
        match write::status(&self.context, station, "drill", serde_json::json!(drill)).await {
            Ok(()) => {
                self.written_drills.insert(key.clone(), (version, drill.clone()));
                self.tell_drill(key, station, known.as_ref(), drill.as_ref())
                    .await;
                drill
            }
            Err(unwritten) => {
                round.blind |= unwritten == Unwritten::Unreachable;
                known
            }
        }
    }

    fn scheduled(&mut self, key: &Key, station: &Station, now: Timestamp) -> Option<Timestamp> {
        let Some(drill) = station
            .spec
            .notify
            .as_ref()
            .and_then(|notify| notify.drill.as_ref())
        else {
            self.clockworks.remove(key);
            return None;
        };
        let clockwork = self
            .clockworks
            .entry(key.clone())
            .or_insert_with(|| Clockwork::new(drill, now));
        if !clockwork.is_of(drill) {
            *clockwork = Clockwork::new(drill, now);
        }
        clockwork.newest(now)
    }

    async fn tell_drill(
        &self,
        key: &Key,
        station: &Station,
        before: Option<&DrillStatus>,
        now: Option<&DrillStatus>,
    ) {
        let Some(drill) = now else { return };
        let is_new = before.is_none_or(|before| before.due != drill.due || before.state != drill.state);
        let event = match drill.state {
            DrillState::Told if is_new => {
                let ways: Vec<_> = drill.told.iter().copied().map(called).collect();
                let note = format!("a drill arrived by {}", ways.join(" and "));
                write::told(EventType::Normal, event::DRILL_DELIVERED, &note)
            }
            DrillState::Failed if is_new => write::told(
                EventType::Warning,
                event::DRILL_FAILED,
                &self.drill_failed(key, station, drill),
            ),
            _ => return,
        };
        let about = kube::Resource::object_ref(station, &());
        write::publish(&self.context, &event, &about).await;
    }

    pub fn drill_failed(&self, key: &Key, station: &Station, drill: &DrillStatus) -> String {
        let due = moment(drill.due, &TimeZone::UTC);
        let ways = ways(station);
        if ways.is_empty() {
            return format!(
                "the drill of {due} reached nobody: spec.notify has neither telegram nor webhook"
            );
        }
        let missing = ways.into_iter().filter(|way| !drill.told.contains(way));
        let faults: Vec<String> = missing
            .map(|way| match self.outbox.health(&line(key, way)) {
                Health::Fails(fault) => fault.words,
                Health::Works | Health::Untried => format!("{} was not tried", called(way)),
            })
            .collect();
        format!(
            "the drill of {due} has not arrived, and a notice would not either: {}",
            faults.join("; ")
        )
    }
}

fn asked(station: &Station) -> Option<Timestamp> {
    station.annotations().get(DRILL_ANNOTATION)?.parse().ok()
}

fn drill_letter(drill: &DrillStatus, key: &Key, station: &Station) -> Letter {
    let about = About::Drill(drill.due);
    let title = one_line(&station.spec.title);
    Letter {
        text: words::letter(&about, &title, "", (&key.0, &key.1)),
        about,
        at: drill.at,
        station: key.clone(),
    }
}
