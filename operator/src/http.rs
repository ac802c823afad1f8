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

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use kube::core::DeserializeGuard;
    use radio_crds::Station;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        metrics::{Conditions, Ended, Metrics},
        testing::{PLAIN_STATION, fill, yaml},
        watch::Stores,
    };

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn alive_is_not_ready() {
        let readiness = Arc::new(Readiness::new());
        let router = router(readiness.clone(), Arc::default());
        assert_eq!(get(&router, "/healthz").await.0, StatusCode::OK);
        readiness.crds(Err("mounts.radio.moafunk.de not installed".to_owned()));
        let (status, text) = get(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("mounts.radio.moafunk.de not installed"), "{text}");
        readiness.crds(Ok(()));
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn series_have_the_names_dashboards_know() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.controller("station", 8);
        metrics.woken("station");
        metrics.began("station");
        metrics.ended(
            "station",
            std::time::Duration::from_millis(20),
            Ended::Error,
            Some("ApiError"),
        );
        metrics.leading("radio-operator", true);
        let router = router(Arc::default(), Arc::new(registry));
        let (_, text) = get(&router, "/metrics").await;
        for series in [
            "controller_runtime_reconcile_total{controller=\"station\",result=\"error\"} 1",
            "controller_runtime_reconcile_total{controller=\"station\",result=\"success\"} 0",
            "controller_runtime_reconcile_errors_total{controller=\"station\"} 1",
            "controller_runtime_reconcile_time_seconds_count{controller=\"station\"} 1",
            "controller_runtime_active_workers{controller=\"station\"} 0",
            "controller_runtime_max_concurrent_reconciles{controller=\"station\"} 8",
            "workqueue_adds_total{name=\"station\"} 1",
            "workqueue_retries_total{name=\"station\"} 1",
            "leader_election_master_status{name=\"radio-operator\"} 1",
        ] {
            assert!(text.contains(series), "{series} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn conditions_vanish_with_their_object() {
        let (stores, mut writers) = Stores::empty();
        let mut registry = Registry::default();
        Conditions::register(&mut registry, Arc::new(stores));
        let router = router(Arc::default(), Arc::new(registry));

        let mut station: Station = yaml(PLAIN_STATION);
        station.status = yaml(
            "{conditions: [{type: Ready, status: 'False', reason: Progressing, message: m, \
             lastTransitionTime: '2026-08-01T10:00:00Z'}]}",
        );
        let guarded = DeserializeGuard(Ok(station));
        fill(&mut writers.stations, [guarded.clone()]);
        let (_, text) = get(&router, "/metrics").await;
        let series = "radio_resource_status_condition{kind=\"Station\",namespace=\"city\",name=\"radio\",\
                      condition=\"Ready\",status=\"False\",reason=\"Progressing\"} 1";
        assert!(text.contains(series), "{text}");

        writers
            .stations
            .apply_watcher_event(&kube::runtime::watcher::Event::Delete(guarded));
        assert!(!get(&router, "/metrics").await.1.contains("city"));
    }
}
