//! What was on air, as files. IO: the store, files.

use std::fs;
use std::io;
use std::path::Path;

use futures::StreamExt as _;
use ingest::api::Line;
use ingest::framing::clean_title;
use jiff::Timestamp;

use super::Error;
use super::assemble::{Assembler, Made};
use super::cut::{Begin, Cutter};
use super::intervals::{OnAir, Piece, end, lost, on_air};
use super::join::{Fetched, fetch, takes};
use super::published::Gap;
use crate::manifest::{Manifest, Range, Taped};
use crate::store::Store;

/// The Recording as files, and what they have and have not.
#[derive(Debug)]
pub(super) struct Making {
    pub on_air: OnAir,
    pub files: Vec<Made>,
}

/// Makes the files of a Recording in this folder.
pub(super) async fn make(store: &Store, manifest: &Manifest, scratch: &Path) -> Result<Making, Error> {
    let failed = |cause| Error::Scratch {
        at: scratch.to_owned(),
        cause,
    };
    // What an earlier attempt left may be of another manifest.
    let folder = scratch.join("finalize");
    match fs::remove_dir_all(&folder) {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => return Err(failed(failure)),
        _ => fs::create_dir_all(&folder).map_err(failed)?,
    }
    let mut on_air = on_air(manifest);
    let about = &manifest.recording;
    let title = clean_title(&about.title).unwrap_or_else(|| about.name.clone());
    let seed = format!(
        "{}/{}/{}/{}",
        about.namespace, about.station, about.mount, about.name
    );
    let mut assembler = Assembler::new(folder, title, seed);
    let mut spoiled = Vec::new();
    for piece in &on_air.pieces {
        let taped = &manifest.sessions[piece.session];
        spoiled.extend(assemble(store, taped, piece, &mut assembler, &failed).await?);
    }
    on_air.gaps.extend(spoiled);
    on_air.gaps.sort_by_key(|gap| (gap.from, gap.to));
    let files = assembler.finish().map_err(failed)?;
    Ok(Making { on_air, files })
}

/// Takes a piece of a session from the store into the files; gives what of it was spoiled there.
async fn assemble(
    store: &Store,
    taped: &Taped,
    piece: &Piece,
    assembler: &mut Assembler,
    failed: &impl Fn(io::Error) -> Error,
) -> Result<Vec<Gap>, Error> {
    let container = taped.session.container;
    let mut gaps = Vec::new();
    let begin = Begin::of(taped, piece.bytes.from);
    let mut headers = Vec::new();
    for take in begin.headers.map(|range| takes(taped, range)).unwrap_or_default() {
        let mut fetched = std::pin::pin!(fetch(store, vec![take]));
        while let Some(Fetched::Bytes(_, bytes)) = fetched.next().await.transpose()? {
            headers.extend_from_slice(&bytes);
        }
    }
    let mut cutter = Cutter::new(container, piece.bytes, &headers);
    let mut titles = Titles::of(taped, piece.bytes.from);
    let rest = takes(
        taped,
        Range {
            from: begin.from,
            to: end(taped),
        },
    );
    let mut fetched = std::pin::pin!(fetch(store, rest));
    while !cutter.is_done()
        && let Some(fetched) = fetched.next().await.transpose()?
    {
        match fetched {
            Fetched::Bytes(at, bytes) => {
                for unit in cutter.push(at, &bytes) {
                    let reached = titles.reach(unit.at);
                    if reached.title {
                        assembler.title(titles.present());
                    }
                    if let Some(text) = reached.mark {
                        assembler.mark(text);
                    }
                    assembler.take(container, &unit).map_err(failed)?;
                }
            }
            Fetched::Spoiled(range) => {
                let heard = Range {
                    from: range.from.max(piece.bytes.from),
                    to: range.to.min(piece.bytes.to),
                };
                if heard.from < heard.to {
                    gaps.push(lost(taped, heard));
                }
                // Nothing behind it matters.
                if range.to >= piece.bytes.to {
                    break;
                }
            }
        }
    }
    Ok(gaps)
}

/// The titles of a session and the marks in it, one after another.
struct Titles {
    told: Vec<(u64, String)>,
    next: usize,
    marks: Vec<(u64, String)>,
    next_mark: usize,
    begun: bool,
}

/// What a session's next unit begins with.
#[derive(Debug, PartialEq, Eq)]
struct Reached {
    /// What is shown changes.
    title: bool,
    /// Somebody marked this place.
    mark: Option<String>,
}

impl Titles {
    /// Of a piece that begins at this offset: what was marked before it is none of it.
    fn of(taped: &Taped, from: u64) -> Self {
        let titles = taped.lines.iter().filter_map(|line| match line {
            Line::Title { at, t, title } => Some(((*at, *t), title)),
            _ => None,
        });
        let marks = taped.lines.iter().filter_map(|line| match line {
            Line::Mark { at, t, text } => Some(((*at, *t), text)),
            _ => None,
        });
        let mut marks = in_order(marks);
        marks.retain(|(at, _)| *at >= from);
        Self {
            told: in_order(titles),
            next: 0,
            marks,
            next_mark: 0,
            begun: false,
        }
    }

    /// Goes on to this offset. Another session's title never goes on.
    fn reach(&mut self, offset: u64) -> Reached {
        let (title, mark) = (self.next, self.next_mark);
        self.next += passed(&self.told[title..], offset);
        self.next_mark += passed(&self.marks[mark..], offset);
        let marked = self.marks[mark..self.next_mark].last();
        Reached {
            title: !std::mem::replace(&mut self.begun, true) || self.next > title,
            mark: marked.map(|(_, text)| text.clone()),
        }
    }

    fn present(&self) -> Option<String> {
        let present = self.told.get(self.next.checked_sub(1)?);
        present.map(|(_, title)| title.clone())
    }
}

/// By their places, fit to be shown.
fn in_order<'a>(told: impl Iterator<Item = ((u64, Timestamp), &'a String)>) -> Vec<(u64, String)> {
    let mut told: Vec<_> = told
        .filter_map(|(at, text)| Some((at, clean_title(text)?)))
        .collect();
    told.sort_by_key(|(at, _)| *at);
    told.into_iter().map(|((at, _), text)| (at, text)).collect()
}

/// How many of these are at or before an offset.
fn passed(told: &[(u64, String)], offset: u64) -> usize {
    told.iter().take_while(|(at, _)| *at <= offset).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finalize::fixtures::{at, taped};

    #[test]
    fn a_title_is_told_once_and_where_a_piece_begins() {
        let mut taped = taped("s1", 0);
        let line = |offset, second, title: &str| Line::Title {
            at: offset,
            t: at(second),
            title: title.to_owned(),
        };
        // Lines that an earlier life of ship knew stand behind the others.
        taped.lines = vec![
            line(100, 10, "B"),
            line(100, 9, "A"),
            line(0, 0, "Opening"),
            line(300, 30, "\u{202e}"),
        ];
        let mut titles = Titles::of(&taped, 0);
        let told: Vec<_> = [0, 50, 120, 200, 400]
            .map(|offset| titles.reach(offset).title.then(|| titles.present().unwrap()))
            .into();
        let some = |title: &str| Some(title.to_owned());
        assert_eq!(told, [some("Opening"), None, some("B"), None, None]);
        let mut from_the_middle = Titles::of(&taped, 0);
        assert!(from_the_middle.reach(99).title);
        assert_eq!(from_the_middle.present(), some("Opening"));
        taped.lines.clear();
        let mut none = Titles::of(&taped, 0);
        assert!(none.reach(99).title, "what another session said is over");
        assert_eq!(none.present(), None);
    }
    #[test]
    fn a_mark_is_at_the_first_unit_behind_it_and_never_from_before_the_piece() {
        let mut taped = taped("s1", 0);
        let mark = |offset, text: &str| Line::Mark {
            at: offset,
            t: at(1),
            text: text.to_owned(),
        };
        taped.lines = vec![mark(100, "Interview"), mark(310, "News"), mark(320, "Weather")];
        let told = |offsets: &[u64]| {
            let mut titles = Titles::of(&taped, offsets[0]);
            let marks = offsets.iter().map(|offset| titles.reach(*offset).mark);
            marks.collect::<Vec<_>>()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told(&[0, 90, 120, 130]), [None, None, some("Interview"), None]);
        assert_eq!(told(&[200, 300, 400]), [None, None, some("Weather")]);
        assert_eq!(told(&[100, 110]), [some("Interview"), None]);
    }
}
