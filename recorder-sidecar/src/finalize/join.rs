//! The segments of a session as one stream of bytes. IO: GET from the store.

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::manifest::{Range, Taped};
use crate::store::{self, Store, hex};

/// Segments are smaller; one that says otherwise is not read into memory.
const LARGEST: u64 = 16 << 20;
/// Objects that are fetched ahead.
const AHEAD: usize = 3;
/// A store that answers wrongly may have one good copy behind another.
const TRIES: usize = 3;

/// Some bytes of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The segment's.
    pub key: String,
    /// What the whole segment has.
    pub sha256: String,
    /// The whole segment.
    pub segment: Range,
    /// What of it is wanted.
    pub wanted: Range,
}

/// The segments, or parts of them, that have these bytes; each byte once, in order. What is not there is left out.
#[must_use]
pub fn takes(taped: &Taped, bytes: Range) -> Vec<Take> {
    let mut segments: Vec<_> = taped.segments.iter().collect();
    segments.sort_by_key(|segment| segment.range);
    let mut at = bytes.from;
    let mut takes = Vec::new();
    for segment in segments {
        let wanted = Range {
            from: segment.range.from.max(at),
            to: segment.range.to.min(bytes.to),
        };
        if wanted.from < wanted.to {
            at = wanted.to;
            takes.push(Take {
                key: segment.key.clone(),
                sha256: segment.sha256.clone(),
                segment: segment.range,
                wanted,
            });
        }
    }
    takes
}

/// What of these bytes no segment has.
#[must_use]
pub fn holes(taped: &Taped, bytes: Range) -> Vec<Range> {
    let mut at = bytes.from;
    let mut holes = Vec::new();
    let behind = Range {
        from: bytes.to,
        to: bytes.to,
    };
    for there in takes(taped, bytes)
        .into_iter()
        .map(|take| take.wanted)
        .chain([behind])
    {
        if at < there.from {
            holes.push(Range {
                from: at,
                to: there.from,
            });
        }
        at = there.to;
    }
    holes
}

/// What became of a [`Take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes, and the offset of the first.
    Bytes(u64, Bytes),
    /// The segment is not what was stored, or is gone: as if it had never been there.
    Spoiled(Range),
}

/// Fetches them, in order. In memory are no more than a few segments.
pub fn fetch(store: &Store, takes: Vec<Take>) -> impl Stream<Item = Result<Fetched, store::Error>> + use<> {
    let store = store.clone();
    stream::iter(takes)
        .map(move |take| {
            let store = store.clone();
            async move { fetch_one(&store, &take).await }
        })
        .buffered(AHEAD)
}

async fn fetch_one(store: &Store, take: &Take) -> Result<Fetched, store::Error> {
    for _ in 0..TRIES {
        let Some(bytes) = store.read(&take.key, LARGEST).await? else {
            break;
        };
        let whole = bytes.len() as u64 == take.segment.bytes() && hex(&Sha256::digest(&bytes)) == take.sha256;
        if let Some(wanted) = whole.then(|| part(&bytes, take)).flatten() {
            return Ok(Fetched::Bytes(take.wanted.from, wanted));
        }
    }
    tracing::error!(
        key = take.key,
        "a segment in the store is gone or damaged; it is listed as lost"
    );
    Ok(Fetched::Spoiled(take.wanted))
}

fn part(bytes: &Bytes, take: &Take) -> Option<Bytes> {
    let from = usize::try_from(take.wanted.from - take.segment.from).ok()?;
    let to = usize::try_from(take.wanted.to - take.segment.from).ok()?;
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finalize::fixtures::{segment, taped};

    fn range(from: u64, to: u64) -> Range {
        Range { from, to }
    }

    #[test]
    fn each_byte_is_taken_once_whatever_overlaps() {
        let mut taped = taped("s1", 0);
        taped.segments = [(0, 10), (10, 20), (15, 30), (12, 18), (40, 50)]
            .map(|(from, to)| segment("s1", from, to))
            .into();
        let wanted: Vec<_> = takes(&taped, range(5, 45))
            .into_iter()
            .map(|take| take.wanted)
            .collect();
        assert_eq!(
            wanted,
            [range(5, 10), range(10, 20), range(20, 30), range(40, 45)]
        );
        assert_eq!(holes(&taped, range(5, 45)), [range(30, 40)]);
        assert_eq!(holes(&taped, range(0, 30)), []);
        assert_eq!(holes(&taped, range(45, 60)), [range(50, 60)]);
        assert_eq!(holes(&taped, range(31, 39)), [range(31, 39)]);
        assert_eq!(holes(&taped, range(7, 7)), []);
    }

    #[test]
    fn the_wanted_part_of_a_segment_is_cut_out() {
        let take = Take {
            key: String::new(),
            sha256: String::new(),
            segment: range(100, 110),
            wanted: range(103, 105),
        };
        assert_eq!(part(&Bytes::from_static(b"0123456789"), &take).unwrap(), "34");
        assert_eq!(part(&Bytes::from_static(b"0123"), &take), None);
    }
}
