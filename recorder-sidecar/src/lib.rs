//! The recorder: from the tapes of an ingest to verified objects in a bucket.

pub mod capture;
pub mod config;
pub mod course;
pub mod ending;
pub mod finalize;
pub mod manifest;
pub mod settings;
pub mod ship;
pub mod spool;
pub mod store;
