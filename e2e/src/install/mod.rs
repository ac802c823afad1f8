//! What the machine needs before a cluster can start: Debian packages, Go programs, container images.

pub mod apt;
pub mod cache;
pub mod command;
pub mod golang;
pub mod images;
pub mod rooms;
