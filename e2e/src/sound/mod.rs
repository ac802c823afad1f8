//! Tests listen: a sender that plays known tones to a station and a listener that names what it hears.
//!
//! A test never asks "do bytes flow?" but "is this the DJ, the playlist or the emergency audio?". So each source
//! of a test plays its own [`Tone`], the [`Listener`] decodes what a person would hear, and both stamp what
//! they do with the same monotonic clock. Encoding and decoding is Debian's ffmpeg; every byte between it and
//! the network passes through our hands, so the sender's log is exact and a listener's stamp is the arrival of
//! the bytes, not the end of the decoding.
//!
//! - [`Listener`]: one listener with ears. [`Crowd`]: many without.
//! - [`play()`] plays a whole stream at once.
//! - [`Sender`] makes a [`Dj`]; [`wrong::knock`] speaks wrong protocols.
//! - [`signal::Track`] writes audio files, [`BareIcecast`] is a server to compare with.

mod byte_log;
mod codec;
mod crowd;
mod decode;
mod dial;
mod dj;
mod ear;
mod encode;
mod feed;
mod get;
mod icecast;
mod icy;
mod latency;
mod listener;
mod log;
mod ogg;
mod player;
mod sender;
mod session;
pub mod signal;
mod source;
pub mod tone;
pub mod wrong;

pub use byte_log::ByteLog;
pub use codec::{Codec, require_ffmpeg};
pub use crowd::{Crowd, Gathering, Seat, Summary};
pub use dial::{Dial, Dialer, Direct};
pub use dj::{Cut, Dj, Sent};
pub use ear::Span;
pub use feed::Flip;
pub use icecast::BareIcecast;
pub use latency::Latency;
pub use listener::{Listen, Listener};
pub use log::{Disconnect, Gap, GapKind, Reason};
pub use player::{Played, play};
pub use sender::Sender;
pub use signal::{Script, Track, file};
pub use source::{Protocol, Refused, Reply};
pub use tone::Tone;

/// Wall-clock time of a stamp, to print it beside logs and Events.
#[must_use]
pub fn wall_clock(at: std::time::Instant) -> jiff::Timestamp {
    let ago = at.elapsed();
    jiff::Timestamp::now()
        .saturating_sub(ago)
        .unwrap_or(jiff::Timestamp::MIN)
}
