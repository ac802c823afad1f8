//! What the read API says: the sessions on tape and the lines of a session's index. No IO.
//!
//! A session is one connection of one source. Offsets count the bytes of its stream from 0 and never change, whatever
//! is removed from the disk.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Routing;

/// Header of a tape's answer: the offset of the first byte that is not a repeated stream header.
pub const FROM_HEADER: &str = "radio-from";

/// Answer to `GET /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// To be given back as `?after=`: the answer then comes when something else holds, or after 25 seconds.
    pub version: String,
    /// The oldest first.
    pub sessions: Vec<Session>,
    /// The newest refusals, the oldest first; empty for readers of single Mounts.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// How full the tapes are, all Mounts' together.
    #[serde(default)]
    pub fill: Fill,
}

/// How full the tapes are, by their cap. It falls again a little below where it rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fill {
    /// Less than half.
    #[default]
    Low,
    /// Half of the cap or more.
    Half,
    /// 80 % of the cap or more.
    High,
}

/// One connection of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its name everywhere: sorts by time, fit for file names and object keys.
    pub id: String,
    /// The Mount.
    pub mount: String,
    /// The Mount's input.
    pub input: String,
    /// The input's path.
    pub path: String,
    /// 0 is heard before 1.
    pub priority: u16,
    /// Where it is heard now.
    pub routing: Routing,
    /// Who logged in.
    pub user: String,
    /// What the bytes are.
    pub container: Container,
    /// The codec in them, such as `opus` or `mp3`, as soon as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// The present title, if the source has told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When it connected.
    pub started: Timestamp,
    /// Bytes so far. Not kept up to date by the long-poll.
    pub bytes: u64,
    /// Bytes below this are no longer on the tape.
    pub kept_from: u64,
    /// Absent while the source is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When it was routed live; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aired: Option<Aired>,
    /// The Recordings that acked anything of it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acked_by: Vec<String>,
}

/// From when to when a session was routed live, whatever was between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aired {
    /// The first instant.
    pub first: Timestamp,
    /// When it was last routed elsewhere, or ended; absent while it is on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Each time it was, the oldest first. Of very many, some are told as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spells: Vec<Spell>,
}

/// One time a session was routed live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spell {
    /// From when.
    pub from: Timestamp,
    /// Until when; absent: it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why, for people.
    pub why: String,
}

/// What a source's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Container {
    /// Ogg, with any codec.
    Ogg,
    /// MP3.
    Mp3,
    /// AAC in ADTS.
    Adts,
    /// `WebM` with Opus.
    Webm,
}

impl Container {
    /// As HTTP names it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ogg => "application/ogg",
            Self::Mp3 => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::Webm => "audio/webm",
        }
    }
}

/// A source that was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Counts up for the life of the process.
    pub number: u64,
    /// When. The same again is listed once a minute.
    pub at: Timestamp,
    /// Where it wanted to; no longer than 200 characters, none of them a control character.
    pub path: String,
    /// The Mount, if the path is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The Mount's input, if the path is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The address it came from.
    pub from: String,
    /// One word: a metric's label and an Event's reason.
    pub reason: RefusalReason,
    /// The sentence the source was told.
    pub message: String,
}

/// Why a source was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefusalReason {
    /// Wrong user or password, or none.
    Unauthorized,
    /// No input has this path.
    UnknownPath,
    /// The password is a presenter's, and it is not the time for it.
    OutsideWindow,
    /// Another source is connected.
    Taken,
    /// Not a format we know, or not the one of this input.
    UnsupportedFormat,
    /// Not HTTP, or not a request a source makes.
    BadRequest,
    /// It connected and sent nothing that is audio in time.
    TimedOut,
    /// Too many connections.
    TooMany,
}

impl RefusalReason {
    /// The same word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::UnknownPath => "UnknownPath",
            Self::OutsideWindow => "OutsideWindow",
            Self::Taken => "Taken",
            Self::UnsupportedFormat => "UnsupportedFormat",
            Self::BadRequest => "BadRequest",
            Self::TimedOut => "TimedOut",
            Self::TooMany => "TooMany",
        }
    }
}

/// One line of a session's index. Lines are JSON, each ends with a line feed, none is ever changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Line {
    /// Each second: what is below `at` is on the disk for good.
    Clock {
        /// Offset.
        at: u64,
        /// Wall clock.
        t: Timestamp,
    },
    /// A segment may begin here: a boundary 10 s of media or 4 MiB after the last.
    Cut {
        /// Offset.
        at: u64,
        /// Media since the beginning of the session, in milliseconds.
        media_ms: u64,
    },
    /// Stream headers stand in `at..media`; they decode what follows until the next of these.
    Link {
        /// Offset of the headers.
        at: u64,
        /// Offset of the first media.
        media: u64,
        /// What it is, such as `opus`.
        codec: String,
    },
    /// The source told a title.
    Title {
        /// Offset.
        at: u64,
        /// Wall clock.
        t: Timestamp,
        /// One line, no longer than 500 characters; empty: none any longer.
        title: String,
    },
    /// Somebody set a mark: a chapter begins.
    Mark {
        /// Offset.
        at: u64,
        /// Wall clock.
        t: Timestamp,
        /// One line, no longer than 500 characters, not empty.
        text: String,
    },
    /// From here on it is heard there.
    Routing {
        /// Offset.
        at: u64,
        /// Wall clock.
        t: Timestamp,
        /// Where.
        routing: Routing,
    },
    /// The disk did not take `at..to`.
    Lost {
        /// Offset.
        at: u64,
        /// Offset of the first byte that was taken again.
        to: u64,
    },
    /// The last line.
    End {
        /// Bytes in all.
        at: u64,
        /// Wall clock.
        t: Timestamp,
        /// Why, for people.
        why: String,
    },
}

/// Body of `POST /v1/sessions/{id}/ack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// The Recording that has it.
    pub recording: String,
    /// Everything below this is stored for good.
    pub to: u64,
}

/// Body of `POST /v1/mounts/{mount}/marks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// What begins here, on one line; longer than 500 characters is cut.
    pub text: String,
}

/// Answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marked {
    /// The sessions that are on the air and have it now.
    pub sessions: Vec<String>,
}
