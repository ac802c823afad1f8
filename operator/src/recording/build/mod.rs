//! Step 4: the objects of a Recording. Cannot fail. No IO.

mod job;

use std::collections::BTreeMap;

use ingest::config::TapeAccess;
use k8s_openapi::{
    ByteString,
    api::{batch::v1::Job, core::v1::Secret},
};
use recorder::config::RECORDING_KEY;

use super::validate::ValidSpec;
use crate::k8s::meta::Component;

/// Where capture tells how it is, as all agents do.
pub const CAPTURE_PORT: u16 = 8001;
/// Where ship does, in the same pod.
pub const SHIP_PORT: u16 = 8002;

/// The Job that makes an edition: with the longest name of a Recording, and an edition of four digits, as long as a Job's name
/// may be.
#[must_use]
pub fn finalizer_name(recording: &str, edition: u32) -> String {
    format!("{recording}-final-{edition}")
}

/// What the pods of a Recording are told: the way to the tapes is secret.
#[must_use]
pub fn config(spec: &ValidSpec, tape: TapeAccess) -> Secret {
    // A struct of strings and numbers always serializes.
    let json = serde_json::to_vec(&spec.told(tape)).unwrap_or_default();
    Secret {
        metadata: spec.owner.child(spec.owner.name.clone(), Component::Recorder),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(RECORDING_KEY.to_owned(), ByteString(json))])),
        ..Secret::default()
    }
}

/// What records.
#[must_use]
pub fn recorder(spec: &ValidSpec) -> Job {
    job::recorder(spec)
}

/// What makes an edition of the final object, out of so many bytes in the bucket.
#[must_use]
pub fn finalizer(spec: &ValidSpec, edition: u32, bytes: u64) -> Job {
    job::finalizer(spec, finalizer_name(&spec.owner.name, edition), edition, bytes)
}

#[cfg(test)]
mod tests;
