//! What every end-to-end test stands on: a namespace of its own, words for "until", and a dump when it fails.

pub mod api;
pub mod audit;
pub mod dump;
mod extent;
mod ffmpeg;
mod floor;
pub mod inputs;
pub mod look;
pub mod mortal;
mod operator;
pub mod oracle;
pub mod phone;
mod plugin;
pub mod programs;
pub mod radio;
pub mod recording;
mod request;
pub mod show;
pub mod stage;
pub mod store;
pub mod tape;
mod told;
pub mod until;

pub use extent::{is_full, rows};
pub use ffmpeg::Ffmpeg;
pub use inputs::Login;
pub use mortal::Mortal;
pub use phone::Phone;
pub use programs::program;
pub use recording::Recording;
pub use stage::{Stage, play, play_alone, play_then_alone};
pub use store::Store;
pub use until::until;
