//! The newest bytes of a session whose disk does not take them. No IO.

use std::collections::VecDeque;

use bytes::Bytes;

/// Bytes `start..end()` of the stream. Takes no memory while the disk works.
#[derive(Debug, Default)]
pub(super) struct Ring {
    start: u64,
    bytes: VecDeque<u8>,
}

impl Ring {
    pub fn starting_at(start: u64) -> Self {
        Self {
            start,
            bytes: VecDeque::new(),
        }
    }

    pub fn start(&self) -> u64 {
        self.start
    }

    pub fn end(&self) -> u64 {
        self.start + self.len() as u64
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what came after its end; the oldest goes when there is more than `most`.
    pub fn push(&mut self, bytes: &[u8], most: usize) {
        let kept = &bytes[bytes.len().saturating_sub(most)..];
        self.pass((self.len() + bytes.len()).saturating_sub(most));
        // What `pass` could not drop because it never was in here.
        self.start += (bytes.len() - kept.len()) as u64;
        self.bytes.extend(kept);
    }

    /// Bytes from an offset it holds.
    pub fn copy(&self, from: u64, most: usize) -> Bytes {
        let Some(skip) = from
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok())
        else {
            return Bytes::new();
        };
        let to = self.len().min(skip.saturating_add(most));
        self.bytes.range(skip.min(to)..to).copied().collect()
    }

    /// Forgets what is below an offset.
    pub fn pass_to(&mut self, offset: u64) {
        self.pass(usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX));
    }

    /// Forgets the oldest, no more than it has.
    pub fn pass(&mut self, count: usize) {
        let count = count.min(self.len());
        self.bytes.drain(..count);
        self.start += count as u64;
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_at_their_offsets() {
        let mut ring = Ring::starting_at(100);
        ring.push(b"abcdef", 8);
        ring.push(b"ghij", 8);
        assert_eq!((ring.start(), ring.end()), (102, 110));
        assert_eq!(ring.copy(103, 3), "def");
        assert_eq!(ring.copy(109, 30), "j");
        assert_eq!(ring.copy(110, 30), "");
        assert_eq!(ring.copy(50, 30), "");
        ring.pass(7);
        assert_eq!((ring.start(), ring.copy(109, 1)), (109, Bytes::from_static(b"j")));
        ring.push(b"0123456789", 8);
        assert_eq!((ring.start(), ring.end()), (112, 120));
        assert_eq!(ring.copy(112, 8), "23456789");
        ring.pass(100);
        assert_eq!((ring.start(), ring.is_empty()), (120, true));
    }
}
