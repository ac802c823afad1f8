//! The parts of `WebM` that tell what follows: the track, the head of a cluster, the packets of a block. No IO.

use bytes::{BufMut, Bytes, BytesMut};

use crate::framing::ebml::{self, Read, child, children, id, unsigned};
use crate::framing::{clean_title, opus};

/// A segment that goes on until something comes that cannot be in it.
pub(super) const ENDLESS_SEGMENT: &[u8] = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff";
const ENDLESS_CLUSTER: &[u8] = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x88";

/// The one track of a stream: Opus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(super) number: u64,
    /// Its `OpusHead`.
    pub(crate) head: Bytes,
}

impl Track {
    /// Reads the body of `Tracks`; the error is the end of a sentence for people.
    pub(super) fn read(tracks: &[u8]) -> Result<Self, String> {
        let mut entries = children(tracks).filter(|&(id, _)| id == id::TRACK);
        let (Some((_, entry)), None) = (entries.next(), entries.next()) else {
            return Err("WebM with more than one track or none; send one track of audio".to_owned());
        };
        let codec = child(entry, id::CODEC).unwrap_or_default();
        if codec != b"A_OPUS" {
            let codec = clean_title(&String::from_utf8_lossy(&codec[..codec.len().min(40)]));
            let codec = codec.as_deref().unwrap_or("no codec");
            return Err(format!("WebM with {codec}; send Opus"));
        }
        let head = child(entry, id::CODEC_PRIVATE).filter(|head| opus::is_head(head));
        let number = child(entry, id::TRACK_NUMBER).map(unsigned);
        match (number, head) {
            (Some(number), Some(head)) => Ok(Self {
                number,
                head: Bytes::copy_from_slice(head),
            }),
            _ => Err("WebM with a damaged Opus header".to_owned()),
        }
    }

    /// Finds it in the headers of a link.
    pub(crate) fn of(headers: &[Bytes]) -> Option<Self> {
        headers.iter().find_map(|header| {
            let (id, body) = children(header).next()?;
            (id == id::TRACKS).then(|| Self::read(body).ok())?
        })
    }
}

/// The beginning of a cluster, up to and with its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) length: usize,
    /// Bytes of the whole cluster, if it says.
    pub(super) cluster: Option<u64>,
    timestamp: u64,
}

impl Opening {
    /// Reads it where a cluster's identifier stands. Its timestamp must come first, but for a checksum: nobody writes
    /// it otherwise, and it tells a cluster from four bytes of chance.
    pub(super) fn read(bytes: &[u8]) -> Read<Self> {
        let cluster = match ebml::head(bytes) {
            Read::Is(head) => head,
            Read::NotYet => return Read::NotYet,
            Read::Garbage => return Read::Garbage,
        };
        let mut at = cluster.length;
        loop {
            let head = match ebml::head(&bytes[at..]) {
                Read::Is(head) => head,
                Read::NotYet => return Read::NotYet,
                Read::Garbage => return Read::Garbage,
            };
            let body = match (head.id, head.body) {
                (id::CRC, Some(4)) if at == cluster.length => 4,
                (id::TIMESTAMP, Some(size @ 1..=8)) => usize::try_from(size).unwrap_or(8),
                _ => return Read::Garbage,
            };
            at += head.length;
            let Some(body) = bytes.get(at..at + body) else {
                return Read::NotYet;
            };
            at += body.len();
            if head.id == id::TIMESTAMP {
                let whole = cluster
                    .body
                    .map(|body| body.saturating_add(cluster.length as u64));
                if whole.is_some_and(|whole| whole < at as u64) {
                    return Read::Garbage;
                }
                return Read::Is(Self {
                    length: at,
                    cluster: whole,
                    timestamp: unsigned(body),
                });
            }
        }
    }

    /// What stands in for it where only later blocks of the cluster are sent.
    pub(super) fn lead(&self) -> Bytes {
        let mut lead = BytesMut::with_capacity(ENDLESS_CLUSTER.len() + 8);
        lead.put_slice(ENDLESS_CLUSTER);
        lead.put_u64(self.timestamp);
        lead.freeze()
    }
}

/// The packets in one unit of a stream; `None` if it is damaged or of another track.
pub(crate) fn packets<'a>(unit: &'a [u8], track: &Track) -> Option<Vec<&'a [u8]>> {
    let inside = match ebml::head(unit) {
        Read::Is(head) if head.id == id::CLUSTER => unit.get(head.length..)?,
        _ => unit,
    };
    let mut packets = Vec::new();
    for (id, body) in children(inside) {
        let block = match id {
            id::SIMPLE_BLOCK => body,
            id::BLOCK_GROUP => child(body, id::BLOCK)?,
            _ => continue,
        };
        packets.extend(laced(block, track)?);
    }
    Some(packets)
}

fn laced<'a>(block: &'a [u8], track: &Track) -> Option<Vec<&'a [u8]>> {
    let Read::Is((Some(number), length)) = ebml::number(block) else {
        return None;
    };
    let (fixed, body) = block.get(length..)?.split_first_chunk::<3>()?;
    if number != track.number {
        return None;
    }
    let [_, _, flags] = *fixed;
    if flags & 6 == 0 {
        return Some(vec![body]);
    }
    let (&others, mut rest) = body.split_first()?;
    let others = usize::from(others);
    let lengths = match flags & 6 {
        2 => xiph_lengths(&mut rest, others)?,
        4 => vec![rest.len() / (others + 1); others],
        _ => ebml_lengths(&mut rest, others)?,
    };
    let mut packets = Vec::with_capacity(others + 1);
    for length in lengths {
        let (packet, later) = rest.split_at_checked(length)?;
        packets.push(packet);
        rest = later;
    }
    packets.push(rest);
    Some(packets)
}

fn xiph_lengths(rest: &mut &[u8], count: usize) -> Option<Vec<usize>> {
    let mut lengths = Vec::with_capacity(count);
    for _ in 0..count {
        let full = rest.iter().take_while(|&&byte| byte == 255).count();
        lengths.push(full * 255 + usize::from(*rest.get(full)?));
        *rest = &rest[full + 1..];
    }
    Some(lengths)
}

/// The first as it is, the others as differences whose numbers are shifted to have a sign.
fn ebml_lengths(rest: &mut &[u8], count: usize) -> Option<Vec<usize>> {
    let mut lengths: Vec<usize> = Vec::with_capacity(count);
    for _ in 0..count {
        let Read::Is((Some(value), bytes)) = ebml::number(rest) else {
            return None;
        };
        *rest = &rest[bytes..];
        let value = i64::try_from(value).ok()?;
        let length = match lengths.last() {
            None => value,
            Some(&before) => i64::try_from(before).ok()? + value - ((1 << (7 * bytes - 1)) - 1),
        };
        lengths.push(usize::try_from(length).ok()?);
    }
    Some(lengths)
}
