//! A twin of Cloudflare R2: an S3 proxy in front of a real S3 server that keeps R2's documented rules, and on which things go
//! wrong on demand.
//!
//! It checks signatures itself, under key pairs that tests can rotate, and signs anew for the store behind, so that a byte can be
//! turned behind the checks. Bodies are streamed; only completing an upload and turning a byte hold one in memory.
//! Where Cloudflare's documentation is silent the twin is the stricter one; `rules` tells where.

mod backend;
mod body;
mod control;
mod cut;
mod door;
mod fault;
mod keyring;
mod lifecycle;
mod log;
mod multipart;
mod operation;
mod pace;
mod refusal;
mod rules;
mod serve;
mod signature;
mod versity;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use backend::Backend;
pub use control::control;
pub use fault::{Effect, Fault, Faults, When};
pub use keyring::{Key, Keyring};
pub use log::{Entry, Log, Outcome};
pub use operation::Operation;
pub use signature::hex;
pub use versity::VersityGw;

use crate::cluster;
use door::Door;
use lifecycle::Lifecycles;
use serve::Shared;

/// Whose rules the twin keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Cloudflare R2's.
    R2,
    /// None but those of the store behind; faults work all the same.
    None,
}

/// Whether the twin can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// It can.
    #[default]
    None,
    /// Connections are refused, and those that were there are reset.
    Refuse,
    /// Connections are taken and nothing ever comes back.
    Blackhole,
}

/// A running twin; it ends when it is dropped.
pub struct Twin {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Twin {
    /// Starts one; port 0 takes a free one. Without a key in [`Twin::keys`] it refuses everybody.
    pub fn start(listen: SocketAddr, backend: Backend, rules: Rules) -> Result<Self> {
        Self::behind(Door::at(listen, None)?, backend, rules)
    }

    /// Starts one that the local cluster's pods reach; the store behind is reached from the host.
    pub fn start_in_cluster(backend: Backend, rules: Rules) -> Result<Self> {
        let any = format!("{}:0", cluster::CONTROL_PLANE_ADDRESS).parse()?;
        let network = cluster::network_of(cluster::CONTROL_PLANE);
        let door =
            Door::at(any, Some(network)).context("the local cluster has no network: `make up` first")?;
        Self::behind(door, backend, rules)
    }

    fn behind(door: Door, backend: Backend, rules: Rules) -> Result<Self> {
        let shared = Arc::new(Shared {
            backend,
            rules,
            keys: Keyring::default(),
            faults: Faults::default(),
            log: Log::default(),
            lifecycles: Lifecycles::default(),
            outage: watch::Sender::default(),
            pace: std::sync::Mutex::default(),
            completing: tokio::sync::Mutex::default(),
        });
        let (address, listener) = (door.address(), door.open()?);
        let serving = door.serve(listener, shared.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("the twin of R2 is closed: {error:#}");
            }
        });
        Ok(Self {
            address,
            shared,
            serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for S3 clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Which key pairs open it.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.shared.keys
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// Makes it unreachable, or reachable again.
    pub fn outage(&self, outage: Outage) {
        self.shared.outage.send_replace(outage);
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
