//! Logs to stderr: JSON, or text with `RADIO_LOG=text`; level by `RUST_LOG`, default info. IO.

use tracing_subscriber::{EnvFilter, fmt};

/// Call once, first.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var("RADIO_LOG").is_ok_and(|format| format == "text") {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
}
