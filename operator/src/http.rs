//! `/healthz`, `/readyz`, `/metrics`. IO.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::health::Readiness;

struct Server {
    readiness: Arc<Readiness>,
    registry: Arc<Registry>,
}

/// Serves until the process ends.
pub async fn serve(
    address: SocketAddr,
    readiness: Arc<Readiness>,
    registry: Arc<Registry>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router(readiness, registry)).await
}

fn router(readiness: Arc<Readiness>, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Server { readiness, registry }))
}

async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.readiness.check() {
        Ok(()) => "ok\n".into_response(),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing).into_response(),
    }
}

async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &server.registry) {
        Ok(()) => (
            [(
                CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to encode metrics: {error}\n"),
        )
            .into_response(),
    }
}
