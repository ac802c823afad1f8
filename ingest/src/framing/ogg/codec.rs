//! What the header packets of a stream in Ogg say: its codec, its clock, its title. No IO.

use bytes::Bytes;

use super::page::Page;
use crate::framing::clean_title;

/// What the first packet of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// As in [`crate::framing::Link::codec`].
    pub(super) name: &'static str,
    /// Granules in a second; 0 if unknown.
    pub(super) rate: u32,
    /// How many header packets there are, this one too.
    pub(super) headers: u32,
}

/// The name of a codec we do not know.
pub(super) const OTHER: &str = "other";

impl Codec {
    pub(super) fn of(first: &[u8]) -> Self {
        let number = |at: usize| {
            let field = first.get(at..).and_then(<[u8]>::first_chunk);
            field.map_or(0, |field| u32::from_le_bytes(*field))
        };
        let (name, rate, headers) = match first {
            // Whatever rate its header tells was the encoder's input; the granules always count 48 kHz.
            [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => ("opus", 48_000, 2),
            [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => ("vorbis", number(12), 3),
            [0x7f, b'F', b'L', b'A', b'C', _, _, high, low, ..] => {
                let rate = match first.get(27..30) {
                    Some(&[a, b, c]) => u32::from_be_bytes([0, a, b, c]) >> 4,
                    _ => 0,
                };
                (
                    "flac",
                    rate,
                    1 + u32::from(u16::from_be_bytes([*high, *low])).max(1),
                )
            }
            [b'S', b'p', b'e', b'e', b'x', b' ', b' ', b' ', ..] => ("speex", number(36), 2),
            [0x80, b't', b'h', b'e', b'o', b'r', b'a', ..] => (OTHER, 0, 3),
            // Identification and comments are the custom.
            _ => (OTHER, 0, 2),
        };
        Self { name, rate, headers }
    }

    /// The title in the comments of the stream `serial`, whose header pages are among these.
    pub(super) fn title(self, serial: u32, headers: &[Bytes]) -> Option<String> {
        let packet = second_packet(serial, headers);
        let comments = match self.name {
            "opus" => packet.strip_prefix(b"OpusTags")?,
            "vorbis" => packet.strip_prefix(b"\x03vorbis")?,
            "speex" => &packet,
            // A block of metadata: its type and length come first.
            "flac" if packet.first()? & 0x7f == 4 => packet.get(4..)?,
            _ => return None,
        };
        title_in(comments)
    }
}

fn second_packet(serial: u32, pages: &[Bytes]) -> Vec<u8> {
    let mut packet = Vec::new();
    let mut ended = 0;
    let of_stream = pages
        .iter()
        .filter_map(|page| Page::read(page))
        .filter(|page| page.serial() == serial);
    for (piece, ends) in of_stream.flat_map(Page::packets) {
        if ended == 1 {
            packet.extend_from_slice(piece);
        }
        ended += u32::from(ends);
        if ended > 1 {
            break;
        }
    }
    packet
}

/// The title in a Vorbis comment.
fn title_in(comments: &[u8]) -> Option<String> {
    let mut rest = comments;
    text(&mut rest)?; // who encoded it
    let (_, mut rest) = rest.split_at_checked(4)?;
    let (mut artist, mut title) = (None, None);
    // Their number is not asked: a lie about it would only be the end of the bytes.
    while let Some(comment) = text(&mut rest) {
        let Some(at) = comment.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        let (key, value) = comment.split_at(at);
        let value = || clean_title(&String::from_utf8_lossy(&value[1..]));
        if key.eq_ignore_ascii_case(b"title") {
            title = title.or_else(value);
        } else if key.eq_ignore_ascii_case(b"artist") {
            artist = artist.or_else(value);
        }
    }
    match (artist, title) {
        (Some(artist), Some(title)) => clean_title(&format!("{artist} - {title}")),
        (_, title) => title,
    }
}

/// The next piece of text, which has its length before it.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = after;
    Some(text)
}
