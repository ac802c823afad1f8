//! Reading a tape at any offset, from the file or from memory. IO: preads.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};

use super::session::{Session, View};
use super::{locked, meta};

/// What stands at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes, at least one.
    Bytes(Bytes),
    /// Nothing yet.
    Wait,
    /// Nothing, ever: the session ended here.
    Ended,
    /// It was lost or given up; the tape goes on there (or ended there).
    Gone(u64),
}

/// A reader of one session. It has the file open, so that it reads on even if the session is removed.
#[derive(Clone, Debug)]
pub struct Reader {
    session: Arc<Session>,
    tape: Option<Arc<File>>,
}

enum Place {
    File(usize),
    Else(Read),
}

impl View {
    fn place(&self, from: u64, most: usize) -> Place {
        if from < self.kept_from {
            return Place::Else(Read::Gone(self.kept_from));
        }
        self.place_of_kept(from, most)
    }

    fn place_of_kept(&self, from: u64, most: usize) -> Place {
        let gap = self.lost.iter().find(|range| range.end > from);
        if let Some(range) = gap.filter(|range| range.contains(&from)) {
            return Place::Else(Read::Gone(range.end));
        }
        if from >= self.end() {
            return Place::Else(if self.ended.is_some() {
                Read::Ended
            } else {
                Read::Wait
            });
        }
        if from < self.disk_end {
            let to = gap.map_or(self.disk_end, |range| range.start.min(self.disk_end));
            return Place::File(usize::try_from(to - from).unwrap_or(most).min(most));
        }
        if from < self.ring.start() {
            return Place::Else(Read::Gone(self.ring.start()));
        }
        Place::Else(Read::Bytes(self.ring.copy(from, most)))
    }
}

impl Reader {
    /// A reader of this session.
    #[must_use]
    pub fn of(session: &Arc<Session>) -> Self {
        Self {
            session: Arc::clone(session),
            tape: None,
        }
    }

    /// The session it reads.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// How many bytes stand there in one piece, without a look at them. Zero if there is none, or not yet.
    #[must_use]
    pub fn available(&self, from: u64) -> u64 {
        match locked(&self.session.view).place(from, usize::MAX) {
            Place::File(length) => length as u64,
            Place::Else(Read::Bytes(bytes)) => bytes.len() as u64,
            Place::Else(_) => 0,
        }
    }

    /// Where the tape goes on, if it has nothing at `from` and never will.
    #[must_use]
    pub fn gone(&self, from: u64) -> Option<u64> {
        match locked(&self.session.view).place(from, 0) {
            Place::Else(Read::Gone(next)) => Some(next),
            _ => None,
        }
    }

    /// What stands at `from`, at most `most` bytes of it. What the page cache has costs no thread.
    pub async fn read(&mut self, from: u64, most: usize) -> io::Result<Read> {
        let length = match locked(&self.session.view).place(from, most) {
            Place::Else(read) => return Ok(read),
            Place::File(length) => length,
        };
        let tape = match self.tape.take().or_else(|| self.open_tape()) {
            Some(tape) => tape,
            None => open(self.session.dir.join(meta::TAPE)).await?,
        };
        let bytes = read_file(&tape, length, from).await;
        self.tape = Some(tape);
        Ok(self.unless_gone(from, bytes?))
    }

    /// The same, where a thread may wait for the disk.
    pub fn read_blocking(&mut self, from: u64, most: usize) -> io::Result<Read> {
        let place = locked(&self.session.view).place(from, most);
        Ok(match self.read_place(place, from)? {
            Read::Bytes(bytes) => self.unless_gone(from, bytes),
            other => other,
        })
    }

    /// Also what is below `kept_from`: only for headers, which are never given up.
    pub(super) fn read_kept(&mut self, from: u64, most: usize) -> io::Result<Read> {
        let place = locked(&self.session.view).place_of_kept(from, most);
        self.read_place(place, from)
    }

    fn read_place(&mut self, place: Place, from: u64) -> io::Result<Read> {
        let length = match place {
            Place::Else(read) => return Ok(read),
            Place::File(length) => length,
        };
        let tape = match self.tape.clone().or_else(|| self.open_tape()) {
            Some(tape) => tape,
            None => Arc::new(File::open(self.session.dir.join(meta::TAPE))?),
        };
        let bytes = pread(&tape, length, from, ReadWriteFlags::empty())?;
        self.tape = Some(tape);
        Ok(Read::Bytes(bytes))
    }

    fn open_tape(&self) -> Option<Arc<File>> {
        locked(&self.session.view).tape.clone()
    }

    /// The head may have been given up while it was read; a hole reads as zeros.
    fn unless_gone(&self, from: u64, bytes: Bytes) -> Read {
        match self.session.kept_from() {
            kept_from if from < kept_from => Read::Gone(kept_from),
            _ => Read::Bytes(bytes),
        }
    }
}

/// A reader of one session's index.
#[derive(Clone, Debug)]
pub struct IndexReader {
    session: Arc<Session>,
    index: Option<Arc<File>>,
}

impl IndexReader {
    /// A reader of this session's index.
    #[must_use]
    pub fn of(session: &Arc<Session>) -> Self {
        Self {
            session: Arc::clone(session),
            index: None,
        }
    }

    /// What stands at `from`: the index ends with the End line, some time after the source.
    pub async fn read(&mut self, from: u64, most: usize) -> io::Result<Read> {
        // In this order: what is written before the session settles must not be missed.
        let settled = self.session.is_settled();
        let end = self.session.index_bytes();
        if from >= end {
            return Ok(if settled { Read::Ended } else { Read::Wait });
        }
        let index = match self.index.take() {
            Some(index) => index,
            None => open(self.session.index_path()).await?,
        };
        let length = usize::try_from(end - from).unwrap_or(most).min(most);
        let bytes = read_file(&index, length, from).await;
        self.index = Some(index);
        bytes.map(Read::Bytes)
    }
}

async fn open(path: PathBuf) -> io::Result<Arc<File>> {
    let file = tokio::task::spawn_blocking(|| File::open(path)).await??;
    Ok(Arc::new(file))
}

/// What the page cache has is read at once; for the rest a thread waits.
async fn read_file(file: &Arc<File>, length: usize, from: u64) -> io::Result<Bytes> {
    match pread(file, length, from, ReadWriteFlags::NOWAIT) {
        // Not in memory, or a file system that cannot tell; Linux 5.9 and 5.10 then say that there is no more.
        Err(failure) if would_block(&failure) || failure.kind() == io::ErrorKind::UnexpectedEof => {
            let file = Arc::clone(file);
            tokio::task::spawn_blocking(move || pread(&file, length, from, ReadWriteFlags::empty())).await?
        }
        other => other,
    }
}

fn pread(file: &File, length: usize, from: u64, flags: ReadWriteFlags) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    let got = loop {
        match rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut bytes)], from, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    if got == 0 {
        let problem = "the tape is shorter than what was written to it";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
    }
    bytes.truncate(got);
    Ok(bytes.into())
}

fn would_block(failure: &io::Error) -> bool {
    let code = failure.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)
    )
}
