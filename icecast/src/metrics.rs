//! What `watch` tells Prometheus. No IO.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::scrape::Told;
use crate::view::Shared;

/// The path of a stream that is fed from a tape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FeedPath {
    /// With its slash.
    pub path: String,
}

/// Why Icecast did not tell how it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// One of a few words.
    pub reason: &'static str,
}

/// How the configuration and the feeds do.
#[derive(Clone, Default)]
pub struct Metrics {
    /// Versions written.
    pub writes: Counter,
    /// Versions kept from Icecast, and writes that failed.
    pub refusals: Counter,
    /// When the last was written, seconds since 1970; 0 before.
    pub last_write: Gauge<i64, AtomicI64>,
    /// 1 while Icecast takes a source from its tape.
    pub feeds: Family<FeedPath, Gauge>,
    /// Looks at Icecast that told nothing.
    pub poll_failures: Family<Reason, Counter>,
}

impl Metrics {
    /// Counts a look that told nothing.
    pub fn poll_failed(&self, reason: &'static str) {
        self.poll_failures.get_or_create(&Reason { reason }).inc();
    }

    /// Under the names Prometheus sees, with what `view` tells of Icecast.
    pub fn register(&self, view: Shared) -> Arc<Registry> {
        let mut whole = Registry::default();
        whole.register_collector(Box::new(Told(view)));
        let registry = whole.sub_registry_with_prefix("icecast_agent");
        registry.register(
            "config_writes",
            "Configurations written for Icecast",
            self.writes.clone(),
        );
        registry.register(
            "config_refusals",
            "Configurations that were not well-formed or could not be written; Icecast keeps the last good one",
            self.refusals.clone(),
        );
        registry.register(
            "config_last_write_timestamp_seconds",
            "When a configuration was last written",
            self.last_write.clone(),
        );
        registry.register(
            "feed_connected",
            "1 while Icecast takes a source from its tape",
            self.feeds.clone(),
        );
        registry.register(
            "stats_poll_failures",
            "Looks at Icecast that told nothing: unreachable, slow, refused, unreadable, full",
            self.poll_failures.clone(),
        );
        Arc::new(whole)
    }
}
