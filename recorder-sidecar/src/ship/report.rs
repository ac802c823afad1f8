//! What ship tells of itself. IO: one listening socket.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::report::ShipState;
use crate::store::Store;

/// Shared with whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Report {
    store: Store,
    state: Arc<Mutex<ShipState>>,
    pub stored: Counter,
}

impl Report {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            state: Arc::default(),
            stored: Counter::default(),
        }
    }

    pub fn tell(&self, state: ShipState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> ShipState {
        ShipState {
            trouble: self.store.trouble(),
            ..self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let mut registry = Registry::default();
        registry.register(
            "radio_recorder_stored_bytes",
            "Bytes of segments that the store has taken",
            self.stored.clone(),
        );
        self.store.register(&mut registry);
        registry.register_collector(Box::new(Gauges(self.clone())));
        let routes = Router::new()
            .route("/v1/state", get(move || std::future::ready(Json(self.state()))))
            .merge(agent::health::routes(Arc::new(registry), Arc::new(|| Ok(()))));
        axum::serve(listener, routes).await
    }
}

/// Read when they are asked for: series of sessions go with them.
#[derive(Debug)]
struct Gauges(Report);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let state = self.0.state();
        if let Some(last) = state.last_stored {
            let gauge = ConstGauge::new(last.as_second());
            let help = "When the store last took a segment, in seconds of Unix time";
            let name = "radio_recorder_last_stored_timestamp_seconds";
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let mut metric = encoder.encode_descriptor(
            "radio_recorder_stored_offset",
            "Bytes of a session that are in the bucket or lost",
            None,
            MetricType::Gauge,
        )?;
        for session in state.sessions.iter().filter(|session| !session.complete) {
            let gauge = ConstGauge::new(i64::try_from(session.stored).unwrap_or(i64::MAX));
            let labels = [("session", session.id.as_str())];
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
