//! What every reconcile needs: the client, the images, what the watches saw. No IO.

use std::sync::Arc;

use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};

use crate::{
    clock::Clock,
    k8s::{apply::Ledger, backoff::Backoff},
    metrics::Metrics,
    notices::Notices,
    recorders::Recorders,
    sources::Sources,
    watch::Stores,
};

/// The images of pods that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Origin and relays.
    pub icecast: String,
    /// Playout.
    pub liquidsoap: String,
    /// Ingest.
    pub ingest: String,
    /// What records, and what makes the final objects.
    pub recorder: String,
}

/// Shared by all reconciles.
pub struct Context {
    /// How to reach the API server.
    pub client: Client,
    /// Images of pods that name none.
    pub images: Images,
    /// What time it is.
    pub clock: Clock,
    /// What the watches saw.
    pub stores: Arc<Stores>,
    /// What was applied.
    pub ledger: Ledger,
    /// How often objects failed, by controller, namespace and name.
    pub backoff: Backoff<(&'static str, String, String)>,
    /// Who is connected to the ingests.
    pub sources: Sources,
    /// How the recorders are.
    pub recorders: Recorders,
    /// Whether those who are to be told are.
    pub notices: Notices,
    /// Publishes Events, merging repeated ones.
    pub recorder: Recorder,
    /// Whom Events are from.
    pub reporter: Reporter,
    /// Counts.
    pub metrics: Arc<Metrics>,
}
