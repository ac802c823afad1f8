//! `Station`: who is broadcasting, and how listeners reach it. No IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{conditions, text};

/// Relays of a Station that names no number.
pub const DEFAULT_RELAYS: u16 = 1;

/// A radio station: its identity, its Icecast origin and the relays listeners connect to.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "radio.moafunk.de",
    version = "v1alpha1",
    kind = "Station",
    plural = "stations",
    namespaced,
    status = "StationStatus",
    shortname = "rst",
    category = "radio",
    derive = "PartialEq",
    doc = "A radio station: its identity, its Icecast origin and the relays listeners connect to.",
    validation = text::resource_name(),
    cel,
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(name = "Mounts", type_ = "integer", json_path = ".status.mounts"),
    printcolumn(name = "Listen", type_ = "string", json_path = ".status.listenUrl"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct StationSpec {
    /// Name of the station as players show it, 1 to 200 characters on one line.
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::one_line())]
    pub title: String,

    /// A sentence about the station, up to 500 characters on one line. Default: none.
    /// Players and directories show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    #[x_kube(validation = text::one_line())]
    pub description: Option<String>,

    /// Genre, free text up to 200 characters on one line. Default: none. Players and directories show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::one_line())]
    pub genre: Option<String>,

    /// Address of the station's website, `http://` or `https://`. Default: none. Players link to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::web_address())]
    pub website: Option<String>,

    /// Host name listeners use, e.g. `radio.example.org`. Default: the name of the listen Service.
    /// Icecast writes it into its pages and playlist files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::host_name())]
    pub hostname: Option<String>,

    /// The Icecast servers. Default: as the operator is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icecast: Option<Icecast>,

    /// The Icecast relays that listeners are connected to. Default: one relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relays: Option<Relays>,
}

/// The Icecast servers of a Station.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Icecast {
    /// Image of the origin and the relays. Default: the image the operator was released with.
    /// Changing it restarts them, which disconnects listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = text::image())]
    pub image: Option<String>,
}

/// The relays of a Station.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relays {
    /// Number of relay pods, 1 to 100. Default: 1. Each holds its own listeners; all play the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: Option<u16>,
}

/// What the operator observed of a Station.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StationStatus {
    /// The `metadata.generation` this status was made from; older than the object's: not handled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`: a listener can connect. `Reconciling` and `Stalled` are present only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,

    /// Number of Mounts of this Station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<i32>,

    /// Base address of all Mounts inside the cluster, without a trailing slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_url: Option<String>,
}

impl Station {
    /// The wanted number of relay pods.
    #[must_use]
    pub fn relay_replicas(&self) -> u16 {
        self.spec
            .relays
            .as_ref()
            .and_then(|relays| relays.replicas)
            .unwrap_or(DEFAULT_RELAYS)
    }

    /// The Icecast image the user asked for, if any.
    #[must_use]
    pub fn icecast_image(&self) -> Option<&str> {
        self.spec.icecast.as_ref()?.image.as_deref()
    }
}
