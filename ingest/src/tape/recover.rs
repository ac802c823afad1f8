//! Makes a session whole that an earlier process left without an End. IO: its files.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;

use super::disk::encoded;
use super::index::{self, Start};
use super::join::MOST_HEADERS;
use super::marks::{Marks, Placed, Walk};
use super::meta::{self, Kept, Meta};
use super::ring::Ring;
use super::session::View;
use crate::api::{Container, Ended, Line};

const WHY: &str = "ingest stopped in the middle";
const PIECE: usize = 64 << 10;

/// A session as it was found, with an End.
pub(super) struct Recovered {
    pub meta: Meta,
    pub view: View,
    /// Its End was written just now (or would have been, had the disk taken it).
    pub was_torn: bool,
    /// The disk has all of it. If not, the index is as it was found, and recovering it again may succeed.
    pub is_whole: bool,
}

/// Reads a session; if it has no End, cuts what is torn and gives it one.
pub(super) fn recover(dir: &Path, boot_id: &str) -> io::Result<Recovered> {
    let meta = meta::read_meta(dir)?;
    let kept = meta::read_kept(dir).unwrap_or_else(|failure| {
        tracing::warn!(dir = %dir.display(), %failure, "acks.json cannot be read; the acks in it are forgotten");
        Kept::default()
    });
    let size = match fs::metadata(dir.join(meta::TAPE)) {
        Ok(tape) => tape.len(),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => 0,
        Err(failure) => return Err(failure),
    };
    let found = Found::read(&dir.join(meta::INDEX), size)?;
    let before = || View {
        kept_from: kept.from,
        acks: kept.acks.clone(),
        ..View::new(meta.routing, meta.started)
    };
    let mut view = before();
    if found.is_finished {
        for line in index::lines(&dir.join(meta::INDEX))? {
            line?.iter().for_each(|line| show(&mut view, line));
        }
        view.index_end = fs::metadata(dir.join(meta::INDEX))?.len();
        return Ok(Recovered {
            meta,
            view,
            was_torn: false,
            is_whole: true,
        });
    }
    let repair = Repair::decide(dir, &meta, boot_id, size, &found, view.kept_from)?;
    let written = repair.write(dir, size, &mut view);
    let is_whole = written.is_ok();
    if let Err(failure) = written {
        tracing::warn!(dir = %dir.display(), %failure, "a session could not be given its End; it is tried again");
        view = before();
        repair.show_old(dir, &mut view)?;
    }
    Ok(Recovered {
        meta,
        view,
        was_torn: true,
        is_whole,
    })
}

fn show(view: &mut View, line: &Line) {
    match line.clone() {
        Line::Cut { media_ms, .. } => view.media = std::time::Duration::from_millis(media_ms),
        Line::Link { codec, .. } => view.codec = Some(codec),
        Line::Title { title, .. } => view.title = Some(title).filter(|title| !title.is_empty()),
        Line::Routing { t, routing, .. } => view.route(routing, t),
        Line::Lost { at, to } => view.lost.push(at..to),
        Line::Clock { .. } | Line::Mark { .. } => {}
        Line::End { at, t, why } => {
            view.disk_end = at;
            view.ring = Ring::starting_at(at);
            view.end_with(Ended { at: t, why });
        }
    }
}

/// What one look over the index tells.
#[derive(Debug, Default)]
struct Found {
    /// It ends with an End, and everything in it fits the tape.
    is_finished: bool,
    /// Something in its middle is no line: the lines that are missing must be found again on the tape.
    is_damaged: bool,
    clock: u64,
    clock_t: Option<Timestamp>,
    lost: Vec<Range<u64>>,
    /// An End that fits the tape: what is before it was on the disk for good when it was written.
    end: Option<(u64, Timestamp, String)>,
}

impl Found {
    fn read(path: &Path, size: u64) -> io::Result<Self> {
        let mut found = Self::default();
        let mut torn = false;
        for line in index::lines(path)? {
            let Some(line) = line? else {
                torn = true;
                found.is_finished = false;
                continue;
            };
            found.is_damaged |= torn;
            found.is_finished = false;
            match line {
                Line::Clock { at, t } if at <= size => (found.clock, found.clock_t) = (at, Some(t)),
                Line::Lost { at, to } => found.lost.push(at..to),
                Line::End { at, t, why } if at <= size || found.lost.iter().any(|lost| lost.end == at) => {
                    found.is_finished = !found.is_damaged;
                    found.end = Some((at, t, why));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What recovery will make of a session. Deciding changes nothing on the disk.
struct Repair {
    /// Bytes of the stream from now on.
    keep: u64,
    /// Found on the tape, perhaps already in the index.
    lines: Vec<Line>,
    at: Timestamp,
    why: String,
}

impl Repair {
    fn decide(
        dir: &Path,
        meta: &Meta,
        boot_id: &str,
        size: u64,
        found: &Found,
        kept_from: u64,
    ) -> io::Result<Self> {
        let killed_only = meta.boot_id == boot_id;
        let end = found.end.clone();
        let trusted = match end {
            Some((at, ..)) => at.min(size),
            None if killed_only => size,
            None => found.clock,
        };
        let index = dir.join(meta::INDEX);
        let (mut start, mut cut) = (None, None);
        if !found.is_damaged {
            cut = index::start_before(&index, trusted)?;
            start.clone_from(&cut);
            // How long a page of Ogg plays is known from the one before it: begin a cut earlier.
            if let Some(Start { at, headers, .. }) = &cut
                && *at > headers.end
            {
                start = index::start_before(&index, at - 1)?;
            }
        }
        let written = fs::metadata(dir.join(meta::TAPE)).and_then(|tape| tape.modified());
        let written = written.ok().and_then(|time| Timestamp::try_from(time).ok());
        let at = written.max(found.clock_t).unwrap_or(meta.started);
        let mut tail = Tail {
            container: meta.container,
            start,
            cut,
            lost: &found.lost,
            kept_from,
            whole: found.clock,
            broken: false,
            lines: Vec::new(),
            at,
        };
        if size > 0 {
            tail.walk(&File::open(dir.join(meta::TAPE))?, size)?;
        }
        let lost_to = found.lost.iter().map(|lost| lost.end).max().unwrap_or(0);
        let keep = if killed_only {
            size.max(lost_to)
        } else {
            tail.whole.min(size)
        };
        let (keep, at, why) = end.unwrap_or_else(|| (keep, at, WHY.to_owned()));
        Ok(Self {
            keep,
            lines: tail.lines,
            at,
            why,
        })
    }

    fn end(&self) -> Line {
        Line::End {
            at: self.keep,
            t: self.at,
            why: self.why.clone(),
        }
    }

    /// The session with the index it had, which its readers get until it can be written.
    fn show_old(&self, dir: &Path, view: &mut View) -> io::Result<()> {
        let index = dir.join(meta::INDEX);
        for line in index::lines(&index)? {
            if let Some(line) = line?.filter(|line| self.keeps(line)) {
                show(view, &line);
            }
        }
        show(view, &self.end());
        view.index_end = index::whole(&index)?;
        Ok(())
    }

    /// The index is written anew beside the old one, so that a crash leaves one of them.
    fn write(&self, dir: &Path, size: u64, view: &mut View) -> io::Result<()> {
        let end = self.end();
        let beside = dir.join(".index");
        let mut new = BufWriter::new(File::create(&beside)?);
        let mut have = HashSet::new();
        let mut length = 0;
        let mut add = |line: &Line, view: &mut View| {
            show(view, line);
            let text = encoded(line);
            length += text.len() as u64;
            new.write_all(&text)
        };
        for line in index::lines(&dir.join(meta::INDEX))? {
            let Some(line) = line?.filter(|line| self.keeps(line)) else {
                continue;
            };
            // Only these are found again on the tape.
            match line {
                Line::Cut { at, .. } => have.insert((0, at)),
                Line::Link { at, .. } => have.insert((1, at)),
                Line::Title { at, .. } => have.insert((2, at)),
                _ => true,
            };
            add(&line, view)?;
        }
        for line in self.lines.iter().filter(|line| self.keeps(line)) {
            let is_new = match *line {
                Line::Cut { at, .. } => have.insert((0, at)),
                Line::Link { at, .. } => have.insert((1, at)),
                Line::Title { at, .. } => have.insert((2, at)),
                _ => false,
            };
            if is_new {
                add(line, view)?;
            }
        }
        add(&end, view)?;
        let new = new.into_inner().map_err(io::IntoInnerError::into_error)?;
        new.sync_all()?;
        let tape = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(meta::TAPE))?;
        if size > self.keep {
            tape.set_len(self.keep)?;
        }
        tape.sync_all()?;
        fs::rename(&beside, dir.join(meta::INDEX))?;
        view.index_end = length;
        meta::sync_dir(dir)
    }

    fn keeps(&self, line: &Line) -> bool {
        match *line {
            Line::Link { media: at, .. }
            | Line::Lost { to: at, .. }
            | Line::Clock { at, .. }
            | Line::Cut { at, .. }
            | Line::Title { at, .. }
            | Line::Mark { at, .. }
            | Line::Routing { at, .. } => at <= self.keep,
            Line::End { .. } => false,
        }
    }
}

/// The end of a tape, read again by a framer.
struct Tail<'a> {
    container: Container,
    start: Option<Start>,
    /// The last cut in the index.
    cut: Option<Start>,
    lost: &'a [Range<u64>],
    kept_from: u64,
    /// Everything below is what the source sent: the last Clock says so, or whole units without a gap.
    whole: u64,
    /// There was a gap: nothing behind it counts.
    broken: bool,
    lines: Vec<Line>,
    at: Timestamp,
}

impl Tail<'_> {
    fn walk(&mut self, tape: &File, size: u64) -> io::Result<()> {
        let headers = match &self.start {
            Some(start) if start.headers.end - start.headers.start <= MOST_HEADERS => {
                read(tape, &start.headers)?
            }
            _ => Bytes::new(),
        };
        let mut marks = self.start.as_ref().map_or_else(Marks::default, |start| {
            Marks::from_cut(start.at, start.media_ms, start.media_from)
        });
        let at = self.start.as_ref().map_or(0, |start| start.at);
        let mut at = at.max(self.kept_from);
        let mut walk = Walk::from(self.container, &headers, at);
        let mut held: Option<Placed> = None;
        while at < size {
            if let Some(lost) = self.lost.iter().find(|lost| lost.contains(&at)) {
                at = lost.end;
                walk = Walk::from(self.container, &headers, at);
                continue;
            }
            let next_lost = self
                .lost
                .iter()
                .map(|lost| lost.start)
                .filter(|&start| start > at)
                .min();
            let to = (at + PIECE as u64).min(size).min(next_lost.unwrap_or(size));
            let units = walk.push(&read(tape, &(at..to))?);
            at = to;
            for placed in units {
                if let Some(cut) = self.cut.as_ref().filter(|cut| cut.at == placed.at) {
                    marks.at_cut(cut.at, cut.media_ms);
                }
                marks.take(&placed, self.at, &mut self.lines);
                // Ogg pages have checksums; anything else is whole if the next one begins right behind it.
                if self.container == Container::Ogg {
                    self.grow(&placed);
                } else if let Some(held) = held.replace(placed.clone())
                    && held.end() == placed.at
                {
                    self.grow(&held);
                }
            }
        }
        Ok(())
    }

    fn grow(&mut self, placed: &Placed) {
        let headers: usize = placed.unit.link.headers.iter().map(Bytes::len).sum();
        let begins_link = placed
            .link_at
            .is_some_and(|link| link + headers as u64 == placed.at);
        let begins = placed.link_at.filter(|_| begins_link).unwrap_or(placed.at);
        if begins <= self.whole && !self.broken {
            self.whole = self.whole.max(placed.end());
        } else if placed.end() > self.whole {
            // A gap: what is behind it may be the source's garbage or the disk's. Nothing further is taken.
            self.broken = true;
        }
    }
}

fn read(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(PIECE)];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}
