//! Secrets whose passwords the operator makes: once, at random, and never again. IO.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    core::ObjectMeta,
};

use super::{
    apply::{ApplyError, must_be_ours},
    error::ApiError,
    meta::{Component, Owner},
};
use crate::text::Password;

/// Reads the Secret; makes it, or those of `keys` it does not have.
pub async fn ensure(
    client: &Client,
    owner: &Owner,
    manager: &str,
    (name, component): (&str, Component),
    keys: &[&str],
) -> Result<BTreeMap<String, ByteString>, ApplyError> {
    let api = Api::<Secret>::namespaced(client.clone(), &owner.namespace);
    let live = api
        .get_opt(name)
        .await
        .map_err(ApiError::new("read", "Secret", name))?;
    let metadata = owner.child(name.to_owned(), component);
    let Some(live) = live else {
        let made = random(keys);
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        // Made, not applied: if another process was faster its passwords count, and we read them next time.
        api.create(&params, &secret(metadata, made.clone()))
            .await
            .map_err(ApiError::new("make", "Secret", name))?;
        return Ok(made);
    };
    must_be_ours(owner, "Secret", name, &live.metadata)?;
    let mut data = live.data.unwrap_or_default();
    let missing: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| !data.contains_key(*key))
        .collect();
    if !missing.is_empty() {
        let added = random(&missing);
        data.extend(added.clone());
        let mut patch = secret(metadata, added);
        patch.metadata.resource_version = live.metadata.resource_version;
        // Merged, not applied: an apply takes away the keys it named last time and does not name now.
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(ApiError::new("complete", "Secret", name))?;
    }
    Ok(data)
}

fn random(keys: &[&str]) -> BTreeMap<String, ByteString> {
    let entry = |key: &&str| {
        let password = Password::random();
        (
            (*key).to_owned(),
            ByteString(password.reveal().as_bytes().to_vec()),
        )
    };
    keys.iter().map(entry).collect()
}

fn secret(metadata: ObjectMeta, data: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata,
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use radio_crds::Station;
    use serde_json::json;

    use super::*;
    use crate::{
        k8s::error::Classify,
        testing::{Asked, MockApi, PLAIN_STATION, owned_by_station, refusal, yaml},
    };

    async fn ask(
        answer: impl Fn(&Asked) -> (u16, serde_json::Value) + Send + Sync + 'static,
    ) -> (Result<BTreeMap<String, ByteString>, ApplyError>, MockApi) {
        let api = MockApi::default();
        let station: Station = yaml(PLAIN_STATION);
        let owner = Owner::of(&station, "radio").unwrap();
        let client = api.client(answer);
        let secret = ("radio-credentials", Component::Station);
        (ensure(&client, &owner, "tests", secret, &["a", "b"]).await, api)
    }

    #[tokio::test]
    async fn what_is_there_stays_and_what_is_missing_is_made() {
        let (found, api) = ask(|asked| match asked.method.as_str() {
            "GET" => (
                200,
                json!({"metadata": owned_by_station("radio-credentials"), "data": {"b": "a2VwdA=="}}),
            ),
            _ => (200, asked.body.clone()),
        })
        .await;
        let found = found.unwrap();
        assert_eq!(found["b"].0, b"kept");
        assert_eq!(found["a"].0.len(), 32);
        let written = api.last_body("PATCH");
        assert_eq!(written["metadata"]["resourceVersion"], "5");
        assert!(written["data"]["a"].is_string() && written["data"]["b"].is_null());
    }

    #[tokio::test]
    async fn different_keys_have_different_passwords() {
        let (found, api) = ask(|asked| match asked.method.as_str() {
            "GET" => refusal(404, "NotFound"),
            _ => (201, asked.body.clone()),
        })
        .await;
        let found = found.unwrap();
        assert_ne!(found["a"], found["b"]);
        assert_eq!(api.asked(), ["GET radio-credentials", "POST secrets"]);
    }

    #[tokio::test]
    async fn a_foreign_secret_is_left_alone() {
        let (found, api) = ask(|_| (200, json!({"metadata": {"name": "radio-credentials"}}))).await;
        assert_eq!(
            found.unwrap_err().reason(),
            radio_crds::conditions::reason::NAME_TAKEN
        );
        assert_eq!(api.asked(), ["GET radio-credentials"]);
    }
}
