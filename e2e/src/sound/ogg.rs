//! Cuts a byte stream into Ogg pages and reads the titles in it. Pure.
//!
//! Written apart from the product's framer on purpose: what judges a thing must not share its mistakes.

use bytes::{Bytes, BytesMut};

const HEAD: usize = 27;
/// A comment header longer than this carries a picture; its title is not looked for.
const LONGEST_COMMENT: usize = 64 * 1024;

/// One whole page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub bytes: Bytes,
}

impl Page {
    pub fn begins_stream(&self) -> bool {
        self.bytes.get(5).is_some_and(|flags| flags & 2 != 0)
    }

    /// Headers come before any audio and so at position 0.
    pub fn is_header(&self) -> bool {
        self.bytes
            .get(6..14)
            .is_some_and(|position| position.iter().all(|b| *b == 0))
    }

    pub fn payload(&self) -> &[u8] {
        let segments = self.bytes.get(26).copied().map_or(0, usize::from);
        self.bytes.get(HEAD + segments..).unwrap_or_default()
    }
}

/// Collects bytes and gives whole pages; what is between pages is dropped.
#[derive(Debug, Default)]
pub struct Pages {
    pending: BytesMut,
}

impl Pages {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Page> {
        self.pending.extend_from_slice(bytes);
        let mut pages = Vec::new();
        loop {
            self.skip_garbage();
            let Some(length) = self.page_length().filter(|length| self.pending.len() >= *length) else {
                break;
            };
            pages.push(Page {
                bytes: self.pending.split_to(length).freeze(),
            });
        }
        pages
    }

    fn skip_garbage(&mut self) {
        let mark = b"OggS";
        let at = self.pending.windows(mark.len()).position(|piece| piece == mark);
        let keep_from = at.unwrap_or_else(|| {
            let most = self.pending.len().min(mark.len() - 1);
            let tail = (0..=most)
                .rev()
                .find(|n| self.pending.ends_with(&mark[..*n]))
                .unwrap_or(0);
            self.pending.len() - tail
        });
        let _garbage = self.pending.split_to(keep_from);
    }

    fn page_length(&self) -> Option<usize> {
        let segments = usize::from(*self.pending.get(26)?);
        let table = self.pending.get(HEAD..HEAD + segments)?;
        Some(HEAD + segments + table.iter().copied().map(usize::from).sum::<usize>())
    }
}

/// Gathers the header pages of one chain link until the title in its comments is known.
#[derive(Debug, Default)]
pub struct Comments {
    gathered: Vec<u8>,
    done: bool,
}

impl Comments {
    /// Gives `Artist - Title` (or the title alone) once, as soon as it is complete.
    pub fn push(&mut self, page: &Page) -> Option<String> {
        if page.begins_stream() {
            *self = Self::default();
            return None;
        }
        if self.done || self.gathered.len() > LONGEST_COMMENT {
            return None;
        }
        self.gathered.extend_from_slice(page.payload());
        let title = title(&self.gathered)?;
        self.done = true;
        (!title.is_empty()).then_some(title)
    }
}

/// `None` while the comment header is not complete or not there, an empty one if there is none in it.
fn title(headers: &[u8]) -> Option<String> {
    let marks: [&[u8]; 3] = [b"OpusTags", b"\x03vorbis", b"\x84"];
    let mark = marks.into_iter().find(|mark| headers.starts_with(mark))?;
    // FLAC's comment block has a 24 bit length behind its type.
    let start = if mark.len() == 1 { 4 } else { mark.len() };
    let mut rest = headers.get(start..)?;
    take(&mut rest)?;
    let count = u32::from_le_bytes(rest.split_off(..4)?.try_into().ok()?);
    let (mut title, mut artist) = (None, None);
    for _ in 0..count {
        let comment = String::from_utf8_lossy(take(&mut rest)?).into_owned();
        match comment.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("title") => title = Some(value.to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("artist") => artist = Some(value.to_owned()),
            _ => {}
        }
    }
    let title = match (artist, title) {
        (Some(artist), Some(title)) => Some(format!("{artist} - {title}")),
        (None, title) => title,
        (artist, None) => artist,
    };
    Some(title.unwrap_or_default())
}

/// Takes a string with its 32 bit length in front.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(rest.split_off(..4)?.try_into().ok()?);
    rest.split_off(..usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(flags: u8, position: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = b"OggS\0".to_vec();
        bytes.push(flags);
        bytes.extend(position.to_le_bytes());
        bytes.extend([0; 12]);
        let full = payload.len() / 255;
        bytes.push(u8::try_from(full + 1).unwrap());
        bytes.extend(vec![255; full]);
        bytes.push(u8::try_from(payload.len() % 255).unwrap());
        bytes.extend(payload);
        bytes
    }

    fn tags(mark: &[u8], comments: &[&str]) -> Vec<u8> {
        let mut bytes = mark.to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(b"lib");
        bytes.extend(u32::try_from(comments.len()).unwrap().to_le_bytes());
        for comment in comments {
            bytes.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
            bytes.extend(comment.as_bytes());
        }
        bytes
    }

    #[test]
    fn pages_come_whole_at_any_split_and_through_garbage() {
        let one = page(2, 0, b"OpusHead");
        let two = page(0, 960, &[7; 600]);
        let stream = [b"OgOggOgg".as_slice(), &one, b"noise", &two, b"Ogg"].concat();
        for grain in 1..stream.len() {
            let mut pages = Pages::default();
            let got: Vec<Page> = stream.chunks(grain).flat_map(|piece| pages.push(piece)).collect();
            assert_eq!(got.len(), 2, "grain {grain}");
            assert_eq!(got[0].bytes, one);
            assert!(got[0].begins_stream() && got[0].is_header());
            assert_eq!(got[1].bytes, two);
            assert!(!got[1].begins_stream() && !got[1].is_header());
            assert_eq!(got[1].payload(), [7; 600]);
        }
    }

    #[test]
    fn titles_are_read_once_from_any_codec() {
        let comments = ["ENCODER=x", "title=Grüße & \"Küsse\" 🎧", "Artist=A=B"];
        for mark in [b"OpusTags".as_slice(), b"\x03vorbis", b"\x84\0\0\x10"] {
            let mut pages = Pages::default();
            let mut stream = page(2, 0, b"head");
            stream.extend(page(0, 0, &tags(mark, &comments)));
            stream.extend(page(0, 960, b"audio"));
            let mut reader = Comments::default();
            let titles: Vec<String> = pages
                .push(&stream)
                .iter()
                .filter_map(|p| reader.push(p))
                .collect();
            assert_eq!(titles, ["A=B - Grüße & \"Küsse\" 🎧"]);
        }
    }

    #[test]
    fn a_long_comment_header_goes_over_pages() {
        let long = format!("title={}", "x".repeat(700));
        let whole = tags(b"OpusTags", &[&long]);
        let (first, second) = whole.split_at(510);
        let stream = [page(2, 0, b"OpusHead"), page(0, 0, first), page(1, 0, second)].concat();
        let mut reader = Comments::default();
        let titles: Vec<String> = Pages::default()
            .push(&stream)
            .iter()
            .filter_map(|p| reader.push(p))
            .collect();
        assert_eq!(titles, ["x".repeat(700)]);
    }
}
