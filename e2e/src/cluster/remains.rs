//! What dead processes leave behind: mounts, pod networks, sockets, cgroups. Removes it. Does IO.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};

use super::{Node, Places, cgroups};
use crate::install::cache;

/// Where containerd's shims have their sockets, of all containerds of the machine.
const SHIM_SOCKETS: &str = "/run/containerd/s";
/// Where the kubelet links the logs of containers, wherever its own folders are.
const LOG_LINKS: &str = "/var/log/containers";
/// Where CNI keeps what it answered.
const NETWORK_RESULTS: &str = "/var/lib/cni/results";

/// The kubelet makes this one wherever its own folders are; if the machine has a kubelet of its own, it is its.
const DEVICE_SOCKET: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";
const OWN_KUBELET: &str = "/var/lib/kubelet/config.yaml";
/// Folders the programs make outside their own, the inner ones first.
const SHARED_FOLDERS: [&str; 9] = [
    SHIM_SOCKETS,
    "/run/containerd",
    LOG_LINKS,
    NETWORK_RESULTS,
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/etc/cni/net.d",
    "/etc/cni",
];

/// Clears what the node's processes left when they died. What is on its disk stays.
pub fn of_processes(places: &Places, node: Node) -> Result<()> {
    let run = places.node_run(node);
    shim_sockets(&run)?;
    // With the mount of its network namespace a pod's interface and address go, too.
    for folder in [&run, &places.node_state(node), &places.node_images(node)] {
        unmount_below(folder)?;
    }
    cache::remove(&run)?;
    fs::create_dir_all(&run).with_context(|| format!("cannot make {}", run.display()))?;
    cgroups::remove(&format!("{}/kubepods", node.cgroup()))
}

/// Clears what the cluster's processes wrote outside its own folders.
pub fn elsewhere(places: &Places) -> Result<()> {
    for link in entries(LOG_LINKS) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(&places.state)) {
            cache::remove(&link)?;
        }
    }
    for result in entries(NETWORK_RESULTS) {
        // Each names the network namespace it is about, and those of our pods are in our folders.
        if fs::read_to_string(&result).is_ok_and(|text| text.contains(&*places.run.to_string_lossy())) {
            cache::remove(&result)?;
        }
    }
    if !Path::new(OWN_KUBELET).exists() {
        cache::remove(Path::new(DEVICE_SOCKET))?;
    }
    // The folders themselves go only if nobody else has anything in them.
    for folder in SHARED_FOLDERS {
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// Unmounts everything at or below the folder.
pub fn unmount_below(folder: &Path) -> Result<()> {
    for mount in mounts_below(folder)?.iter().rev() {
        unmount(mount.as_path(), UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

/// Every mount at or below the folder, in the order they were made.
pub fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the table of mounts")?;
    Ok(parse_mounts(&table)
        .into_iter()
        .filter(|mount| mount.starts_with(folder))
        .collect())
}

fn parse_mounts(table: &str) -> Vec<PathBuf> {
    let fields = table.lines().filter_map(|line| line.split(' ').nth(4));
    fields.map(|field| field.replace("\\040", " ").into()).collect()
}

fn shim_sockets(run: &Path) -> Result<()> {
    for task in entries(run.join("containerd/io.containerd.runtime.v2.task/k8s.io")) {
        let Ok(address) = fs::read_to_string(task.join("address")) else {
            continue;
        };
        if let Some(socket) = address
            .trim()
            .strip_prefix("unix://")
            .filter(|path| path.starts_with(SHIM_SOCKETS))
        {
            cache::remove(Path::new(socket))?;
        }
    }
    Ok(())
}

fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let table =
            "1 2 0:3 / /run/a rw - tmpfs tmpfs rw\n4 5 0:6 / /run/with\\040blank rw - tmpfs tmpfs rw\n";
        assert_eq!(
            parse_mounts(table),
            [PathBuf::from("/run/a"), PathBuf::from("/run/with blank")]
        );
    }
}
