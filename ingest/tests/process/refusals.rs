//! Who is not let in is told why, in words that arrive, and so is the operator.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use ingest::config::Format;

use crate::pod::*;

/// What is said, and the status, the beginning of the sentence and the reason it is refused with.
struct Case {
    said: Vec<u8>,
    status: u16,
    sentence: &'static str,
    reason: &'static str,
}

fn case(said: impl Into<Vec<u8>>, status: u16, sentence: &'static str, reason: &'static str) -> Case {
    Case {
        said: said.into(),
        status,
        sentence,
        reason,
    }
}

fn with(head: String, body: &[u8]) -> Vec<u8> {
    let mut said = head.into_bytes();
    said.extend_from_slice(body);
    said
}

fn without_login(line: &str, fields: &str) -> String {
    format!("{line}\r\nHost: ingest\r\n{fields}\r\n")
}

fn logins() -> Vec<Case> {
    let wrong = |fields: &str| without_login("PUT /live/studio HTTP/1.1", fields);
    let told = "The user or the password for /live/studio is wrong";
    vec![
        case(wrong(&login("wrong")), 401, told, "Unauthorized"),
        case(wrong("Authorization: Digest a\r\n"), 401, told, "Unauthorized"),
        case(
            wrong(""),
            401,
            "/live/studio needs a user and a password",
            "Unauthorized",
        ),
        case(
            put("/live", ""),
            404,
            "No input of this station has the path /live",
            "UnknownPath",
        ),
        case(
            put("/%6Dic%0a", ""),
            400,
            "The request's path is not one",
            "BadRequest",
        ),
    ]
}

fn formats() -> Vec<Case> {
    let sends = |body: &[u8]| with(put("/live/studio", "Content-Length: 4000\r\n"), body);
    let text = "This is no audio at all. ".repeat(200);
    let unsupported = "UnsupportedFormat";
    vec![
        case(
            sends(b"RIFF\0\0\0\0WAVEfmt "),
            415,
            "This stream cannot be taken: this is WAV",
            unsupported,
        ),
        case(
            sends(&text.as_bytes()[..4000]),
            415,
            "This stream cannot be taken: ",
            unsupported,
        ),
        case(
            with(put("/live/flac", "Content-Length: 4000\r\n"), OPUS),
            415,
            "This stream cannot be taken: this input takes FLAC in Ogg, this is Ogg with opus",
            unsupported,
        ),
        case(
            with(put("/live/studio", "Content-Length: 3\r\n"), b"Ogg"),
            415,
            "This stream cannot be taken: it ended after 3 bytes",
            unsupported,
        ),
    ]
}

fn requests() -> Vec<Case> {
    let bad = "BadRequest";
    let no_http = "This is no HTTP request; set the encoder's server type to Icecast 2 (not Shoutcast)";
    let twice = "The request says more than once who sends it, or how long it is";
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    vec![
        case("my-password\r\nicy-name: a\r\n\r\n", 400, no_http, bad),
        case(OPUS, 400, no_http, bad),
        case(
            b"\x16\x03\x01\x02\0\x01\0".to_vec(),
            400,
            "This port speaks plain HTTP",
            bad,
        ),
        case(put("/live/studio", both), 400, twice, bad),
        case(put("/live/studio", &login("again")), 400, twice, bad),
        case(
            put("/live/studio", "X: a\r\n folded\r\n"),
            400,
            "The request's head has a line that is no header field",
            bad,
        ),
        case(
            put("/live/studio", &format!("X: {}\r\n", "a".repeat(9000))),
            400,
            "The request's head is longer than 8 KiB",
            bad,
        ),
        case(
            put("/live/studio", "Content-Length: 0\r\n"),
            400,
            "The request says Content-Length: 0",
            bad,
        ),
        case(
            with(put("/live/studio", "Transfer-Encoding: chunked\r\n"), OPUS),
            400,
            "The stream's chunks are broken",
            bad,
        ),
    ]
}

fn errands() -> Vec<Case> {
    let bad = "BadRequest";
    let get = |target: &str, fields: &str| without_login(&format!("GET {target} HTTP/1.1"), fields);
    vec![
        case(get("/live.opus", ""), 405, "Sources send to this port", bad),
        case(
            get("/admin.cgi?pass=hush&mode=updinfo", ""),
            400,
            "Shoutcast is not spoken",
            bad,
        ),
        case(
            get("/live/studio", "Upgrade: websocket\r\n"),
            400,
            "Streams from a browser",
            bad,
        ),
        case(
            get("/admin/metadata?mode=killsource", ""),
            400,
            "Of /admin/metadata only",
            bad,
        ),
        case(
            without_login("DELETE /live/studio HTTP/1.1", ""),
            405,
            "A source sends with PUT or SOURCE",
            bad,
        ),
    ]
}

#[test]
fn every_refusal_has_a_status_and_a_sentence_and_is_told() {
    let given = Given::new(vec![input("/live/studio"), accepting("/live/flac", Format::Flac)]);
    for case in [logins(), formats(), requests(), errands()].into_iter().flatten() {
        let said = case.said.escape_ascii().to_string();
        let pod = given.start();
        let mut caller = pod.call(&case.said);
        caller.shutdown(Shutdown::Write).unwrap();
        let answer = rest(&mut caller);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{said}: {answer:?}"));
        let sentence = body.trim_end();
        assert!(sentence.starts_with(case.sentence), "{said}: {body}");
        let status_line = format!(" {} {sentence}", case.status);
        assert!(
            head.lines().next().unwrap().ends_with(&status_line),
            "{said}: {head}"
        );
        assert!(head.contains("\r\nConnection: close"), "{said}: {head}");
        assert_eq!(
            head.contains("\r\nWWW-Authenticate: Basic "),
            case.status == 401,
            "{said}"
        );
        let refusals = wait_for(|| Some(pod.sessions().refusals).filter(|it| !it.is_empty()));
        let told: Vec<_> = refusals
            .iter()
            .map(|it| (it.reason.as_str(), it.message.as_str(), it.from.as_str()))
            .collect();
        assert_eq!(told, [(case.reason, sentence, "127.0.0.1")], "{said}");
        let counted = format!("radio_ingest_refusals_total{{reason=\"{}\"}} 1\n", case.reason);
        assert!(pod.metrics().contains(&counted), "{said}: {}", pod.metrics());
        assert_eq!(pod.sessions().sessions, [], "{said}");
        let log = pod.log();
        for secret in [PASSWORD, "wrong", "my-password", "hush", &sha256(PASSWORD)] {
            let sentence_has_it = case.sentence.contains(secret);
            assert!(sentence_has_it || !log.contains(secret), "{said}: {log}");
        }
    }
}

#[test]
fn a_refusal_arrives_though_the_source_already_sends() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    for _ in 0..2 {
        let mut source = pod.call(without_login("PUT /live/studio HTTP/1.1", &login("wrong")));
        // What a source that does not wait for an answer has under way.
        source.write_all(&vec![0x55; 200_000]).unwrap();
        let answer = rest(&mut source);
        assert!(
            answer.ends_with("The user or the password for /live/studio is wrong\n"),
            "{answer}"
        );
        // Many look at the answer only after some more of the stream. After a reset there would be none for them.
        for _ in 0..5 {
            source.write_all(&[0x55; 5000]).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(
        pod.sessions().refusals.len(),
        1,
        "the same within a minute is one"
    );
}

#[test]
fn a_taken_input_is_refused_until_it_is_free() {
    let given = Given::new(vec![input("/live/studio"), input("/live/other")]);
    let pod = given.start();
    let first = pod.source("/live/studio", MP3);
    pod.session("/live/studio", |it| it.bytes == MP3.len() as u64);
    let answer = pod.ask(put("/live/studio", "Expect: 100-continue\r\n"));
    let sentence = "403 Mountpoint in use: source has sent to /live/studio since 20";
    assert!(answer.starts_with(&format!("HTTP/1.1 {sentence}")), "{answer}");
    assert!(!answer.contains("127.0.0.1"), "{answer}");
    let refusals = wait_for(|| Some(pod.sessions().refusals).filter(|it| !it.is_empty()));
    assert_eq!(refusals[0].reason.as_str(), "Taken");
    assert_eq!(
        (refusals[0].mount.as_deref(), refusals[0].input.as_deref()),
        (Some("live"), Some("live-studio"))
    );
    let _other = pod.source("/live/other", MP3);
    drop(first);
    pod.session("/live/studio", |it| it.ended.is_some());
    let _second = pod.source("/live/studio", OPUS);
    pod.session("/live/studio", |it| it.ended.is_none());
}

#[test]
fn strangers_keep_out_no_source() {
    let given = Given::new(vec![input("/live/studio"), input("/live/other")]);
    let pod = given.start();
    let mut source = pod.source("/live/studio", MP3);
    pod.session("/live/studio", |it| it.bytes == MP3.len() as u64);
    let mut oldest = pod.call(b"PUT");
    let _strangers: Vec<TcpStream> = (0..255).map(|_| pod.call(b"PUT")).collect();
    let _other = pod.source("/live/other", MP3);
    pod.session("/live/other", |it| it.bytes == MP3.len() as u64);
    let answer = rest(&mut oldest);
    assert!(
        answer.starts_with("HTTP/1.0 503 Too many connections at once"),
        "{answer}"
    );
    assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    source.write_all(MP3).unwrap();
    pod.session("/live/studio", |it| it.bytes == 2 * MP3.len() as u64);
}

#[test]
fn a_refused_format_holds_no_input() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    // It does not hang up, so that the goodbye takes its 2 seconds.
    let mut refused = pod.source("/live/studio", b"RIFF\0\0\0\0WAVEfmt ");
    assert!(rest(&mut refused).starts_with("This stream cannot be taken: this is WAV"));
    let _next = pod.source("/live/studio", MP3);
    pod.session("/live/studio", |it| it.ended.is_none());
}
