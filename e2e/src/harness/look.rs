//! What else a person would look at: Events, and whether a pod is still the one it was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use tokio::process::Command;

use super::{Stage, until};
use crate::cluster::Places;

impl Stage {
    /// Waits for an Event about an object; gives its type and its sentence.
    pub async fn await_event(
        &self,
        (kind, name): (&str, &str),
        reason: &str,
        mentions: &str,
        within: Duration,
    ) -> Result<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let about =
            ListParams::default().fields(&format!("involvedObject.kind={kind},involvedObject.name={name}"));
        let what = format!("an Event {reason} of {kind} {name} with \"{mentions}\"");
        let (event, _) = until(&what, within, || async {
            let events = events.list(&about).await.map_err(|e| e.to_string())?;
            let mut seen = Vec::new();
            for event in events {
                let (said, sentence) = (
                    event.reason.unwrap_or_default(),
                    event.message.unwrap_or_default(),
                );
                if said == reason && sentence.contains(mentions) {
                    return Ok((event.type_.unwrap_or_default(), sentence));
                }
                seen.push(format!("{said}: {sentence}"));
            }
            Err(seen.join("; "))
        })
        .await?;
        Ok(event)
    }

    /// What a person reads who asks kubectl about the namespace.
    pub async fn kubectl(&self, words: &[&str]) -> Result<String> {
        let places = Places::find()?;
        let mut kubectl = Command::new(places.visible.join("bin/kubectl"));
        kubectl
            .arg("--kubeconfig")
            .arg(places.kubeconfig())
            .env("KUBECACHEDIR", places.kubectl_cache());
        kubectl.args(["--namespace", &self.namespace]).args(words);
        let done = kubectl.output().await.context("kubectl did not start")?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "kubectl {}: {said}{}",
            words.join(" "),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(said)
    }

    /// Every pod of the namespace that is not about to go, with what changes when it or a container is a new one.
    pub async fn pods(&self) -> Result<Vec<String>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut seen = Vec::new();
        for pod in pods.list(&ListParams::default()).await? {
            if pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let status = pod.status.clone().unwrap_or_default();
            let containers = status
                .init_container_statuses
                .into_iter()
                .chain(status.container_statuses)
                .flatten();
            let restarts: Vec<String> = containers
                .map(|container| format!("{} {}", container.name, container.restart_count))
                .collect();
            seen.push(format!(
                "{} {} restarts: {}",
                pod.name_any(),
                pod.uid().unwrap_or_default(),
                restarts.join(", ")
            ));
        }
        seen.sort();
        Ok(seen)
    }
}
