//! The ingest: takes what sources send, puts it on tape, and lets readers have it. Other rooms use its framers, its
//! reader and its source client.

pub mod api;
pub mod clock;
pub mod config;
pub mod desk;
pub mod door;
pub mod framing;
pub mod metrics;
pub mod reader;
pub mod repage;
pub mod serve;
pub mod source_client;
pub mod tape;
