//! Which connections belong to a Recording, as its status lists them. No IO.

use ingest::api;
use radio_crds::recording::Session;
use recorder::{
    course::{Rule, spans},
    report::{ShipState, Stored},
};

/// Connections that a status lists.
const LISTED: usize = 64;

/// Whether there may be more of a session than is stored, once the Recording is: nobody saw its end, or nothing of it.
#[must_use]
pub fn is_open(session: &Session) -> bool {
    session.to.is_none() || session.bytes.is_none()
}

/// What was known, with what the recorder says. Nothing is forgotten: a recorder that has just begun says little.
#[must_use]
pub fn told(before: &[Session], ship: &ShipState) -> Vec<Session> {
    let said = ship.sessions.iter().filter_map(|progress| {
        Some(Session {
            id: progress.id.clone(),
            input: progress.input.clone(),
            from: progress.from?,
            to: progress.to,
            bytes: None,
        })
    });
    merged(before, said)
}

/// What was known, with what the tape has of the Recording.
#[must_use]
pub fn on_tape(before: &[Session], rule: &Rule, tape: &[api::Session]) -> Vec<Session> {
    let of_mount = || tape.iter().filter(|session| rule.is_of(session));
    let times: Vec<_> = of_mount().flat_map(spans).collect();
    let reach = rule.reach(&times, &[]);
    let seen = of_mount().filter_map(|session| {
        let spans = spans(session);
        let mut own = spans.iter().filter(|span| reach.has(span));
        let first = own.next()?;
        Some(Session {
            id: session.id.clone(),
            input: session.input.clone(),
            from: first.from,
            to: own.next_back().unwrap_or(first).to,
            bytes: None,
        })
    });
    merged(before, seen)
}

/// What was known, with what is stored.
#[must_use]
pub fn stored(before: &[Session], stored: &Stored) -> Vec<Session> {
    let has = |id: &str| stored.sessions.iter().any(|session| session.id == id);
    // A report that had no room for all left out what ended well.
    let is_short = stored.sessions_left_out > 0;
    let kept = before
        .iter()
        .filter(|session| !has(&session.id))
        .map(|session| Session {
            bytes: session
                .bytes
                .or(Some(0))
                .filter(|_| is_short && session.to.is_some()),
            ..session.clone()
        });
    let kept: Vec<_> = kept.collect();
    let said = stored.sessions.iter().map(|heard| Session {
        id: heard.id.clone(),
        input: heard.input.clone(),
        from: heard.from,
        to: heard.to,
        bytes: Some(i64::try_from(heard.bytes).unwrap_or(i64::MAX)),
    });
    merged(&kept, said)
}

/// Takes out what turned out to be no more than a login: nothing was sent.
pub fn forget_logins(known: &mut Vec<Session>, tape: &[api::Session]) {
    let was_a_login = |id: &str| {
        tape.iter()
            .any(|session| session.id == id && spans(session).is_empty())
    };
    known.retain(|session| !was_a_login(&session.id));
}

fn merged(before: &[Session], news: impl Iterator<Item = Session>) -> Vec<Session> {
    let mut sessions = before.to_vec();
    for session in news {
        match sessions.iter_mut().find(|known| known.id == session.id) {
            Some(known) => {
                let bytes = session.bytes.or(known.bytes);
                *known = Session { bytes, ..session };
            }
            None => sessions.push(session),
        }
    }
    sessions.sort_by(|a, b| (a.from, &a.id).cmp(&(b.from, &b.id)));
    // What may get more is looked for by its name here.
    while sessions.len() > LISTED {
        let last_closed = sessions.iter().rposition(|session| !is_open(session));
        sessions.remove(last_closed.unwrap_or(LISTED));
    }
    sessions
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
