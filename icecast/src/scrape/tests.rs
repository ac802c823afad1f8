use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;

use super::*;
use crate::mark;
use crate::metrics::Metrics;
use crate::settings::{Settings, tests::SOUND};
use crate::stats::{read, tests::XIPH, tests::now as clock};
use crate::view::Answer;
use crate::xml::parse;

fn told(shared: &Shared, xml: &str, ago: u64) {
    let asked = Instant::now().checked_sub(Duration::from_secs(ago)).unwrap();
    let given = Given {
        settings: Settings::read(&parse(&SOUND.replace("/live.mp3", "/live")).unwrap()).unwrap(),
        mark: mark::split("[configuration 60]").1,
        at: asked.checked_sub(Duration::from_secs(30)).unwrap(),
    };
    let stats = read(xml.as_bytes(), clock()).unwrap();
    shared
        .change()
        .take(&Arc::new(given), Answer::Told(stats), asked, clock());
}

fn scraped(shared: &Shared) -> String {
    let metrics = Metrics::default();
    metrics.poll_failed("slow");
    let mut text = String::new();
    encode(&mut text, &metrics.register(shared.clone())).unwrap();
    assert!(text.ends_with("# EOF\n"));
    text
}

#[test]
fn icecast_is_told_and_vanishes_with_its_mounts() {
    let shared = Shared::default();
    let nothing = scraped(&shared);
    assert!(
        nothing.contains("icecast_up 0\n") && !nothing.contains("icecast_listeners"),
        "{nothing}"
    );
    told(&shared, XIPH, 10);
    told(
        &shared,
        &XIPH.replace("158200", "158201").replace(">705240<", ">705300<"),
        0,
    );
    let text = scraped(&shared);
    for line in [
        "icecast_up 1",
        "icecast_agent_config_not_applied 1",
        "icecast_agent_stats_poll_failures_total{reason=\"slow\"} 1",
        "icecast_agent_config_writes_total 0",
        "icecast_clients 4",
        "icecast_clients_limit 10",
        "icecast_sources_limit 3",
        "icecast_mount_listeners_limit{mount=\"/live\"} 7",
        "icecast_slow_listeners 0",
        "icecast_connections_total 45",
        "icecast_listener_connections_total 10",
        "icecast_start_timestamp_seconds 1795294452",
        "icecast_listeners{mount=\"/live\"} 2",
        "icecast_listeners{mount=\"/hid\"} 0",
        "icecast_listeners_cut_total{mount=\"/live\"} 3",
        "icecast_source_up{mount=\"/live\"} 1",
        "icecast_source_up{mount=\"/b.mp3\"} 0",
        "icecast_source_up{mount=\"/rest\"} 0",
        "icecast_source_flows{mount=\"/live\"} 1",
        "icecast_source_flows{mount=\"/hid\"} 0",
        "icecast_source_lag_seconds{mount=\"/live\"} 0",
        "icecast_source_lag_seconds{mount=\"/hid\"} 10",
        "icecast_received_bytes_total{mount=\"/live\"} 158201",
        "icecast_sent_bytes_total{mount=\"/live\"} 705300",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is not in:\n{text}");
    }
    assert!(
        !text.contains("icecast_relays{") && !text.contains("icecast_listeners{mount=\"/rest\"}"),
        "{text}"
    );

    told(&shared, "<icestats/>", 0);
    let text = scraped(&shared);
    assert!(
        !text.contains("/hid") && !text.contains("icecast_listeners{"),
        "{text}"
    );
    assert!(text.contains("icecast_source_up{mount=\"/live\"} 0\n"), "{text}");
    told(&shared, XIPH, 30);
    let text = scraped(&shared);
    assert!(
        text.contains("icecast_up 0\n") && !text.contains("icecast_listeners{"),
        "{text}"
    );
}

#[test]
fn a_hostile_path_stays_in_its_label() {
    let shared = Shared::default();
    told(
        &shared,
        &XIPH.replace("\"/live\"", "\"/a&quot;} 9&#10;icecast_up 7&#10;\\\""),
        0,
    );
    let text = scraped(&shared);
    assert!(!text.contains("\nicecast_up 7"), "{text}");
    assert!(
        text.contains("icecast_listeners{mount=\"/a\\\"} 9\\nicecast_up 7\\n\\\\\"} 2\n"),
        "{text}"
    );
}
