//! What R2 refuses by a request's head alone: operations and headers it has not, and its limits. Pure.
//!
//! The words are those of Cloudflare's "S3 API compatibility", "Limits" and "Error codes". Where those say nothing the twin is
//! the stricter of the two: it refuses streaming signatures (`aws-chunked`), presigned URLs, SSE-C and the canned answers to
//! `?versioning`, `?tagging` and `?replication`, wants parts in order, and gives no checksum back on HEAD.

use http::{HeaderMap, Method};

use super::operation::{Asked, Operation};
use super::refusal::Refusal;

/// "Object key length: 1,024 bytes".
const KEY: usize = 1024;
/// "Object metadata size: 8,192 bytes".
const METADATA: usize = 8192;
/// "The max upload size is 5 MiB less than 5 GiB".
const UPLOAD: u64 = (5 * 1024 - 5) * 1024 * 1024;
/// "Maximum upload parts: 10,000".
const PARTS: u32 = 10_000;

/// Parameters that stand for an operation R2 lists as "Unimplemented": on what, the method, the parameter, its name.
const OPERATIONS: [(On, &str, &str, &str); 50] = [
    (On::Object, "GET", "acl", "GetObjectAcl"),
    (On::Object, "PUT", "acl", "PutObjectAcl"),
    (On::Object, "GET", "attributes", "GetObjectAttributes"),
    (On::Object, "GET", "legal-hold", "GetObjectLegalHold"),
    (On::Object, "PUT", "legal-hold", "PutObjectLegalHold"),
    (On::Object, "GET", "retention", "GetObjectRetention"),
    (On::Object, "PUT", "retention", "PutObjectRetention"),
    (On::Object, "GET", "tagging", "GetObjectTagging"),
    (On::Object, "PUT", "tagging", "PutObjectTagging"),
    (On::Object, "DELETE", "tagging", "DeleteObjectTagging"),
    (On::Object, "GET", "torrent", "GetObjectTorrent"),
    (On::Object, "POST", "restore", "RestoreObject"),
    (On::Object, "POST", "select", "SelectObjectContent"),
    (
        On::Bucket,
        "GET",
        "accelerate",
        "GetBucketAccelerateConfiguration",
    ),
    (
        On::Bucket,
        "PUT",
        "accelerate",
        "PutBucketAccelerateConfiguration",
    ),
    (On::Bucket, "GET", "acl", "GetBucketAcl"),
    (On::Bucket, "PUT", "acl", "PutBucketAcl"),
    (On::Bucket, "GET", "analytics", "GetBucketAnalyticsConfiguration"),
    (On::Bucket, "PUT", "analytics", "PutBucketAnalyticsConfiguration"),
    (
        On::Bucket,
        "GET",
        "intelligent-tiering",
        "GetBucketIntelligentTieringConfiguration",
    ),
    (
        On::Bucket,
        "PUT",
        "intelligent-tiering",
        "PutBucketIntelligentTieringConfiguration",
    ),
    (On::Bucket, "GET", "inventory", "GetBucketInventoryConfiguration"),
    (On::Bucket, "PUT", "inventory", "PutBucketInventoryConfiguration"),
    (On::Bucket, "GET", "logging", "GetBucketLogging"),
    (On::Bucket, "PUT", "logging", "PutBucketLogging"),
    (On::Bucket, "GET", "metrics", "GetBucketMetricsConfiguration"),
    (On::Bucket, "PUT", "metrics", "PutBucketMetricsConfiguration"),
    (
        On::Bucket,
        "GET",
        "notification",
        "GetBucketNotificationConfiguration",
    ),
    (
        On::Bucket,
        "PUT",
        "notification",
        "PutBucketNotificationConfiguration",
    ),
    (On::Bucket, "GET", "object-lock", "GetObjectLockConfiguration"),
    (On::Bucket, "PUT", "object-lock", "PutObjectLockConfiguration"),
    (
        On::Bucket,
        "GET",
        "ownershipControls",
        "GetBucketOwnershipControls",
    ),
    (
        On::Bucket,
        "PUT",
        "ownershipControls",
        "PutBucketOwnershipControls",
    ),
    (On::Bucket, "GET", "policy", "GetBucketPolicy"),
    (On::Bucket, "PUT", "policy", "PutBucketPolicy"),
    (On::Bucket, "DELETE", "policy", "DeleteBucketPolicy"),
    (On::Bucket, "GET", "policyStatus", "GetBucketPolicyStatus"),
    (On::Bucket, "GET", "publicAccessBlock", "GetPublicAccessBlock"),
    (On::Bucket, "PUT", "publicAccessBlock", "PutPublicAccessBlock"),
    (On::Bucket, "GET", "replication", "GetBucketReplication"),
    (On::Bucket, "PUT", "replication", "PutBucketReplication"),
    (On::Bucket, "GET", "requestPayment", "GetBucketRequestPayment"),
    (On::Bucket, "PUT", "requestPayment", "PutBucketRequestPayment"),
    (On::Bucket, "GET", "tagging", "GetBucketTagging"),
    (On::Bucket, "PUT", "tagging", "PutBucketTagging"),
    (On::Bucket, "GET", "versioning", "GetBucketVersioning"),
    (On::Bucket, "PUT", "versioning", "PutBucketVersioning"),
    (On::Bucket, "GET", "versions", "ListObjectVersions"),
    (On::Bucket, "GET", "website", "GetBucketWebsite"),
    (On::Bucket, "PUT", "website", "PutBucketWebsite"),
];

/// Headers R2 marks "not implemented", and the words above them in its table.
const HEADERS: [(&str, &str); 24] = [
    ("x-amz-expected-bucket-owner", "Bucket Owner"),
    ("x-amz-source-expected-bucket-owner", "Bucket Owner"),
    ("x-amz-request-payer", "Request Payer"),
    ("x-amz-website-redirect-location", "Website"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "SSE"),
    ("x-amz-server-side-encryption-context", "SSE"),
    ("x-amz-server-side-encryption-bucket-key-enabled", "SSE"),
    (
        "x-amz-server-side-encryption-customer-algorithm",
        "SSE-C, which only the twin has not",
    ),
    (
        "x-amz-server-side-encryption-customer-key",
        "SSE-C, which only the twin has not",
    ),
    ("x-amz-tagging", "Tagging"),
    ("x-amz-tagging-directive", "Tagging"),
    ("x-amz-object-lock-mode", "Object Locking"),
    ("x-amz-object-lock-retain-until-date", "Object Locking"),
    ("x-amz-object-lock-legal-hold", "Object Locking"),
    ("x-amz-bucket-object-lock-enabled", "Object Locking"),
    ("x-amz-bypass-governance-retention", "Object Locking"),
    ("x-amz-mfa", "Multi-factor authentication"),
    ("x-amz-grant-full-control", "ACL"),
    ("x-amz-grant-read", "ACL"),
    ("x-amz-grant-read-acp", "ACL"),
    ("x-amz-grant-write", "ACL"),
    ("x-amz-grant-write-acp", "ACL"),
    ("x-amz-write-offset-bytes", "Append"),
    ("x-amz-trailer", "aws-chunked, which only the twin has not"),
];

/// Headers of one operation only.
const HEADERS_OF: [(Operation, &str); 6] = [
    (Operation::CopyObject, "x-amz-checksum-algorithm"),
    (Operation::UploadPartCopy, "x-amz-copy-source-if-match"),
    (Operation::UploadPartCopy, "x-amz-copy-source-if-none-match"),
    (Operation::UploadPartCopy, "x-amz-copy-source-if-modified-since"),
    (Operation::UploadPartCopy, "x-amz-copy-source-if-unmodified-since"),
    (Operation::BucketSettings, "x-amz-sdk-checksum-algorithm"),
];

/// Headers R2 takes and does nothing about, so the store behind must not see them.
pub const WITHOUT_EFFECT: [&str; 3] = ["x-amz-acl", "x-amz-server-side-encryption", "x-amz-checksum-mode"];

/// R2's checksums, and the only type of each.
const CHECKSUMS: [(&str, &str); 5] = [
    ("CRC64NVME", "FULL_OBJECT"),
    ("CRC32", "COMPOSITE"),
    ("CRC32C", "COMPOSITE"),
    ("SHA1", "COMPOSITE"),
    ("SHA256", "COMPOSITE"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Bucket,
    Object,
}

/// Whether R2 would take a request with this head.
pub fn check(method: &Method, asked: &Asked, headers: &HeaderMap) -> Result<(), Refusal> {
    check_operation(method, asked)?;
    check_headers(asked.operation, headers)?;
    check_checksum(headers)?;
    check_limits(asked, headers)
}

fn check_operation(method: &Method, asked: &Asked) -> Result<(), Refusal> {
    let on = if asked.key.is_empty() {
        On::Bucket
    } else {
        On::Object
    };
    let known = OPERATIONS
        .iter()
        .find(|row| row.0 == on && row.1 == method.as_str() && asked.parameter(row.2).is_some());
    if let Some((.., name)) = known {
        return Err(Refusal::not_implemented(format!("{name} not implemented")));
    }
    if asked.operation == Operation::Unknown {
        return Err(Refusal::not_implemented("S3 operations are not yet implemented"));
    }
    Ok(())
}

fn check_headers(operation: Operation, headers: &HeaderMap) -> Result<(), Refusal> {
    let alone = HEADERS_OF
        .iter()
        .filter(|(of, _)| *of == operation)
        .map(|(_, name)| *name);
    for name in HEADERS.iter().map(|(name, _)| *name).chain(alone) {
        if let Some(value) = text(headers, name) {
            return Err(no_header(name, value));
        }
    }
    if let Some(value) = text(headers, "x-amz-server-side-encryption").filter(|value| *value != "AES256") {
        return Err(no_header("x-amz-server-side-encryption", value));
    }
    if let Some(value) = text(headers, "x-amz-content-sha256").filter(|value| value.starts_with("STREAMING-"))
    {
        return Err(no_header("x-amz-content-sha256", value));
    }
    match text(headers, "x-amz-storage-class") {
        None | Some("STANDARD" | "STANDARD_IA") => Ok(()),
        Some(_) => Err(Refusal::new(
            400,
            "InvalidStorageClass",
            "The storage class you specified is not valid.",
        )),
    }
}

fn check_checksum(headers: &HeaderMap) -> Result<(), Refusal> {
    let names = ["x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"];
    for name in names {
        let Some(algorithm) = text(headers, name) else {
            continue;
        };
        let Some((_, only)) = CHECKSUMS.iter().find(|(known, _)| *known == algorithm) else {
            return Err(no_header(name, algorithm));
        };
        if let Some(kind) = text(headers, "x-amz-checksum-type").filter(|kind| kind != only) {
            return Err(no_header("x-amz-checksum-type", kind));
        }
    }
    let values = headers
        .keys()
        .filter_map(|name| name.as_str().strip_prefix("x-amz-checksum-"))
        .filter(|name| !["algorithm", "type", "mode"].contains(name));
    for name in values {
        if !CHECKSUMS
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Err(no_header(&format!("x-amz-checksum-{name}"), ""));
        }
    }
    Ok(())
}

fn check_limits(asked: &Asked, headers: &HeaderMap) -> Result<(), Refusal> {
    if asked.key.len() > KEY {
        return Err(Refusal::new(
            400,
            "InvalidObjectName",
            format!(
                "The specified object name is not valid: it has {} bytes, {KEY} are allowed.",
                asked.key.len()
            ),
        ));
    }
    let metadata: usize = headers
        .iter()
        .filter_map(|(name, value)| Some(name.as_str().strip_prefix("x-amz-meta-")?.len() + value.len()))
        .sum();
    if metadata > METADATA {
        return Err(Refusal::new(
            400,
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size.",
        ));
    }
    if !asked.operation.uploads() {
        return Ok(());
    }
    match text(headers, "content-length").and_then(|length| length.parse::<u64>().ok()) {
        None => Err(Refusal::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )),
        Some(length) if length > UPLOAD => Err(Refusal::new(
            400,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed object size.",
        )),
        Some(_) => check_part_number(asked),
    }
}

fn check_part_number(asked: &Asked) -> Result<(), Refusal> {
    let number = asked.parameter("partNumber").map(str::parse::<u32>);
    if number.is_none_or(|number| number.is_ok_and(|number| (1..=PARTS).contains(&number))) {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "InvalidArgument",
        format!("Part number must be an integer between 1 and {PARTS}, inclusive."),
    ))
}

fn no_header(name: &str, value: &str) -> Refusal {
    Refusal::not_implemented(format!("Header '{name}' with value '{value}' not implemented"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(uri: &str, headers: &[(&'static str, &str)]) -> (Asked, HeaderMap) {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        (
            Asked::of(&Method::PUT, &uri.parse().unwrap(), false),
            headers.collect(),
        )
    }

    fn verdict(uri: &str, headers: &[(&'static str, &str)]) -> Result<(), (u16, String)> {
        let (asked, headers) = put(uri, headers);
        check(&Method::PUT, &asked, &headers).map_err(|refusal| (refusal.status, refusal.code))
    }

    /// The lengths no test sends for real.
    #[test]
    fn uploads_say_how_long_they_are() {
        let part = "/b/k?partNumber=10000&uploadId=u";
        for uri in ["/b/k", part] {
            assert_eq!(verdict(uri, &[]), Err((411, "MissingContentLength".into())));
            assert_eq!(
                verdict(uri, &[("content-length", "5363466240")]),
                Ok(()),
                "4.995 GiB"
            );
            assert_eq!(
                verdict(uri, &[("content-length", "5363466241")]),
                Err((400, "EntityTooLarge".into()))
            );
        }
    }
}
