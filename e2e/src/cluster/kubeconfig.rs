//! Kubeconfigs: one per component, and one for the person at the host's shell. Does IO.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Places, text};
use crate::install::cache;

/// Writes a component's kubeconfig, which names the certificate files of `user`.
pub fn for_component(places: &Places, path: &Path, user: &str, server: &str) -> Result<PathBuf> {
    let cluster = json!({ "server": server, "certificate-authority": text(&places.pki("ca.crt")) });
    let user = json!({
        "client-certificate": text(&places.pki(&format!("{user}.crt"))),
        "client-key": text(&places.pki(&format!("{user}.key"))),
    });
    cache::write(path, render(&cluster, &user)?)?;
    Ok(path.to_owned())
}

/// Writes the kubeconfig for the host: complete in itself, and with every right.
pub fn for_host(places: &Places, port: u16) -> Result<()> {
    let read = |file: &str| {
        let path = places.pki(file);
        fs::read(&path)
            .map(|bytes| STANDARD.encode(bytes))
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let server = format!("https://127.0.0.1:{port}");
    let cluster = json!({ "server": server, "certificate-authority-data": read("ca.crt")? });
    let user = json!({
        "client-certificate-data": read("admin.crt")?,
        "client-key-data": read("admin.key")?,
    });
    let path = places.kubeconfig();
    let rendered = render(&cluster, &user)?;
    if fs::read_to_string(&path).is_ok_and(|existing| existing == rendered) {
        return Ok(());
    }
    cache::write_secret(&path, rendered)
}

/// JSON is YAML too, and needs no other library.
fn render(cluster: &serde_json::Value, user: &serde_json::Value) -> Result<String> {
    let whole = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "radio", "cluster": cluster }],
        "users": [{ "name": "radio", "user": user }],
        "contexts": [{ "name": "radio", "context": { "cluster": "radio", "user": "radio" } }],
        "current-context": "radio",
    });
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}
