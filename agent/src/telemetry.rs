//! Logging to stderr: JSON for a log store, text for a person. IO: stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// kube's watcher repeats itself on every retry; `watch` says the same once, with what it means for the pod.
const DEFAULT_FILTER: &str = "info,kube_runtime=off,kube_client=error";

/// Logs from here on, as JSON unless `RADIO_LOG=text`, at the levels of `RUST_LOG` (`info` when unset).
/// A second call changes nothing.
pub fn init(process: &'static str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let text = std::env::var_os("RADIO_LOG").is_some_and(|form| form == "text");
    let started = if text {
        lines
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init()
    } else {
        lines.json().flatten_event(true).finish().try_init()
    };
    if started.is_ok() {
        tracing::info!(process, version = env!("CARGO_PKG_VERSION"), "started");
    }
}
