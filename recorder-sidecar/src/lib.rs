//! The recorder: from the tapes of an ingest to verified objects in a bucket.
//!
//! Without the feature `process` it is what the processes are told and what they report: the operator's half.

mod clock;
pub mod config;
pub mod course;
pub mod errand;
pub mod manifest;
pub mod published;
pub mod report;

#[cfg(feature = "process")]
pub mod capture;
#[cfg(feature = "process")]
pub mod ending;
#[cfg(feature = "process")]
pub mod finalize;
#[cfg(feature = "process")]
pub mod keep;
#[cfg(feature = "process")]
pub mod merge;
#[cfg(feature = "process")]
pub mod settings;
#[cfg(feature = "process")]
pub mod ship;
#[cfg(feature = "process")]
pub mod spool;
#[cfg(feature = "process")]
pub mod store;
