//! Presenters: let in, heard, replaced and sent away at the instants of their Shows, by the API server's time, with nobody
//! there to tell.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ingest::api::{Line, Session};
use ingest::config::{Credential, Input, Routing, Turn};
use jiff::{SignedDuration, Timestamp};

use crate::cluster::Cluster;
use crate::pod::*;

const EDGE: SignedDuration = SignedDuration::from_secs(1);

fn after(at: Timestamp, milliseconds: i64) -> Timestamp {
    at + SignedDuration::from_millis(milliseconds)
}

/// Of a slot; the other instants are seconds before its start or after its end.
fn turn(start: Timestamp, end: Timestamp, early: i64, over: i64) -> Turn {
    let closes = after(end, over * 1000);
    let opens = after(start, -early * 1000);
    Turn {
        start,
        end,
        opens,
        closes,
        live_from: Some(start),
        live_until: closes,
        hard_end: false,
    }
}

fn presenter(user: &str, turns: &[Turn]) -> Credential {
    Credential {
        user: user.to_owned(),
        show: Some("Night Shift".to_owned()),
        turns: turns.to_vec(),
        ..credential(PASSWORD, Routing::Rehearsal)
    }
}

fn presented(path: &str, credentials: Vec<Credential>) -> Input {
    Input {
        credentials,
        ..input(path)
    }
}

/// Somebody who wants to send, and what he is told at once.
fn knock(pod: &Pod, path: &str, user: &str) -> (TcpStream, String) {
    let login = login_of(user, PASSWORD);
    let mut socket = pod.call(format!("SOURCE {path} ICE/1.0\r\n{login}\r\n"));
    let answer = head(&mut socket);
    (socket, answer)
}

fn is_in(answer: &str) -> bool {
    answer.starts_with("HTTP/1.0 200 ")
}

/// A session's routing by its index: what it was at first, and each change.
fn routings(pod: &Pod, session: &Session) -> Vec<(Timestamp, Routing)> {
    let (_, index) = pod.read(&format!("/v1/sessions/{}/index", session.id));
    let lines = String::from_utf8(index).unwrap();
    let changes = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    changes
        .filter_map(|line| match line {
            Line::Routing { t, routing, .. } => Some((t, routing)),
            _ => None,
        })
        .collect()
}

/// Says how far an edge was from where it should be, and that it was near enough.
fn edge(what: &str, should: Timestamp, was: Timestamp) {
    let off = was.duration_since(should);
    println!("edge {what}: {:+.3} s", off.as_secs_f64());
    assert!(off.abs() <= EDGE, "{what}: {off:?}");
}

fn clock_error(pod: &Pod) -> Option<f64> {
    let metrics = pod.metrics();
    let error = metrics
        .lines()
        .find_map(|line| line.strip_prefix("radio_ingest_clock_error_seconds "))?;
    error.parse().ok()
}

/// Sends a little all the time, until the connection ends; when that was.
fn send_to_the_end(mut source: TcpStream, now: impl Fn() -> Timestamp) -> Timestamp {
    source.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "it is not sent away");
        if source.write_all(MP3).is_err() {
            return now();
        }
        match source.read(&mut [0; 100]) {
            Ok(0) => return now(),
            Err(gone) if gone.kind() == std::io::ErrorKind::ConnectionReset => return now(),
            _ => {}
        }
    }
}

/// Knocks until he is let in, or not any more; when he was last told otherwise, and when that had changed.
fn knock_until(pod: &Pod, path: &str, now: impl Fn() -> Timestamp, is_open: bool) -> (Timestamp, TcpStream) {
    let started = Instant::now();
    loop {
        let (socket, answer) = knock(pod, path, "anna");
        let told = is_in(&answer) || answer.contains("Mountpoint in use");
        if told == is_open {
            return (now(), socket);
        }
        assert!(started.elapsed() < PATIENCE, "{path}: {answer}");
        drop(socket);
        thread::sleep(Duration::from_millis(20));
    }
}

/// An ingest on a node five minutes behind, whose clock has been told as well as it will be.
fn on_a_late_node(given: &Given) -> (Cluster, Pod) {
    let cluster = Cluster::new(SignedDuration::from_mins(5), Given::config(Vec::new()));
    let pod = cluster.start(given);
    wait_for(|| clock_error(&pod).filter(|&error| error <= 0.15));
    (cluster, pod)
}

fn edges_of_a_hard_end(cluster: &Cluster, pod: &Pod, hard: Turn) {
    let now = || cluster.now();
    let (opened, source) = knock_until(pod, "/hard", now, true);
    let ended = send_to_the_end(source, now);
    edge("a window opens (hard)", hard.opens, opened);
    edge("a hard end disconnects", hard.end, ended);
}

fn edges_of_the_door(cluster: &Cluster, pod: &Pod, turn: Turn) {
    let now = || cluster.now();
    let (opened, socket) = knock_until(pod, "/door", now, true);
    drop(socket);
    let (closed, _) = knock_until(pod, "/door", now, false);
    edge("a window opens (door)", turn.opens, opened);
    edge("a window closes", turn.closes, closed);
}

fn edges_of_the_air(cluster: &Cluster, pod: &Pod, turn: Turn) {
    let (opened, mut source) = knock_until(pod, "/soft", || cluster.now(), true);
    source.write_all(MP3).unwrap();
    edge("a window opens (soft)", turn.opens, opened);
    let heard = |routing| {
        pod.session("/soft", |it| it.routing == routing);
        cluster.now()
    };
    edge("on the air, as the list has it", turn.start, heard(Routing::Live));
    let off = heard(Routing::Rehearsal);
    edge("off the air, as the list has it", turn.live_until, off);
    let session = pod.session("/soft", |_| true);
    assert_eq!(session.ended, None, "without a hard end it stays connected");
    let index = routings(pod, &session);
    let [(on, Routing::Live), (off, Routing::Rehearsal)] = index[..] else {
        panic!("{index:?}");
    };
    edge("on the air, as the index has it", turn.start, on);
    edge("off the air, as the index has it", turn.live_until, off);
}

#[test]
fn every_edge_is_within_a_second_with_nobody_there_to_tell() {
    let given = Given::new(Vec::new());
    let (cluster, pod) = on_a_late_node(&given);
    let begin = after(cluster.now(), 2_000);
    let soft = turn(after(begin, 2_000), after(begin, 5_000), 2, 2);
    let hard = Turn {
        end: soft.end,
        closes: soft.end,
        live_until: soft.end,
        hard_end: true,
        ..soft
    };
    let of = |path, turn| presented(path, vec![presenter("anna", &[turn])]);
    cluster.configure(Given::config(vec![
        of("/soft", soft),
        of("/hard", hard),
        of("/door", soft),
    ]));
    wait_for(|| pod.log().contains("settings changed").then_some(()));
    cluster.is_gone();

    thread::scope(|scope| {
        let hard_end = scope.spawn(|| edges_of_a_hard_end(&cluster, &pod, hard));
        let door = scope.spawn(|| edges_of_the_door(&cluster, &pod, soft));
        edges_of_the_air(&cluster, &pod, soft);
        hard_end.join().unwrap();
        door.join().unwrap();
    });
    let session = pod.session("/hard", |it| it.ended.is_some());
    assert_eq!(session.ended.unwrap().why, "its show is over");
    assert!(
        !is_in(&knock(&pod, "/hard", "anna").1),
        "and it does not come in again"
    );
}

#[test]
fn who_comes_at_the_wrong_time_is_told_why_and_a_stranger_nothing() {
    let start = Timestamp::now() + SignedDuration::from_mins(90);
    let slot = turn(start, start + SignedDuration::from_hours(1), 900, 900);
    let given = Given::new(vec![
        presented("/live/studio", vec![presenter("anna", &[slot])]),
        presented("/live/van", vec![presenter("anna", &[])]),
    ]);
    let pod = given.start();
    let (mut socket, answer) = knock(&pod, "/live/studio", "anna");
    let first = answer.lines().next().unwrap();
    assert!(first.starts_with("HTTP/1.0 403 Night Shift is from "), "{first}");
    assert!(
        first.contains(" UTC, you can connect from ") && first.ends_with(" UTC"),
        "{first}"
    );
    println!("told: {first}");
    let sentence = first.strip_prefix("HTTP/1.0 403 ").unwrap();
    assert_eq!(rest(&mut socket), format!("{sentence}\n"));
    let refusals = wait_for(|| Some(pod.sessions().refusals).filter(|it| !it.is_empty()));
    assert_eq!(
        (refusals[0].reason.as_str(), refusals[0].message.as_str()),
        ("OutsideWindow", sentence)
    );
    let counted = "radio_ingest_refusals_total{reason=\"OutsideWindow\"} 1\n";
    assert!(pod.metrics().contains(counted), "{}", pod.metrics());

    let answer = pod.ask(format!(
        "SOURCE /live/studio ICE/1.0\r\n{}\r\n",
        login_of("anna", "wrong")
    ));
    assert!(
        answer.starts_with("HTTP/1.0 401 The user or the password for /live/studio is wrong"),
        "{answer}"
    );
    assert!(!answer.contains("Night Shift"), "{answer}");
    let (_, answer) = knock(&pod, "/live/van", "anna");
    assert!(
        answer.starts_with("HTTP/1.0 403 Night Shift has no slot in the next 7 days"),
        "{answer}"
    );
    assert_eq!(pod.sessions().sessions, []);
}

#[test]
fn a_node_whose_clock_is_wrong_locks_nobody_out() {
    for minutes in [5, -5] {
        let ahead = SignedDuration::from_mins(minutes);
        let now = Timestamp::now() + ahead;
        let minute = SignedDuration::from_mins(1);
        // Under way by the API server's time, and not by the node's; and the other way round.
        let right = turn(now - minute, now + minute, 30, 30);
        let wrong = turn(now - ahead - minute, now - ahead + minute, 30, 30);
        let config = Given::config(vec![
            presented("/right", vec![presenter("anna", &[right])]),
            presented("/wrong", vec![presenter("anna", &[wrong])]),
        ]);
        let given = Given::new(Vec::new());
        given.configure_as(&config);
        let cluster = Cluster::new(ahead, config);
        let pod = cluster.start(&given);
        // At once: nothing is waited for.
        let (mut source, answer) = knock(&pod, "/right", "anna");
        assert!(is_in(&answer), "{minutes}: {answer}");
        source.write_all(MP3).unwrap();
        let session = pod.session("/right", |it| it.bytes == MP3.len() as u64);
        assert_eq!(session.routing, Routing::Live, "{minutes}");
        edge(
            "a session's start on a wrong node",
            cluster.now(),
            session.started,
        );
        assert!(!is_in(&knock(&pod, "/wrong", "anna").1), "{minutes}");
        let shown = pod.metrics();
        let told = shown
            .lines()
            .find_map(|line| line.strip_prefix("radio_ingest_clock_ahead_seconds "));
        let told: f64 = told.unwrap().parse().unwrap();
        assert!((told - ahead.as_secs_f64()).abs() <= 1.0, "{minutes}: {told}");
        assert!(
            pod.log().contains("the node's clock is wrong by this"),
            "{}",
            pod.log()
        );

        // Killed, and the API is away when it comes back.
        cluster.is_gone();
        wait_for(|| given.session("../../tapes/clock.json").exists().then_some(()));
        pod.kill();
        drop(source);
        let pod = cluster.start(&given);
        let (mut source, answer) = knock(&pod, "/right", "anna");
        assert!(is_in(&answer), "{minutes}: {answer}");
        source.write_all(MP3).unwrap();
        let session = pod.session("/right", |it| it.ended.is_none());
        edge(
            "and after a restart without the API",
            cluster.now(),
            session.started,
        );
    }
}

/// The presenter of the next show, as soon as the input is his.
fn enter(pod: &Pod) -> TcpStream {
    wait_for(|| {
        let (socket, answer) = knock(pod, "/live/studio", "ben");
        if is_in(&answer) {
            return Some(socket);
        }
        let told = [
            " 403 Mountpoint in use: anna has sent to ",
            "; it is free for you from ",
        ];
        assert!(told.iter().all(|told| answer.contains(told)), "{answer}");
        None
    })
}

#[test]
fn the_next_show_takes_the_input_over_as_soon_as_it_has_audio() {
    let now = Timestamp::now();
    let (begun, over, late) = (after(now, -60_000), after(now, 2_500), after(now, 60_000));
    let given = Given::new(vec![presented(
        "/live/studio",
        vec![
            presenter("anna", &[turn(begun, over, 60, 60)]),
            presenter("ben", &[turn(over, late, 60, 60)]),
        ],
    )]);
    let pod = given.start();
    let (mut anna, answer) = knock(&pod, "/live/studio", "anna");
    assert!(is_in(&answer), "{answer}");
    anna.write_all(MP3).unwrap();
    let first = pod.session("/live/studio", |it| it.bytes == MP3.len() as u64);

    // What he sends is no audio: she overruns, and is heard.
    let mut ben = enter(&pod);
    edge("the input is free for the next show", over, Timestamp::now());
    ben.write_all(b"RIFF\0\0\0\0WAVEfmt ").unwrap();
    assert!(rest(&mut ben).starts_with("This stream cannot be taken: this is WAV"));
    anna.write_all(MP3).unwrap();
    pod.session("/live/studio", |it| {
        it.id == first.id && it.bytes == 2 * MP3.len() as u64
    });

    let mut ben = enter(&pod);
    let (_, answer) = knock(&pod, "/live/studio", "ben");
    assert!(
        answer.contains(" 403 Mountpoint in use: ben has sent to "),
        "{answer}"
    );
    let sent = Instant::now();
    ben.write_all(MP3).unwrap();
    assert_eq!(anna.read(&mut [0]).unwrap_or(0), 0);
    let second = pod.session("/live/studio", |it| it.user == "ben");
    println!("replaced within {:?} of the first audio", sent.elapsed());
    assert_eq!((second.ended, second.routing), (None, Routing::Live));
    let first = wait_for(|| {
        pod.sessions()
            .sessions
            .into_iter()
            .find(|it| it.id == first.id && it.ended.is_some())
    });
    let ended = first.ended.unwrap();
    assert_eq!(ended.why, "the next show has begun");
    assert!(ended.at <= second.started, "one at a time");
    edge("between the two", ended.at, second.started);
    assert!(
        pod.metrics()
            .contains("radio_ingest_handovers_total{mount=\"live\",input=\"live-studio\"} 1\n")
    );
    let (_, answer) = knock(&pod, "/live/studio", "anna");
    assert!(
        answer.contains("Mountpoint in use: ben has sent to "),
        "her time is over: {answer}"
    );
}

#[test]
fn a_change_counts_at_once_and_a_deleted_show_goes_on_to_its_end() {
    let now = Timestamp::now();
    let rehearsed = Turn {
        live_from: None,
        ..turn(after(now, -1000), after(now, 30_000), 10, 10)
    };
    let inputs = |turns: &[Turn]| vec![presented("/live/studio", vec![presenter("anna", turns)])];
    let given = Given::new(inputs(&[rehearsed]));
    let pod = given.start();
    let (mut anna, answer) = knock(&pod, "/live/studio", "anna");
    assert!(is_in(&answer), "{answer}");
    anna.write_all(MP3).unwrap();
    pod.session("/live/studio", |it| it.routing == Routing::Rehearsal);

    // Somebody says "on air".
    let end = after(Timestamp::now(), 4_000);
    let live = Turn {
        live_from: Some(Timestamp::now()),
        live_until: end,
        closes: end,
        ..rehearsed
    };
    given.configure(inputs(&[live]));
    let changed = Instant::now();
    pod.session("/live/studio", |it| it.routing == Routing::Live);
    assert!(
        changed.elapsed() < Duration::from_secs(2),
        "{:?}",
        changed.elapsed()
    );

    given.configure(vec![presented("/live/studio", Vec::new())]);
    wait_for(|| is_told_wrong(&pod).then_some(()));
    pod.session("/live/studio", |it| {
        it.routing == Routing::Live && it.ended.is_none()
    });
    pod.session("/live/studio", |it| it.routing == Routing::Rehearsal);
    edge("off the air, of a Show that is gone", end, Timestamp::now());
    anna.write_all(MP3).unwrap();
    let session = pod.session("/live/studio", |it| it.bytes == 2 * MP3.len() as u64);
    assert_eq!(session.ended, None);
}

fn is_told_wrong(pod: &Pod) -> bool {
    knock(pod, "/live/studio", "anna").1.contains(" 401 ")
}
