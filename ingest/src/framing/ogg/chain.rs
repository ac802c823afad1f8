//! What is known about the link of an Ogg chain that is being read: its streams, its headers, its clock. No IO.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::codec::{Codec, OTHER};
use super::page::Page;
use crate::framing::{Link, Unit};

/// Headers above this are not kept: such a link plays for those who were there at its start, and cannot be joined.
/// Cover art in the comments stays below it.
pub(super) const MOST_HEADERS: usize = 1 << 20;
/// Streams multiplexed in one link; radio has one.
pub(super) const MOST_STREAMS: usize = 8;
/// A page cannot hold more; whatever says so left others out, or lies.
const LONGEST_PAGE: u64 = 60;
/// The first granule of a link is the length of its first page, unless the stream was joined in its middle.
const LONGEST_FIRST_PAGE: u64 = 10;

#[derive(Debug)]
struct Stream {
    serial: u32,
    codec: Codec,
    /// Header packets that are still to come.
    outstanding: u32,
    granule: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Chain {
    streams: Vec<Stream>,
    at: u64,
    headers: Vec<Bytes>,
    header_bytes: usize,
    /// Set with the first media page, when the headers are complete.
    link: Option<Arc<Link>>,
    /// Only pages that begin a stream were seen in this link.
    beginning: bool,
}

pub(super) enum Taken {
    Header,
    Media(Unit),
    Stray(Bytes),
}

impl Chain {
    pub(super) fn take(&mut self, bytes: Bytes, at: u64) -> Taken {
        let Some(page) = Page::read(&bytes) else {
            return Taken::Stray(bytes);
        };
        if page.is_first() {
            self.begin(page, at);
        } else {
            self.beginning = false;
        }
        let serial = page.serial();
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.serial == serial) else {
            return Taken::Stray(bytes);
        };
        if stream.outstanding > 0 {
            stream.outstanding = stream.outstanding.saturating_sub(page.packets_that_end());
            self.keep_header(&bytes);
            return Taken::Header;
        }
        match self.media(page, &bytes, at) {
            Some(unit) => Taken::Media(unit),
            None => Taken::Stray(bytes),
        }
    }

    /// Headers that are kept; for tests and bounds.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.headers.iter().map(Bytes::len).sum(), self.streams.len())
    }

    fn begin(&mut self, page: Page, at: u64) {
        let joins_a_multiplex = self.beginning
            && self.streams.len() < MOST_STREAMS
            && self.streams.iter().all(|known| known.serial != page.serial());
        if !joins_a_multiplex {
            *self = Self {
                at,
                beginning: true,
                ..Self::default()
            };
        }
        let codec = Codec::of(page.body());
        self.streams.push(Stream {
            serial: page.serial(),
            codec,
            outstanding: codec.headers,
            granule: None,
        });
    }

    fn keep_header(&mut self, page: &Bytes) {
        self.header_bytes += page.len();
        if self.header_bytes > MOST_HEADERS {
            self.headers = Vec::new();
        } else {
            // A copy, as the page itself holds on to the buffer it arrived in, and this may live for days.
            self.headers.push(Bytes::copy_from_slice(page));
        }
    }

    fn media(&mut self, page: Page, bytes: &Bytes, at: u64) -> Option<Unit> {
        if self.streams.iter().any(|stream| stream.outstanding > 0) {
            return None;
        }
        if self.link.is_none() && page.is_last() && page.body().is_empty() {
            // Liquidsoap opens with a link without audio; listeners need not begin twice.
            return None;
        }
        let link = match &self.link {
            Some(link) => Arc::clone(link),
            None => self.complete(),
        };
        let joins = !page.is_continued() && self.header_bytes <= MOST_HEADERS;
        let duration = self.duration(page);
        Some(Unit {
            bytes: bytes.clone(),
            at,
            link,
            joins,
            lead: Bytes::new(),
            duration,
        })
    }

    /// The stream that is heard: the first whose codec we know.
    fn main(&mut self) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.codec.name != OTHER)
    }

    fn complete(&mut self) -> Arc<Link> {
        let headers = std::mem::take(&mut self.headers);
        let main = self.main();
        let link = Arc::new(Link {
            codec: main.as_ref().map_or(OTHER, |stream| stream.codec.name),
            title: main.and_then(|stream| stream.codec.title(stream.serial, &headers)),
            headers,
            at: self.at,
        });
        self.link = Some(Arc::clone(&link));
        link
    }

    fn duration(&mut self, page: Page) -> Duration {
        let of_main = self.main().filter(|stream| stream.serial == page.serial());
        let (Some(stream), Some(granule)) = (of_main, page.granule()) else {
            return Duration::ZERO;
        };
        let rate = u64::from(stream.codec.rate);
        let (before, longest) = match stream.granule.replace(granule) {
            Some(before) => (before, LONGEST_PAGE),
            None => (0, LONGEST_FIRST_PAGE),
        };
        match granule.checked_sub(before) {
            Some(samples) if rate > 0 && samples <= longest * rate => {
                Duration::from_nanos(samples * 1_000_000_000 / rate)
            }
            _ => Duration::ZERO,
        }
    }
}
