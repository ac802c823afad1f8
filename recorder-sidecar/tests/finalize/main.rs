//! finalize and keep as processes, between segments in a store behind a twin of R2 and what it makes of them. The oracle is the hash of
//! each packet that the source sent, by ffmpeg.

#![cfg(test)]

mod audio;
mod keep;
mod shows;
mod slots;
mod stage;
mod sweep;
mod troubles;
#[path = "../stores/versity.rs"]
mod versity;
