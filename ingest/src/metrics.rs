//! What the ingest counts, and what it finds when it is asked. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::api::RefusalReason;
use crate::clock::Reading;
use crate::config::{Ingest, Input, Routing};
use crate::desk::Desk;
use crate::tape::{Session, Shelf};

/// Least media a bitrate is measured over.
const MEASURED_OVER: Duration = Duration::from_secs(5);

const EVERY_REASON: [RefusalReason; 8] = [
    RefusalReason::Unauthorized,
    RefusalReason::UnknownPath,
    RefusalReason::OutsideWindow,
    RefusalReason::Taken,
    RefusalReason::UnsupportedFormat,
    RefusalReason::BadRequest,
    RefusalReason::TimedOut,
    RefusalReason::TooMany,
];

/// An input of a Mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Of {
    mount: String,
    input: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct For {
    reason: &'static str,
}

/// What is counted as it happens. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    bytes: Family<Of, Counter>,
    sessions: Family<Of, Counter>,
    handovers: Family<Of, Counter>,
    refusals: Family<For, Counter>,
    known: Arc<Mutex<BTreeSet<Of>>>,
}

impl Metrics {
    /// Every input has its series from the beginning, and takes them with it when it goes.
    pub fn follow(&self, config: &Ingest) {
        let inputs: BTreeSet<Of> = config.inputs.iter().map(Of::from).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.difference(&inputs) {
            self.bytes.remove(gone);
            self.sessions.remove(gone);
            self.handovers.remove(gone);
        }
        for new in inputs.difference(&known) {
            drop(self.bytes.get_or_create(new));
            drop(self.sessions.get_or_create(new));
            drop(self.handovers.get_or_create(new));
        }
        *known = inputs;
    }

    /// A source has begun; its bytes go into the counter.
    #[must_use]
    pub fn session_begins(&self, input: &Input) -> Counter {
        let of = Of::from(input);
        // An input that has just gone must not come back as a series.
        if let Some(sessions) = self.sessions.get(&of) {
            sessions.inc();
        }
        self.bytes.get(&of).map(|bytes| bytes.clone()).unwrap_or_default()
    }

    /// The presenter of a show has replaced the one before.
    pub fn handed_over(&self, input: &Input) {
        if let Some(handovers) = self.handovers.get(&Of::from(input)) {
            handovers.inc();
        }
    }

    /// Somebody was not let in.
    pub fn refused(&self, reason: RefusalReason) {
        let reason = reason.as_str();
        self.refusals.get_or_create(&For { reason }).inc();
    }

    /// A registry that shows these, and what can be seen of tapes and readers at the moment it is asked.
    #[must_use]
    pub fn registry(&self, config: watch::Receiver<Arc<Ingest>>, tapes: Arc<Shelf>, desk: Desk) -> Registry {
        let mut all = Registry::with_prefix("radio");
        all.register("ingest_bytes", "Bytes sources have sent", self.bytes.clone());
        all.register(
            "ingest_sessions",
            "Connections of sources that sent audio",
            self.sessions.clone(),
        );
        all.register(
            "ingest_handovers",
            "Sources that were replaced by the presenter of the next show",
            self.handovers.clone(),
        );
        // A first refusal is an increase only where there was a 0 before.
        for reason in EVERY_REASON.map(RefusalReason::as_str) {
            drop(self.refusals.get_or_create(&For { reason }));
        }
        all.register(
            "ingest_refusals",
            "Sources and titles that were not let in",
            self.refusals.clone(),
        );
        all.register_collector(Box::new(Look {
            config,
            tapes,
            desk,
            marks: Mutex::default(),
        }));
        all
    }
}

impl From<&Input> for Of {
    fn from(input: &Input) -> Self {
        Self {
            mount: input.mount.clone(),
            input: input.name.clone(),
        }
    }
}

/// What is looked up when somebody asks, so that it costs nothing otherwise and nothing can be left over.
struct Look {
    config: watch::Receiver<Arc<Ingest>>,
    tapes: Arc<Shelf>,
    desk: Desk,
    /// By session.
    marks: Mutex<BTreeMap<String, Mark>>,
}

/// Where a session was when its bitrate was last measured.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mark {
    bytes: u64,
    media: Duration,
    kbps: Option<f64>,
}

impl Mark {
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of a few seconds are far below 2^52"
    )]
    fn next(&self, bytes: u64, media: Duration) -> Self {
        let passed = media.saturating_sub(self.media);
        if passed < MEASURED_OVER {
            return self.clone();
        }
        let sent = bytes.saturating_sub(self.bytes) as f64;
        Self {
            bytes,
            media,
            kbps: Some(sent * 8.0 / 1000.0 / passed.as_secs_f64()),
        }
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").finish_non_exhaustive()
    }
}

impl Collector for Look {
    fn encode(&self, mut to: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.sources(&mut to)?;
        self.clock(&mut to)?;
        self.tapes(&mut to)?;
        self.readers(&mut to)
    }
}

impl Look {
    fn sources(&self, to: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let config = self.config.borrow().clone();
        let live: Vec<Arc<Session>> = self
            .tapes
            .sessions()
            .into_iter()
            .filter(|it| it.is_live())
            .collect();
        let at = |input: &Input| {
            live.iter().find(|session| {
                (&session.about().mount, &session.about().input) == (&input.mount, &input.name)
            })
        };
        let mut connected = gauge(
            to,
            "ingest_source_connected",
            "1 while a source sends to an input",
        )?;
        for input in &config.inputs {
            put(&mut connected, &Of::from(input), &i64::from(at(input).is_some()))?;
        }
        let mut on_air = gauge(to, "ingest_source_live", "1 while a source is routed live")?;
        for input in &config.inputs {
            let is_live = at(input).is_some_and(|session| session.routing() == Routing::Live);
            put(&mut on_air, &Of::from(input), &i64::from(is_live))?;
        }
        let mut bitrate = gauge(
            to,
            "ingest_bitrate_kbps",
            "Bits for each second of media, from the stream itself",
        )?;
        let marks = self.marks(&live);
        for input in &config.inputs {
            let kbps = at(input).and_then(|session| marks.get(session.id())?.kbps);
            if let Some(kbps) = kbps {
                put(&mut bitrate, &Of::from(input), &kbps)?;
            }
        }
        let mut codec = gauge(
            to,
            "ingest_codec_info",
            "What a source sends, from the stream itself",
        )?;
        for input in &config.inputs {
            let Some(session) = at(input).map(|session| session.describe()) else {
                continue;
            };
            let labels = [
                ("mount", input.mount.as_str()),
                ("input", input.name.as_str()),
                ("container", session.container.content_type()),
                ("codec", session.codec.as_deref().unwrap_or("unknown")),
            ];
            put(&mut codec, &labels, &1_i64)?;
        }
        Ok(())
    }

    fn marks(&self, live: &[Arc<Session>]) -> BTreeMap<String, Mark> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        *marks = live
            .iter()
            .map(|session| {
                let before = marks.get(session.id()).cloned().unwrap_or_default();
                (
                    session.id().to_owned(),
                    before.next(session.bytes(), session.media()),
                )
            })
            .collect();
        marks.clone()
    }

    fn clock(&self, to: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let Reading { ahead, error } = self.tapes.clock().read();
        // Absent as long as the API server has told nothing: a 0 would be a lie.
        let error = error.map(|error| error.as_secs_f64());
        let gauges = [
            (
                "ingest_clock_ahead_seconds",
                "How far the time that counts is ahead of the node's clock",
                Some(ahead.as_secs_f64()),
            ),
            (
                "ingest_clock_error_seconds",
                "The time that counts is no further than this from the API server's",
                error,
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let encoder = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(encoder)?;
            }
        }
        Ok(())
    }

    fn tapes(&self, to: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let figures = self.tapes.figures();
        let gauges = [
            ("tape_bytes", "Bytes all tapes take", figures.tape_bytes),
            (
                "tape_cap_bytes",
                "Most bytes all tapes may take",
                self.config.borrow().tape_cap_bytes,
            ),
            (
                "tape_sessions_in_memory",
                "Sessions the disk does not take now",
                figures.in_memory as u64,
            ),
        ];
        for (name, help, value) in gauges {
            ConstGauge::new(value).encode(to.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let counters = [
            (
                "tape_write_errors",
                "Writes and syncs that failed",
                figures.write_errors,
            ),
            (
                "tape_lost_bytes",
                "Bytes that neither disk nor memory took",
                figures.lost_bytes,
            ),
            (
                "tape_given_up_bytes",
                "Bytes no Recording had that went because of the cap",
                figures.given_up_bytes,
            ),
        ];
        for (name, help, value) in counters {
            ConstCounter::new(value).encode(to.encode_descriptor(
                name,
                help,
                None,
                MetricType::Counter,
            )?)?;
        }
        Ok(())
    }

    /// Of a reader's connections to one input the one that is furthest behind.
    fn readers(&self, to: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut behind = BTreeMap::new();
        for lag in self.desk.lags() {
            let furthest: &mut u64 = behind.entry((lag.reader, lag.mount, lag.input)).or_default();
            *furthest = lag.bytes.max(*furthest);
        }
        let mut family = gauge(
            to,
            "reader_lag_bytes",
            "Bytes on tape that a reader has not taken yet",
        )?;
        for ((reader, mount, input), bytes) in &behind {
            let labels = [("reader", reader), ("mount", mount), ("input", input)];
            let labels = labels.map(|(name, value)| (name, value.as_str()));
            put(&mut family, &labels, bytes)?;
        }
        Ok(())
    }
}

fn gauge<'s>(
    to: &'s mut DescriptorEncoder,
    name: &'s str,
    help: &str,
) -> Result<MetricEncoder<'s>, fmt::Error> {
    to.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn put(
    family: &mut MetricEncoder,
    labels: &impl EncodeLabelSet,
    value: &impl EncodeGaugeValue,
) -> Result<(), fmt::Error> {
    family.encode_family(labels)?.encode_gauge(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_bytes_by_media() {
        let start = Mark::default();
        let early = start.next(16_000, Duration::from_secs(1));
        assert_eq!(early.kbps, None);
        let first = early.next(160_000, Duration::from_secs(10));
        assert_eq!(first.kbps, Some(128.0));
        assert_eq!(first.next(170_000, Duration::from_secs(14)), first);
        assert_eq!(first.next(400_000, Duration::from_secs(20)).kbps, Some(192.0));
    }
}
