//! A worker node: containerd, kubelet and kube-proxy in the node's network namespace and cgroup. Does IO.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::process::Command;

use super::outage::{self, Outage};
use super::processes::{self, Service};
use super::{
    CONTROL_PLANE_ADDRESS, Node, Places, cgroups, control_plane, dns, kubeconfig, netns, network, remains,
    text,
};
use crate::install::cache;
use crate::install::command;
use crate::install::golang::Programs;
use crate::install::images::{Image, is_other_version};
use crate::install::rooms::Images;

/// Where a kubelet says that it is well.
const KUBELET_HEALTH: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 10248);

/// Where a node finds the API server.
fn api() -> String {
    format!("https://{CONTROL_PLANE_ADDRESS}:6443")
}

/// Makes the node run; `pause` is the image of its pods' sandboxes.
pub async fn ensure(places: &Places, programs: &Programs, node: Node, pause: &Image) -> Result<()> {
    if cgroups::pids(&node.cgroup())?.is_empty() {
        // The machine was switched off, or an earlier run interrupted: what lies about belongs to nobody.
        for process in process_names(node) {
            processes::forget(&places.records(), &process);
        }
        remains::of_processes(places, node)?;
        network::await_no_pods(node).await?;
    }
    let config = Files::write(places, node, pause)?;
    cgroups::make(&format!("{}/system", node.cgroup()))?;
    processes::ensure(&places.records(), &containerd(places, node, &config)).await?;
    wait_for_containerd(places, node).await?;
    load(places, node, pause).await?;
    start_kubelet(places, node, &kubelet(places, programs, node, &config)).await?;
    processes::ensure(&places.records(), &proxy(places, programs, node, &config)).await?;
    Ok(())
}

/// As [`ensure`], but first ends whatever outage a test has left the node in.
pub async fn repair(places: &Places, programs: &Programs, node: Node, pause: &Image) -> Result<()> {
    if Outage::of(places, node).is_some() {
        return outage::return_node(&node.name()).await;
    }
    ensure(places, programs, node, pause).await
}

/// Loads the image, unless nothing runs on the node that could take it.
pub async fn load_if_running(places: &Places, node: Node, image: &Image) -> Result<bool> {
    match Outage::of(places, node) {
        None | Some(Outage::Partitioned | Outage::KubeletStopped) => load(places, node, image).await,
        Some(Outage::Killed | Outage::Stopped | Outage::ContainerdKilled) => Ok(false),
    }
}

/// Loads the image into the node's containerd, unless it is there already. True when it was loaded.
pub async fn load(places: &Places, node: Node, image: &Image) -> Result<bool> {
    let known = command::output(ctr(places, node).args(["images", "list", "-q"])).await?;
    if known.lines().any(|name| name == image.name) {
        return Ok(false);
    }
    let archive = image.archive.to_string_lossy();
    command::output(ctr(places, node).args([
        "images",
        "import",
        "--base-name",
        image.repository(),
        &archive,
    ]))
    .await
    .with_context(|| format!("cannot load {} into {}", image.name, node.name()))?;
    Ok(true)
}

/// Removes other versions of these images, as far as no container was made from them.
pub async fn forget_others(places: &Places, node: Node, images: &Images) -> Result<()> {
    let known = command::output(ctr(places, node).args(["images", "list", "-q"])).await?;
    let used = command::output(ctr(places, node).args(["containers", "list"])).await?;
    for name in known
        .lines()
        .filter(|name| images.values().any(|image| is_other_version(name, &image.name)))
    {
        if !used.split_whitespace().any(|word| word == name) {
            command::output(ctr(places, node).args(["images", "remove", name])).await?;
        }
    }
    Ok(())
}

/// containerd's own tool, for the namespace Kubernetes uses.
pub fn ctr(places: &Places, node: Node) -> Command {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address")
        .arg(socket(places, node))
        .args(["--namespace", "k8s.io"]);
    ctr
}

/// The names of the node's processes, in the order in which they end best.
pub fn process_names(node: Node) -> [String; 3] {
    ["kubelet", "proxy", "containerd"].map(|process| format!("{}-{process}", node.name()))
}

fn socket(places: &Places, node: Node) -> PathBuf {
    places.node_run(node).join("containerd.sock")
}

async fn wait_for_containerd(places: &Places, node: Node) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = command::output(ctr(places, node).arg("version")).await {
        if begun.elapsed() > Duration::from_secs(30) {
            let log = places.log(&format!("{}-containerd", node.name()));
            bail!(
                "containerd of {} does not answer ({error:#}); see {}",
                node.name(),
                log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Kubelet ends at its start while containerd's CRI says "server is not initialized yet", which `ctr version` does not tell: it is
/// started until it stays.
async fn start_kubelet(places: &Places, node: Node, kubelet: &Service) -> Result<()> {
    let begun = Instant::now();
    let namespace = netns::path(&node.namespace());
    loop {
        processes::ensure(&places.records(), kubelet).await?;
        if netns::within(&namespace, || TcpStream::connect(KUBELET_HEALTH).is_ok())? {
            return Ok(());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("{} does not stay; see {}", kubelet.name, kubelet.log.display());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn service(places: &Places, node: Node, process: &str, program: PathBuf, arguments: Vec<String>) -> Service {
    let name = format!("{}-{process}", node.name());
    Service {
        program,
        arguments,
        environment: vec![],
        namespace: Some(node.namespace()),
        cgroup: format!("{}/system", node.cgroup()),
        reads: vec![],
        log: places.log(&name),
        name,
    }
}

fn containerd(places: &Places, node: Node, files: &Files) -> Service {
    let arguments = vec!["--config".into(), text(&files.containerd)];
    let mut service = service(
        places,
        node,
        "containerd",
        "/usr/bin/containerd".into(),
        arguments,
    );
    service.reads = vec![files.containerd.clone()];
    service
}

fn kubelet(places: &Places, programs: &Programs, node: Node, files: &Files) -> Service {
    let state = places.node_state(node);
    let arguments = vec![
        format!("--config={}", text(&files.kubelet)),
        format!("--kubeconfig={}", text(&files.kubelet_credentials)),
        format!("--hostname-override={}", node.name()),
        format!("--node-ip={}", node.address()),
        format!("--root-dir={}", text(&state.join("kubelet"))),
        format!("--cert-dir={}", text(&state.join("kubelet-certificates"))),
    ];
    let mut service = service(places, node, "kubelet", programs.component("kubelet"), arguments);
    service.reads = vec![files.kubelet.clone(), files.kubelet_credentials.clone()];
    service
}

fn proxy(places: &Places, programs: &Programs, node: Node, files: &Files) -> Service {
    let arguments = vec![
        format!("--config={}", text(&files.proxy)),
        format!("--hostname-override={}", node.name()),
    ];
    let mut service = service(places, node, "proxy", programs.component("kube-proxy"), arguments);
    service.reads = vec![files.proxy.clone()];
    service
}

/// The node's configuration files.
struct Files {
    containerd: PathBuf,
    kubelet: PathBuf,
    kubelet_credentials: PathBuf,
    proxy: PathBuf,
}

impl Files {
    fn write(places: &Places, node: Node, pause: &Image) -> Result<Self> {
        let folder = places.node_state(node);
        let network = folder.join("cni");
        fs::create_dir_all(&network).with_context(|| format!("cannot make {}", network.display()))?;
        cache::write(
            &network.join("10-radio.conflist"),
            network_config(places, node).to_string(),
        )?;
        let resolver = folder.join("resolv.conf");
        cache::write(&resolver, "")?;
        let files = Self {
            containerd: folder.join("containerd.toml"),
            kubelet: folder.join("kubelet.json"),
            kubelet_credentials: folder.join("kubelet.kubeconfig"),
            proxy: folder.join("proxy.json"),
        };
        cache::write(
            &files.containerd,
            containerd_config(places, node, &network, &pause.name),
        )?;
        cache::write(
            &files.kubelet,
            kubelet_config(places, node, &resolver).to_string(),
        )?;
        kubeconfig::for_component(places, &files.kubelet_credentials, &node.name(), &api())?;
        let proxy_credentials = folder.join("proxy.kubeconfig");
        kubeconfig::for_component(places, &proxy_credentials, "proxy", &api())?;
        control_plane::write_proxy_config(&files.proxy, &proxy_credentials)?;
        Ok(files)
    }
}

/// Pods hang on routed cables, not on a bridge: so that traffic to a Service is translated back also when both
/// ends are on one node. Addresses are not hidden: a pod sees who calls.
fn network_config(places: &Places, node: Node) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": format!("radio-{}", node.name()),
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": false,
                "ipam": {
                    "type": "host-local",
                    "dataDir": text(&places.node_run(node).join("addresses")),
                    "ranges": [[{ "subnet": node.pod_range() }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

fn containerd_config(places: &Places, node: Node, network: &Path, pause: &str) -> String {
    let (run, images) = (places.node_run(node), places.node_images(node));
    format!(
        r#"version = 2
root = "{images}"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{network}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{run}/runc"
"#,
        images = images.display(),
        run = run.display(),
        socket = socket(places, node).display(),
        network = network.display(),
    )
}

fn kubelet_config(places: &Places, node: Node, resolver: &Path) -> serde_json::Value {
    let state = places.node_state(node);
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "failSwapOn": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", node.cgroup()),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": format!("unix://{}", socket(places, node).display()),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": text(&places.pki("ca.crt")) },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": text(&places.pki(&format!("{}.crt", node.name()))),
        "tlsPrivateKeyFile": text(&places.pki(&format!("{}.key", node.name()))),
        "clusterDNS": [dns::ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": text(resolver),
        "evictionHard": { "memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
        // Images come from here only; what the kubelet threw away could not be had again.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "8760h",
        "podLogsDir": text(&state.join("pod-logs")),
        "volumePluginDir": text(&state.join("volume-plugins")),
    })
}
