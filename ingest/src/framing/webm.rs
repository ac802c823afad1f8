//! `WebM`: blocks of Opus, the clusters they are in, and the headers before them. No IO.
//!
//! A cluster may tell its size or go on until the next one; a whole stream may be one segment of unknown size (a
//! browser) or, after a reconnect, several streams behind each other. All of it comes out as blocks, each of which can
//! be joined: the first of a cluster has the cluster's own head in it, the others have a [`Unit::lead`] in its stead.

mod opening;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::ebml::{self, Read, child, id};
use super::waiting::{PIECE, Waiting};
use super::{Link, Unit, clean_title, opus};
use opening::{ENDLESS_SEGMENT, Opening};
pub(crate) use opening::{Track, packets};

/// What is kept in memory of one element, and of all headers. The longest Opus packet has 61 KiB.
const MOST_KEPT: usize = 128 * 1024;
/// An element nobody needs that claims to be longer is garbage.
const MOST_SKIPPED: u64 = 1 << 20;
const DOC_TYPES: [&[u8]; 2] = [b"webm", b"matroska"];

/// Finds blocks in a byte stream. Holds at most one block of bytes that are not yet given out, and one set of headers.
#[derive(Debug, Default)]
pub struct Framer {
    waiting: Waiting,
    /// How much of it is understood and goes out with the next block.
    read: usize,
    /// What is left to skip of an element nobody needs.
    skip_left: u64,
    place: Place,
    headers: Headers,
    link: Option<Arc<Link>>,
}

#[derive(Debug, Default)]
enum Place {
    /// Between elements, outside of clusters.
    #[default]
    Outside,
    Cluster(Cluster),
    /// In garbage.
    Lost,
}

#[derive(Clone, Debug)]
struct Cluster {
    lead: Bytes,
    /// Offset of its end, if it says.
    ends: Option<u64>,
    /// No block of it was given out.
    fresh: bool,
}

#[derive(Debug, Default)]
struct Headers {
    at: u64,
    parts: Vec<Bytes>,
    title: Option<String>,
    track: Option<Track>,
}

enum Step {
    NotYet,
    On,
    Lost,
    Unit(Unit),
}

impl Framer {
    /// Takes what arrived, gives the blocks that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        for piece in arrived.chunks(PIECE) {
            self.waiting.add(piece);
            while let Some(unit) = self.next_unit() {
                units.push(unit);
            }
        }
        self.waiting.shrink();
        units
    }

    /// Bytes thrown away so far: garbage, elements nobody needs, clusters whose headers never came. The headers
    /// themselves do not count.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.waiting.skipped()
    }

    /// Bytes of memory that wait for those that make them whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.waiting.capacity()
    }

    fn next_unit(&mut self) -> Option<Unit> {
        loop {
            let now = usize::try_from(self.skip_left)
                .unwrap_or(usize::MAX)
                .min(self.waiting.len());
            self.waiting.skip(now);
            self.skip_left -= now as u64;
            let step = match &self.place {
                Place::Outside => self.outside(),
                Place::Cluster(cluster) => self.in_cluster(cluster.clone()),
                Place::Lost => self.search(),
            };
            match step {
                Step::NotYet => return None,
                Step::On => {}
                Step::Lost => {
                    self.waiting.skip(self.read + 1);
                    self.read = 0;
                    self.place = Place::Lost;
                }
                Step::Unit(unit) => return Some(unit),
            }
        }
    }

    fn search(&mut self) -> Step {
        let stream = id::EBML.to_be_bytes();
        let cluster = id::CLUSTER.to_be_bytes();
        let playable = self.headers.track.is_some();
        let found = (0..self.waiting.len()).find(|&at| {
            let rest = &self.waiting[at..];
            let begins = |id: &[u8]| rest.starts_with(id) || id.starts_with(rest);
            begins(&stream) || (playable && begins(&cluster))
        });
        self.waiting.skip(found.unwrap_or(self.waiting.len()));
        if self.waiting.len() < stream.len() {
            return Step::NotYet;
        }
        self.place = Place::Outside;
        Step::On
    }

    fn outside(&mut self) -> Step {
        let head = match ebml::head(&self.waiting) {
            Read::NotYet => return Step::NotYet,
            Read::Garbage => return Step::Lost,
            Read::Is(head) => head,
        };
        match (head.id, head.body) {
            (id::CLUSTER, _) => self.open_cluster(),
            (id::SEGMENT, _) => {
                if self.link.is_none() {
                    // Its own size would be wrong for all who join later.
                    self.headers.parts.push(Bytes::from_static(ENDLESS_SEGMENT));
                }
                self.waiting.take(head.length);
                Step::On
            }
            (id::EBML, Some(body)) => self.header(head, body),
            (id::INFO | id::TRACKS, Some(body)) if self.link.is_none() => self.header(head, body),
            (
                id::INFO
                | id::TRACKS
                | id::VOID
                | id::CRC
                | id::SEEK_HEAD
                | id::CUES
                | id::CHAPTERS
                | id::TAGS
                | id::ATTACHMENTS,
                Some(body @ ..=MOST_SKIPPED),
            ) => {
                self.skip_left = head.length as u64 + body;
                Step::On
            }
            _ => Step::Lost,
        }
    }

    fn header(&mut self, head: ebml::Head, body: u64) -> Step {
        let parts = if head.id == id::EBML {
            &[]
        } else {
            &self.headers.parts[..]
        };
        let kept: usize = parts.iter().map(Bytes::len).sum();
        let length = match usize::try_from(body) {
            Ok(body) if kept.saturating_add(body) <= MOST_KEPT => head.length + body,
            _ => return Step::Lost,
        };
        let Some(element) = self.waiting.get(..length) else {
            return Step::NotYet;
        };
        let body = &element[head.length..];
        match head.id {
            id::EBML => {
                if !child(body, id::DOC_TYPE).is_some_and(|is| DOC_TYPES.contains(&is)) {
                    return Step::Lost;
                }
                self.link = None;
                self.headers = Headers {
                    at: self.waiting.at(),
                    ..Headers::default()
                };
            }
            id::INFO => {
                let title = child(body, id::TITLE).map(String::from_utf8_lossy);
                self.headers.title = title.and_then(|title| clean_title(&title));
            }
            _ => self.headers.track = Track::read(body).ok(),
        }
        let element = self.waiting.take(length);
        // A copy, as the element holds on to the buffer it arrived in, and this may live for days.
        self.headers.parts.push(Bytes::copy_from_slice(&element));
        Step::On
    }

    fn open_cluster(&mut self) -> Step {
        let opening = match Opening::read(&self.waiting) {
            Read::NotYet => return Step::NotYet,
            Read::Is(opening) if self.headers.track.is_some() => opening,
            Read::Is(_) | Read::Garbage => return Step::Lost,
        };
        self.read = opening.length;
        self.place = Place::Cluster(Cluster {
            lead: opening.lead(),
            ends: opening
                .cluster
                .map(|length| self.waiting.at().saturating_add(length)),
            fresh: true,
        });
        Step::On
    }

    fn in_cluster(&mut self, cluster: Cluster) -> Step {
        let here = self.waiting.at() + self.read as u64;
        if cluster.ends == Some(here) {
            return self.close(&cluster);
        }
        let head = match ebml::head(&self.waiting[self.read..]) {
            Read::NotYet => return Step::NotYet,
            Read::Garbage => return Step::Lost,
            Read::Is(head) => head,
        };
        match head.id {
            id::SIMPLE_BLOCK | id::BLOCK_GROUP | id::PREVIOUS_SIZE | id::POSITION | id::VOID | id::CRC => {}
            // Also where the cluster has told a size: its source was cut off and began again.
            id::CLUSTER
            | id::EBML
            | id::SEGMENT
            | id::SEEK_HEAD
            | id::INFO
            | id::TRACKS
            | id::CUES
            | id::CHAPTERS
            | id::TAGS
            | id::ATTACHMENTS => return self.close(&cluster),
            _ => return Step::Lost,
        }
        let length = match head.body.map(usize::try_from) {
            Some(Ok(body)) if self.read.saturating_add(body) <= MOST_KEPT => head.length + body,
            _ => return Step::Lost,
        };
        if cluster.ends.is_some_and(|ends| ends < here + length as u64) {
            return Step::Lost;
        }
        if self.waiting.len() < self.read + length {
            return Step::NotYet;
        }
        if matches!(head.id, id::SIMPLE_BLOCK | id::BLOCK_GROUP) {
            return self.block(cluster, length);
        }
        self.read += length;
        Step::On
    }

    fn block(&mut self, cluster: Cluster, length: usize) -> Step {
        let unit = &self.waiting[..self.read + length];
        let Some(packets) = self.headers.track.as_ref().and_then(|track| packets(unit, track)) else {
            return Step::Lost;
        };
        let samples = packets.iter().filter_map(|packet| opus::samples(packet));
        let samples: u64 = samples.map(u64::from).sum();
        let duration = Duration::from_nanos(samples * 1_000_000_000 / opus::RATE);
        self.read += length;
        let lead = if cluster.fresh {
            Bytes::new()
        } else {
            cluster.lead.clone()
        };
        self.place = Place::Cluster(Cluster {
            fresh: false,
            ..cluster
        });
        self.give(true, lead, duration)
    }

    /// The end of a cluster. What stands behind its last block goes out too, or its size would be wrong.
    fn close(&mut self, cluster: &Cluster) -> Step {
        self.place = Place::Outside;
        if cluster.fresh {
            self.waiting.skip(self.read);
            self.read = 0;
        }
        if self.read == 0 {
            return Step::On;
        }
        self.give(false, Bytes::new(), Duration::ZERO)
    }

    fn give(&mut self, joins: bool, lead: Bytes, duration: Duration) -> Step {
        let headers = &mut self.headers;
        let link = self.link.get_or_insert_with(|| {
            Arc::new(Link {
                headers: std::mem::take(&mut headers.parts),
                at: headers.at,
                codec: "opus",
                title: headers.title.take(),
            })
        });
        let link = Arc::clone(link);
        let at = self.waiting.at();
        let bytes = self.waiting.take(std::mem::take(&mut self.read));
        Step::Unit(Unit {
            bytes,
            at,
            link,
            joins,
            lead,
            duration,
        })
    }
}

/// The codec of a stream that begins with these bytes, as soon as they tell; the error is the end of a sentence for
/// people.
pub(super) fn beginning(first: &[u8]) -> Result<Option<&'static str>, String> {
    let mut rest = first;
    loop {
        let head = match ebml::head(rest) {
            Read::NotYet => return Ok(None),
            Read::Garbage => return Err("damaged WebM".to_owned()),
            Read::Is(head) => head,
        };
        rest = &rest[head.length..];
        if head.id == id::SEGMENT {
            continue;
        }
        if head.id == id::CLUSTER {
            return Err("WebM that begins in its middle".to_owned());
        }
        let Some(size) = head.body.and_then(|body| usize::try_from(body).ok()) else {
            return Err("damaged WebM".to_owned());
        };
        let Some((body, later)) = rest.split_at_checked(size) else {
            return Ok(None);
        };
        match head.id {
            id::EBML if !child(body, id::DOC_TYPE).is_some_and(|is| DOC_TYPES.contains(&is)) => {
                return Err("EBML, but no WebM".to_owned());
            }
            id::TRACKS => return Track::read(body).map(|_| Some("opus")),
            _ => rest = later,
        }
    }
}

#[cfg(test)]
#[path = "webm_tests.rs"]
mod tests;
