//! Everything that needs a real cluster: the local cluster itself, and what the end-to-end tests share.

pub mod cluster;
pub mod harness;
pub mod install;
pub mod ports;
pub mod sound;
pub mod steps;
pub mod suite;
pub mod twin;
