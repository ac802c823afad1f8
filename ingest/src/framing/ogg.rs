//! Ogg: whole pages with a right checksum, the headers of each link of a chain. No IO.

mod chain;
mod codec;
pub mod crc;
pub mod page;

use bytes::Bytes;

use super::Unit;
use super::waiting::{PIECE, Waiting};
use chain::{Chain, Taken};
use codec::{Codec, OTHER};
use page::{CAPTURE, Length, Page};

/// Checksums that may be reckoned, in bytes, for each byte that comes. An undamaged stream needs one.
const CHECKED_PER_BYTE: u64 = 4;
/// What a stream has saved up at most. A damaged page costs its own length, so this is a few of the longest.
const MOST_SAVED: u64 = 256 * 1024;

/// Finds pages in a byte stream. Holds at most one page of bytes that are not yet given out, and one set of headers.
#[derive(Debug, Default)]
pub struct Framer {
    waiting: Waiting,
    /// With fewer bytes than this there is nothing to find.
    needs: usize,
    work: Work,
    chain: Chain,
}

impl Framer {
    /// Takes what arrived, gives the media pages that are now whole.
    pub fn push(&mut self, arrived: &[u8]) -> Vec<Unit> {
        let mut units = Vec::new();
        for piece in arrived.chunks(PIECE) {
            self.waiting.add(piece);
            while let Some((page, at)) = self.next_page() {
                match self.chain.take(page, at) {
                    Taken::Media(unit) => units.push(unit),
                    Taken::Header => {}
                    Taken::Stray(page) => self.waiting.was_useless(&page),
                }
            }
        }
        self.waiting.shrink();
        units
    }

    /// Bytes thrown away so far: garbage, damaged pages, pages whose headers never came.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.waiting.skipped()
    }

    /// Bytes of memory that wait for those that make them whole.
    #[must_use]
    pub fn held(&self) -> usize {
        self.waiting.capacity()
    }

    fn next_page(&mut self) -> Option<(Bytes, u64)> {
        loop {
            if self.waiting.len() < self.needs {
                return None;
            }
            self.skip_to_capture();
            match page::length(&self.waiting) {
                Length::NotYet(needs) => {
                    self.needs = if self.waiting.len() < CAPTURE.len() {
                        1 + self.waiting.len()
                    } else {
                        needs
                    };
                    return None;
                }
                Length::Is(length) if self.waiting.len() < length => {
                    self.needs = length;
                    return None;
                }
                Length::Is(length)
                    if self.work.allows(self.waiting.at(), length)
                        && crc::is_right(&self.waiting[..length]) =>
                {
                    self.needs = 0;
                    let at = self.waiting.at();
                    return Some((self.waiting.take(length), at));
                }
                Length::NoPage | Length::Is(_) => self.waiting.skip(1),
            }
            self.needs = 0;
        }
    }

    fn skip_to_capture(&mut self) {
        let found = (0..self.waiting.len()).find(|&at| {
            let rest = &self.waiting[at..];
            rest.starts_with(CAPTURE) || CAPTURE.starts_with(rest)
        });
        self.waiting.skip(found.unwrap_or(self.waiting.len()));
    }
}

/// Bounds the work that a stream of false beginnings, each claiming a long page, can make.
#[derive(Debug)]
struct Work {
    saved: u64,
    /// Offset of the end of what has been paid for.
    paid: u64,
    #[cfg(test)]
    done: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            saved: MOST_SAVED,
            paid: 0,
            #[cfg(test)]
            done: 0,
        }
    }
}

impl Work {
    /// Counts offsets and not what has arrived, so that the same stream is cut the same way however it comes.
    fn allows(&mut self, at: u64, length: usize) -> bool {
        let length = length as u64;
        let new = (at + length).saturating_sub(self.paid);
        self.paid += new;
        self.saved = (self.saved + new * CHECKED_PER_BYTE).min(MOST_SAVED);
        let Some(left) = self.saved.checked_sub(length) else {
            return false;
        };
        self.saved = left;
        #[cfg(test)]
        {
            self.done += length;
        }
        true
    }
}

/// The codec of a stream that begins with these bytes, as soon as they tell; the error is the end of a sentence for
/// people.
pub(super) fn beginning(first: &[u8]) -> Result<Option<&'static str>, String> {
    let mut rest = first;
    loop {
        let page = match page::length(rest) {
            Length::Is(length) => match rest.get(..length) {
                Some(page) if crc::is_right(page) => page,
                Some(_) => return Err("damaged Ogg".to_owned()),
                None => return Ok(None),
            },
            Length::NotYet(_) => return Ok(None),
            Length::NoPage => return Err("damaged Ogg".to_owned()),
        };
        let Some(known) = Page::read(page) else {
            return Err("damaged Ogg".to_owned());
        };
        match Codec::of(known.body()).name {
            _ if !known.is_first() && rest.len() == first.len() => {
                return Err("Ogg that begins in its middle".to_owned());
            }
            _ if !known.is_first() => return Ok(Some(OTHER)),
            OTHER => rest = &rest[page.len()..],
            name => return Ok(Some(name)),
        }
    }
}

#[cfg(test)]
#[path = "ogg_tests.rs"]
mod tests;
