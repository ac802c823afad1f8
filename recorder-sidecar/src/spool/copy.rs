//! A session in the spool, as ship reads and frees it. IO: files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ingest::api::{Ended, Line, Session};
use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};

use super::{About, Copied, FREED, INDEX, META, SYNCED, Synced, TAPE, freed, read_json, replace};
use crate::manifest::{Lines, Range, WallClock};

/// The reading side of one session.
#[derive(Debug)]
pub struct Copy {
    dir: PathBuf,
    start: u64,
    headers: Option<Range>,
    session: Session,
    tape: File,
    synced: Synced,
    read: u64,
    lines: Lines,
    cuts: BTreeSet<u64>,
    lost: Vec<Range>,
    routings: Vec<Line>,
    clock: WallClock,
    covered: u64,
    freed: u64,
    grown: Timestamp,
}

impl Copy {
    /// Opens it and reads what is there.
    pub fn open(spool: &Path, session: &str) -> io::Result<Self> {
        let dir = spool.join(session);
        let about: About = read_json(&dir.join(META))?.ok_or(io::ErrorKind::NotFound)?;
        let written = dir.join(SYNCED).metadata().and_then(|synced| synced.modified());
        let grown = written.ok().and_then(|written| Timestamp::try_from(written).ok());
        let freed = freed(&dir);
        // An earlier life gave it back. Should the bucket not have it any more, it must not be taken for audio.
        let gone = Range { from: 0, to: freed };
        let mut copy = Self {
            tape: File::options().read(true).write(true).open(dir.join(TAPE))?,
            freed,
            dir,
            start: about.start,
            headers: about.headers,
            clock: WallClock::of(&about.session, &[]),
            session: about.session,
            synced: Synced::default(),
            read: 0,
            lines: Lines::default(),
            cuts: BTreeSet::new(),
            lost: if freed > 0 { vec![gone] } else { Vec::new() },
            routings: Vec::new(),
            covered: 0,
            grown: grown.unwrap_or_else(Timestamp::now),
        };
        copy.refresh()?;
        Ok(copy)
    }

    /// Reads what capture has synced since; true if that is anything.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let Some(synced) = read_json::<Synced>(&self.dir.join(SYNCED))? else {
            return Ok(false);
        };
        if synced == self.synced {
            return Ok(false);
        }
        if synced.tape > self.synced.tape && self.synced != Synced::default() {
            self.grown = Timestamp::now();
        }
        let mut index = File::open(self.dir.join(INDEX))?;
        index.seek(SeekFrom::Start(self.read))?;
        let mut new = BufReader::new(index.take(synced.index.saturating_sub(self.read)));
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = new.read_until(b'\n', &mut text)?;
            if text.last() != Some(&b'\n') {
                break;
            }
            self.read += length as u64;
            if let Ok(copied) = serde_json::from_slice::<Copied>(&text) {
                self.take(copied.line);
            }
        }
        self.synced = synced;
        Ok(true)
    }

    fn take(&mut self, line: Line) {
        match &line {
            Line::Clock { at, .. } => self.covered = self.covered.max(*at),
            Line::Cut { at, .. } => drop(self.cuts.insert(*at)),
            Line::Link { codec, .. } => self.session.codec = Some(codec.clone()),
            Line::Title { title, .. } => self.session.title = Some(title.clone()),
            Line::Routing { routing, .. } => {
                self.session.routing = *routing;
                self.routings.push(line.clone());
            }
            Line::Mark { .. } => {}
            Line::Lost { at, to } => self.lost.push(Range { from: *at, to: *to }),
            Line::End { at, t, why } => {
                self.session.bytes = *at;
                self.session.ended = Some(Ended {
                    at: *t,
                    why: why.clone(),
                });
            }
        }
        self.clock.take(&line);
        self.lines.take(line);
    }

    /// The session, as far as its index tells.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Nothing before it is wanted, but for [`Self::headers`].
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// See [`About::headers`].
    #[must_use]
    pub fn headers(&self) -> Option<Range> {
        self.headers
    }

    /// Bytes of the tape that are here for good, or were.
    #[must_use]
    pub fn have(&self) -> u64 {
        self.synced.tape
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.synced.whole
    }

    /// Where segments may begin.
    #[must_use]
    pub fn cuts(&self) -> &BTreeSet<u64> {
        &self.cuts
    }

    /// The first cut at which nothing that came before this instant is cut off; `None` as long as later lines could name an
    /// earlier one.
    #[must_use]
    pub fn cut_from(&self, instant: Timestamp) -> Option<u64> {
        // The tape tells exactly with which byte it left the air.
        let left = self.routings.iter().filter_map(|line| match *line {
            Line::Routing { at, t, .. } => (t <= instant).then_some(at),
            _ => None,
        });
        let first = left.max().unwrap_or(0).max(self.start);
        let is_settled = |cut: &u64| *cut < self.covered || self.is_whole();
        let mut settled = self.cuts.range(first..).copied().take_while(is_settled);
        settled.find(|&cut| self.clock.when(cut).is_some_and(|t| t >= instant))
    }

    /// The last cut that came before this instant; what is behind it may be wanted by who begins then. `None` as long as
    /// nothing has come since the instant.
    #[must_use]
    pub fn cut_before(&self, instant: Timestamp) -> Option<u64> {
        self.clock.when(self.have()).filter(|t| *t >= instant)?;
        let came_before = |cut: &&u64| self.clock.when(**cut).is_some_and(|t| t < instant);
        let last = self.cuts.iter().rev().find(came_before);
        Some(last.copied().unwrap_or(self.start))
    }

    /// The first byte that came at or after this instant, which is one of the session's; `None` as long as it is not settled.
    #[must_use]
    pub fn offset_of(&self, instant: Timestamp) -> Option<u64> {
        let is_inside = self.session.started < instant;
        self.clock.offset(instant).filter(|_| is_inside)
    }

    /// What the tape did not have.
    #[must_use]
    pub fn lost(&self) -> &[Range] {
        &self.lost
    }

    /// Where it was heard, from when on.
    #[must_use]
    pub fn routings(&self) -> &[Line] {
        &self.routings
    }

    /// All cuts below are known.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// Which byte came when.
    #[must_use]
    pub fn clock(&self) -> &WallClock {
        &self.clock
    }

    /// When capture last had something new.
    #[must_use]
    pub fn grown(&self) -> Timestamp {
        self.grown
    }

    /// The lines a manifest keeps.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.all()
    }

    /// The bytes of a range that is here.
    pub fn read(&self, range: Range) -> io::Result<Bytes> {
        let length = usize::try_from(range.bytes()).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.tape.read_exact_at(&mut bytes, range.from)?;
        Ok(bytes.into())
    }

    /// Everything below `to` is in the bucket: says so, and gives the disk back. A crash between the two costs only disk.
    pub fn free(&mut self, to: u64) -> io::Result<()> {
        if to <= self.freed {
            return Ok(());
        }
        replace(&self.dir, FREED, &to)?;
        self.freed = to;
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let here = to.min(self.have());
        if here > 0
            && let Err(failure) = fallocate(&self.tape, punch, 0, here)
        {
            tracing::warn!(session = self.session.id, %failure, "the spool's file system gives nothing back; it will fill");
        }
        Ok(())
    }
}
