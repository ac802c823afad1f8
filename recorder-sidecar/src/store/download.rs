//! An object's bytes as they come, across broken connections. IO: HTTP.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::time::timeout;

use super::object::{HEAD_PATIENCE, size, within};
use super::sent::unquoted;
use super::{Error, STALLED, Store};

/// An object that is being read. What breaks is asked for again, from where it broke.
#[derive(Debug)]
pub struct Download {
    store: Store,
    key: String,
    body: ByteStream,
    at: u64,
    size: u64,
    etag: String,
}

impl Store {
    /// An object's bytes from this offset.
    pub async fn get(&self, key: &str, from: u64) -> Result<Download, Error> {
        let (body, rest, etag) = self.insist(|| self.try_get(key, from, None)).await?;
        Ok(Download {
            store: self.clone(),
            key: key.to_owned(),
            body,
            at: from,
            size: from + rest,
            etag,
        })
    }

    /// The body, its length, and the object's `ETag`.
    async fn try_get(
        &self,
        key: &str,
        from: u64,
        etag: Option<&str>,
    ) -> Result<(ByteStream, u64, String), Error> {
        let doing = format!("GetObject {key}");
        let get = self
            .keys
            .client()?
            .get_object()
            .bucket(&*self.bucket)
            .key(self.key(key))
            .set_range((from > 0).then(|| format!("bytes={from}-")))
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")));
        let got = within(&doing, HEAD_PATIENCE, get.send()).await?;
        let got = got.map_err(|failure| Error::of(doing.clone(), key, &failure))?;
        if from > 0
            && !got
                .content_range()
                .is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
        {
            return Err(Error::Refused {
                doing,
                status: 200,
                code: "NoRanges".to_owned(),
                words: "it does not begin where it was asked to".to_owned(),
            });
        }
        let etag = unquoted(got.e_tag());
        Ok((got.body, size(got.content_length), etag))
    }
}

impl Download {
    /// Of the whole object.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Without quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The next bytes; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.at >= self.size {
                return Ok(None);
            }
            let words = match timeout(STALLED, self.body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    self.at += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Ok(Some(Err(failure))) => failure.to_string(),
                Ok(None) => "it ended early".to_owned(),
                Err(_) => "it stalled".to_owned(),
            };
            self.store.health.failed(&Error::Silent {
                doing: format!("GetObject {} from {}", self.key, self.at),
                words,
            });
            let again = || self.store.try_get(&self.key, self.at, Some(&self.etag));
            self.body = self.store.insist(again).await?.0;
        }
    }
}
