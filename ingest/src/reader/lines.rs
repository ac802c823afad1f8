//! The lines of a session's index, as they come.

use bytes::{Buf, BytesMut};

use super::{Error, Tape};
use crate::api::Line;

/// A title has 500 characters at most; a line without an end is none of ours.
const LONGEST: usize = 16 << 10;

/// An open index.
#[derive(Debug)]
pub struct Lines {
    tape: Tape,
    waiting: BytesMut,
    at: u64,
    address: String,
}

impl Lines {
    pub(super) fn of(tape: Tape, address: String) -> Self {
        Self {
            at: tape.from(),
            tape,
            waiting: BytesMut::new(),
            address,
        }
    }

    /// Where the next line begins in the index: from here a later reader goes on.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next whole line; `None` after the last. Can be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Line>, Error> {
        loop {
            if let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') {
                let line = serde_json::from_slice(&self.waiting[..end])
                    .map_err(|_| self.strange(format!("an index line at {}", self.at)))?;
                self.waiting.advance(end + 1);
                self.at += end as u64 + 1;
                return Ok(Some(line));
            }
            if self.waiting.len() > LONGEST {
                return Err(self.strange(format!("an endless index line at {}", self.at)));
            }
            match self.tape.next().await? {
                Some(bytes) => self.waiting.extend_from_slice(&bytes),
                // Half a line is not yet one.
                None => return Ok(None),
            }
        }
    }

    fn strange(&self, what: String) -> Error {
        Error::Strange {
            address: self.address.clone(),
            what,
        }
    }
}
