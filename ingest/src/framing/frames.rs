//! MP3, and AAC in ADTS: whole frames, found again after garbage by two headers that fit each other. No IO.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::waiting::{PIECE, Waiting};
use super::{Link, SNIFFED_WITHIN, Unit};
use crate::api::Container;

/// Enough of a frame to know its length, in either format.
const HEADER: usize = 7;
const TAG: &[u8] = b"ID3";
const TAG_HEADER: usize = 10;

/// What frames look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MPEG audio layer III.
    Mp3,
    /// AAC with ADTS headers.
    Adts,
}

impl Format {
    fn codec(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
        }
    }
}

/// Finds frames in a byte stream. Holds less than two frames of bytes that are not yet given out.
#[derive(Debug)]
pub struct Framer {
    format: Format,
    waiting: Waiting,
    /// The kind of frame the stream is made of, once two frames in a row agreed on it.
    locked: Option<Kind>,
    /// What is left to skip of an ID3 tag; its pictures may hold bytes that look like frames.
    tag_left: usize,
    link: Option<Arc<Link>>,
}

impl Framer {
    /// A framer for this format.
    #[must_use]
    pub fn of(format: Format) -> Self {
        Self {
            format,
            waiting: Waiting::default(),
            locked: None,
            tag_left: 0,
            link: None,
        }
    }

    /// Takes what arrived, gives the frames that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        for piece in arrived.chunks(PIECE) {
            self.waiting.add(piece);
            while let Some(unit) = self.next_frame() {
                units.push(unit);
            }
        }
        self.waiting.shrink();
        units
    }

    /// Bytes thrown away so far: garbage, tags, cut frames.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.waiting.skipped()
    }

    /// Bytes of memory that wait for those that make them whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.waiting.capacity()
    }

    fn next_frame(&mut self) -> Option<Unit> {
        loop {
            let of_tag = self.tag_left.min(self.waiting.len());
            self.tag_left -= of_tag;
            self.waiting.skip(of_tag);
            if self.waiting.starts_with(TAG)
                && let Some(length) = tag_length(self.waiting.first_chunk()?)
            {
                self.tag_left = length;
                continue;
            }
            let header = self.waiting.first_chunk()?;
            let Some(frame) = Frame::read(self.format, *header)
                .filter(|frame| self.locked.is_none_or(|kind| kind == frame.kind))
            else {
                self.locked = None;
                self.waiting.skip(1);
                continue;
            };
            if self.locked.is_none() {
                // One header is a few bytes of chance; the next one in its place is none.
                if !frame.is_followed_by(self.format, &self.waiting)? {
                    self.waiting.skip(1);
                    continue;
                }
            } else if self.waiting.len() < frame.length {
                return None;
            }
            self.locked = Some(frame.kind);
            return Some(self.give(&frame));
        }
    }

    fn give(&mut self, frame: &Frame) -> Unit {
        let at = self.waiting.at();
        let codec = self.format.codec();
        let link = self.link.get_or_insert_with(|| {
            Arc::new(Link {
                headers: Vec::new(),
                at,
                codec,
                title: None,
            })
        });
        Unit {
            bytes: self.waiting.take(frame.length),
            at,
            link: Arc::clone(link),
            joins: true,
            lead: Bytes::new(),
            duration: frame.duration(),
        }
    }
}

/// What a stream begins with, after a tag, garbage or the rest of a frame; `None` if that cannot be told from these bytes.
pub(super) fn beginning(first: &[u8]) -> Option<(Container, &'static str)> {
    let mut at = 0;
    loop {
        let rest = first.get(at..)?;
        if rest.starts_with(TAG)
            && let Some(length) = tag_length(rest.first_chunk()?)
        {
            at += length;
            if at >= SNIFFED_WITHIN {
                // Who sends AAC does not tag it with pictures.
                return Some((Container::Mp3, Format::Mp3.codec()));
            }
            continue;
        }
        let header = *rest.first_chunk()?;
        for (format, container) in [(Format::Mp3, Container::Mp3), (Format::Adts, Container::Adts)] {
            if let Some(frame) = Frame::read(format, header)
                && frame.is_followed_by(format, rest)?
            {
                return Some((container, format.codec()));
            }
        }
        at += 1;
    }
}

/// The whole length of an ID3 tag, whose size has seven bits a byte; `None` if these three letters were chance, which
/// must not cost hours of audio.
fn tag_length(header: &[u8; TAG_HEADER]) -> Option<usize> {
    let [b'I', b'D', b'3', 2..=4, 0..=0xfe, flags, size @ ..] = header else {
        return None;
    };
    let valid = flags << 4 == 0 && size.iter().all(|&byte| byte < 0x80);
    let size = size.iter().fold(0, |size, &byte| (size << 7) | usize::from(byte));
    valid.then_some(TAG_HEADER + size)
}

/// What does not change from frame to frame of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    version: u8,
    sample_rate: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    kind: Kind,
    length: usize,
    samples: u32,
}

const MPEG_1: u8 = 3;
const MPEG_2: u8 = 2;
const LAYER_III: u8 = 1;
const KBPS_1: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBPS_2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const ADTS_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350,
];

impl Frame {
    fn read(format: Format, header: [u8; HEADER]) -> Option<Self> {
        match format {
            Format::Mp3 => Self::mp3(header),
            Format::Adts => Self::adts(header),
        }
    }

    /// `None` if it is no header, or of a frame whose length the header does not tell ("free format").
    fn mp3([sync, b1, b2, ..]: [u8; HEADER]) -> Option<Self> {
        if sync != 0xff || b1 & 0xe0 != 0xe0 || (b1 >> 1) & 3 != LAYER_III {
            return None;
        }
        let version = (b1 >> 3) & 3;
        let (table, samples, divide) = match version {
            MPEG_1 => (KBPS_1, 1152, 1),
            MPEG_2 => (KBPS_2, 576, 2),
            // The unofficial MPEG 2.5.
            0 => (KBPS_2, 576, 4),
            _ => return None,
        };
        let kbps = *table.get(usize::from(b2 >> 4).checked_sub(1)?)?;
        let sample_rate = *[44_100, 48_000, 32_000].get(usize::from((b2 >> 2) & 3))? / divide;
        let padding = u32::from((b2 >> 1) & 1);
        let length = usize::try_from(samples / 8 * kbps * 1000 / sample_rate + padding).ok()?;
        Some(Self {
            kind: Kind { version, sample_rate },
            length,
            samples,
        })
    }

    /// `None` if it is no header, or tells a length that does not even hold the header.
    fn adts([sync, b1, b2, b3, b4, b5, b6]: [u8; HEADER]) -> Option<Self> {
        // Twelve bits of sync, then the MPEG version, two zero bits of layer and "no checksum".
        if sync != 0xff || b1 & 0xf6 != 0xf0 {
            return None;
        }
        let sample_rate = *ADTS_RATES.get(usize::from((b2 >> 2) & 0xf))?;
        let length = (usize::from(b3 & 3) << 11) | (usize::from(b4) << 3) | usize::from(b5 >> 5);
        if length <= HEADER {
            return None;
        }
        let profile = b2 >> 6;
        Some(Self {
            kind: Kind {
                version: (b1 & 0xf) << 2 | profile,
                sample_rate,
            },
            length,
            samples: 1024 * (u32::from(b6 & 3) + 1),
        })
    }

    /// Whether another frame of the same kind stands behind this one; `None` if that has not come yet.
    fn is_followed_by(&self, format: Format, bytes: &[u8]) -> Option<bool> {
        let next = bytes.get(self.length..)?.first_chunk()?;
        Some(Self::read(format, *next).is_some_and(|next| next.kind == self.kind))
    }

    fn duration(&self) -> Duration {
        let nanos = u64::from(self.samples) * 1_000_000_000 / u64::from(self.kind.sample_rate);
        Duration::from_nanos(nanos)
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
