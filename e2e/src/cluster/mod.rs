//! The local cluster: a real Kubernetes on this machine, each node a network namespace.

pub mod cgroups;
mod control_plane;
mod deploy;
mod dns;
mod doors;
mod down;
mod given;
mod kubeconfig;
mod netns;
mod network;
mod node;
mod objects;
mod outage;
mod pki;
mod pods;
mod preflight;
pub mod processes;
mod remains;
pub mod s3;
mod serve;
mod status;
mod studio;
mod up;
pub mod verbs;
mod volumes;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use down::down;
pub use given::up_on_given;
pub use netns::{dial, dial_from, path as network_of, spawn, within};
pub use preflight::require_root;
pub use serve::serve;
pub use status::status;
pub use up::{Extent, install, up};

/// The network namespace of the control plane.
pub const CONTROL_PLANE: &str = "radio-cp";

/// The control plane's address in the cluster's network.
pub const CONTROL_PLANE_ADDRESS: &str = "198.18.0.1";

/// The worker nodes.
pub const NODES: [Node; 3] = [Node(1), Node(2), Node(3)];

/// One worker node, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(u8);

impl Node {
    /// The node of this name.
    pub fn named(name: &str) -> Result<Self> {
        let known = NODES.into_iter().find(|node| node.name() == name);
        known.with_context(|| format!("there is no node {name}; there are node1, node2 and node3"))
    }

    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(self) -> String {
        format!("node{}", self.0)
    }

    /// Its network namespace.
    #[must_use]
    pub fn namespace(self) -> String {
        format!("radio-node{}", self.0)
    }

    /// Its cgroup, below which every one of its processes lives.
    #[must_use]
    pub fn cgroup(self) -> String {
        self.namespace()
    }

    /// Its address.
    #[must_use]
    pub fn address(self) -> String {
        format!("198.18.0.{}", 10 + self.0)
    }

    /// The addresses of its pods.
    #[must_use]
    pub fn pod_range(self) -> String {
        format!("10.244.{}.0/24", self.0)
    }

    /// The end of its cable that is plugged into the control plane's switch.
    #[must_use]
    pub fn port(self) -> String {
        format!("to-{}", self.name())
    }
}

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The checkout.
    pub repository: PathBuf,
    /// What a person looks at: kubeconfig, logs, audit log.
    pub visible: PathBuf,
    /// Sockets and process records. Short, because a socket's path may have 107 characters.
    pub run: PathBuf,
    /// What the cluster stores while it lives: etcd, kubelets, volumes, certificates.
    pub state: PathBuf,
    /// What outlives clusters and checkouts.
    pub cache: PathBuf,
}

impl Places {
    /// The places of this checkout's cluster.
    pub fn find() -> Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("no folder above e2e/")?;
        Ok(Self {
            repository: repository.to_owned(),
            visible: repository.join(".cluster"),
            run: "/run/radio-cluster".into(),
            state: "/var/lib/radio-cluster".into(),
            cache: crate::install::cache::folder()?,
        })
    }

    /// The same, but of the checkout that the running cluster was started from, if there is one.
    #[must_use]
    pub fn of_running(&self) -> Self {
        let mut places = self.clone();
        if let Some(repository) = self.owner() {
            places.visible = repository.join(".cluster");
            places.repository = repository;
        }
        places
    }

    /// The checkout that the running cluster was started from.
    #[must_use]
    pub fn owner(&self) -> Option<PathBuf> {
        std::fs::read_to_string(self.run.join("owner"))
            .ok()
            .map(PathBuf::from)
    }

    /// Lets no other `cluster` command change the cluster until the lock is dropped.
    pub fn lock(&self) -> Result<std::fs::File> {
        let path = self.run.with_extension("lock");
        let file = std::fs::File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        if file.try_lock().is_err() {
            println!("waiting for another `cluster` command to end");
            file.lock()
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// The folder of process records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.run.join("pids")
    }

    /// The kubeconfig for the host's shell.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.visible.join("kubeconfig")
    }

    /// What the API server was asked to change, by whom: one JSON event per line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.visible.join("audit.log")
    }

    /// Where kubectl keeps what it learned of an API server; its own choice would be in the user's home.
    #[must_use]
    pub fn kubectl_cache(&self) -> PathBuf {
        self.cache.join("kubectl")
    }

    /// The log of one process.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.visible.join("logs").join(format!("{process}.log"))
    }

    /// A file of the cluster's certificates and keys.
    #[must_use]
    pub fn pki(&self, file: &str) -> PathBuf {
        self.state.join("pki").join(file)
    }

    /// The sockets and short-lived state of a node.
    #[must_use]
    pub fn node_run(&self, node: Node) -> PathBuf {
        self.run.join(node.name())
    }

    /// The longer-lived state of a node.
    #[must_use]
    pub fn node_state(&self, node: Node) -> PathBuf {
        self.state.join(node.name())
    }

    /// The images and snapshots of a node's containerd: kept when the cluster goes.
    #[must_use]
    pub fn node_images(&self, node: Node) -> PathBuf {
        self.cache.join("nodes").join(node.name())
    }

    /// Makes the folders that everything else expects.
    pub fn make(&self) -> Result<()> {
        let mut folders = vec![
            self.records(),
            self.visible.join("logs"),
            self.state.join("volumes"),
        ];
        for node in NODES {
            folders.extend([self.node_run(node), self.node_state(node), self.node_images(node)]);
        }
        for folder in folders {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        crate::install::cache::write(&self.run.join("owner"), text(&self.repository))
    }
}

/// A path as an argument.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
