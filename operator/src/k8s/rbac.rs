//! What a pod may ask the API server: its own Secret and what it names, nothing else. No IO.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

use super::meta::{Component, Owner};

/// The identity of a pod and its rights.
#[derive(Clone)]
pub struct Access {
    /// The identity.
    pub service_account: ServiceAccount,
    /// What it may do.
    pub role: Role,
    /// That it may.
    pub binding: RoleBinding,
}

/// Lets the pods of the Deployment `name` read the named Secrets and `ConfigMaps`.
#[must_use]
pub fn access(
    owner: &Owner,
    component: Component,
    name: &str,
    secrets: &[String],
    config_maps: &[String],
) -> Access {
    let metadata = || owner.child(name.to_owned(), component);
    Access {
        service_account: ServiceAccount {
            metadata: metadata(),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        },
        role: Role {
            metadata: metadata(),
            rules: Some(
                [("secrets", secrets), ("configmaps", config_maps)]
                    .into_iter()
                    .filter(|(_, names)| !names.is_empty())
                    .map(|(resource, names)| read(resource, names))
                    .collect(),
            ),
        },
        binding: RoleBinding {
            metadata: metadata(),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "Role".to_owned(),
                name: name.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: name.to_owned(),
                namespace: Some(owner.namespace.clone()),
                api_group: None,
            }]),
        },
    }
}

/// list and watch are granted by name too: the agents list with a metadata.name field selector.
fn read(resource: &str, names: &[String]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: Some(names.to_vec()),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    }
}
