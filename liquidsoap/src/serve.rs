//! The agent of one Mount's pod: wires the parts, and ends when one of them cannot go on. IO: sockets, run directory.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};

use crate::conductor::Conductor;
use crate::config::Playout;
use crate::engine::{Addresses, FILE, Radio};
use crate::intake::{self, Outputs};
use crate::library::{self, Places};
use crate::live::{self, Harbor};
use crate::metrics::Metrics;
use crate::next::{self, Shared};
use crate::origins;
use crate::output::Output;
use crate::settings::{self, Cluster, Settings};

/// How the agent is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// The Secret to follow through the API; without it, or outside a cluster, only `--mounted` counts.
    #[arg(long)]
    pub secret: Option<String>,
    /// The directory where that Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// What Liquidsoap reads is written here.
    #[arg(long, default_value = "/run/radio")]
    pub run_dir: PathBuf,
    /// Volumes with playlists are mounted below it.
    #[arg(long, default_value = "/playlists")]
    pub playlists_dir: PathBuf,
    /// For probes and scrapes.
    #[arg(long, default_value = "0.0.0.0:8001")]
    pub health: SocketAddr,
    /// The pod's namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// The loopback addresses.
    #[command(flatten)]
    pub addresses: Addresses,
}

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing to start with.
    #[error(transparent)]
    Settings(#[from] settings::Error),
    /// No way to the API.
    #[error(transparent)]
    Cluster(#[from] agent::watch::ConnectError),
    /// The file for Liquidsoap.
    #[error("{FILE} cannot be written to {}: {cause}", at.display())]
    RunDir {
        /// The run directory.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A part that runs for ever did not.
    #[error("a part of the agent broke off{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Broken(Option<JoinError>),
    /// A socket.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

impl Serve {
    /// Runs until something it cannot do without breaks.
    pub async fn run(self) -> Result<(), Error> {
        let cluster = self.cluster().await?;
        let secret = self.secret.as_deref().unwrap_or_default();
        let settings = settings::start(cluster.clone(), secret, &self.mounted)?;
        let playout = settings.borrow().playout.clone();
        let harbor = self.write_radio_json(&playout)?;
        let outputs: Outputs = Arc::new(
            playout
                .outputs
                .into_iter()
                .map(|output| (output.path.clone(), Arc::new(Output::new(output))))
                .collect(),
        );
        let metrics = Metrics::default();
        let (programme, changed) = (Shared::default(), Arc::new(Notify::new()));
        let places = Places {
            run_dir: self.run_dir.clone(),
            playlists_dir: self.playlists_dir.clone(),
        };
        let mut parts = JoinSet::new();
        if let Some(cluster) = cluster {
            parts.spawn(library::keep_mirrors(
                cluster,
                places.clone(),
                settings.clone(),
                Arc::clone(&changed),
            ));
        }
        parts.spawn(origins::feed_all(
            Arc::clone(&outputs),
            settings.clone(),
            metrics.clone(),
        ));
        parts.spawn(live::feed_places(
            settings.clone(),
            harbor,
            self.addresses.harbor,
            metrics.clone(),
        ));
        let conductor = Conductor {
            control: self.addresses.control,
            places,
            programme: Arc::clone(&programme),
            changed,
            settings: settings.clone(),
            metrics: metrics.clone(),
        };
        parts.spawn(conductor.conduct());
        let next = next::routes(programme, metrics.clone());
        tokio::select! {
            ended = listen(self.addresses.intake, intake::routes(Arc::clone(&outputs))) => ended,
            ended = listen(self.addresses.next, next) => ended,
            ended = self.health(outputs, settings, metrics) => ended,
            () = asked_to_end() => Ok(()),
            Some(ended) = parts.join_next() => Err(Error::Broken(ended.err())),
        }
    }

    async fn cluster(&self) -> Result<Option<Cluster>, Error> {
        if self.secret.is_none() || std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
            tracing::warn!("no Kubernetes API: the mounted Secret is read, ConfigMaps are not");
            return Ok(None);
        }
        let client = agent::watch::connect().await?;
        Ok(Some(Cluster {
            client,
            namespace: self.namespace.clone(),
        }))
    }

    fn write_radio_json(&self, playout: &Playout) -> Result<Harbor, Error> {
        let Addresses {
            intake,
            next,
            control,
            harbor,
        } = self.addresses;
        let broken = |cause| Error::RunDir {
            at: self.run_dir.clone(),
            cause,
        };
        let harbor = Harbor::open(&self.run_dir, harbor.port()).map_err(broken)?;
        let radio = Radio {
            intake: intake.port(),
            next: next.port(),
            control: control.port(),
            harbor: &harbor,
            outputs: &playout.outputs,
        };
        radio.write(&self.run_dir).map_err(broken)?;
        Ok(harbor)
    }

    async fn health(
        &self,
        outputs: Outputs,
        settings: watch::Receiver<Arc<Settings>>,
        metrics: Metrics,
    ) -> Result<(), Error> {
        let registry = Arc::new(metrics.registry());
        let ready = Arc::new(move || metrics.ready(&settings.borrow().playout.origins, &outputs));
        let listen = |cause| Error::Listen {
            address: self.health,
            cause,
        };
        agent::health::serve(self.health, registry, ready)
            .await
            .map_err(listen)
    }
}

/// The first process of a container ignores signals it does not handle.
async fn asked_to_end() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(failure), _) | (_, Err(failure)) => {
            tracing::error!(%failure, "signals cannot be received; only SIGKILL ends the agent");
            std::future::pending::<()>().await;
        }
    }
}

async fn listen(address: SocketAddr, routes: Router) -> Result<(), Error> {
    let broken = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(broken)?;
    axum::serve(listener, routes).await.map_err(broken)
}
