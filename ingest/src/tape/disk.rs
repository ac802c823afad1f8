//! A session's way to the disk, and what happens while there is none. IO: files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jiff::Timestamp;

use super::ring::Ring;
use super::session::Session;
use super::shelf::MAKING;
use super::{locked, meta};
use crate::api::Line;

/// All sessions together may keep this much in memory while the disk does not work: with 50 sources at 128 kb/s
/// twenty seconds, with one four minutes.
pub(super) const MEMORY: usize = 16 << 20;
/// More than the largest page of Ogg, so that there is always a place to join.
const LEAST_MEMORY: usize = 128 << 10;
const MOST_MEMORY: usize = 4 << 20;
/// Lines that wait for the disk; above, only those without which the tape cannot be understood are taken.
const WAITING_LINES: usize = 256 << 10;
const MOST_WAITING_LINES: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// What went wrong on all disks of a shelf.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub write_errors: AtomicU64,
    pub lost_bytes: AtomicU64,
    /// Sessions with bytes that are nowhere but in memory.
    pub in_memory: AtomicUsize,
}

impl Troubles {
    fn memory_for_one(&self) -> usize {
        let share = MEMORY / self.in_memory.load(Ordering::Relaxed).max(1);
        share.clamp(LEAST_MEMORY, MOST_MEMORY)
    }
}

/// The writing side of a session.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// `None` before the directory is there, and after the End.
    pub files: Option<Files>,
    /// The tape's last write failed: bytes go to memory until the keeper has brought all of them to the disk.
    pub failing: bool,
    /// Encoded lines the index has not taken. Their place is `view.index_end`, however often it takes.
    waiting: Vec<u8>,
    /// Lines other than Clock were written since the index was synced.
    unsynced_lines: bool,
    /// The directory's own name is on the disk.
    entry_is_durable: bool,
    /// Everything below is on the disk for good.
    clock: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Files {
    pub tape: Arc<File>,
    pub index: Arc<File>,
}

impl Session {
    /// Makes the directory, whole at once. It is made durable by the keeper.
    pub(super) fn create(&self) -> io::Result<Files> {
        let beside = self.dir.with_file_name(format!("{MAKING}{}", self.id()));
        let made = (|| {
            match fs::remove_dir_all(&beside) {
                Err(failure) if failure.kind() != io::ErrorKind::NotFound => return Err(failure),
                _ => fs::create_dir(&beside)?,
            }
            fs::write(beside.join(meta::META), serde_json::to_vec(self.about())?)?;
            let open = |name| {
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(beside.join(name));
                file.map(Arc::new)
            };
            let (tape, index) = (open(meta::TAPE)?, open(meta::INDEX)?);
            fs::rename(&beside, &self.dir)?;
            Ok(Files { tape, index })
        })();
        if made.is_err() {
            // On a full disk what is half made must not stay in the way; if this fails too, the next start cleans up.
            let _ = fs::remove_dir_all(&beside);
        }
        made
    }

    /// Gives a new session its directory, or memory.
    pub(super) fn start(&self) {
        let mut disk = locked(&self.disk);
        match self.create() {
            Ok(files) => {
                locked(&self.view).tape = Some(Arc::clone(&files.tape));
                disk.files = Some(files);
            }
            Err(failure) => self.trouble(&mut disk, &failure),
        }
    }

    /// Takes the source's bytes: to the file, and what the file refuses to memory.
    pub(super) fn take(&self, bytes: &[u8]) {
        let mut disk = locked(&self.disk);
        let mut written = 0;
        if let (false, Some(files)) = (disk.failing, &disk.files) {
            let at = locked(&self.view).disk_end;
            let (count, outcome) = write(&files.tape, bytes, at);
            written = count;
            if let Err(failure) = outcome {
                self.trouble(&mut disk, &failure);
            }
            let mut view = locked(&self.view);
            view.disk_end = at + written as u64;
            view.ring = Ring::starting_at(view.disk_end);
        }
        if written < bytes.len() {
            let most = self.troubles.memory_for_one();
            locked(&self.view).ring.push(&bytes[written..], most);
        }
    }

    /// Adds a line to the index, now or when the disk takes it.
    pub(super) fn line(&self, line: &Line) {
        let mut disk = locked(&self.disk);
        let droppable = matches!(line, Line::Clock { .. } | Line::Cut { .. } | Line::Title { .. });
        let most = if droppable {
            WAITING_LINES
        } else {
            MOST_WAITING_LINES
        };
        if disk.waiting.len() > most {
            return;
        }
        let was_waiting = !disk.waiting.is_empty();
        disk.waiting.extend(encoded(line));
        disk.unsynced_lines |= !matches!(line, Line::Clock { .. });
        // Once it failed, the keeper tries again, not each line.
        if !was_waiting && let Err(failure) = self.write_lines(&mut disk) {
            tracing::error!(session = self.id(), %failure, "the tape's disk does not take the index; its lines wait");
            self.count_error(&failure);
        }
    }

    /// The place of the waiting lines moves only when all of them were taken, so a torn one is written over.
    fn write_lines(&self, disk: &mut Disk) -> io::Result<()> {
        let Some(files) = disk.files.as_ref().filter(|_| !disk.waiting.is_empty()) else {
            return Ok(());
        };
        let at = locked(&self.view).index_end;
        write(&files.index, &disk.waiting, at).1?;
        locked(&self.view).index_end += disk.waiting.len() as u64;
        disk.waiting = Vec::new();
        self.wake();
        Ok(())
    }

    fn trouble(&self, disk: &mut Disk, failure: &io::Error) {
        if !disk.failing {
            disk.failing = true;
            self.troubles.in_memory.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                session = self.id(), mount = self.about().mount, input = self.about().input, %failure,
                "the tape's disk does not take this source; its newest bytes are kept in memory, free or mend the disk"
            );
        }
        self.count_error(failure);
    }

    fn count_error(&self, failure: &io::Error) {
        tracing::debug!(session = self.id(), %failure, "a write to the tape's disk failed");
        self.troubles.write_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// What the keeper does each second. Blocks; while it syncs, the source goes on writing.
    pub(super) fn round(&self) {
        if let Err(failure) = self.try_round() {
            self.count_error(&failure);
        }
    }

    fn try_round(&self) -> io::Result<()> {
        let (files, at, t, clock, entry_is_durable) = {
            let mut disk = locked(&self.disk);
            self.catch_up(&mut disk)?;
            let Some(files) = disk.files.clone() else {
                return Ok(());
            };
            let at = locked(&self.view).disk_end;
            (files, at, Timestamp::now(), disk.clock, disk.entry_is_durable)
        };
        if !entry_is_durable {
            File::open(self.dir.join(meta::META))?.sync_all()?;
            meta::sync_dir(&self.dir)?;
            meta::sync_dir(&self.dir.join(".."))?;
            locked(&self.disk).entry_is_durable = true;
        }
        if at > clock {
            if let Err(failure) = files.tape.sync_data() {
                self.take_back(clock)?;
                return Err(failure);
            }
            locked(&self.disk).clock = at;
            self.line(&Line::Clock { at, t });
        }
        let unsynced = {
            let mut disk = locked(&self.disk);
            disk.waiting.is_empty() && std::mem::take(&mut disk.unsynced_lines)
        };
        if unsynced {
            files
                .index
                .sync_data()
                .inspect_err(|_| locked(&self.disk).unsynced_lines = true)?;
        }
        self.finish_on_disk(&files)
    }

    /// Once the source is gone and the tape is on the disk for good: the End line, and the files are closed.
    fn finish_on_disk(&self, files: &Files) -> io::Result<()> {
        let mut disk = locked(&self.disk);
        let (ended, at) = {
            let view = locked(&self.view);
            (view.ended.clone(), view.end())
        };
        let Some(ended) = ended.filter(|_| disk.clock == at && !disk.failing && disk.waiting.is_empty())
        else {
            return Ok(());
        };
        self.write_line_now(
            files,
            &Line::End {
                at,
                t: ended.at,
                why: ended.why,
            },
        )?;
        files.index.sync_data()?;
        disk.files = None;
        self.settle();
        self.wake();
        Ok(())
    }

    fn write_line_now(&self, files: &Files, line: &Line) -> io::Result<()> {
        let line = encoded(line);
        let at = locked(&self.view).index_end;
        write(&files.index, &line, at).1?;
        locked(&self.view).index_end += line.len() as u64;
        Ok(())
    }

    /// Tries to bring to the disk what it has not taken.
    fn catch_up(&self, disk: &mut Disk) -> io::Result<()> {
        if disk.files.is_none() {
            let files = self.create()?;
            locked(&self.view).tape = Some(Arc::clone(&files.tape));
            disk.files = Some(files);
        }
        let lines = self.write_lines(disk);
        let Some(files) = disk.files.clone().filter(|_| disk.failing) else {
            return lines;
        };
        self.confess_the_lost(&files)?;
        loop {
            let (at, piece) = {
                let view = locked(&self.view);
                (view.disk_end, view.ring.copy(view.disk_end, PIECE))
            };
            let (written, outcome) = write(&files.tape, &piece, at);
            let mut view = locked(&self.view);
            view.disk_end += written as u64;
            view.ring.pass(written);
            outcome?;
            if view.ring.is_empty() {
                break;
            }
        }
        disk.failing = false;
        self.troubles.in_memory.fetch_sub(1, Ordering::Relaxed);
        tracing::info!(session = self.id(), "the tape's disk takes this source again");
        lines
    }

    /// Admits what fell out of memory. The headers of the link on the air are still known, and go to their place:
    /// without them nothing behind could be decoded.
    fn confess_the_lost(&self, files: &Files) -> io::Result<()> {
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
        let mut disk = locked(&self.disk);
        let Some(files) = disk.files.clone().filter(|_| !disk.failing) else {
            return Ok(());
        };
        let to = locked(&self.view).disk_end;
        let mut ring = Ring::starting_at(from);
        let mut piece = vec![0; PIECE];
        while ring.end() < to {
            let length = usize::try_from(to - ring.end()).unwrap_or(PIECE).min(PIECE);
            files.tape.read_exact_at(&mut piece[..length], ring.end())?;
            ring.push(&piece[..length], MOST_MEMORY);
        }
        self.trouble(&mut disk, &io::Error::other("the disk did not keep what it took"));
        let mut view = locked(&self.view);
        view.disk_end = from;
        view.ring = ring;
        Ok(())
    }

    /// Gives up the memory of a source that is gone. True if then nothing of it is left anywhere.
    pub(super) fn give_up_memory(&self) -> bool {
        let disk = locked(&self.disk);
        let mut view = locked(&self.view);
        let length = view.ring.len();
        view.ring.pass(length);
        if disk.files.is_none() {
            let lost = view.end() - view.disk_end;
            self.troubles.lost_bytes.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(
                session = self.id(),
                mount = self.about().mount,
                input = self.about().input,
                lost,
                "a whole session is lost: the disk never took it and memory did not suffice"
            );
        }
        disk.files.is_none()
    }
}

/// How much was taken, and why not all of it.
fn write(file: &File, bytes: &[u8], at: u64) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write_at(&bytes[written..], at + written as u64) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
            Err(failure) => return (written, Err(failure)),
        }
    }
    (written, Ok(()))
}

pub(super) fn encoded(line: &Line) -> Vec<u8> {
    // Strings, numbers and timestamps: serializing them can't fail.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}
