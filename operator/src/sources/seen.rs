//! From an ingest's answers to what of them is new to whom. No IO, no clock: all times are the ingest's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ingest::{
    api::{Aired, Ended, Fill, Refusal, Session, Sessions},
    config::Routing,
};
use jiff::Timestamp;

use super::{TELL_EVERY, signed};

/// An input, by its Mount and its name.
type Place = (String, String);

/// What one Station's ingest last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    lines: BTreeMap<Place, Line>,
    /// Everything that is on tape.
    sessions: Arc<Vec<Session>>,
    fill: Fill,
    /// Refusals that concern no Mount are handled up to here.
    strangers_until: Timestamp,
}

/// What is known about one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The source that is connected.
    pub session: Option<Session>,
    /// How the last one ended.
    pub ended: Option<Ended>,
    /// The last source that was not let in, among those worth telling.
    pub refusal: Option<Refusal>,
    told: BTreeMap<&'static str, Timestamp>,
}

/// Whom an answer concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// It is the first one, or the first after a silence: what was known before may be as old as the status.
    pub first: bool,
    /// These Mounts have something new to tell.
    pub mounts: BTreeSet<String>,
    /// A source came or went.
    pub came_or_went: bool,
    /// The tapes got fuller or emptier by a level.
    pub filled: bool,
    /// What is on air, on tape or acked of these Mounts is news to those that record it.
    pub recorded: BTreeSet<String>,
    /// New refusals that concern no Mount.
    pub strangers: Vec<Refusal>,
}

impl Seen {
    /// Nothing yet.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self {
            lines: BTreeMap::new(),
            sessions: Arc::default(),
            fill: Fill::default(),
            strangers_until: since,
        }
    }

    /// What is known about an input.
    #[must_use]
    pub fn line(&self, mount: &str, input: &str) -> Option<&Line> {
        self.lines.get(&(mount.to_owned(), input.to_owned()))
    }

    /// The last sources that were not let in at a Mount, one for each input.
    pub fn refusals(&self, mount: &str) -> impl Iterator<Item = &Refusal> {
        let of_mount = self.lines.iter().filter(move |((of, _), _)| of == mount);
        of_mount.filter_map(|(_, line)| line.refusal.as_ref())
    }

    /// The first input with a source, if there is any.
    #[must_use]
    pub fn anybody(&self) -> Option<(&str, &str)> {
        let mut lines = self.lines.iter();
        lines.find_map(|((mount, input), line)| {
            line.session.is_some().then_some((mount.as_str(), input.as_str()))
        })
    }

    /// Everything that is on tape, the oldest first.
    #[must_use]
    pub fn sessions(&self) -> &Arc<Vec<Session>> {
        &self.sessions
    }

    /// How full the tapes are.
    #[must_use]
    pub fn fill(&self) -> Fill {
        self.fill
    }

    /// Takes in an answer.
    pub fn take(&mut self, answer: &Sessions) -> Changes {
        let mut changes = Changes {
            filled: self.fill != answer.fill,
            recorded: differing(&self.sessions, &answer.sessions),
            ..Changes::default()
        };
        self.fill = answer.fill;
        self.sessions = Arc::new(answer.sessions.clone());
        let mut sessions = newest(&answer.sessions);
        let known: BTreeSet<Place> = self.lines.keys().chain(sessions.keys()).cloned().collect();
        for place in known {
            let (session, ended) = sessions.remove(&place).unwrap_or_default();
            let line = self.lines.entry(place.clone()).or_default();
            if line.session.as_ref().map(notable) != session.as_ref().map(notable) {
                changes.came_or_went |= line.session.is_some() != session.is_some();
                changes.mounts.insert(place.0);
            }
            line.session = session;
            line.ended = ended;
        }
        // An older one after a newer one would be taken for one that was told.
        let mut refusals: Vec<&Refusal> = answer.refusals.iter().collect();
        refusals.sort_by_key(|refusal| refusal.at);
        for refusal in refusals {
            match (&refusal.mount, &refusal.input) {
                (Some(mount), Some(input)) => {
                    let line = self.lines.entry((mount.clone(), input.clone())).or_default();
                    if line.refused(refusal) {
                        changes.mounts.insert(mount.clone());
                    }
                }
                _ if refusal.at > self.strangers_until => changes.strangers.push(refusal.clone()),
                _ => {}
            }
        }
        let strangers = changes.strangers.iter().map(|refusal| refusal.at).max();
        self.strangers_until = strangers.unwrap_or(self.strangers_until);
        self.lines
            .retain(|_, line| line.session.is_some() || line.ended.is_some() || line.refusal.is_some());
        changes
    }
}

impl Line {
    /// Whether the refusal is worth telling: newer than the last, and not the same again within a minute.
    fn refused(&mut self, refusal: &Refusal) -> bool {
        let newer = self.refusal.as_ref().is_none_or(|last| refusal.at > last.at);
        let reason = refusal.reason.as_str();
        let again = self
            .told
            .get(reason)
            .is_some_and(|told| refusal.at.duration_since(*told) < signed(TELL_EVERY));
        if !newer || again {
            return false;
        }
        self.told.insert(reason, refusal.at);
        self.refusal = Some(refusal.clone());
        true
    }
}

/// The Mounts with sessions that came, went, or changed in what matters to a recording.
fn differing(before: &[Session], now: &[Session]) -> BTreeSet<String> {
    fn by_id(sessions: &[Session]) -> BTreeMap<&str, &Session> {
        let known = sessions.iter();
        known.map(|session| (session.id.as_str(), session)).collect()
    }
    fn matters(session: &Session) -> (&Option<Aired>, &Option<Ended>, &[String]) {
        (&session.aired, &session.ended, &session.acked_by)
    }
    let (before, now) = (by_id(before), by_id(now));
    let ids: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
    ids.into_iter()
        .filter_map(|id| match (before.get(id), now.get(id)) {
            (Some(before), Some(now)) if matters(before) == matters(now) => None,
            (Some(session), _) | (_, Some(session)) => Some(session.mount.clone()),
            (None, None) => None,
        })
        .collect()
}

/// What of a session is in a status.
fn notable(session: &Session) -> (&str, Option<&str>, Routing) {
    (&session.id, session.codec.as_deref(), session.routing)
}

/// Of each input the newest session that goes on, and the newest that ended.
fn newest(sessions: &[Session]) -> BTreeMap<Place, (Option<Session>, Option<Ended>)> {
    let mut newest: BTreeMap<Place, (Option<Session>, Option<Ended>)> = BTreeMap::new();
    for session in sessions {
        let place = (session.mount.clone(), session.input.clone());
        let (connected, last) = newest.entry(place).or_default();
        match &session.ended {
            Some(ended) if last.as_ref().is_none_or(|last| ended.at >= last.at) => {
                *last = Some(ended.clone());
            }
            None if connected
                .as_ref()
                .is_none_or(|other| session.started >= other.started) =>
            {
                *connected = Some(session.clone());
            }
            _ => {}
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use ingest::api::RefusalReason;

    use super::*;
    use crate::testing::{aired, refused, session};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn answer(sessions: &[Session], refusals: &[Refusal]) -> Sessions {
        Sessions {
            version: "1".to_owned(),
            sessions: sessions.to_vec(),
            refusals: refusals.to_vec(),
            fill: ingest::api::Fill::default(),
        }
    }

    fn ended(mut session: Session, seconds: i64) -> Session {
        session.ended = Some(Ended {
            at: at(seconds),
            why: format!("end at {seconds}"),
        });
        session
    }

    fn mounts(changes: &Changes) -> Vec<&str> {
        changes.mounts.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_source_comes_and_goes() {
        let mut seen = Seen::new(at(0));
        let studio = session("live", "studio", at(1));
        let changes = seen.take(&answer(std::slice::from_ref(&studio), &[]));
        assert_eq!((mounts(&changes), changes.came_or_went), (vec!["live"], true));
        assert_eq!(seen.anybody(), Some(("live", "studio")));

        // Bytes and titles are no news; the codec is.
        let mut more = studio.clone();
        (more.bytes, more.title) = (9, Some("Song".to_owned()));
        assert_eq!(seen.take(&answer(&[more], &[])), Changes::default());
        let mut known = studio.clone();
        known.codec = Some("flac".to_owned());
        let changes = seen.take(&answer(&[known], &[]));
        assert_eq!((mounts(&changes), changes.came_or_went), (vec!["live"], false));

        let changes = seen.take(&answer(&[ended(studio, 8)], &[]));
        assert_eq!((mounts(&changes), changes.came_or_went), (vec!["live"], true));
        assert_eq!(seen.anybody(), None);
        let line = seen.line("live", "studio").unwrap();
        assert_eq!(line.ended.as_ref().unwrap().why, "end at 8");
        // What is on the tape no longer is forgotten here too.
        let changes = seen.take(&answer(&[], &[]));
        assert_eq!((mounts(&changes), changes.came_or_went), (vec![], false));
        assert_eq!(seen.line("live", "studio"), None);
        assert_eq!(seen.take(&answer(&[], &[])), Changes::default());
    }

    #[test]
    fn what_matters_to_a_recording_is_told_to_it() {
        let mut seen = Seen::new(at(0));
        let recorded = |seen: &mut Seen, sessions: &[Session]| {
            let changes = seen.take(&answer(sessions, &[]));
            changes.recorded.into_iter().collect::<Vec<_>>().join(", ")
        };
        let mut studio = session("live", "studio", at(1));
        let talk = session("talk", "van", at(2));
        assert_eq!(recorded(&mut seen, &[studio.clone(), talk.clone()]), "live, talk");
        // Bytes and titles come all the time.
        (studio.bytes, studio.title) = (9, Some("Song".to_owned()));
        assert_eq!(recorded(&mut seen, &[studio.clone(), talk.clone()]), "");
        assert_eq!(seen.sessions()[0].bytes, 9);
        studio.aired = Some(aired(at(3), None));
        assert_eq!(recorded(&mut seen, &[studio.clone(), talk.clone()]), "live");
        studio.acked_by = vec!["live-1".to_owned()];
        assert_eq!(recorded(&mut seen, &[studio.clone(), talk.clone()]), "live");
        let over = ended(studio, 8);
        assert_eq!(recorded(&mut seen, &[over.clone(), talk.clone()]), "live");
        assert_eq!(recorded(&mut seen, std::slice::from_ref(&talk)), "live");

        let mut fuller = answer(&[talk], &[]);
        fuller.fill = Fill::Half;
        let changes = seen.take(&fuller);
        assert_eq!(
            (changes.filled, changes.recorded.len(), seen.fill()),
            (true, 0, Fill::Half)
        );
        assert_eq!(seen.take(&fuller), Changes::default());
    }

    #[test]
    fn the_newest_session_counts_in_any_order() {
        let first = ended(session("live", "studio", at(1)), 2);
        let second = ended(session("live", "studio", at(3)), 4);
        let third = session("live", "studio", at(5));
        for order in [
            vec![first.clone(), second.clone(), third.clone()],
            vec![third.clone(), second.clone(), first.clone()],
        ] {
            let mut seen = Seen::new(at(0));
            seen.take(&answer(&order, &[]));
            let line = seen.line("live", "studio").unwrap();
            assert_eq!(line.session.as_ref(), Some(&third));
            assert_eq!(line.ended.as_ref().unwrap().at, at(4));
        }
    }

    #[test]
    fn a_reconnect_between_two_answers_is_news() {
        let mut seen = Seen::new(at(0));
        seen.take(&answer(&[session("live", "studio", at(1))], &[]));
        let changes = seen.take(&answer(&[session("live", "studio", at(5))], &[]));
        assert_eq!((mounts(&changes), changes.came_or_went), (vec!["live"], false));
    }

    #[test]
    fn an_encoder_that_knocks_for_an_hour_is_told_once_a_minute() {
        let mut seen = Seen::new(at(0));
        let mut told = 0;
        for second in (0..3600).step_by(2) {
            let knock = refused(Some(("live", "studio")), RefusalReason::Unauthorized, at(second));
            told += seen.take(&answer(&[], &[knock])).mounts.len();
        }
        assert_eq!(told, 60);
        // Another fault is told at once, and so is another input.
        let garbage = refused(Some(("live", "studio")), RefusalReason::BadRequest, at(3601));
        let van = refused(Some(("live", "van")), RefusalReason::Unauthorized, at(3601));
        assert_eq!(mounts(&seen.take(&answer(&[], &[garbage, van]))), ["live"]);
        let reason = |input| seen.line("live", input).unwrap().refusal.as_ref().unwrap().reason;
        assert_eq!(reason("studio"), RefusalReason::BadRequest);
        assert_eq!(reason("van"), RefusalReason::Unauthorized);
    }

    #[test]
    fn the_same_answer_again_is_no_news() {
        let mut seen = Seen::new(at(0));
        let again = answer(
            &[session("live", "studio", at(1))],
            &[
                refused(Some(("live", "van")), RefusalReason::Unauthorized, at(2)),
                refused(None, RefusalReason::UnknownPath, at(3)),
            ],
        );
        assert_ne!(seen.take(&again), Changes::default());
        assert_eq!(seen.take(&again), Changes::default());
    }

    #[test]
    fn no_refusal_is_swallowed_by_a_newer_one() {
        let mut seen = Seen::new(at(0));
        let new = refused(Some(("live", "van")), RefusalReason::Taken, at(9));
        let old = refused(Some(("live", "van")), RefusalReason::Unauthorized, at(3));
        seen.take(&answer(&[], &[new.clone(), old]));
        let line = seen.line("live", "van").unwrap();
        assert_eq!(line.refusal.as_ref(), Some(&new));
        let told: Vec<_> = line.told.values().copied().collect();
        assert_eq!(told, [at(9), at(3)]);
    }

    #[test]
    fn strangers_are_told_if_they_are_new() {
        let mut seen = Seen::new(at(10));
        let old = refused(None, RefusalReason::UnknownPath, at(9));
        let new = refused(None, RefusalReason::UnknownPath, at(11));
        let changes = seen.take(&answer(&[], &[old, new.clone()]));
        assert_eq!((&changes.strangers, mounts(&changes)), (&vec![new], vec![]));
    }
}
