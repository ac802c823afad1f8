//! The cluster's network: a switch in the control plane's namespace, a cable to every node, and nothing that
//! leads out of the machine. Does IO.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::outage::Outage;
use super::{CONTROL_PLANE, CONTROL_PLANE_ADDRESS, NODES, Node, Places, netns};
use crate::install::command;

/// The switch, and the control plane's own interface.
const SWITCH: &str = "nodes";
/// What CNI's `ptp` calls the node's end of a pod's cable.
const POD_CABLE: &str = "veth";

/// Makes what is missing of the network.
pub async fn ensure(places: &Places) -> Result<()> {
    namespace(CONTROL_PLANE).await?;
    if !has_link(CONTROL_PLANE, SWITCH)? {
        ip(CONTROL_PLANE, &["link", "add", SWITCH, "type", "bridge"]).await?;
    }
    ip(
        CONTROL_PLANE,
        &[
            "addr",
            "replace",
            &format!("{CONTROL_PLANE_ADDRESS}/24"),
            "dev",
            SWITCH,
        ],
    )
    .await?;
    ip(CONTROL_PLANE, &["link", "set", SWITCH, "up"]).await?;
    // Kubernetes looks for the interface of the default route; beyond the switch there is nothing.
    ip(CONTROL_PLANE, &["route", "replace", "default", "dev", SWITCH]).await?;
    for node in NODES {
        cable(node).await?;
        // A node that a test has cut off stays so until it returns.
        if Outage::of(places, node).is_none() {
            plug(node, true).await?;
        }
    }
    for node in NODES {
        let others = NODES
            .into_iter()
            .filter(|other| *other != node)
            .map(Node::namespace);
        for from in others.chain([CONTROL_PLANE.to_owned()]) {
            ip(
                &from,
                &["route", "replace", &node.pod_range(), "via", &node.address()],
            )
            .await?;
        }
    }
    Ok(())
}

/// Pulls or plugs the node's cable. The switch's end goes down, so that the node keeps its addresses and routes.
pub async fn plug(node: Node, plugged: bool) -> Result<()> {
    ip(
        CONTROL_PLANE,
        &["link", "set", &node.port(), if plugged { "up" } else { "down" }],
    )
    .await
}

/// Removes every namespace of the cluster, and with them what is inside.
pub async fn remove() -> Result<()> {
    for name in NODES
        .map(Node::namespace)
        .iter()
        .map(String::as_str)
        .chain([CONTROL_PLANE])
    {
        if netns::path(name).exists() {
            command::output(Command::new("ip").args(["netns", "delete", name])).await?;
        }
    }
    Ok(())
}

/// Plugs a node into the switch.
async fn cable(node: Node) -> Result<()> {
    let (namespace_name, port) = (node.namespace(), node.port());
    namespace(&namespace_name).await?;
    if !has_link(CONTROL_PLANE, &port)? {
        let cable = [
            "link",
            "add",
            &port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &namespace_name,
        ];
        ip(CONTROL_PLANE, &cable).await?;
    }
    ip(CONTROL_PLANE, &["link", "set", &port, "master", SWITCH]).await?;
    ip(
        &namespace_name,
        &[
            "addr",
            "replace",
            &format!("{}/24", node.address()),
            "dev",
            "eth0",
        ],
    )
    .await?;
    ip(&namespace_name, &["link", "set", "eth0", "up"]).await?;
    ip(
        &namespace_name,
        &["route", "replace", "default", "via", CONTROL_PLANE_ADDRESS],
    )
    .await?;
    Ok(())
}

async fn namespace(name: &str) -> Result<()> {
    // An interrupted `ip netns add` leaves a plain file, which nothing can enter.
    let path = netns::path(name);
    if path.exists() && netns::within(&path, || ()).is_err() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    if !path.exists() {
        command::output(Command::new("ip").args(["netns", "add", name])).await?;
    }
    ip(name, &["link", "set", "lo", "up"]).await?;
    netns::within(&path, || {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot switch on IP forwarding")?;
        // Frames between two nodes only pass the switch; they are no business of the rules beside it.
        let filter = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
        if filter.exists() {
            fs::write(filter, "0").with_context(|| format!("cannot write {}", filter.display()))?;
        }
        Ok(())
    })?
}

fn has_link(namespace: &str, link: &str) -> Result<bool> {
    Ok(links(namespace)?.iter().any(|there| there == link))
}

fn links(namespace: &str) -> Result<Vec<String>> {
    // /sys shows the namespace it was mounted in; /proc/net always that of the reader.
    let table = netns::within(&netns::path(namespace), || {
        fs::read_to_string("/proc/thread-self/net/dev")
    })??;
    let names = table.lines().filter_map(|line| line.trim_start().split_once(':'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

/// Waits until the cables of pods that died with the node are gone: the kernel takes them away some time after their
/// namespaces, and `ptp` silently leaves the route to a new pod of the same address to the old cable, which then goes with it.
pub async fn await_no_pods(node: Node) -> Result<()> {
    let begun = Instant::now();
    loop {
        let links = links(&node.namespace())?;
        let mut left = links.iter().filter(|link| link.starts_with(POD_CABLE));
        let Some(one) = left.next() else {
            return Ok(());
        };
        if begun.elapsed() > Duration::from_mins(1) {
            bail!(
                "{} still has the cable {one} of a pod that died with it",
                node.name()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ip(namespace: &str, words: &[&str]) -> Result<()> {
    command::output(Command::new("ip").args(["-n", namespace]).args(words))
        .await
        .map(drop)
}
