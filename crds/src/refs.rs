//! References from our kinds to other objects in the same namespace. No IO.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text;

/// A Station.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StationRef {
    /// Name of the Station, in the namespace of this object.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::object_name())]
    pub name: String,
}

/// A Mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MountRef {
    /// Name of the Mount, in the namespace of this object.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::object_name())]
    pub name: String,
}

/// A whole `ConfigMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapRef {
    /// Name of the `ConfigMap`, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub name: String,
}

/// One key of a `ConfigMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the `ConfigMap`, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub name: String,

    /// The key in `data` or `binaryData`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::config_map_key())]
    pub key: String,
}

/// A whole Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub name: String,
}

/// One key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret, in the namespace of this object.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub name: String,

    /// The key in `data`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::secret_key())]
    pub key: String,
}

/// A directory on a `PersistentVolumeClaim`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRef {
    /// Name of the `PersistentVolumeClaim`, in the namespace of this object. It is mounted read-only.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub claim_name: String,

    /// Directory inside the volume, e.g. `night/calm`; its subdirectories are played too. Default: the whole volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = text::directory_in_volume())]
    pub path: Option<String>,
}
