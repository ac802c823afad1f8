//! Whole objects: put, looked at, listed. IO: HTTP.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream};
use jiff::Timestamp;
use tokio::time::timeout;

use super::sent::unquoted;
use super::{Body, Error, Store};

/// Until the head of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slowest line that uploads are given time for.
const SLOWEST: u64 = 32 << 10;
/// The name under which an object tells the SHA-256 of what was sent, in hexadecimal.
pub const SHA256: &str = "sha256";
const MD5: &str = "md5";

/// An object as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Below the prefix.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// When it was put, if the store has told.
    pub modified: Option<Timestamp>,
}

/// An object as the store tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    /// What was put with it, and `sha256` and `md5` (in hexadecimal) if it was put in one piece.
    pub metadata: BTreeMap<String, String>,
    /// The store's own SHA-256 in base64, if it keeps and tells one; of multipart uploads it is one of the parts' sums.
    pub checksum_sha256: Option<String>,
}

impl Store {
    /// Puts an object that is never to change. An equal one that is already there is a success: the answer to an earlier try
    /// may have been lost. Another one is [`Error::Conflict`].
    pub async fn put_new(
        &self,
        key: &str,
        body: &Body,
        content_type: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.insist(|| self.try_put_new(key, body, content_type, metadata))
            .await
    }

    /// Puts an object in the place of any other.
    pub async fn put(&self, key: &str, body: &Body, content_type: &str) -> Result<(), Error> {
        self.put_told(key, body, content_type, &BTreeMap::new()).await
    }

    /// The same, with words beside it.
    pub async fn put_told(
        &self,
        key: &str,
        body: &Body,
        content_type: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        self.insist(|| async {
            let put = self.send_put(key, body, content_type, metadata, false).await?;
            let stored = put.map_err(|failure| Error::of(format!("PutObject {key}"), key, &failure))?;
            let etag = unquoted(stored.e_tag());
            match self.told(&etag, stored.checksum_sha256(), &body.sums()) {
                Some(false) => Err(damaged(key, body, body.size(), &etag)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// What the store tells of an object; `None` if there is none.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        self.insist(|| self.try_head(key)).await
    }

    /// All objects whose keys begin so, in the order of their keys.
    pub fn list(&self, prefix: &str) -> impl Stream<Item = Result<Object, Error>> + Send + 'static + use<> {
        let listing = Listing {
            store: self.clone(),
            prefix: self.key(prefix),
            page: VecDeque::new(),
            next: None,
            ended: false,
        };
        stream::try_unfold(listing, |mut listing| async move {
            loop {
                if let Some(object) = listing.page.pop_front() {
                    return Ok(Some((object, listing)));
                }
                if listing.ended {
                    return Ok(None);
                }
                listing.turn().await?;
            }
        })
    }

    /// All of a small object; one of more than `most` bytes is refused. `None` if there is none.
    pub async fn read(&self, key: &str, most: u64) -> Result<Option<Bytes>, Error> {
        let mut download = match self.get(key, 0).await {
            Err(Error::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        if download.size() > most {
            return Err(Error::Refused {
                doing: format!("GetObject {key}"),
                status: 200,
                code: "TooLarge".to_owned(),
                words: format!("it has {} bytes, {most} are expected at most", download.size()),
            });
        }
        let mut all = BytesMut::new();
        while let Some(bytes) = download.next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all.freeze()))
    }

    async fn try_put_new(
        &self,
        key: &str,
        body: &Body,
        content_type: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let conditional = self.profile.has_conditional_put();
        if !conditional && let Some(there) = self.try_head(key).await? {
            return self.compare(key, body, &there).await;
        }
        let mut metadata = metadata.clone();
        metadata.insert(SHA256.to_owned(), body.sha256());
        metadata.insert(MD5.to_owned(), body.md5());
        match self
            .send_put(key, body, content_type, &metadata, conditional)
            .await?
        {
            Ok(stored) => {
                let etag = unquoted(stored.e_tag());
                if self.has(key, &etag, stored.checksum_sha256(), &body.sums()).await {
                    return Ok(());
                }
                // Otherwise the next try would find the key taken.
                self.try_delete(&[key.to_owned()]).await?;
                Err(damaged(key, body, body.size(), &etag))
            }
            Err(failure)
                if failure
                    .raw_response()
                    .is_some_and(|answer| answer.status().as_u16() == 412) =>
            {
                match self.try_head(key).await? {
                    Some(there) => self.compare(key, body, &there).await,
                    None => Err(Error::Silent {
                        doing: format!("PutObject {key}"),
                        words: "the key is taken, and has no object".to_owned(),
                    }),
                }
            }
            Err(failure) => Err(Error::of(format!("PutObject {key}"), key, &failure)),
        }
    }

    async fn send_put(
        &self,
        key: &str,
        body: &Body,
        content_type: &str,
        metadata: &BTreeMap<String, String>,
        only_if_new: bool,
    ) -> Result<Result<PutObjectOutput, SdkError<PutObjectError>>, Error> {
        self.pace.wait(body.bytes().len()).await;
        let metadata: HashMap<_, _> = metadata.clone().into_iter().collect();
        let put = self
            .keys
            .client()?
            .put_object()
            .bucket(&*self.bucket)
            .key(self.key(key))
            .content_type(content_type)
            .set_metadata(Some(metadata))
            .set_if_none_match(only_if_new.then(|| "*".to_owned()))
            .set_checksum_sha256(self.profile.keeps_sha256().then(|| body.sha256_base64()))
            .body(ByteStream::from(body.bytes().clone()));
        within(&format!("PutObject {key}"), upload_patience(body), put.send()).await
    }

    /// Decides about an object that was there before.
    async fn compare(&self, key: &str, body: &Body, there: &Head) -> Result<(), Error> {
        if there.metadata.get(SHA256) != Some(&body.sha256()) {
            return Err(Error::Conflict { key: key.to_owned() });
        }
        let checksum = there.checksum_sha256.as_deref();
        if there.size == body.size() && self.has(key, &there.etag, checksum, &body.sums()).await {
            return Ok(());
        }
        // It is ours, and the store spoiled it.
        self.try_delete(&[key.to_owned()]).await?;
        Err(damaged(key, body, there.size, &there.etag))
    }

    pub(super) async fn try_head(&self, key: &str) -> Result<Option<Head>, Error> {
        let doing = format!("HeadObject {key}");
        let head = self
            .keys
            .client()?
            .head_object()
            .bucket(&*self.bucket)
            .key(self.key(key));
        let head = if self.profile.keeps_sha256() {
            head.checksum_mode(ChecksumMode::Enabled)
        } else {
            head
        };
        let told = match within(&doing, PATIENCE, head.send()).await? {
            Ok(told) => told,
            Err(failure) => {
                return match Error::of(doing, key, &failure) {
                    Error::Missing { .. } => Ok(None),
                    failure => Err(failure),
                };
            }
        };
        let metadata = told.metadata().cloned().unwrap_or_default();
        Ok(Some(Head {
            size: size(told.content_length()),
            etag: unquoted(told.e_tag()),
            metadata: metadata.into_iter().collect(),
            checksum_sha256: told.checksum_sha256().map(str::to_owned),
        }))
    }
}

fn damaged(key: &str, sent: &Body, size: u64, etag: &str) -> Error {
    Error::Damaged {
        key: key.to_owned(),
        words: format!(
            "{size} bytes with the ETag {etag} are there, and {} with the MD5 {} were sent",
            sent.size(),
            sent.md5()
        ),
    }
}

struct Listing {
    store: Store,
    prefix: String,
    page: VecDeque<Object>,
    next: Option<String>,
    ended: bool,
}

impl Listing {
    async fn turn(&mut self) -> Result<(), Error> {
        let store = self.store.clone();
        let answer = store
            .insist(|| async {
                let doing = format!("ListObjects {}", self.prefix);
                let list = store
                    .keys
                    .client()?
                    .list_objects_v2()
                    .bucket(&*store.bucket)
                    .prefix(&self.prefix)
                    .set_continuation_token(self.next.clone());
                let told = within(&doing, PATIENCE, list.send()).await?;
                told.map_err(|failure| Error::of(doing, "", &failure))
            })
            .await?;
        for object in answer.contents() {
            let Some(key) = object.key().and_then(|key| key.strip_prefix(&*store.prefix)) else {
                continue;
            };
            self.page.push_back(Object {
                key: key.to_owned(),
                size: size(object.size()),
                etag: unquoted(object.e_tag()),
                modified: object
                    .last_modified()
                    .and_then(|modified| Timestamp::from_second(modified.secs()).ok()),
            });
        }
        self.next = answer.next_continuation_token().map(str::to_owned);
        self.ended = self.next.is_none();
        Ok(())
    }
}

/// A size of no sense is none.
pub(super) fn size(told: Option<i64>) -> u64 {
    told.and_then(|size| u64::try_from(size).ok()).unwrap_or_default()
}

pub(super) fn upload_patience(body: &Body) -> Duration {
    PATIENCE + Duration::from_secs(body.size() / SLOWEST)
}

/// Waits for the head of an answer, but not for ever. The SDK's futures are large: only their boxes are moved about.
pub(super) fn within<'a, T>(
    doing: &'a str,
    patience: Duration,
    answer: impl Future<Output = T> + Send + 'a,
) -> impl Future<Output = Result<T, Error>> + Send + 'a {
    let answer = Box::pin(answer);
    async move {
        timeout(patience, answer).await.map_err(|_| Error::Silent {
            doing: doing.to_owned(),
            words: format!("nothing came within {} s", patience.as_secs()),
        })
    }
}

pub(super) const HEAD_PATIENCE: Duration = PATIENCE;
