//! Who sends to which input now, who comes after, and what is asked of them while they do. No IO.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::refusal::Refused;
use super::turns::{Pass, Stay};
use crate::api::Container;
use crate::config::{Credential, Ingest, Input, Routing};

const HANDED_OVER: &str = "the next show has begun";
const HARD_END: &str = "its show is over";

/// The inputs that are taken, by path. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Seats(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    by_path: HashMap<String, Place>,
    closed: bool,
    entries: u64,
}

/// An input that is taken. Until the presenter of the next show has sent audio, the one before is heard.
#[derive(Debug)]
struct Place {
    sits: Entry,
    comes: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    input: Input,
    /// All that one user and one password are.
    credentials: Vec<Credential>,
    stay: Stay,
    since: Timestamp,
    container: Option<Container>,
    title: Option<String>,
    leave: Option<&'static str>,
    called: watch::Sender<()>,
}

/// What is asked of a connected source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it says it plays, told once.
    pub title: Option<String>,
    /// Where it is to be heard.
    pub routing: Routing,
    /// It has to go, and why.
    pub leave: Option<&'static str>,
    /// When it should ask again, if nobody calls it before.
    pub again: Option<Timestamp>,
}

/// An input that is taken, or will be, as long as this lives.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    path: String,
    number: u64,
    /// There is something to ask.
    pub calls: watch::Receiver<()>,
}

impl Seats {
    /// Takes an input for one source, with all credentials its login fits. If its turn has come and another is still
    /// there, it is the next.
    pub fn take(&self, input: &Input, credentials: Vec<Credential>, now: Timestamp) -> Result<Seat, Refused> {
        let mut taken = self.lock();
        if taken.closed {
            return Err(Refused::too_many().quietly());
        }
        let stay =
            Stay::begin(Pass::of(&credentials), now).map_err(|closed| Refused::outside(&closed, now))?;
        taken.entries += 1;
        let number = taken.entries;
        let (called, calls) = watch::channel(());
        let entry = Entry {
            number,
            input: input.clone(),
            credentials,
            stay,
            since: now,
            container: None,
            title: None,
            leave: None,
            called,
        };
        match taken.by_path.get_mut(&input.path) {
            None => {
                let place = Place {
                    sits: entry,
                    comes: None,
                };
                taken.by_path.insert(input.path.clone(), place);
            }
            Some(place) => place.queue(entry, now)?,
        }
        Ok(Seat {
            seats: self.clone(),
            path: input.path.clone(),
            number,
            calls,
        })
    }

    /// Passes a title on to the source's session. Who told it is who sends there, or might now.
    pub fn title(
        &self,
        path: &str,
        credentials: &[Credential],
        title: String,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let mut taken = self.lock();
        let Some(place) = taken.by_path.get_mut(path) else {
            let refused = Refused::bad(404, "No source is connected that this title could be of");
            return Err(refused.quietly());
        };
        let own = place.entries().find(|entry| entry.is_of(credentials));
        let pass = Pass::of(credentials);
        let entry = match own {
            Some(own) => own,
            None if pass.is_open(now) => &mut place.sits,
            None => return Err(Refused::outside(&pass.closed(now), now).quietly()),
        };
        if entry.container.is_some_and(has_titles_inside) {
            let refused = Refused::bad(400, "Titles of Ogg and WebM streams travel inside the stream");
            return Err(refused.quietly());
        }
        entry.title = Some(title);
        entry.call();
        Ok(())
    }

    /// Applies a changed configuration: sources whose input is gone leave; a changed password ends nobody.
    pub fn follow(&self, config: &Ingest) {
        let mut taken = self.lock();
        for entry in taken.by_path.values_mut().flat_map(Place::entries) {
            let before = (entry.stay.clone(), entry.leave);
            match config.inputs.iter().find(|input| entry.is_at(input)) {
                Some(input) => entry.moves_to(input),
                None => entry.leave = entry.leave.or(Some("its input was removed")),
            }
            if before != (entry.stay.clone(), entry.leave) {
                entry.call();
            }
        }
    }

    /// Asks every source to leave, and takes no other.
    pub fn close(&self, why: &'static str) {
        let mut taken = self.lock();
        taken.closed = true;
        for entry in taken.by_path.values_mut().flat_map(Place::entries) {
            entry.leave = Some(why);
            entry.call();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn entry(&mut self, seat: &Seat) -> Option<&mut Entry> {
        let mut entries = self.by_path.get_mut(&seat.path)?.entries();
        entries.find(|entry| entry.number == seat.number)
    }
}

impl Place {
    fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        std::iter::once(&mut self.sits).chain(&mut self.comes)
    }

    fn queue(&mut self, entry: Entry, now: Timestamp) -> Result<(), Refused> {
        if let Some(first) = &self.comes {
            return Err(first.refuses(&entry));
        }
        self.yields_to(&entry, now)?;
        self.comes = Some(entry);
        Ok(())
    }

    fn yields_to(&mut self, entry: &Entry, now: Timestamp) -> Result<(), Refused> {
        self.sits.stay.go_on(now);
        if self.sits.leave.is_some() || self.sits.stay.yields_to(&entry.stay, now) {
            Ok(())
        } else {
            Err(self.sits.refuses(entry))
        }
    }
}

impl Entry {
    fn is_at(&self, input: &Input) -> bool {
        let here = (&self.input.path, &self.input.mount, &self.input.name);
        here == (&input.path, &input.mount, &input.name)
    }

    fn is_of(&self, credentials: &[Credential]) -> bool {
        self.credentials
            .iter()
            .any(|own| credentials.iter().any(|other| is_same(own, other)))
    }

    fn refuses(&self, other: &Self) -> Refused {
        let user = self.credentials.first().map_or("", |own| own.user.as_str());
        let free = self.stay.free_for(&other.stay);
        Refused::taken(&self.input.path, user, self.since, free)
    }

    fn has_to_go(&mut self, now: Timestamp) -> Option<&'static str> {
        self.stay.go_on(now);
        if self.stay.must_leave(now) {
            self.leave.get_or_insert(HARD_END);
        }
        self.leave
    }

    fn call(&self) {
        self.called.send_replace(());
    }

    /// Finds its credentials again in the changed input: the same, or the same user's with another password. A user
    /// who has, or had, several of them could end up on air with the wrong one, and stays where they are.
    fn moves_to(&mut self, input: &Input) {
        let same = |other: &&Credential| self.is_of(std::slice::from_ref(other));
        let mut now: Vec<Credential> = input.credentials.iter().filter(same).cloned().collect();
        if now.is_empty() {
            let rotated = self.credentials.iter().filter_map(|own| {
                only(&self.input, own)?;
                only(input, own)
            });
            now = rotated.cloned().collect();
        }
        self.stay.changes_to(Pass::of(&now));
        if !now.is_empty() {
            self.credentials = now;
        }
        self.input = input.clone();
    }
}

fn is_same(one: &Credential, other: &Credential) -> bool {
    (&one.user, &one.sha256) == (&other.user, &other.sha256)
}

/// The credential of a user for a Show, or for none, if there is exactly one.
fn only<'a>(input: &'a Input, own: &Credential) -> Option<&'a Credential> {
    let of_user = |other: &&Credential| (&other.user, &other.show) == (&own.user, &own.show);
    let mut of_user = input.credentials.iter().filter(of_user);
    of_user.next().filter(|_| of_user.next().is_none())
}

fn has_titles_inside(container: Container) -> bool {
    matches!(container, Container::Ogg | Container::Webm)
}

/// How far somebody is who replaces another.
enum Step {
    Sits,
    /// The other was asked to go.
    Waits,
}

impl Seat {
    /// Its source has told what it sends. A title told before that is no longer of use if there are titles in it.
    pub fn sends(&self, container: Container) {
        if let Some(entry) = self.seats.lock().entry(self) {
            entry.container = Some(container);
            if has_titles_inside(container) {
                entry.title = None;
            }
        }
    }

    /// Sends away who sat there, and comes back when he is gone; true if there was anybody.
    pub async fn sit(&mut self, now: Timestamp) -> Result<bool, Refused> {
        let mut replaces = false;
        while let Step::Waits = self.step(now, replaces)? {
            replaces = true;
            // The other end is in the entry, which stays as long as this.
            let _ = self.calls.changed().await;
        }
        Ok(replaces)
    }

    fn step(&mut self, now: Timestamp, has_asked: bool) -> Result<Step, Refused> {
        let mut taken = self.seats.lock();
        self.calls.borrow_and_update();
        let Some(place) = taken.by_path.get_mut(&self.path) else {
            return Ok(Step::Sits);
        };
        let Some(own) = place.comes.take_if(|comes| comes.number == self.number) else {
            return Ok(Step::Sits);
        };
        let outcome = match own.leave {
            Some(why) => Err(Refused::sent_away(why)),
            // What was right when it came may be wrong now.
            None if !has_asked => place.yields_to(&own, now),
            None => Ok(()),
        };
        place.comes = Some(own);
        outcome?;
        if !has_asked {
            place.sits.leave.get_or_insert(HANDED_OVER);
            place.sits.call();
        }
        Ok(Step::Waits)
    }

    /// What is asked of its source now. A title is there once: told again at the next call, it would overwrite a newer
    /// one.
    pub fn asked(&mut self, now: Timestamp) -> Asked {
        // Under the lock, so that nothing is asked between the two.
        let mut taken = self.seats.lock();
        self.calls.borrow_and_update();
        let Some(entry) = taken.entry(self) else {
            return Asked {
                title: None,
                routing: Routing::Rehearsal,
                leave: Some("its seat is gone"),
                again: None,
            };
        };
        Asked {
            leave: entry.has_to_go(now),
            title: entry.title.take(),
            routing: entry.stay.routing(now),
            again: entry.stay.next_change(now),
        }
    }

    /// Why it has to go, if it has to; the rest it may still ask.
    pub fn leave(&mut self, now: Timestamp) -> Option<&'static str> {
        let mut taken = self.seats.lock();
        self.calls.borrow_and_update();
        taken.entry(self)?.has_to_go(now)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        let Some(place) = taken.by_path.get_mut(&self.path) else {
            return;
        };
        if place.sits.number != self.number {
            place.comes.take_if(|comes| comes.number == self.number);
        } else if let Some(next) = place.comes.take() {
            place.sits = next;
            place.sits.call();
        } else {
            taken.by_path.remove(&self.path);
        }
    }
}

#[cfg(test)]
#[path = "seats_tests.rs"]
mod tests;
