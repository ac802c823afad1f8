//! When a source may send, is heard, and has to go or to make way. No IO, no clock.

use jiff::Timestamp;

use crate::config::{Credential, Routing, Turn};

/// What a password opens an input for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// At any time, and where its source is heard then.
    always: Option<Routing>,
    /// Otherwise in these, the earliest first.
    turns: Vec<Held>,
    /// Shows that have it and no turn.
    idle: Option<String>,
}

/// A turn, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    show: Option<String>,
    turn: Turn,
}

/// It is the wrong time, for the Show of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its next slot is known.
    Next {
        /// As people call it.
        show: Option<String>,
        /// When it begins.
        start: Timestamp,
        /// When it is over.
        end: Timestamp,
        /// When its presenter may connect.
        opens: Timestamp,
    },
    /// No other is known than one that is over.
    Past {
        /// As people call it.
        show: Option<String>,
        /// When it was.
        end: Timestamp,
    },
    /// No slot is known.
    Never {
        /// As people call it.
        show: Option<String>,
    },
}

impl Pass {
    /// Of all credentials with one user and one password: the same person may have several Shows.
    #[must_use]
    pub fn of<'a>(credentials: impl IntoIterator<Item = &'a Credential>) -> Self {
        let mut pass = Self::default();
        for credential in credentials {
            if credential.show.is_none() && credential.turns.is_empty() {
                pass.always = pass.always.or(Some(credential.routing));
            }
            if credential.turns.is_empty() {
                pass.idle = pass.idle.or_else(|| credential.show.clone());
            }
            pass.turns.extend(credential.turns.iter().map(|&turn| Held {
                show: credential.show.clone(),
                turn,
            }));
        }
        pass.turns.sort_by_key(|held| (held.turn.start, held.turn.opens));
        pass
    }

    fn open_at(&self, now: Timestamp) -> impl Iterator<Item = &Held> {
        let is_open = move |held: &&Held| held.turn.opens <= now && now < held.turn.closes;
        self.turns.iter().filter(is_open)
    }

    /// Whether it lets somebody in.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.always.is_some() || self.open_at(now).next().is_some()
    }

    /// What to tell who comes at the wrong time.
    #[must_use]
    pub fn closed(&self, now: Timestamp) -> Closed {
        let next = self.turns.iter().filter(|held| held.turn.opens > now);
        if let Some(Held { show, turn }) = next.min_by_key(|held| held.turn.opens) {
            return Closed::Next {
                show: show.clone(),
                start: turn.start,
                end: turn.end,
                opens: turn.opens,
            };
        }
        let show = self.idle.clone();
        let last = self.turns.iter().max_by_key(|held| held.turn.end);
        last.map_or(Closed::Never { show }, |Held { show, turn }| Closed::Past {
            show: show.clone(),
            end: turn.end,
        })
    }
}

/// A connected source's right to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    pass: Pass,
    /// The turns it is there by; none: at any time. What is here stays, though its Show be deleted.
    held: Vec<Held>,
}

impl Stay {
    /// It connects.
    pub fn begin(pass: Pass, now: Timestamp) -> Result<Self, Closed> {
        let held = if pass.always.is_some() {
            Vec::new()
        } else {
            pass.open_at(now).cloned().collect()
        };
        if held.is_empty() && pass.always.is_none() {
            return Err(pass.closed(now));
        }
        Ok(Self { pass, held })
    }

    /// What its password opens has changed. A turn that begins when one of its own does is that one.
    pub fn changes_to(&mut self, pass: Pass) {
        let always = pass.always.or(self.pass.always);
        for held in &mut self.held {
            let same = |new: &&Held| new.show == held.show && new.turn.start == held.turn.start;
            if let Some(now) = pass.turns.iter().find(same) {
                held.turn = now.turn;
            }
        }
        self.pass = Pass { always, ..pass };
    }

    /// Goes on from a turn into those that open before it closes: who has two Shows in a row is not cut off between them. Who
    /// was left over from yesterday does not come on the air by himself.
    pub fn go_on(&mut self, now: Timestamp) {
        while let Some(last) = self.last_of(|turn| turn.closes) {
            // By the instants alone: it does not matter when this is looked at.
            let follows = |new: &&Held| new.turn.opens <= last.min(now) && new.turn.closes > last.min(now);
            let new = |new: &&Held| follows(new) && !self.held.contains(new);
            let Some(next) = self.pass.turns.iter().find(new).cloned() else {
                break;
            };
            self.held.push(next);
        }
        if self.held.iter().any(|held| held.turn.closes > now) {
            self.held.retain(|held| held.turn.closes > now);
        } else if let Some(last) = self.held.iter().max_by_key(|held| held.turn.closes).cloned() {
            self.held = vec![last];
        }
    }

    /// Where it is heard.
    #[must_use]
    pub fn routing(&self, now: Timestamp) -> Routing {
        let is_live = |held: &Held| {
            let from = held.turn.live_from;
            from.is_some_and(|from| from <= now) && now < held.turn.live_until
        };
        match (self.held.is_empty(), self.pass.always) {
            (true, Some(routing)) => routing,
            _ if self.held.iter().any(is_live) => Routing::Live,
            _ => Routing::Rehearsal,
        }
    }

    /// Its Show has a hard end, and that has come.
    #[must_use]
    pub fn must_leave(&self, now: Timestamp) -> bool {
        let is_cut = |held: &Held| held.turn.hard_end && held.turn.end <= now;
        !self.held.is_empty() && self.held.iter().all(is_cut)
    }

    /// When any of this may be different, if ever.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if self.held.is_empty() {
            return None;
        }
        let of = |held: &Held| {
            let Turn {
                end,
                closes,
                live_from,
                live_until,
                ..
            } = held.turn;
            [Some(end), Some(closes), live_from, Some(live_until)]
        };
        let own = self.held.iter().flat_map(of).flatten();
        let opening = self.pass.turns.iter().map(|held| held.turn.opens);
        own.chain(opening).filter(|&at| at > now).min()
    }

    /// Whether another, who may come in now, takes its place: its slot is over and the other's goes on, or it is only left
    /// over from a turn and not heard any more.
    #[must_use]
    pub fn yields_to(&self, other: &Self, now: Timestamp) -> bool {
        let Some((end, closes)) = self.over() else {
            return false;
        };
        closes <= now || end <= now && other.held.iter().any(|held| is_under_way(&held.turn, now))
    }

    /// When it will, as far as that is known.
    #[must_use]
    pub fn free_for(&self, other: &Self) -> Option<Timestamp> {
        let (end, closes) = self.over()?;
        let by_turn = other.held.iter().filter_map(|held| {
            let from = end.max(held.turn.start);
            (from < held.turn.end).then_some(from)
        });
        by_turn.chain([closes]).min()
    }

    /// When its slot, and when its time is over; `None` if never.
    fn over(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.last_of(|turn| turn.end)?, self.last_of(|turn| turn.closes)?))
    }

    fn last_of(&self, instant: fn(&Turn) -> Timestamp) -> Option<Timestamp> {
        self.held.iter().map(|held| instant(&held.turn)).max()
    }
}

fn is_under_way(turn: &Turn, now: Timestamp) -> bool {
    turn.start <= now && now < turn.end
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
