//! The project's own programs, started in the cluster's network by a test. Does IO.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::cluster::{CONTROL_PLANE_ADDRESS, Places};

/// A program of the workspace, as the images have it: `make up` builds all of them, beside the tests.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("this test has no file")?;
    let folder = test.parent().and_then(|deps| deps.parent());
    let program = folder.context("a test in no folder")?.join(name);
    ensure!(
        program.exists(),
        "there is no {}: `make up` builds it",
        program.display()
    );
    Ok(program)
}

/// A kubeconfig that works in the cluster's network: the local one leads through a door of the host.
pub fn kubeconfig() -> Result<NamedTempFile> {
    let path = Places::find()?.kubeconfig();
    let text = std::fs::read_to_string(&path);
    let text = text.with_context(|| format!("no cluster at {}: run `make up` first", path.display()))?;
    let mut config: Value = serde_json::from_str(&text).context("the local kubeconfig")?;
    let server = config.pointer_mut("/clusters/0/cluster/server");
    *server.context("the local kubeconfig names no server")? =
        format!("https://{CONTROL_PLANE_ADDRESS}:6443").into();
    file(&config.to_string())
}

/// A kubeconfig of a server that asks nobody who he is.
pub fn kubeconfig_of(server: &str) -> Result<NamedTempFile> {
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    file(&config.to_string())
}

fn file(text: &str) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}
