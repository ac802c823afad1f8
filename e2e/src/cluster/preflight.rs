//! Looks, before anything is changed, whether this machine can run the cluster; says in one line what is missing.
//! Does IO.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use super::{Places, cgroups, doors, processes, serve};

/// The cluster, the operator and one station take about half of this.
const MEMORY_KIB: u64 = 4 << 20;
/// Go's modules and build cache, the images and their copies in three nodes.
const DISK: u64 = 15 << 30;

/// Fails for anyone but root.
pub fn require_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("not root: network namespaces and containers need it (`sudo -E`)");
    }
    Ok(())
}

/// Fails with everything that is missing.
pub fn check(places: &Places) -> Result<()> {
    let mut missing: Vec<String> = vec![];
    missing.extend(cgroups::missing());
    missing.extend(programs());
    if !has_overlayfs() {
        missing.push("no overlayfs (`modprobe overlay`)".into());
    }
    missing.extend(memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()));
    missing.extend(disk(places));
    if !processes::is_running(&places.records(), serve::NAME) {
        let taken = [doors::LISTENERS, doors::SOURCES, doors::S3]
            .into_iter()
            .filter(|port| !doors::is_free(*port));
        missing.extend(taken.map(|port| format!("port 127.0.0.1:{port} is taken")));
    }
    if let Some(owner) = places.owner().filter(|owner| *owner != places.repository) {
        missing.push(format!(
            "the cluster of {} is up (`cluster down` ends it)",
            owner.display()
        ));
    }
    if !missing.is_empty() {
        bail!("this machine cannot run the cluster: {}", missing.join("; "));
    }
    Ok(())
}

fn has_overlayfs() -> bool {
    let listed = || {
        fs::read_to_string("/proc/filesystems")
            .is_ok_and(|known| known.lines().any(|line| line.ends_with("\toverlay")))
    };
    // A module that nobody has needed yet is not in the list; without modprobe there are no modules.
    listed() || (Command::new("modprobe").arg("overlay").output().is_ok() && listed())
}

fn programs() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).exists());
    let absent: Vec<&str> = ["apt-get", "cargo", "go"]
        .into_iter()
        .filter(|name| !found(name))
        .collect();
    (!absent.is_empty()).then(|| format!("no {} in PATH", absent.join(", ")))
}

fn memory(meminfo: &str) -> Option<String> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    (kib < MEMORY_KIB).then(|| format!("{} MiB of memory, 4096 are needed", kib >> 10))
}

fn disk(places: &Places) -> Option<String> {
    // What is in the cache already need not fit once more.
    if places.cache.join("programs").exists() && places.node_images(super::NODES[0]).exists() {
        return None;
    }
    let seen = rustix::fs::statvfs(&places.cache).ok()?;
    let free = seen.f_bavail * seen.f_frsize;
    (free < DISK).then(|| {
        format!(
            "{} GiB free at {}, 15 are needed (RADIO_CACHE may name another place)",
            free >> 30,
            places.cache.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_memory_is_said() {
        assert_eq!(memory("MemTotal:        8388608 kB\n"), None);
        let said = memory("MemTotal:        2097152 kB\nMemFree: 1 kB\n");
        assert_eq!(said.as_deref(), Some("2048 MiB of memory, 4096 are needed"));
    }
}
