//! The doors from the host into the cluster: local ports that lead to its inner addresses. Does IO.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::netns;

/// Port 8000: the example station's listeners.
pub const LISTENERS: u16 = 8000;
/// Port 8005: the example station's sources.
pub const SOURCES: u16 = 8005;
/// Port 9000: S3.
pub const S3: u16 = 9000;
/// The first choice for the API server.
pub const API: u16 = 16443;
/// The Service behind port 8000. Fixed, as the others are, so that the door need not ask.
pub const LISTENERS_SERVICE: &str = "10.96.0.80";
/// The Service behind port 8005.
pub const SOURCES_SERVICE: &str = "10.96.0.85";

/// The Services behind the ports 8000 and 8005: the relays and the ingest of the example station.
pub fn objects() -> Vec<Value> {
    let service = |name: &str, address: &str, port: u16, component: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "radio" },
            "spec": {
                "clusterIP": address,
                "selector": {
                    "radio.moafunk.de/station": "example", "app.kubernetes.io/component": component,
                },
                "ports": [{ "name": component, "port": port, "targetPort": port, "protocol": "TCP" }],
            },
        })
    };
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "radio" } }),
        service("door", LISTENERS_SERVICE, LISTENERS, "relay"),
        service("door-sources", SOURCES_SERVICE, SOURCES, "ingest"),
    ]
}

/// One door: a port of the host's loopback, and where it leads.
pub struct Door {
    listener: TcpListener,
    leads_to: SocketAddr,
}

/// Whether nobody listens at this port of the host's loopback.
#[must_use]
pub fn is_free(port: u16) -> bool {
    StdListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl Door {
    /// Opens a door in the host's network.
    pub async fn open(port: u16, leads_to: &str) -> Result<Self> {
        let leads_to = leads_to
            .parse()
            .with_context(|| format!("{leads_to} is no address"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot listen at 127.0.0.1:{port}"))?;
        Ok(Self { listener, leads_to })
    }

    /// Lets everyone through, for ever.
    pub async fn keep(self) {
        loop {
            match self.listener.accept().await {
                Ok((visitor, _)) => {
                    tokio::spawn(pass(visitor, self.leads_to));
                }
                // Out of file descriptors, most likely: others will leave.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }
}

async fn pass(mut visitor: TcpStream, leads_to: SocketAddr) {
    let Ok(mut inside) = netns::dial(leads_to).await else {
        return;
    };
    let _ = visitor.set_nodelay(true);
    let _ = inside.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut visitor, &mut inside).await;
}
