//! The read API: who may read gets sessions, tapes and indexes. IO: HTTP.
//!
//! Nothing is pushed to readers, and none can hold up anything: each costs what one connection may buffer.

mod access;
mod answer;
mod connections;
mod follow;
mod lag;
mod list;
mod mark;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::{Ack, FROM_HEADER, Sessions};
use crate::config::{self, Ingest};
use crate::tape::{AckError, Boundary, Joined, Session, Shelf, Version};
use answer::Refused;
pub use connections::serve;
use follow::Following;
pub use lag::Lag;
use lag::Lags;

/// How long a question may stay open that nothing answers.
const PATIENCE: Duration = Duration::from_secs(25);
const LONGEST_ACK: usize = 4 << 10;
const ACK_WITHIN: Duration = Duration::from_secs(5);
const BAD_QUERY: &str =
    "The query is wrong: `from` and `join` take an offset, `join` also `live`, `follow` true or false.";

/// Where tapes are read.
#[derive(Clone, Debug)]
pub struct Desk {
    shelf: Arc<Shelf>,
    config: watch::Receiver<Arc<Ingest>>,
    lags: Lags,
}

#[derive(Deserialize)]
struct Listed {
    after: Option<String>,
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Wanted {
    from: Option<u64>,
    join: Option<String>,
    #[serde(default)]
    follow: bool,
}

impl Desk {
    /// A desk for these tapes; who may read is looked up in the configuration of the moment.
    #[must_use]
    pub fn new(shelf: Arc<Shelf>, config: watch::Receiver<Arc<Ingest>>) -> Self {
        Self {
            shelf,
            config,
            lags: Lags::default(),
        }
    }

    /// How far each open reader is behind its source.
    #[must_use]
    pub fn lags(&self) -> Vec<Lag> {
        self.lags.list()
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/v1/sessions", get(sessions))
            .route("/v1/sessions/{id}/tape", get(tape))
            .route("/v1/sessions/{id}/index", get(index))
            .route("/v1/sessions/{id}/ack", post(ack))
            .route("/v1/mounts/{mount}/marks", post(mark::mark))
            .fallback(|| async { Refused::not_found("There is nothing at this path.") })
            .method_not_allowed_fallback(|| async { Refused::method() })
            .with_state(self)
    }

    fn reader(&self, headers: &HeaderMap) -> Result<config::Reader, Refused> {
        let config = Arc::clone(&self.config.borrow());
        access::reader(&config.readers, headers)
            .cloned()
            .ok_or_else(Refused::unauthorized)
    }

    fn session(&self, reader: &config::Reader, id: &str) -> Result<Arc<Session>, Refused> {
        let session = self
            .shelf
            .get(id)
            .filter(|session| access::may_read(reader, &session.about().mount));
        session.ok_or_else(|| {
            Refused::not_found("There is no such session: it went from the tapes, or is not yours.")
        })
    }

    fn version(&self, reader: &config::Reader, version: Version) -> String {
        let epoch = self.shelf.epoch();
        let fill = version.fill as u8;
        match &reader.mounts {
            None => format!("{epoch:x}-{}-{}-{fill}", version.sessions, version.refusals),
            Some(mounts) => format!("{epoch:x}-{:x}-{fill}", self.shelf.version_of(mounts)),
        }
    }
}

async fn sessions(
    State(desk): State<Desk>,
    headers: HeaderMap,
    query: Result<Query<Listed>, QueryRejection>,
) -> Result<Response, Refused> {
    let reader = desk.reader(&headers)?;
    let Query(Listed { after, all }) = query
        .map_err(|_| Refused::query("The query is wrong: `after` takes a version, `all` true or false."))?;
    let deadline = Instant::now() + PATIENCE;
    let mut changed = desk.shelf.changed();
    let (version, fill) = loop {
        let now = *changed.borrow_and_update();
        let version = desk.version(&reader, now);
        if after.as_ref() != Some(&version) || timeout_at(deadline, changed.changed()).await.is_err() {
            break (version, now.fill);
        }
    };
    let mut sessions = desk.shelf.sessions();
    sessions.retain(|session| access::may_read(&reader, &session.about().mount));
    if !all {
        sessions = list::recent(sessions, desk.shelf.clock().now());
    }
    let sessions = sessions.iter().map(|session| session.describe()).collect();
    let refusals = if reader.mounts.is_none() {
        desk.shelf.refusals()
    } else {
        Vec::new()
    };
    Ok(answer::json(&Sessions {
        version,
        sessions,
        refusals,
        fill,
    }))
}

async fn tape(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refused> {
    let reader = desk.reader(&headers)?;
    let session = desk.session(&reader, &id)?;
    let Query(wanted) = query.map_err(|_| Refused::query(BAD_QUERY))?;
    let lag = desk.lags.of(&reader.name, &session);
    let following = Following::new(&session, lag);
    match (wanted.from, wanted.join.as_deref()) {
        (Some(from), None) => raw(&session, following, from, wanted.follow),
        (None, Some("live")) => Ok(joined(&session, newest(&session).await?, |it| following.live(it))),
        (None, Some(offset)) => {
            let offset = offset.parse().map_err(|_| Refused::query(BAD_QUERY))?;
            Ok(joined(&session, first(&session, offset).await?, |it| {
                following.joined(it)
            }))
        }
        _ => Err(Refused::query("Say where to begin: either `from` or `join`.")),
    }
}

fn raw(session: &Session, following: Following, from: u64, follow: bool) -> Result<Response, Refused> {
    let bytes = session.bytes();
    if from > bytes {
        return Err(Refused::too_far(from, bytes));
    }
    if let Some(next) = following.gone(from) {
        return Err(Refused::gone(next));
    }
    let mut answer = tape_answer(session, from);
    if follow {
        *answer.body_mut() = following.from(from, None);
    } else {
        let length = following.available(from);
        answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        *answer.body_mut() = following.from(from, Some(from + length));
    }
    Ok(answer)
}

fn joined(session: &Session, boundary: Option<Boundary>, body: impl FnOnce(Boundary) -> Body) -> Response {
    let Some(boundary) = boundary else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let mut answer = tape_answer(session, boundary.at);
    *answer.body_mut() = body(boundary);
    answer
}

fn tape_answer(session: &Session, from: u64) -> Response {
    let mut answer = Response::default();
    let headers = answer.headers_mut();
    let kind = header::HeaderValue::from_static(session.about().container.content_type());
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    headers.insert(FROM_HEADER, from.into());
    answer
}

/// The newest place to join, as soon as there is one; `None` if that takes too long.
async fn newest(session: &Arc<Session>) -> Result<Option<Boundary>, Refused> {
    let mut progress = session.progress();
    let deadline = Instant::now() + PATIENCE;
    loop {
        progress.borrow_and_update();
        if !session.is_live() {
            return Err(Refused::ended());
        }
        if let Some(newest) = session.newest() {
            return Ok(Some(newest));
        }
        if timeout_at(deadline, progress.changed()).await.is_err() {
            return Ok(None);
        }
    }
}

/// The first place to join at or after an offset.
async fn first(session: &Arc<Session>, offset: u64) -> Result<Option<Boundary>, Refused> {
    let bytes = session.bytes();
    if offset > bytes {
        return Err(Refused::too_far(offset, bytes));
    }
    let kept_from = session.kept_from();
    if offset < kept_from {
        return Err(Refused::gone(kept_from));
    }
    let mut progress = session.progress();
    let deadline = Instant::now() + PATIENCE;
    loop {
        progress.borrow_and_update();
        let search = Arc::clone(session);
        let found = tokio::task::spawn_blocking(move || search.join(offset)).await;
        match found.map_err(|_| Refused::disk())? {
            Ok(Joined::At(boundary)) => return Ok(Some(boundary)),
            Ok(Joined::Never) => return Err(Refused::ended()),
            Ok(Joined::NotYet) => {}
            Err(failure) => {
                tracing::error!(session = session.id(), %failure, "the tape cannot be read");
                return Err(Refused::disk());
            }
        }
        if timeout_at(deadline, progress.changed()).await.is_err() {
            return Ok(None);
        }
    }
}

async fn index(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refused> {
    let reader = desk.reader(&headers)?;
    let session = desk.session(&reader, &id)?;
    let Query(wanted) = query.map_err(|_| Refused::query(BAD_QUERY))?;
    let from = wanted.from.unwrap_or(0);
    let bytes = session.index_bytes();
    if wanted.join.is_some() {
        return Err(Refused::query("An index is read `from` an offset."));
    }
    if from > bytes {
        return Err(Refused::too_far(from, bytes));
    }
    let kind = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let body = follow::index(&session, from, (!wanted.follow).then_some(bytes));
    Ok((kind, body).into_response())
}

async fn ack(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let reader = desk.reader(&headers)?;
    desk.session(&reader, &id)?;
    let recording = access::recording(&reader).ok_or_else(Refused::no_ack)?;
    // Only now: nobody else has us wait for what he sends.
    let body = timeout(ACK_WITHIN, to_bytes(body, LONGEST_ACK)).await;
    let told = body
        .ok()
        .and_then(Result::ok)
        .and_then(|body| serde_json::from_slice::<Ack>(&body).ok());
    let ack =
        told.ok_or_else(|| Refused::query("An ack is JSON: {\"recording\": its name, \"to\": an offset}."))?;
    if ack.recording != recording {
        return Err(Refused::no_ack());
    }
    let shelf = Arc::clone(&desk.shelf);
    let outcome = tokio::task::spawn_blocking(move || shelf.ack(&id, &ack)).await;
    match outcome.map_err(|_| Refused::disk())? {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(AckError::Unknown) => Err(Refused::not_found("There is no such session.")),
        Err(AckError::Wrong(problem)) => Err(Refused::query(&problem)),
        Err(AckError::Disk(failure)) => {
            tracing::error!(%failure, "an ack could not be written");
            Err(Refused::disk())
        }
    }
}
