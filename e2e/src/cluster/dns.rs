//! The cluster's DNS: CoreDNS as a process of the control plane, behind the usual Service. Does IO.

use anyhow::Result;
use serde_json::{Value, json};

use super::processes::{self, Service};
use super::{CONTROL_PLANE_ADDRESS, Places, control_plane, text};
use crate::install::cache;
use crate::install::golang::Programs;

/// The address pods are told to ask.
pub const ADDRESS: &str = "10.96.0.10";

/// Starts CoreDNS.
pub async fn ensure(places: &Places, programs: &Programs) -> Result<()> {
    processes::ensure(&places.records(), &coredns(places, programs)?)
        .await
        .map(drop)
}

fn coredns(places: &Places, programs: &Programs) -> Result<Service> {
    let config = places.state.join("Corefile");
    let kubeconfig = control_plane::local_kubeconfig(places, "dns")?;
    cache::write(&config, corefile(&text(&kubeconfig)))?;
    let arguments = vec!["-conf".into(), text(&config)];
    let mut service = control_plane::service(places, "coredns", programs.coredns.clone(), arguments);
    service.reads = vec![config];
    Ok(service)
}

/// Names outside the cluster are refused at once: nothing leaves the machine.
fn corefile(kubeconfig: &str) -> String {
    format!(
        ".:53 {{\n    bind {CONTROL_PLANE_ADDRESS}\n    errors\n    ready 127.0.0.1:8181\n    \
         kubernetes cluster.local in-addr.arpa {{\n        kubeconfig {kubeconfig}\n        ttl 5\n    }}\n    \
         cache 5\n}}\n"
    )
}

/// The Service in front of CoreDNS.
pub fn objects() -> Vec<Value> {
    let labels = json!({ "k8s-app": "kube-dns", "kubernetes.io/service-name": "kube-dns" });
    let metadata = json!({ "name": "kube-dns", "namespace": "kube-system", "labels": labels });
    let port = |name: &str, protocol: &str| json!({ "name": name, "port": 53, "protocol": protocol });
    let ports = json!([port("dns", "UDP"), port("dns-tcp", "TCP")]);
    vec![
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "clusterIP": ADDRESS, "ports": ports },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": "IPv4", "ports": ports,
            "endpoints": [{ "addresses": [CONTROL_PLANE_ADDRESS], "conditions": { "ready": true } }],
        }),
    ]
}
