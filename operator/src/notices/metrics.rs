//! What is scraped of shows and notices, read from our copies: a series cannot outlive its object. No IO.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use kube::ResourceExt;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use radio_crds::{
    Show, Station,
    notify::DrillState,
    show::{Notice, NoticeState},
};

use crate::watch::Stores;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfShow {
    namespace: String,
    show: String,
    mount: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfNotice {
    namespace: String,
    show: String,
    slot: String,
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStation {
    namespace: String,
    station: String,
}

/// The series of all Shows and Stations.
pub struct Scraped(Arc<Stores>);

/// Registers `radio_show_slot_expected`, `radio_notice_raised`, `radio_notice_delivered`, `radio_drill_failed` and
/// `radio_drill_delivered_timestamp_seconds`.
pub fn register(registry: &mut Registry, stores: Arc<Stores>) {
    registry.register_collector(Box::new(Scraped(stores)));
}

impl fmt::Debug for Scraped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scraped")
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let shows = self.0.shows.state();
        let shows: Vec<&Show> = shows.iter().filter_map(|show| show.0.as_ref().ok()).collect();
        expected(&shows, Timestamp::now(), &mut encoder)?;
        notices(
            &shows,
            ("radio_notice_raised", "Slots that were not what they should be"),
            |_| true,
            &mut encoder,
        )?;
        notices(
            &shows,
            (
                "radio_notice_delivered",
                "Those of them that somebody was told of",
            ),
            is_delivered,
            &mut encoder,
        )?;
        let stations = self.0.stations.state();
        let stations = stations.iter();
        let stations: Vec<&Station> = stations.filter_map(|station| station.0.as_ref().ok()).collect();
        drills(&stations, &mut encoder)
    }
}

/// Somebody was: where nobody is to be, Prometheus has to.
fn is_delivered(notice: &Notice) -> bool {
    let open = matches!(notice.state, NoticeState::Due | NoticeState::Undelivered);
    !open && !notice.told.is_empty()
}

fn expected(shows: &[&Show], now: Timestamp, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "radio_show_slot_expected",
        "1 while a slot of a Show is on, else 0",
        None,
        MetricType::Gauge,
    )?;
    for show in shows {
        let under_way = show.status.iter().flat_map(|status| &status.under_way);
        let mut on = under_way
            .filter(|slot| slot.taken_by.is_none())
            .filter(|slot| (slot.start..slot.end).contains(&now));
        let labels = OfShow {
            namespace: show.namespace().unwrap_or_default(),
            show: show.name_any(),
            mount: show.spec.mount_ref.name.clone(),
        };
        ConstGauge::new(i64::from(on.next().is_some())).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn notices(
    shows: &[&Show],
    (name, help): (&str, &str),
    wanted: fn(&Notice) -> bool,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for show in shows {
        let told = show.status.iter().flat_map(|status| &status.notices);
        for notice in told.filter(|notice| wanted(notice)) {
            let labels = OfNotice {
                namespace: show.namespace().unwrap_or_default(),
                show: show.name_any(),
                slot: notice.slot.to_string(),
                kind: format!("{:?}", notice.kind),
            };
            ConstGauge::new(1_i64).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn drills(stations: &[&Station], encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let drilled = || {
        stations.iter().filter_map(|station| {
            let drill = station.status.as_ref()?.drill.as_ref()?;
            let labels = OfStation {
                namespace: station.namespace().unwrap_or_default(),
                station: station.name_any(),
            };
            Some((labels, drill))
        })
    };
    let mut failed = encoder.encode_descriptor(
        "radio_drill_failed",
        "1 while the newest drill has not arrived within 10 minutes",
        None,
        MetricType::Gauge,
    )?;
    for (labels, drill) in drilled() {
        let value = i64::from(drill.state == DrillState::Failed);
        ConstGauge::new(value).encode(failed.encode_family(&labels)?)?;
    }
    let mut delivered = encoder.encode_descriptor(
        "radio_drill_delivered_timestamp_seconds",
        "When the newest drill had arrived, if it has",
        None,
        MetricType::Gauge,
    )?;
    for (labels, drill) in drilled() {
        if let Some(at) = drill.delivered_at {
            ConstGauge::new(at.as_second()).encode(delivered.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kube::core::DeserializeGuard;
    use prometheus_client::encoding::text::encode;
    use serde_json::json;

    use super::*;
    use crate::{
        testing::{fill, stores},
        watch::Writers,
    };

    const LABELS: &str = r#"namespace="city",show="night",slot="2026-11-21T20:00:00Z",kind="Missed""#;

    fn scraped(stores: &Arc<Stores>) -> Vec<String> {
        let mut registry = Registry::default();
        register(&mut registry, stores.clone());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        series.map(str::to_owned).collect()
    }

    fn put(writers: &mut Writers, state: &str, told: &[&str]) {
        let now = Timestamp::now();
        let show = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show",
            "metadata": {"name": "night", "namespace": "city"},
            "spec": {
                "mountRef": {"name": "live"}, "title": "Night Shift",
                "schedule": {"cron": "0 20 * * *", "duration": "2h"},
            },
            "status": {
                "underWay": [{
                    "start": now - SignedDuration::from_mins(5), "end": now + SignedDuration::from_mins(5), "opens": now,
                    "closes": now, "hardEnd": false,
                }],
                "notices": [{
                    "slot": "2026-11-21T20:00:00Z", "kind": "Missed", "state": state, "at": "2026-11-21T20:05:00Z",
                    "message": "nobody is there", "told": told,
                }],
            },
        });
        let show = DeserializeGuard(Ok(serde_json::from_value(show).unwrap()));
        fill(&mut writers.shows, [show]);
    }

    #[test]
    fn what_was_told_and_what_was_not() {
        let (stores, mut writers) = stores(&[], &[]);
        let stores = Arc::new(stores);
        assert_eq!(scraped(&stores), [""; 0]);
        let expected = r#"radio_show_slot_expected{namespace="city",show="night",mount="live"} 1"#;
        let raised = format!("radio_notice_raised{{{LABELS}}} 1");
        let delivered = format!("radio_notice_delivered{{{LABELS}}} 1");
        for (state, told, is_delivered) in [
            ("Due", &[][..], false),
            ("Due", &["Webhook"], false),
            ("Told", &["Webhook"], true),
            ("Recovered", &["Webhook"], true),
            ("Undelivered", &["Webhook"], false),
            // There is nobody to be told.
            ("Told", &[], false),
        ] {
            put(&mut writers, state, told);
            let mut series = vec![expected.to_owned(), raised.clone()];
            if is_delivered {
                series.push(delivered.clone());
            }
            assert_eq!(scraped(&stores), series, "{state} {told:?}");
        }
    }

    #[test]
    fn how_the_newest_drill_went() {
        let (stores, mut writers) = stores(&[], &[]);
        let stores = Arc::new(stores);
        let of = |drill: serde_json::Value| {
            let station = json!({
                "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Station",
                "metadata": {"name": "radio", "namespace": "city"}, "spec": {"title": "Radio"},
                "status": {"drill": drill},
            });
            DeserializeGuard(Ok(serde_json::from_value(station).unwrap()))
        };
        let (due, late) = ("2026-11-21T12:00:00Z", "2026-11-21T12:10:00Z");
        fill(
            &mut writers.stations,
            [of(json!({"due": due, "state": "Failed", "at": late}))],
        );
        let failed = |value| format!("radio_drill_failed{{namespace=\"city\",station=\"radio\"}} {value}");
        assert_eq!(scraped(&stores), [failed(1)]);
        let told = json!({"due": due, "state": "Told", "at": late, "deliveredAt": late});
        fill(&mut writers.stations, [of(told)]);
        let delivered =
            r#"radio_drill_delivered_timestamp_seconds{namespace="city",station="radio"} 1795263000"#;
        assert_eq!(scraped(&stores), [failed(0), delivered.to_owned()]);
    }
}
