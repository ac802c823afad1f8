//! Reading tapes over the network, for every pod behind the ingest. IO: HTTP.
//!
//! ```text
//! ingest pods <── Desk (one request each) <── follow (what is on tape, of all pods)
//!                   └── Tape (bytes) ──> feed (an input's newest session, to a server that takes Icecast's sources)
//! ```

mod audio;
mod cushion;
mod exchange;
pub mod feed;
pub mod follow;
mod lines;
mod tape;

use std::fmt;
use std::io;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::api::{Ack, Sessions};
use crate::config::TapeAccess;
use crate::source_client::percent_encoded;
use exchange::{Question, ask, whole};
pub use follow::{OnTape, on_tape, recent};
pub use lines::Lines;
pub use tape::Tape;

/// An answer that has no reason to wait.
const PROMPT: Duration = Duration::from_secs(5);
/// A long-poll takes 25 s, and its answer a moment.
const LONG_POLL: Duration = Duration::from_secs(35);
/// A live reader that cannot go on shall have little in its sockets when it can: 32 KiB are 2 s at 128 kbit/s.
const LIVE_BUFFER: usize = 32 << 10;

/// The read API of one ingest pod. Its `Debug` is without the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Desk {
    address: String,
    token: String,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Where a reader begins that needs a stream it can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// At the newest boundary, and there again after falling behind.
    Live,
    /// At the first boundary at or after this offset.
    At(u64),
}

/// Why a desk did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("the ingest at {address} cannot be reached: {cause}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Connected, but silent.
    #[error("the ingest at {address} did not answer within {} s", .after.as_secs())]
    Silent {
        /// `host:port`.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The offset is no longer on the tape, or there is nothing more to join.
    #[error("the tape does not have this{}", .next.map(|next| format!("; it goes on at {next}")).unwrap_or_default())]
    Gone {
        /// Where reading can go on.
        next: Option<u64>,
    },
    /// Anything but yes.
    #[error("the ingest at {address} refused with {status}: {reason}")]
    Refused {
        /// `host:port`.
        address: String,
        /// The HTTP status.
        status: StatusCode,
        /// Its own words, cut short.
        reason: String,
    },
    /// The answer is not what this version knows.
    #[error("the ingest at {address} answers what this version does not know: {what}")]
    Strange {
        /// `host:port`.
        address: String,
        /// What about it.
        what: String,
    },
}

impl Desk {
    /// The desk at `address` (`host:port`).
    #[must_use]
    pub fn new(address: String, token: String) -> Self {
        Self { address, token }
    }

    /// One for each pod.
    #[must_use]
    pub fn all(access: &TapeAccess) -> Vec<Self> {
        let desk = |address: &String| Self::new(address.clone(), access.token.clone());
        access.addresses.iter().map(desk).collect()
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who is connected, and who left lately: now, or (`after` an earlier answer's version) when something else holds,
    /// or after 25 s.
    pub async fn sessions(&self, after: Option<&str>) -> Result<Sessions, Error> {
        self.listed("/v1/sessions?all=false", after).await
    }

    /// Like [`Self::sessions`], with everything that is on tape. Long where an encoder came and went all night.
    pub async fn all_sessions(&self, after: Option<&str>) -> Result<Sessions, Error> {
        self.listed("/v1/sessions?all=true", after).await
    }

    async fn listed(&self, path: &str, after: Option<&str>) -> Result<Sessions, Error> {
        let (path, patience) = match after {
            Some(version) => (format!("{path}&after={}", percent_encoded(version)), LONG_POLL),
            None => (path.to_owned(), PROMPT),
        };
        let body = whole(self, Question::get(path, patience)).await?;
        serde_json::from_slice(&body).map_err(|failure| Error::Strange {
            address: self.address.clone(),
            what: format!("sessions at line {} column {}", failure.line(), failure.column()),
        })
    }

    /// A stream that can be decoded from its first byte, as it comes. It ends cleanly with the session.
    pub async fn join(&self, session: &str, join: Join) -> Result<Tape, Error> {
        let (at, buffer) = match join {
            Join::Live => ("live".to_owned(), Some(LIVE_BUFFER)),
            Join::At(offset) => (offset.to_string(), None),
        };
        let path = format!("/v1/sessions/{}/tape?join={at}", percent_encoded(session));
        loop {
            let question = Question {
                buffer,
                ..Question::get(path.clone(), LONG_POLL)
            };
            let answer = ask(self, question).await?;
            // Nothing that could be joined has come yet.
            if answer.response.status() != StatusCode::NO_CONTENT {
                return Tape::of(answer);
            }
        }
    }

    /// The tape's bytes from just this offset: those that are there, or with `follow` also those to come.
    pub async fn read(&self, session: &str, from: u64, follow: bool) -> Result<Tape, Error> {
        let path = format!(
            "/v1/sessions/{}/tape?from={from}&follow={follow}",
            percent_encoded(session)
        );
        Ok(Tape::from_offset(
            ask(self, Question::get(path, PROMPT)).await?,
            from,
        ))
    }

    /// The lines of a session's index from this byte of the index, like [`Self::read`].
    pub async fn index(&self, session: &str, from: u64, follow: bool) -> Result<Lines, Error> {
        let path = format!(
            "/v1/sessions/{}/index?from={from}&follow={follow}",
            percent_encoded(session)
        );
        let tape = Tape::from_offset(ask(self, Question::get(path, PROMPT)).await?, from);
        Ok(Lines::of(tape, self.address.clone()))
    }

    /// Tells what is stored for good.
    pub async fn ack(&self, session: &str, ack: &Ack) -> Result<(), Error> {
        let path = format!("/v1/sessions/{}/ack", percent_encoded(session));
        let body = serde_json::to_vec(ack).map_err(|failure| Error::Strange {
            address: self.address.clone(),
            what: failure.to_string(),
        })?;
        let question = Question {
            method: Method::POST,
            body: body.into(),
            ..Question::get(path, PROMPT)
        };
        whole(self, question).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
