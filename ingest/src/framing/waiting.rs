//! The bytes a framer has been given and has not yet given out. No IO.

use std::ops::Deref;

use bytes::{Buf, Bytes, BytesMut};

/// A buffer above this is given back when little is in it.
const SMALL: usize = 8 * 1024;
/// However much is pushed at once, the buffer grows by so much at a time.
pub(super) const PIECE: usize = 16 * 1024;

/// Bytes of a stream that wait for those that make them whole, and where in the stream they stand.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: BytesMut,
    at: u64,
    skipped: u64,
}

impl Waiting {
    pub(super) fn add(&mut self, arrived: &[u8]) {
        self.bytes.extend_from_slice(arrived);
    }

    /// Offset in the stream of the first byte that waits.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes thrown away so far.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.bytes.advance(count);
        self.at += count as u64;
        self.skipped += count as u64;
    }

    pub(super) fn take(&mut self, count: usize) -> Bytes {
        self.at += count as u64;
        self.bytes.split_to(count).freeze()
    }

    /// Counts bytes that were taken and are of no use to anybody.
    pub(super) fn was_useless(&mut self, taken: &Bytes) {
        self.skipped += taken.len() as u64;
    }

    /// Lets go of a buffer that one large unit left behind.
    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() > SMALL && self.bytes.len() * 4 < self.bytes.capacity() {
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
    }

    /// Memory it takes.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl Deref for Waiting {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
