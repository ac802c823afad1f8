//! Carries messages and heartbeats out of the cluster. IO: HTTP.

use std::{error::Error as StdError, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, Uri, header},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::Timestamp;

use super::{
    outbox::Letter,
    target::{Answer, Target},
};
use crate::text::Password;

/// For the whole of a request: who is told at night is not kept waiting by an address that swallows everything.
const PATIENCE: Duration = Duration::from_secs(15);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// What Telegram says of a message is shorter.
const LONGEST_ANSWER: usize = 64 << 10;
const AGENT: &str = concat!("radio-operator/", env!("CARGO_PKG_VERSION"));

/// Speaks HTTP, and TLS where there are certificate authorities to trust.
#[derive(Clone, Debug)]
pub enum Post {
    /// Both.
    Tls(Client<HttpsConnector<HttpConnector>, Body>),
    /// This image has no certificate authorities.
    Plain(Client<HttpConnector, Body>),
}

impl Default for Post {
    fn default() -> Self {
        match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(trusting) => Self::trusting(trusting),
            Err(error) => {
                tracing::warn!(%error, "no certificate authorities are found: nobody can be told by https");
                Self::Plain(client().build(connector()))
            }
        }
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_PATIENCE));
    connector
}

/// Messages are rare, and on a connection that was kept nobody knows whether one that failed was heard.
fn client() -> Builder {
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_max_idle_per_host(0).retry_canceled_requests(false);
    client
}

/// What was answered.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Post {
    fn trusting(trusting: HttpsConnectorBuilder<WantsSchemes>) -> Self {
        let mut connector = connector();
        connector.enforce_http(false);
        let tls = trusting.https_or_http().enable_http1().wrap_connector(connector);
        Self::Tls(client().build(tls))
    }

    /// Sends one message, once. `now` is when it is sent: an answer may name a time to wait for.
    pub async fn send(&self, target: &Target, letter: &Letter, now: Timestamp) -> Answer {
        let errand = match target.errand(letter) {
            Ok(errand) => errand,
            Err(words) => return Answer::Refused { words },
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(errand.uri)
            .header(header::USER_AGENT, AGENT)
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", letter.id())
            .body(Body::from(errand.body.to_string()));
        let answered = match request {
            Ok(request) => self.ask(request).await,
            Err(_) => Err("its address is not one".to_owned()),
        };
        match answered {
            Ok(answered) => target.understand(answered.status, &answered.headers, &answered.body, now),
            Err(why) => Answer::Later {
                words: target.hide(&format!("{} cannot be reached: {why}", target.called())),
                wait: None,
            },
        }
    }

    /// One heartbeat; the error never has the address.
    pub async fn beat(&self, url: &Password) -> Result<(), String> {
        let uri: Uri = url
            .reveal()
            .parse()
            .map_err(|_| "its address is not one".to_owned())?;
        let request = Request::get(uri)
            .header(header::USER_AGENT, AGENT)
            .body(Body::empty())
            .map_err(|_| "its address is not one".to_owned())?;
        let answered = self.ask(request).await;
        match answered.map_err(|why| why.replace(url.reveal(), "…"))? {
            Answered { status, .. } if status.is_success() => Ok(()),
            Answered { status, .. } => Err(format!("it answers {}", status.as_u16())),
        }
    }

    async fn ask(&self, request: Request<Body>) -> Result<Answered, String> {
        self.ask_within(PATIENCE, request).await
    }

    async fn ask_within(&self, patience: Duration, request: Request<Body>) -> Result<Answered, String> {
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {} s", patience.as_secs_f32())),
        }
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Answered, String> {
        let answer = match self {
            Self::Tls(client) => client.request(request).await,
            Self::Plain(_) if request.uri().scheme_str() == Some("https") => {
                return Err("this image of the operator has no certificate authorities for https".to_owned());
            }
            Self::Plain(client) => client.request(request).await,
        };
        let (head, body) = answer.map_err(|error| why(&error))?.into_parts();
        // The head says enough, if the rest does not come.
        let body = to_bytes(Body::new(body), LONGEST_ANSWER).await;
        Ok(Answered {
            status: head.status,
            headers: head.headers,
            body: body.map(|body| body.to_vec()).unwrap_or_default(),
        })
    }
}

/// The last of the causes: that before it are our own layers' names.
fn why(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
