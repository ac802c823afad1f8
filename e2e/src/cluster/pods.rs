//! What can happen to a pod: one of its processes dies, or it cannot reach another pod any more. Does IO.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::{Node, Places, cgroups, netns, objects};
use crate::install::command;

/// The kernel keeps no more of a program's name than this.
const COMM_LENGTH: usize = 15;
/// For a few hundred megabytes to be filled.
const STARVED: Duration = Duration::from_secs(30);

/// Kills (SIGKILL) every process called `comm` in a container; gives back how many there were.
pub async fn kill_process(namespace: &str, pod: &str, container: &str, comm: &str) -> Result<usize> {
    signal_process(namespace, pod, container, comm, Signal::KILL).await
}

/// Sends a signal to every process called `comm` in a container; gives back how many there were.
pub async fn signal_process(
    namespace: &str,
    pod: &str,
    container: &str,
    comm: &str,
    signal: Signal,
) -> Result<usize> {
    let pod = Pod::find(namespace, pod).await?;
    let id = pod.container(container)?;
    let wanted: String = comm.chars().take(COMM_LENGTH).collect();
    let mut hit = 0;
    for pid in cgroups::pids_of(&pod.node.cgroup(), &id)? {
        if is_called(pid, &wanted) && rustix::process::kill_process(pid, signal).is_ok() {
            hit += 1;
        }
    }
    Ok(hit)
}

/// Kills (-9) every process of a pod that was started with these words; gives back how many there were. Unlike the containers in a
/// pod's status, which kubelet may tell of half a minute late after two quick restarts, processes are what they are.
pub async fn kill_command(namespace: &str, pod: &str, command: &[&str]) -> Result<usize> {
    let pod = Pod::find(namespace, pod).await?;
    let mut hit = 0;
    for pid in cgroups::pids_of(&pod.node.cgroup(), &pod.uid)? {
        if was_started_with(pid, command) && rustix::process::kill_process(pid, Signal::KILL).is_ok() {
            hit += 1;
        }
    }
    Ok(hit)
}

/// Uses up the memory of a container until the kernel has killed its processes called `comm`, as it would if they had used it up
/// themselves.
pub async fn starve(namespace: &str, pod: &str, container: &str, comm: &str) -> Result<()> {
    let pod = Pod::find(namespace, pod).await?;
    let (id, cgroup) = (pod.container(container)?, pod.node.cgroup());
    let wanted: String = comm.chars().take(COMM_LENGTH).collect();
    let is_victim = |pid: &Pid| is_called(*pid, &wanted);
    let victims: Vec<Pid> = cgroups::pids_of(&cgroup, &id)?
        .into_iter()
        .filter(is_victim)
        .collect();
    if victims.is_empty() {
        bail!(
            "no process {comm} runs in the container {container} of {}",
            pod.name
        );
    }
    for victim in &victims {
        // The kernel kills the worst, and that is not to be an eater: nobody else may say so, and each has a part only.
        let file = format!("/proc/{}/oom_score_adj", victim.as_raw_nonzero());
        fs::write(&file, "1000").with_context(|| format!("cannot write {file}"))?;
    }
    let mut eaters = [eater()?, eater()?];
    for eater in &eaters {
        let pid = eater.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        cgroups::join_memory_of(&cgroup, &id, pid.context("tail has no pid")?)?;
    }
    for eater in &mut eaters {
        let mut stdin = eater.stdin.take().context("sh without a stdin")?;
        stdin.write_all(b"go\n").await?;
    }
    let begun = Instant::now();
    while victims.iter().any(is_victim) {
        if begun.elapsed() > STARVED {
            bail!("{comm} in {container} of {} does not run out of memory", pod.name);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for eater in &mut eaters {
        eater.kill().await.context("tail does not end")?;
    }
    Ok(())
}

/// Eats memory once it is told to; it ends when it is dropped.
fn eater() -> Result<Child> {
    // `tail` keeps a line until it has all of it, and this one never ends.
    Command::new("sh")
        .args(["-c", "read go && exec tail /dev/zero"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("sh")
}

fn is_called(pid: Pid, comm: &str) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
    name.trim_end() == comm
}

fn was_started_with(pid: Pid, command: &[&str]) -> bool {
    let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let mut words = line.split('\0');
    command.iter().all(|word| {
        words
            .next()
            .is_some_and(|there| there == *word || there.rsplit('/').next() == Some(word))
    })
}

/// Lets no packet pass between two pods any more, in either direction, by address or by Service.
pub async fn block(namespace: &str, a: &str, b: &str) -> Result<()> {
    let (a, b) = (Pod::find(namespace, a).await?, Pod::find(namespace, b).await?);
    for (here, there) in [(&a, &b), (&b, &a)] {
        here.nft(&block_rules(&there.address))?;
    }
    Ok(())
}

/// Undoes [`block`].
pub async fn unblock(namespace: &str, a: &str, b: &str) -> Result<()> {
    let (a, b) = (Pod::find(namespace, a).await?, Pod::find(namespace, b).await?);
    for (here, there) in [(&a, &b), (&b, &a)] {
        // Made before it is deleted, so that deleting what is not there is no error.
        let table = table(&there.address);
        here.nft(&format!("table ip {table} {{}}\ndelete table ip {table}\n"))?;
    }
    Ok(())
}

fn table(address: &str) -> String {
    format!("radio_block_{}", address.replace('.', "_"))
}

fn block_rules(address: &str) -> String {
    let table = table(address);
    format!(
        "table ip {table} {{}}\ndelete table ip {table}\ntable ip {table} {{\n  \
         chain in {{ type filter hook input priority 0; ip saddr {address} drop; }}\n  \
         chain out {{ type filter hook output priority 0; ip daddr {address} drop; }}\n}}\n"
    )
}

/// A running pod of the local cluster.
struct Pod {
    name: String,
    uid: String,
    node: Node,
    address: String,
    object: Value,
}

impl Pod {
    async fn find(namespace: &str, name: &str) -> Result<Self> {
        let words = ["get", "pod", name, "--namespace", namespace, "--output", "json"];
        let object = command::output(objects::kubectl(&Places::find()?).args(words)).await?;
        Self::read(serde_json::from_str(&object)?).with_context(|| format!("the pod {namespace}/{name}"))
    }

    fn read(object: Value) -> Result<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            name: text("/metadata/name").context("has no name")?,
            uid: text("/metadata/uid").context("has no uid")?,
            node: Node::named(&text("/spec/nodeName").context("is on no node yet")?)?,
            address: text("/status/podIP").context("has no address yet")?,
            object,
        })
    }

    /// The id by which containerd knows one of its containers.
    fn container(&self, name: &str) -> Result<String> {
        let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
        let all = lists
            .iter()
            .filter_map(|list| self.object.pointer(list)?.as_array())
            .flatten();
        let id = all
            .clone()
            .find(|one| one["name"] == name)
            .map(|one| one["containerID"].as_str());
        let Some(id) = id else {
            let names: Vec<_> = all.filter_map(|one| one["name"].as_str()).collect();
            bail!(
                "the pod {} has no container {name}; it has {}",
                self.name,
                names.join(", ")
            );
        };
        let id = id.and_then(|id| id.strip_prefix("containerd://"));
        id.map(str::to_owned)
            .with_context(|| format!("the container {name} of {} has not started yet", self.name))
    }

    /// The pod's network namespace, by any of its processes.
    fn network(&self) -> Result<PathBuf> {
        let pids: Vec<Pid> = cgroups::pids_of(&self.node.cgroup(), &self.uid)?;
        let pid = pids
            .first()
            .with_context(|| format!("no process of the pod {} runs", self.name))?;
        Ok(format!("/proc/{}/ns/net", pid.as_raw_nonzero()).into())
    }

    fn nft(&self, rules: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), rules)?;
        // What is started on a thread inside the namespace stays inside.
        let inside = netns::within(&self.network()?, || {
            std::process::Command::new("nft")
                .arg("-f")
                .arg(file.path())
                .output()
        })??;
        if !inside.status.success() {
            bail!(
                "nft in the pod {}: {}",
                self.name,
                String::from_utf8_lossy(&inside.stderr).trim()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        Pod::read(json!({
            "metadata": { "name": "live-playout-x", "uid": "u-1" },
            "spec": { "nodeName": "node2" },
            "status": {
                "podIP": "10.244.2.7",
                "containerStatuses": [{ "name": "liquidsoap", "containerID": "containerd://abc" }],
                "initContainerStatuses": [{ "name": "agent", "containerID": "containerd://def" }, { "name": "late" }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn containers_and_sidecars_are_found_by_name() {
        assert_eq!(pod().container("liquidsoap").unwrap(), "abc");
        assert_eq!(pod().container("agent").unwrap(), "def");
        assert_eq!(pod().node, Node::named("node2").unwrap());
    }

    #[test]
    fn what_cannot_be_found_is_said() {
        let error = |name| pod().container(name).unwrap_err().to_string();
        assert_eq!(
            error("icecast"),
            "the pod live-playout-x has no container icecast; it has liquidsoap, agent, late"
        );
        assert_eq!(
            error("late"),
            "the container late of live-playout-x has not started yet"
        );
        assert!(Pod::read(json!({ "metadata": { "name": "x", "uid": "u" }, "spec": {} })).is_err());
    }

    #[test]
    fn a_block_is_one_table_per_peer() {
        let rules = block_rules("10.244.2.7");
        assert!(rules.contains("table ip radio_block_10_244_2_7 {\n"));
        assert!(rules.contains("ip saddr 10.244.2.7 drop") && rules.contains("ip daddr 10.244.2.7 drop"));
    }
}
