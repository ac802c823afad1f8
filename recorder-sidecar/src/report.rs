//! What the processes of a Recording report: while they run over HTTP, and at their end in the message that kubelet keeps.
//! No IO.

use ingest::api::Fill;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::course::Span;
use crate::errand::{Kept, Lifecycle};
use crate::manifest::{Over, OverWhy, Range};
use crate::published::{Doubt, Final, GapKind, LostBytes, Object};

/// kubelet keeps 4096 bytes of a container's message.
const LONGEST_MESSAGE: usize = 4_000;
const LONGEST_WORDS: usize = 300;

/// How a process ended: its termination message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Report {
    /// ship: the Recording is over and stored.
    Stored(Stored),
    /// finalize and verify: a version is published and verified.
    Published(Published),
    /// keep: what need not be kept is deleted, or why not.
    Kept(Kept),
    /// Any of them: it cannot go on, and begins again.
    Failed(Failed),
}

/// Why a process ended before its work was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// A sentence.
    pub words: String,
}

/// What ship has stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// When and why it was over.
    pub over: Over,
    /// From its first instant on air; absent: nobody ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// To its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes that neither tape nor bucket have.
    pub lost_bytes: u64,
    /// Which; the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostBytes>,
    /// The oldest first.
    pub sessions: Vec<Heard>,
    /// How many of `lost` did not fit.
    #[serde(default)]
    pub lost_left_out: usize,
    /// How many of `sessions` did not fit.
    #[serde(default)]
    pub sessions_left_out: usize,
}

/// A session as the Recording has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// Its id.
    pub id: String,
    /// The Mount's input.
    pub input: String,
    /// Its first instant on air.
    pub from: Timestamp,
    /// When it was last on air; absent: no end was seen, as its ingest was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Bytes that are stored.
    pub bytes: u64,
}

impl Heard {
    /// As the course of the Recording takes it.
    #[must_use]
    pub fn span(&self) -> Span {
        Span {
            from: self.from,
            to: self.to,
        }
    }
}

/// What finalize has published, or verify has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// Counted from 1.
    pub version: u32,
    /// When its objects were read back and found to be what they should.
    pub verified_at: Timestamp,
    /// From its first instant on air, or its window's start if that has an end.
    pub from: Timestamp,
    /// To its last.
    pub to: Timestamp,
    /// How long the objects play.
    pub seconds: f64,
    /// That, in percent of `from..to`.
    pub coverage_percent: f64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// The recording itself, in order.
    pub objects: Vec<Made>,
    /// What was made besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Made>,
    /// How many gaps there are, of all kinds.
    pub gaps: usize,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gap_list: Vec<Missing>,
    /// Why somebody should listen; empty is good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// Everything that was on air is there, and nothing speaks against it.
    pub beyond_doubt: bool,
    /// How many of `objects` and `renditions` did not fit.
    #[serde(default)]
    pub objects_left_out: usize,
    /// How many of `doubts` did not fit.
    #[serde(default)]
    pub doubts_left_out: usize,
}

/// An object that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// Below the Recording's prefix.
    pub key: String,
    /// Such as `opus`.
    pub codec: String,
    /// Its size.
    pub bytes: u64,
    /// How long it plays.
    pub seconds: f64,
    /// In hexadecimal.
    pub sha256: String,
}

/// A time that the objects do not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why.
    pub kind: GapKind,
    /// How many bytes were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl From<&Object> for Made {
    fn from(object: &Object) -> Self {
        Self {
            key: object.key.clone(),
            codec: object.codec.clone(),
            bytes: object.bytes,
            seconds: object.seconds,
            sha256: object.sha256.clone(),
        }
    }
}

impl From<&Final> for Published {
    fn from(published: &Final) -> Self {
        let gaps = published.gaps.iter().map(|gap| Missing {
            from: gap.from,
            to: gap.to,
            kind: gap.kind,
            bytes: gap.lost.as_ref().map(|lost| lost.bytes.bytes()),
        });
        Self {
            version: published.version,
            verified_at: published.verified_at,
            from: published.from,
            to: published.to,
            seconds: published.seconds,
            coverage_percent: published.coverage_percent,
            bytes: published.objects.iter().map(|object| object.bytes).sum(),
            objects: published.objects.iter().map(Made::from).collect(),
            renditions: published.renditions.iter().map(Made::from).collect(),
            gaps: published.gaps.len(),
            gap_list: gaps.collect(),
            doubts: published.doubts.clone(),
            beyond_doubt: published.is_beyond_doubt(),
            objects_left_out: 0,
            doubts_left_out: 0,
        }
    }
}

impl Report {
    /// Reads a termination message; `None` if it is none of ours.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok()
    }

    /// As a termination message, which has an end: what does not fit is counted.
    #[must_use]
    pub fn message(&self) -> String {
        let mut report = self.clone();
        report.shorten_words();
        loop {
            let message = serde_json::to_string(&report).unwrap_or_default();
            if message.len() <= LONGEST_MESSAGE || !report.leave_one_out() {
                return message;
            }
        }
    }

    fn shorten_words(&mut self) {
        match self {
            Self::Failed(failed) => cut(&mut failed.words),
            Self::Published(published) => {
                for doubt in &mut published.doubts {
                    if let Doubt::Probe { words, .. } | Doubt::Rendition { words, .. } = doubt {
                        cut(words);
                    }
                }
            }
            Self::Kept(kept) => {
                for failure in &mut kept.failures {
                    cut(&mut failure.words);
                }
                if let Some(Lifecycle::Unknown(words)) = &mut kept.lifecycle {
                    cut(words);
                }
            }
            Self::Stored(_) => {}
        }
    }

    /// The longest list loses its last; false if there is nothing to lose.
    fn leave_one_out(&mut self) -> bool {
        match self {
            Self::Failed(_) => false,
            Self::Stored(stored) => {
                if stored.sessions.len() >= stored.lost.len() && leave_a_session_out(&mut stored.sessions) {
                    stored.sessions_left_out += 1;
                    return true;
                }
                let lost = stored.lost.pop();
                stored.lost_left_out += usize::from(lost.is_some());
                lost.is_some()
            }
            Self::Published(published) => published.leave_one_out(),
            Self::Kept(kept) => kept.leave_one_out(),
        }
    }
}

impl Published {
    fn leave_one_out(&mut self) -> bool {
        let objects = self.objects.len() + self.renditions.len();
        let longest = self.gap_list.len().max(self.doubts.len()).max(objects);
        if longest == 0 {
            return false;
        }
        if self.gap_list.len() == longest {
            self.gap_list.pop();
        } else if self.doubts.len() == longest {
            self.doubts.pop();
            self.doubts_left_out += 1;
        } else {
            if self.renditions.pop().is_none() {
                self.objects.pop();
            }
            self.objects_left_out += 1;
        }
        true
    }
}

/// Those without an end come last: who knows of them looks for them when their tape is back.
fn leave_a_session_out(sessions: &mut Vec<Heard>) -> bool {
    let ended = sessions.iter().rposition(|heard| heard.to.is_some());
    let at = ended.or_else(|| sessions.len().checked_sub(1));
    at.map(|at| sessions.remove(at)).is_some()
}

fn cut(words: &mut String) {
    if let Some((at, _)) = words.char_indices().nth(LONGEST_WORDS) {
        words.truncate(at);
    }
}

/// Body of capture's `GET /v1/state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaptureState {
    /// What the spool takes on its disk.
    pub spool_bytes: u64,
    /// What it may take.
    pub spool_cap_bytes: u64,
    /// How full it is; falls again a little below where it rises.
    #[serde(default)]
    pub spool_fill: Fill,
    /// Nothing is taken from the tape before the store takes something: no sign of a capture that hangs.
    #[serde(default)]
    pub waits_for_room: bool,
    /// Those that may still grow.
    pub sessions: Vec<Captured>,
}

/// How far a session is captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Captured {
    /// Its id.
    pub id: String,
    /// Bytes of the tape that are in the spool.
    pub captured: u64,
}

/// Body of ship's `GET /v1/state`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShipState {
    /// Nothing more will belong to it; what is left is stored and then ship ends.
    pub over: Option<OverWhy>,
    /// The oldest first.
    pub sessions: Vec<Progress>,
    /// When the store last took a segment.
    pub last_stored: Option<Timestamp>,
    /// What is wrong with the store.
    pub trouble: Option<Trouble>,
}

/// How far a session is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Its id.
    pub id: String,
    /// The Mount's input.
    #[serde(default)]
    pub input: String,
    /// Its first instant on air.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// When it was last on air; absent while it is.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// Everything below is in the bucket, or lost.
    pub stored: u64,
    /// Bytes that are known of.
    pub bytes: u64,
    /// What neither tape nor bucket have.
    pub lost: Vec<Range>,
    /// Nothing of it is missing in the bucket, and nothing more will come.
    pub complete: bool,
}

/// What is wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Since when nothing succeeded.
    pub since: Timestamp,
    /// One word.
    pub code: String,
    /// A sentence.
    pub message: String,
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
