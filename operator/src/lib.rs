//! The operator: makes Stations, Mounts, Shows and Recordings into pods, and says how they are.
//!
//! Each kind has the same steps, in files of the same names: `fetch -> validate -> build -> apply -> status`.
//! Only `fetch` and `apply` do IO. The operator is never on the audio path.

pub mod args;
pub mod clock;
pub mod context;
pub mod health;
pub mod http;
pub mod k8s;
pub mod keep;
pub mod lease;
pub mod metrics;
pub mod mount;
pub mod notices;
pub mod recorders;
pub mod recording;
pub mod run;
pub mod show;
pub mod sources;
pub mod station;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod text;
pub mod wake;
pub mod watch;
