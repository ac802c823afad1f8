//! One question to this pod's Icecast. IO: TCP on loopback, HTTP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::settings::Login;

/// Icecast answers at once, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Some 500 mounts, or 2,500 listeners.
const LONGEST: usize = 512 << 10;
/// hyper's own grows to 400 KiB.
const BUFFER: usize = 16 << 10;

/// No answer, or none of use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No connection, or one that broke.
    #[error("it cannot be asked: {0}")]
    Unreachable(String),
    /// Nothing, or not all, in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Slow,
    /// The password is not (or not yet) Icecast's.
    #[error("it refuses the admin password of its configuration")]
    Password,
    /// It takes no connection more.
    #[error("it is full")]
    Full,
    /// Something else than 200.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// More than anything sensible.
    #[error("its answer is longer than {LONGEST} bytes")]
    Long,
}

impl From<io::Error> for Refusal {
    fn from(failure: io::Error) -> Self {
        Self::Unreachable(failure.to_string())
    }
}

impl From<hyper::Error> for Refusal {
    fn from(failure: hyper::Error) -> Self {
        Self::Unreachable(failure.to_string())
    }
}

/// The body of the answer.
pub async fn ask(icecast: SocketAddr, path: &str, login: &Login) -> Result<Bytes, Refusal> {
    let answer = timeout(PATIENCE, exchange(icecast, path, login)).await;
    answer.unwrap_or(Err(Refusal::Slow))
}

async fn exchange(icecast: SocketAddr, path: &str, login: &Login) -> Result<Bytes, Refusal> {
    let socket = TcpStream::connect(icecast).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(socket))
        .await?;
    let word = BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password));
    let request = Request::get(path)
        .header(HOST, icecast.to_string())
        .header(AUTHORIZATION, format!("Basic {word}"))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|failure| Refusal::Unreachable(failure.to_string()))?;
    let asked = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        match collected(response.into_body()).await {
            Ok(body) => judge(status, body),
            // A full Xiph says so before it has read the question, and what was not read resets the connection.
            Err(Refusal::Unreachable(_)) if status != StatusCode::OK => {
                judge(status, Bytes::from_static(b"limit"))
            }
            Err(refusal) => Err(refusal),
        }
    };
    tokio::pin!(asked);
    // The connection carries the answer, so it ends first only when all of the answer is there, or none will come.
    tokio::select! {
        answer = &mut asked => answer,
        _ = connection => asked.await,
    }
}

async fn collected(body: Incoming) -> Result<Bytes, Refusal> {
    let body = Limited::new(body, LONGEST).collect().await;
    let body = body.map_err(|failure| match failure.downcast::<LengthLimitError>() {
        Ok(_) => Refusal::Long,
        Err(failure) => Refusal::Unreachable(failure.to_string()),
    });
    Ok(body?.to_bytes())
}

fn judge(status: StatusCode, body: Bytes) -> Result<Bytes, Refusal> {
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED => Err(Refusal::Password),
        // Xiph says "Icecast connection limit reached" to everybody.
        StatusCode::FORBIDDEN if body.windows(5).any(|word| word == b"limit") => Err(Refusal::Full),
        other => Err(Refusal::Status(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    /// Answers with `answer`, then waits for `open`.
    async fn server(answer: Vec<u8>, open: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut question = [0; 1000];
            let read = socket.read(&mut question).await.unwrap();
            let question = String::from_utf8_lossy(&question[..read]).into_owned();
            assert!(
                question.contains("authorization: Basic YWRtaW46cMOkw58=\r\n"),
                "{question}"
            );
            // An asker who has had enough leaves.
            let _ = socket.write_all(&answer).await;
            tokio::time::sleep(open).await;
        });
        address
    }

    async fn asked(answer: impl Into<Vec<u8>>, open: Duration) -> Result<Bytes, Refusal> {
        let login = Login {
            user: "admin".to_owned(),
            password: "p\u{e4}\u{df}".to_owned(),
        };
        ask(server(answer.into(), open).await, "/admin/stats", &login).await
    }

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn answers_of_every_kind_end() {
        for whole in [
            "HTTP/1.0 200 OK\r\n\r\n<a/>",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<a/>",
        ] {
            assert_eq!(asked(whole, NOW).await.unwrap(), "<a/>");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<a/>\r\n0\r\n\r\n";
        assert_eq!(asked(chunked, Duration::from_secs(30)).await.unwrap(), "<a/>");
        let full = "HTTP/1.0 403 Forbidden\r\n\r\nIcecast connection limit reached";
        assert!(matches!(asked(full, NOW).await, Err(Refusal::Full)));
        let reset = "HTTP/1.1 403 Forbidden\r\nContent-Length: 32\r\n\r\nIce";
        assert!(matches!(asked(reset, NOW).await, Err(Refusal::Full)));
        let banned = "HTTP/1.0 403 Forbidden\r\n\r\nno";
        assert!(matches!(asked(banned, NOW).await, Err(Refusal::Status(_))));
        let password = "HTTP/1.0 401 Authentication Required\r\n\r\n";
        assert!(matches!(asked(password, NOW).await, Err(Refusal::Password)));
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n<a>";
        assert!(matches!(asked(cut, NOW).await, Err(Refusal::Unreachable(_))));
        for odd in ["", "SSH-2.0\r\n"] {
            assert!(matches!(asked(odd, NOW).await, Err(Refusal::Unreachable(_))));
        }
        let long = [b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), &vec![b'x'; LONGEST + 1]].concat();
        assert!(matches!(asked(long, NOW).await, Err(Refusal::Long)));
    }

    #[tokio::test]
    async fn a_slow_answer_is_not_waited_for() {
        let started = Instant::now();
        let half = asked("HTTP/1.0 200 OK\r\n\r\n<a>", Duration::from_secs(30)).await;
        assert!(matches!(half, Err(Refusal::Slow)));
        assert!(
            started.elapsed() < PATIENCE + Duration::from_secs(2),
            "{:?}",
            started.elapsed()
        );
    }

    #[tokio::test]
    async fn nobody_there_is_told_at_once() {
        let address = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let login = Login {
            user: String::new(),
            password: String::new(),
        };
        assert!(matches!(
            ask(address, "/", &login).await,
            Err(Refusal::Unreachable(_))
        ));
    }
}
