//! What can happen to a node: the power fails, everything on it hangs, its cable is pulled; and its return. Does IO.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{Node, Places, cgroups, network, node, processes, up};
use crate::install::cache;
use crate::steps::Progress;

/// What is the matter with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// As if the power had failed: nothing runs, nothing answers.
    Killed,
    /// Every process hangs, the network still answers.
    Stopped,
    /// Everything runs, but nobody can be reached.
    Partitioned,
    /// The kubelet hangs; pods run on.
    KubeletStopped,
    /// containerd is killed; pods run on, and nobody can start or end one.
    ContainerdKilled,
}

impl Outage {
    /// The outage a node is in.
    #[must_use]
    pub fn of(places: &Places, node: Node) -> Option<Self> {
        let word = fs::read_to_string(file(places, node)).ok()?;
        let all = [
            Self::Killed,
            Self::Stopped,
            Self::Partitioned,
            Self::KubeletStopped,
            Self::ContainerdKilled,
        ];
        all.into_iter().find(|outage| outage.word() == word)
    }

    /// As `cluster status` says it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Partitioned => "partitioned",
            Self::KubeletStopped => "without its kubelet",
            Self::ContainerdKilled => "without containerd",
        }
    }
}

/// Fails the node's power: its cable goes dead, then every process on it ends by SIGKILL.
pub async fn kill_node(name: &str) -> Result<()> {
    let (places, node) = (Places::find()?, Node::named(name)?);
    begin(&places, node, Outage::Killed)?;
    // The cable first: a machine without power says no good-byes.
    network::plug(node, false).await?;
    cgroups::kill(&node.cgroup()).await
}

/// Hangs every process of the node (SIGSTOP).
pub async fn stop_node(name: &str) -> Result<()> {
    let (places, node) = (Places::find()?, Node::named(name)?);
    begin(&places, node, Outage::Stopped)?;
    cgroups::signal(&node.cgroup(), Signal::STOP)
}

/// Pulls the node's cable.
pub async fn partition_node(name: &str) -> Result<()> {
    let (places, node) = (Places::find()?, Node::named(name)?);
    begin(&places, node, Outage::Partitioned)?;
    network::plug(node, false).await
}

/// Hangs the node's kubelet (SIGSTOP).
pub fn stop_kubelet(name: &str) -> Result<()> {
    signal_process(name, "kubelet", Signal::STOP, Outage::KubeletStopped)
}

/// Kills the node's containerd (SIGKILL).
pub fn kill_containerd(name: &str) -> Result<()> {
    signal_process(name, "containerd", Signal::KILL, Outage::ContainerdKilled)
}

fn signal_process(name: &str, process: &str, signal: Signal, outage: Outage) -> Result<()> {
    let (places, node) = (Places::find()?, Node::named(name)?);
    begin(&places, node, outage)?;
    let pid = processes::pid(&places.records(), &format!("{name}-{process}"));
    let pid = pid.with_context(|| format!("{process} of {name} does not run"))?;
    rustix::process::kill_process(pid, signal).with_context(|| format!("{process} of {name}"))
}

/// Brings the node back, whatever was the matter with it, as if it had been switched on, or the cable plugged in.
pub async fn return_node(name: &str) -> Result<()> {
    let (places, node) = (Places::find()?, Node::named(name)?);
    let outage = Outage::of(&places, node);
    match outage {
        None => {}
        Some(Outage::Partitioned) => network::plug(node, true).await?,
        Some(Outage::Stopped | Outage::KubeletStopped) => cgroups::signal(&node.cgroup(), Signal::CONT)?,
        Some(Outage::Killed) => {
            // Once more: the killing may have been interrupted.
            cgroups::kill(&node.cgroup()).await?;
            network::plug(node, true).await?;
            ensure(&places, node).await?;
        }
        Some(Outage::ContainerdKilled) => ensure(&places, node).await?,
    }
    cache::remove(&file(&places, node))
}

async fn ensure(places: &Places, node: Node) -> Result<()> {
    let (programs, pause) = up::programs(places, &Progress::default()).await?;
    node::ensure(places, &programs, node, &pause).await
}

fn begin(places: &Places, node: Node, outage: Outage) -> Result<()> {
    let name = node.name();
    if !node::process_names(node)
        .iter()
        .any(|process| processes::is_running(&places.records(), process))
    {
        bail!("{name} does not run: try `cluster up`");
    }
    if let Some(already) = Outage::of(places, node) {
        bail!(
            "{name} is {} already: `cluster node return {name}` first",
            already.word()
        );
    }
    cache::write(&file(places, node), outage.word())
}

fn file(places: &Places, node: Node) -> PathBuf {
    places.run.join(format!("{}.outage", node.name()))
}
