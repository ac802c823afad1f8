//! The twin's own API over HTTP, for a twin that is another process: faults, outages, keys, and the log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{delete, get, put};
use axum::{Json, Router};

use super::fault::Fault;
use super::keyring::Key;
use super::log::Entry;
use super::{Outage, Twin};

/// `GET|POST|DELETE /faults`, `PUT /outage`, `PUT /keys`, `DELETE /keys/{access_key}`, `GET|DELETE /log`.
pub fn control(twin: Arc<Twin>) -> Router {
    Router::new()
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/outage", put(outage))
        .route("/keys", put(put_key))
        .route("/keys/{access_key}", delete(revoke_key))
        .route("/log", get(log).delete(clear_log))
        .with_state(twin)
}

async fn faults(State(twin): State<Arc<Twin>>) -> Json<Vec<Fault>> {
    Json(twin.faults().list())
}

async fn add_fault(State(twin): State<Arc<Twin>>, Json(fault): Json<Fault>) {
    twin.faults().add(fault);
}

async fn clear_faults(State(twin): State<Arc<Twin>>) {
    twin.faults().clear();
}

async fn outage(State(twin): State<Arc<Twin>>, Json(outage): Json<Outage>) {
    twin.outage(outage);
}

async fn put_key(State(twin): State<Arc<Twin>>, Json(key): Json<Key>) {
    twin.keys().put(key);
}

async fn revoke_key(State(twin): State<Arc<Twin>>, Path(access_key): Path<String>) {
    twin.keys().revoke(&access_key);
}

async fn log(State(twin): State<Arc<Twin>>) -> Json<Vec<Entry>> {
    Json(twin.log().entries())
}

async fn clear_log(State(twin): State<Arc<Twin>>) {
    twin.log().clear();
}
