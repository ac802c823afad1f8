//! One HTTP request to an address in the cluster's network. Does IO.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster;

/// For the head of an answer; the longest poll takes 25 s.
const ANSWER: Duration = Duration::from_secs(30);

/// An answer whose body is still to come.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

/// GETs a path with that `Authorization`.
pub async fn get(address: SocketAddr, path: &str, authorization: &str) -> Result<Answer> {
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, authorization)
        .body(Empty::<Bytes>::new())?;
    let asking = async {
        let stream = cluster::dial(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            // What goes wrong here ends the body, too.
            drop(connection.await);
        });
        let connection = AbortOnDropHandle::new(connection);
        let answer = sender.send_request(request).await?;
        anyhow::Ok(Answer {
            status: answer.status(),
            body: answer.into_body(),
            _connection: connection,
        })
    };
    tokio::time::timeout(ANSWER, asking)
        .await
        .with_context(|| format!("{address} does not answer {path} for {ANSWER:?}"))?
        .with_context(|| format!("{address} did not answer {path}"))
}

impl Answer {
    /// The rest of the body; an error if it was cut off.
    pub async fn whole(self) -> Result<Bytes> {
        Ok(self
            .body
            .collect()
            .await
            .context("the answer was cut off")?
            .to_bytes())
    }

    /// The next piece of the body; `None` at its end, however it came.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = self.body.frame().await?.ok()?;
            if let Ok(bytes) = frame.into_data() {
                return Some(bytes);
            }
        }
    }
}
