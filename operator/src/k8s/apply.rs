//! Server-side apply of children: never a foreign object, and no request when nothing would change. IO.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{Secret, Service, ServiceAccount},
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::reflector::{ObjectRef, Store},
};
use radio_crds::conditions::reason;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    error::{ApiError, Class, Classify},
    meta::Owner,
};
use crate::watch::Stores;

/// Why a child could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The API server refused, or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The name belongs to somebody else.
    #[error(
        "{kind} {name} already exists and does not belong to {owner}; it is left alone. Delete or rename it, \
         or give {owner} another name"
    )]
    NameTaken {
        /// Kind of the foreign object.
        kind: String,
        /// Its name.
        name: String,
        /// Kind and name of the object that wants the name.
        owner: String,
    },
    /// It belongs to a deleted object with the name of this one; the garbage collector is about to take it.
    #[error("{kind} {name} of the previous {owner} is still being deleted")]
    Leftover {
        /// Kind of the old child.
        kind: String,
        /// Its name.
        name: String,
        /// Kind and name of the old and the new owner.
        owner: String,
    },
}

impl Classify for ApplyError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => error.reason(),
            Self::NameTaken { .. } => reason::NAME_TAKEN,
            Self::Leftover { .. } => reason::PROGRESSING,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Api(error) => error.class(),
            // Foreign objects are not watched.
            Self::NameTaken { .. } => Class::Stalled {
                recheck: Some(Duration::from_secs(20)),
            },
            Self::Leftover { .. } => Class::Wait(Duration::from_secs(2)),
        }
    }
}

/// A kind of child, and where its last known metadata is.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The metadata as last seen by our watch.
    fn seen(stores: &Stores, namespace: &str, name: &str) -> Option<ObjectMeta>;
}

impl Child for Deployment {
    fn seen(stores: &Stores, namespace: &str, name: &str) -> Option<ObjectMeta> {
        stores
            .deployments
            .get(&ObjectRef::new(name).within(namespace))
            .map(|found| found.metadata.clone())
    }
}

impl Child for StatefulSet {
    fn seen(stores: &Stores, namespace: &str, name: &str) -> Option<ObjectMeta> {
        stores
            .stateful_sets
            .get(&ObjectRef::new(name).within(namespace))
            .map(|found| found.metadata.clone())
    }
}

impl Child for Job {
    fn seen(stores: &Stores, namespace: &str, name: &str) -> Option<ObjectMeta> {
        stores
            .jobs
            .get(&ObjectRef::new(name).within(namespace))
            .map(|found| found.metadata.clone())
    }
}

macro_rules! seen_by_metadata {
    ($($kind:ty => $store:ident),*) => {$(
        impl Child for $kind {
            fn seen(stores: &Stores, namespace: &str, name: &str) -> Option<ObjectMeta> {
                metadata_of(&stores.$store, namespace, name)
            }
        }
    )*};
}

seen_by_metadata!(
    Secret => secrets,
    Service => services,
    ServiceAccount => service_accounts,
    Role => roles,
    RoleBinding => role_bindings
);

fn metadata_of<K>(store: &Store<PartialObjectMeta<K>>, namespace: &str, name: &str) -> Option<ObjectMeta>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store
        .get(&ObjectRef::new(name).within(namespace))
        .map(|found| found.metadata.clone())
}

/// What was applied last, so that an unchanged child costs no request.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<String, HashMap<String, Entry>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Hash of the object as we wanted it; in memory only, it may stem from a Secret.
    wanted: u64,
    uid: Option<String>,
    version: Version,
}

/// What changes when somebody changes what we wrote, and not when a controller writes a status.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Generation(i64),
    Resource(String),
}

impl Version {
    fn of(metadata: &ObjectMeta) -> Self {
        match metadata.generation {
            Some(generation) => Self::Generation(generation),
            None => Self::Resource(metadata.resource_version.clone().unwrap_or_default()),
        }
    }

    /// Whether `seen` is this version, or an older one that a slow watch still shows.
    fn covers(&self, seen: &Self) -> bool {
        match (self, seen) {
            (Self::Generation(ours), Self::Generation(seen)) => seen <= ours,
            (Self::Resource(ours), Self::Resource(seen)) => {
                match (ours.parse::<u64>(), seen.parse::<u64>()) {
                    (Ok(ours), Ok(seen)) => seen <= ours,
                    _ => ours == seen,
                }
            }
            _ => false,
        }
    }
}

impl Ledger {
    fn key(owner: &str, namespace: &str, name: &str) -> String {
        format!("{owner}/{namespace}/{name}")
    }

    fn find(&self, owner: &Owner, child: &str) -> Option<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(&Self::key(&owner.kind, &owner.namespace, &owner.name))?
            .get(child)
            .cloned()
    }

    fn record(&self, owner: &Owner, child: String, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .entry(Self::key(&owner.kind, &owner.namespace, &owner.name))
            .or_default()
            .insert(child, entry);
    }

    /// The owner is gone.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&Self::key(kind, namespace, name));
    }
}

/// Applies the children of one owner.
pub struct Applier<'a> {
    /// How to reach the API server.
    pub client: &'a Client,
    /// What the watches saw.
    pub stores: &'a Stores,
    /// What was applied before.
    pub ledger: &'a Ledger,
    /// Whose children these are.
    pub owner: &'a Owner,
    /// The field manager.
    pub manager: &'static str,
}

impl Applier<'_> {
    /// Makes the child as wanted. Returns the object if it was written, `None` if it was so already.
    pub async fn apply<K: Child>(&self, wanted: &K) -> Result<Option<K>, ApplyError> {
        let kind = K::kind(&());
        let name = wanted.name_any();
        let key = format!("{kind}/{name}");
        let hash = fingerprint(wanted);
        let unchanged = |metadata: &ObjectMeta| {
            self.ledger.find(self.owner, &key).is_some_and(|entry| {
                entry.wanted == hash
                    && entry.uid == metadata.uid
                    && entry.version.covers(&Version::of(metadata))
                    && carries(metadata, wanted.meta())
            })
        };

        if let Some(seen) = K::seen(self.stores, &self.owner.namespace, &name)
            && self.owner.controls(&seen)
            && unchanged(&seen)
        {
            return Ok(None);
        }
        let api = Api::<K>::namespaced(self.client.clone(), &self.owner.namespace);
        let live = api
            .get_metadata_opt(&name)
            .await
            .map_err(ApiError::new("read", &kind, &name))?;
        if let Some(live) = &live {
            self.must_be_ours(&kind, &name, &live.metadata)?;
            if unchanged(&live.metadata) {
                return Ok(None);
            }
        }

        // With a uid, the API server refuses to write to another object than the one just looked at.
        let mut patch = Box::new(wanted.clone());
        patch.meta_mut().uid = live.and_then(|live| live.metadata.uid);
        let applied = api
            .patch(
                &name,
                &PatchParams::apply(self.manager).force(),
                &Patch::Apply(&*patch),
            )
            .await
            .map_err(ApiError::new("apply", &kind, &name))?;
        let entry = Entry {
            wanted: hash,
            uid: applied.meta().uid.clone(),
            version: Version::of(applied.meta()),
        };
        self.ledger.record(self.owner, key, entry);
        tracing::debug!(%kind, name, "applied");
        Ok(Some(applied))
    }

    fn must_be_ours(&self, kind: &str, name: &str, metadata: &ObjectMeta) -> Result<(), ApplyError> {
        must_be_ours(self.owner, kind, name, metadata)
    }
}

/// Refuses an object that exists and is not this owner's.
pub fn must_be_ours(owner: &Owner, kind: &str, name: &str, metadata: &ObjectMeta) -> Result<(), ApplyError> {
    if owner.controls(metadata) {
        return Ok(());
    }
    let (kind, name) = (kind.to_owned(), name.to_owned());
    let wanted_by = format!("{} {}", owner.kind, owner.name);
    Err(if owner.had_controlled(metadata) {
        ApplyError::Leftover {
            kind,
            name,
            owner: wanted_by,
        }
    } else {
        ApplyError::NameTaken {
            kind,
            name,
            owner: wanted_by,
        }
    })
}

/// Whether the labels we set are still there; a generation does not change with them.
fn carries(seen: &ObjectMeta, wanted: &ObjectMeta) -> bool {
    let seen_labels = seen.labels.as_ref();
    wanted
        .labels
        .iter()
        .flatten()
        .all(|(key, value)| seen_labels.and_then(|labels| labels.get(key)) == Some(value))
}

fn fingerprint<K: Serialize>(object: &K) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Kubernetes objects always serialize; if one did not, the request itself would say so.
    hasher.write(&serde_json::to_vec(object).unwrap_or_default());
    hasher.finish()
}

#[cfg(test)]
mod tests;
