//! Asks a recorder's pod how it is. IO: HTTP.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;

use super::Told;

/// A process that is alive answers at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// A state lists sessions, a line for each.
const LONGEST: usize = 4 << 20;

/// Where its two processes answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// Of capture.
    pub capture: SocketAddr,
    /// Of ship.
    pub ship: SocketAddr,
}

impl Doors {
    /// Of a pod.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self {
            capture: SocketAddr::new(address, crate::recording::build::CAPTURE_PORT),
            ship: SocketAddr::new(address, crate::recording::build::SHIP_PORT),
        }
    }
}

/// Asks with one connection to each.
#[derive(Clone, Debug)]
pub struct Asker(Client<HttpConnector, Body>);

impl Default for Asker {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

impl Asker {
    /// What both say; nothing from one that does not answer, or not as this version knows.
    pub async fn ask(&self, doors: Doors) -> Told {
        let (capture, ship) = tokio::join!(self.state(doors.capture), self.state(doors.ship));
        Told {
            ship,
            capture,
            over_on_tape: false,
        }
    }

    async fn state<T: DeserializeOwned>(&self, door: SocketAddr) -> Option<T> {
        tokio::time::timeout(PATIENCE, self.body(door))
            .await
            .ok()
            .flatten()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    async fn body(&self, door: SocketAddr) -> Option<Vec<u8>> {
        let request = Request::get(format!("http://{door}/v1/state"))
            .body(Body::empty())
            .ok()?;
        let answer = self.0.request(request).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        let bytes = to_bytes(Body::new(answer.into_body()), LONGEST).await.ok()?;
        Some(bytes.to_vec())
    }
}
