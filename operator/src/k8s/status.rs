//! Writes a status, if it differs. IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::PartialObjectMeta,
};
use serde::Serialize;
use serde_json::json;

use super::{error::ApiError, kind::Kind};

/// Server-side apply on the status subresource, guarded by the resourceVersion the status was made from: a status
/// that was made from an old copy must not overwrite a newer one (the API server answers 409, and we look again).
pub async fn write<K: Kind>(
    client: &Client,
    of: &ObjectMeta,
    status: &impl Serialize,
) -> Result<(), ApiError> {
    let name = of.name.as_deref().unwrap_or_default();
    let namespace = of.namespace.as_deref().unwrap_or_default();
    let api = Api::<PartialObjectMeta<K>>::namespaced(client.clone(), namespace);
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": of.uid, "resourceVersion": of.resource_version},
        "status": status,
    });
    api.patch_status(
        name,
        &PatchParams::apply(K::MANAGER).force(),
        &Patch::Apply(&patch),
    )
    .await
    .map(drop)
    .map_err(ApiError::new("write the status of", &K::kind(&()), name))
}
