//! What changes while sources play, and what does not; how the process ends, and how it comes back.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ingest::api::Line;
use ingest::config::{Input, Routing};

use crate::pod::*;

/// Without an API the Secret is read each second.
const EFFECTIVE: Duration = Duration::from_secs(2);

fn with_password(path: &str, password: &str, routing: Routing) -> Input {
    Input {
        credentials: vec![credential(password, routing)],
        ..input(path)
    }
}

fn lines(index: &[u8]) -> Vec<Line> {
    index
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn a_changed_password_counts_for_the_next_and_disturbs_nobody() {
    let given = Given::new(vec![input("/a"), input("/b")]);
    let pod = given.start();
    let mut playing = pod.source("/a", MP3);
    given.configure(vec![
        with_password("/a", "new", Routing::Live),
        with_password("/b", "new", Routing::Live),
    ]);
    let changed = Instant::now();
    let head_of = |password: &str| {
        format!(
            "PUT /b HTTP/1.1\r\n{}Content-Length: {}\r\n\r\n",
            login(password),
            MP3.len()
        )
    };
    wait_for(|| {
        let mut said = head_of("new").into_bytes();
        said.extend_from_slice(MP3);
        pod.ask(said).starts_with("HTTP/1.1 200").then_some(())
    });
    assert!(changed.elapsed() < EFFECTIVE, "{:?}", changed.elapsed());
    assert!(pod.ask(head_of(PASSWORD)).starts_with("HTTP/1.1 401"));

    playing.write_all(MP3).unwrap();
    let session = pod.session("/a", |it| it.bytes == 2 * MP3.len() as u64);
    assert_eq!(session.ended, None);
    assert!(!pod.log().contains(&sha256("new")));
}

#[test]
fn a_secret_of_no_use_changes_nothing() {
    let given = Given::new(vec![input("/a")]);
    let pod = given.start();
    let mut playing = pod.source("/a", MP3);
    fs::write(
        given.session("../../secret/ingest.json"),
        "{\"inputs\": \"hush\"}",
    )
    .unwrap();
    wait_for(|| pod.log().contains("the Secret is of no use").then_some(()));
    assert!(!pod.log().contains("hush"));
    playing.write_all(MP3).unwrap();
    pod.session("/a", |it| it.bytes == 2 * MP3.len() as u64);
}

#[test]
fn a_source_whose_input_vanishes_leaves_and_so_do_its_series() {
    let given = Given::new(vec![input("/a"), input("/b")]);
    let pod = given.start();
    let mut leaves = pod.source("/a", MP3);
    let mut stays = pod.source("/b", MP3);
    pod.session("/a", |it| it.bytes == MP3.len() as u64);
    pod.session("/b", |it| it.bytes == MP3.len() as u64);
    for series in [
        "radio_ingest_bytes_total{mount=\"live\",input=\"a\"} 4425\n",
        "radio_ingest_sessions_total{mount=\"live\",input=\"a\"} 1\n",
        "radio_ingest_source_connected{mount=\"live\",input=\"a\"} 1\n",
        "radio_ingest_codec_info{mount=\"live\",input=\"a\",container=\"audio/mpeg\",codec=\"mp3\"} 1\n",
        "radio_tape_cap_bytes 1073741824\n",
        "radio_tape_write_errors_total 0\n",
        "radio_tape_lost_bytes_total 0\n",
    ] {
        assert!(pod.metrics().contains(series), "{series}{}", pod.metrics());
    }
    given.configure(vec![input("/b")]);
    let changed = Instant::now();
    assert_eq!(leaves.read(&mut [0]).unwrap_or(0), 0);
    assert!(changed.elapsed() < EFFECTIVE, "{:?}", changed.elapsed());
    let session = pod.session("/a", |it| it.ended.is_some());
    assert_eq!(session.ended.unwrap().why, "its input was removed");
    wait_for(|| (!pod.metrics().contains("input=\"a\"")).then_some(()));
    stays.write_all(MP3).unwrap();
    pod.session("/b", |it| it.bytes == 2 * MP3.len() as u64);
    assert!(pod.ask(put("/a", "")).starts_with("HTTP/1.1 404"));
}

#[test]
fn a_credential_that_goes_elsewhere_takes_its_source_along() {
    let given = Given::new(vec![with_password("/a", PASSWORD, Routing::Rehearsal)]);
    let pod = given.start();
    let _playing = pod.source("/a", MP3);
    pod.session("/a", |it| it.routing == Routing::Rehearsal);
    given.configure(vec![with_password("/a", PASSWORD, Routing::Live)]);
    let session = pod.session("/a", |it| it.routing == Routing::Live);
    let (_, index) = pod.read(&format!("/v1/sessions/{}/index", session.id));
    assert!(lines(&index).iter().any(|line| matches!(
        line,
        Line::Routing {
            routing: Routing::Live,
            ..
        }
    )));
}

#[test]
fn a_killed_process_keeps_what_it_had_read() {
    let given = Given::new(vec![input("/a")]);
    let pod = given.start();
    let mut sent = OPUS.to_vec();
    let mut source = pod.source("/a", OPUS);
    for piece in CHAIN.chunks(997) {
        source.write_all(piece).unwrap();
        sent.extend_from_slice(piece);
    }
    let session = pod.session("/a", |it| it.bytes == sent.len() as u64);
    pod.kill();
    let on_disk = fs::read(given.session(&session.id).join("tape")).unwrap();
    assert!(on_disk == sent, "the tape itself, without any of us");

    let pod = given.start();
    let ended = pod.session("/a", |it| it.id == session.id && it.ended.is_some());
    assert_eq!(ended.bytes, sent.len() as u64);
    assert!(pod.tape(&session.id) == sent);
    let half = sent.len() / 2;
    let (status, rest) = pod.read(&format!(
        "/v1/sessions/{}/tape?from={half}&follow=true",
        session.id
    ));
    assert_eq!(status, 200);
    assert!(rest == sent[half..], "a reader goes on where it was");

    let _again = pod.source("/a", MP3);
    let second = pod.session("/a", |it| it.ended.is_none());
    assert!(second.id > session.id);
    assert_eq!(pod.sessions().sessions.len(), 2);
}

#[test]
fn sigterm_ends_sessions_before_the_process() {
    let given = Given::new(vec![input("/a"), input("/b")]);
    let pod = given.start();
    let _streams = pod.source("/a", MP3);
    let mut put = pod.call(put("/b", "Transfer-Encoding: chunked\r\n"));
    write!(put, "{:x}\r\n", MP3.len()).unwrap();
    put.write_all(MP3).unwrap();
    let _stranger = TcpStream::connect(pod.sources).unwrap();
    let mut ids = Vec::new();
    for path in ["/a", "/b"] {
        ids.push(pod.session(path, |it| it.bytes == MP3.len() as u64).id);
    }
    let asked = Instant::now();
    assert!(pod.terminate().success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(rest(&mut put).starts_with("HTTP/1.1 503 Ingest was stopped"));
    for id in ids {
        assert!(fs::read(given.session(&id).join("tape")).unwrap() == MP3);
        let index = lines(&fs::read(given.session(&id).join("index")).unwrap());
        let Some(Line::End { at, why, .. }) = index.last() else {
            panic!("{index:?}");
        };
        assert_eq!((*at, why.as_str()), (MP3.len() as u64, "ingest was stopped"));
    }
}

#[test]
fn nothing_to_do_costs_nothing() {
    const SECONDS: u64 = 4;
    let given = Given::new(vec![input("/a")]);
    let pod = given.start();
    let wakeups = || -> u64 {
        fs::read_dir(format!("/proc/{}/task", pod.pid()))
            .unwrap()
            .map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
            .map(|status| {
                let line = status
                    .lines()
                    .find(|line| line.starts_with("voluntary_ctxt_switches"));
                line.unwrap()
                    .split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            })
            .sum()
    };
    pod.sessions();
    let before = wakeups();
    thread::sleep(Duration::from_secs(SECONDS));
    let each_second = (wakeups() - before) / SECONDS;
    // The Secret is read each second here, which it is not in a cluster, and the tapes are looked after each second.
    assert!(each_second <= 6, "{each_second} wakeups a second");
}
