//! What `final.json` says: what was on air, what was made of it, and whether it can be trusted. No IO.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::manifest::{About, Range};

/// The key of [`Final`], below `final-<version>/`. It is written last: without it the version is unfinished.
pub const FINAL: &str = "final.json";

/// A published version of a Recording. Never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Final {
    /// Counted from 1.
    pub version: u32,
    /// The Recording.
    pub recording: About,
    /// SHA-256 of the manifest it was made of: another manifest makes another version.
    pub manifest_sha256: String,
    /// The edition it was made for.
    #[serde(default = "first")]
    pub edition: u32,
    /// When all objects were read back from the store and found to be what they should.
    pub verified_at: Timestamp,
    /// From here on something was expected: the window's start, or the first sound.
    pub from: Timestamp,
    /// Until here.
    pub to: Timestamp,
    /// Who was on air, in order.
    pub intervals: Vec<Interval>,
    /// What is missing, and why.
    pub gaps: Vec<Gap>,
    /// The recording itself, in order.
    pub objects: Vec<Object>,
    /// What was made besides, by a transcoder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Object>,
    /// How long all objects play.
    pub seconds: f64,
    /// That, in percent of `from..to`.
    pub coverage_percent: f64,
    /// Why somebody should listen before the segments go. Empty is good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
}

/// One session on air.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Its id.
    pub session: String,
    /// The Mount's input.
    pub input: String,
    /// Which of its bytes; the objects have the whole pages or frames that begin there.
    pub bytes: Range,
}

/// A time that the objects do not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why.
    pub kind: GapKind,
    /// Where bytes were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostBytes>,
}

/// Bytes that were on air and are not in the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostBytes {
    /// Of which session.
    pub session: String,
    /// Which.
    pub bytes: Range,
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GapKind {
    /// No source was connected.
    NoSource,
    /// Sources were, but only in rehearsal.
    Rehearsal,
    /// It was on air and is missing.
    Lost,
}

/// An object below `final-<version>/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Below the Recording's prefix.
    pub key: String,
    /// As HTTP names it.
    pub content_type: String,
    /// Such as `opus`.
    pub codec: String,
    /// Samples a second, as far as it is known.
    pub rate: u32,
    /// As far as they are known.
    pub channels: u8,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: String,
    /// Packets or frames of audio.
    pub frames: u64,
    /// How long it plays.
    pub seconds: f64,
    /// Streams chained in it; 1 for anything but Ogg.
    pub links: u32,
    /// What was played, as the source told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub titles: Vec<Title>,
}

/// A title and where in an object it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Title {
    /// Into the object.
    pub seconds: f64,
    /// One line.
    pub title: String,
}

/// Why a verified Recording may still be not what was wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Doubt {
    /// No source was on air.
    NothingOnAir,
    /// Bytes that were on air are not in the bucket.
    Lost {
        /// How many.
        bytes: u64,
    },
    /// The session has no end: its ingest was lost, and may have more when it is back.
    NoEnd {
        /// Which.
        session: String,
    },
    /// The objects play less than their sources were on air.
    LessThanHeard {
        /// How long the objects play.
        seconds: f64,
        /// How long sources were on air, without what is known to be lost.
        heard: f64,
    },
    /// Less of the time than `spec` asks for.
    ShowShort {
        /// The share that is there, in percent.
        percent: f64,
        /// The share that was asked for.
        least: u8,
    },
    /// Hardly any of the samples that were listened to had a sound.
    Silent {
        /// The object.
        key: String,
    },
    /// A size that does not go with the length.
    Bitrate {
        /// The object.
        key: String,
        /// Bits a second.
        bits: u64,
    },
    /// ffprobe counts, or reads, otherwise than we do.
    Probe {
        /// The object.
        key: String,
        /// What it says.
        words: String,
    },
    /// What should have been made besides could not be.
    Rendition {
        /// The object it was to be made of.
        key: String,
        /// Why.
        words: String,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingOnAir => write!(f, "nobody was on air"),
            Self::Lost { bytes } => write!(f, "{bytes} bytes that were on air are not in the bucket"),
            Self::NoEnd { session } => write!(
                f,
                "session {session} has no end: its ingest was lost, and its tape may have more when it is back"
            ),
            Self::LessThanHeard { seconds, heard } => write!(
                f,
                "the objects play {seconds:.0} s of the {heard:.0} s that sources were on air"
            ),
            Self::ShowShort { percent, least } => {
                write!(
                    f,
                    "only {percent} % of its time are there, {least} % were asked for"
                )
            }
            Self::Silent { key } => write!(f, "{key} is all but silent"),
            Self::Bitrate { key, bits } => {
                write!(f, "{key} has {bits} bit/s, which does not go with its length")
            }
            Self::Probe { key, words } => write!(f, "ffprobe reads {key} otherwise than we do: {words}"),
            Self::Rendition { key, words } => {
                write!(f, "the rendition of {key} could not be made: {words}")
            }
        }
    }
}

impl Final {
    /// Everything that was on air is there, and nothing speaks against it: the segments are not needed any more.
    #[must_use]
    pub fn is_beyond_doubt(&self) -> bool {
        self.doubts.is_empty() && self.gaps.iter().all(|gap| gap.kind != GapKind::Lost)
    }
}

/// Where a version lies; ends with `/`.
#[must_use]
pub fn folder(version: u32) -> String {
    format!("final-{version}/")
}

/// The version that a key belongs to.
#[must_use]
pub fn version_of(key: &str) -> Option<u32> {
    let (version, _) = key.strip_prefix("final-")?.split_once('/')?;
    version.parse().ok().filter(|version| *version > 0)
}

/// What is there of earlier attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// The newest that has its [`FINAL`].
    pub published: Option<u32>,
    /// The newest that has anything.
    pub newest: Option<u32>,
}

impl Versions {
    /// Takes the key of an object that is there.
    pub fn take(&mut self, key: &str) {
        let Some(version) = version_of(key) else { return };
        self.newest = self.newest.max(Some(version));
        if key == format!("{}{FINAL}", folder(version)) {
            self.published = self.published.max(Some(version));
        }
    }

    /// The version to make: an unfinished one is gone on with, as the same manifest makes the same bytes.
    #[must_use]
    pub fn next(self) -> u32 {
        let after = self.published.unwrap_or(0) + 1;
        self.newest.unwrap_or(0).max(after)
    }
}

fn first() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_version_is_gone_on_with_and_a_finished_one_is_not() {
        let next = |keys: &[&str]| {
            let mut versions = Versions::default();
            for key in keys {
                versions.take(key);
            }
            versions.next()
        };
        assert_eq!(next(&[]), 1);
        assert_eq!(next(&["final-1/final-1.ogg"]), 1);
        assert_eq!(next(&["final-1/final-1.ogg", "final-1/final.json"]), 2);
        assert_eq!(next(&["final-2/final-1.ogg", "final-1/final.json"]), 2);
        assert_eq!(next(&["final-10/final.json", "final-9/final.json"]), 11);
        assert_eq!(
            next(&["final-x/final.json", "final-0/final.json", "finally", "final-3"]),
            1
        );
    }
}
