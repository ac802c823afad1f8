//! Writes a status, if it differs. IO.

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde_json::json;

use super::{error::ApiError, kind::Kind};

/// Server-side apply on the status subresource, guarded by the resourceVersion the status was made from: a status
/// that was made from an old copy must not overwrite a newer one (the API server answers 409, and we look again).
pub async fn write<K: Kind>(client: &Client, object: &K, status: &K::Status) -> Result<(), ApiError> {
    let name = object.name_any();
    let api =
        Api::<PartialObjectMeta<K>>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": object.uid(), "resourceVersion": object.resource_version()},
        "status": status,
    });
    api.patch_status(
        &name,
        &PatchParams::apply(K::MANAGER).force(),
        &Patch::Apply(&patch),
    )
    .await
    .map(drop)
    .map_err(ApiError::new("write the status of", &K::kind(&()), &name))
}
