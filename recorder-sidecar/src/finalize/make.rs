//! What was on air, as files. IO: the store, files.

use std::fs;
use std::io;
use std::path::Path;

use futures::StreamExt as _;
use ingest::api::Line;
use ingest::framing::clean_title;

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
    let mut titles = Titles::of(taped);
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
                    if titles.reach(unit.at) {
                        assembler.title(titles.present());
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

/// The titles of a session, one after another.
struct Titles {
    told: Vec<(u64, String)>,
    next: usize,
    begun: bool,
}

impl Titles {
    fn of(taped: &Taped) -> Self {
        let told = taped.lines.iter().filter_map(|line| match line {
            Line::Title { at, t, title } => Some(((*at, *t), title)),
            _ => None,
        });
        let mut told: Vec<_> = told
            .filter_map(|(at, title)| Some((at, clean_title(title)?)))
            .collect();
        told.sort_by_key(|(at, _)| *at);
        let told = told.into_iter().map(|((at, _), title)| (at, title)).collect();
        Self {
            told,
            next: 0,
            begun: false,
        }
    }

    /// Goes on to this offset; true if what is shown changes there. Another session's title never goes on.
    fn reach(&mut self, offset: u64) -> bool {
        let before = self.next;
        while self.told.get(self.next).is_some_and(|(at, _)| *at <= offset) {
            self.next += 1;
        }
        !std::mem::replace(&mut self.begun, true) || self.next > before
    }

    fn present(&self) -> Option<String> {
        let present = self.told.get(self.next.checked_sub(1)?);
        present.map(|(_, title)| title.clone())
    }
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
        let mut titles = Titles::of(&taped);
        let told: Vec<_> = [0, 50, 120, 200, 400]
            .map(|offset| titles.reach(offset).then(|| titles.present().unwrap()))
            .into();
        let some = |title: &str| Some(title.to_owned());
        assert_eq!(told, [some("Opening"), None, some("B"), None, None]);
        let mut from_the_middle = Titles::of(&taped);
        assert!(from_the_middle.reach(99));
        assert_eq!(from_the_middle.present(), some("Opening"));
        taped.lines.clear();
        let mut none = Titles::of(&taped);
        assert!(none.reach(99), "what another session said is over");
        assert_eq!(none.present(), None);
    }
}
