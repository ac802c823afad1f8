//! The reader against a real desk on real tapes, and against a server that breaks off.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::api::{Container, Line, Session};
use crate::config::{Credential, Ingest, Input, Reader, Routing};
use crate::framing::Framer;
use crate::tape::{Shelf, Writer};

const MP3: &[u8] = include_bytes!("../framing/fixtures/tone.mp3");
const PATIENCE: Duration = Duration::from_secs(10);
/// SHA-256 of `hush`.
const HUSH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";

struct Ingests {
    shelf: Arc<Shelf>,
    config: watch::Sender<Arc<Ingest>>,
    address: SocketAddr,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _tapes: tempfile::TempDir,
}

impl Ingests {
    async fn open() -> Self {
        let tapes = tempfile::tempdir().unwrap();
        let reader = Reader {
            name: "recording/show-1".to_owned(),
            sha256: HUSH.to_owned(),
            mounts: None,
        };
        let (config, _) = watch::channel(Arc::new(Ingest {
            readers: vec![reader],
            ..Ingest::default()
        }));
        let mut ingest = Self {
            shelf: Shelf::open(tapes.path(), "boot").unwrap(),
            config,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            serving: None,
            _tapes: tapes,
        };
        ingest.comes().await;
        ingest
    }

    async fn comes(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let desk = crate::desk::Desk::new(Arc::clone(&self.shelf), self.config.subscribe());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = crate::desk::serve(listener, desk, async {
            let _ = stopped.await;
        });
        self.serving = Some((stop, tokio::spawn(async { serving.await.unwrap() })));
    }

    async fn goes(&mut self) {
        let (stop, serving) = self.serving.take().unwrap();
        stop.send(()).unwrap();
        serving.await.unwrap();
    }

    fn access(&self) -> TapeAccess {
        TapeAccess {
            addresses: vec![self.address.to_string()],
            token: "hush".to_owned(),
        }
    }

    fn desk(&self) -> Desk {
        Desk::all(&self.access()).remove(0)
    }

    fn source(&self) -> Writer {
        let credential = Credential {
            user: "source".to_owned(),
            sha256: HUSH.to_owned(),
            routing: Routing::Live,
            show: None,
            turns: Vec::new(),
        };
        let input = Input {
            mount: "live".to_owned(),
            name: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            accepts: None,
            credentials: vec![credential.clone()],
        };
        self.shelf.begin(&input, &credential, Container::Mp3)
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

async fn to_its_end(mut tape: Tape) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(more) = soon(tape.next()).await.unwrap() {
        bytes.extend_from_slice(&more);
    }
    bytes
}

#[tokio::test]
async fn lists_follow_what_happens_and_outlive_a_pod() {
    let mut ingest = Ingests::open().await;
    let recent = recent(&ingest.access());
    let lists = recent.map(|tapes| tapes.into_iter().map(|tape| tape.session).collect::<Vec<_>>());
    let mut lists = std::pin::pin!(lists);
    let mut when = async |holds: &dyn Fn(&[Session]) -> bool| {
        soon(async {
            loop {
                let list = lists.next().await.unwrap();
                if holds(&list) {
                    return list;
                }
            }
        })
        .await
    };
    when(&|list| list.is_empty()).await;
    let mut source = ingest.source();
    source.append(MP3);
    let list = when(&|list| list.len() == 1).await;
    assert_eq!((list[0].path.as_str(), &list[0].ended), ("/live/studio", &None));
    source.title("One");
    when(&|list| list[0].title.as_deref() == Some("One")).await;
    ingest.goes().await;
    // Nobody hears of this before the pod is back.
    source.end("the source left");
    ingest.comes().await;
    let list = when(&|list| list[0].ended.is_some()).await;
    assert_eq!(list[0].title.as_deref(), Some("One"));
}

#[tokio::test]
async fn recorders_are_told_of_all_and_others_of_the_newest() {
    let ingest = Ingests::open().await;
    for _ in 0..25 {
        ingest.source().end("the source left");
    }
    let desk = ingest.desk();
    assert_eq!(desk.sessions(None).await.unwrap().sessions.len(), 20);
    let all = desk.all_sessions(None).await.unwrap();
    assert_eq!(all.sessions.len(), 25);
    let mut tapes = std::pin::pin!(on_tape(&ingest.access()));
    assert_eq!(soon(tapes.next()).await.unwrap().len(), 25);
    let mut answers = std::pin::pin!(follow::answers(desk.clone()));
    assert_eq!(soon(answers.next()).await.unwrap().sessions.len(), 25);
    let (next, ()) = tokio::join!(soon(desk.all_sessions(Some(&all.version))), async {
        ingest.source().end("the source left");
    });
    assert!(next.unwrap().sessions.len() > 25);
}

#[tokio::test]
async fn a_pod_that_answers_again_is_told_of_without_news() {
    let mut ingest = Ingests::open().await;
    let mut lists = std::pin::pin!(recent(&ingest.access()));
    assert_eq!(soon(lists.next()).await, Some(Vec::new()));
    ingest.goes().await;
    let away = timeout(Duration::from_millis(100), lists.next()).await;
    assert!(away.is_err(), "{away:?}");
    ingest.comes().await;
    assert_eq!(soon(lists.next()).await, Some(Vec::new()));
}

#[tokio::test]
async fn a_tape_is_read_from_anywhere() {
    let ingest = Ingests::open().await;
    let desk = ingest.desk();
    let mut source = ingest.source();
    let id = source.session().id().to_owned();
    source.append(&MP3[..2000]);

    assert_eq!(
        to_its_end(desk.read(&id, 100, false).await.unwrap()).await,
        &MP3[100..2000]
    );
    let following = desk.read(&id, 0, true).await.unwrap();
    let live = desk.join(&id, Join::Live).await.unwrap();
    let at = desk.join(&id, Join::At(300)).await.unwrap();
    let frames: Vec<u64> = Framer::of(Container::Mp3)
        .push(MP3)
        .iter()
        .map(|unit| unit.at)
        .collect();
    assert!(frames.contains(&live.from()) && frames.contains(&at.from()));
    assert!(
        at.from() >= 300 && live.from() > at.from(),
        "{} {}",
        at.from(),
        live.from()
    );
    source.append(&MP3[2000..]);
    source.end("the source left");
    for (tape, from) in [(following, 0), (live, 0), (at, 0)].map(|(tape, _)| {
        let from = tape.from();
        (tape, from)
    }) {
        let from = usize::try_from(from).unwrap();
        assert_eq!(to_its_end(tape).await, &MP3[from..]);
    }
    assert!(matches!(
        desk.join(&id, Join::Live).await,
        Err(Error::Gone { next: None })
    ));
}

#[tokio::test]
async fn an_index_is_read_by_lines_and_an_ack_is_taken() {
    let ingest = Ingests::open().await;
    let desk = ingest.desk();
    let mut source = ingest.source();
    let id = source.session().id().to_owned();
    source.append(MP3);
    source.end("the source left");
    ingest.shelf.settle();
    let mut lines = desk.index(&id, 0, false).await.unwrap();
    let (mut said, mut second) = (Vec::new(), 0);
    while let Some(line) = soon(lines.next()).await.unwrap() {
        said.push(line);
        if said.len() == 1 {
            second = lines.at();
        }
    }
    assert!(
        matches!(said.last(), Some(Line::End { at, .. }) if *at == MP3.len() as u64),
        "{said:?}"
    );
    let mut later = desk.index(&id, second, false).await.unwrap();
    assert_eq!(soon(later.next()).await.unwrap().as_ref(), said.get(1));

    let ack = Ack {
        recording: "show-1".to_owned(),
        to: 10,
    };
    desk.ack(&id, &ack).await.unwrap();
    let too_much = Ack { to: 1 << 40, ..ack };
    assert!(matches!(
        desk.ack(&id, &too_much).await,
        Err(Error::Refused { .. })
    ));
}

#[tokio::test]
async fn a_source_is_joined_with_its_first_frame() {
    let ingest = Ingests::open().await;
    let desk = ingest.desk();
    let mut source = ingest.source();
    let id = source.session().id().to_owned();
    let (tape, ()) = tokio::join!(desk.join(&id, Join::Live), async {
        tokio::task::yield_now().await;
        source.append(MP3);
    });
    source.end("the source left");
    assert!(!to_its_end(tape.unwrap()).await.is_empty());
}

#[tokio::test]
async fn refusals_are_told_and_tokens_are_not() {
    let ingest = Ingests::open().await;
    let wrong = Desk::new(ingest.address.to_string(), "wrong-token".to_owned());
    let failure = wrong.sessions(None).await.unwrap_err();
    assert!(
        matches!(&failure, Error::Refused { status, reason, .. }
            if *status == StatusCode::UNAUTHORIZED && !reason.is_empty() && !reason.contains('{')),
        "{failure}"
    );
    assert!(!format!("{wrong:?} {failure:?} {failure}").contains("wrong-token"));
    let failure = ingest
        .desk()
        .join("no-such-session", Join::Live)
        .await
        .unwrap_err();
    assert!(
        matches!(
            failure,
            Error::Refused {
                status: StatusCode::NOT_FOUND,
                ..
            }
        ),
        "{failure}"
    );
}

/// A server for one connection, which answers this and leaves.
async fn server(answer: &'static [u8]) -> Desk {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(socket.read(&mut head).await.unwrap() > 0);
        socket.write_all(answer).await.unwrap();
    });
    Desk::new(address, "t".to_owned())
}

#[tokio::test]
async fn a_tape_that_breaks_off_has_not_ended() {
    let desk =
        server(b"HTTP/1.1 200 OK\r\nradio-from: 7\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let mut tape = desk.join("s", Join::Live).await.unwrap();
    assert_eq!(tape.from(), 7);
    assert_eq!(soon(tape.next()).await.unwrap(), Some(Bytes::from_static(b"abc")));
    assert!(matches!(soon(tape.next()).await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn strange_answers_are_refused() {
    let table: [(&[u8], &str); 3] = [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "sessions at line 1",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "sessions at line 1",
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "cannot be reached"),
    ];
    for (answer, words) in table {
        let failure = soon(server(answer).await.sessions(None))
            .await
            .unwrap_err()
            .to_string();
        assert!(failure.contains(words), "{failure}");
    }
    let lost = server(b"HTTP/1.1 410 Gone\r\nradio-from: 99\r\ncontent-length: 0\r\n\r\n").await;
    let failure = lost.read("s", 1, true).await.unwrap_err();
    assert!(matches!(failure, Error::Gone { next: Some(99) }), "{failure}");
}
