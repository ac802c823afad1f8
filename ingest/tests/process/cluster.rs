//! An API server on loopback that tells one Secret, and the time as its own clock has it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, stream};
use http::StatusCode;
use http::header::DATE;
use ingest::config::Ingest;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::pod::{Given, Pod};

/// Its clock is ahead of the node's by so much.
pub struct Cluster {
    address: String,
    ahead: SignedDuration,
    secret: watch::Sender<(u64, Ingest)>,
    /// Its end closes every connection.
    runtime: Mutex<Option<Runtime>>,
}

#[derive(Clone)]
struct Knows {
    ahead: SignedDuration,
    secret: watch::Receiver<(u64, Ingest)>,
}

#[derive(serde::Deserialize)]
struct Asked {
    #[serde(default)]
    watch: Option<String>,
    #[serde(default, rename = "resourceVersion")]
    since: Option<String>,
}

impl Cluster {
    pub fn new(ahead: SignedDuration, config: Ingest) -> Self {
        let (secret, told) = watch::channel((1, config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routes = Router::new()
            .route("/version", get(version))
            .route("/api/v1/namespaces/default/secrets", get(secrets))
            .with_state(Knows { ahead, secret: told });
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
        Self {
            address,
            ahead,
            secret,
            runtime: Mutex::new(Some(runtime)),
        }
    }

    /// What time it has.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    pub fn configure(&self, config: Ingest) {
        self.secret.send_modify(|(version, now)| {
            *version += 1;
            *now = config;
        });
    }

    pub fn start(&self, given: &Given) -> Pod {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
            "current-context": "x",
        });
        let kubeconfig = given.file("kubeconfig", &kubeconfig.to_string());
        given.start_with(&[
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
            ("POD_NAMESPACE", "default"),
        ])
    }

    /// From now on nobody answers there.
    pub fn is_gone(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.is_gone();
    }
}

impl Knows {
    /// As an API server's answers have it: the second, and no more.
    fn dated(&self, body: impl IntoResponse) -> Response {
        let mut answer = body.into_response();
        let now = Timestamp::now() + self.ahead;
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
        answer.headers_mut().insert(DATE, date.parse().unwrap());
        answer
    }

    fn object(&self) -> (u64, Value) {
        let (version, config) = self.secret.borrow().clone();
        let text = STANDARD.encode(serde_json::to_vec(&config).unwrap());
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "station-ingest", "namespace": "default", "resourceVersion": version.to_string() },
            "data": { "ingest.json": text },
        });
        (version, object)
    }
}

/// Whoever may not ask is told the time as well.
async fn version(State(knows): State<Knows>) -> Response {
    knows.dated((StatusCode::FORBIDDEN, "{}"))
}

async fn secrets(State(knows): State<Knows>, Query(asked): Query<Asked>) -> Response {
    if asked.watch.is_none() {
        let (version, object) = knows.object();
        let list = json!({
            "apiVersion": "v1",
            "kind": "SecretList",
            "metadata": { "resourceVersion": version.to_string() },
            "items": [object],
        });
        return knows.dated(list.to_string());
    }
    let mut secret = knows.secret.clone();
    let since = asked.since.and_then(|version| version.parse().ok());
    let newest = secret.borrow_and_update().0;
    if since.is_some_and(|since: u64| since != newest) {
        secret.mark_changed();
    }
    let told = Arc::new(knows.clone());
    let events = stream::unfold((secret, told), |(mut secret, told)| async move {
        secret.changed().await.ok()?;
        let event = json!({ "type": "MODIFIED", "object": told.object().1 });
        let line = Bytes::from(format!("{event}\n"));
        Some((Ok::<_, std::convert::Infallible>(line), (secret, told)))
    });
    // So that the answer's head does not wait for the first event.
    let begun = stream::once(async { Ok(Bytes::new()) });
    knows.dated(Body::from_stream(begun.chain(events)))
}
