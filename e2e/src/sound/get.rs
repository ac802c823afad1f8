//! Asks for a stream as a player does, with hyper over a dialed connection.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use super::dial::{Address, Dialer};
use super::log::Reason;
use super::source::Refused;

/// A server that accepts and then says nothing is as good as gone.
const ANSWER: Duration = Duration::from_secs(15);
const BODY_OF_A_REFUSAL: usize = 16 * 1024;

/// A stream that was granted.
pub struct Stream {
    pub headers: HeaderMap,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Stream {
    /// The next bytes, or why there are no more.
    pub async fn next(&mut self) -> Result<Bytes, Reason> {
        loop {
            match self.body.frame().await {
                None => return Err(Reason::Ended),
                Some(Err(error)) => return Err(reason(&error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.into_data().ok().filter(|bytes| !bytes.is_empty()) {
                        return Ok(bytes);
                    }
                }
            }
        }
    }
}

/// GETs the address; anything but 2xx is [`Refused`].
pub async fn get(dialer: &Dialer, address: &Address, titles: bool) -> Result<Stream> {
    let stream = address.connect(dialer).await?;
    let url = format!("http://{}{}", address.authority(), address.path);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream))
        .await
        .with_context(|| format!("{url} was lost before it was asked"))?;
    // How the connection ended is told again by the body.
    let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    let mut request = Request::get(&address.path)
        .header("Host", address.authority())
        .header("User-Agent", "radio-e2e listener")
        .header("Accept", "*/*");
    if titles {
        request = request.header("Icy-MetaData", "1");
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .with_context(|| format!("{url} cannot be asked for"))?;
    let response = tokio::time::timeout(ANSWER, sender.send_request(request))
        .await
        .with_context(|| format!("{url} took the request and did not answer for {ANSWER:?}"))?
        .with_context(|| format!("{url} was lost before it answered"))?;
    let (parts, body) = response.into_parts();
    if !parts.status.is_success() {
        let body = http_body_util::Limited::new(body, BODY_OF_A_REFUSAL).collect();
        let body = tokio::time::timeout(ANSWER, body).await.ok().and_then(Result::ok);
        let body =
            String::from_utf8_lossy(&body.map(http_body_util::Collected::to_bytes).unwrap_or_default())
                .into();
        return Err(Refused {
            url,
            status: parts.status.as_u16(),
            body,
        }
        .into());
    }
    Ok(Stream {
        headers: parts.headers,
        body,
        _connection: connection,
    })
}

fn reason(error: &hyper::Error) -> Reason {
    let cut = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|io| matches!(io.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    if cut {
        Reason::Reset
    } else {
        Reason::Broken(error.to_string())
    }
}
