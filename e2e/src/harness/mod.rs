//! What every end-to-end test stands on: a namespace of its own, words for "until", and a dump when it fails.

pub mod api;
pub mod audit;
pub mod dump;
mod extent;
mod ffmpeg;
pub mod inputs;
pub mod look;
pub mod radio;
mod request;
pub mod stage;
pub mod tape;
pub mod until;

pub use extent::{is_full, rows};
pub use ffmpeg::Ffmpeg;
pub use inputs::Login;
pub use stage::{Stage, play, play_alone};
pub use until::until;
