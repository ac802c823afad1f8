//! Marks that people set: chapters of what is recorded. IO: HTTP, the tapes.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use tokio::time::timeout;

use super::answer::{self, Refused};
use super::{Desk, access};
use crate::api::{Mark, Marked};
use crate::framing::clean_title;

const LONGEST: usize = 16 << 10;

pub(super) async fn mark(
    State(desk): State<Desk>,
    Path(mount): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let reader = desk.reader(&headers)?;
    if !access::may_mark(&reader) {
        return Err(Refused::no_mark());
    }
    let body = timeout(super::ACK_WITHIN, to_bytes(body, LONGEST)).await;
    let told = body.ok().and_then(Result::ok);
    let told = told.and_then(|body| serde_json::from_slice::<Mark>(&body).ok());
    let text = told.and_then(|mark| clean_title(&mark.text));
    let text = text.ok_or_else(|| Refused::query("A mark is JSON: {\"text\": what begins here}."))?;
    let shelf = Arc::clone(&desk.shelf);
    let of = mount.clone();
    let marked = tokio::task::spawn_blocking(move || shelf.mark(&of, &text)).await;
    let sessions = marked.map_err(|_| Refused::disk())?;
    if sessions.is_empty() {
        return Err(Refused::not_found("No source of this Mount is on the air here."));
    }
    tracing::info!(mount, ?sessions, "a mark was set");
    Ok(answer::json(&Marked { sessions }))
}
