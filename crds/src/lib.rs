//! The Kubernetes API of radio-operator: the types and their rules, and nothing else. No IO, no client.
//!
//! The API server enforces the rules (CEL in the generated CRDs), so there is no admission webhook.
//! `crds/*.yaml` is generated from these types by the `crdgen` binary.

pub mod conditions;
mod definitions;
pub mod input;
pub mod mount;
pub mod notify;
pub mod quantity;
pub mod recorded;
pub mod recording;
pub mod refs;
pub mod retention;
pub mod show;
pub mod station;
pub mod store;
mod text;

pub use definitions::definitions;
pub use mount::{Mount, MountSpec, MountStatus};
pub use recording::{Recording, RecordingSpec, RecordingStatus};
pub use show::{Show, ShowSpec, ShowStatus};
pub use station::{Station, StationSpec, StationStatus};

/// The API group of all kinds, also the prefix of our labels and annotations.
pub const GROUP: &str = "radio.moafunk.de";

/// The version these types are.
pub const VERSION: &str = "v1alpha1";

/// `kubectl get radio` lists every kind in this category.
pub const CATEGORY: &str = "radio";

/// Label on every child object: the name of the Station it belongs to.
pub const STATION_LABEL: &str = "radio.moafunk.de/station";

/// Label on every child object of a Mount: the name of that Mount.
pub const MOUNT_LABEL: &str = "radio.moafunk.de/mount";

/// Label on every Recording's child objects and their pods: the name of that Recording.
pub const RECORDING_LABEL: &str = "radio.moafunk.de/recording";

/// Label on every child object of a Show, and on its Recordings: the name of that Show.
pub const SHOW_LABEL: &str = "radio.moafunk.de/show";

/// Annotation on a Show whose presenters go on air when somebody says so: the instant (RFC 3339) from which on they are.
pub const ON_AIR_ANNOTATION: &str = "radio.moafunk.de/on-air";

/// Annotation on a Recording: the instant (RFC 3339) at which it is over, whatever its window says.
pub const STOP_ANNOTATION: &str = "radio.moafunk.de/stop";

/// Annotation on a Station: the instant (RFC 3339) at which a drill was asked for.
pub const DRILL_ANNOTATION: &str = "radio.moafunk.de/drill";

/// Annotation on a Station: the instant (RFC 3339) at which a sweep of its bucket was asked for.
pub const SWEEP_ANNOTATION: &str = "radio.moafunk.de/sweep";

/// Annotation on a Recording: `true` keeps it for ever, whatever its Show and Station say.
pub const KEEP_ANNOTATION: &str = "radio.moafunk.de/keep";

/// The longest name a Station, Mount or Show may have, so that children named after it stay within 63 characters.
pub const MAX_NAME_LENGTH: usize = 40;

/// The longest name a Recording may have, so that its Jobs' names, with an edition after them, stay within 63.
pub const MAX_RECORDING_NAME_LENGTH: usize = 52;
