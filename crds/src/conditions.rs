//! The conditions in every status: their types, their reasons, their schema. No IO.
//!
//! `Ready` is always present. `Reconciling` and `Stalled` follow kstatus: present with status `True`, or absent. All
//! others are beside these: present while they are of interest, with no bearing on `Ready`.

use schemars::{Schema, SchemaGenerator, json_schema};

/// The object does what its spec asks for.
pub const READY: &str = "Ready";
/// Work towards the spec is going on.
pub const RECONCILING: &str = "Reconciling";
/// Nothing more happens until somebody changes something.
pub const STALLED: &str = "Stalled";

/// The store takes what a Recording has; present once it did not.
pub const STORE_REACHABLE: &str = "StoreReachable";
/// A recorder's disk fills up, because the store does not take what is recorded.
pub const SPOOL_FILLING: &str = "SpoolFilling";
/// The ingest's disk fills up, because what is on it is not archived.
pub const TAPE_FILLING: &str = "TapeFilling";

/// The newest slot of a Show was not what it should have been; the reason says in which way.
pub const MISSED: &str = "Missed";
/// Nobody can be told what goes wrong: messages of a Station do not arrive.
pub const NOTICES_FAILING: &str = "NoticesFailing";
/// What need not be kept could not be deleted.
pub const RETENTION_FAILING: &str = "RetentionFailing";

/// Why a condition has its status: part of the API, people and alerts match on it.
pub mod reason {
    /// Everything the spec asks for is there and works.
    pub const READY: &str = "Ready";
    /// Objects are being made or pods are starting.
    pub const PROGRESSING: &str = "Progressing";
    /// The Mount names a Station that does not exist.
    pub const STATION_NOT_FOUND: &str = "StationNotFound";
    /// The Mount's Station has no working origin yet.
    pub const STATION_NOT_READY: &str = "StationNotReady";
    /// An older Mount of the Station is heard at the same path.
    pub const PATH_TAKEN: &str = "PathTaken";
    /// An object the operator did not make already has the name of a child.
    pub const NAME_TAKEN: &str = "NameTaken";
    /// The image of a pod cannot be pulled.
    pub const IMAGE_UNAVAILABLE: &str = "ImageUnavailable";
    /// A container of a pod ends again and again.
    pub const CRASHING: &str = "Crashing";
    /// A container of a pod cannot be started, e.g. because something it mounts does not exist.
    pub const CONTAINER_NOT_STARTED: &str = "ContainerNotStarted";
    /// No node has room for a pod.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    /// A `ConfigMap` or `PersistentVolumeClaim` named by a playlist does not exist.
    pub const PLAYLIST_NOT_FOUND: &str = "PlaylistNotFound";
    /// The `ConfigMap` key named as emergency audio does not exist.
    pub const EMERGENCY_NOT_FOUND: &str = "EmergencyNotFound";
    /// A Secret or key with the password of an input does not exist, or does not hold a password.
    pub const PASSWORD_NOT_FOUND: &str = "PasswordNotFound";
    /// A new version of the ingest waits until no source is connected.
    pub const ROLL_PENDING: &str = "RollPending";
    /// A Mount of the Station cannot be read; what it had stays as it is.
    pub const MOUNT_UNREADABLE: &str = "MountUnreadable";
    /// The spec breaks a rule the API server did not check, e.g. it is older than the rule.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The Show names a Mount that does not exist.
    pub const MOUNT_NOT_FOUND: &str = "MountNotFound";
    /// The Mount of the Show is not as it should be.
    pub const MOUNT_NOT_READY: &str = "MountNotReady";
    /// The Show names an input that its Mount does not have.
    pub const INPUT_NOT_FOUND: &str = "InputNotFound";
    /// An older Show has a slot with the same start at the same place.
    pub const SLOT_TAKEN: &str = "SlotTaken";
    /// A slot starts before the one before it is over, and is left out.
    pub const SCHEDULE_OVERLAPS: &str = "ScheduleOverlaps";
    /// The Show has no new slots until somebody says otherwise.
    pub const SUSPENDED: &str = "Suspended";
    /// Nobody was on air.
    pub const MISSED: &str = "Missed";
    /// Somebody is on air, and it is not recorded.
    pub const NOT_RECORDED: &str = "NotRecorded";
    /// Less than `minCoverage` is recorded.
    pub const SHORT: &str = "Short";
    /// What is recorded does not get into the store.
    pub const NOT_STORED: &str = "NotStored";
    /// Messages do not arrive.
    pub const NOT_DELIVERED: &str = "NotDelivered";
    /// A Secret with the way to somebody who is to be told does not exist, or does not hold one.
    pub const NOTIFY_SECRET: &str = "NotifySecretNotFound";
    /// The drill did not arrive.
    pub const DRILL_FAILED: &str = "DrillFailed";
    /// What need not be kept could not be deleted.
    pub const DELETING_FAILED: &str = "DeletingFailed";
    /// Nobody is on air yet.
    pub const WAITING: &str = "Waiting";
    /// What is on air is recorded.
    pub const ON_AIR: &str = "OnAir";
    /// It is over, and the rest goes into the bucket.
    pub const STORING: &str = "Storing";
    /// The final object is being made.
    pub const FINALIZING: &str = "Finalizing";
    /// The final object was read back and is good.
    pub const VERIFIED: &str = "Verified";
    /// The final object is there, and somebody should listen to it.
    pub const DOUBTFUL: &str = "Doubtful";
    /// Nothing went on air.
    pub const EMPTY: &str = "Empty";
    /// A Job of a Recording is complete, and what it reports is not understood.
    pub const REPORT_UNREADABLE: &str = "ReportUnreadable";
    /// The store takes everything again.
    pub const STORE_REACHABLE: &str = "StoreReachable";
    /// The store does not answer.
    pub const STORE_UNREACHABLE: &str = "StoreUnreachable";
    /// The store does not let us in, or refuses what it is sent.
    pub const STORE_REFUSES: &str = "StoreRefuses";
    /// Half of the disk is taken.
    pub const HALF_FULL: &str = "HalfFull";
    /// 80 % of the disk is taken.
    pub const NEARLY_FULL: &str = "NearlyFull";
    /// The API server refused or did not answer a request; it is tried again.
    pub const API_ERROR: &str = "ApiError";
}

/// What happens to sources, recordings and their disks, as reasons of Events.
pub mod event {
    /// A source was let in.
    pub const SOURCE_CONNECTED: &str = "SourceConnected";
    /// A source is gone.
    pub const SOURCE_DISCONNECTED: &str = "SourceDisconnected";
    /// A source was not let in.
    pub const SOURCE_REFUSED: &str = "SourceRefused";
    /// A Recording was made for what went on air.
    pub const RECORDING_MADE: &str = "RecordingMade";
    /// A recorder that stood still was replaced by another one.
    pub const RECORDER_REPLACED: &str = "RecorderReplaced";
    /// A tape that was given up is back, and is recorded further.
    pub const TAPE_RETURNED: &str = "TapeReturned";
    /// The store does not take what is recorded.
    pub const STORE_UNREACHABLE: &str = "StoreUnreachable";
    /// The store takes it again.
    pub const STORE_REACHABLE: &str = "StoreReachable";
    /// A recorder's disk fills up.
    pub const SPOOL_FILLING: &str = "SpoolFilling";
    /// The ingest's disk fills up.
    pub const TAPE_FILLING: &str = "TapeFilling";
    /// A slot of a Show is prepared: its Recording is made.
    pub const SLOT_PREPARED: &str = "SlotPrepared";
    /// A slot was nobody's: nobody was on air.
    pub const SHOW_MISSED: &str = "Missed";
    /// Somebody is on air in a slot, and it is not recorded.
    pub const SHOW_NOT_RECORDED: &str = "NotRecorded";
    /// Less of a slot than `minCoverage` is recorded.
    pub const SHOW_SHORT: &str = "Short";
    /// A slot is recorded, and somebody should listen to it.
    pub const SHOW_DOUBTFUL: &str = "Doubtful";
    /// What is recorded of a slot does not get into the store.
    pub const SHOW_NOT_STORED: &str = "NotStored";
    /// What was wrong with a slot is over.
    pub const SHOW_RECOVERED: &str = "Recovered";
    /// Somebody who is to be told could not be.
    pub const NOTICE_UNDELIVERED: &str = "NoticeUndelivered";
    /// A drill did not arrive.
    pub const DRILL_FAILED: &str = "DrillFailed";
    /// A drill arrived.
    pub const DRILL_DELIVERED: &str = "DrillDelivered";
    /// Recordings were deleted because they need not be kept.
    pub const RECORDINGS_DELETED: &str = "RecordingsDeleted";
    /// What was left behind in the bucket was deleted.
    pub const SWEPT: &str = "Swept";
    /// What need not be kept could not be deleted.
    pub const DELETING_FAILED: &str = "DeletingFailed";
}

/// A moment, as a schema.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// `metav1.Condition` as a schema; k8s-openapi's own needs one more feature in every crate.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "What the condition is about, e.g. Ready, Reconciling or Stalled.",
                    "type": "string",
                    "maxLength": 316
                },
                "status": {
                    "description": "True, False or Unknown.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"]
                },
                "observedGeneration": {
                    "description": "The metadata.generation the condition was made from.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0
                },
                "lastTransitionTime": {
                    "description": "When the status last changed, RFC 3339.",
                    "type": "string",
                    "format": "date-time"
                },
                "reason": {
                    "description": "Why, as one CamelCase word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024
                },
                "message": {
                    "description": "Why, and what to do, as a sentence for people.",
                    "type": "string",
                    "maxLength": 32768
                }
            }
        }
    })
}
