//! Why a command could not do what it was asked. No IO.

use radio_operator::{k8s::error::ApiError, text::InvalidText};
use recorder::store;
use thiserror::Error;

/// Told after `error: `, in one line; says what to do where that is known.
#[derive(Debug, Error)]
pub enum Error {
    /// The kubeconfig.
    #[error("no cluster can be reached by this kubeconfig; check --kubeconfig, --context and KUBECONFIG")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// No kubeconfig, and no pod either.
    #[error("no kubeconfig was found; give one with --kubeconfig or KUBECONFIG")]
    NoKubeconfig(#[from] kube::config::InferConfigError),
    /// The client could not be made.
    #[error("no client for this cluster can be made")]
    Client(#[source] Box<kube::Error>),
    /// The API server said no, or nothing.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No such object.
    #[error("there is no {kind} {name} in namespace {namespace}; {advice}")]
    NotFound {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// How to find the right one.
        advice: &'static str,
    },
    /// A Secret without what opens the store.
    #[error(
        "Secret {secret} in namespace {namespace} has no usable key {key}; it opens the bucket of the Station's storage"
    )]
    NoKeys {
        /// The Secret.
        secret: String,
        /// Where it is.
        namespace: String,
        /// What it lacks.
        key: &'static str,
    },
    /// The store said no, or nothing.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A spec that breaks a rule: it was stored before the rule existed.
    #[error("{object} cannot be read: {wrong}")]
    Unusable {
        /// Kind and name.
        object: String,
        /// The rule.
        wrong: InvalidText,
    },
    /// What was asked for cannot be done now.
    #[error("{0}")]
    NotNow(String),
    /// Standard output.
    #[error("standard output is closed: {0}")]
    Output(std::io::Error),
}
