//! Names, labels and owners of child objects. No IO.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt, core::NamespaceResourceScope};
use radio_crds::{MOUNT_LABEL, RECORDING_LABEL, SHOW_LABEL, STATION_LABEL};

/// Label of every object the operator makes, and its value.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// See [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "radio-operator";
/// Label that tells the parts of a Station apart.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// Which part of a Station an object belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The Icecast that gets the streams.
    Origin,
    /// The Icecast servers listeners connect to.
    Relay,
    /// The pod that plays one Mount.
    Playout,
    /// The server sources connect to.
    Ingest,
    /// What records.
    Recorder,
    /// What makes the final objects of a recording.
    Finalizer,
    /// What deletes what need not be kept.
    Keeper,
    /// What belongs to the Station as a whole.
    Station,
}

impl Component {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Relay => "relay",
            Self::Playout => "playout",
            Self::Ingest => "ingest",
            Self::Recorder => "recorder",
            Self::Finalizer => "finalizer",
            Self::Keeper => "keeper",
            Self::Station => "station",
        }
    }
}

/// The custom resource that owns children: enough to name, label and apply them.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// `Station`, `Mount`, `Show` or `Recording`.
    pub kind: String,
    /// Namespace of the owner and its children.
    pub namespace: String,
    /// Name of the owner.
    pub name: String,
    /// Identity of the owner; a new object of the same name is another one.
    pub uid: String,
    /// The Station's name, its own or the one it refers to.
    pub station: String,
    reference: OwnerReference,
}

impl Owner {
    /// `None` for an object the API server has never seen.
    pub fn of<K>(object: &K, station: &str) -> Option<Self>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let reference = OwnerReference {
            // Foreground deletion waits for the children.
            block_owner_deletion: Some(true),
            ..object.controller_owner_ref(&())?
        };
        Some(Self {
            kind: reference.kind.clone(),
            namespace: object.namespace()?,
            name: reference.name.clone(),
            uid: reference.uid.clone(),
            station: station.to_owned(),
            reference,
        })
    }

    /// Metadata of a child.
    #[must_use]
    pub fn child(&self, name: String, component: Component) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![self.reference.clone()]),
            ..ObjectMeta::default()
        }
    }

    /// All labels of a child or its pods. Never the owner's own labels: Argo CD would take the child for its own.
    #[must_use]
    pub fn labels(&self, component: Component) -> BTreeMap<String, String> {
        let mut labels = self.selector_labels(component);
        labels.insert("app.kubernetes.io/name".to_owned(), "radio".to_owned());
        labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned());
        labels
    }

    /// The few labels that select pods; selectors are immutable, so these never change.
    #[must_use]
    pub fn selector_labels(&self, component: Component) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            (COMPONENT_LABEL.to_owned(), component.as_str().to_owned()),
            (STATION_LABEL.to_owned(), self.station.clone()),
        ]);
        let own = match self.kind.as_str() {
            "Mount" => Some(MOUNT_LABEL),
            "Show" => Some(SHOW_LABEL),
            "Recording" => Some(RECORDING_LABEL),
            _ => None,
        };
        labels.extend(own.map(|label| (label.to_owned(), self.name.clone())));
        labels
    }

    /// Selects the pods of a component.
    #[must_use]
    pub fn selector(&self, component: Component) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector_labels(component)),
            match_expressions: None,
        }
    }

    /// Whether `metadata` says that this very object controls it.
    #[must_use]
    pub fn controls(&self, metadata: &ObjectMeta) -> bool {
        controller_of(metadata).is_some_and(|controller| controller.uid == self.uid)
    }

    /// Whether `metadata` belongs to an earlier object of the same kind and name, and is about to be collected.
    #[must_use]
    pub fn had_controlled(&self, metadata: &ObjectMeta) -> bool {
        controller_of(metadata).is_some_and(|controller| {
            controller.kind == self.kind
                && controller.api_version == self.reference.api_version
                && controller.name == self.name
                && controller.uid != self.uid
        })
    }
}

/// The owner that controls an object.
#[must_use]
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

/// Names of the objects around a Station; other kinds need them too.
pub mod names {
    /// The Secret with the Station's passwords.
    #[must_use]
    pub fn credentials(station: &str) -> String {
        format!("{station}-credentials")
    }

    /// The Service, Deployment and Secret of an origin.
    #[must_use]
    pub fn origin(station: &str) -> String {
        format!("{station}-origin-0")
    }

    /// The Deployment and Secret of the relays.
    #[must_use]
    pub fn relay(station: &str) -> String {
        format!("{station}-relay")
    }

    /// The Service listeners connect to.
    #[must_use]
    pub fn listen(station: &str) -> String {
        format!("{station}-listen")
    }

    /// The Deployment and Secret of a Mount.
    #[must_use]
    pub fn playout(mount: &str) -> String {
        format!("{mount}-playout")
    }

    /// The Secret with the passwords made for a Mount's inputs.
    #[must_use]
    pub fn inputs(mount: &str) -> String {
        format!("{mount}-inputs")
    }

    /// The Secret with the passwords made for a Show's presenters.
    #[must_use]
    pub fn presenters(show: &str) -> String {
        format!("{show}-presenters")
    }

    /// The `StatefulSet` and Secret of a Station's ingest, and the Service sources connect to.
    #[must_use]
    pub fn ingest(station: &str) -> String {
        format!("{station}-ingest")
    }

    /// The Service that gives each ingest pod a name of its own.
    #[must_use]
    pub fn tape(station: &str) -> String {
        format!("{station}-tape")
    }

    /// The address of the listen Service inside the cluster.
    #[must_use]
    pub fn listen_host(station: &str, namespace: &str) -> String {
        format!("{}.{namespace}.svc", listen(station))
    }
}
