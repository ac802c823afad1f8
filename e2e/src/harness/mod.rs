//! What every end-to-end test stands on: a namespace of its own, words for "until", and a dump when it fails.

pub mod api;
pub mod audit;
pub mod dump;
mod extent;
mod ffmpeg;
pub mod inputs;
pub mod look;
mod operator;
pub mod oracle;
pub mod radio;
pub mod recording;
mod request;
pub mod stage;
pub mod store;
pub mod tape;
mod told;
pub mod until;

pub use extent::{is_full, rows};
pub use ffmpeg::Ffmpeg;
pub use inputs::Login;
pub use recording::Recording;
pub use stage::{Stage, play, play_alone};
pub use store::Store;
pub use until::until;
