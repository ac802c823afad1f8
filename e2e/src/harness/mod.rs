//! What every end-to-end test stands on: a namespace of its own, words for "until", and a dump when it fails.

pub mod api;
pub mod audit;
pub mod dump;
pub mod radio;
pub mod stage;
pub mod until;

pub use stage::{Stage, play};
pub use until::until;
