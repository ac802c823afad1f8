//! What an Icecast server is told, free of any spelling. No IO.

use std::time::Duration;

use crate::text::{HostName, Password, StreamPath};

/// One Icecast server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The name it calls itself by in its pages and playlist files.
    pub hostname: HostName,
    /// Shown on its status page.
    pub location: String,
    /// Whom to turn to, shown on its status page.
    pub admin: String,
    /// How much it takes.
    pub limits: Limits,
    /// Its passwords.
    pub passwords: Passwords,
    /// What it fetches from elsewhere.
    pub relays: Vec<Relay>,
    /// Its streams.
    pub streams: Vec<Stream>,
}

/// How much a server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of every kind: listeners, sources, probes, the admin pages.
    pub clients: usize,
    /// Streams; relayed ones count.
    pub sources: usize,
    /// A listener this many bytes behind is dropped.
    pub queue_bytes: u32,
    /// What a new listener gets at once; every byte of it is delay.
    pub burst_bytes: u32,
    /// A source this long silent is dropped.
    pub source_timeout: Duration,
}

/// Passwords of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwords {
    /// For sources. Without one Icecast would take `hackme`.
    pub source: Password,
    /// For the admin pages.
    pub admin: Password,
    /// For relays.
    pub relay: Password,
}

/// A stream fetched from another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Host of the other server.
    pub server: String,
    /// The path, there and here.
    pub path: StreamPath,
    /// Whether titles come between the bytes, as with MP3 and AAC; Ogg has them inside.
    pub titles: bool,
    /// The relay password.
    pub password: Password,
}

/// A stream on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its path.
    pub path: StreamPath,
}
