//! The lines of an index file. IO: reading it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use crate::api::Line;

/// No line of ours is longer: a title has 500 characters.
const LONGEST: u64 = 16 << 10;

/// Where reading a tape may start, so as to understand what stands at some later offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// A cut.
    pub at: u64,
    pub media_ms: u64,
    /// What must be read first.
    pub headers: Range<u64>,
    /// The first media of the cut's link.
    pub media_from: u64,
}

/// Each piece of the file up to a line feed, as a line if it is one. An absent file has none.
pub(super) fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Option<Line>>>> {
    let mut file = match File::open(path) {
        Ok(file) => Some(BufReader::with_capacity(64 << 10, file)),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let mut text = Vec::new();
    Ok(std::iter::from_fn(move || {
        text.clear();
        match file.as_mut()?.take(LONGEST).read_until(b'\n', &mut text) {
            Ok(0) => None,
            Ok(_) => Some(Ok(serde_json::from_slice(&text).ok())),
            Err(failure) => {
                file = None;
                Some(Err(failure))
            }
        }
    }))
}

/// How much of the file is whole lines, of ours or not, in bytes.
pub(super) fn whole(path: &Path) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(failure) => return Err(failure),
    };
    let (mut at, mut whole) = (0, 0);
    let mut piece = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(whole);
        }
        if let Some(last) = piece[..count].iter().rposition(|&byte| byte == b'\n') {
            whole = at + last as u64 + 1;
        }
        at += count as u64;
    }
}

/// Looks for the last cut at or before an offset.
#[derive(Debug)]
pub(super) struct Seek {
    offset: u64,
    link: Option<Range<u64>>,
    found: Option<Start>,
}

impl Seek {
    pub fn to(offset: u64) -> Self {
        Self {
            offset,
            link: None,
            found: None,
        }
    }

    /// Takes the lines in their order.
    pub fn take(&mut self, line: &Line) {
        match *line {
            Line::Link { at, media, .. } => self.link = Some(at..media),
            Line::Cut { at, media_ms }
                if at <= self.offset && self.found.as_ref().is_none_or(|found| found.at <= at) =>
            {
                let known = self
                    .link
                    .clone()
                    .filter(|link| link.start <= at)
                    .unwrap_or(at..at);
                self.found = Some(Start {
                    at,
                    media_ms,
                    // A link's own cut stands before its headers: they come by themselves.
                    headers: if known.start == at { at..at } else { known.clone() },
                    media_from: known.end,
                });
            }
            _ => {}
        }
    }

    pub fn found(self) -> Option<Start> {
        self.found
    }
}

/// The last cut at or before an offset, by the index file.
pub(super) fn start_before(path: &Path, offset: u64) -> io::Result<Option<Start>> {
    let mut seek = Seek::to(offset);
    for line in lines(path)? {
        if let Some(line) = line? {
            seek.take(&line);
        }
    }
    Ok(seek.found())
}

/// The first cut at or after an offset, by the index file.
pub(super) fn cut_after(path: &Path, offset: u64) -> io::Result<Option<u64>> {
    let mut first: Option<u64> = None;
    for line in lines(path)? {
        if let Some(Line::Cut { at, .. }) = line?
            && at >= offset
            && first.is_none_or(|first| at < first)
        {
            first = Some(at);
        }
    }
    Ok(first)
}
