//! The parts of the ingest that read what strangers send, and the fuzz targets for them.
//!
//! They are included one by one: as a dependency, the ingest would bring a Kubernetes client with it, which takes ten
//! times as long to build as everything here.
#![allow(dead_code)]

// What the targets call `ingest` is this crate.
extern crate self as ingest;

#[path = "../src/api.rs"]
pub mod api;
#[path = "../src/config.rs"]
pub mod config;
#[path = "../src/door"]
pub mod door {
    pub mod body;
    pub mod head;
    pub mod metadata;
    pub mod refusal;
}
#[path = "../src/framing/mod.rs"]
pub mod framing;
#[path = "../src/repage.rs"]
pub mod repage;
pub mod targets;

pub use targets::run;
