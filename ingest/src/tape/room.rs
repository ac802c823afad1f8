//! Making room on the tapes. IO: removing files, punching holes.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rustix::fs::FallocateFlags;

use super::meta::Kept;
use super::retain::{Action, Facts, Why, plan};
use super::session::Session;
use super::shelf::{GOING, Shelf};
use super::{index, locked};

impl Shelf {
    /// Removes what may go, or must. A cap of 0 is none: nobody has told one yet. Blocks.
    pub fn retain(&self, now: Timestamp, cap: u64) {
        let cap = if cap == 0 { u64::MAX } else { cap };
        let facts: Vec<Facts> = self.sessions().iter().map(|session| session.facts()).collect();
        let used = facts.iter().map(|facts| facts.size).sum();
        for action in plan(&facts, now, cap.min(room(&self.dir, used))) {
            let outcome = match &action {
                Action::Delete { id, why } => self.delete(id, *why),
                Action::Punch { id, bytes } => self.punch(id, *bytes),
            };
            if let Err(failure) = outcome {
                tracing::error!(?action, %failure, "could not be removed from the tapes");
            }
        }
    }

    fn delete(&self, id: &str, why: Why) -> io::Result<()> {
        let Some(session) = self.get(id).filter(|session| session.is_settled()) else {
            return Ok(());
        };
        let gone = self.dir.join(format!("{GOING}{id}"));
        fs::rename(&session.dir, &gone)?;
        locked(&self.sessions).remove(id);
        self.sessions_changed();
        if why == Why::Full {
            let bytes = session.bytes() - session.kept_from();
            self.gave_up(&session, bytes);
        } else {
            tracing::info!(session = id, ?why, "a session goes from the tapes");
        }
        fs::remove_dir_all(gone)
    }

    fn gave_up(&self, session: &Session, bytes: u64) {
        self.given_up.fetch_add(bytes, Ordering::Relaxed);
        tracing::warn!(
            session = session.id(),
            mount = session.about().mount,
            bytes,
            "the tapes are full: audio that no Recording has is removed; give the tape more room"
        );
    }

    /// Gives up the head of a session that is being written, up to a cut.
    fn punch(&self, id: &str, bytes: u64) -> io::Result<()> {
        let Some(session) = self.get(id) else {
            return Ok(());
        };
        let kept_from = session.kept_from();
        let Some(to) = index::cut_after(&session.index_path(), kept_from + bytes)? else {
            return Ok(());
        };
        let Some(start) = index::start_before(&session.index_path(), to)? else {
            return Ok(());
        };
        let _alone = locked(&session.keeping);
        let (acks, tape) = {
            let view = locked(&session.view);
            (view.acks.clone(), view.tape.clone())
        };
        let unacked = acks.values().min().copied().unwrap_or(0).clamp(kept_from, to);
        let Some(tape) = tape else { return Ok(()) };
        session.keep(&Kept { from: to, acks })?;
        // Whoever reads the holes as they are made looks at this afterwards.
        locked(&session.view).kept_from = to;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for (from, to) in [(0, start.headers.start.min(to)), (start.headers.end.min(to), to)] {
            if from < to {
                rustix::fs::fallocate(&tape, hole, from, to - from)?;
            }
        }
        self.gave_up(&session, to - unacked);
        Ok(())
    }
}

impl Session {
    pub(super) fn facts(&self) -> Facts {
        let view = locked(&self.view);
        let (meta, end) = (self.about(), view.end());
        Facts {
            id: self.id().to_owned(),
            started: meta.started,
            // Until its End is on the disk it is being written.
            ended: view
                .ended
                .as_ref()
                .filter(|_| self.is_settled())
                .map(|ended| ended.at),
            aired: view.aired,
            acked: !view.acks.is_empty() && view.acks.values().all(|&acked| acked >= end),
            sent: end,
            size: view.disk_end.saturating_sub(view.kept_from) + view.index_end,
        }
    }
}

/// What the tapes may take at most, because the disk has no more: others may write to it too.
fn room(dir: &Path, used: u64) -> u64 {
    let Ok(disk) = rustix::fs::statvfs(dir) else {
        return u64::MAX;
    };
    let reserve = (disk.f_blocks * disk.f_frsize / 20).min(64 << 20);
    (used + disk.f_bavail * disk.f_frsize).saturating_sub(reserve)
}
