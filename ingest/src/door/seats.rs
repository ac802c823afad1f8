//! Who sends to which input now, and what is asked of them while they do. No IO.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::refusal::Refused;
use crate::api::Container;
use crate::config::{Credential, Ingest, Input, Routing};

/// The inputs that are taken, by path. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Seats(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    by_path: HashMap<String, Entry>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    input: Input,
    credential: Credential,
    since: Timestamp,
    container: Option<Container>,
    wishes: watch::Sender<Wishes>,
}

/// What is asked of a connected source; the newest counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// What it says it plays, until that is passed on.
    pub title: Option<String>,
    /// Where it is to be heard.
    pub routing: Routing,
    /// It has to go, and why.
    pub leave: Option<&'static str>,
}

/// An input that is taken as long as this lives.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    path: String,
    /// What is asked of its source.
    pub wishes: watch::Receiver<Wishes>,
}

impl Seats {
    /// Takes an input for one source.
    pub fn take(&self, input: &Input, credential: &Credential, now: Timestamp) -> Result<Seat, Refused> {
        let mut taken = self.lock();
        if taken.closed {
            return Err(Refused::too_many().quietly());
        }
        if let Some(first) = taken.by_path.get(&input.path) {
            return Err(Refused::taken(&input.path, &first.credential.user, first.since));
        }
        let (sender, wishes) = watch::channel(Wishes {
            title: None,
            routing: credential.routing,
            leave: None,
        });
        let entry = Entry {
            input: input.clone(),
            credential: credential.clone(),
            since: now,
            container: None,
            wishes: sender,
        };
        taken.by_path.insert(input.path.clone(), entry);
        Ok(Seat {
            seats: self.clone(),
            path: input.path.clone(),
            wishes,
        })
    }

    /// Passes a title on to the source's session.
    pub fn title(&self, path: &str, title: String) -> Result<(), Refused> {
        let taken = self.lock();
        let Some(entry) = taken.by_path.get(path) else {
            let refused = Refused::bad(404, "No source is connected that this title could be of");
            return Err(refused.quietly());
        };
        if entry.container.is_some_and(has_titles_inside) {
            let refused = Refused::bad(400, "Titles of Ogg and WebM streams travel inside the stream");
            return Err(refused.quietly());
        }
        entry.wishes.send_modify(|wishes| wishes.title = Some(title));
        Ok(())
    }

    /// Applies a changed configuration: sources whose input is gone leave; a changed password ends nobody.
    pub fn follow(&self, config: &Ingest) {
        for entry in self.lock().by_path.values_mut() {
            let input = config.inputs.iter().find(|input| entry.is_at(input));
            if let Some(input) = input {
                entry.moves_to(input);
            }
            let routing = entry.credential.routing;
            entry.wishes.send_if_modified(|wishes| match input {
                None => {
                    let first = wishes.leave.is_none();
                    wishes.leave = wishes.leave.or(Some("its input was removed"));
                    first
                }
                Some(_) => std::mem::replace(&mut wishes.routing, routing) != routing,
            });
        }
    }

    /// Asks every source to leave, and takes no other.
    pub fn close(&self, why: &'static str) {
        let mut taken = self.lock();
        taken.closed = true;
        for entry in taken.by_path.values() {
            entry.wishes.send_modify(|wishes| wishes.leave = Some(why));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_at(&self, input: &Input) -> bool {
        let here = (&self.input.path, &self.input.mount, &self.input.name);
        here == (&input.path, &input.mount, &input.name)
    }

    fn forget_title(&self) {
        self.wishes.send_if_modified(|wishes| {
            wishes.title = None;
            false
        });
    }

    /// Finds its credential again in the changed input: the same, or the same user's with another password. A user
    /// who has, or had, several of them could end up on air with the wrong one, and stays where they are.
    fn moves_to(&mut self, input: &Input) {
        let user = self.credential.user.as_str();
        let same = |other: &&Credential| (user, &self.credential.sha256) == (&other.user, &other.sha256);
        let rotated = || only(&self.input, user).and_then(|_| only(input, user));
        if let Some(now) = input.credentials.iter().find(same).or_else(rotated) {
            self.credential = now.clone();
        }
        self.input = input.clone();
    }
}

/// The credential of a user who has exactly one.
fn only<'a>(input: &'a Input, user: &str) -> Option<&'a Credential> {
    let mut of_user = input.credentials.iter().filter(|other| other.user == user);
    of_user.next().filter(|_| of_user.next().is_none())
}

fn has_titles_inside(container: Container) -> bool {
    matches!(container, Container::Ogg | Container::Webm)
}

impl Seat {
    /// Its source has told what it sends. A title told before that is no longer of use if there are titles in it.
    pub fn sends(&self, container: Container) {
        if let Some(entry) = self.seats.lock().by_path.get_mut(&self.path) {
            entry.container = Some(container);
            if has_titles_inside(container) {
                entry.forget_title();
            }
        }
    }

    /// What is asked of its source now. A title is there once: told again at the next wish, it would overwrite a newer
    /// one.
    pub fn asked(&mut self) -> Wishes {
        // Under the lock, so that no title comes between the two.
        let taken = self.seats.lock();
        let wishes = self.wishes.borrow_and_update().clone();
        if let Some(entry) = taken.by_path.get(&self.path) {
            entry.forget_title();
        }
        wishes
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().by_path.remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RefusalReason;

    fn credential(sha256: &str, routing: Routing) -> Credential {
        Credential {
            user: "anna".to_owned(),
            sha256: sha256.to_owned(),
            routing,
        }
    }

    fn input(credentials: Vec<Credential>) -> Input {
        Input {
            mount: "live".to_owned(),
            name: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            accepts: None,
            credentials,
        }
    }

    fn of(inputs: Vec<Input>) -> Ingest {
        Ingest {
            inputs,
            ..Ingest::default()
        }
    }

    #[test]
    fn an_input_is_one_sources_until_it_leaves() {
        let seats = Seats::default();
        let (input, anna) = (input(Vec::new()), credential("aa", Routing::Live));
        let seat = seats.take(&input, &anna, Timestamp::UNIX_EPOCH).unwrap();
        let refused = seats.take(&input, &anna, Timestamp::now()).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::Taken);
        assert!(
            refused
                .message
                .contains("anna has sent to /live/studio since 1970-01-01 00:00:00")
        );
        drop(seat);
        assert!(seats.take(&input, &anna, Timestamp::now()).is_ok());
    }

    #[test]
    fn titles_reach_the_source_if_its_stream_has_none_inside() {
        let seats = Seats::default();
        let title = |text: &str| seats.title("/live/studio", text.to_owned());
        assert_eq!(title("a").unwrap_err().status, 404);
        let mut seat = seats
            .take(
                &input(Vec::new()),
                &credential("aa", Routing::Live),
                Timestamp::now(),
            )
            .unwrap();
        title("before it is known").unwrap();
        seat.sends(Container::Mp3);
        title("b").unwrap();
        assert_eq!(seat.wishes.borrow_and_update().title.as_deref(), Some("b"));
        seat.sends(Container::Ogg);
        let refused = title("c").unwrap_err();
        assert_eq!((refused.status, refused.told), (400, false));
        assert!(!seat.wishes.has_changed().unwrap());
    }

    #[test]
    fn a_configuration_moves_sources_and_ends_those_without_an_input() {
        let seats = Seats::default();
        let anna = credential("aa", Routing::Live);
        let before = input(vec![anna.clone()]);
        let mut seat = seats.take(&before, &anna, Timestamp::now()).unwrap();
        seats.follow(&of(vec![before.clone()]));
        assert!(!seat.wishes.has_changed().unwrap());

        seats.follow(&of(vec![input(vec![credential("aa", Routing::Rehearsal)])]));
        assert_eq!(seat.wishes.borrow_and_update().routing, Routing::Rehearsal);

        let other = Input {
            mount: "other".to_owned(),
            ..before
        };
        seats.follow(&of(vec![other]));
        assert_eq!(
            seat.wishes.borrow_and_update().leave,
            Some("its input was removed")
        );
        seats.follow(&of(Vec::new()));
        assert!(!seat.wishes.has_changed().unwrap());
    }

    #[test]
    fn a_changed_password_ends_nobody_and_its_routing_counts() {
        let seats = Seats::default();
        let anna = credential("aa", Routing::Live);
        let mut seat = seats
            .take(&input(vec![anna.clone()]), &anna, Timestamp::now())
            .unwrap();
        let ben = Credential {
            user: "ben".to_owned(),
            ..credential("cc", Routing::Rehearsal)
        };
        seats.follow(&of(vec![input(vec![
            ben.clone(),
            credential("bb", Routing::Live),
        ])]));
        assert!(!seat.wishes.has_changed().unwrap());
        seats.follow(&of(vec![input(vec![ben, credential("dd", Routing::Rehearsal)])]));
        assert_eq!(seat.asked().routing, Routing::Rehearsal);
        assert_eq!(seat.asked().leave, None);
    }

    #[test]
    fn a_rehearsal_does_not_go_on_air_because_its_password_is_gone() {
        let seats = Seats::default();
        let (live, test) = (
            credential("aa", Routing::Live),
            credential("bb", Routing::Rehearsal),
        );
        let both = input(vec![live.clone(), test.clone()]);
        let seat = seats.take(&both, &test, Timestamp::now()).unwrap();
        seats.follow(&of(vec![input(vec![
            live.clone(),
            credential("cc", Routing::Live),
        ])]));
        seats.follow(&of(vec![input(vec![live])]));
        assert!(!seat.wishes.has_changed().unwrap());
        assert_eq!(seat.wishes.borrow().routing, Routing::Rehearsal);
    }

    #[test]
    fn a_title_is_passed_on_once() {
        let seats = Seats::default();
        let anna = credential("aa", Routing::Live);
        let before = input(vec![anna.clone()]);
        let mut seat = seats.take(&before, &anna, Timestamp::now()).unwrap();
        seats.title("/live/studio", "a".to_owned()).unwrap();
        seat.sends(Container::Mp3);
        assert_eq!(seat.asked().title.as_deref(), Some("a"));
        assert!(!seat.wishes.has_changed().unwrap());
        seats.follow(&of(vec![input(vec![credential("aa", Routing::Rehearsal)])]));
        let moved = seat.asked();
        assert_eq!((moved.title, moved.routing), (None, Routing::Rehearsal));
    }

    #[test]
    fn a_title_told_too_early_is_not_that_of_a_stream_with_titles_inside() {
        for container in [Container::Ogg, Container::Webm] {
            let seats = Seats::default();
            let anna = credential("aa", Routing::Live);
            let mut seat = seats.take(&input(Vec::new()), &anna, Timestamp::now()).unwrap();
            seats.title("/live/studio", "a".to_owned()).unwrap();
            seat.sends(container);
            assert_eq!(seat.asked().title, None);
        }
    }

    #[test]
    fn after_closing_nobody_sits_down() {
        let seats = Seats::default();
        let anna = credential("aa", Routing::Live);
        let seat = seats.take(&input(Vec::new()), &anna, Timestamp::now()).unwrap();
        seats.close("ingest was stopped");
        assert_eq!(seat.wishes.borrow().leave, Some("ingest was stopped"));
        let other = Input {
            path: "/b".to_owned(),
            ..input(Vec::new())
        };
        assert_eq!(
            seats.take(&other, &anna, Timestamp::now()).unwrap_err().status,
            503
        );
    }
}
