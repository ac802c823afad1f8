//! What Kubernetes and Prometheus ask a process: is it alive, is it ready, how does it do. IO: one listening socket.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

/// Says whether the process does its work, and if not, why (for a person who reads the probe's answer).
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Process {
    registry: Arc<Registry>,
    ready: Ready,
}

/// Serves `/healthz` (200 while the process runs), `/readyz` (503 with the reason when `ready` refuses) and
/// `/metrics` on `addr`. Returns only when the socket cannot be had or breaks.
pub async fn serve(addr: SocketAddr, registry: Arc<Registry>, ready: Ready) -> std::io::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    axum::serve(listener, routes(registry, ready)).await
}

/// The same, for a process that has more to tell on its socket.
pub fn routes(registry: Arc<Registry>, ready: Ready) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Process { registry, ready })
}

async fn readyz(State(process): State<Process>) -> Response {
    match (process.ready)() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(process): State<Process>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &process.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(failure) => {
            tracing::error!(%failure, "a metric cannot be written as text; the scrape is refused");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(addr: SocketAddr, path: &str) -> String {
        let mut socket = loop {
            match TcpStream::connect(addr).await {
                Ok(socket) => break socket,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_probes_and_scrapes() {
        let addr = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut registry = Registry::default();
        let writes: Counter = Counter::default();
        registry.register("config_writes", "Configs written", writes.clone());
        writes.inc_by(7);
        let on_air = Arc::new(AtomicBool::new(false));
        let seen = on_air.clone();
        let ready: Ready = Arc::new(move || {
            seen.load(Ordering::SeqCst)
                .then_some(())
                .ok_or_else(|| "no source on /live".to_owned())
        });
        let server = tokio::spawn(serve(addr, Arc::new(registry), ready));

        assert!(ask(addr, "/healthz").await.starts_with("HTTP/1.1 200"));
        let refused = ask(addr, "/readyz").await;
        assert!(
            refused.starts_with("HTTP/1.1 503") && refused.ends_with("\r\n\r\nno source on /live\n"),
            "{refused}"
        );
        on_air.store(true, Ordering::SeqCst);
        assert!(ask(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
        let scrape = ask(addr, "/metrics").await;
        assert!(
            scrape.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n")
        );
        assert!(
            scrape.contains("config_writes_total 7\n") && scrape.ends_with("# EOF\n"),
            "{scrape}"
        );
        assert!(ask(addr, "/").await.starts_with("HTTP/1.1 404"));

        let taken = serve(addr, Arc::default(), Arc::new(|| Ok(())))
            .await
            .unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        server.abort();
    }
}
