//! What capture tells of itself. IO: one listening socket.

use std::io;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::{Shared, locked};
use crate::report::{CaptureState, Captured};

pub(super) async fn serve(listener: TcpListener, shared: &Shared) -> io::Result<()> {
    let mut registry = Registry::default();
    registry.register(
        "radio_recorder_captured_bytes",
        "Bytes that were copied from tapes to the spool",
        shared.captured.clone(),
    );
    registry.register_collector(Box::new(Gauges(shared.clone())));
    let told = shared.clone();
    let routes = Router::new()
        .route("/v1/state", get(move || std::future::ready(Json(state(&told)))))
        .merge(agent::health::routes(Arc::new(registry), Arc::new(|| Ok(()))));
    axum::serve(listener, routes).await
}

fn state(shared: &Shared) -> CaptureState {
    CaptureState {
        spool_bytes: shared.room.used(),
        spool_cap_bytes: shared.room.cap(),
        spool_fill: shared.room.fill(),
        waits_for_room: shared.room.is_full(),
        sessions: progress(shared),
    }
}

fn progress(shared: &Shared) -> Vec<Captured> {
    let followed = locked(&shared.followed);
    let progress = followed.iter().map(|(id, local)| Captured {
        id: id.clone(),
        captured: local.tape_end(),
    });
    progress.collect()
}

/// Read when they are asked for: series of sessions go with them.
struct Gauges(Shared);

impl std::fmt::Debug for Gauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let whole = |bytes: u64| ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let plain = [
            (
                "radio_recorder_spool_bytes",
                "Bytes the spool takes on its disk",
                self.0.room.used(),
            ),
            (
                "radio_recorder_spool_cap_bytes",
                "Most bytes the spool may take",
                self.0.room.cap(),
            ),
        ];
        for (name, help, bytes) in plain {
            let gauge = whole(bytes);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let mut metric = encoder.encode_descriptor(
            "radio_recorder_captured_offset",
            "Bytes of a session's tape that are in the spool",
            None,
            MetricType::Gauge,
        )?;
        for session in progress(&self.0) {
            let labels = [("session", session.id.as_str())];
            whole(session.captured).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
