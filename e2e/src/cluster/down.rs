//! `cluster down`: ends everything, removes everything, and looks whether anything is left. Does IO.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{CONTROL_PLANE, NODES, Node, Places, cgroups, netns, network, processes, remains};
use crate::install::cache;
use crate::steps::Steps;

/// Takes the cluster down. The cache and the logs stay.
pub async fn down(places: &Places, steps: &Steps) -> Result<()> {
    let places = &places.of_running();
    steps
        .run("processes", async |_| end_processes(places).await)
        .await?;
    steps
        .run("mounts and network", async |_| remove_traces(places).await)
        .await?;
    steps.run("nothing is left", async |_| check(places)).await
}

async fn end_processes(places: &Places) -> Result<()> {
    // The nodes first, and all at once: nothing starts anew what has just been ended.
    for node in NODES {
        cgroups::kill(&node.cgroup()).await?;
    }
    for name in processes::recorded(&places.records()) {
        processes::stop(&places.records(), &name, Duration::from_secs(3)).await?;
    }
    cgroups::kill(CONTROL_PLANE).await
}

async fn remove_traces(places: &Places) -> Result<()> {
    for node in NODES {
        remains::of_processes(places, node)?;
        cgroups::remove(&node.cgroup())?;
    }
    cgroups::remove(CONTROL_PLANE)?;
    for folder in folders(places) {
        remains::unmount_below(folder)?;
    }
    network::remove().await?;
    remains::elsewhere(places)?;
    for entry in fs::read_dir(&places.visible).into_iter().flatten().flatten() {
        if entry.file_name() != "logs" {
            cache::remove(&entry.path())?;
        }
    }
    cache::remove(&places.state)?;
    cache::remove(&places.run)
}

/// Says what is left, if anything.
fn check(places: &Places) -> Result<()> {
    let mut left: Vec<String> = vec![];
    for folder in folders(places) {
        left.extend(
            remains::mounts_below(folder)?
                .iter()
                .map(|mount| format!("mount {}", mount.display())),
        );
    }
    for cgroup in NODES
        .map(Node::cgroup)
        .iter()
        .map(String::as_str)
        .chain([CONTROL_PLANE])
    {
        left.extend(
            cgroups::left(cgroup)
                .iter()
                .map(|folder| format!("cgroup {}", folder.display())),
        );
        if netns::path(cgroup).exists() {
            left.push(format!("network namespace {cgroup}"));
        }
    }
    left.extend(
        [&places.run, &places.state]
            .iter()
            .filter(|path| path.exists())
            .map(|path| path.display().to_string()),
    );
    left.extend(links_left());
    if !left.is_empty() {
        bail!("this is left: {}", left.join(", "));
    }
    Ok(())
}

/// Ends of our cables that fell back into the host's network.
fn links_left() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned());
    let ours = NODES.map(Node::port);
    names
        .filter(|name| ours.contains(name))
        .map(|name| format!("interface {name}"))
        .collect()
}

fn folders(places: &Places) -> [&Path; 3] {
    [&places.run, &places.state, &places.cache]
}
