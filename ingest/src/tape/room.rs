//! Making room on the tapes. IO: removing files, punching holes.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use rustix::fs::FallocateFlags;

use super::fill::fill;
use super::meta::Kept;
use super::needs::Needs;
use super::retain::{Action, Facts, LEAST_TAIL, Why, plan, plan_at_the_cap};
use super::session::Session;
use super::shelf::{GOING, Shelf};
use super::{index, locked};
use crate::config::Named;

/// Twice what is ever between two cuts of a stream that has any.
const FARTHEST_CUT: u64 = 8 << 20;

impl Shelf {
    /// Removes what may go, or must. A cap of 0 is none: nobody has told one yet. Blocks.
    pub fn retain(&self, now: Timestamp, cap: u64, recordings: &[Named]) {
        self.remove(now, cap, recordings, plan);
    }

    /// Removes only what must go: a Recording that needs the rest may have been named since. Blocks.
    pub fn keep_to_the_cap(&self, now: Timestamp, cap: u64, recordings: &[Named]) {
        self.remove(now, cap, recordings, plan_at_the_cap);
    }

    fn remove(
        &self,
        now: Timestamp,
        cap: u64,
        recordings: &[Named],
        plan: fn(Vec<Facts>, Timestamp, u64) -> Vec<Action>,
    ) {
        let cap = if cap == 0 { u64::MAX } else { cap };
        let needs = Needs { recordings, now };
        let facts: Vec<Facts> = self
            .sessions()
            .iter()
            .map(|session| session.facts(needs))
            .collect();
        let used = facts.iter().map(|facts| facts.size).sum();
        let cap = cap.min(room(&self.dir, used));
        for action in plan(facts, now, cap) {
            let outcome = match &action {
                Action::Delete { id, why } => self.delete(id, *why, needs),
                Action::Trim { id, to } => self.trim(id, *to, needs),
                Action::Punch { id, bytes } => self.punch(id, *bytes, needs),
            };
            if let Err(failure) = outcome {
                tracing::error!(?action, %failure, "could not be removed from the tapes");
            }
        }
        // Now there may be room for it.
        self.mend();
        self.weigh(cap);
    }

    /// Bytes all tapes and indexes take on the disk.
    pub(super) fn used(&self) -> u64 {
        self.sessions().iter().map(|session| session.size()).sum()
    }

    /// Tells who follows the list when the tapes have become more or less full.
    fn weigh(&self, cap: u64) {
        let used = self.used();
        let told = self.changed.send_if_modified(|version| {
            let now = fill(version.fill, used, cap);
            std::mem::replace(&mut version.fill, now) != now
        });
        if told {
            tracing::info!(fill = ?self.changed.borrow().fill, used, cap, "the tapes are differently full");
        }
    }

    fn delete(&self, id: &str, why: Why, needs: Needs) -> io::Result<()> {
        let Some(session) = self.get(id).filter(|session| session.is_settled()) else {
            return Ok(());
        };
        let gone = self.dir.join(format!("{GOING}{id}"));
        fs::rename(&session.dir, &gone)?;
        locked(&self.sessions).remove(id);
        self.sessions_changed(&session.about().mount);
        tracing::info!(session = id, ?why, "a session goes from the tapes");
        let unacked = session.unacked(session.bytes(), needs);
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

    /// Removes the head of a session that is being written, up to the last cut before an offset.
    fn trim(&self, id: &str, to: u64, needs: Needs) -> io::Result<()> {
        let Some(session) = self.get(id) else {
            return Ok(());
        };
        match index::start_before(&session.index_path(), to)? {
            Some(start) => self.behead(&session, start.at, &start.headers, needs),
            None => Ok(()),
        }
    }

    /// Gives up the head of a session that is being written, up to a cut.
    fn punch(&self, id: &str, bytes: u64, needs: Needs) -> io::Result<()> {
        let Some(session) = self.get(id) else {
            return Ok(());
        };
        let disk_end = locked(&session.view).disk_end;
        let target = (session.kept_from() + bytes).min(disk_end.saturating_sub(LEAST_TAIL));
        let to = session.place_to_cut(target)?;
        let headers = index::start_before(&session.index_path(), to)?.map_or(0..0, |start| start.headers);
        self.behead(&session, to, &headers, needs)
    }

    /// What is below an offset goes, but for the headers that what follows needs.
    fn behead(&self, session: &Session, to: u64, headers: &Range<u64>, needs: Needs) -> io::Result<()> {
        let _alone = locked(&session.keeping);
        let (acks, tape, kept_from) = {
            let view = locked(&session.view);
            (view.acks.clone(), view.tape.clone(), view.kept_from)
        };
        let Some(tape) = tape.filter(|_| to > kept_from) else {
            return Ok(());
        };
        let unacked = session.unacked(to, needs);
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
            self.gave_up(session, unacked, Why::Full);
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
    fn unacked(&self, to: u64, needs: Needs) -> u64 {
        let view = locked(&self.view);
        let acked = needs.acked_to(self.about(), view.aired.as_ref(), &view.acks);
        to.saturating_sub(acked.unwrap_or(0).max(view.kept_from))
    }

    /// Bytes it takes on the disk.
    pub(super) fn size(&self) -> u64 {
        let view = locked(&self.view);
        view.disk_end.saturating_sub(view.kept_from) + view.index_end
    }

    fn facts(&self, needs: Needs) -> Facts {
        let size = self.size();
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
            aired: view.aired.is_some(),
            acked_to: needs.acked_to(meta, view.aired.as_ref(), &view.acks),
            old: view.past.old(needs.now),
            kept_from: view.kept_from,
            sent: end,
            size,
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
