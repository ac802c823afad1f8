//! Ogg: whole pages with a right checksum, the headers of each link of a chain. No IO.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::{Link, Unit};

/// The fixed part of a page's header; the lacing table follows.
const FIXED: usize = 27;
const CAPTURE: &[u8] = b"OggS";
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;
const KNOWN_FLAGS: u8 = 7;

/// Headers above this (cover art in the comments) are not kept: such a link plays for those who were there at
/// its start, and cannot be joined.
const MOST_HEADERS: usize = 1 << 20;
/// Streams multiplexed in one link; radio has one.
const MOST_STREAMS: usize = 8;

/// Finds pages in a byte stream. Holds at most one page of bytes that are not yet given out, and one set of headers.
#[derive(Debug, Default)]
pub struct Framer {
    waiting: BytesMut,
    skipped: u64,
    chain: Chain,
}

impl Framer {
    /// Takes what arrived, gives the media pages that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        // In pieces, so that one huge push does not become one huge buffer.
        for piece in arrived.chunks(1 << 16) {
            self.waiting.extend_from_slice(piece);
            while let Some(page) = self.next_page() {
                let length = page.len() as u64;
                match self.chain.take(page) {
                    Taken::Media(unit) => units.push(unit),
                    Taken::Header => {}
                    Taken::Stray => self.skipped += length,
                }
            }
        }
        units
    }

    /// Bytes thrown away so far: garbage, damaged pages, pages whose headers never came.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn next_page(&mut self) -> Option<Bytes> {
        loop {
            self.skip_to_capture();
            match page_length(&self.waiting) {
                Length::NotYet => return None,
                Length::Is(length) if self.waiting.len() < length => return None,
                Length::Is(length) if checksum_is_right(&self.waiting[..length]) => {
                    return Some(self.waiting.split_to(length).freeze());
                }
                Length::NoPage | Length::Is(_) => self.skip(1),
            }
        }
    }

    fn skip_to_capture(&mut self) {
        let found = (0..self.waiting.len()).find(|&at| {
            let rest = &self.waiting[at..];
            rest.starts_with(CAPTURE) || CAPTURE.starts_with(rest)
        });
        self.skip(found.unwrap_or(self.waiting.len()));
    }

    fn skip(&mut self, count: usize) {
        self.waiting.advance(count);
        self.skipped += count as u64;
    }
}

enum Length {
    NotYet,
    NoPage,
    Is(usize),
}

fn page_length(bytes: &[u8]) -> Length {
    if bytes.len() < FIXED {
        return Length::NotYet;
    }
    if bytes[4] != 0 || bytes[5] & !KNOWN_FLAGS != 0 {
        return Length::NoPage;
    }
    let lacing = usize::from(bytes[26]);
    match bytes.get(FIXED..FIXED + lacing) {
        None => Length::NotYet,
        Some(table) => Length::Is(FIXED + lacing + table.iter().map(|&n| usize::from(n)).sum::<usize>()),
    }
}

/// What is known about the link of the chain that is being read.
#[derive(Debug, Default)]
struct Chain {
    /// Serial number and outstanding header packets of each stream.
    streams: Vec<(u32, u32)>,
    headers: Vec<Bytes>,
    header_bytes: usize,
    /// Set with the first media page, when the headers are complete.
    link: Option<Arc<Link>>,
    /// Only pages that begin a stream were seen in this link.
    beginning: bool,
}

enum Taken {
    Header,
    Media(Unit),
    Stray,
}

impl Chain {
    fn take(&mut self, page: Bytes) -> Taken {
        let serial = page.slice(14..18).get_u32_le();
        let first = page[5] & FIRST != 0;
        if first {
            let joins_a_multiplex = self.beginning
                && self.streams.len() < MOST_STREAMS
                && self.streams.iter().all(|&(known, _)| known != serial);
            if !joins_a_multiplex {
                *self = Self {
                    beginning: true,
                    ..Self::default()
                };
            }
            self.streams.push((serial, header_packets(body(&page))));
        } else {
            self.beginning = false;
        }
        let Some((_, outstanding)) = self.streams.iter_mut().find(|(known, _)| *known == serial) else {
            return Taken::Stray;
        };
        if *outstanding > 0 {
            *outstanding = outstanding.saturating_sub(packets_that_end_in(&page));
            self.keep_header(page);
            return Taken::Header;
        }
        self.media(page)
    }

    fn keep_header(&mut self, page: Bytes) {
        self.header_bytes += page.len();
        if self.header_bytes > MOST_HEADERS {
            self.headers.clear();
        } else {
            self.headers.push(page);
        }
    }

    fn media(&mut self, page: Bytes) -> Taken {
        if self.streams.iter().any(|&(_, outstanding)| outstanding > 0) || self.header_bytes > MOST_HEADERS {
            return Taken::Stray;
        }
        if self.link.is_none() && page[5] & LAST != 0 && body(&page).is_empty() {
            // Liquidsoap opens with a link without audio; listeners need not begin twice.
            return Taken::Stray;
        }
        let headers = &mut self.headers;
        let link = self.link.get_or_insert_with(|| {
            Arc::new(Link {
                headers: std::mem::take(headers),
            })
        });
        let joins = page[5] & CONTINUED == 0;
        Taken::Media(Unit {
            bytes: page,
            link: Arc::clone(link),
            joins,
        })
    }
}

fn body(page: &[u8]) -> &[u8] {
    &page[FIXED + usize::from(page[26])..]
}

fn packets_that_end_in(page: &[u8]) -> u32 {
    let table = &page[FIXED..FIXED + usize::from(page[26])];
    table.iter().map(|&length| u32::from(length < 255)).sum()
}

/// How many header packets a stream has, by its first packet.
fn header_packets(first: &[u8]) -> u32 {
    match first {
        [0x7f, b'F', b'L', b'A', b'C', _, _, high, low, ..] => {
            1 + u32::from(u16::from_be_bytes([*high, *low])).max(1)
        }
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] | [0x80, b't', b'h', b'e', b'o', b'r', b'a', ..] => 3,
        // Opus and Speex; and for an unknown codec, identification and comments are the custom.
        _ => 2,
    }
}

/// Ogg's CRC-32: polynomial 0x04c11db7, not reflected, starting at zero, the checksum's own field read as zero.
fn checksum_is_right(page: &[u8]) -> bool {
    page.len() >= FIXED && checksum(page) == u32::from_le_bytes([page[22], page[23], page[24], page[25]])
}

fn checksum(page: &[u8]) -> u32 {
    page.iter().enumerate().fold(0, |crc, (at, &byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { byte };
        (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    })
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0_u32;
    while index < 256 {
        let mut value = index << 24;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1) ^ if value & 0x8000_0000 == 0 { 0 } else { 0x04c1_1db7 };
            bit += 1;
        }
        table[index as usize] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
#[path = "ogg_tests.rs"]
mod tests;
