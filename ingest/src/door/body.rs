//! A request's body, piece by piece as it arrives: chunked, of a known length, or until the connection ends. No IO.
//!
//! Nothing is kept but where in the framing we are, so a body costs a few bytes whatever its source sends.

/// More digits would be more than a `u64`.
const MOST_DIGITS: u8 = 16;
/// Most bytes of a chunk's extensions, and of everything after the last chunk.
const MOST_ASIDE: u16 = 4096;

/// How a body arrives, and how much of it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In chunks, each with its length in front.
    Chunked(Chunks),
    /// So many bytes are left.
    Length(u64),
    /// All that comes until the connection ends.
    Endless,
}

/// What comes next in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// What the source sends; never empty.
    Media(&'a [u8]),
    /// Everything that arrived has been looked at.
    Hungry,
    /// The body is whole; what arrived behind it is not part of it.
    Over,
}

/// Chunks that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream's chunks are broken; turn chunked transfer off in the encoder, or update it")]
pub struct Malformed;

impl Body {
    /// A body in chunks, before its first byte.
    #[must_use]
    pub fn chunked() -> Self {
        Self::Chunked(Chunks::default())
    }

    /// Takes one piece off the front of `arrived`. After an error there are only errors.
    pub fn next<'a>(&mut self, arrived: &mut &'a [u8]) -> Result<Piece<'a>, Malformed> {
        match self {
            Self::Chunked(chunks) => chunks.next(arrived),
            Self::Length(0) => Ok(Piece::Over),
            Self::Length(left) => Ok(media(left, arrived)),
            Self::Endless => {
                let mut never_over = u64::MAX;
                Ok(media(&mut never_over, arrived))
            }
        }
    }
}

fn media<'a>(left: &mut u64, arrived: &mut &'a [u8]) -> Piece<'a> {
    let wanted = usize::try_from(*left).map_or(arrived.len(), |left| left.min(arrived.len()));
    let (media, rest) = arrived.split_at(wanted);
    *left -= wanted as u64;
    *arrived = rest;
    if media.is_empty() {
        Piece::Hungry
    } else {
        Piece::Media(media)
    }
}

/// Where in a chunked body we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    left: u64,
    digits: u8,
    aside: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    SizeLineFeed,
    Media,
    MediaReturn,
    MediaLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    LastLineFeed,
    Over,
    Broken,
}

impl Chunks {
    fn next<'a>(&mut self, arrived: &mut &'a [u8]) -> Result<Piece<'a>, Malformed> {
        loop {
            match self.at {
                At::Over => return Ok(Piece::Over),
                At::Broken => return Err(Malformed),
                At::Media if self.left > 0 => return Ok(media(&mut self.left, arrived)),
                At::Media => self.at = At::MediaReturn,
                _ => {
                    let Some((&byte, rest)) = arrived.split_first() else {
                        return Ok(Piece::Hungry);
                    };
                    *arrived = rest;
                    self.at = self.after(byte).unwrap_or(At::Broken);
                }
            }
        }
    }

    fn after(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size, digit) if digit.is_ascii_hexdigit() && self.digits < MOST_DIGITS => {
                let digit = char::from(digit).to_digit(16).unwrap_or_default();
                self.left = self.left * 16 + u64::from(digit);
                self.digits += 1;
                At::Size
            }
            (At::Size, b'\r') if self.digits > 0 => At::SizeLineFeed,
            (At::Size, b';' | b' ' | b'\t') if self.digits > 0 => At::Extension,
            (At::Extension, b'\r') => At::SizeLineFeed,
            (At::Extension, other) if other != b'\n' => self.aside(At::Extension)?,
            (At::SizeLineFeed, b'\n') => {
                self.digits = 0;
                self.aside = 0;
                if self.left == 0 {
                    At::TrailerStart
                } else {
                    At::Media
                }
            }
            (At::MediaReturn, b'\r') => At::MediaLineFeed,
            (At::MediaLineFeed, b'\n') => At::Size,
            (At::TrailerStart, b'\r') => At::LastLineFeed,
            (At::Trailer, b'\r') => At::TrailerLineFeed,
            (At::TrailerStart | At::Trailer, other) if other != b'\n' => self.aside(At::Trailer)?,
            (At::TrailerLineFeed, b'\n') => At::TrailerStart,
            (At::LastLineFeed, b'\n') => At::Over,
            _ => return None,
        })
    }

    fn aside(&mut self, at: At) -> Option<At> {
        self.aside += 1;
        (self.aside <= MOST_ASIDE).then_some(at)
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
