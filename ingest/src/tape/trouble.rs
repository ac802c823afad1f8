//! What happens while the disk does not take what sources send. IO: files.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::TryLockError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::disk::{Files, PIECE, write};
use super::locked;
use super::ring::Ring;
use super::session::{Session, View};
use crate::api::Line;

/// All sessions together may keep this much in memory while the disk does not work: with 50 sources at 128 kb/s
/// twenty seconds, with one four minutes.
pub(super) const MEMORY: usize = 16 << 20;
/// More than the largest page of Ogg, so that there is always a place to join.
const LEAST_MEMORY: usize = 128 << 10;
const MOST_MEMORY: usize = 4 << 20;

/// What went wrong on all disks of a shelf.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub write_errors: AtomicU64,
    pub lost_bytes: AtomicU64,
    /// Sessions with bytes that are nowhere but in memory.
    pub in_memory: AtomicUsize,
}

impl Troubles {
    pub fn memory_for_one(&self) -> usize {
        let share = MEMORY / self.in_memory.load(Ordering::Relaxed).max(1);
        share.clamp(LEAST_MEMORY, MOST_MEMORY)
    }
}

impl Session {
    /// It needs its share of the memory.
    pub(super) fn count_in_memory(&self, view: &mut View) {
        if !std::mem::replace(&mut view.in_memory, true) {
            self.troubles.in_memory.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Everything is on the disk.
    pub(super) fn is_well(&self, view: &mut View) {
        if std::mem::take(&mut view.in_memory) {
            self.troubles.in_memory.fetch_sub(1, Ordering::Relaxed);
        }
        if std::mem::take(&mut view.failing) {
            tracing::info!(session = self.id(), "the tape's disk takes this source again");
        }
    }

    pub(super) fn trouble(&self, failure: &io::Error) {
        let mut view = locked(&self.view);
        self.count_in_memory(&mut view);
        if !std::mem::replace(&mut view.failing, true) {
            tracing::error!(
                session = self.id(), mount = self.about().mount, input = self.about().input, %failure,
                "the tape's disk does not take this source; its newest bytes are kept in memory, free or mend the disk"
            );
        }
    }

    pub(super) fn count_error(&self, failure: &io::Error) {
        tracing::debug!(session = self.id(), %failure, "a write to the tape's disk failed");
        self.troubles.write_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Admits what fell out of memory. The headers of the link on the air are still known, and go to their place:
    /// without them nothing behind could be decoded.
    pub(super) fn confess_the_lost(&self, files: &Files) -> io::Result<()> {
        let (at, to, newest) = {
            let view = locked(&self.view);
            (view.disk_end, view.ring.start(), view.newest.clone())
        };
        if at == to {
            return Ok(());
        }
        let link = newest.map(|newest| (newest.link.at, newest.link.headers.concat(), newest.media_from));
        if let Some((from, headers, end)) = link
            && (at <= from && end <= to)
            && end - from == headers.len() as u64
        {
            self.lose(files, at, from)?;
            write(&files.tape, &headers, from).1?;
            locked(&self.view).disk_end = end;
        }
        let at = locked(&self.view).disk_end;
        self.lose(files, at, to)
    }

    /// A range gets its Lost line, durably, before anything is written behind it: a hole nobody knows of would be
    /// read as zeros.
    fn lose(&self, files: &Files, at: u64, to: u64) -> io::Result<()> {
        if at == to {
            return Ok(());
        }
        self.write_line_now(files, &Line::Lost { at, to })?;
        files.index.sync_data()?;
        let mut view = locked(&self.view);
        view.lost.push(at..to);
        view.disk_end = to;
        self.troubles.lost_bytes.fetch_add(to - at, Ordering::Relaxed);
        tracing::error!(
            session = self.id(),
            mount = self.about().mount,
            input = self.about().input,
            from = at,
            to,
            "bytes of this source are lost: the disk did not take them and memory did not suffice"
        );
        Ok(())
    }

    /// After a failed sync nobody knows what of it is on the disk, and the next sync would say it is fine: what was
    /// written since the last good one is written again.
    pub(super) fn take_back(&self, from: u64) -> io::Result<()> {
        // Only who holds this writes.
        let disk = locked(&self.disk);
        let (to, failing) = {
            let view = locked(&self.view);
            (view.disk_end, view.failing)
        };
        let Some(files) = disk.files.as_ref().filter(|_| !failing) else {
            return Ok(());
        };
        let mut ring = Ring::starting_at(from);
        let mut piece = vec![0; PIECE];
        while ring.end() < to {
            let length = usize::try_from(to - ring.end()).unwrap_or(PIECE).min(PIECE);
            files.tape.read_exact_at(&mut piece[..length], ring.end())?;
            ring.push(&piece[..length], MOST_MEMORY);
        }
        self.trouble(&io::Error::other("the disk did not keep what it took"));
        let mut view = locked(&self.view);
        view.disk_end = from;
        // What came meanwhile stays behind it; if that has begun to fall out of memory, there is no room for older.
        if view.ring.start() == to {
            ring.push(&view.ring.copy(to, usize::MAX), MOST_MEMORY);
            view.ring = ring;
        }
        Ok(())
    }

    /// Gives up the memory of a source that is gone. True if then nothing of it is left anywhere.
    pub(super) fn give_up_memory(&self) -> bool {
        let disk = match self.disk.try_lock() {
            Ok(disk) => disk,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // It is being written just now, or tried.
            Err(TryLockError::WouldBlock) => return false,
        };
        let mut view = locked(&self.view);
        let length = view.ring.len();
        view.ring.pass(length);
        if disk.files.is_some() {
            return false;
        }
        let lost = view.end() - view.disk_end;
        self.is_well(&mut view);
        self.troubles.lost_bytes.fetch_add(lost, Ordering::Relaxed);
        tracing::error!(
            session = self.id(),
            mount = self.about().mount,
            input = self.about().input,
            lost,
            "a whole session is lost: the disk never took it and memory did not suffice"
        );
        true
    }
}
