//! Titles as players show them: comments in Ogg, chapters in ID3. No IO.

use std::time::Duration;

/// A title, and where in its object it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Into the object.
    pub at: Duration,
    /// One line.
    pub title: String,
}

/// More do not fit the numbers that players know.
const MOST: usize = 999;
/// An ID3 tag has 28 bits of length; nobody reads that much.
const LONGEST_TAG: usize = 1 << 20;

/// Vorbis comments: what it is, and `CHAPTERnnn` with their names.
#[must_use]
pub fn comments(title: &str, chapters: &[Chapter]) -> Vec<String> {
    let mut comments = vec![format!("TITLE={title}")];
    for (number, chapter) in chapters.iter().take(MOST).enumerate() {
        let millis = chapter.at.as_millis();
        let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
        let (seconds, millis) = (millis / 1000 % 60, millis % 1000);
        comments.push(format!(
            "CHAPTER{number:03}={hours:02}:{minutes:02}:{seconds:02}.{millis:03}"
        ));
        comments.push(format!("CHAPTER{number:03}NAME={}", chapter.title));
    }
    comments
}

/// An ID3v2.4 tag to stand before the first frame.
#[must_use]
pub fn id3(title: &str, chapters: &[Chapter], whole: Duration) -> Vec<u8> {
    let mut frames = frame(*b"TIT2", &text(title));
    let mut contents = Vec::new();
    let mut count = 0_u8;
    let ends = chapters.iter().skip(1).map(|next| next.at).chain([whole]);
    // A table of contents counts in one byte.
    for (number, (chapter, end)) in chapters.iter().zip(ends).take(255).enumerate() {
        let id = format!("c{number}\0");
        let mut body = id.clone().into_bytes();
        body.extend(millis(chapter.at));
        body.extend(millis(end));
        // No offsets in bytes.
        body.extend([0xff; 8]);
        body.extend(frame(*b"TIT2", &text(&chapter.title)));
        let chapter = frame(*b"CHAP", &body);
        if frames.len() + chapter.len() > LONGEST_TAG {
            break;
        }
        frames.extend(chapter);
        contents.extend(id.into_bytes());
        count += 1;
    }
    if count > 0 {
        // The only table, and in order.
        let mut body = b"toc\0\x03".to_vec();
        body.push(count);
        body.extend(contents);
        frames.extend(frame(*b"CTOC", &body));
    }
    let mut tag = b"ID3\x04\0\0".to_vec();
    tag.extend(seven_bits(frames.len()));
    tag.extend(frames);
    tag
}

fn frame(id: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut frame = id.to_vec();
    frame.extend(seven_bits(body.len()));
    frame.extend([0; 2]);
    frame.extend_from_slice(body);
    frame
}

/// In UTF-8.
fn text(text: &str) -> Vec<u8> {
    let mut body = vec![3];
    body.extend(text.bytes().filter(|&byte| byte != 0));
    body
}

fn millis(at: Duration) -> [u8; 4] {
    u32::try_from(at.as_millis()).unwrap_or(u32::MAX).to_be_bytes()
}

fn seven_bits(length: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from((length >> shift) & 0x7f).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapters() -> Vec<Chapter> {
        let chapter = |millis, title: &str| Chapter {
            at: Duration::from_millis(millis),
            title: title.to_owned(),
        };
        vec![chapter(0, "Erstes Stück"), chapter(3_723_004, "Second")]
    }

    #[test]
    fn ogg_has_them_as_comments() {
        let expected = [
            "TITLE=Show",
            "CHAPTER000=00:00:00.000",
            "CHAPTER000NAME=Erstes Stück",
            "CHAPTER001=01:02:03.004",
            "CHAPTER001NAME=Second",
        ];
        assert_eq!(comments("Show", &chapters()), expected);
    }

    #[test]
    fn a_framer_passes_over_the_tag() {
        let tag = id3("Show", &chapters(), Duration::from_secs(4000));
        let frame = [&b"\xff\xfb\x90\x64"[..], &[0; 413]].concat();
        let mut framer = ingest::framing::Framer::of(ingest::api::Container::Mp3);
        let units = framer.push(&[tag.clone(), frame.repeat(3)].concat());
        assert_eq!(units.len(), 3);
        assert_eq!(units[0].at, tag.len() as u64);
    }
}
