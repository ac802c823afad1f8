//! Where sources connect to a Mount, and who does. No IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    conditions,
    refs::{SecretKeyRef, SecretRef},
    text,
};

/// The user of sources that name no other.
pub const DEFAULT_USERNAME: &str = "source";

/// The input of a passthrough Mount whose path has no `*`.
pub const ONLY_INPUT: &str = "source";

/// One place where one DJ at a time connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Last part of the address, up to 40 characters, unique in the Mount: sources of the input `studio` of `/live`
    /// connect to `/live/studio` at the `status.sourceUrl` of the Station.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = text::entry_name())]
    pub name: String,

    /// The user a source logs in as, up to 64 characters. Default: `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::user_name())]
    pub username: Option<String>,

    /// Where the password is, 1 to 256 characters. Default: one is made, in the Secret `<name of the Mount>-inputs`,
    /// key `<name of the input>`. Another password counts within 2 s; a source that is connected stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
}

/// Sources are heard as they come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Passthrough {
    /// A Secret: each key stands for the `*` in `path` and its value is the password there, up to 100 keys. Without
    /// `*` the password is at its key `source`. Default: without `*` a password is made, in `<name of the Mount>-inputs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_secret_ref: Option<SecretRef>,
}

/// Where a source connects, and whether one is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputStatus {
    /// Name of the input; of a passthrough Mount the key that stands for the `*`, or `source`.
    pub name: String,

    /// Its address on the Station, e.g. `/live/studio`.
    pub path: String,

    /// Its whole address inside the cluster.
    pub url: String,

    /// The user a source logs in as.
    pub username: String,

    /// Where the password is.
    pub secret_ref: PasswordPlace,

    /// Whether a source is connected.
    pub connected: bool,

    /// Since when it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub since: Option<Time>,

    /// What it sends, such as `opus` or `mp3`, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,

    /// The last source that was not let in; one a minute for each reason is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// Where a password is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordPlace {
    /// Name of the Secret.
    pub name: String,

    /// Its key.
    pub key: String,
}

/// A source that was not let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRefusal {
    /// When.
    #[schemars(schema_with = "conditions::time")]
    pub time: Time,

    /// Why, as one CamelCase word for programs.
    pub reason: String,

    /// Why, as a sentence for people.
    pub message: String,

    /// The address it came from.
    pub from: String,
}
