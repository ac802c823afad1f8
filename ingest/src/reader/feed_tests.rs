//! Which session is fed, and until when. The feeding itself: playout-agent's and icecast-agent's tests.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

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
            aired: None,
            acked_by: Vec::new(),
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

fn feeding(server: String, tapes: Tapes) -> Feeding<impl Fn(&Feed, bool)> {
    let feed = Feed {
        path: "/live".to_owned(),
        target: Target {
            address: server,
            mount: "/live.mp3".to_owned(),
        },
        headers: Vec::new(),
        credentials: vec![Credentials {
            user: "source".to_owned(),
            password: "hush".to_owned(),
        }],
        cushion: None,
    };
    Feeding {
        feed: watch::channel(feed).1,
        tapes,
        shows: |_: &Feed, _| {},
    }
}

/// A server that answers each request with this, or only hangs up, and tells what it was asked.
async fn server(answer: &'static str) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
                assert!(socket.read_buf(&mut asked).await.unwrap() > 0);
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            if tell.send(String::from_utf8(asked).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[tokio::test]
async fn an_ingest_that_is_away_is_not_looked_for_by_all_feeds_all_the_time() {
    let (ingest, mut asked) = server("").await;
    let mut tape = live("1");
    tape.desk = Desk::new(ingest, String::new());
    let (list, tapes) = watch::channel(Arc::new(vec![tape]));
    let feeding = AbortOnDropHandle::new(tokio::spawn(feeding("127.0.0.1:1".to_owned(), tapes).feed()));
    let soon = Duration::from_millis(900);
    assert!(timeout(soon, asked.recv()).await.unwrap().is_some());
    let quiet = Duration::from_secs_f64(AWAY.start - 0.5);
    assert!(timeout(quiet, asked.recv()).await.is_err(), "asked again");
    // It answers who asks what is on tape, though nothing has changed.
    list.send_modify(|_| ());
    assert!(timeout(soon, asked.recv()).await.unwrap().is_some());
    assert!(timeout(soon, asked.recv()).await.is_err(), "asked again");
    let again = Duration::from_secs_f64(AWAY.end + 1.0);
    assert!(timeout(again, asked.recv()).await.unwrap().is_some(), "given up");
    drop(feeding);
}

#[tokio::test]
async fn a_title_that_is_not_taken_is_not_told_for_ever() {
    let (address, mut asked) = server("HTTP/1.0 400 Bad Request\r\n\r\nToo long").await;
    let (list, tapes) = watch::channel(Arc::new(vec![live("1")]));
    let feeding = feeding(address, tapes);
    let telling = AbortOnDropHandle::new(tokio::spawn(async move { feeding.tell_titles(&live("1")).await }));
    let patience = Duration::from_secs(10);
    for _ in 0..TITLE_TRIES {
        let told = timeout(patience, asked.recv()).await.unwrap().unwrap();
        assert!(told.contains("song=title%20of%201 "), "{told}");
    }
    let again = timeout(TITLE_AGAIN * 2, asked.recv()).await;
    assert!(again.is_err(), "{again:?}");
    let mut next = live("1");
    next.session.title = Some("Next".to_owned());
    list.send_replace(Arc::new(vec![next]));
    let told = timeout(patience, asked.recv()).await.unwrap().unwrap();
    assert!(told.contains("song=Next "), "{told}");
    drop(telling);
}
