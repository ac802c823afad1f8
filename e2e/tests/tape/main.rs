//! The tape's promises at the real `ingest` program, on loopback: one file per promise. They need no cluster.

mod streams;
mod support;
mod tape_bytes;
mod tape_fifty;
mod tape_joins;
mod tape_killed;
mod tape_readers;
mod tape_refusals;
