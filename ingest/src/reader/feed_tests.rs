//! Which session is fed, and until when. The feeding itself: playout-agent's and icecast-agent's tests.

use super::*;
use crate::api::{Ended, Session};
use crate::reader::Desk;

fn session(id: &str, path: &str, routing: Routing, ended: bool) -> OnTape {
    let now = jiff::Timestamp::UNIX_EPOCH;
    OnTape {
        session: Session {
            id: id.to_owned(),
            mount: "live".to_owned(),
            input: "studio".to_owned(),
            path: path.to_owned(),
            priority: 0,
            routing,
            user: "source".to_owned(),
            container: Container::Mp3,
            codec: None,
            title: Some(format!("title of {id}")),
            started: now,
            bytes: 0,
            kept_from: 0,
            ended: ended.then(|| Ended {
                at: now,
                why: "left".to_owned(),
            }),
        },
        desk: Desk::new("a:1".to_owned(), String::new()),
    }
}

fn live(id: &str) -> OnTape {
    session(id, "/live", Routing::Live, false)
}

fn ended(id: &str) -> OnTape {
    session(id, "/live", Routing::Live, true)
}

fn rehearsed(id: &str) -> OnTape {
    session(id, "/live", Routing::Rehearsal, false)
}

#[test]
fn the_newest_that_is_connected_and_live_is_fed() {
    let other = session("9", "/other", Routing::Live, false);
    let table: [(&[OnTape], Option<&str>); 6] = [
        (&[], None),
        (&[live("1")], Some("1")),
        (&[live("1"), live("2"), other.clone()], Some("2")),
        (&[live("1"), ended("2")], Some("1")),
        (&[live("1"), rehearsed("2")], Some("1")),
        (&[ended("1"), rehearsed("2"), other], None),
    ];
    for (tapes, expected) in table {
        let found = newest(tapes, "/live").map(|tape| tape.session.id.as_str());
        assert_eq!(found, expected, "{tapes:?}");
    }
}

#[test]
fn a_session_is_left_for_a_newer_one_or_for_the_rehearsal_and_not_at_its_end() {
    let table: [(&[OnTape], bool); 6] = [
        (&[live("1")], false),
        (&[ended("1")], false),
        // A pod that knows nothing yet.
        (&[], false),
        (&[live("1"), live("2")], true),
        (&[ended("1"), live("2")], true),
        (&[rehearsed("1")], true),
    ];
    for (tapes, expected) in table {
        assert_eq!(is_over(tapes, &live("1")), expected, "{tapes:?}");
    }
}

#[test]
fn titles_are_the_sessions_own() {
    let tapes = [live("1"), live("2")];
    assert_eq!(title(&tapes, "1").as_deref(), Some("title of 1"));
    assert_eq!(title(&tapes, "3"), None);
}
