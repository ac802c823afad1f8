//! Bodies that go on while the source does. IO: reading tapes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use tokio::sync::watch;

use super::lag::Entry;
use crate::tape::{Boundary, IndexReader, Read, Reader, Session};

/// Read at once.
const PIECE: usize = 64 << 10;
/// Who wants it live and is further behind than both of these hears the newest instead.
const BEHIND: u64 = 256 << 10;
const BEHIND_FOR: Duration = Duration::from_secs(5);

/// A reader's way through a tape.
#[derive(Debug)]
pub(super) struct Following {
    reader: Reader,
    progress: watch::Receiver<()>,
    lag: Entry,
    at: u64,
    until: Option<u64>,
    is_live: bool,
    /// To be sent before what stands at `at`.
    first: VecDeque<Bytes>,
}

impl Following {
    pub fn new(session: &Arc<Session>, lag: Entry) -> Self {
        Self {
            reader: Reader::of(session),
            progress: session.progress(),
            lag,
            at: 0,
            until: None,
            is_live: false,
            first: VecDeque::new(),
        }
    }

    /// Where the tape goes on, if it has nothing there and never will.
    pub fn gone(&self, from: u64) -> Option<u64> {
        self.reader.gone(from)
    }

    pub fn available(&self, from: u64) -> u64 {
        self.reader.available(from)
    }

    /// Everything from an offset, byte for byte.
    pub fn from(mut self, from: u64, until: Option<u64>) -> Body {
        self.at = from;
        self.until = until;
        self.body()
    }

    /// Everything from a boundary.
    pub fn joined(mut self, boundary: Boundary) -> Body {
        self.go_to(boundary, 0);
        self.body()
    }

    /// From a boundary, and always near the newest.
    pub fn live(mut self, boundary: Boundary) -> Body {
        self.is_live = true;
        self.joined(boundary)
    }

    fn body(self) -> Body {
        self.lag.is_at(self.at);
        Body::from_stream(stream::try_unfold(self, |mut following| async move {
            let next = following.next().await?;
            Ok::<_, io::Error>(next.map(|bytes| (bytes, following)))
        }))
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.first.pop_front() {
                return Ok(Some(bytes));
            }
            let most = self.until.map_or(u64::MAX, |until| until - self.at);
            if most == 0 {
                return Ok(None);
            }
            self.progress.borrow_and_update();
            if self.is_live && self.jump().await? {
                continue;
            }
            match self
                .reader
                .read(self.at, usize::try_from(most).unwrap_or(PIECE).min(PIECE))
                .await?
            {
                Read::Bytes(bytes) => {
                    self.at += bytes.len() as u64;
                    self.lag.is_at(self.at);
                    return Ok(Some(bytes));
                }
                Read::Ended => return Ok(None),
                Read::Wait => {}
                Read::Gone(_) if self.is_live && self.reader.session().is_live() => {}
                // Only by breaking off it can be said that something is missing.
                Read::Gone(_) => return Err(io::Error::other("this is no longer on the tape")),
            }
            self.progress.changed().await.map_err(io::Error::other)?;
        }
    }

    /// Leaves out what is too old for somebody who listens now. What was begun is sent to the end of its unit.
    async fn jump(&mut self) -> io::Result<bool> {
        let session = Arc::clone(self.reader.session());
        let is_late =
            self.reader.gone(self.at).is_some() || session.bytes() - self.at > most_behind(&session);
        let Some(newest) = session.newest().filter(|newest| is_late && newest.at > self.at) else {
            return Ok(false);
        };
        let at = self.at;
        let end = tokio::task::spawn_blocking(move || session.unit_end(at)).await?;
        if let Ok(Some(end)) = end
            && end < newest.at
        {
            while self.at < end {
                let most = usize::try_from(end - self.at).unwrap_or(PIECE);
                let Read::Bytes(bytes) = self.reader.read(self.at, most).await? else {
                    break;
                };
                self.at += bytes.len() as u64;
                self.first.push_back(bytes);
            }
        }
        self.go_to(newest, self.at);
        self.lag.is_at(self.at);
        Ok(true)
    }

    /// `read`: everything below was sent, so a link that begins there was sent with its headers.
    fn go_to(&mut self, boundary: Boundary, read: u64) {
        if read < boundary.media_from || read == 0 {
            self.first.extend(boundary.link.headers.iter().cloned());
        }
        if !boundary.lead.is_empty() {
            self.first.push_back(boundary.lead);
        }
        self.at = boundary.at;
    }
}

fn most_behind(session: &Session) -> u64 {
    let media = session.media().as_millis().max(1);
    let bytes = u128::from(session.bytes()) * BEHIND_FOR.as_millis() / media;
    BEHIND.max(u64::try_from(bytes).unwrap_or(BEHIND))
}

/// An index, from an offset of its own to another, or for as long as it grows.
pub(super) fn index(session: &Arc<Session>, from: u64, until: Option<u64>) -> Body {
    let state = (IndexReader::of(session), session.progress(), from);
    Body::from_stream(stream::try_unfold(
        state,
        move |(mut reader, mut progress, at)| async move {
            loop {
                let most = until.map_or(u64::MAX, |until| until - at);
                if most == 0 {
                    return Ok(None);
                }
                progress.borrow_and_update();
                match reader
                    .read(at, usize::try_from(most).unwrap_or(PIECE).min(PIECE))
                    .await?
                {
                    Read::Bytes(bytes) => {
                        let at = at + bytes.len() as u64;
                        return Ok::<_, io::Error>(Some((bytes, (reader, progress, at))));
                    }
                    Read::Wait => progress.changed().await.map_err(io::Error::other)?,
                    Read::Ended | Read::Gone(_) => return Ok(None),
                }
            }
        },
    ))
}
