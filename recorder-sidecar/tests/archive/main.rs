//! From the DJ's encoder to the verified object, with nothing between them but the processes that run in the pods: `ingest`,
//! `recorder capture`, `ship` and `finalize`, and versitygw behind a twin of R2. The oracle is the log of what the DJ sent: its
//! bytes against the segments', and ffmpeg's hash of each packet against the final object's.
//!
//! One of each row is run; `RADIO_FULL=1` runs them all, with shows as long as they are on the radio.

#![cfg(test)]

mod acceptance;
mod audio;
mod dj;
mod length;
mod ogg;
mod oracle;
mod pace;
mod rclone;
mod recording;
mod room;
mod rotation;
mod stage;
mod stores;
mod troubled;
#[path = "../stores/versity.rs"]
mod versity;
mod webm;
