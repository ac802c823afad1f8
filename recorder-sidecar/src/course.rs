//! The course of a Recording: which sessions belong to it, and when it is over. No IO.

use ingest::api::{Line, Session};
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};

use crate::config::Recording;
use crate::manifest::{OverWhy, first_routing};

/// A session that neither grows nor ends has lost its ingest. The tape may come back: so long it is waited for.
pub const LOST_INGEST: SignedDuration = SignedDuration::from_mins(30);

/// How much the list of sessions tells of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// All of it is outside.
    No,
    /// It was on air within the Recording's window.
    Yes,
    /// It is in rehearsal: its index tells whether it always was.
    IfAired,
}

/// Whether a session belongs to the Recording, by the list of sessions.
#[must_use]
pub fn belongs(recording: &Recording, session: &Session) -> Belongs {
    let ended = session.ended.as_ref().map_or(Timestamp::MAX, |ended| ended.at);
    let outside = session.mount != recording.mount
        || session.started >= recording.limit()
        || ended <= recording.window.from
        // It never was more than a login.
        || (session.ended.is_some() && session.bytes == 0);
    match session.routing {
        _ if outside => Belongs::No,
        Routing::Live => Belongs::Yes,
        Routing::Rehearsal => Belongs::IfAired,
    }
}

/// Whether it was on air within the window at any time, by its index.
#[must_use]
pub fn was_on_air(recording: &Recording, session: &Session, lines: &[Line]) -> bool {
    let ended = session.ended.as_ref().map_or(Timestamp::MAX, |ended| ended.at);
    spans(session, lines)
        .iter()
        .any(|&(from, to)| from < recording.limit() && to.unwrap_or(ended) > recording.window.from)
}

/// When it last left the air; `None` if it is there, or was connected no longer than known.
#[must_use]
pub fn last_on_air(session: &Session, lines: &[Line]) -> Option<Timestamp> {
    let ended = session.ended.as_ref().map(|ended| ended.at);
    match spans(session, lines).last() {
        Some(&(_, to)) => to.or(ended),
        None => Some(session.started),
    }
}

/// From when to when it was routed live.
fn spans(session: &Session, lines: &[Line]) -> Vec<(Timestamp, Option<Timestamp>)> {
    let mut changes: Vec<_> = lines
        .iter()
        .filter_map(|line| match *line {
            Line::Routing { at, t, routing } => Some((at, t, routing)),
            _ => None,
        })
        .collect();
    changes.sort_by_key(|&(at, t, _)| (at, t));
    let first = (first_routing(session, lines) == Routing::Live).then_some((session.started, None));
    let mut spans: Vec<(Timestamp, Option<Timestamp>)> = first.into_iter().collect();
    for (_, t, routing) in changes {
        match (routing, spans.last_mut()) {
            (Routing::Live, Some((_, None))) => {}
            (Routing::Live, _) => spans.push((t, None)),
            (Routing::Rehearsal, Some((_, open @ None))) => *open = Some(t),
            (Routing::Rehearsal, _) => {}
        }
    }
    spans
}

/// One belonging session, for [`over`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAir {
    /// It is connected, live, and grows.
    Now,
    /// It was until then.
    Until(Timestamp),
}

/// Whether nothing more will belong to the Recording. `begun` is since when it was looked at.
#[must_use]
pub fn over(recording: &Recording, sessions: &[OnAir], begun: Timestamp, now: Timestamp) -> Option<OverWhy> {
    if now >= recording.limit() {
        let by_window = recording
            .window
            .until
            .is_some_and(|until| until <= recording.limit());
        return Some(if by_window {
            OverWhy::Until
        } else {
            OverWhy::MaxLength
        });
    }
    if recording.window.until.is_some() || sessions.contains(&OnAir::Now) {
        return None;
    }
    let last = sessions.iter().filter_map(|on_air| match on_air {
        OnAir::Until(t) => Some(*t),
        OnAir::Now => None,
    });
    // With nobody ever on air it waits for the one it was made for.
    let last = last.max().unwrap_or(begun);
    let idle = SignedDuration::from_secs(i64::from(recording.idle_end_seconds));
    (now.duration_since(last) >= idle).then_some(OverWhy::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Window;
    use ingest::api::{Container, Ended};
    use ingest::config::TapeAccess;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(10_000 + second).unwrap()
    }

    fn recording(until: Option<i64>) -> Recording {
        let text = serde_json::json!({
            "name": "r", "namespace": "n", "station": "s", "mount": "main", "title": "", "maxLengthSeconds": 600,
            "window": { "from": at(100) }, "tape": { "addresses": [], "token": "" },
            "store": { "endpoint": "http://s", "bucket": "b" },
        });
        let mut recording = Recording::parse(&serde_json::to_vec(&text).unwrap()).unwrap();
        recording.tape = TapeAccess {
            addresses: Vec::new(),
            token: String::new(),
        };
        recording.window = Window {
            from: at(100),
            until: until.map(at),
        };
        recording
    }

    fn session(from: i64, to: Option<i64>, routing: Routing) -> Session {
        Session {
            id: "s1".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing,
            user: "source".to_owned(),
            container: Container::Ogg,
            codec: None,
            title: None,
            started: at(from),
            bytes: 10,
            kept_from: 0,
            ended: to.map(|to| Ended {
                at: at(to),
                why: String::new(),
            }),
        }
    }

    fn route(second: i64, routing: Routing) -> Line {
        Line::Routing {
            at: u64::try_from(second).unwrap(),
            t: at(second),
            routing,
        }
    }

    #[test]
    fn sessions_within_the_window_belong() {
        let table = [
            (0, Some(100), Routing::Live, Belongs::No),
            (0, Some(101), Routing::Live, Belongs::Yes),
            (0, None, Routing::Live, Belongs::Yes),
            (699, None, Routing::Live, Belongs::Yes),
            (700, None, Routing::Live, Belongs::No),
            (150, None, Routing::Rehearsal, Belongs::IfAired),
        ];
        for (from, to, routing, expected) in table {
            assert_eq!(
                belongs(&recording(None), &session(from, to, routing)),
                expected,
                "{from} {to:?}"
            );
        }
        let mut other = session(150, None, Routing::Live);
        other.mount = "other".to_owned();
        assert_eq!(belongs(&recording(None), &other), Belongs::No);
        let mut empty = session(150, Some(151), Routing::Live);
        empty.bytes = 0;
        assert_eq!(belongs(&recording(None), &empty), Belongs::No);
    }

    #[test]
    fn a_rehearsal_that_was_on_air_is_known_by_its_index() {
        use Routing::{Live, Rehearsal};
        let table: [(&[Line], bool, Option<i64>); 4] = [
            (&[], false, Some(10)),
            (&[route(120, Live), route(130, Rehearsal)], true, Some(130)),
            (&[route(20, Live), route(30, Rehearsal)], false, Some(30)),
            // It was live from the start.
            (&[route(101, Rehearsal)], true, Some(101)),
        ];
        for (lines, aired, last) in table {
            let session = session(10, None, Rehearsal);
            assert_eq!(was_on_air(&recording(None), &session, lines), aired, "{lines:?}");
            assert_eq!(last_on_air(&session, lines), last.map(at), "{lines:?}");
        }
        let live = session(10, None, Live);
        assert_eq!(last_on_air(&live, &[]), None);
        assert_eq!(last_on_air(&session(10, Some(90), Live), &[]), Some(at(90)));
    }

    #[test]
    fn it_is_over_when_nobody_can_come_back() {
        use OnAir::{Now, Until};
        let over_at = |until, sessions: &[OnAir], now| over(&recording(until), sessions, at(100), at(now));
        let table = [
            (None, vec![Now, Until(at(110))], 500, None),
            (None, vec![Until(at(300)), Until(at(200))], 419, None),
            (
                None,
                vec![Until(at(300)), Until(at(200))],
                420,
                Some(OverWhy::Idle),
            ),
            (None, vec![], 219, None),
            (None, vec![], 220, Some(OverWhy::Idle)),
            (None, vec![Now], 700, Some(OverWhy::MaxLength)),
            (Some(400), vec![], 399, None),
            (Some(400), vec![Now], 400, Some(OverWhy::Until)),
            (Some(900), vec![Now], 700, Some(OverWhy::MaxLength)),
        ];
        for (until, sessions, now, expected) in table {
            assert_eq!(
                over_at(until, &sessions, now),
                expected,
                "{until:?} {sessions:?} {now}"
            );
        }
    }
}
