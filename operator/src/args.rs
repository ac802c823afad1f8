//! How the operator is started. No IO.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// The Kubernetes operator for internet radio.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Image of Icecast origins and relays whose Station names none.
    #[arg(long, env = "RADIO_ICECAST_IMAGE")]
    pub icecast_image: String,

    /// Image of playout pods whose Mount names none.
    #[arg(long, env = "RADIO_LIQUIDSOAP_IMAGE")]
    pub liquidsoap_image: String,

    /// Image of the ingest of Stations that name none.
    #[arg(long, env = "RADIO_INGEST_IMAGE")]
    pub ingest_image: String,

    /// Image of the recorders.
    #[arg(long, env = "RADIO_RECORDER_IMAGE")]
    pub recorder_image: String,

    /// How many objects of a kind are reconciled at the same time.
    #[arg(long, env = "RADIO_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Namespace of the operator; its Lease is there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub namespace: String,

    /// The pod this replica runs in; without one, it only shares the Lease.
    #[arg(long, env = "POD_NAME")]
    pub pod: Option<String>,

    /// Whether replicas agree on one that works. `off` only where there is never a second one.
    #[arg(long, env = "RADIO_LEASE", default_value = "on")]
    pub lease: Switch,

    /// Address for /healthz, /readyz and /metrics.
    #[arg(long, env = "RADIO_HTTP", default_value = "0.0.0.0:8080")]
    pub http: SocketAddr,
}

impl Args {
    /// What this replica is called in Events and logs.
    #[must_use]
    pub fn replica(&self) -> &str {
        self.pod.as_deref().unwrap_or("radio-operator")
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
