//! Making room on the tapes. IO: removing files, punching holes.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rustix::fs::FallocateFlags;

use super::meta::Kept;
use super::retain::{Action, Facts, LEAST_TAIL, Why, plan};
use super::session::Session;
use super::shelf::{GOING, Shelf};
use super::{index, locked};

/// Twice what is ever between two cuts of a stream that has any.
const FARTHEST_CUT: u64 = 8 << 20;

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
        // Now there may be room for it.
        self.mend();
    }

    fn delete(&self, id: &str, why: Why) -> io::Result<()> {
        let Some(session) = self.get(id).filter(|session| session.is_settled()) else {
            return Ok(());
        };
        let gone = self.dir.join(format!("{GOING}{id}"));
        fs::rename(&session.dir, &gone)?;
        locked(&self.sessions).remove(id);
        self.sessions_changed(&session.about().mount);
        tracing::info!(session = id, ?why, "a session goes from the tapes");
        let unacked = session.unacked(session.bytes());
        if matches!(why, Why::Full | Why::TooMany) && unacked > 0 {
            self.gave_up(&session, unacked, why);
        }
        fs::remove_dir_all(gone)
    }

    fn gave_up(&self, session: &Session, bytes: u64, why: Why) {
        self.given_up.fetch_add(bytes, Ordering::Relaxed);
        let (session, about) = (session.id(), session.about());
        let (mount, input) = (&about.mount, &about.input);
        if why == Why::TooMany {
            tracing::warn!(
                session,
                mount,
                input,
                bytes,
                "there are too many sessions: audio that no Recording has is removed; see why this source reconnects so often"
            );
        } else {
            tracing::warn!(
                session,
                mount,
                input,
                bytes,
                "the tapes are full: audio that no Recording has is removed; give the tape more room"
            );
        }
    }

    /// Gives up the head of a session that is being written, up to a cut.
    fn punch(&self, id: &str, bytes: u64) -> io::Result<()> {
        let Some(session) = self.get(id) else {
            return Ok(());
        };
        let disk_end = locked(&session.view).disk_end;
        let target = (session.kept_from() + bytes).min(disk_end.saturating_sub(LEAST_TAIL));
        let to = session.place_to_cut(target)?;
        let headers = index::start_before(&session.index_path(), to)?.map_or(0..0, |start| start.headers);
        let _alone = locked(&session.keeping);
        let (acks, tape, kept_from) = {
            let view = locked(&session.view);
            (view.acks.clone(), view.tape.clone(), view.kept_from)
        };
        let Some(tape) = tape.filter(|_| to > kept_from) else {
            return Ok(());
        };
        let unacked = session.unacked(to);
        session.keep(&Kept { from: to, acks })?;
        // Whoever reads the holes as they are made looks at this afterwards.
        locked(&session.view).kept_from = to;
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for (from, to) in [(0, headers.start.min(to)), (headers.end.min(to), to)] {
            if from < to {
                rustix::fs::fallocate(&tape, hole, from, to - from)?;
            }
        }
        if unacked > 0 {
            self.gave_up(&session, unacked, Why::Full);
        }
        Ok(())
    }
}

impl Session {
    /// The first cut behind an offset; in a stream that has none, as nobody understands it, the offset itself.
    fn place_to_cut(&self, target: u64) -> io::Result<u64> {
        let cut = index::cut_after(&self.index_path(), target)?;
        if let Some(cut) = cut.filter(|cut| cut - target <= FARTHEST_CUT) {
            return Ok(cut);
        }
        if !std::mem::replace(&mut locked(&self.view).has_no_cuts, true) {
            tracing::warn!(
                session = self.id(),
                mount = self.about().mount,
                input = self.about().input,
                target,
                "the tapes are full, and this source's stream has no place to cut: what is left of it begins anywhere"
            );
        }
        Ok(target)
    }

    /// Bytes on the tape below an offset that some Recording, or every one, does not have.
    fn unacked(&self, to: u64) -> u64 {
        let view = locked(&self.view);
        let acked = view.acks.values().min().copied().unwrap_or(0);
        to.saturating_sub(acked.max(view.kept_from))
    }

    pub(super) fn facts(&self) -> Facts {
        let view = locked(&self.view);
        let (meta, end) = (self.about(), view.end());
        Facts {
            id: self.id().to_owned(),
            input: meta.path.clone(),
            started: meta.started,
            // Until its End is on the disk it is being written.
            ended: view
                .ended
                .as_ref()
                .filter(|_| self.is_settled())
                .map(|ended| ended.at),
            aired: view.aired,
            acked_to: view.acks.values().min().copied(),
            kept_from: view.kept_from,
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
