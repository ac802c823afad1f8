//! What one playout pod is told: the operator writes it into the Mount's Secret, playout-agent reads it. No IO.

use std::fmt;

use ingest::config::TapeAccess;
use serde::{Deserialize, Serialize};

/// The key of [`Playout`] in the Secret `<mount>-playout`.
pub const PLAYOUT_KEY: &str = "playout.json";
/// `radio.liq` has this many places for them, so that an input more or less restarts nothing.
pub const MOST_INPUTS: usize = 8;

/// Everything the playout pod of one Mount needs to know. Its `Debug` is without the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Playout {
    /// What listeners read about the stream.
    pub about: About,
    /// `host:port` of every origin; each gets the same bytes.
    pub origins: Vec<String>,
    /// The password of Icecast's `source` user on the origins.
    pub source_password: String,
    /// What is encoded, and the path it is heard at.
    pub outputs: Vec<Output>,
    /// Automation, first has priority.
    pub playlists: Vec<Playlist>,
    /// What is heard when nothing else can play; absent: the audio in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    /// Where sources connect, first has priority; at most [`MOST_INPUTS`] are heard.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Where their tapes are; absent: only playlists are heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<TapeAccess>,
}

impl fmt::Debug for Playout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playout")
            .field("about", &self.about)
            .field("origins", &self.origins)
            .field("outputs", &self.outputs)
            .field("playlists", &self.playlists)
            .field("emergency", &self.emergency)
            .field("inputs", &self.inputs)
            .field("tape", &self.tape)
            .finish_non_exhaustive()
    }
}

/// Stream headers, shown by players.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The name a player shows.
    pub title: String,
    /// A sentence about the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Genre, free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genre: Option<String>,
    /// The station's website.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
}

/// One encoding of the Mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The Icecast mount point, e.g. `/live.opus`.
    pub path: String,
    /// How it is encoded.
    pub codec: Codec,
    /// Kilobits per second.
    pub bitrate_kbps: u16,
}

/// The encodings every image can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Codec {
    /// Opus in Ogg.
    Opus,
    /// MP3.
    Mp3,
}

/// One list of audio files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Playlist {
    /// Unique in its Mount.
    pub name: String,
    /// The order of tracks.
    pub mode: Order,
    /// Where the files are.
    #[serde(flatten)]
    pub from: Files,
}

/// The order in which a playlist's tracks are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Every track once in random order, then again in another.
    Shuffle,
    /// By file name.
    InOrder,
}

/// Where a playlist's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Files {
    /// Every key of this `ConfigMap` is a file.
    ConfigMap(String),
    /// A directory inside the pod, mounted from a volume claim.
    Directory(String),
}

/// The audio of last resort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    /// The `ConfigMap` that holds it.
    pub config_map: String,
    /// Its key.
    pub key: String,
}

/// Where one source at a time may be heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Unique in its Mount.
    pub name: String,
    /// Its path on the ingest; sessions are found by it.
    pub path: String,
}
