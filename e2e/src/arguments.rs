//! The words of `cluster`.

use clap::{Parser, Subcommand};

/// A real Kubernetes on this machine, in network namespaces.
#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Brings up the cluster, the operator and the example station.
    Up {
        /// Only the cluster, without the operator and the example station.
        #[arg(long)]
        bare: bool,
    },
    /// Installs and builds what the cluster is made of, and starts nothing.
    Install,
    /// Takes the cluster down and leaves nothing behind but the cache and the logs.
    Down,
    /// Says what runs.
    Status,
    /// Builds the images from the sources as they are now and loads them into the nodes.
    Images {
        /// icecast, ingest, liquidsoap, operator, recorder-sidecar; none means all.
        rooms: Vec<String>,
    },
    /// Lets something happen to a node.
    Node {
        #[command(subcommand)]
        verb: NodeVerb,
    },
    /// Kills a process inside a container.
    KillProcess {
        /// The pod's name.
        pod: String,
        /// The container's name.
        container: String,
        /// The process's name, as in /proc/PID/comm.
        comm: String,
        #[arg(short, long, default_value = "default")]
        namespace: String,
        /// The signal's number.
        #[arg(long, default_value_t = 9)]
        signal: i32,
    },
    /// Lets no packet pass between two pods.
    Block {
        a: String,
        b: String,
        #[arg(short, long, default_value = "default")]
        namespace: String,
    },
    /// Lets packets pass again.
    Unblock {
        a: String,
        b: String,
        #[arg(short, long, default_value = "default")]
        namespace: String,
    },
    /// Keeps the doors from the host and the volumes (started by `up`).
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        api_port: u16,
    },
}

#[derive(Subcommand)]
pub enum NodeVerb {
    /// As if its power had failed.
    Kill { name: String },
    /// Every process on it hangs.
    Stop { name: String },
    /// Its cable is pulled.
    Partition { name: String },
    /// Undoes whichever.
    Return { name: String },
}
