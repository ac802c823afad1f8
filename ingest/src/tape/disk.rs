//! A session's way to the disk. IO: files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::session::{Session, View};
use super::shelf::MAKING;
use super::{locked, meta};
use crate::api::Line;

/// Lines that wait for the disk; above, only those without which the tape cannot be understood are taken.
const WAITING_LINES: usize = 256 << 10;
const MOST_WAITING_LINES: usize = 1 << 20;
/// Taken, and written, at once.
pub(super) const PIECE: usize = 64 << 10;

/// The writing side of a session.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// `None` before the directory is there, and after the End.
    pub files: Option<Files>,
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

/// Lines the index has not taken.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Encoded. Their place is `view.index_end`, however often it takes.
    pub waiting: Vec<u8>,
    /// The index's last write failed: the keeper tries again, not each line.
    pub refused: bool,
    /// Lines other than Clock were taken since the index was synced.
    unsynced: bool,
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

    /// Takes the source's bytes to memory, and has the pen bring them to the file.
    pub(super) fn take(self: &Arc<Self>, bytes: &[u8]) {
        let mut pieces = bytes.chunks(PIECE).peekable();
        while let Some(piece) = pieces.next() {
            let is_late = self.pen.is_late();
            let (behind, most) = {
                let mut view = locked(&self.view);
                if is_late {
                    self.count_in_memory(&mut view);
                }
                let most = self.troubles.memory_for_one();
                view.ring.push(piece, most);
                (view.end() - view.disk_end, most)
            };
            self.pen.write_soon(self);
            // Memory is there for a disk that does not work, not for who sends much at once.
            if pieces.peek().is_some() {
                self.pen.await_written(self);
            }
            if is_late {
                self.pen.hold_back(behind, most / 2, piece.len());
            }
        }
    }

    /// Adds a line to the index, as soon as that is written.
    pub(super) fn line(&self, line: &Line) {
        add_line(&mut locked(&self.view), line);
    }

    /// Has everything written, and waits for that as long as makes sense.
    pub(super) fn hand_over(self: &Arc<Self>) {
        self.pen.write_soon(self);
        self.pen.await_written(self);
    }

    /// The disk has taken all of it, or refused to.
    pub(super) fn is_written(&self) -> bool {
        let view = locked(&self.view);
        let lines = view.lines.refused || view.lines.waiting.is_empty();
        view.failing || view.tape.is_some() && view.ring.is_empty() && lines
    }

    /// What the pen does when it is asked.
    pub(super) fn flush(&self) {
        let mut disk = locked(&self.disk);
        // Once it failed, the keeper tries again, not each piece.
        if self.is_settled() || locked(&self.view).failing {
            return;
        }
        let written = self.files(&mut disk).and_then(|files| {
            self.write_tape(&files)?;
            Ok(files)
        });
        match written {
            Ok(files) if !locked(&self.view).lines.refused => {
                if let Err(failure) = self.write_lines(&files) {
                    self.count_error(&failure);
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.trouble(&failure);
                self.count_error(&failure);
            }
        }
    }

    /// Its files, made if there are none.
    fn files(&self, disk: &mut Disk) -> io::Result<Files> {
        if let Some(files) = &disk.files {
            return Ok(files.clone());
        }
        let files = self.create()?;
        locked(&self.view).tape = Some(Arc::clone(&files.tape));
        Ok(disk.files.insert(files).clone())
    }

    /// Brings to the file what is in memory, until nothing is.
    fn write_tape(&self, files: &Files) -> io::Result<()> {
        loop {
            let (at, piece) = {
                let mut view = locked(&self.view);
                if view.ring.is_empty() && view.ring.start() == view.disk_end {
                    self.is_well(&mut view);
                    return Ok(());
                }
                (view.disk_end, view.ring.copy(view.disk_end, PIECE))
            };
            if piece.is_empty() {
                self.confess_the_lost(files)?;
                continue;
            }
            let (written, outcome) = write(&files.tape, &piece, at);
            let mut view = locked(&self.view);
            view.disk_end += written as u64;
            let disk_end = view.disk_end;
            // Meanwhile it may have fallen out of memory.
            view.ring.pass_to(disk_end);
            outcome?;
        }
    }

    /// The place of the waiting lines moves only when all of them were taken, so a torn one is written over.
    fn write_lines(&self, files: &Files) -> io::Result<()> {
        let (at, text) = {
            let view = locked(&self.view);
            (view.index_end, view.lines.waiting.clone())
        };
        if text.is_empty() {
            return Ok(());
        }
        let outcome = write(&files.index, &text, at).1;
        let mut view = locked(&self.view);
        let was_refused = std::mem::replace(&mut view.lines.refused, outcome.is_err());
        if let Err(failure) = outcome {
            if !was_refused {
                tracing::error!(session = self.id(), %failure, "the tape's disk does not take the index; its lines wait");
            }
            return Err(failure);
        }
        view.lines.waiting.drain(..text.len());
        if view.lines.waiting.is_empty() {
            view.lines.waiting = Vec::new();
        }
        view.index_end += text.len() as u64;
        drop(view);
        self.wake();
        Ok(())
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
            let files = self.catch_up(&mut disk)?;
            let at = locked(&self.view).disk_end;
            (files, at, self.clock.now(), disk.clock, disk.entry_is_durable)
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
            locked(&self.view).past.mark(t, at);
            self.line(&Line::Clock { at, t });
        }
        let unsynced = {
            let _alone = locked(&self.disk);
            self.write_lines(&files)?;
            let mut view = locked(&self.view);
            view.lines.waiting.is_empty() && std::mem::take(&mut view.lines.unsynced)
        };
        if unsynced {
            files
                .index
                .sync_data()
                .inspect_err(|_| locked(&self.view).lines.unsynced = true)?;
        }
        self.finish_on_disk(&files)
    }

    /// Once the source is gone and the tape is on the disk for good: the End line, and the files are closed.
    fn finish_on_disk(&self, files: &Files) -> io::Result<()> {
        let mut disk = locked(&self.disk);
        let (ended, at) = {
            let view = locked(&self.view);
            let is_written = !view.failing && view.lines.waiting.is_empty();
            (view.ended.clone().filter(|_| is_written), view.end())
        };
        let Some(ended) = ended.filter(|_| disk.clock == at) else {
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

    pub(super) fn write_line_now(&self, files: &Files, line: &Line) -> io::Result<()> {
        let line = encoded(line);
        let at = locked(&self.view).index_end;
        write(&files.index, &line, at).1?;
        locked(&self.view).index_end += line.len() as u64;
        Ok(())
    }

    /// Tries to bring to the disk what it has not taken.
    fn catch_up(&self, disk: &mut Disk) -> io::Result<Files> {
        let files = self.files(disk).inspect_err(|failure| self.trouble(failure))?;
        let lines = self.write_lines(&files);
        self.write_tape(&files)
            .inspect_err(|failure| self.trouble(failure))?;
        lines?;
        Ok(files)
    }
}

/// False if so much waits for the disk already that it is left out.
pub(super) fn add_line(view: &mut View, line: &Line) -> bool {
    let droppable = matches!(
        line,
        Line::Clock { .. } | Line::Cut { .. } | Line::Title { .. } | Line::Mark { .. }
    );
    let most = if droppable {
        WAITING_LINES
    } else {
        MOST_WAITING_LINES
    };
    if view.lines.waiting.len() > most {
        return false;
    }
    view.lines.waiting.extend(encoded(line));
    view.lines.unsynced |= !matches!(line, Line::Clock { .. });
    true
}

/// How much was taken, and why not all of it.
pub(super) fn write(file: &File, bytes: &[u8], at: u64) -> (usize, io::Result<()>) {
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
