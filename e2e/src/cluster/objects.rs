//! Talks to the API server the way a person would, with kubectl. Does IO.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use super::Places;
use crate::install::command;

/// Waits until the API server answers that it is ready.
pub async fn wait_for_api(places: &Places, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer =
            command::output(kubectl(places).args(["get", "--raw", "/readyz", "--request-timeout=5s"])).await;
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > patience => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Applies these objects.
pub async fn apply(places: &Places, objects: &[Value]) -> Result<()> {
    apply_by(&mut kubectl(places), objects)
        .await
        .context("cannot apply the cluster's own objects")
}

/// Applies these objects by that kubectl, all in one request of the person `radio-cluster`.
pub async fn apply_by(kubectl: &mut Command, objects: &[Value]) -> Result<()> {
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let words = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=radio-cluster",
        "-f",
        "-",
    ];
    command::feed(kubectl.args(words), &list.to_string())
        .await
        .map(drop)
}

/// kubectl with the cluster's kubeconfig.
pub fn kubectl(places: &Places) -> Command {
    let mut kubectl = Command::new(places.visible.join("bin/kubectl"));
    kubectl.arg("--kubeconfig").arg(places.kubeconfig());
    kubectl.env("KUBECACHEDIR", places.kubectl_cache());
    kubectl
}

/// Waits until the object exists and fulfils the condition.
pub async fn wait(places: &Places, object: &str, condition: &str, seconds: u32) -> Result<()> {
    let (condition, timeout) = (format!("--for={condition}"), format!("--timeout={seconds}s"));
    for condition in ["--for=create", &condition] {
        command::output(kubectl(places).args(["wait", object, condition, &timeout]))
            .await
            .with_context(|| format!("{object} does not get there in {seconds} s ({condition})"))?;
    }
    Ok(())
}
