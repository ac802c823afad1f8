//! Everything that needs a real cluster: the local cluster itself, and what the end-to-end tests share.

pub mod cluster;
pub mod install;
pub mod steps;
