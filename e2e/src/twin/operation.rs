//! Which S3 operation a request is. Pure.

use http::{Method, Uri};
use serde::{Deserialize, Serialize};

/// The operations R2 has, and one for all that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The buckets of the account.
    ListBuckets,
    /// A new bucket.
    CreateBucket,
    /// A bucket goes.
    DeleteBucket,
    /// Whether a bucket is there.
    HeadBucket,
    /// Where a bucket is.
    GetBucketLocation,
    /// Lifecycle, CORS or encryption of a bucket, read or written.
    BucketSettings,
    /// Keys, the old way.
    ListObjects,
    /// Keys.
    ListObjectsV2,
    /// Uploads nobody completed.
    ListMultipartUploads,
    /// Many objects go.
    DeleteObjects,
    /// One object in one request.
    PutObject,
    /// The bytes of an object.
    GetObject,
    /// Size, `ETag` and metadata of an object.
    HeadObject,
    /// One object goes.
    DeleteObject,
    /// An object from another one.
    CopyObject,
    /// A multipart upload begins.
    CreateMultipartUpload,
    /// A part of it.
    UploadPart,
    /// A part of it from another object.
    UploadPartCopy,
    /// A multipart upload becomes an object.
    CompleteMultipartUpload,
    /// A multipart upload goes.
    AbortMultipartUpload,
    /// The parts that are there.
    ListParts,
    /// Anything else.
    Unknown,
}

impl Operation {
    /// Whether R2 counts it against the one write per second that a key may have.
    ///
    /// Parts do not count: they are not the object yet.
    #[must_use]
    pub fn writes_key(self) -> bool {
        matches!(
            self,
            Self::PutObject | Self::CopyObject | Self::CompleteMultipartUpload | Self::DeleteObject
        )
    }

    /// Whether it needs more than an "Object Read & Write" token.
    #[must_use]
    pub fn is_for_admins(self) -> bool {
        matches!(
            self,
            Self::ListBuckets | Self::CreateBucket | Self::DeleteBucket | Self::BucketSettings
        )
    }

    /// Whether the request brings an object's bytes, or a part's.
    #[must_use]
    pub fn uploads(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart)
    }
}

/// What a request asks for, before anything else is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The operation.
    pub operation: Operation,
    /// The bucket; empty for the account.
    pub bucket: String,
    /// The key, decoded; empty for a bucket.
    pub key: String,
    /// The query's parameters, decoded, in the order they came.
    pub query: Vec<(String, String)>,
}

impl Asked {
    /// Reads a request's line. Buckets are named in the path, never in the host.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, is_copy: bool) -> Self {
        let path = uri.path().strip_prefix('/').unwrap_or_default();
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let mut asked = Self {
            operation: Operation::Unknown,
            bucket: decode(bucket),
            key: decode(key),
            query: uri.query().map(parameters).unwrap_or_default(),
        };
        asked.operation = match (asked.bucket.is_empty(), asked.key.is_empty()) {
            (true, _) if method == Method::GET => Operation::ListBuckets,
            (true, _) => Operation::Unknown,
            (false, true) => asked.on_bucket(method),
            (false, false) => asked.on_object(method, is_copy),
        };
        asked
    }

    /// The value of a parameter, empty if it has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    fn on_bucket(&self, method: &Method) -> Operation {
        const SETTINGS: [&str; 3] = ["lifecycle", "cors", "encryption"];
        if SETTINGS.iter().any(|name| self.has(name)) {
            return Operation::BucketSettings;
        }
        match *method {
            Method::PUT => Operation::CreateBucket,
            Method::DELETE => Operation::DeleteBucket,
            Method::HEAD => Operation::HeadBucket,
            Method::POST if self.has("delete") => Operation::DeleteObjects,
            Method::GET if self.has("uploads") => Operation::ListMultipartUploads,
            Method::GET if self.has("location") => Operation::GetBucketLocation,
            Method::GET if self.parameter("list-type") == Some("2") => Operation::ListObjectsV2,
            Method::GET => Operation::ListObjects,
            _ => Operation::Unknown,
        }
    }

    fn on_object(&self, method: &Method, is_copy: bool) -> Operation {
        match (method.as_str(), self.has("uploadId"), is_copy) {
            ("PUT", true, true) => Operation::UploadPartCopy,
            ("PUT", true, false) => Operation::UploadPart,
            ("PUT", false, true) => Operation::CopyObject,
            ("PUT", false, false) => Operation::PutObject,
            ("POST", true, _) => Operation::CompleteMultipartUpload,
            ("POST", false, _) if self.has("uploads") => Operation::CreateMultipartUpload,
            ("DELETE", true, _) => Operation::AbortMultipartUpload,
            ("DELETE", false, _) => Operation::DeleteObject,
            ("GET", true, _) => Operation::ListParts,
            ("GET", false, _) => Operation::GetObject,
            ("HEAD", ..) => Operation::HeadObject,
            _ => Operation::Unknown,
        }
    }
}

fn parameters(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Undoes `%2F` and its like; what is not UTF-8 becomes a replacement character.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, uri: &str, is_copy: bool) -> Asked {
        Asked::of(method, &uri.parse().unwrap(), is_copy)
    }

    #[test]
    fn a_request_is_told_by_its_line() {
        for (method, uri, is_copy, operation) in [
            (Method::GET, "/", false, Operation::ListBuckets),
            (
                Method::GET,
                "/b?list-type=2&prefix=x",
                false,
                Operation::ListObjectsV2,
            ),
            (Method::GET, "/b/?list-type=2", false, Operation::ListObjectsV2),
            (Method::GET, "/b", false, Operation::ListObjects),
            (Method::GET, "/b?uploads", false, Operation::ListMultipartUploads),
            (Method::PUT, "/b?lifecycle", false, Operation::BucketSettings),
            (Method::POST, "/b?delete", false, Operation::DeleteObjects),
            (Method::PUT, "/b/k?x-id=PutObject", false, Operation::PutObject),
            (Method::PUT, "/b/k", true, Operation::CopyObject),
            (
                Method::PUT,
                "/b/k?partNumber=1&uploadId=u",
                false,
                Operation::UploadPart,
            ),
            (
                Method::PUT,
                "/b/k?partNumber=1&uploadId=u",
                true,
                Operation::UploadPartCopy,
            ),
            (
                Method::POST,
                "/b/k?uploads",
                false,
                Operation::CreateMultipartUpload,
            ),
            (
                Method::POST,
                "/b/k?uploadId=u",
                false,
                Operation::CompleteMultipartUpload,
            ),
            (
                Method::DELETE,
                "/b/k?uploadId=u",
                false,
                Operation::AbortMultipartUpload,
            ),
            (Method::GET, "/b/k?uploadId=u", false, Operation::ListParts),
            (Method::PATCH, "/b/k", false, Operation::Unknown),
        ] {
            assert_eq!(
                asked(&method, uri, is_copy).operation,
                operation,
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn keys_are_decoded() {
        let found = asked(&Method::GET, "/b/a%2Fb/%C3%BC%2?prefix=x%20y", false);
        assert_eq!(found.key, "a/b/ü%2");
        assert_eq!(found.parameter("prefix"), Some("x y"));
    }
}
