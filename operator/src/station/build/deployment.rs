//! The Icecast pods. Nothing in their templates depends on Mounts or passwords: those are reloaded, not rolled. No IO.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{Container, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::{
    k8s::{
        meta::{Component, names},
        pod::{
            RUN_DIR, SECRET_DIR, agent, agent_volumes, connects, container_security, every, http, in_memory,
            leave_lost_nodes_after, pod_security, port, resources, within, writable,
        },
    },
    station::{icecast::render::PORT, validate::ValidSpec},
};

/// Where the agent writes what Icecast reads.
const CONFIG_FILE: &str = "/run/radio/icecast.xml";

/// There is one origin; two at the same time would share the sources.
pub fn origin(station: &ValidSpec) -> Deployment {
    let strategy = DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        rolling_update: None,
    };
    let name = names::origin(&station.owner.name);
    let mut deployment = deployment(station, Component::Origin, name, 1, strategy);
    if let Some(pod) = deployment
        .spec
        .as_mut()
        .and_then(|spec| spec.template.spec.as_mut())
    {
        pod.tolerations = Some(leave_lost_nodes_after(15));
    }
    deployment
}

/// A new relay is there before an old one goes.
pub fn relay(station: &ValidSpec) -> Deployment {
    let strategy = DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    };
    let name = names::relay(&station.owner.name);
    deployment(station, Component::Relay, name, station.relays, strategy)
}

fn deployment(
    station: &ValidSpec,
    component: Component,
    name: String,
    replicas: u16,
    strategy: DeploymentStrategy,
) -> Deployment {
    let owner = &station.owner;
    Deployment {
        metadata: owner.child(name.clone(), component),
        spec: Some(DeploymentSpec {
            replicas: Some(i32::from(replicas)),
            selector: owner.selector(component),
            strategy: Some(strategy),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(owner.labels(component)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(station.image.as_str(), name)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// `name` is the Deployment's, and so the Secret's and the `ServiceAccount`'s.
fn pod(image: &str, name: String) -> PodSpec {
    PodSpec {
        init_containers: Some(vec![icecast_agent(image, &name)]),
        containers: vec![icecast(image)],
        volumes: Some(agent_volumes(&name, in_memory("4Mi"))),
        service_account_name: Some(name),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        termination_grace_period_seconds: Some(10),
        ..PodSpec::default()
    }
}

fn icecast_agent(image: &str, secret: &str) -> Container {
    let command = [
        "icecast-agent",
        "watch",
        "--secret",
        secret,
        "--mounted",
        SECRET_DIR,
        "--write",
        CONFIG_FILE,
        "--health",
        "0.0.0.0:8001",
    ];
    agent(
        image,
        command.map(str::to_owned).to_vec(),
        within(60, http("/healthz")),
    )
}

fn icecast(image: &str) -> Container {
    Container {
        name: "icecast".to_owned(),
        image: Some(image.to_owned()),
        command: Some(
            ["icecast-agent", "run", "--config", CONFIG_FILE]
                .map(str::to_owned)
                .to_vec(),
        ),
        ports: Some(vec![port("http", i32::from(PORT))]),
        readiness_probe: Some(every(2, connects("http"))),
        liveness_probe: Some(every(10, connects("http"))),
        resources: Some(resources("20m", "32Mi", "128Mi")),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![writable("run", RUN_DIR), writable("tmp", "/tmp")]),
        ..Container::default()
    }
}
