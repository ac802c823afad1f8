//! Who is told when a show is not what it should be: a double of Telegram, of a webhook and of who waits for heartbeats, where the
//! operator's pod reaches it. Does IO.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster;

/// The chat that the bot is in.
const CHAT: &str = "-1001234567890";
/// How often a heartbeat comes.
pub const BEAT: Duration = Duration::from_secs(5);

/// By which way it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A message in the chat.
    Telegram,
    /// A message as JSON.
    Webhook,
    /// All is well.
    Heartbeat,
}

/// What somebody was told.
#[derive(Clone, Debug)]
pub struct Call {
    /// How.
    pub way: Way,
    /// When it came.
    pub at: Timestamp,
    /// Of the webhook, all of it; of Telegram, what it sends on.
    pub said: Value,
    /// What tells it apart, and is the same if it is sent again.
    pub id: String,
}

impl Call {
    /// What is read.
    #[must_use]
    pub fn text(&self) -> &str {
        self.said["text"].as_str().unwrap_or_default()
    }
}

/// Everything that was told, in its order.
type Calls = watch::Sender<Vec<Call>>;

/// Somebody with a telephone. It rings as long as this lives.
pub struct Phone {
    calls: Calls,
    token: String,
    telegram: Line,
    others: Line,
}

/// A port that can be closed and opened again.
struct Line {
    address: SocketAddr,
    routes: Router,
    serving: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Phone {
    /// Takes calls.
    pub fn open() -> Result<Self> {
        let token = format!("123456:{:016x}", rand::random::<u64>());
        let calls = Calls::default();
        let telegram = Router::new()
            .route("/{bot}/sendMessage", post(message))
            .with_state((calls.clone(), format!("bot{token}")));
        let others = Router::new()
            .route("/hook", post(hook))
            .route("/beat", get(beat))
            .with_state(calls.clone());
        Ok(Self {
            calls,
            token,
            telegram: Line::open(telegram)?,
            others: Line::open(others)?,
        })
    }

    /// `notify` of a Station's `spec`, in YAML on one line.
    #[must_use]
    pub fn notify(&self) -> String {
        format!(
            "notify: {{telegram: {{chatId: \"{CHAT}\", secretRef: {{name: bot}}, apiUrl: \"http://{}\"}}, \
             webhook: {{secretRef: {{name: hook}}}}, heartbeat: {{secretRef: {{name: beat}}, every: {}s}}}}",
            self.telegram.address,
            BEAT.as_secs()
        )
    }

    /// The Secrets that it names, in YAML.
    #[must_use]
    pub fn secrets(&self) -> String {
        let secret = |name: &str, key: &str, value: &str| {
            format!(
                "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, stringData: {{{key}: \"{value}\"}}}}\n---\n"
            )
        };
        let url = |path: &str| format!("http://{}/{path}", self.others.address);
        secret("bot", "token", &self.token)
            + &secret("hook", "url", &url("hook"))
            + &secret("beat", "url", &url("beat"))
    }

    /// Connections to Telegram are refused from now on, or taken again.
    pub fn telegram_is_down(&self, is_down: bool) -> Result<()> {
        if is_down {
            self.telegram.close();
        } else {
            self.telegram.reopen()?;
        }
        Ok(())
    }

    /// What came by one way so far.
    #[must_use]
    pub fn heard(&self, way: Way) -> Vec<Call> {
        self.calls
            .borrow()
            .iter()
            .filter(|call| call.way == way)
            .cloned()
            .collect()
    }

    /// Waits for the first call by a way that has this in its text.
    pub async fn rings(&self, way: Way, with: &str, within: Duration) -> Result<Call> {
        let is_it = |call: &&Call| call.way == way && call.text().contains(with);
        let mut calls = self.calls.subscribe();
        let heard = calls.wait_for(|calls| calls.iter().any(|call| is_it(&call)));
        match tokio::time::timeout(within, heard).await {
            Ok(calls) => calls?.iter().find(is_it).cloned().context("it was there"),
            Err(_) => bail!(
                "waited {:.1} s for \"{with}\" by {way:?}; what came: {:#?}",
                within.as_secs_f32(),
                self.calls.borrow()
            ),
        }
    }

    /// Fails unless exactly these came by a way: each has its piece of text, and they came in this order.
    pub fn has_heard(&self, way: Way, texts: &[&str]) -> Result<()> {
        let heard = self.heard(way);
        let fits = heard.len() == texts.len()
            && heard
                .iter()
                .zip(texts)
                .all(|(call, text)| call.text().contains(text));
        ensure!(
            fits,
            "by {way:?} should have come {texts:?}, and came: {heard:#?}"
        );
        Ok(())
    }
}

impl Line {
    fn open(routes: Router) -> Result<Self> {
        let listener = bound(SocketAddr::new(cluster::CONTROL_PLANE_ADDRESS.parse()?, 0))?;
        let line = Self {
            address: listener.local_addr()?,
            routes,
            serving: Mutex::default(),
        };
        line.serve(listener)?;
        Ok(line)
    }

    fn reopen(&self) -> Result<()> {
        self.serve(bound(self.address)?)
    }

    fn serve(&self, listener: TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let routes = self.routes.clone();
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                eprintln!("the telephone is dead: {error}");
            }
        });
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(AbortOnDropHandle::new(serving));
        Ok(())
    }

    /// Dropped, the listener refuses who comes.
    fn close(&self) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A socket in the cluster's network, where pods reach it.
fn bound(address: SocketAddr) -> Result<TcpListener> {
    let network = cluster::network_of(cluster::CONTROL_PLANE);
    cluster::within(&network, || TcpListener::bind(address))?
        .with_context(|| format!("cannot listen on {address}"))
}

fn ring(calls: &Calls, way: Way, headers: &HeaderMap, said: Value) {
    let id = headers.get("idempotency-key").and_then(|id| id.to_str().ok());
    let call = Call {
        way,
        at: Timestamp::now(),
        said,
        id: id.unwrap_or_default().to_owned(),
    };
    calls.send_modify(|calls| calls.push(call));
}

async fn message(
    State((calls, bot)): State<(Calls, String)>,
    Path(path): Path<String>,
    headers: HeaderMap,
    Json(said): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let refused = |status: StatusCode, why: &str| {
        let said = json!({"ok": false, "error_code": status.as_u16(), "description": why});
        (status, Json(said))
    };
    if path != bot {
        return refused(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    if said["chat_id"] != CHAT {
        return refused(StatusCode::BAD_REQUEST, "Bad Request: chat not found");
    }
    ring(&calls, Way::Telegram, &headers, said);
    (
        StatusCode::OK,
        Json(json!({"ok": true, "result": {"message_id": 1}})),
    )
}

async fn hook(State(calls): State<Calls>, headers: HeaderMap, body: Bytes) -> StatusCode {
    match serde_json::from_slice(&body) {
        Ok(said) => {
            ring(&calls, Way::Webhook, &headers, said);
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn beat(State(calls): State<Calls>, headers: HeaderMap) -> StatusCode {
    ring(&calls, Way::Heartbeat, &headers, Value::Null);
    StatusCode::NO_CONTENT
}
