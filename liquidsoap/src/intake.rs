//! Where Liquidsoap's `output.icecast` connects to: takes audio and titles, refuses nothing it can use. IO: HTTP on loopback.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::routing::get;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use serde::Deserialize;

use crate::output::Output;

/// The outputs by path.
pub type Outputs = Arc<BTreeMap<String, Arc<Output>>>;

/// What is answered on the intake's address.
pub fn routes(outputs: Outputs) -> Router {
    Router::new()
        .route("/admin/metadata", get(title))
        .fallback(audio)
        .with_state(outputs)
}

#[derive(Deserialize)]
struct Title {
    mount: String,
    // Liquidsoap leaves it out for a track without tags; the last track's title must not stay.
    #[serde(default)]
    song: String,
}

async fn title(State(outputs): State<Outputs>, Query(title): Query<Title>) -> StatusCode {
    match outputs.get(&title.mount) {
        Some(output) => {
            output.set_title(title.song);
            StatusCode::OK
        }
        None => StatusCode::NOT_FOUND,
    }
}

async fn audio(State(outputs): State<Outputs>, request: Request<Body>) -> StatusCode {
    if request.method() != Method::PUT {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let path = request.uri().path().to_owned();
    let Some(output) = outputs.get(&path) else {
        return StatusCode::NOT_FOUND;
    };
    let mut feed = output.feed();
    tracing::info!(output = path, "Liquidsoap feeds it");
    let mut body = request.into_body().into_data_stream();
    let why = loop {
        match body.next().await {
            Some(Ok(bytes)) if feed.push(&bytes) => {}
            Some(Ok(_)) => break "a newer connection has taken over".to_owned(),
            Some(Err(failure)) => break failure.to_string(),
            None => break "it has closed the connection".to_owned(),
        }
    };
    tracing::warn!(
        output = path,
        skipped_bytes = feed.skipped(),
        why,
        "Liquidsoap no longer feeds it"
    );
    StatusCode::OK
}
