//! What the tapes are like, in figures. No IO.

use std::sync::atomic::Ordering;

use super::shelf::Shelf;

/// For metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes all tapes and indexes take on the disk.
    pub tape_bytes: u64,
    /// Writes and syncs that failed.
    pub write_errors: u64,
    /// Bytes that neither disk nor memory took.
    pub lost_bytes: u64,
    /// Bytes that no Recording had, and that the cap removed.
    pub given_up_bytes: u64,
    /// Sessions since the process started.
    pub sessions_begun: u64,
    /// Sessions whose newest bytes are only in memory: the disk is full or broken.
    pub in_memory: usize,
}

impl Shelf {
    /// For metrics.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            tape_bytes: self.used(),
            write_errors: self.troubles.write_errors.load(Ordering::Relaxed),
            lost_bytes: self.troubles.lost_bytes.load(Ordering::Relaxed),
            given_up_bytes: self.given_up.load(Ordering::Relaxed),
            sessions_begun: self.begun.load(Ordering::Relaxed),
            in_memory: self.troubles.in_memory.load(Ordering::Relaxed),
        }
    }
}
