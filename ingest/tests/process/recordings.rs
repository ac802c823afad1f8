//! What Recordings say they have goes from the tapes; what one of them still needs does not.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use ingest::api::{Container, Line};
use ingest::config::{Ingest, Named, Reader, Routing};
use ingest::tape::Meta;
use jiff::{SignedDuration, Timestamp};

use crate::pod::*;

fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// A session as an earlier process left it: an hour on the air, until so many minutes ago.
fn left_on_tape(given: &Given, number: u32, ended: i64) -> String {
    let id = format!("20261121T13502500{number}Z-1f3a");
    let dir = given.session(&id);
    fs::create_dir_all(&dir).unwrap();
    let meta = Meta {
        mount: "live".to_owned(),
        input: "a".to_owned(),
        path: "/a".to_owned(),
        priority: 0,
        routing: Routing::Live,
        user: "source".to_owned(),
        container: Container::Mp3,
        started: minutes_ago(ended + 60),
        boot_id: "of another time".to_owned(),
    };
    fs::write(dir.join("meta.json"), serde_json::to_vec(&meta).unwrap()).unwrap();
    fs::write(dir.join("tape"), MP3).unwrap();
    let end = Line::End {
        at: MP3.len() as u64,
        t: minutes_ago(ended),
        why: "left".to_owned(),
    };
    let mut index = serde_json::to_vec(&end).unwrap();
    index.push(b'\n');
    fs::write(dir.join("index"), index).unwrap();
    id
}

/// The Recording's name is its reader's token.
fn config(recordings: &[&str]) -> Ingest {
    let reader = |name: &str, token: &str, mount: Option<&str>| Reader {
        name: name.to_owned(),
        sha256: sha256(token),
        mounts: mount.map(|mount| vec![mount.to_owned()]),
    };
    Ingest {
        inputs: vec![input("/a")],
        readers: vec![
            reader("test", TOKEN, None),
            reader("recording/one", "one", Some("live")),
            reader("recording/two", "two", Some("live")),
        ],
        tape_cap_bytes: 1 << 30,
        recordings: recordings
            .iter()
            .map(|&name| Named {
                name: name.to_owned(),
                mount: "live".to_owned(),
                input: None,
                from: minutes_ago(24 * 60),
                until: None,
            })
            .collect(),
    }
}

fn ack(pod: &Pod, token: &str, session: &str, recording: &str) -> String {
    let body = format!("{{\"recording\":\"{recording}\",\"to\":{}}}", MP3.len());
    let mut socket = TcpStream::connect(pod.readers).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = format!(
        "POST /v1/sessions/{session}/ack HTTP/1.0\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(question.as_bytes()).unwrap();
    let head = head(&mut socket);
    head.split(' ').nth(1).unwrap().to_owned()
}

fn on_tape(pod: &Pod) -> Vec<String> {
    let sessions = pod.sessions().sessions;
    sessions.into_iter().map(|session| session.id).collect()
}

#[test]
fn what_all_recordings_have_goes_from_the_tape() {
    let given = Given::new(Vec::new());
    given.configure_as(&config(&["one", "two"]));
    let sessions = [16, 16, 16, 5];
    let ids: Vec<String> = (1..)
        .zip(sessions)
        .map(|(number, ended)| left_on_tape(&given, number, ended))
        .collect();
    let [both, first, nobodys, young] = &ids[..] else {
        panic!("{ids:?}")
    };
    let pod = given.start();
    assert_eq!(on_tape(&pod), ids);
    for (token, recording, status) in [
        (TOKEN, "one", "403"),
        ("two", "one", "403"),
        ("three", "one", "401"),
    ] {
        assert_eq!(ack(&pod, token, nobodys, recording), status, "{token}");
    }
    for (session, recording) in [
        (first, "one"),
        (young, "one"),
        (young, "two"),
        (both, "one"),
        (both, "two"),
    ] {
        assert_eq!(ack(&pod, recording, session, recording), "204");
    }
    let young_one = pod.session("/a", |session| session.id == *young);
    assert_eq!(young_one.acked_by, ["one", "two"]);

    wait_for(|| (on_tape(&pod).len() < 4).then_some(()));
    assert_eq!(on_tape(&pod), [first, nobodys, young].map(String::clone));
    wait_for(|| (!given.session(both).exists()).then_some(()));

    // The other Recording needs nothing any more.
    given.configure_as(&config(&["one"]));
    wait_for(|| (on_tape(&pod).len() < 3).then_some(()));
    assert_eq!(on_tape(&pod), [nobodys, young].map(String::clone));
    wait_for(|| (!given.session(first).exists()).then_some(()));
    assert!(pod.metrics().contains("radio_tape_given_up_bytes_total 0"));
}
