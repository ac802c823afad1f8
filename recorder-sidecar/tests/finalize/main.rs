//! finalize as a process, between segments in a store behind a twin of R2 and what it makes of them. The oracle is the hash of
//! each packet that the source sent, by ffmpeg.

#![cfg(test)]

mod audio;
mod shows;
mod stage;
mod troubles;
#[path = "../shared/versity.rs"]
mod versity;
