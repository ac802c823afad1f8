//! What every kind shares about Kubernetes: naming, applying, conditions, status, events, backing off.

pub mod apply;
pub mod backoff;
pub mod conditions;
pub mod error;
pub mod events;
pub mod job;
pub mod kind;
pub mod meta;
pub mod passwords;
pub mod pod;
pub mod rbac;
pub mod rollout;
pub mod status;
