//! What a person wants to see of a failed test: conditions, pods, events, the ends of all logs.

use std::fmt::Write;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};

use super::api;

const LOG_LINES: i64 = 40;

/// Everything about a namespace, as text.
pub async fn namespace(client: &Client, namespace: &str) -> String {
    let mut out = format!("\n======== namespace {namespace} ========\n");
    conditions(client, namespace, &mut out).await;
    events(client, namespace, &mut out).await;
    pods(client, namespace, &mut out).await;
    out
}

async fn conditions(client: &Client, namespace: &str, out: &mut String) {
    for (group, version, kind) in &api::KINDS[..4] {
        let api = api::dynamic(client, namespace, group, version, kind);
        let Ok(list) = api.list(&ListParams::default()).await else {
            continue;
        };
        for object in list {
            _ = writeln!(
                out,
                "-- {kind} {}, generation {:?}",
                object.name_any(),
                object.metadata.generation
            );
            for c in api::conditions(&object) {
                _ = writeln!(out, "   {}={} {}: {}", c.kind, c.status, c.reason, c.message);
            }
            if *kind == "Show" {
                _ = writeln!(out, "   {}", object.data["status"]);
            }
        }
    }
}

async fn events(client: &Client, namespace: &str, out: &mut String) {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let Ok(list) = api.list(&ListParams::default()).await else {
        return;
    };
    _ = writeln!(out, "-- events");
    for event in list {
        let about = event.involved_object;
        let (kind, name) = (about.kind.unwrap_or_default(), about.name.unwrap_or_default());
        let (reason, message) = (
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default(),
        );
        _ = writeln!(out, "   {kind} {name}: {reason}: {message}");
    }
}

async fn pods(client: &Client, namespace: &str, out: &mut String) {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let Ok(list) = api.list(&ListParams::default()).await else {
        return;
    };
    for pod in list {
        let status = pod.status.clone().unwrap_or_default();
        let node = pod
            .spec
            .as_ref()
            .and_then(|s| s.node_name.clone())
            .unwrap_or_default();
        let name = pod.name_any();
        _ = writeln!(
            out,
            "-- pod {name} on {node}: {}",
            status.phase.unwrap_or_default()
        );
        let init = status.init_container_statuses.unwrap_or_default();
        for container in init
            .into_iter()
            .chain(status.container_statuses.unwrap_or_default())
        {
            _ = writeln!(out, "   {}", state(&container));
            log(&api, &name, &container.name, out).await;
        }
    }
}

fn state(container: &ContainerStatus) -> String {
    let state = container.state.clone().unwrap_or_default();
    let words = match (state.running, state.waiting, state.terminated) {
        (Some(_), _, _) => "running".to_owned(),
        (_, Some(waiting), _) => {
            format!(
                "waiting: {} {}",
                waiting.reason.unwrap_or_default(),
                waiting.message.unwrap_or_default()
            )
        }
        (_, _, Some(ended)) => format!("ended: {} {}", ended.exit_code, ended.reason.unwrap_or_default()),
        _ => "unknown".to_owned(),
    };
    format!(
        "{}: {words}, {} restarts, ready {}",
        container.name, container.restart_count, container.ready
    )
}

async fn log(api: &Api<Pod>, pod: &str, container: &str, out: &mut String) {
    for previous in [true, false] {
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(LOG_LINES),
            previous,
            ..LogParams::default()
        };
        let Ok(text) = api.logs(pod, &params).await else {
            continue;
        };
        for line in text.lines() {
            _ = writeln!(out, "      {line}");
        }
    }
}
