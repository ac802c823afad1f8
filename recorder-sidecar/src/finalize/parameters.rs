//! What a player must know to go on without beginning anew. No IO.

use ingest::api::Container;
use ingest::framing::{Link, Unit};

use super::ogg::first_packet;

/// Units with equal parameters are in one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Of the object: no `WebM` comes so far.
    pub container: Container,
    /// Such as `opus`.
    pub codec: &'static str,
    /// Samples a second; 0 if unknown.
    pub rate: u32,
    /// 0 if unknown.
    pub channels: u8,
}

impl Parameters {
    /// Of a unit, in this container.
    #[must_use]
    pub fn of(container: Container, unit: &Unit) -> Self {
        let known = match container {
            Container::Mp3 => mp3(&unit.bytes),
            Container::Adts => adts(&unit.bytes),
            Container::Ogg | Container::Webm => ogg(&unit.link),
        };
        let (rate, channels) = known.unwrap_or_default();
        let container = if container == Container::Webm {
            Container::Ogg
        } else {
            container
        };
        Self {
            container,
            codec: unit.link.codec,
            rate,
            channels,
        }
    }
}

fn ogg(link: &Link) -> Option<(u32, u8)> {
    let head = first_packet(link)?;
    match link.codec {
        "opus" => Some((48_000, *head.get(9)?)),
        "vorbis" => Some((
            u32::from_le_bytes(*head.get(12..)?.first_chunk()?),
            *head.get(11)?,
        )),
        "flac" => {
            let &[a, b, c] = head.get(27..)?.first_chunk()?;
            Some((u32::from_be_bytes([0, a, b, c]) >> 4, (c >> 1 & 7) + 1))
        }
        "speex" => {
            let number = |at: usize| {
                head.get(at..)?
                    .first_chunk()
                    .map(|number| u32::from_le_bytes(*number))
            };
            Some((number(36)?, u8::try_from(number(48)?).ok()?))
        }
        _ => None,
    }
}

fn mp3(frame: &[u8]) -> Option<(u32, u8)> {
    let &[_, b1, b2, b3] = frame.first_chunk()?;
    let divide = match b1 >> 3 & 3 {
        3 => 1,
        2 => 2,
        _ => 4,
    };
    let rate = *[44_100, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))?;
    Some((rate / divide, if b3 >> 6 == 3 { 1 } else { 2 }))
}

fn adts(frame: &[u8]) -> Option<(u32, u8)> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350,
    ];
    let &[_, _, b2, b3] = frame.first_chunk()?;
    Some((*RATES.get(usize::from(b2 >> 2 & 0xf))?, (b2 & 1) << 2 | b3 >> 6))
}
