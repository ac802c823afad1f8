//! What Icecast does, as metrics: written from the view at each scrape, so a series goes with its mount. No IO.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::Instant;

use crate::flow::{Air, Flow};
use crate::stats::{Mount, Stats};
use crate::view::{Given, Shared, View, most_listeners};

/// Tells the view.
#[derive(Debug)]
pub struct Told(pub Shared);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let view = self.0.look();
        let stats = view.stats(Instant::now());
        let mut sheet = Sheet(&mut encoder);
        sheet.gauge(
            "icecast_up",
            "1 while Icecast tells how it does",
            u8::from(stats.is_some()),
        )?;
        sheet.gauge(
            "icecast_agent_config_not_applied",
            "1 while Icecast runs with an older configuration than it was given",
            u8::from(view.is_not_applied()),
        )?;
        if let Some(given) = view.given() {
            limits(&mut sheet, given, stats)?;
        }
        if let Some((given, stats)) = view.given().zip(stats) {
            server(&mut sheet, &view, stats)?;
            sources(&mut sheet, &view, given, stats)?;
            listeners(&mut sheet, &view, stats)?;
        }
        Ok(())
    }
}

fn limits(sheet: &mut Sheet, given: &Given, stats: Option<&Stats>) -> fmt::Result {
    let settings = &given.settings;
    sheet.gauge(
        "icecast_clients_limit",
        "Connections of all kinds that Icecast takes",
        settings.clients,
    )?;
    sheet.gauge(
        "icecast_sources_limit",
        "Streams that Icecast takes",
        settings.sources,
    )?;
    let mut limited: Vec<(&str, u64)> = settings
        .paths()
        .filter_map(|path| {
            let mount = stats.and_then(|stats| stats.mounts.get(path));
            Some((path, most_listeners(settings, mount, path)?))
        })
        .collect();
    limited.sort_unstable();
    limited.dedup();
    let text = "Listeners that a mount takes, where it has a limit of its own";
    sheet.gauges("icecast_mount_listeners_limit", text, limited)
}

fn server(sheet: &mut Sheet, view: &View, stats: &Stats) -> fmt::Result {
    sheet.gauge("icecast_clients", "Connections of all kinds", stats.clients)?;
    let text = "Connections for which more than 32 KiB waited in the kernel at two looks in a row";
    sheet.gauge("icecast_slow_listeners", text, view.slow_listeners())?;
    sheet.counter(
        "icecast_connections",
        "Connections since Icecast started",
        stats.connections,
    )?;
    let text = "Listeners since Icecast started";
    sheet.counter("icecast_listener_connections", text, stats.listener_connections)?;
    if let Some(started) = stats.started {
        let text = "When Icecast started";
        sheet.gauge("icecast_start_timestamp_seconds", text, seconds(started))?;
    }
    Ok(())
}

fn sources(sheet: &mut Sheet, view: &View, given: &Given, stats: &Stats) -> fmt::Result {
    let mounts = || stats.mounts.iter().map(|(path, mount)| (path.as_str(), mount));
    let mut up: Vec<(&str, u64)> = mounts()
        .map(|(path, mount)| (path, mount.has_source.into()))
        .collect();
    let missing = given
        .settings
        .paths()
        .filter(|path| !stats.mounts.contains_key(*path));
    up.extend(missing.map(|path| (path, 0)));
    up.sort_unstable();
    up.dedup();
    sheet.gauges(
        "icecast_source_up",
        "1 while a source is connected; 0 also for configured mounts",
        up,
    )?;
    let flows = mounts().map(|(path, _)| (path, u64::from(view.flows().air(path) == Air::Flows)));
    sheet.gauges("icecast_source_flows", "1 while the source sends", flows)?;
    let connected = mounts().filter(|(_, mount)| mount.has_source);
    let since = connected
        .clone()
        .filter_map(|(path, mount)| Some((path, seconds(mount.since?))));
    sheet.gauges(
        "icecast_source_start_timestamp_seconds",
        "When the source came",
        since,
    )?;
    let lag = connected.filter_map(|(path, _)| Some((path, view.flows().0.get(path)?.lag.as_secs())));
    let text = "How long nothing came from the connected source, at the last look (every 10 s)";
    sheet.gauges("icecast_source_lag_seconds", text, lag)
}

fn listeners(sheet: &mut Sheet, view: &View, stats: &Stats) -> fmt::Result {
    let connected = stats.mounts.iter().filter(|(_, mount)| mount.has_source);
    let each = |what: fn(&Mount) -> Option<u64>| {
        connected
            .clone()
            .filter_map(move |(path, mount)| Some((path.as_str(), what(mount)?)))
    };
    let text = "Listeners now; relays are none, where they can be told";
    sheet.gauges("icecast_listeners", text, each(|mount| Some(mount.people())))?;
    let text = "Relays that fetch from here now, on an origin";
    sheet.gauges("icecast_relays", text, each(|mount| mount.relays))?;
    let flows = |what: fn(&Flow) -> u64| {
        let all = view.flows().0.iter();
        all.map(move |(path, flow)| (path.as_str(), what(flow)))
    };
    let text = "Listeners cut because they were further behind than queue-size";
    sheet.counters("icecast_listeners_cut", text, flows(|flow| flow.cut))?;
    sheet.counters(
        "icecast_received_bytes",
        "Bytes from sources",
        flows(|flow| flow.read),
    )?;
    sheet.counters(
        "icecast_sent_bytes",
        "Bytes to listeners",
        flows(|flow| flow.sent),
    )
}

fn seconds(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

struct Sheet<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Sheet<'_, '_> {
    fn gauge(&mut self, name: &str, text: &str, value: impl Into<u64>) -> fmt::Result {
        let line = self.0.encode_descriptor(name, text, None, MetricType::Gauge)?;
        ConstGauge::new(value.into()).encode(line)
    }

    fn counter(&mut self, name: &str, text: &str, value: u64) -> fmt::Result {
        let line = self.0.encode_descriptor(name, text, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(line)
    }

    fn gauges<'m>(
        &mut self,
        name: &str,
        text: &str,
        mounts: impl IntoIterator<Item = (&'m str, u64)>,
    ) -> fmt::Result {
        let mut lines = self.0.encode_descriptor(name, text, None, MetricType::Gauge)?;
        mounts.into_iter().try_for_each(|(path, value)| {
            ConstGauge::new(value).encode(lines.encode_family(&[("mount", path)])?)
        })
    }

    fn counters<'m>(
        &mut self,
        name: &str,
        text: &str,
        mounts: impl IntoIterator<Item = (&'m str, u64)>,
    ) -> fmt::Result {
        let mut lines = self.0.encode_descriptor(name, text, None, MetricType::Counter)?;
        mounts.into_iter().try_for_each(|(path, value)| {
            ConstCounter::new(value).encode(lines.encode_family(&[("mount", path)])?)
        })
    }
}

#[cfg(test)]
mod tests;
