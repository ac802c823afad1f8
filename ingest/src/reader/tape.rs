//! The bytes of a tape, as they come.

use std::io;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use super::exchange::{Answer, offset};

/// An open tape. Nothing is read ahead: who does not ask for more costs the ingest a socket's buffer.
#[derive(Debug)]
pub struct Tape {
    from: u64,
    address: String,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Tape {
    pub(super) fn of(answer: Answer) -> Result<Self, Error> {
        let Some(from) = offset(&answer.response) else {
            return Err(Error::Strange {
                address: answer.address,
                what: "a tape that does not tell where it begins".to_owned(),
            });
        };
        Ok(Self::from_offset(answer, from))
    }

    pub(super) fn from_offset(answer: Answer, from: u64) -> Self {
        Self {
            from,
            address: answer.address,
            body: answer.response.into_body(),
            _connection: answer.connection,
        }
    }

    /// The offset of the first byte that is not a repeated stream header.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The next bytes; `None` when the session (without `follow`: the tape) has ended and all was read. Can be dropped
    /// and called again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|cause| Error::Unreachable {
                address: self.address.clone(),
                cause: io::Error::other(cause),
            })?;
            match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                Ok(_) | Err(_) => {}
            }
        }
    }
}
