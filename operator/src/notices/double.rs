//! Somebody on the other end of a message, for tests: a real HTTP server on loopback that can be away.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{Response, StatusCode},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub id: Option<String>,
    pub body: Value,
}

/// What it answers: a code, a `Retry-After`, a body.
pub type Says = (u16, Option<&'static str>, Value);

/// The server, away at first.
pub struct Double {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    says: Arc<Mutex<Says>>,
    serving: Option<JoinHandle<()>>,
}

impl Double {
    /// Its address is known, and nobody answers there.
    pub async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            says: Arc::new(Mutex::new((200, None, json!({"ok": true})))),
            serving: None,
        }
    }

    /// It answers.
    pub async fn there() -> Self {
        let mut double = Self::away().await;
        double.comes().await;
        double
    }

    /// From now on it answers.
    pub async fn comes(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (got, says) = (self.got.clone(), self.says.clone());
        let router = Router::new().fallback(move |request: Request| take(request, got, says));
        self.serving = Some(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
    }

    /// From now on nobody answers.
    pub async fn goes(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            serving.await.unwrap_err();
        }
    }

    /// From now on it answers this.
    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// What it got so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn take(request: Request, got: Arc<Mutex<Vec<Got>>>, says: Arc<Mutex<Says>>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let id = head.headers.get("idempotency-key");
    got.lock().unwrap().push(Got {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        id: id.map(|id| id.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    });
    let (code, wait, body) = says.lock().unwrap().clone();
    let mut response = Response::builder().status(StatusCode::from_u16(code).unwrap());
    if let Some(wait) = wait {
        response = response.header("retry-after", wait);
    }
    response.body(Body::from(body.to_string())).unwrap()
}
