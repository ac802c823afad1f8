//! The control plane: etcd, the API server, its controllers and its scheduler. Does IO.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::processes::{self, Service};
use super::{CONTROL_PLANE, CONTROL_PLANE_ADDRESS, Places, kubeconfig, objects, text};
use crate::install::cache;
use crate::install::golang::Programs;
use crate::steps::Progress;

/// Where the control plane's own processes find the API server.
const API: &str = "https://127.0.0.1:6443";
const ETCD: &str = "http://127.0.0.1:2379";

/// Starts etcd and the API server, and waits until it is ready.
pub async fn api(places: &Places, programs: &Programs, progress: &Progress) -> Result<()> {
    progress.say("etcd");
    processes::ensure(&places.records(), &etcd(places)).await?;
    progress.say("API server");
    processes::ensure(&places.records(), &apiserver(places, programs)?).await?;
    Ok(())
}

/// Starts what acts on the API's objects.
pub async fn controllers(places: &Places, programs: &Programs, progress: &Progress) -> Result<()> {
    objects::wait_for_api(places, Duration::from_secs(90))
        .await
        .with_context(|| {
            format!(
                "the API server does not become ready; see {}",
                places.log("apiserver").display()
            )
        })?;
    for service in [
        controller_manager(places, programs)?,
        scheduler(places, programs)?,
        proxy(places, programs)?,
    ] {
        progress.say(&service.name);
        processes::ensure(&places.records(), &service).await?;
    }
    progress.say("API ready");
    Ok(())
}

/// A process in the control plane's namespace.
pub fn service(places: &Places, name: &str, program: PathBuf, arguments: Vec<String>) -> Service {
    Service {
        name: name.into(),
        program,
        arguments,
        environment: vec![],
        namespace: Some(CONTROL_PLANE.into()),
        cgroup: CONTROL_PLANE.into(),
        reads: vec![],
        log: places.log(name),
    }
}

/// A kubeconfig for a process beside the API server.
pub fn local_kubeconfig(places: &Places, user: &str) -> Result<PathBuf> {
    kubeconfig::for_component(
        places,
        &places.state.join(format!("{user}.kubeconfig")),
        user,
        API,
    )
}

fn etcd(places: &Places) -> Service {
    let arguments = vec![
        format!("--data-dir={}", text(&places.state.join("etcd"))),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380".into(),
        // What must outlive the machine's power is not kept in a local cluster.
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ];
    service(places, "etcd", "/usr/bin/etcd".into(), arguments)
}

fn apiserver(places: &Places, programs: &Programs) -> Result<Service> {
    let policy = places.state.join("audit-policy.json");
    cache::write(&policy, audit_policy().to_string())?;
    let pki = |file: &str| text(&places.pki(file));
    let arguments = vec![
        format!("--etcd-servers={ETCD}"),
        "--secure-port=6443".into(),
        "--bind-address=0.0.0.0".into(),
        format!("--advertise-address={CONTROL_PLANE_ADDRESS}"),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", pki("accounts.pub")),
        format!("--service-account-signing-key-file={}", pki("accounts.key")),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        "--authorization-mode=Node,RBAC".into(),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--allow-privileged=true".into(),
        format!("--kubelet-client-certificate={}", pki("admin.crt")),
        format!("--kubelet-client-key={}", pki("admin.key")),
        format!("--kubelet-certificate-authority={}", pki("ca.crt")),
        // The nodes' names mean nothing outside Kubernetes here.
        "--kubelet-preferred-address-types=InternalIP".into(),
        format!("--audit-policy-file={}", text(&policy)),
        format!("--audit-log-path={}", text(&places.audit_log())),
    ];
    let mut service = service(
        places,
        "apiserver",
        programs.component("kube-apiserver"),
        arguments,
    );
    service.reads = vec![places.pki("apiserver.crt"), policy];
    Ok(service)
}

/// Every change, by whom, without its content (which may be secret).
fn audit_policy() -> serde_json::Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
        }, {
            "level": "None",
        }],
    })
}

fn controller_manager(places: &Places, programs: &Programs) -> Result<Service> {
    let arguments = vec![
        format!("--kubeconfig={}", text(&local_kubeconfig(places, "controllers")?)),
        format!(
            "--service-account-private-key-file={}",
            text(&places.pki("accounts.key"))
        ),
        format!("--root-ca-file={}", text(&places.pki("ca.crt"))),
        "--use-service-account-credentials".into(),
        "--allocate-node-cidrs=false".into(),
        format!(
            "--flex-volume-plugin-dir={}",
            text(&places.state.join("volume-plugins"))
        ),
        "--leader-elect=false".into(),
    ];
    let program = programs.component("kube-controller-manager");
    Ok(service(places, "controller-manager", program, arguments))
}

fn scheduler(places: &Places, programs: &Programs) -> Result<Service> {
    let config = local_kubeconfig(places, "scheduler")?;
    let arguments = vec![
        format!("--kubeconfig={}", text(&config)),
        "--leader-elect=false".into(),
    ];
    Ok(service(
        places,
        "scheduler",
        programs.component("kube-scheduler"),
        arguments,
    ))
}

/// A kube-proxy beside the nodes', so that Services can be reached from here whichever node is down.
fn proxy(places: &Places, programs: &Programs) -> Result<Service> {
    let config = places.state.join("proxy.json");
    write_proxy_config(&config, &local_kubeconfig(places, "proxy")?)?;
    // There is no Node for this namespace, and without one it waits half a minute; node1's serves.
    let arguments = vec![
        format!("--config={}", text(&config)),
        "--hostname-override=node1".into(),
    ];
    let mut service = service(places, "proxy", programs.component("kube-proxy"), arguments);
    service.reads = vec![config];
    Ok(service)
}

/// Writes the configuration of one kube-proxy.
pub fn write_proxy_config(path: &std::path::Path, kubeconfig: &std::path::Path) -> Result<()> {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": "10.244.0.0/16",
        "clientConnection": { "kubeconfig": text(kubeconfig) },
        // These limits belong to the whole machine; a namespace may not set them.
        "conntrack": { "maxPerCore": 0, "min": 0 },
    });
    let rendered = config.to_string();
    if fs::read_to_string(path).is_ok_and(|existing| existing == rendered) {
        return Ok(());
    }
    cache::write(path, rendered)
}
