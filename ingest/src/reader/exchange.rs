//! One request to a desk, on a connection of its own. IO: TCP, HTTP.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{Desk, Error};
use crate::api::FROM_HEADER;

const CONNECT: Duration = Duration::from_secs(3);
/// A pod whose node is gone closes nothing. A reader mostly listens, so it has to ask: after 5 s of silence, then each
/// second, and what is not acknowledged for this long is broken.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(1);
const UNANSWERED: u32 = 5;
/// hyper's own buffer grows to 400 KiB, which is 25 s of a stream.
const BUFFER: usize = 16 << 10;
/// All sessions of a week, many times over.
const LONGEST_ANSWER: usize = 16 << 20;
const LONGEST_REASON: usize = 300;

/// What a desk is asked.
pub(super) struct Question {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    pub patience: Duration,
    /// Bytes the socket may hold for us, where fewer than usual.
    pub buffer: Option<usize>,
}

impl Question {
    pub fn get(path: String, patience: Duration) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            patience,
            buffer: None,
        }
    }
}

/// A yes, whose body has yet to be read. Dropping it closes the connection.
pub(super) struct Answer {
    pub address: String,
    pub response: Response<Incoming>,
    pub connection: AbortOnDropHandle<()>,
}

/// Asks; returns with the head of the answer.
pub(super) async fn ask(desk: &Desk, question: Question) -> Result<Answer, Error> {
    let after = question.patience;
    match timeout(after, exchange(desk, question)).await {
        Ok(answered) => refuse_refusals(answered?).await,
        Err(_) => Err(silent(desk, after)),
    }
}

/// Asks, and reads all of a short answer.
pub(super) async fn whole(desk: &Desk, question: Question) -> Result<Bytes, Error> {
    let after = question.patience;
    let read = async {
        let answer = ask(desk, question).await?;
        let body = Limited::new(answer.response.into_body(), LONGEST_ANSWER);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(cause) => Err(unreachable(desk, io::Error::other(cause))),
        }
    };
    timeout(after, read)
        .await
        .unwrap_or_else(|_| Err(silent(desk, after)))
}

async fn exchange(desk: &Desk, question: Question) -> Result<Answer, Error> {
    let request = request(desk, &question)?;
    let socket = match timeout(CONNECT, TcpStream::connect(&desk.address)).await {
        Ok(connected) => connected.map_err(|cause| unreachable(desk, cause))?,
        Err(_) => return Err(silent(desk, CONNECT)),
    };
    prepare(&socket, question.buffer).map_err(|cause| unreachable(desk, cause))?;
    let broken = |cause: hyper::Error| unreachable(desk, io::Error::other(cause));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(broken)?;
    // What breaks it, whoever reads the answer is told too.
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok(Answer {
        address: desk.address.clone(),
        response,
        connection,
    })
}

fn request(desk: &Desk, question: &Question) -> Result<Request<Full<Bytes>>, Error> {
    let strange = |what: &str| Error::Strange {
        address: desk.address.clone(),
        what: what.to_owned(),
    };
    let mut token = HeaderValue::try_from(format!("Bearer {}", desk.token))
        .map_err(|_| strange("our own token, which fits no HTTP header"))?;
    token.set_sensitive(true);
    Request::builder()
        .method(&question.method)
        .uri(&question.path)
        .header(HOST, &desk.address)
        .header(AUTHORIZATION, token)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(question.body.clone()))
        .map_err(|_| strange("an address or a session's name that fits no URL"))
}

fn prepare(socket: &TcpStream, buffer: Option<usize>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let unacknowledged = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(socket, unacknowledged)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, IDLE)?;
    sockopt::set_tcp_keepintvl(socket, BETWEEN)?;
    sockopt::set_tcp_keepcnt(socket, UNANSWERED)?;
    if let Some(buffer) = buffer {
        sockopt::set_socket_recv_buffer_size(socket, buffer)?;
    }
    Ok(())
}

async fn refuse_refusals(answer: Answer) -> Result<Answer, Error> {
    let status = answer.response.status();
    if status.is_success() {
        return Ok(answer);
    }
    if status == StatusCode::GONE {
        return Err(Error::Gone {
            next: offset(&answer.response),
        });
    }
    let body = Limited::new(answer.response.into_body(), LONGEST_ANSWER);
    // The status alone tells most of it.
    let words = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    Err(Error::Refused {
        address: answer.address,
        status,
        reason: reason(&words),
    })
}

/// The offset that an answer names.
pub(super) fn offset(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(FROM_HEADER)?.to_str().ok()?.parse().ok()
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn reason(body: &[u8]) -> String {
    let told = serde_json::from_slice(body).map_or_else(
        |_| String::from_utf8_lossy(body).into_owned(),
        |refusal: Refusal| refusal.error,
    );
    told.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_REASON)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn unreachable(desk: &Desk, cause: io::Error) -> Error {
    Error::Unreachable {
        address: desk.address.clone(),
        cause,
    }
}

fn silent(desk: &Desk, after: Duration) -> Error {
    Error::Silent {
        address: desk.address.clone(),
        after,
    }
}
