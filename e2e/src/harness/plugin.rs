//! `kubectl radio`, as somebody at a terminal in the cluster's network calls it. Starts processes.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::Stage;
use super::programs::{kubeconfig, program};
use crate::cluster;

/// A drill may take a while.
const PATIENCE: Duration = Duration::from_mins(3);

/// What it said, and whether it was content.
pub struct Said {
    /// Standard output.
    pub out: String,
    /// Remarks beside it.
    pub remarks: String,
    /// Whether it ended with 0.
    pub is_good: bool,
}

impl Stage {
    /// Asks the plugin something about the namespace.
    pub async fn plugin(&self, words: &[&str]) -> Result<Said> {
        let kubeconfig = kubeconfig()?;
        let mut plugin = Command::new(program("kubectl-radio")?);
        plugin.arg("--kubeconfig").arg(kubeconfig.path());
        plugin.args(["--namespace", &self.namespace]).args(words);
        plugin
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let running = cluster::spawn(&mut plugin)?;
        let done = tokio::time::timeout(PATIENCE, running.wait_with_output())
            .await
            .with_context(|| format!("kubectl radio {} does not end", words.join(" ")))??;
        let said = Said {
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            remarks: String::from_utf8_lossy(&done.stderr).into_owned(),
            is_good: done.status.success(),
        };
        println!(
            "$ kubectl radio {}\n{}{}",
            words.join(" "),
            said.remarks,
            said.out
        );
        Ok(said)
    }

    /// The same, and it has to be content.
    pub async fn plugin_says(&self, words: &[&str]) -> Result<String> {
        let said = self.plugin(words).await?;
        ensure!(
            said.is_good,
            "kubectl radio {}: {}{}",
            words.join(" "),
            said.remarks,
            said.out
        );
        Ok(said.out)
    }

    /// The same, for programs.
    pub async fn plugin_json(&self, words: &[&str]) -> Result<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--output", "json"]).collect();
        let said = self.plugin_says(&words).await?;
        serde_json::from_str(&said).with_context(|| format!("kubectl radio {}: {said}", words.join(" ")))
    }
}
