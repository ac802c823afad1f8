//! `Station`: who is broadcasting, and how listeners reach it. No IO.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use crate::{
    conditions,
    notify::{DrillStatus, Notify},
    retention::{Retention, Swept},
    store::Bucket,
    text,
};

/// Relays of a Station that names no number.
pub const DEFAULT_RELAYS: u16 = 1;

/// The tape of a Station that names no size.
pub const DEFAULT_TAPE_SIZE: &str = "10Gi";

/// A radio station: its identity, where sources connect, its Icecast origin and the relays listeners connect to.
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
    doc = "A radio station: its identity, where sources connect, its Icecast origin and the relays listeners connect to.",
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
    printcolumn(
        name = "Send",
        type_ = "string",
        json_path = ".status.sourceUrl",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = immutable_tape())]
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

    /// The server that DJs and other sources connect to. Default: as the operator is set up, with a tape of 10Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<Ingest>,

    /// Where recordings are kept. Default: none, and nothing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// For how long what is recorded is kept. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// Whom to tell when a show is missed, short, or not recorded. Default: Events, conditions and metrics only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

/// Where recordings are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The bucket, in any store that speaks S3. A change counts for the next recordings.
    pub s3: Bucket,

    /// Most bytes one recording keeps on its node while the store does not answer, in Mi, Gi or Ti. Default: 2Gi.
    /// What does not fit stays on the tape. Less than 8Mi counts as 8Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = text::volume_size())]
    pub spool_size: Option<String>,
}

fn immutable_tape() -> Rule {
    const NOW: &str = "(has(self.ingest) && has(self.ingest.tape))";
    const BEFORE: &str = "(has(oldSelf.ingest) && has(oldSelf.ingest.tape))";
    Rule::new(format!(
        "{NOW} == {BEFORE} && (!{NOW} || self.ingest.tape == oldSelf.ingest.tape)"
    ))
    .message(
        "ingest.tape is immutable for now, because the volumes of a StatefulSet are: for another tape, delete this \
         Station, then the PersistentVolumeClaim tape-<name of the Station>-ingest-0, and make the Station again",
    )
}

/// The server sources connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// Image of the ingest. Default: the image the operator was released with.
    /// Another one is started when no source is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = text::image())]
    pub image: Option<String>,

    /// Where everything that sources send is kept until it is archived. Default: a volume of 10Gi. Immutable for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<Tape>,
}

/// The disk that takes what sources send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = class_of_a_volume())]
#[serde(rename_all = "camelCase")]
pub struct Tape {
    /// Bytes of the volume, in Mi, Gi or Ti. Default: 10Gi. One hour at 320 kbit/s is 138Mi; when 90 % are used, the
    /// oldest goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = text::volume_size())]
    pub size: Option<String>,

    /// Storage class of the volume. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = text::object_name())]
    pub storage_class_name: Option<String>,

    /// `true`: no volume, the tape is on the node's own disk and is lost with the pod. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
}

fn class_of_a_volume() -> Rule {
    Rule::new("!has(self.storageClassName) || !has(self.ephemeral) || !self.ephemeral")
        .message("storageClassName is of no use to an ephemeral tape, which is no volume")
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

    /// `Ready`: listeners can connect, and sources where Mounts have inputs. `Reconciling` and `Stalled` are present
    /// only while they are true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,

    /// Number of Mounts of this Station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<i32>,

    /// Base address of all Mounts inside the cluster, without a trailing slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_url: Option<String>,

    /// Base address of all inputs inside the cluster, without a trailing slash; absent: no Mount has an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,

    /// What was deleted from the bucket that belongs to no recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept: Option<Swept>,

    /// The newest drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillStatus>,
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

    /// The ingest image the user asked for, if any.
    #[must_use]
    pub fn ingest_image(&self) -> Option<&str> {
        self.spec.ingest.as_ref()?.image.as_deref()
    }

    /// The tape the user asked for, if any.
    #[must_use]
    pub fn tape(&self) -> Option<&Tape> {
        self.spec.ingest.as_ref()?.tape.as_ref()
    }

    /// Where recordings are kept, if anywhere.
    #[must_use]
    pub fn storage(&self) -> Option<&Storage> {
        self.spec.storage.as_ref()
    }

    /// The Icecast image the user asked for, if any.
    #[must_use]
    pub fn icecast_image(&self) -> Option<&str> {
        self.spec.icecast.as_ref()?.image.as_deref()
    }
}
