//! What the status of a Recording and its `final.json` tell, as far as tests read them. No IO.

use jiff::Timestamp;
use serde::Deserialize;

use super::api;

/// What its status tells.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    /// `Waiting`, `OnAir`, `Storing`, `Finalizing`, `Verified`, `Doubtful`, `Empty`.
    pub phase: String,
    /// The first sound.
    pub started_at: Option<Timestamp>,
    /// The last.
    pub ended_at: Option<Timestamp>,
    /// Such as `1h59m`.
    pub duration: Option<String>,
    /// What is stored.
    pub bytes: Option<u64>,
    /// Such as `164 MiB`.
    pub size: Option<String>,
    /// How many.
    pub gaps: Option<u32>,
    /// Which.
    pub gap_list: Vec<Gap>,
    /// Which connections.
    pub sessions: Vec<Session>,
    /// What was made.
    pub objects: Vec<Made>,
    /// Of the final objects.
    pub version: Option<u32>,
    /// When all of it was read back.
    pub verified_at: Option<Timestamp>,
    /// What a person should look at.
    pub doubts: Vec<String>,
    /// As every object's.
    pub conditions: Vec<api::Condition>,
}

/// A time without sound.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// `noSource`, `rehearsal`, `lost`.
    pub kind: String,
    /// Of what was lost.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// A connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its id on the tape.
    pub id: String,
    /// The input.
    pub input: String,
    /// What is stored of it.
    #[serde(default)]
    pub bytes: u64,
}

/// A final object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Its key in the bucket.
    pub key: String,
    /// `s3://...`
    pub url: String,
    /// Its size.
    pub bytes: u64,
    /// Of it, in hexadecimal.
    pub sha256: String,
}

/// `final.json`, as far as tests read it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Final {
    /// Counted from 1.
    pub version: u32,
    /// Who was on air, in order.
    pub intervals: Vec<Interval>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// What was made.
    pub objects: Vec<FinalObject>,
}

impl Final {
    /// Which bytes of a session were on air, in their order.
    pub fn of(&self, session: &str) -> impl Iterator<Item = Range> {
        let of_it = self.intervals.iter().filter(move |on| on.session == session);
        of_it.map(|on| on.bytes)
    }
}

/// One connection on air.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interval {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Its id on the tape.
    pub session: String,
    /// Which of its bytes.
    pub bytes: Range,
}

/// Offsets from..to.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The first that is not in it.
    pub to: u64,
}

/// An object of `final.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalObject {
    /// Below the Recording's prefix.
    pub key: String,
    /// How many packets or frames.
    pub frames: u64,
    /// How long it plays.
    pub seconds: f64,
}
