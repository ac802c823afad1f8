//! Bodies on their way through: passed on as they come, or slowed, turned, ended or cut at an offset.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};

use super::cut::Cut;
use super::fault::Effect;

/// Why a body ended before its end.
pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub(super) type Flow = UnsyncBoxBody<Bytes, Fault>;

/// A body that is there already.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Flow {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// What is done to a body, and at which offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Treatment {
    flip: Option<u64>,
    end: Option<(u64, End)>,
    bytes_per_second: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The connection is reset.
    Cut,
    /// The connection ends.
    Short,
    /// Nothing more comes.
    Stall,
}

impl Treatment {
    /// Of what a client sends. Turning a byte needs the whole body first; see `serve`.
    pub(super) fn of_upload(effects: &[Effect]) -> Self {
        effects
            .iter()
            .fold(Self::default(), |treatment, effect| match *effect {
                Effect::ResetUpload(after) => Self {
                    end: Some((after, End::Cut)),
                    ..treatment
                },
                Effect::Slow(rate) => Self {
                    bytes_per_second: Some(rate),
                    ..treatment
                },
                _ => treatment,
            })
    }

    /// Of what a client reads.
    pub(super) fn of_download(effects: &[Effect]) -> Self {
        effects
            .iter()
            .fold(Self::default(), |treatment, effect| match *effect {
                Effect::FlipDownload(at) => Self {
                    flip: Some(at),
                    ..treatment
                },
                Effect::TruncateDownload(after) => Self {
                    end: Some((after, End::Short)),
                    ..treatment
                },
                Effect::StallDownload(after) => Self {
                    end: Some((after, End::Stall)),
                    ..treatment
                },
                Effect::Slow(rate) => Self {
                    bytes_per_second: Some(rate),
                    ..treatment
                },
                _ => treatment,
            })
    }

    /// What becomes of a chunk that begins at this offset, and whether the body ends with it.
    fn treat(&self, at: u64, mut chunk: Bytes) -> (Bytes, Option<End>) {
        let end = self
            .end
            .filter(|(offset, _)| *offset < at.saturating_add(chunk.len() as u64));
        if let Some((offset, _)) = end {
            chunk.truncate(usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX));
        }
        let flip = self.flip.and_then(|offset| offset.checked_sub(at));
        (flipped(chunk, flip), end.map(|(_, end)| end))
    }
}

/// The bytes with one bit turned, if the offset is inside.
pub(super) fn flipped(bytes: Bytes, at: Option<u64>) -> Bytes {
    let Some(at) = at
        .and_then(|at| usize::try_from(at).ok())
        .filter(|at| *at < bytes.len())
    else {
        return bytes;
    };
    let mut bytes = BytesMut::from(bytes);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    bytes.freeze()
}

/// A body with the treatment; without any it is passed on as it is.
pub(super) fn treated<B>(body: B, treatment: Treatment, cut: Cut) -> Flow
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Fault>,
{
    if treatment == Treatment::default() {
        return body.map_err(Into::into).boxed_unsync();
    }
    let chunks = Box::pin(body.into_data_stream());
    let flow = stream::unfold((chunks, 0, None), move |(mut chunks, at, end)| {
        let cut = cut.clone();
        async move {
            match end {
                Some(End::Cut) => cut.now().await,
                Some(End::Stall) => std::future::pending().await,
                Some(End::Short) => return Some((Err("ended early on purpose".into()), (chunks, at, None))),
                None => {}
            }
            let chunk: Bytes = match chunks.next().await? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error.into()), (chunks, at, None))),
            };
            let next = at + chunk.len() as u64;
            let (chunk, end) = treatment.treat(at, chunk);
            if let Some(rate) = treatment.bytes_per_second.filter(|rate| *rate > 0) {
                let micros = (chunk.len() as u64).saturating_mul(1_000_000) / rate;
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
            Some((Ok(Frame::data(chunk)), (chunks, next, end)))
        }
    });
    StreamBody::new(flow).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_turned_and_ended_at_its_offsets() {
        let treatment = Treatment::of_download(&[Effect::FlipDownload(5), Effect::TruncateDownload(7)]);
        let chunk = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(treatment.treat(0, chunk("aaaa")), (chunk("aaaa"), None));
        assert_eq!(
            treatment.treat(4, chunk("aaaa")),
            (chunk("a`a"), Some(End::Short))
        );
        assert_eq!(treatment.treat(8, chunk("aaaa")).0, chunk(""));
        let all = Treatment::of_download(&[Effect::TruncateDownload(4)]);
        assert_eq!(
            all.treat(0, chunk("aaaa")),
            (chunk("aaaa"), None),
            "nothing is missing"
        );
    }
}
