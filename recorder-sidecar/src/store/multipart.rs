//! Objects too large for one request. IO: HTTP.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::operation::list_parts::ListPartsOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use jiff::Timestamp;

use super::object::{HEAD_PATIENCE, size, upload_patience, within};
use super::sent::{etag_of_parts, unquoted};
use super::{Body, Error, Store};

/// An upload in parts that is under way. It can be stored and used by another process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// Below the prefix.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it began, if the store has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

/// A part that was sent, or is to be: the sums of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    number: i32,
    size: u64,
    md5: [u8; 16],
    sha256: String,
    etag: String,
}

impl Part {
    /// Part `number`, counted from 1. Parts are equal in size, but for the last.
    #[must_use]
    pub fn of(number: i32, body: &Body) -> Self {
        Self {
            number,
            size: body.size(),
            md5: body.md5_bytes(),
            sha256: body.sha256_base64(),
            etag: body.md5(),
        }
    }
}

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its number.
    pub number: i32,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    checksum_sha256: Option<String>,
}

impl Uploaded {
    /// It as a part to complete with, if it is known to be this one; otherwise the part has to be sent again.
    #[must_use]
    pub fn as_part(&self, part: &Part) -> Option<Part> {
        let sums = self.etag == part.etag || self.checksum_sha256.as_ref() == Some(&part.sha256);
        (self.number == part.number && self.size == part.size && sums).then(|| Part {
            etag: self.etag.clone(),
            ..part.clone()
        })
    }
}

/// A store lists no more at once.
const PARTS_OF_A_PAGE: usize = 1_000;

impl Store {
    /// Begins one.
    pub async fn create_upload(
        &self,
        key: &str,
        content_type: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Upload, Error> {
        let metadata: HashMap<_, _> = metadata.clone().into_iter().collect();
        self.insist(|| async {
            let doing = format!("CreateMultipartUpload {key}");
            let create = self
                .keys
                .client()?
                .create_multipart_upload()
                .bucket(&*self.bucket)
                .key(self.key(key))
                .content_type(content_type)
                .set_metadata(Some(metadata.clone()))
                .set_checksum_algorithm(self.profile.keeps_sha256().then_some(ChecksumAlgorithm::Sha256));
            let created = within(&doing, HEAD_PATIENCE, create.send()).await?;
            let created = created.map_err(|failure| Error::of(doing.clone(), key, &failure))?;
            let id = created.upload_id().filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| Error::Silent {
                doing,
                words: "it names no upload".to_owned(),
            })?;
            Ok(Upload {
                key: key.to_owned(),
                id: id.to_owned(),
                began: None,
            })
        })
        .await
    }

    /// Sends a part, counted from 1, and checks what the store says it has. Sent again, it replaces itself.
    pub async fn upload_part(&self, upload: &Upload, number: i32, body: &Body) -> Result<Part, Error> {
        self.insist(|| async {
            let failure = match self.try_upload_part(upload, number, body).await {
                Err(failure @ (Error::Silent { .. } | Error::Busy { .. })) => failure,
                answered => return answered,
            };
            // A store that refuses a part before it has read it closes the connection, and its answer is lost: so an upload
            // that is gone would be tried for ever.
            match self.try_list_parts(upload, None, Some(1)).await {
                Err(gone @ Error::NoUpload { .. }) => Err(gone),
                _ => Err(failure),
            }
        })
        .await
    }

    async fn try_upload_part(&self, upload: &Upload, number: i32, body: &Body) -> Result<Part, Error> {
        self.pace.wait(body.bytes().len()).await;
        let doing = format!("UploadPart {number} of {}", upload.key);
        let part = self
            .keys
            .client()?
            .upload_part()
            .bucket(&*self.bucket)
            .key(self.key(&upload.key))
            .upload_id(&upload.id)
            .part_number(number)
            .set_checksum_sha256(self.profile.keeps_sha256().then(|| body.sha256_base64()))
            .body(ByteStream::from(body.bytes().clone()));
        let sent = within(&doing, upload_patience(body), part.send()).await?;
        let sent = sent.map_err(|failure| Error::of(doing, &upload.key, &failure))?;
        let etag = unquoted(sent.e_tag());
        let sum = sent.checksum_sha256();
        let damaged = self.profile.etag_is_md5() && etag != body.md5()
            || sum.is_some_and(|sum| sum != body.sha256_base64());
        if damaged {
            return Err(Error::Damaged {
                key: upload.key.clone(),
                words: format!("part {number} has the ETag {etag}, and {} was sent", body.md5()),
            });
        }
        Ok(Part {
            etag,
            ..Part::of(number, body)
        })
    }

    /// What the store has of an upload, in the order of the numbers.
    pub async fn list_parts(&self, upload: &Upload) -> Result<Vec<Uploaded>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .insist(|| self.try_list_parts(upload, after.clone(), None))
                .await?;
            all.extend(page.parts().iter().map(|part| Uploaded {
                number: part.part_number().unwrap_or_default(),
                size: size(part.size()),
                etag: unquoted(part.e_tag()),
                checksum_sha256: part.checksum_sha256().map(str::to_owned),
            }));
            after = page.next_part_number_marker().map(str::to_owned);
            if !page.is_truncated().unwrap_or_default() || after.is_none() {
                return Ok(all);
            }
        }
    }

    async fn try_list_parts(
        &self,
        upload: &Upload,
        after: Option<String>,
        most: Option<i32>,
    ) -> Result<ListPartsOutput, Error> {
        let doing = format!("ListParts {}", upload.key);
        let list = self
            .keys
            .client()?
            .list_parts()
            .bucket(&*self.bucket)
            .key(self.key(&upload.key))
            .upload_id(&upload.id)
            .set_part_number_marker(after)
            .set_max_parts(most);
        let told = within(&doing, HEAD_PATIENCE, list.send()).await?;
        told.map_err(|failure| Error::of(doing, &upload.key, &failure))
    }

    /// The uploads under way of keys that begin so.
    pub async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, Error> {
        let mut all = Vec::new();
        let mut after = (None, None);
        loop {
            let page = self
                .insist(|| async {
                    let doing = format!("ListMultipartUploads {prefix}");
                    let list = self
                        .keys
                        .client()?
                        .list_multipart_uploads()
                        .bucket(&*self.bucket)
                        .prefix(self.key(prefix))
                        .set_key_marker(after.0.clone())
                        .set_upload_id_marker(after.1.clone());
                    let told = within(&doing, HEAD_PATIENCE, list.send()).await?;
                    told.map_err(|failure| Error::of(doing, prefix, &failure))
                })
                .await?;
            for upload in page.uploads() {
                let key = upload.key().and_then(|key| key.strip_prefix(&*self.prefix));
                let (Some(key), Some(id)) = (key, upload.upload_id()) else {
                    continue;
                };
                let began = upload
                    .initiated()
                    .and_then(|began| Timestamp::from_second(began.secs()).ok());
                all.push(Upload {
                    key: key.to_owned(),
                    id: id.to_owned(),
                    began,
                });
            }
            after = (
                page.next_key_marker().map(str::to_owned),
                page.next_upload_id_marker().map(str::to_owned),
            );
            if !page.is_truncated().unwrap_or_default() || after.0.is_none() {
                return Ok(all);
            }
        }
    }

    /// Makes the object out of its parts. An answer that was lost is no harm: the object is looked at. Whether the key is free
    /// has to be asked before: a condition here would make R2 throw the upload away.
    pub async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<(), Error> {
        let expected = Expected::of(parts);
        self.insist(|| async {
            let failure = match self.try_complete(upload, parts, &expected).await {
                Err(failure @ (Error::Silent { .. } | Error::Busy { .. } | Error::NoUpload { .. })) => {
                    failure
                }
                answered => return answered,
            };
            // It may have been completed by a try whose answer was lost.
            match self.try_head(&upload.key).await {
                Ok(Some(there)) if expected.is(there.size, &there.etag, self.profile.etag_is_md5()) => Ok(()),
                _ => Err(self.unless_gone(upload, parts.len(), failure).await),
            }
        })
        .await
    }

    /// versitygw answers 500 for ever to completing an upload that an abort has half taken away.
    async fn unless_gone(&self, upload: &Upload, parts: usize, failure: Error) -> Error {
        if matches!(failure, Error::NoUpload { .. }) {
            return failure;
        }
        match self.try_list_parts(upload, None, None).await {
            Ok(there) if there.parts().len() < parts.min(PARTS_OF_A_PAGE) => Error::NoUpload {
                key: upload.key.clone(),
            },
            Err(gone @ Error::NoUpload { .. }) => gone,
            _ => failure,
        }
    }

    /// Throws an upload away; one that is gone is no error.
    pub async fn abort(&self, upload: &Upload) -> Result<(), Error> {
        self.insist(|| async {
            let doing = format!("AbortMultipartUpload {}", upload.key);
            let abort = self
                .keys
                .client()?
                .abort_multipart_upload()
                .bucket(&*self.bucket)
                .key(self.key(&upload.key))
                .upload_id(&upload.id);
            match within(&doing, HEAD_PATIENCE, abort.send()).await? {
                Ok(_) => Ok(()),
                Err(failure) => match Error::of(doing, &upload.key, &failure) {
                    Error::NoUpload { .. } | Error::Missing { .. } => Ok(()),
                    failure => Err(failure),
                },
            }
        })
        .await
    }

    async fn try_complete(&self, upload: &Upload, parts: &[Part], expected: &Expected) -> Result<(), Error> {
        let doing = format!("CompleteMultipartUpload {}", upload.key);
        let named = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(format!("\"{}\"", part.etag))
                .set_checksum_sha256(self.profile.keeps_sha256().then(|| part.sha256.clone()))
                .build()
        });
        let complete = self
            .keys
            .client()?
            .complete_multipart_upload()
            .bucket(&*self.bucket)
            .key(self.key(&upload.key))
            .upload_id(&upload.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(named.collect()))
                    .build(),
            );
        match within(&doing, HEAD_PATIENCE * 4, complete.send()).await? {
            Ok(done) => {
                let etag = unquoted(done.e_tag());
                if self.profile.etag_is_md5() && etag != expected.etag {
                    return Err(Error::Refused {
                        doing,
                        status: 200,
                        code: "Damaged".to_owned(),
                        words: format!(
                            "the object's ETag is {etag}, and its parts make {}",
                            expected.etag
                        ),
                    });
                }
                Ok(())
            }
            Err(failure) => Err(match Error::of(doing, &upload.key, &failure) {
                // An abort that met a part on its way leaves an upload of that part alone.
                Error::Refused { code, .. } if code == "InvalidPart" => Error::NoUpload {
                    key: upload.key.clone(),
                },
                failure => failure,
            }),
        }
    }
}

/// What the parts make.
struct Expected {
    size: u64,
    etag: String,
    parts: usize,
}

impl Expected {
    fn of(parts: &[Part]) -> Self {
        let sums: Vec<_> = parts.iter().map(|part| part.md5).collect();
        Self {
            size: parts.iter().map(|part| part.size).sum(),
            etag: etag_of_parts(&sums),
            parts: parts.len(),
        }
    }

    fn is(&self, size: u64, etag: &str, etag_is_md5: bool) -> bool {
        let same = if etag_is_md5 {
            etag == self.etag
        } else {
            etag.ends_with(&format!("-{}", self.parts))
        };
        size == self.size && same
    }
}
