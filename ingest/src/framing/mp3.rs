//! MP3: whole frames, found again after garbage by two headers that fit each other. No IO.

use std::sync::Arc;

use bytes::{Buf, BytesMut};

use super::{Link, Unit};

const HEADER: usize = 4;
const TAG_HEADER: usize = 10;

/// Finds MPEG layer III frames in a byte stream. Holds less than two frames of bytes that are not yet given out.
#[derive(Debug, Default)]
pub struct Framer {
    waiting: BytesMut,
    skipped: u64,
    /// The kind of frame the stream is made of, once two frames in a row agreed on it.
    locked: Option<Kind>,
    /// What is left to skip of an ID3 tag; its pictures may hold bytes that look like frames.
    tag_left: usize,
    link: Arc<Link>,
}

impl Framer {
    /// Takes what arrived, gives the frames that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        for piece in arrived.chunks(1 << 16) {
            self.waiting.extend_from_slice(piece);
            while let Some(unit) = self.next_frame() {
                units.push(unit);
            }
        }
        units
    }

    /// Bytes thrown away so far: garbage, tags, cut frames.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn next_frame(&mut self) -> Option<Unit> {
        loop {
            let of_tag = self.tag_left.min(self.waiting.len());
            self.tag_left -= of_tag;
            self.skip(of_tag);
            if self.waiting.starts_with(b"ID3") {
                let header = self.waiting.get(..TAG_HEADER)?;
                self.tag_left = tag_length(header);
                continue;
            }
            let header: [u8; HEADER] = self.waiting.get(..HEADER)?.try_into().ok()?;
            let Some(frame) =
                Frame::read(header).filter(|frame| self.locked.is_none_or(|kind| kind == frame.kind))
            else {
                self.locked = None;
                self.skip(1);
                continue;
            };
            if self.locked.is_none() {
                // One header is four bytes of chance; the next one in its place is none.
                let next: [u8; HEADER] = self
                    .waiting
                    .get(frame.length..frame.length + HEADER)?
                    .try_into()
                    .ok()?;
                if Frame::read(next).is_none_or(|next| next.kind != frame.kind) {
                    self.skip(1);
                    continue;
                }
            } else if self.waiting.len() < frame.length {
                return None;
            }
            self.locked = Some(frame.kind);
            let bytes = self.waiting.split_to(frame.length).freeze();
            return Some(Unit {
                bytes,
                link: Arc::clone(&self.link),
                joins: true,
            });
        }
    }

    fn skip(&mut self, count: usize) {
        self.waiting.advance(count);
        self.skipped += count as u64;
    }
}

/// The whole length of an ID3 tag, whose size has seven bits a byte.
fn tag_length(header: &[u8]) -> usize {
    let size = header[6..TAG_HEADER]
        .iter()
        .fold(0, |size, &byte| (size << 7) | usize::from(byte & 0x7f));
    TAG_HEADER + size
}

/// What does not change from frame to frame of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    version: u8,
    sample_rate: u32,
}

struct Frame {
    kind: Kind,
    length: usize,
}

const MPEG_1: u8 = 3;
const MPEG_2: u8 = 2;
const LAYER_III: u8 = 1;
const KBPS_1: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBPS_2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

impl Frame {
    /// `None` if it is no header, or of a frame whose length the header does not tell ("free format").
    fn read([sync, b1, b2, _]: [u8; HEADER]) -> Option<Self> {
        if sync != 0xff || b1 & 0xe0 != 0xe0 || (b1 >> 1) & 3 != LAYER_III {
            return None;
        }
        let version = (b1 >> 3) & 3;
        let (table, samples, divide) = match version {
            MPEG_1 => (KBPS_1, 144, 1),
            MPEG_2 => (KBPS_2, 72, 2),
            // The unofficial MPEG 2.5.
            0 => (KBPS_2, 72, 4),
            _ => return None,
        };
        let kbps = *table.get(usize::from(b2 >> 4).checked_sub(1)?)?;
        let sample_rate = *[44_100, 48_000, 32_000].get(usize::from((b2 >> 2) & 3))? / divide;
        let padding = u32::from((b2 >> 1) & 1);
        let length = usize::try_from(samples * kbps * 1000 / sample_rate + padding).ok()?;
        Some(Self {
            kind: Kind { version, sample_rate },
            length,
        })
    }
}

#[cfg(test)]
#[path = "mp3_tests.rs"]
mod tests;
