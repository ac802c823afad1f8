//! The operator itself, taken away and brought back. Does IO.

use anyhow::{Context, Result};
use kube::api::ListParams;
use serde_json::{Value, json};

use super::radio::ON_AIR;
use super::{Stage, until};

impl Stage {
    /// Waits until there are that many operators, to the last pod. For tests of [`super::play_alone`], which have to bring it
    /// back whatever happens.
    pub async fn operators(&self, replicas: usize) -> Result<()> {
        let system = Self {
            namespace: "radio-system".to_owned(),
            ..self.clone()
        };
        let spec = json!({"spec": {"replicas": replicas}});
        system.merge("Deployment", "radio-operator", spec).await?;
        let ours = ListParams::default().labels("app.kubernetes.io/name=radio-operator");
        until(&format!("{replicas} operators"), 4 * ON_AIR, || async {
            let pods = system.kind("Pod").list(&ours).await.map_err(|e| e.to_string())?;
            let ready = pods.iter().filter(|pod| {
                let containers = pod.data.pointer("/status/containerStatuses/0/ready");
                containers.and_then(Value::as_bool) == Some(true)
            });
            let (ready, all) = (ready.count(), pods.items.len());
            if ready == replicas && all == replicas {
                Ok(())
            } else {
                Err(format!("{all} pods, {ready} ready"))
            }
        })
        .await
        .context("the operator")
        .map(drop)
    }
}
