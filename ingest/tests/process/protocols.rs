//! Every way to send a stream puts exactly that stream on tape.

use std::io::Write;
use std::net::Shutdown;

use ingest::api::Container;

use crate::pod::*;

const OK_AT_ONCE: &str = "HTTP/1.1 200 OK\r\n\r\n";
const OK_AT_ONCE_1_0: &str = "HTTP/1.0 200 OK\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const OK_AFTERWARDS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A way to send, and what it is answered before and after the stream.
struct Form {
    line: &'static str,
    fields: &'static str,
    chunked: bool,
    before: &'static str,
    after: &'static str,
}

const fn form(
    line: &'static str,
    fields: &'static str,
    chunked: bool,
    before: &'static str,
    after: &'static str,
) -> Form {
    Form {
        line,
        fields,
        chunked,
        before,
        after,
    }
}

const EXPECT: &str = "Expect: 100-continue\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
const BOTH: &str = "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n";

const FORMS: [Form; 10] = [
    form(
        "PUT /live/studio HTTP/1.1",
        EXPECT,
        false,
        CONTINUE,
        OK_AFTERWARDS,
    ),
    form("PUT /live/studio HTTP/1.1", "", false, OK_AT_ONCE, ""),
    form("PUT /live/studio HTTP/1.0", "", false, OK_AT_ONCE_1_0, ""),
    form("PUT /live/studio HTTP/1.1", CHUNKED, true, "", OK_AFTERWARDS),
    form("PUT /live/studio HTTP/1.1", BOTH, true, CONTINUE, OK_AFTERWARDS),
    form("POST /live/studio HTTP/1.1", CHUNKED, true, "", OK_AFTERWARDS),
    form("SOURCE /live/studio ICE/1.0", "", false, OK_AT_ONCE_1_0, ""),
    form(
        "SOURCE /live/studio HTTP/1.0",
        "Content-Length: 0\r\n",
        false,
        OK_AT_ONCE_1_0,
        "",
    ),
    form("SOURCE /live/studio HTTP/1.1", CHUNKED, true, OK_AT_ONCE, ""),
    form(
        "PUT http://radio:8005/live%2Fstudio?a=b HTTP/1.1",
        EXPECT,
        false,
        CONTINUE,
        OK_AFTERWARDS,
    ),
];

const STREAMS: [(Container, &[u8]); 7] = [
    (Container::Mp3, MP3),
    (Container::Ogg, OPUS),
    (Container::Ogg, VORBIS),
    (Container::Ogg, FLAC),
    (Container::Ogg, CHAIN),
    (Container::Adts, AAC),
    (Container::Webm, WEBM),
];

/// Pieces of uneven lengths, cut where no format likes it.
fn send(socket: &mut impl Write, stream: &[u8], chunked: bool) {
    let mut rest = stream;
    for step in (0..).map(|index: usize| [1, 700, 13, 2, 1400, 5][index % 6]) {
        let (piece, behind) = rest.split_at(step.min(rest.len()));
        rest = behind;
        if chunked {
            write!(socket, "{:x};a=b\r\n", piece.len()).unwrap();
            socket.write_all(piece).unwrap();
            socket.write_all(b"\r\n").unwrap();
        } else {
            socket.write_all(piece).unwrap();
        }
        if rest.is_empty() {
            break;
        }
    }
    if chunked {
        socket.write_all(b"0\r\nTrailer: ignored\r\n\r\n").unwrap();
    }
}

#[test]
fn the_tape_is_what_was_sent_in_every_form() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    for form in &FORMS {
        for (container, stream) in STREAMS {
            let case = format!("{} {:?} {container:?}", form.line, form.fields);
            let mut source = pod.call(format!("{}\r\n{}{}\r\n", form.line, login(PASSWORD), form.fields));
            if !form.before.is_empty() {
                assert_eq!(head(&mut source), form.before, "{case}");
            }
            send(&mut source, stream, form.chunked);
            if !form.chunked {
                source.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!(rest(&mut source), form.after, "{case}");
            let session = pod.session("/live/studio", |it| it.ended.is_some());
            assert_eq!(session.container, container, "{case}");
            assert_eq!(session.user, "source");
            let why = if form.chunked {
                "the source said that it was finished"
            } else {
                "the source closed the connection"
            };
            assert_eq!(session.ended.unwrap().why, why, "{case}");
            assert!(pod.tape(&session.id) == stream, "{case}: the tape differs");
        }
    }
    let sessions = pod.sessions();
    assert_eq!(sessions.sessions.len(), FORMS.len() * STREAMS.len());
    assert_eq!(sessions.refusals, []);
}

#[test]
fn a_stream_ends_where_its_length_or_its_chunks_do() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    let fields = format!("Content-Length: {}\r\n", MP3.len());
    let mut said = put("/live/studio", &fields).into_bytes();
    said.extend_from_slice(MP3);
    said.extend_from_slice(b"GET /admin/metadata?mode=updinfo HTTP/1.1\r\n\r\n");
    assert_eq!(pod.ask(said), OK_AFTERWARDS);
    let session = pod.session("/live/studio", |it| it.ended.is_some());
    assert!(pod.tape(&session.id) == MP3);

    let mut broken = pod.call(put("/live/studio", "Transfer-Encoding: chunked\r\n"));
    write!(broken, "{:x}\r\n", MP3.len()).unwrap();
    broken.write_all(MP3).unwrap();
    broken.write_all(b"no chunk").unwrap();
    assert!(rest(&mut broken).starts_with("HTTP/1.1 400 The stream's chunks are broken"));
    let session = pod.session("/live/studio", |it| it.ended.is_some());
    assert_eq!(session.ended.unwrap().why, "its chunks were broken");
    assert!(pod.tape(&session.id) == MP3);
}

#[test]
fn titles_come_beside_the_stream() {
    let given = Given::new(vec![input("/live/studio"), input("/live/ogg")]);
    let pod = given.start();
    let update = |path: &str, password: &str, song: &str| {
        let query = format!("mode=updinfo&mount={path}&song={song}");
        pod.ask(format!(
            "GET /admin/metadata?{query} HTTP/1.1\r\nConnection: keep-alive\r\n{}\r\n",
            login(password)
        ))
    };
    assert!(update("/live/studio", PASSWORD, "early").starts_with("HTTP/1.1 404 No source is connected"));

    let mut source = pod.source("/live/studio", MP3);
    let answer = update("%2Flive%2Fstudio", PASSWORD, "Anna+-+M%F6we");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("<return>1</return>"),
        "{answer}"
    );
    let titled = |title: &'static str| move |it: &ingest::api::Session| it.title.as_deref() == Some(title);
    let session = pod.session("/live/studio", titled("Anna - Möwe"));
    assert!(update("/live/studio", "wrong", "x").starts_with("HTTP/1.1 401 "));
    assert!(update("/live/nowhere", PASSWORD, "x").starts_with("HTTP/1.1 404 No input"));
    update("/live/studio", PASSWORD, "a%0D%0Ab%00c");
    pod.session("/live/studio", titled("a b c"));
    source.write_all(MP3).unwrap();
    drop(source);
    pod.session("/live/studio", |it| it.ended.is_some());
    let (_, index) = pod.read(&format!("/v1/sessions/{}/index", session.id));
    let index = String::from_utf8(index).unwrap();
    let at = index.find("Anna - Möwe").unwrap();
    assert!(at < index.find("a b c").unwrap(), "{index}");

    let _ogg = pod.source("/live/ogg", OPUS);
    pod.session("/live/ogg", |it| it.bytes > 0);
    let answer = update("/live/ogg", PASSWORD, "x");
    assert!(answer.starts_with("HTTP/1.1 400 Titles of Ogg"), "{answer}");

    let reasons: Vec<_> = pod
        .sessions()
        .refusals
        .iter()
        .map(|it| it.reason.as_str())
        .collect();
    assert_eq!(reasons, ["Unauthorized", "UnknownPath"]);
}

#[test]
fn libshout_may_ask_before_it_logs_in() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    let options = pod.ask("OPTIONS * HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n");
    assert!(
        options.starts_with("HTTP/1.1 200 OK\r\nAllow: PUT, SOURCE, GET, OPTIONS\r\n"),
        "{options}"
    );
    let poke = pod.ask("SOURCE /live/studio HTTP/1.0\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n");
    assert!(
        poke.starts_with("HTTP/1.0 401 ") && poke.contains("\r\nWWW-Authenticate: Basic "),
        "{poke}"
    );
    let title = pod.ask("GET /admin/metadata?mode=updinfo&mount=/live/studio&song=a HTTP/1.1\r\n\r\n");
    assert!(title.starts_with("HTTP/1.1 401 "), "{title}");
    assert_eq!(pod.sessions().refusals, [], "nobody needs to hear of that");
}
