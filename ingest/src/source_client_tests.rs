//! The source client against a server that answers as Icecast does. Against Icecast itself: playout-agent's tests.

use super::*;
use tokio::net::TcpListener;

type Expected = fn(&Error) -> bool;

fn who() -> Credentials {
    Credentials {
        user: "source".to_owned(),
        password: "hush".to_owned(),
    }
}

/// A server for one connection: gives `answer` after the request's head, and what it was asked.
async fn server(answer: &'static str) -> (Target, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(socket.read_buf(&mut asked).await.unwrap() > 0);
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains(" 100 ") || answer.contains(" 200 ") {
            socket.read_to_end(&mut asked).await.unwrap();
        }
        String::from_utf8(asked).unwrap()
    });
    (
        Target {
            address,
            mount: "/live.mp3".to_owned(),
        },
        asked,
    )
}

#[tokio::test]
async fn sends_a_head_and_then_the_bytes() {
    let (target, asked) = server("HTTP/1.1 100 Continue\r\n\r\n").await;
    let hostile = "Rädio 🎧\r\nX-Evil: 1".to_owned();
    let about = About {
        content_type: "audio/mpeg",
        headers: vec![("ice-name", hostile)],
    };
    let mut source = Source::connect(&target, &who(), &about).await.unwrap();
    source.send(b"AUDIO").await.unwrap();
    drop(source);
    let asked = asked.await.unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("PUT /live.mp3 HTTP/1.1"));
    let lines: Vec<&str> = lines.collect();
    assert!(
        lines.contains(&"Authorization: Basic c291cmNlOmh1c2g="),
        "{lines:?}"
    );
    assert!(lines.contains(&"Content-Type: audio/mpeg"));
    assert!(lines.contains(&"ice-name: Rädio 🎧  X-Evil: 1"), "{lines:?}");
    assert_eq!(body, "AUDIO");
}

#[tokio::test]
async fn tells_refusals_apart() {
    let page = |words: &str| format!("<html><title>Error 403</title><b>{words}</b></html>");
    let refused = |words: &str| {
        format!(
            "HTTP/1.0 403 Forbidden\r\nContent-Type: text/html\r\n\r\n{}",
            page(words)
        )
    };
    let table: [(String, Expected); 6] = [
        ("HTTP/1.0 401 Authentication Required\r\n\r\nno".to_owned(), |e| {
            matches!(e, Error::Unauthorized { .. })
        }),
        (refused("Mountpoint in use"), |e| {
            matches!(e, Error::MountTaken { .. })
        }),
        (refused("too many sources connected"), |e| {
            matches!(e, Error::TooManySources { .. })
        }),
        (refused("Content-type not supported"), |e| {
            matches!(e, Error::Refused { status, reason, .. }
                if status.as_u16() == 403 && reason == "Error 403Content-type not supported")
        }),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), |e| {
            matches!(e, Error::NotIcecast { .. })
        }),
        (String::new(), |e| {
            matches!(e, Error::NotIcecast { .. } | Error::Unreachable { .. })
        }),
    ];
    for (answer, expected) in table {
        let (target, _asked) = server(answer.leak()).await;
        let failure = Source::connect(&target, &who(), &About::default())
            .await
            .unwrap_err();
        assert!(expected(&failure), "{failure:?}");
        assert!(!format!("{failure} {failure:?}").contains("hush"));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = Target {
        address: free.to_string(),
        mount: "/live.mp3".to_owned(),
    };
    let failure = Source::connect(&target, &who(), &About::default())
        .await
        .unwrap_err();
    assert!(matches!(failure, Error::Unreachable { .. }), "{failure:?}");
}

#[tokio::test]
async fn notices_when_the_server_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target {
        address: listener.local_addr().unwrap().to_string(),
        mount: "/l".to_owned(),
    };
    let about = About::default();
    let who = who();
    let (source, socket) = tokio::join!(Source::connect(&target, &who, &about), async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await.unwrap();
        socket
    });
    drop(socket);
    source.unwrap().closed().await;
}

#[tokio::test]
async fn titles_arrive_whole() {
    let (target, asked) = server("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n").await;
    set_title(&target, &who(), "Ärger & \"Wut\" #1 🎧").await.unwrap();
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with(
            "GET /admin/metadata?mode=updinfo&mount=/live.mp3&charset=UTF-8&song=%C3%84rger%20%26%20%22Wut%22%20%231%20%F0%9F%8E%A7 HTTP/1.1\r\n"
        ),
        "{asked}"
    );
}

#[test]
fn passwords_are_not_shown() {
    assert_eq!(format!("{:?}", who()), r#"Credentials { user: "source", .. }"#);
}

#[tokio::test]
async fn a_title_fits_the_request() {
    let (target, asked) = server("HTTP/1.0 200 OK\r\n\r\n").await;
    set_title(&target, &who(), &"🎧".repeat(500)).await.unwrap();
    let asked = asked.await.unwrap();
    let (_, song) = asked.lines().next().unwrap().split_once("song=").unwrap();
    let song = song.trim_end_matches(" HTTP/1.1");
    assert_eq!(song, "%F0%9F%8E%A7".repeat(85), "whole letters only");
    assert_eq!(cut(&"a".repeat(2000)).len(), 1024);
    assert_eq!((cut("Ärger"), cut("")), ("Ärger", ""));
}
