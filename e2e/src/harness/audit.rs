//! What the API server was asked to change: its audit log, as the local cluster keeps it.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;

use crate::cluster::Places;

/// One write to the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Who asked.
    pub user: User,
    /// What it was about.
    #[serde(default)]
    pub object_ref: ObjectRef,
    /// When the request came.
    pub request_received_timestamp: Timestamp,
}

/// Who asked.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    /// E.g. `system:serviceaccount:radio-system:radio-operator`.
    pub username: String,
}

/// What a request was about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ObjectRef {
    /// Plural, lower case.
    pub resource: String,
    /// Empty for cluster-wide objects.
    pub namespace: String,
    /// Empty where the server makes the name.
    pub name: String,
    /// `status` and the like.
    pub subresource: String,
}

/// The writes that came at `since` or later.
pub fn writes(since: Timestamp) -> Result<Vec<Write>> {
    let path = Places::find()?.audit_log();
    let file = File::open(&path).with_context(|| format!("no audit log at {}", path.display()))?;
    let mut writes = Vec::new();
    for line in BufReader::new(file).lines() {
        // The last line may be half written.
        let Ok(write) = serde_json::from_str::<Write>(&line?) else {
            continue;
        };
        let changes =
            ["create", "update", "patch", "delete", "deletecollection"].contains(&write.verb.as_str());
        if changes && write.request_received_timestamp >= since {
            writes.push(write);
        }
    }
    Ok(writes)
}
