//! What runs beside Liquidsoap in a Mount's pod, and the configuration it shares with the operator.
//!
//! ```text
//! Secret, `ConfigMap`s, volumes ──> settings, library ──> programme ──(next track?)── Liquidsoap
//!                                                        │  conductor ──(cut, queue)──> │
//!     tapes ─────────────────────────────────────────────> live ────(sources)──────> │
//!                          Icecast origins <── origins <── output <── intake <──(audio)─┘
//! ```

pub mod conductor;
pub mod config;
pub mod engine;
pub mod intake;
pub mod library;
pub mod live;
pub mod metrics;
pub mod mirror;
pub mod next;
pub mod origins;
pub mod output;
pub mod programme;
pub mod rotation;
pub mod serve;
pub mod settings;
