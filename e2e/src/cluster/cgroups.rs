//! The cgroups of the nodes, on version 1, version 2 and mixed hosts. Does IO.
//!
//! Every process of a node (kubelet, containerd, shims, containers) lives below one cgroup: that is how all of
//! them are found, also those that were born while we looked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

/// The controllers without which no kubelet starts.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// One mounted cgroup tree.
#[derive(Debug, Clone, PartialEq)]
struct Hierarchy {
    root: PathBuf,
    controllers: Vec<String>,
    version: u8,
}

/// What is wrong with this host's cgroups, if anything.
#[must_use]
pub fn missing() -> Option<String> {
    let trees = hierarchies();
    let absent: Vec<&str> = NEEDED
        .into_iter()
        .filter(|wanted| {
            !trees
                .iter()
                .any(|tree| tree.controllers.iter().any(|have| have == wanted))
        })
        .collect();
    (!absent.is_empty()).then(|| {
        format!(
            "no cgroup controller {} (is /sys/fs/cgroup mounted?)",
            absent.join(", ")
        )
    })
}

/// Makes the cgroup in every tree.
pub fn make(cgroup: &str) -> Result<()> {
    for tree in hierarchies() {
        let folder = tree.root.join(cgroup);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the cgroup {}", folder.display()))?;
        // A mixed host's version 2 tree has nothing that kubelet needs.
        if tree.version == 2
            && tree
                .controllers
                .iter()
                .any(|have| NEEDED.contains(&have.as_str()))
        {
            hand_down_controllers(&tree, cgroup)?;
        }
    }
    Ok(())
}

/// Moves a process into the cgroup; the empty name leaves it where it is.
pub fn join(cgroup: &str, pid: Pid) -> Result<()> {
    if cgroup.is_empty() {
        return Ok(());
    }
    let file = tracking()?.join(cgroup).join("cgroup.procs");
    fs::write(&file, pid.as_raw_nonzero().to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// All processes in the cgroup and below it.
pub fn pids(cgroup: &str) -> Result<Vec<Pid>> {
    let mut found = vec![];
    for folder in tree(&tracking()?.join(cgroup)) {
        let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(
            listed
                .lines()
                .filter_map(|line| line.parse().ok())
                .filter_map(Pid::from_raw),
        );
    }
    Ok(found)
}

/// The processes of the one cgroup below `cgroup` whose folder is called `name` (a container's id, a pod's uid).
pub fn pids_of(cgroup: &str, name: &str) -> Result<Vec<Pid>> {
    let root = tracking()?;
    let is_named = |folder: &PathBuf| {
        folder
            .file_name()
            .is_some_and(|last| last.to_string_lossy().contains(name))
    };
    let found = tree(&root.join(cgroup)).into_iter().find(is_named);
    match found.as_ref().and_then(|folder| folder.strip_prefix(&root).ok()) {
        Some(folder) => pids(&folder.to_string_lossy()),
        None => Ok(vec![]),
    }
}

/// Moves a process into the memory of the one cgroup below `cgroup` whose folder is called `name`.
pub fn join_memory_of(cgroup: &str, name: &str, pid: Pid) -> Result<()> {
    let trees = hierarchies();
    let memory = trees
        .iter()
        .find(|tree| tree.controllers.iter().any(|have| have == "memory"));
    let root = memory
        .context("no cgroup tree has the memory controller")?
        .root
        .join(cgroup);
    let is_named = |folder: &PathBuf| {
        folder
            .file_name()
            .is_some_and(|last| last.to_string_lossy().contains(name))
    };
    let found = tree(&root).into_iter().find(is_named);
    let file = found
        .with_context(|| format!("{name} has no memory cgroup"))?
        .join("cgroup.procs");
    fs::write(&file, pid.as_raw_nonzero().to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Sends the signal to every process in the cgroup, again and again until no new one turns up.
pub fn signal(cgroup: &str, signal: Signal) -> Result<()> {
    let mut known: Vec<Pid> = vec![];
    loop {
        let fresh: Vec<Pid> = pids(cgroup)?
            .into_iter()
            .filter(|pid| !known.contains(pid))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for pid in fresh {
            // It may just have ended by itself.
            let _ = rustix::process::kill_process(pid, signal);
            known.push(pid);
        }
    }
}

/// Kills every process in the cgroup and waits until they are gone.
pub async fn kill(cgroup: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let left = pids(cgroup)?;
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            bail!(
                "{} processes in the cgroup {cgroup} do not end, even by SIGKILL",
                left.len()
            );
        }
        for pid in left {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Removes the cgroup and all below it from every tree; its processes must be gone.
pub fn remove(cgroup: &str) -> Result<()> {
    for tree_root in hierarchies() {
        for folder in tree(&tree_root.root.join(cgroup)).into_iter().rev() {
            fs::remove_dir(&folder)
                .with_context(|| format!("cannot remove the cgroup {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Where the cgroup still exists.
#[must_use]
pub fn left(cgroup: &str) -> Vec<PathBuf> {
    hierarchies()
        .into_iter()
        .map(|tree| tree.root.join(cgroup))
        .filter(|folder| folder.exists())
        .collect()
}

/// The folder and all below it, parents first.
fn tree(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut waiting = vec![top.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let below = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(below.map(|entry| entry.path()));
        found.push(folder);
    }
    found
}

/// The tree whose membership tells which node a process belongs to.
fn tracking() -> Result<PathBuf> {
    let trees = hierarchies();
    let tree = trees
        .iter()
        .find(|tree| tree.controllers.iter().any(|name| name == "pids"));
    Ok(tree
        .context("no cgroup tree has the pids controller")?
        .root
        .clone())
}

/// On version 2 a cgroup has only the controllers that its parents hand down.
fn hand_down_controllers(tree: &Hierarchy, cgroup: &str) -> Result<()> {
    let mut folder = tree.root.clone();
    for part in Path::new(cgroup).parent().into_iter().flat_map(Path::components) {
        let file = folder.join("cgroup.subtree_control");
        for controller in &tree.controllers {
            let handed = fs::write(&file, format!("+{controller}"));
            if NEEDED.contains(&controller.as_str()) {
                handed.with_context(|| format!("cannot hand down {controller} in {}", file.display()))?;
            }
        }
        folder.push(part);
    }
    Ok(())
}

fn hierarchies() -> Vec<Hierarchy> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = parse_mounts(&mounts);
    for tree in found.iter_mut().filter(|tree| tree.version == 2) {
        let listed = fs::read_to_string(tree.root.join("cgroup.controllers")).unwrap_or_default();
        tree.controllers = listed.split_whitespace().map(str::to_owned).collect();
    }
    found
}

fn parse_mounts(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = vec![];
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, root, kind @ ("cgroup" | "cgroup2"), options, ..] = fields.as_slice() else {
            continue;
        };
        let version = if kind == "cgroup" { 1 } else { 2 };
        let controllers = if version == 1 {
            options.split(',').map(str::to_owned).collect()
        } else {
            vec![]
        };
        // One tree may be mounted twice (cpu,cpuacct under several names); once is enough.
        if version == 2 || !found.iter().any(|tree| tree.controllers == controllers) {
            found.push(Hierarchy {
                root: root.into(),
                controllers,
                version,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_version_2_and_mixed_mounts_are_understood() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = parse_mounts(mounts);
        let roots: Vec<&str> = found.iter().map(|tree| tree.root.to_str().unwrap()).collect();
        assert_eq!(roots, ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified"]);
        assert!(found[0].controllers.iter().any(|name| name == "cpuacct"));
        assert_eq!((found[0].version, found[1].version), (1, 2));
    }
}
