//! A piece of a session, cut at the boundaries of its pages, frames or blocks. No IO.

use std::sync::Arc;

use bytes::Bytes;
use ingest::api::{Container, Line};
use ingest::framing::{Framer, Link, Unit};
use ingest::repage::Repager;

use crate::manifest::{Range, Taped};

/// Where in a session reading has to begin so that a framer knows all it must where the piece does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Stream headers that come before everything, if what is read does not begin with them.
    pub headers: Option<Range>,
    /// The first byte to read.
    pub from: u64,
}

impl Begin {
    /// For a piece that begins at this offset.
    #[must_use]
    pub fn of(taped: &Taped, offset: u64) -> Self {
        let links = taped.lines.iter().filter_map(|line| match *line {
            Line::Link { at, media, .. } if at <= offset => Some(Range { from: at, to: media }),
            _ => None,
        });
        let Some(link) = links.max() else {
            // A tape that starts in the middle of a link has its headers beside it.
            return Self {
                headers: taped.headers.filter(|headers| headers.to <= taped.start),
                from: taped.start,
            };
        };
        let cuts = taped.lines.iter().filter_map(|line| match *line {
            Line::Cut { at, .. } if at <= offset && at >= link.from => Some(at),
            _ => None,
        });
        // WebM may have been cut within a cluster, where nothing can begin but with what came before.
        let cut = match taped.session.container {
            Container::Webm => None,
            Container::Ogg | Container::Mp3 | Container::Adts => cuts.max(),
        };
        let from = cut.unwrap_or(link.from).max(taped.start);
        let headers = (from > link.from && link.bytes() > 0).then_some(link);
        Self { headers, from }
    }
}

/// Cuts one piece out of a session. Inside, units are what the source sent, but for `WebM`, whose packets come out in Ogg.
#[derive(Debug)]
pub struct Cutter {
    container: Container,
    piece: Range,
    framer: Framer,
    /// Bytes of headers that the framer was given before those of the session.
    given: u64,
    /// Offset of the first byte of the session that the framer was given.
    base: Option<u64>,
    /// Offset of the next.
    next: u64,
    link: Option<Arc<Link>>,
    repager: Option<Repager>,
    inside: bool,
    done: bool,
}

impl Cutter {
    /// For this piece, of a session whose headers before it are these.
    #[must_use]
    pub fn new(container: Container, piece: Range, headers: &[u8]) -> Self {
        let mut cutter = Self {
            container,
            piece,
            framer: Framer::of(container),
            given: 0,
            base: None,
            next: 0,
            link: None,
            repager: (container == Container::Webm).then(Repager::default),
            inside: false,
            done: false,
        };
        cutter.give(headers);
        cutter
    }

    /// Nothing more is wanted.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes bytes of the session; gives the units of the piece, each at its offset in the session. Where bytes are missing it
    /// goes on with the next whole unit behind.
    pub fn push(&mut self, at: u64, arrived: &[u8]) -> Vec<Unit> {
        if let Some(base) = self.base
            && at != self.next
        {
            self.inside = false;
            if self.link.is_none() && self.container == Container::Ogg {
                // The framer has headers that nobody else knows, and finds the next page by its checksum.
                self.base = Some(base + at.saturating_sub(self.next));
            } else {
                self.begin_again();
            }
        }
        let base = *self.base.get_or_insert(at);
        self.next = at + arrived.len() as u64;
        let mut units = Vec::new();
        for mut unit in self.framer.push(arrived) {
            let Some(place) = unit.at.checked_sub(self.given) else {
                continue;
            };
            unit.at = base + place;
            self.link = Some(Arc::clone(&unit.link));
            if unit.joins && unit.at >= self.piece.to {
                self.done = true;
            }
            if self.done {
                break;
            }
            self.inside |= unit.joins && unit.at >= self.piece.from;
            if self.inside {
                units.push(unit);
            }
        }
        match &mut self.repager {
            Some(repager) => repager.push(&units),
            None => units,
        }
    }

    /// Behind a hole half a unit must not be joined to another half.
    fn begin_again(&mut self) {
        let headers: Vec<Bytes> = self
            .link
            .as_ref()
            .map(|link| link.headers.clone())
            .unwrap_or_default();
        self.framer = Framer::of(self.container);
        self.base = None;
        self.given = 0;
        self.give(&headers.concat());
    }

    fn give(&mut self, headers: &[u8]) {
        self.framer.push(headers);
        self.given = headers.len() as u64;
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
