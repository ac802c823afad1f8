//! Finding the place to join a tape. IO: reading it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;

use super::index::{self, Start};
use super::marks::{Marks, Placed, Walk};
use super::read::{Read, Reader};
use super::session::Session;
use crate::framing::Link;

const PIECE: usize = 64 << 10;
/// Headers longer than this no framer keeps.
pub(super) const MOST_HEADERS: u64 = 4 << 20;

/// A place where a decoder can start, if it gets the link's headers and the lead first.
#[derive(Clone, Debug)]
pub struct Boundary {
    /// Offset of the unit.
    pub at: u64,
    /// Offset of the link's first unit: who has read that far has its headers.
    pub media_from: u64,
    /// The headers.
    pub link: Arc<Link>,
    /// What stands between headers and unit.
    pub lead: Bytes,
}

impl Boundary {
    pub(super) fn of(placed: &Placed, media_from: u64) -> Self {
        Self {
            at: placed.at,
            media_from,
            link: Arc::clone(&placed.unit.link),
            lead: placed.unit.lead.clone(),
        }
    }
}

/// What a search for a boundary came to.
#[derive(Clone, Debug)]
pub enum Joined {
    /// Here.
    At(Boundary),
    /// The source has not sent so far.
    NotYet,
    /// The session ended before.
    Never,
}

impl Session {
    /// The first boundary at or after an offset. Blocks: it reads from the last cut before it.
    pub fn join(self: &Arc<Self>, offset: u64) -> io::Result<Joined> {
        if self.is_live() && self.newest().is_none_or(|newest| newest.at < offset) {
            return Ok(Joined::NotYet);
        }
        let is_it = |placed: &Placed| placed.unit.joins && placed.at >= offset;
        let found = self.search(offset, is_it, Boundary::of)?;
        Ok(match found {
            Some(boundary) => Joined::At(boundary),
            None if self.is_live() => Joined::NotYet,
            None => Joined::Never,
        })
    }

    /// Where the unit ends that the byte before an offset is part of. Who stops there stops between units.
    pub fn unit_end(self: &Arc<Self>, offset: u64) -> io::Result<Option<u64>> {
        let is_it = |placed: &Placed| placed.end() >= offset;
        let end = self.search(offset.saturating_sub(1), is_it, |placed, _| placed.end())?;
        Ok(end.filter(|&end| end - offset <= PIECE as u64))
    }

    fn search<T>(
        self: &Arc<Self>,
        offset: u64,
        is_it: impl Fn(&Placed) -> bool,
        take: impl Fn(&Placed, u64) -> T,
    ) -> io::Result<Option<T>> {
        let start = index::start_before(&self.index_path(), offset)?;
        let mut reader = Reader::of(self);
        let headers = match &start {
            Some(start) => reader.headers(&start.headers)?,
            None => Bytes::new(),
        };
        let mut marks = start.as_ref().map_or_else(Marks::default, |start: &Start| {
            Marks::from_cut(start.at, start.media_ms, start.media_from)
        });
        let mut at = start.map_or(0, |start| start.at);
        let mut walk = Walk::from(self.about().container, &headers, at);
        loop {
            match reader.read_blocking(at, PIECE)? {
                Read::Bytes(bytes) => {
                    at += bytes.len() as u64;
                    for placed in walk.push(&bytes) {
                        marks.take(&placed, Timestamp::UNIX_EPOCH, &mut Vec::new());
                        if is_it(&placed) {
                            return Ok(Some(take(&placed, marks.media_from)));
                        }
                    }
                }
                Read::Gone(next) => {
                    at = next;
                    walk = Walk::from(self.about().container, &headers, at);
                }
                Read::Wait | Read::Ended => return Ok(None),
            }
        }
    }
}

impl Reader {
    /// Headers stay on the tape when what is before and after them is given up.
    fn headers(&mut self, range: &Range<u64>) -> io::Result<Bytes> {
        let mut headers = BytesMut::new();
        if range.end - range.start > MOST_HEADERS {
            return Ok(Bytes::new());
        }
        let mut at = range.start;
        while at < range.end {
            let most = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
            let Read::Bytes(piece) = self.read_kept(at, most)? else {
                return Ok(Bytes::new());
            };
            at += piece.len() as u64;
            headers.extend_from_slice(&piece);
        }
        Ok(headers.freeze())
    }
}
