//! What an ingest, and whoever reads from it, is told: the operator writes it into Secrets, the pods read it. No IO.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The key of [`Ingest`] in the Secret `<station>-ingest`.
pub const INGEST_KEY: &str = "ingest.json";
/// The key of [`Feeds`] in the Secret `<station>-origin`.
pub const FEEDS_KEY: &str = "feeds.json";

/// Everything the ingest of one Station needs to know. It holds digests of passwords, no password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingest {
    /// Where sources may connect.
    pub inputs: Vec<Input>,
    /// Who may read the tapes.
    pub readers: Vec<Reader>,
    /// Most bytes all tapes together may take.
    pub tape_cap_bytes: u64,
    /// The Recordings that still need the tape: what they have not acked is not removed before the cap asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Named>,
}

/// A Recording that needs what its Mount's tapes have of its window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// The Recording: also the `<name>` of its reader `recording/<name>`.
    pub name: String,
    /// Its Mount.
    pub mount: String,
    /// The only input of it that is wanted; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The first instant it wants.
    pub from: Timestamp,
    /// The first instant it no longer wants; absent: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One place where one source at a time may connect. Wildcard Mounts are one input for each of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The Mount it belongs to.
    pub mount: String,
    /// Its name, unique in the Mount.
    pub name: String,
    /// What the source connects to, e.g. `/live/studio` or `/mic-7.opus`; unique in the Station.
    pub path: String,
    /// 0 is heard before 1.
    pub priority: u16,
    /// What it takes; absent: every format there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Format>,
    /// Who may connect.
    pub credentials: Vec<Credential>,
}

/// A user and a password that open an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The user.
    pub user: String,
    /// SHA-256 of the password, in hexadecimal.
    pub sha256: String,
    /// Where a source that came with it goes, if it is no presenter's.
    pub routing: Routing,
    /// The Show whose presenter has it, as people call it: it opens the input in `turns` and at no other time. Absent: at
    /// any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<String>,
    /// When its presenter may send. None, of a Show: no slot is near.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
}

/// A presenter's part in one slot of a Show. All instants are the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// The slot begins.
    pub start: Timestamp,
    /// It is over: the presenter of the next may take the input over.
    pub end: Timestamp,
    /// A source may connect from then on.
    pub opens: Timestamp,
    /// And no longer from then on.
    pub closes: Timestamp,
    /// On the air from then on, if it is connected; before, and without it, in rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_from: Option<Timestamp>,
    /// Off the air from then on.
    pub live_until: Timestamp,
    /// A source that is still there at the end is sent away.
    #[serde(default)]
    pub hard_end: bool,
}

/// Where a source is heard. It is taped either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Routing {
    /// On air, if no input before it is.
    Live,
    /// By nobody but the rehearsal's own listeners.
    Rehearsal,
}

/// What an input takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Opus, in Ogg or `WebM`.
    Opus,
    /// Any codec in Ogg.
    Ogg,
    /// FLAC in Ogg.
    Flac,
    /// MP3.
    Mp3,
    /// AAC in ADTS.
    Aac,
}

/// Somebody who may read tapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    /// For logs and metrics.
    pub name: String,
    /// SHA-256 of its token, in hexadecimal.
    pub sha256: String,
    /// The Mounts it may read; absent: all of them, and who was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<Vec<String>>,
}

/// How a reader gets at the tapes. Its `Debug` is without the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TapeAccess {
    /// `host:port` of the read API of each ingest pod.
    pub addresses: Vec<String>,
    /// The reader's own token.
    pub token: String,
}

impl fmt::Debug for TapeAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapeAccess")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// What the origin's agent takes from tapes to its own Icecast: the inputs of passthrough Mounts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feeds {
    /// Where the tapes are.
    pub tape: TapeAccess,
    /// The password of Icecast's `source` user.
    pub source_password: String,
    /// One for each input.
    pub feeds: Vec<Feed>,
}

impl fmt::Debug for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeds")
            .field("tape", &self.tape)
            .field("feeds", &self.feeds)
            .finish_non_exhaustive()
    }
}

/// An input, heard as it comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// The input's path, and the stream's.
    pub path: String,
    /// What players show.
    pub title: String,
}
