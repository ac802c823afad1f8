//! What Liquidsoap asks: which track comes next. IO: HTTP on loopback.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;

use crate::metrics::Metrics;
use crate::programme::{Programme, Source};

/// The programme, shared between what asks and what changes it.
pub type Shared = Arc<Mutex<Programme>>;

/// Runs `act` on the programme.
pub fn with<T>(programme: &Shared, act: impl FnOnce(&mut Programme) -> T) -> T {
    // A panic while it was locked left nothing half done that matters.
    act(&mut programme.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What is answered on the address that Liquidsoap asks.
pub fn routes(programme: Shared, metrics: Metrics) -> Router {
    Router::new()
        .route("/next", get(next))
        .route("/undecodable", post(undecodable))
        .with_state((programme, metrics))
}

#[derive(Deserialize)]
struct Question {
    of: Source,
}

async fn next(State((programme, _)): State<(Shared, Metrics)>, Query(question): Query<Question>) -> Response {
    match with(&programme, |programme| {
        programme.next(question.of, Instant::now(), &mut rand::rng())
    }) {
        Some(path) => path.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn undecodable(State((programme, metrics)): State<(Shared, Metrics)>, path: String) -> StatusCode {
    if with(&programme, |programme| {
        programme.mark_undecodable(&path, Instant::now())
    }) {
        metrics.undecodable.inc();
        tracing::warn!(path, "Liquidsoap cannot decode it; it is left out for a minute");
    }
    StatusCode::NO_CONTENT
}
