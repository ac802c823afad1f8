//! What the Icecast servers of a Station are told. No IO.

use std::{collections::BTreeMap, time::Duration};

use ::ingest::config::{FEEDS_KEY, Feeds};
use k8s_openapi::{ByteString, api::core::v1::Secret};

use crate::{
    k8s::meta::{Component, names},
    station::{
        icecast::{
            model::{Limits, Passwords, Relay, Server, Stream},
            render::render,
        },
        readers,
        validate::ValidStation,
    },
};

/// Key of the configuration in its Secret.
const KEY: &str = "icecast.xml";
/// Listeners one relay takes; more are refused, and more relays help. Half of what a node's open files allow.
const LISTENERS_PER_RELAY: usize = 5000;
/// Connections beside listeners and sources: probes, the agent, the admin pages.
const SPARE_CLIENTS: usize = 50;
/// A listener this far behind is dropped: 30 s at 128 kbit/s.
const QUEUE_BYTES: u32 = 512 * 1024;
/// Relays need no burst; a small one bridges the moment between their connect and the next bytes.
const ORIGIN_BURST_BYTES: u32 = 4 * 1024;
/// What a player gets at once, and stays behind for good: measured, 0.5 s at 128 kbit/s, where 64 KiB cost 4.1 s.
const RELAY_BURST_BYTES: u32 = 8 * 1024;
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// The origin takes every stream from the playout pods, and gives it to the relays.
pub fn origin(station: &ValidStation) -> Secret {
    let streams = station.heard.len();
    let relays = usize::from(station.spec.relays);
    let limits = Limits {
        // A rolling update has one more relay, and a restarted source may be there twice for a moment.
        clients: streams * (relays + 1) + streams * 2 + SPARE_CLIENTS,
        sources: streams * 2 + SPARE_CLIENTS,
        queue_bytes: QUEUE_BYTES,
        burst_bytes: ORIGIN_BURST_BYTES,
        source_timeout: SOURCE_TIMEOUT,
    };
    let mut secret = secret(
        station,
        names::origin(&station.spec.owner.name),
        Component::Origin,
        &server(station, limits, Vec::new()),
    );
    if !station.ingest.feeds.is_empty() {
        secret
            .data
            .get_or_insert_default()
            .insert(FEEDS_KEY.to_owned(), feeds(station));
    }
    secret
}

/// What the origin's agent takes from the tapes.
fn feeds(station: &ValidStation) -> ByteString {
    let (owner, credentials) = (&station.spec.owner, &station.credentials);
    let feeds = Feeds {
        tape: readers::access(&owner.name, &owner.namespace, &credentials.tape, readers::ORIGIN),
        source_password: credentials.source.reveal().to_owned(),
        feeds: station.ingest.feeds.clone(),
    };
    // A struct of strings always serializes.
    ByteString(serde_json::to_vec(&feeds).unwrap_or_default())
}

/// Each relay has every stream of the origin.
pub fn relay(station: &ValidStation) -> Secret {
    let limits = Limits {
        clients: LISTENERS_PER_RELAY + station.heard.len() + SPARE_CLIENTS,
        sources: station.heard.len() * 2 + SPARE_CLIENTS,
        queue_bytes: QUEUE_BYTES,
        burst_bytes: RELAY_BURST_BYTES,
        source_timeout: SOURCE_TIMEOUT,
    };
    let owner = &station.spec.owner;
    let relays = station
        .heard
        .iter()
        .map(|output| Relay {
            server: names::origin(&owner.name),
            path: output.path.clone(),
            titles: output.titles,
            password: station.credentials.relay.clone(),
        })
        .collect();
    secret(
        station,
        names::relay(&owner.name),
        Component::Relay,
        &server(station, limits, relays),
    )
}

fn server(station: &ValidStation, limits: Limits, relays: Vec<Relay>) -> Server {
    let spec = &station.spec;
    let website = spec.identity.website.as_ref().map(ToString::to_string);
    Server {
        hostname: spec.hostname.clone(),
        location: spec.identity.title.to_string(),
        admin: website.unwrap_or_else(|| format!("Station {}/{}", spec.owner.namespace, spec.owner.name)),
        limits,
        passwords: Passwords {
            source: station.credentials.source.clone(),
            admin: station.credentials.admin.clone(),
            relay: station.credentials.relay.clone(),
        },
        relays,
        streams: station
            .heard
            .iter()
            .map(|output| Stream {
                path: output.path.clone(),
            })
            .collect(),
    }
}

fn secret(station: &ValidStation, name: String, component: Component, server: &Server) -> Secret {
    Secret {
        metadata: station.spec.owner.child(name, component),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            ByteString(render(server).into_bytes()),
        )])),
        ..Secret::default()
    }
}
