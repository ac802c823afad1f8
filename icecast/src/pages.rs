//! What the agent's port tells beside health and metrics: `/status-json.xsl`, `/status.json`, `/on-air`. Anybody may ask,
//! from any web page. IO: none of its own, but for one look whether a file is there.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE,
};
use http::{HeaderName, StatusCode};
use tokio::time::Instant;

use crate::status::Pages;
use crate::view::{Off, Shared};

/// A file beside the configuration that says: no listeners more. Whoever drains the pod makes it.
pub const DRAINING: &str = "draining";

const ANYBODY: (HeaderName, &str) = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");

#[derive(Clone)]
struct Known {
    view: Shared,
    draining: Arc<PathBuf>,
}

/// `draining` is the path of that file.
pub fn routes(view: Shared, draining: PathBuf) -> Router {
    let known = Known {
        view,
        draining: Arc::new(draining),
    };
    Router::new()
        .route("/status-json.xsl", asked(get(xsl)))
        .route("/status.json", asked(get(simple)))
        .route("/on-air", asked(get(anything_on_air)))
        .route("/on-air/{*mount}", asked(get(mount_on_air)))
        .with_state(known)
}

/// Browsers ask first, for example when a player sends `Range`.
fn asked(pages: MethodRouter<Known>) -> MethodRouter<Known> {
    pages.options(|| async {
        let headers = [
            ANYBODY,
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        (StatusCode::NO_CONTENT, headers)
    })
}

async fn xsl(State(known): State<Known>) -> Response {
    json(&known, |pages| pages.xsl.clone())
}

async fn simple(State(known): State<Known>) -> Response {
    json(&known, |pages| pages.simple.clone())
}

fn json(known: &Known, which: impl Fn(&Pages) -> Arc<str>) -> Response {
    let page = known.view.look().pages(Instant::now()).map(&which);
    let page = page.unwrap_or_else(|| which(&Pages::of_nothing()));
    let headers = [
        ANYBODY,
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=5"),
    ];
    (headers, page.to_string()).into_response()
}

async fn anything_on_air(State(known): State<Known>) -> Response {
    on_air(&known, None)
}

async fn mount_on_air(State(known): State<Known>, Path(mount): Path<String>) -> Response {
    on_air(&known, Some(&format!("/{mount}")))
}

fn on_air(known: &Known, path: Option<&str>) -> Response {
    let is_draining = known.draining.exists();
    let verdict = known.view.look().on_air(path, is_draining, Instant::now());
    let (status, sentence) = match verdict {
        Ok(()) => (StatusCode::OK, "on air".to_owned()),
        Err(Off::Unknown) => (StatusCode::NOT_FOUND, Off::Unknown.to_string()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why.to_string()),
    };
    let headers = [ANYBODY, (CACHE_CONTROL, "no-store")];
    (status, headers, format!("{sentence}\n")).into_response()
}
