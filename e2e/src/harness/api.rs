//! The API server as a test sees it: objects as YAML in, conditions and children out.

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

/// Who the tests are for server-side apply.
const FIELD_MANAGER: &str = "e2e";

/// Every kind the operator makes or reads: what a test lists to find children and their versions.
pub const KINDS: [(&str, &str, &str); 15] = [
    ("radio.moafunk.de", "v1alpha1", "Station"),
    ("radio.moafunk.de", "v1alpha1", "Mount"),
    ("radio.moafunk.de", "v1alpha1", "Show"),
    ("radio.moafunk.de", "v1alpha1", "Recording"),
    ("batch", "v1", "Job"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("", "v1", "Service"),
    ("", "v1", "Secret"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Pod"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
];

/// The API of one kind in one namespace, by group, version and kind.
#[must_use]
pub fn dynamic(
    client: &Client,
    namespace: &str,
    group: &str,
    version: &str,
    kind: &str,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Applies every document of `yaml` server-side and returns the objects as stored.
pub async fn apply(client: &Client, namespace: &str, yaml: &str) -> Result<Vec<DynamicObject>> {
    let mut stored = Vec::new();
    for object in documents(yaml)? {
        let types = object
            .types
            .as_ref()
            .context("a document without apiVersion and kind")?;
        let kind = GroupVersionKind::try_from(types)?;
        let api = dynamic(client, namespace, &kind.group, &kind.version, &kind.kind);
        let name = object.name_any();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let object = api.patch(&name, &params, &Patch::Apply(&object)).await;
        stored.push(object.with_context(|| format!("the API server refused {} {name}", kind.kind))?);
    }
    Ok(stored)
}

fn documents(yaml: &str) -> Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let document = Value::deserialize(document).context("the test's own YAML does not parse")?;
        if !document.is_null() {
            objects.push(serde_json::from_value(document)?);
        }
    }
    Ok(objects)
}

/// One condition, as far as tests read it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `Reconciling`, `Stalled`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// The one word.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The generation it speaks of.
    pub observed_generation: Option<i64>,
}

/// The conditions of an object, none when there is no status yet.
#[must_use]
pub fn conditions(object: &DynamicObject) -> Vec<Condition> {
    let conditions = object
        .data
        .pointer("/status/conditions")
        .cloned()
        .unwrap_or_default();
    serde_json::from_value(conditions).unwrap_or_default()
}

/// The condition of that type, if it speaks of the object's present generation.
#[must_use]
pub fn condition(object: &DynamicObject, kind: &str) -> Option<Condition> {
    let generation = object.metadata.generation;
    conditions(object)
        .into_iter()
        .find(|c| c.kind == kind && c.observed_generation == generation)
}
