//! "❌ Feature Not Implemented": 501, and nothing is carried out.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, ObjectAttributes, Tag, Tagging};

use crate::client::{noise, sha256, told};
use crate::stage::{BUCKET, Stage};

const NOT: u16 = 501;

#[tokio::test]
async fn operations_on_objects() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let put = client.put_object().bucket(BUCKET).key("k");
    put.body(ByteStream::from_static(b"x")).send().await.unwrap();
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let tags = Tagging::builder().tag_set(tag).build().unwrap();
    let attributes = client.get_object_attributes().bucket(BUCKET).key("k");
    let attributes = attributes.object_attributes(ObjectAttributes::Checksum);
    let acl = client.get_object_acl().bucket(BUCKET).key("k");
    let get_tags = client.get_object_tagging().bucket(BUCKET).key("k");
    let put_tags = client.put_object_tagging().bucket(BUCKET).key("k").tagging(tags);
    let retention = client.get_object_retention().bucket(BUCKET).key("k");
    let hold = client.get_object_legal_hold().bucket(BUCKET).key("k");
    for (name, told) in [
        ("GetObjectAttributes", told(attributes.send().await)),
        ("GetObjectAcl", told(acl.send().await)),
        ("GetObjectTagging", told(get_tags.send().await)),
        ("PutObjectTagging", told(put_tags.send().await)),
        ("GetObjectRetention", told(retention.send().await)),
        ("GetObjectLegalHold", told(hold.send().await)),
    ] {
        assert_eq!(told, (NOT, "NotImplemented".into()), "{name}");
    }
}

#[tokio::test]
async fn operations_on_buckets() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let acl = client.get_bucket_acl().bucket(BUCKET);
    let policy = client.get_bucket_policy().bucket(BUCKET);
    let versioning = client.get_bucket_versioning().bucket(BUCKET);
    let versions = client.list_object_versions().bucket(BUCKET);
    let lock = client.get_object_lock_configuration().bucket(BUCKET);
    for (name, told) in [
        ("GetBucketAcl", told(acl.send().await)),
        ("GetBucketPolicy", told(policy.send().await)),
        ("GetBucketVersioning", told(versioning.send().await)),
        ("ListObjectVersions", told(versions.send().await)),
        ("GetObjectLockConfiguration", told(lock.send().await)),
    ] {
        assert_eq!(told, (NOT, "NotImplemented".into()), "{name}");
    }
}

#[tokio::test]
async fn headers() {
    let stage = Stage::r2().await;
    let client = stage.client();
    for (name, value) in [
        ("x-amz-tagging", "show=late"),
        ("x-amz-expected-bucket-owner", "123456789012"),
        (
            "x-amz-grant-read",
            "uri=http://acs.amazonaws.com/groups/global/AllUsers",
        ),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-website-redirect-location", "/elsewhere"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-checksum-crc16", "AAA="),
    ] {
        let put = client.put_object().bucket(BUCKET).key(format!("not/{name}"));
        let put = put.body(ByteStream::from(noise(1, 100_000))).customize();
        let put = put.mutate_request(move |request| {
            request.headers_mut().insert(name, value);
        });
        assert_eq!(told(put.send().await), (NOT, "NotImplemented".into()), "{name}");
    }
    let listed = stage
        .versity()
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.key_count(), Some(0), "nothing was stored");
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-storage-class", "STANDARD"),
    ] {
        let put = client.put_object().bucket(BUCKET).key(format!("yes/{name}"));
        let put = put.body(ByteStream::from_static(b"x")).customize();
        let put = put.mutate_request(move |request| {
            request.headers_mut().insert(name, value);
        });
        assert_eq!(told(put.send().await).0, 200, "{name} is taken and does nothing");
    }
}

#[tokio::test]
async fn types_of_checksums() {
    use ChecksumAlgorithm as Algorithm;
    use ChecksumType::{Composite, FullObject};
    let stage = Stage::r2().await;
    let client = stage.client();
    for (algorithm, kind, status) in [
        (Algorithm::Crc64Nvme, FullObject, 200),
        (Algorithm::Crc64Nvme, Composite, NOT),
        (Algorithm::Crc32, Composite, 200),
        (Algorithm::Crc32, FullObject, NOT),
        (Algorithm::Crc32C, Composite, 200),
        (Algorithm::Crc32C, FullObject, NOT),
        (Algorithm::Sha1, Composite, 200),
        (Algorithm::Sha256, Composite, 200),
        (Algorithm::Sha256, FullObject, NOT),
    ] {
        let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
        let begun = begun
            .checksum_algorithm(algorithm.clone())
            .checksum_type(kind.clone());
        assert_eq!(told(begun.send().await).0, status, "{algorithm:?} {kind:?}");
    }
}

/// The SDK's own default computes a checksum; R2 takes all of these on an object.
#[tokio::test]
async fn every_algorithm_protects_an_object() {
    let stage = Stage::r2().await;
    let client = stage.client_with(|config| {
        config.request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenSupported)
    });
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let put = client.put_object().bucket(BUCKET).key(algorithm);
        let put = put.checksum_algorithm(algorithm.into());
        let put = put.body(ByteStream::from_static(b"on air"));
        assert_eq!(told(put.send().await), (200, String::new()), "{algorithm}");
    }
    let log = stage.twin.log().of(e2e::twin::Operation::PutObject);
    for (entry, name) in log.iter().zip(["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]) {
        assert!(
            entry.headers.contains_key(&format!("x-amz-checksum-{name}")),
            "{entry:?}"
        );
    }
}

/// A body from a file is sent `aws-chunked` with a trailer: R2 refused that for years, so nothing of ours may do it.
#[tokio::test]
async fn streamed_bodies() {
    let stage = Stage::r2().await;
    let client = stage.client_with(|config| {
        config
            .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenSupported)
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"on air").unwrap();
    let put = client.put_object().bucket(BUCKET).key("k");
    let put = put.body(ByteStream::from_path(file.path()).await.unwrap());
    assert_eq!(told(put.send().await), (NOT, "NotImplemented".into()));
    let log = stage.twin.log().of(e2e::twin::Operation::PutObject);
    let sent = log[0].headers.get("x-amz-content-sha256").unwrap();
    assert_eq!(
        sent, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "unsigned over TLS"
    );
}

/// Undocumented on R2, so the twin gives nothing back to lean on.
#[tokio::test]
async fn no_checksum_comes_back_on_head() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_sha256(sha256(b"on air"));
    put.body(ByteStream::from_static(b"on air")).send().await.unwrap();
    let enabled = aws_sdk_s3::types::ChecksumMode::Enabled;
    for (name, client, expected) in [
        ("twin", client, None),
        ("versitygw", stage.versity(), Some(sha256(b"on air"))),
    ] {
        let head = client.head_object().bucket(BUCKET).key("k");
        let head = head.checksum_mode(enabled.clone()).send().await.unwrap();
        assert_eq!(head.checksum_sha256(), expected.as_deref(), "{name}");
    }
}
