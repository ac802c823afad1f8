//! Tells what a source sends from its first bytes, and if an input takes it. No IO.

use crate::api::Container;
use crate::config::Format;

use super::ebml::id;
use super::ogg::page::CAPTURE;
use super::{frames, ogg, webm};

/// After so many bytes [`sniff`] has an answer.
pub const SNIFFED_WITHIN: usize = 64 * 1024;

/// What the first bytes of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// More bytes are needed.
    NotYet,
    /// Something we can put on air, and its codec as in [`super::Link::codec`].
    Is(Container, &'static str),
    /// Nothing we can put on air, and what it seems to be, for the end of a sentence: "this is ...".
    Unknown(String),
}

/// Formats that people send by mistake: where they have which bytes, and what to tell them.
const KNOWN: [(usize, &[u8], &str); 8] = [
    (0, b"fLaC", "FLAC without Ogg; send FLAC in Ogg"),
    (0, b"RIFF", "WAV; send Ogg, MP3, AAC (ADTS) or WebM"),
    (0, b"FORM", "AIFF; send Ogg, MP3, AAC (ADTS) or WebM"),
    (4, b"ftyp", "MP4; send AAC as ADTS, or Ogg, MP3, WebM"),
    (0, b"FLV", "FLV; send Ogg, MP3, AAC (ADTS) or WebM"),
    (0, b"#EXTM3U", "a playlist, not audio"),
    (0, b"<", "a text, not audio"),
    (0, b"0&\xb2u", "WMA; send Ogg, MP3, AAC (ADTS) or WebM"),
];

/// Looks at a stream from its very first byte. Decides within [`SNIFFED_WITHIN`] bytes, and never changes its mind when
/// there are more.
#[must_use]
pub fn sniff(first: &[u8]) -> Sniffed {
    let first = &first[..first.len().min(SNIFFED_WITHIN)];
    let ebml = id::EBML.to_be_bytes();
    let sniffed = if first.starts_with(CAPTURE) {
        ogg::beginning(first).map(|codec| Some((Container::Ogg, codec?)))
    } else if first.starts_with(&ebml) {
        webm::beginning(first).map(|codec| Some((Container::Webm, codec?)))
    } else if CAPTURE.starts_with(first) || ebml.starts_with(first) {
        Ok(None)
    } else if let Some((.., what)) = KNOWN
        .iter()
        .find(|(at, bytes, _)| first.get(*at..).is_some_and(|rest| rest.starts_with(bytes)))
    {
        Err((*what).to_owned())
    } else {
        Ok(frames::beginning(first))
    };
    match sniffed {
        Ok(Some((container, codec))) => Sniffed::Is(container, codec),
        Ok(None) if first.len() < SNIFFED_WITHIN => Sniffed::NotYet,
        Ok(None) => Sniffed::Unknown("no audio we know; send Ogg, MP3, AAC (ADTS) or WebM".to_owned()),
        Err(what) => Sniffed::Unknown(what),
    }
}

/// Whether an input of this format takes such a stream; the error is a sentence for the source.
pub fn fits(format: Format, container: Container, codec: &str) -> Result<(), String> {
    let (fits, wants) = match format {
        Format::Opus => (codec == "opus", "Opus (in Ogg or WebM)"),
        Format::Ogg => (container == Container::Ogg, "Ogg"),
        Format::Flac => (container == Container::Ogg && codec == "flac", "FLAC in Ogg"),
        Format::Mp3 => (container == Container::Mp3, "MP3"),
        Format::Aac => (container == Container::Adts, "AAC (ADTS)"),
    };
    if fits {
        return Ok(());
    }
    let is = match container {
        Container::Ogg if codec == "other" => "Ogg with an unknown codec".to_owned(),
        Container::Ogg => format!("Ogg with {codec}"),
        Container::Mp3 => "MP3".to_owned(),
        Container::Adts => "AAC".to_owned(),
        Container::Webm => format!("WebM with {codec}"),
    };
    Err(format!("this input takes {wants}, this is {is}"))
}

#[cfg(test)]
#[path = "sniff_tests.rs"]
mod tests;
