//! What Recordings have. IO: `acks.json`.

use std::io;

use super::locked;
use super::meta::{self, Kept};
use super::session::Session;
use super::shelf::AckError;
use crate::api::Ack;

/// Recordings that may ack one session.
const MOST_ACKS: usize = 64;

impl Session {
    /// True if it is the Recording's first of this session.
    pub(super) fn ack(&self, ack: &Ack) -> Result<bool, AckError> {
        let wrong = |problem: &str| Err(AckError::Wrong(problem.to_owned()));
        let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'/');
        if ack.recording.is_empty() || ack.recording.len() > 512 || !ack.recording.bytes().all(is_name) {
            return wrong("The recording must be the name of one.");
        }
        let _alone = locked(&self.keeping);
        let (kept, is_first) = {
            let view = locked(&self.view);
            if ack.to > view.end() {
                return wrong("The source has not sent that much.");
            }
            let mut acks = view.acks.clone();
            let is_first = !acks.contains_key(&ack.recording);
            let acked = acks.entry(ack.recording.clone()).or_default();
            *acked = ack.to.max(*acked);
            if acks.len() > MOST_ACKS {
                return wrong("Too many Recordings have acked this session.");
            }
            let from = view.kept_from;
            (Kept { from, acks }, is_first)
        };
        self.keep(&kept)?;
        locked(&self.view).acks = kept.acks;
        Ok(is_first)
    }

    pub(super) fn keep(&self, kept: &Kept) -> io::Result<()> {
        let text = serde_json::to_vec(kept)?;
        meta::replace(&self.dir, meta::KEPT, &text)
    }
}
