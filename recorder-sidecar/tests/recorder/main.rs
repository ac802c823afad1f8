//! capture and ship as processes, between a tape and a store, and what is in the bucket after everything that can go wrong.
//! The oracle is the bytes that were appended to the tape.

#![cfg(test)]

mod audio;
mod ingest_killed;
mod kills;
mod objects;
mod shows;
mod spool;
mod stage;
mod store;
mod troubles;
