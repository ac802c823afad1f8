//! Opus out of `WebM` into Ogg pages, for all who take Opus only in Ogg. No IO.
//!
//! The packets stay as they are. Time is what the packets play, one behind the other: where the source left some out,
//! listeners hear no pause.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes};

use crate::framing::ogg::page::{self, FIRST, MOST_LACING, Place};
use crate::framing::webm::{Track, packets};
use crate::framing::{Link, Unit, opus};

const VENDOR: &[u8] = b"radio-operator";
/// A page is closed when it plays so long: 100 ms.
const PAGE_SAMPLES: u64 = 4800;

/// Turns units of `WebM` into units of Ogg.
#[derive(Debug)]
pub struct Repager {
    /// The link that came in, and what goes out for it.
    stream: Option<(Arc<Link>, Stream)>,
    /// Every link is a stream of its own in the chain, and has a number of its own.
    serial: u32,
}

impl Default for Repager {
    fn default() -> Self {
        Self {
            stream: None,
            serial: rand::random(),
        }
    }
}

impl Repager {
    /// Takes units as a framer gives them; the first one may be any that [joins](Unit::joins). Nothing is held back: the
    /// last page is closed with the last unit, so who pushes what came in one piece gets pages of no more delay.
    ///
    /// The units that come out stand at the offsets of those that went in, and each can be joined. They need no lead.
    pub fn push(&mut self, units: &[Unit]) -> Vec<Unit> {
        let mut pages = Vec::new();
        for unit in units {
            let known = self
                .stream
                .as_ref()
                .is_some_and(|(link, _)| Arc::ptr_eq(link, &unit.link));
            if !known {
                self.finish(&mut pages);
                self.serial = self.serial.wrapping_add(1);
                let serial = self.serial;
                let stream =
                    Track::of(&unit.link.headers).map(|track| Stream::begin(track, serial, &unit.link));
                self.stream = stream.map(|stream| (Arc::clone(&unit.link), stream));
            }
            let Some((_, stream)) = &mut self.stream else {
                continue;
            };
            for packet in packets(&unit.bytes, &stream.track).unwrap_or_default() {
                stream.add(packet, unit.at, &mut pages);
            }
        }
        self.finish(&mut pages);
        pages
    }

    fn finish(&mut self, pages: &mut Vec<Unit>) {
        if let Some((_, stream)) = &mut self.stream {
            stream.finish(pages);
        }
    }
}

#[derive(Debug)]
struct Stream {
    track: Track,
    link: Arc<Link>,
    page: Page,
    /// Samples in all pages so far.
    granule: u64,
    at: u64,
}

impl Stream {
    fn begin(track: Track, serial: u32, link: &Link) -> Self {
        let mut page = Page::of(serial);
        page.add(&track.head);
        let head = page.close(FIRST, 0);
        page.add(&tags(link.title.as_deref()));
        let tags = page.close(0, 0);
        let link = Arc::new(Link {
            headers: vec![head, tags],
            at: link.at,
            codec: link.codec,
            title: link.title.clone(),
        });
        Self {
            track,
            link,
            page,
            granule: 0,
            at: 0,
        }
    }

    fn add(&mut self, packet: &[u8], at: u64, pages: &mut Vec<Unit>) {
        // A packet without a length has no sound, and a decoder would stumble over it.
        let Some(samples) = opus::samples(packet) else {
            return;
        };
        if !self.page.fits(packet) {
            self.finish(pages);
        }
        if self.page.samples == 0 {
            self.at = at;
        }
        // Still no room: longer than any packet of Opus.
        if !self.page.fits(packet) {
            return;
        }
        self.page.add(packet);
        self.page.samples += u64::from(samples);
        if self.page.samples >= PAGE_SAMPLES {
            self.finish(pages);
        }
    }

    fn finish(&mut self, pages: &mut Vec<Unit>) {
        let samples = std::mem::take(&mut self.page.samples);
        if samples == 0 {
            return;
        }
        self.granule += samples;
        pages.push(Unit {
            bytes: self.page.close(0, self.granule),
            at: self.at,
            link: Arc::clone(&self.link),
            joins: true,
            lead: Bytes::new(),
            duration: Duration::from_nanos(samples * 1_000_000_000 / opus::RATE),
        });
    }
}

/// A page that is being filled with whole packets.
#[derive(Debug)]
struct Page {
    serial: u32,
    sequence: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
    samples: u64,
}

impl Page {
    fn of(serial: u32) -> Self {
        Self {
            serial,
            sequence: 0,
            lacing: Vec::new(),
            body: Vec::new(),
            samples: 0,
        }
    }

    fn fits(&self, packet: &[u8]) -> bool {
        self.lacing.len() + packet.len() / 255 < MOST_LACING
    }

    fn add(&mut self, packet: &[u8]) {
        page::lace(&mut self.lacing, packet);
        self.body.extend_from_slice(packet);
    }

    fn close(&mut self, flags: u8, granule: u64) -> Bytes {
        let place = Place {
            flags,
            granule: Some(granule),
            serial: self.serial,
            sequence: self.sequence,
        };
        let page = page::write(place, &self.lacing, &self.body);
        self.sequence = self.sequence.wrapping_add(1);
        self.lacing.clear();
        self.body.clear();
        page.into()
    }
}

fn tags(title: Option<&str>) -> Vec<u8> {
    let title = title.map(|title| format!("TITLE={title}"));
    let mut tags = b"OpusTags".to_vec();
    put_text(&mut tags, VENDOR);
    tags.put_u32_le(u32::from(title.is_some()));
    if let Some(comment) = title {
        put_text(&mut tags, comment.as_bytes());
    }
    tags
}

fn put_text(tags: &mut Vec<u8>, text: &[u8]) {
    tags.put_u32_le(u32::try_from(text.len()).unwrap_or(0));
    tags.put_slice(text);
}

#[cfg(test)]
#[path = "repage_tests.rs"]
mod tests;
