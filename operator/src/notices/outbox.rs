//! What is on its way to whom: one message after another for each way, again and again until it is there. No IO, no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::{NoticeKind, NoticeWay};
use serde_json::{Value, json};

use super::{logbook::Entry, target::Answer};

/// After how long without success a way fails.
pub const FAILING_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A way of a Station to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The Station's namespace.
    pub namespace: String,
    /// The Station.
    pub station: String,
    /// Which of its ways.
    pub way: NoticeWay,
}

/// What a message is about. No two of one line are about the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A slot of a Show.
    Slot {
        /// The Show.
        show: String,
        /// Which slot, and what of it.
        entry: Entry,
    },
    /// A drill that was due then.
    Drill(Timestamp),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What about.
    pub about: About,
    /// Since when it is to be told.
    pub at: Timestamp,
    /// The Station's namespace and name.
    pub station: (String, String),
    /// For people.
    pub text: String,
}

impl Letter {
    /// For programs, and for chats that take `text`.
    #[must_use]
    pub fn json(&self) -> Value {
        let (namespace, station) = &self.station;
        let mut json = json!({
            "id": self.id(), "namespace": namespace, "station": station, "at": self.at, "text": self.text,
        });
        match &self.about {
            About::Slot { show, entry } => {
                json["show"] = json!(show);
                json["slot"] = json!(entry.slot);
                json["kind"] = json!(entry.kind);
                json["over"] = json!(entry.over);
            }
            About::Drill(due) => {
                json["kind"] = json!("Drill");
                json["due"] = json!(due);
            }
        }
        json
    }

    /// The same whenever it is sent again, so that whoever gets it can tell.
    #[must_use]
    pub fn id(&self) -> String {
        let (namespace, station) = &self.station;
        match &self.about {
            About::Slot { show, entry } => {
                let kind: NoticeKind = entry.kind;
                let over = if entry.over { "/over" } else { "" };
                format!("{namespace}/{show}/{}/{kind:?}{over}", entry.slot)
            }
            About::Drill(due) => format!("{namespace}/{station}/{due}/Drill"),
        }
    }
}

/// A way that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Since when.
    pub since: Timestamp,
    /// Why, by the first try.
    pub words: String,
}

/// Whether a way works, as far as was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing was tried.
    #[default]
    Untried,
    /// What was tried last arrived.
    Works,
    /// It did not.
    Fails(Fault),
}

/// Everything that is on its way.
#[derive(Debug, Default)]
pub struct Outbox(BTreeMap<Line, Queue>);

#[derive(Debug, Default)]
struct Queue {
    letters: BTreeMap<About, Waiting>,
    /// What arrived, until those who want it told know.
    delivered: BTreeSet<About>,
    in_flight: Option<About>,
    rests_until: Option<Timestamp>,
    pace: Option<Pace>,
    health: Health,
    /// What it was made from: something else may work at once.
    settings: String,
}

#[derive(Debug)]
struct Waiting {
    letter: Letter,
    not_before: Option<Timestamp>,
    pace: Option<Pace>,
}

/// Longer and longer waits.
#[derive(Debug)]
struct Pace(ExponentialBackoff);

impl Pace {
    /// Up to a minute with its jitter: who comes back is not kept waiting.
    fn of_line() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }

    /// What was refused may be taken when somebody has changed something.
    fn of_letter() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_mins(3))
    }

    fn new(first: Duration, longest: Duration) -> Self {
        let pace = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter();
        Self(pace.build())
    }

    fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(Duration::from_mins(1))
    }
}

impl Outbox {
    /// What a line has to tell, all of it. `settings`: anything that differs when the way itself does.
    pub fn want(&mut self, line: &Line, settings: &str, letters: Vec<Letter>) {
        let queue = self.0.entry(line.clone()).or_default();
        let wanted: BTreeSet<About> = letters.iter().map(|letter| letter.about.clone()).collect();
        queue.delivered.retain(|about| wanted.contains(about));
        queue.letters.retain(|about, _| wanted.contains(about));
        for letter in letters {
            if !queue.delivered.contains(&letter.about) {
                queue
                    .letters
                    .entry(letter.about.clone())
                    .or_insert_with(|| Waiting {
                        letter,
                        not_before: None,
                        pace: None,
                    });
            }
        }
        if queue.settings != settings {
            settings.clone_into(&mut queue.settings);
            (queue.rests_until, queue.pace, queue.health) = (None, None, Health::Untried);
            for waiting in queue.letters.values_mut() {
                (waiting.not_before, waiting.pace) = (None, None);
            }
        }
    }

    /// Of all lines only these are still there.
    pub fn keep(&mut self, lines: &BTreeSet<Line>) {
        self.0.retain(|line, _| lines.contains(line));
    }

    /// What is to be sent now: of each line that is free its oldest.
    pub fn next(&mut self, now: Timestamp) -> Vec<(Line, Letter)> {
        let mut next = Vec::new();
        for (line, queue) in &mut self.0 {
            if queue.in_flight.is_some() || queue.rests_until.is_some_and(|until| now < until) {
                continue;
            }
            let ready = queue
                .letters
                .values()
                .filter(|waiting| waiting.not_before.is_none_or(|instant| instant <= now));
            let oldest = ready.min_by_key(|waiting| (waiting.letter.at, waiting.letter.about.clone()));
            if let Some(waiting) = oldest {
                queue.in_flight = Some(waiting.letter.about.clone());
                next.push((line.clone(), waiting.letter.clone()));
            }
        }
        next
    }

    /// What came of a message.
    pub fn answered(&mut self, line: &Line, about: &About, answer: Answer, now: Timestamp) {
        let Some(queue) = self.0.get_mut(line) else {
            return;
        };
        queue.in_flight = None;
        let words = match answer {
            Answer::Delivered => {
                queue.letters.remove(about);
                queue.delivered.insert(about.clone());
                (queue.rests_until, queue.pace) = (None, None);
                queue.health = Health::Works;
                return;
            }
            Answer::Later { words, wait } => {
                let pause = queue.pace.get_or_insert_with(Pace::of_line).next();
                queue.rests_until = Some(after(now, pause.max(wait.unwrap_or_default())));
                words
            }
            Answer::Refused { words } => {
                if let Some(waiting) = queue.letters.get_mut(about) {
                    let pause = waiting.pace.get_or_insert_with(Pace::of_letter).next();
                    waiting.not_before = Some(after(now, pause));
                }
                words
            }
        };
        // Of one trouble the first words count: how the last of many tries failed is no news.
        if !matches!(queue.health, Health::Fails(_)) {
            queue.health = Health::Fails(Fault { since: now, words });
        }
    }

    /// A message whose sending broke off is sent again.
    pub fn broke_off(&mut self, line: &Line, now: Timestamp) {
        if let Some(queue) = self.0.get_mut(line) {
            queue.in_flight = None;
            let pause = queue.pace.get_or_insert_with(Pace::of_line).next();
            queue.rests_until = Some(after(now, pause));
        }
    }

    /// What of a Show arrived, until it is no longer wanted.
    #[must_use]
    pub fn delivered(&self, namespace: &str, show: &str) -> BTreeSet<(Entry, NoticeWay)> {
        let lines = self.0.iter().filter(|(line, _)| line.namespace == namespace);
        let entries = lines.flat_map(|(line, queue)| {
            queue.delivered.iter().filter_map(|about| match about {
                About::Slot { show: of, entry } if of == show => Some((*entry, line.way)),
                _ => None,
            })
        });
        entries.collect()
    }

    /// Which ways a drill arrived by, until it is no longer wanted.
    #[must_use]
    pub fn drilled(&self, namespace: &str, station: &str, due: Timestamp) -> BTreeSet<NoticeWay> {
        let of_station = |(line, _): &(&Line, &Queue)| line.namespace == namespace && line.station == station;
        let lines = self.0.iter().filter(of_station);
        lines
            .filter(|(_, queue)| queue.delivered.contains(&About::Drill(due)))
            .map(|(line, _)| line.way)
            .collect()
    }

    /// Whether a line works.
    #[must_use]
    pub fn health(&self, line: &Line) -> Health {
        self.0
            .get(line)
            .map(|queue| queue.health.clone())
            .unwrap_or_default()
    }
}

fn after(instant: Timestamp, wait: Duration) -> Timestamp {
    instant.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
