//! The desk over real connections.

use super::*;
use crate::api::{Container, Fill, Refusal, RefusalReason};
use crate::config::{Credential, Input, Routing};
use crate::framing::Framer;
use crate::tape::Writer;
use crate::tape::tests::opus;
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MP3: &[u8] = include_bytes!("../framing/fixtures/tone.mp3");
const OPUS: &[u8] = include_bytes!("../framing/fixtures/tone.opus");
const SOON: Duration = Duration::from_secs(20);

struct Open {
    _place: TempDir,
    shelf: Arc<Shelf>,
    desk: Desk,
    addr: SocketAddr,
    _config: watch::Sender<Arc<Ingest>>,
    served: JoinHandle<io::Result<()>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.served.abort();
    }
}

fn digest(token: &str) -> String {
    access::hex(&Sha256::digest(token))
}

async fn open() -> Open {
    let place = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let shelf = Shelf::open(place.path(), "boot").unwrap();
    let reader = |name: &str, mounts: Option<&str>| config::Reader {
        name: name.to_owned(),
        sha256: digest(name),
        mounts: mounts.map(|mount| vec![mount.to_owned()]),
    };
    let config = watch::Sender::new(Arc::new(Ingest {
        readers: vec![
            reader("operator", None),
            reader("main", Some("main")),
            reader("other", Some("other")),
            reader("recording/show-1", Some("main")),
        ],
        ..Ingest::default()
    }));
    let desk = Desk::new(Arc::clone(&shelf), config.subscribe());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, desk.clone(), std::future::pending()));
    Open {
        _place: place,
        shelf,
        desk,
        addr,
        _config: config,
        served,
    }
}

impl Open {
    fn begin(&self, container: Container) -> Writer {
        self.begin_at("main", container)
    }

    fn begin_at(&self, mount: &str, container: Container) -> Writer {
        let input = Input {
            mount: mount.to_owned(),
            name: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            accepts: None,
            credentials: Vec::new(),
        };
        let credential = Credential {
            user: "source".to_owned(),
            sha256: String::new(),
            routing: Routing::Live,
            show: None,
            turns: Vec::new(),
        };
        self.shelf.begin(&input, &credential, container)
    }

    async fn ask(&self, method: &str, token: &str, path: &str, body: &str) -> http::Response<Incoming> {
        let socket = TcpStream::connect(self.addr).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tape")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> http::Response<Incoming> {
        self.ask("GET", "main", path, "").await
    }

    async fn sessions(&self, token: &str, after: Option<&str>) -> Sessions {
        let query = after
            .map(|version| format!("?after={version}"))
            .unwrap_or_default();
        let answer = self.ask("GET", token, &format!("/v1/sessions{query}"), "").await;
        assert_eq!(answer.status(), 200);
        serde_json::from_slice(&all(answer).await).unwrap()
    }
}

impl Open {
    /// Waits until this holds for how far each reader is behind.
    async fn until(&self, holds: impl Fn(&[u64]) -> bool) {
        let reached = async {
            while !holds(&self.desk.lags().iter().map(|lag| lag.bytes).collect::<Vec<_>>()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, reached)
            .await
            .expect("the readers to come that far");
    }
}

async fn all(answer: http::Response<Incoming>) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

/// So many bytes of a body that goes on.
async fn some(body: &mut Incoming, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < count {
        let frame = timeout(SOON, body.frame())
            .await
            .expect("more bytes")
            .expect("no end")
            .unwrap();
        got.extend(frame.into_data().unwrap());
    }
    got
}

fn from(answer: &http::Response<Incoming>) -> Option<u64> {
    answer.headers().get(FROM_HEADER)?.to_str().unwrap().parse().ok()
}

/// Who asks for what, and the status; S is `/v1/sessions`, T a session's own path, N its bytes.
const REFUSED: &str = "
    GET nobody S 401
    GET nobody T/tape?from=0 401
    GET other T/tape?from=0 404
    GET other T/index 404
    POST other T/ack 404
    GET main S?all=maybe 400
    GET main S/20261121T135025123Z-1f3a/tape?from=0 404
    GET main S/..%2F..%2Fetc/tape?from=0 404
    GET main / 404
    PUT main S 405
    GET main T/ack 405
    GET main T/tape 400
    GET main T/tape?from=0&join=live 400
    GET main T/tape?from=-1 400
    GET main T/tape?from=1e3 400
    GET main T/tape?from=99999999999999999999 400
    GET main T/tape?join=now 400
    GET main T/tape?from=0&follow=maybe 400
    GET main T/index?join=live 400
    GET main T/tape?from=N1 416
    GET main T/tape?join=N1 416
    GET main T/index?from=N1 416
    POST main T/ack 403
    POST operator T/ack 403
    POST recording/show-1 T/ack 400
    POST nobody /v1/mounts/main/marks 401
    POST main /v1/mounts/main/marks 403
    POST recording/show-1 /v1/mounts/main/marks 403
    POST operator /v1/mounts/main/marks 400
    GET operator /v1/mounts/main/marks 405
    HEAD main T/tape?from=1&follow=true 200
    GET main T/tape?from=N 200
";

#[tokio::test]
async fn refuses_with_a_status_and_a_sentence() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    writer.append(&MP3.repeat(3));
    let id = writer.session().id().to_owned();
    let bytes = (3 * MP3.len()).to_string();
    for line in REFUSED.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [method, token, path, status] = words[..] else {
            panic!("{line}")
        };
        let path = path
            .replace('N', &bytes)
            .replacen("T/", &format!("S/{id}/"), 1)
            .replacen('S', "/v1/sessions", 1);
        let status: u16 = status.parse().unwrap();
        let answer = timeout(SOON, open.ask(method, token, &path, "{}"))
            .await
            .expect(&path);
        assert_eq!(answer.status(), status, "{line}: {path}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
        let body = all(answer).await;
        if status >= 400 {
            let told: serde_json::Value = serde_json::from_slice(&body).expect(&path);
            assert!(told["error"].as_str().unwrap().ends_with('.'), "{line}: {told}");
        } else {
            assert!(body.is_empty(), "{line}");
        }
    }
    writer.end("left");
    let ended = open.get(&format!("/v1/sessions/{id}/tape?join=live")).await;
    assert_eq!((ended.status().as_u16(), from(&ended)), (410, None));
}

#[tokio::test]
async fn an_ack_that_never_comes_is_not_waited_for() {
    let open = open().await;
    let writer = open.begin(Container::Mp3);
    let id = writer.session().id();
    for (token, within, status) in [
        ("nobody", ACK_WITHIN / 2, "401"),
        ("recording/show-1", ACK_WITHIN * 2, "400"),
    ] {
        let mut socket = TcpStream::connect(open.addr).await.unwrap();
        let head = format!(
            "POST /v1/sessions/{id}/ack HTTP/1.1\r\nhost: tape\r\nauthorization: Bearer {token}\r\n\
             content-length: 50\r\n\r\n{{"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = timeout(within, socket.read_exact(&mut answer)).await;
        read.expect(token).unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {status}").as_bytes());
    }
}

#[tokio::test]
async fn the_list_tells_each_reader_what_is_his() {
    let open = open().await;
    open.shelf.refused(Refusal {
        number: 0,
        at: Timestamp::now(),
        path: "/<script>\r\nx".to_owned(),
        mount: None,
        input: None,
        from: "10.0.0.9".to_owned(),
        reason: RefusalReason::UnknownPath,
        message: "No input has this path.".to_owned(),
    });
    open.shelf.settle();
    let mut writer = open.begin(Container::Ogg);
    writer.append(OPUS);
    writer.title("\"quotes\" </script> \u{202e}\u{0}Ä");
    let told = open.sessions("operator", None).await;
    assert_eq!(told.refusals[0].path, "/<script>  x");
    let [session] = &told.sessions[..] else {
        panic!("{told:?}")
    };
    assert_eq!(session.title.as_deref(), Some("\"quotes\" </script> Ä"));
    assert_eq!(
        (session.codec.as_deref(), session.bytes),
        (Some("opus"), OPUS.len() as u64)
    );
    let mine = open.sessions("main", None).await;
    assert_eq!((mine.sessions.len(), mine.refusals.len()), (1, 0));
    assert_eq!(open.sessions("other", None).await.sessions, []);

    // Nobody is woken by bytes; each by what concerns the list.
    let version = mine.version.clone();
    let wait = open.sessions("main", Some(&version));
    tokio::pin!(wait);
    writer.append(OPUS);
    assert!(timeout(Duration::from_millis(200), &mut wait).await.is_err());
    writer.route(Routing::Rehearsal);
    let then = timeout(SOON, &mut wait).await.unwrap();
    assert_eq!(then.sessions[0].routing, Routing::Rehearsal);
    let wait = open.sessions("main", Some(&then.version));
    tokio::pin!(wait);
    assert!(timeout(Duration::from_millis(50), &mut wait).await.is_err());
    writer.end("left");
    assert!(timeout(SOON, wait).await.unwrap().sessions[0].ended.is_some());
    let old = timeout(SOON, open.sessions("main", Some("of-another-process")))
        .await
        .unwrap();
    assert_eq!(old.sessions.len(), 1);
}

#[tokio::test]
async fn an_encoder_that_comes_and_goes_all_night_leaves_the_list_short() {
    let open = open().await;
    let van = open.begin_at("other", Container::Mp3);
    let early = open.begin(Container::Ogg);
    // Ids of one millisecond are in no order.
    let mut connected = [van.session().id().to_owned(), early.session().id().to_owned()];
    connected.sort();
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..30 {
        let writer = open.begin(Container::Mp3);
        ids.push(writer.session().id().to_owned());
        writer.end("left");
    }
    ids.sort();
    let listed = open.sessions("operator", None).await.sessions;
    let of = |sessions: &[crate::api::Session], ended: bool| -> Vec<String> {
        let chosen = sessions.iter().filter(|session| session.ended.is_some() == ended);
        chosen.map(|session| session.id.clone()).collect()
    };
    assert_eq!(of(&listed, true), ids[10..], "the newest, the oldest first");
    assert_eq!(of(&listed, false), connected);
    let whole: Sessions =
        serde_json::from_slice(&all(open.get("/v1/sessions?all=true").await).await).unwrap();
    assert_eq!(
        (whole.sessions.len(), of(&whole.sessions, true)),
        (31, ids.clone())
    );

    let later = Timestamp::now() + Duration::from_mins(15);
    let then = list::recent(open.shelf.sessions(), later);
    let (ended, live): (Vec<_>, Vec<_>) = then.iter().partition(|session| session.ended_at().is_some());
    assert_eq!((live.len(), ended.len(), ended[0].id()), (2, 1, &*ids[29]));
    van.end("left");
    let then = list::recent(open.shelf.sessions(), later).len();
    assert_eq!(then, 3, "of each input one that ended");
}

#[tokio::test]
async fn a_reader_of_one_mount_is_not_woken_for_another() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    let version = open.sessions("main", None).await.version;
    let wait = open.sessions("main", Some(&version));
    tokio::pin!(wait);
    let mut other = open.begin_at("other", Container::Mp3);
    other.title("Not his");
    assert!(timeout(Duration::from_millis(200), &mut wait).await.is_err());
    writer.title("His");
    let then = timeout(SOON, wait).await.unwrap();
    assert_eq!(then.sessions[0].title.as_deref(), Some("His"));
    assert_ne!(then.version, version);
}

#[tokio::test]
async fn a_tape_is_read_from_any_offset_and_followed_to_its_end() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    let id = writer.session().id().to_owned();
    let stream = MP3.repeat(60);
    let (now, later) = stream.split_at(200_000);
    writer.append(now);
    let part = open.get(&format!("/v1/sessions/{id}/tape?from=12345")).await;
    assert_eq!(part.headers()["content-type"], "audio/mpeg");
    assert_eq!(
        part.headers()["content-length"],
        format!("{}", now.len() - 12_345).as_str()
    );
    assert_eq!(from(&part), Some(12_345));
    assert_eq!(all(part).await, now[12_345..]);

    let followed = open
        .get(&format!("/v1/sessions/{id}/tape?from=7&follow=true"))
        .await;
    let index = open.get(&format!("/v1/sessions/{id}/index?follow=true")).await;
    let mut followed = tokio::spawn(all(followed));
    let index = tokio::spawn(all(index));
    for piece in later.chunks(5000) {
        writer.append(piece);
        tokio::task::yield_now().await;
    }
    assert!(
        timeout(Duration::from_millis(100), &mut followed).await.is_err(),
        "the source is still there"
    );
    writer.end("left");
    assert_eq!(timeout(SOON, followed).await.unwrap().unwrap(), stream[7..]);
    assert!(!index.is_finished(), "its End is not written yet");
    let shelf = Arc::clone(&open.shelf);
    tokio::task::spawn_blocking(move || shelf.settle()).await.unwrap();
    let index = timeout(SOON, index).await.unwrap().unwrap();
    assert!(index.ends_with(b"\"why\":\"left\"}\n"), "{index:?}");
    let once = open.get(&format!("/v1/sessions/{id}/index?from=10")).await;
    assert_eq!(all(once).await, index[10..]);
    assert_eq!(open.desk.lags(), []);
}

#[tokio::test]
async fn a_recording_acks_for_itself_and_reads_its_mount() {
    const READER: &str = "recording/show-1";
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    writer.append(MP3);
    let other = open.begin_at("other", Container::Mp3);
    let [mine, others] = [&writer, &other].map(|writer| writer.session().id().to_owned());
    let ack = async |id: &str, recording: &str| {
        let body = format!("{{\"recording\":\"{recording}\",\"to\":5}}");
        let path = format!("/v1/sessions/{id}/ack");
        open.ask("POST", READER, &path, &body).await.status().as_u16()
    };
    let before = open.sessions(READER, None).await;
    let [session] = &before.sessions[..] else {
        panic!("{before:?}")
    };
    assert_eq!((&session.id, session.acked_by.len()), (&mine, 0));
    assert_eq!(ack(&mine, "show-2").await, 403);
    assert_eq!(ack(&mine, READER).await, 403);
    assert_eq!(ack(&others, "show-1").await, 404);
    let path = format!("/v1/sessions/{others}/tape?from=0");
    assert_eq!(open.ask("GET", READER, &path, "").await.status(), 404);
    assert_eq!(ack(&mine, "show-1").await, 204);
    let after = open.sessions("main", Some(&before.version)).await;
    assert_eq!(after.sessions[0].acked_by, ["show-1"]);
}

#[tokio::test]
async fn a_mark_is_set_in_what_is_on_the_air() {
    let open = open().await;
    let mark = async |mount: &str, text: &str| {
        let body = serde_json::to_string(&serde_json::json!({ "text": text })).unwrap();
        let path = format!("/v1/mounts/{mount}/marks");
        let answer = open.ask("POST", "operator", &path, &body).await;
        (answer.status().as_u16(), all(answer).await)
    };
    assert_eq!(mark("main", "too early").await.0, 404);
    let mut writer = open.begin(Container::Mp3);
    let mut rehearses = open.begin(Container::Mp3);
    let _other = open.begin_at("other", Container::Mp3);
    rehearses.route(Routing::Rehearsal);
    writer.append(MP3);
    let (status, told) = mark("main", " News\r\n\u{202e}at ten ").await;
    assert_eq!(status, 200);
    let told: crate::api::Marked = serde_json::from_slice(&told).unwrap();
    let id = writer.session().id();
    assert_eq!(told.sessions, [id]);
    let index = all(open.get(&format!("/v1/sessions/{id}/index")).await).await;
    let marks: Vec<_> = String::from_utf8_lossy(&index)
        .lines()
        .filter_map(|line| match serde_json::from_str(line).unwrap() {
            crate::api::Line::Mark { at, text, .. } => Some((at, text)),
            _ => None,
        })
        .collect();
    assert_eq!(marks, [(MP3.len() as u64, "News at ten".to_owned())]);
    for nothing in ["", " \n"] {
        assert_eq!(mark("main", nothing).await.0, 400);
    }
    writer.end("left");
    assert_eq!(mark("main", "too late").await.0, 404);
}

#[tokio::test]
async fn every_reader_hears_how_full_the_tapes_are() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    writer.append(&MP3.repeat(30));
    let used = open.shelf.figures().tape_bytes;
    for reader in ["operator", "other"] {
        open.shelf.retain(Timestamp::now(), used * 10, &[]);
        let before = open.sessions(reader, None).await;
        assert_eq!(before.fill, Fill::Low);
        let wait = open.sessions(reader, Some(&before.version));
        tokio::pin!(wait);
        assert!(timeout(Duration::from_millis(100), &mut wait).await.is_err());
        open.shelf.retain(Timestamp::now(), used * 10 / 6, &[]);
        let after = timeout(SOON, wait).await.expect("the news");
        assert_eq!(after.fill, Fill::Half);
    }
}

#[tokio::test]
async fn who_joins_gets_headers_then_units() {
    let open = open().await;
    let mut writer = open.begin(Container::Ogg);
    let id = writer.session().id().to_owned();
    let units = Framer::of(Container::Ogg).push(OPUS);
    // Before there is anything to join, the question waits.
    writer.append(&OPUS[..50]);
    let live = format!("/v1/sessions/{id}/tape?join=live");
    let asked = open.get(&live);
    tokio::pin!(asked);
    assert!(timeout(Duration::from_millis(100), &mut asked).await.is_err());
    writer.append(&OPUS[50..]);
    let answer = timeout(SOON, asked).await.unwrap();
    let last = units.last().unwrap();
    assert_eq!(
        (from(&answer), answer.headers()["content-type"].to_str().unwrap()),
        (Some(last.at), "application/ogg")
    );
    let mut body = answer.into_body();
    let headers = last.link.headers.concat();
    let first = [&headers[..], &last.bytes].concat();
    assert_eq!(some(&mut body, first.len()).await, first);
    writer.append(OPUS);
    assert_eq!(
        some(&mut body, OPUS.len()).await,
        OPUS,
        "a new link comes as it is"
    );

    let at = units[7].at - 3;
    let answer = open.get(&format!("/v1/sessions/{id}/tape?join={at}")).await;
    assert_eq!(from(&answer), Some(units[7].at));
    let length = headers.len() + 2 * OPUS.len() - usize::try_from(units[7].at).unwrap();
    let got = some(&mut answer.into_body(), length).await;
    assert_eq!(
        got,
        [
            &headers[..],
            &[OPUS, OPUS].concat()[usize::try_from(units[7].at).unwrap()..]
        ]
        .concat()
    );
    writer.end("left");
    assert!(
        timeout(SOON, body.frame()).await.unwrap().is_none(),
        "the end of the session is the end of the body"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_reader_that_stalls_comes_back_to_the_present_and_nobody_waits_for_it() {
    let open = open().await;
    let mut writer = open.begin(Container::Ogg);
    let id = writer.session().id().to_owned();
    // Pages of 60 kB and one second; ten megabytes are far more than all buffers take.
    let (first, second) = (opus(1, "One", 170, 60_000), opus(2, "Two", 170, 60_000));
    writer.append(&first[..100_000]);
    let live = format!("/v1/sessions/{id}/tape?join=live");
    let mut stalled = open.get(&live).await;
    let start = usize::try_from(from(&stalled).unwrap()).unwrap();
    let raw = tokio::spawn(all(open
        .get(&format!("/v1/sessions/{id}/tape?from=0&follow=true"))
        .await));
    let quick = tokio::spawn(all(open.get(&live).await));
    let stream = [first, second.clone()].concat();
    for piece in stream[100_000..].chunks(100_000) {
        writer.append(piece);
        // The others are on time, whatever the one does.
        open.until(|lags| lags.iter().filter(|lag| **lag == 0).count() >= 2)
            .await;
    }
    let behind = open.desk.lags().iter().map(|lag| lag.bytes).max().unwrap();
    assert!(behind > 18_000_000, "{behind}");
    let mut got = Vec::new();
    let reads = async {
        while let Some(frame) = stalled.body_mut().frame().await {
            got.extend(frame.unwrap().into_data().unwrap());
        }
    };
    let ends = async {
        open.until(|lags| lags.iter().all(|lag| *lag == 0)).await;
        writer.append(&opus(3, "Three", 1, 500));
        open.until(|lags| lags.iter().all(|lag| *lag == 0)).await;
        writer.end("left");
    };
    timeout(SOON, async { tokio::join!(reads, ends) }).await.unwrap();
    assert!(got.len() < 2_000_000, "{} bytes: nothing was left out", got.len());
    let mut framer = Framer::of(Container::Ogg);
    let units = framer.push(&got);
    assert_eq!(framer.skipped(), 0, "it was cut between pages");
    let titles: Vec<_> = units.iter().filter_map(|unit| unit.link.title.clone()).collect();
    let runs: Vec<_> = titles
        .chunk_by(|one, two| one == two)
        .map(|run| run[0].as_str())
        .collect();
    assert_eq!(
        runs,
        ["One", "Two", "Three"],
        "with the headers of the link it jumped to"
    );
    let stream = [stream, opus(3, "Three", 1, 500)].concat();
    assert_eq!(
        timeout(SOON, raw).await.unwrap().unwrap(),
        stream,
        "who does not ask for live gets all"
    );
    let quick = timeout(SOON, quick).await.unwrap().unwrap();
    assert!(quick.ends_with(&stream[start..]), "who keeps up, too");
}

#[tokio::test]
async fn what_was_given_up_is_gone_and_the_answer_says_where_it_goes_on() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    let id = writer.session().id().to_owned();
    for _ in 0..40 {
        writer.append(&MP3.repeat(128));
    }
    let slow = open
        .get(&format!("/v1/sessions/{id}/tape?from=0&follow=true"))
        .await;
    open.shelf.retain(Timestamp::now(), 10 << 20, &[]);
    let next = writer.session().kept_from();
    assert!(next > 8 << 20);
    for query in ["from=5", "from=5&follow=true", "join=5"] {
        let answer = open.get(&format!("/v1/sessions/{id}/tape?{query}")).await;
        assert_eq!(
            (answer.status().as_u16(), from(&answer)),
            (410, Some(next)),
            "{query}"
        );
    }
    let there = open.get(&format!("/v1/sessions/{id}/tape?from={next}")).await;
    assert_eq!(all(there).await.len() as u64, writer.session().bytes() - next);
    // Who was reading it is cut off: an end would say that this was all.
    let mut body = slow.into_body();
    let broken = timeout(SOON, async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    });
    assert!(broken.await.unwrap());
}

/// Prints what fifty live readers of one source cost this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_live_readers() {
    let open = open().await;
    let mut writer = open.begin(Container::Mp3);
    let id = writer.session().id().to_owned();
    writer.append(MP3);
    let mut readers = Vec::new();
    for _ in 0..50 {
        readers.push(open.get(&format!("/v1/sessions/{id}/tape?join=live")).await);
    }
    let firsts: Vec<u64> = readers.iter().map(|reader| from(reader).unwrap()).collect();
    let mut readers: Vec<_> = readers
        .into_iter()
        .map(|reader| tokio::spawn(all(reader)))
        .collect();
    let before = cpu();
    let start = std::time::Instant::now();
    // Two minutes of a source of 33 kb/s that writes ten times a second, as fast as it goes.
    let pieces = MP3.repeat(110);
    let mut appends = 0_u32;
    for piece in pieces.chunks(420) {
        writer.append(piece);
        appends += 1;
        if appends.is_multiple_of(100) {
            open.until(|lags| lags.iter().all(|lag| *lag == 0)).await;
        }
    }
    writer.end("left");
    for (reader, first) in readers.iter_mut().zip(firsts) {
        let got = timeout(SOON, reader).await.unwrap().unwrap();
        assert_eq!(got, [&MP3[usize::try_from(first).unwrap()..], &pieces].concat());
    }
    let (took, used) = (start.elapsed(), cpu() - before);
    println!(
        "50 live readers: {appends} appends sent to all in {took:?}, {used} ms of CPU with the clients' own"
    );
}

fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
}
