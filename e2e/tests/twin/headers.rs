//! Pins what the SDK sends, configured as recorders have it. R2 refuses what it does not know.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use e2e::twin::{Operation, hex};

use crate::client::{etag, sha256};
use crate::stage::{BUCKET, Stage};
use sha2::{Digest, Sha256};

const BODY: &[u8] = b"on air";
/// With every request, and nothing S3 acts upon.
const OF_THE_SDK: [&str; 5] = [
    "accept",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "user-agent",
    "x-amz-user-agent",
];

/// The headers of the one request of an operation, without what every request has.
fn sent(stage: &Stage, operation: Operation) -> BTreeMap<String, String> {
    let entries = stage.twin.log().of(operation);
    let [entry] = entries.as_slice() else {
        panic!("{operation:?} was sent {} times", entries.len());
    };
    let mut headers = entry.headers.clone();
    headers.retain(|name, _| !OF_THE_SDK.contains(&name.as_str()));
    assert_eq!(headers.remove("host").unwrap(), stage.twin.address().to_string());
    assert_eq!(headers.remove("x-amz-date").unwrap().len(), 16);
    headers
}

fn exactly(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    let expected = expected.iter();
    expected
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[tokio::test]
async fn an_object_carries_its_hash_twice_and_no_trailer() {
    let stage = Stage::r2().await;
    let put = stage.client().put_object().bucket(BUCKET).key("seg/0");
    let put = put
        .if_none_match("*")
        .checksum_sha256(sha256(BODY))
        .content_type("audio/ogg")
        .body(ByteStream::from_static(BODY));
    put.send().await.unwrap();
    let expected = exactly(&[
        ("content-length", "6"),
        ("content-type", "audio/ogg"),
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", &sha256(BODY)),
        ("x-amz-content-sha256", &hex(&Sha256::digest(BODY))),
    ]);
    assert_eq!(sent(&stage, Operation::PutObject), expected);
}

#[tokio::test]
async fn without_a_value_the_sdk_sends_no_checksum() {
    let stage = Stage::r2().await;
    let put = stage.client().put_object().bucket(BUCKET).key("seg/0");
    put.body(ByteStream::from_static(BODY)).send().await.unwrap();
    let expected = exactly(&[
        ("content-length", "6"),
        ("content-type", "application/octet-stream"),
        ("x-amz-content-sha256", &hex(&Sha256::digest(BODY))),
    ]);
    assert_eq!(sent(&stage, Operation::PutObject), expected);
}

/// The trap of `WhenRequired`: naming the algorithm announces a checksum that is never sent.
#[tokio::test]
async fn an_algorithm_alone_is_only_announced() {
    let stage = Stage::r2().await;
    let put = stage.client().put_object().bucket(BUCKET).key("seg/0");
    let put = put.checksum_algorithm(ChecksumAlgorithm::Sha256);
    let outcome = put.body(ByteStream::from_static(BODY)).send().await;
    assert_eq!(crate::client::told(outcome).0, 400);
    let headers = sent(&stage, Operation::PutObject);
    assert_eq!(headers.get("x-amz-sdk-checksum-algorithm").unwrap(), "SHA256");
    assert!(!headers.contains_key("x-amz-checksum-sha256"));
}

#[tokio::test]
async fn a_multipart_upload_carries_the_hash_of_each_part() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let begun = client.create_multipart_upload().bucket(BUCKET).key("final");
    let begun = begun
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let upload = begun.upload_id().unwrap();
    let part = client.upload_part().bucket(BUCKET).key("final").upload_id(upload);
    let part = part.part_number(1).checksum_sha256(sha256(BODY));
    part.body(ByteStream::from_static(BODY)).send().await.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(etag(BODY));
    let part = part.checksum_sha256(sha256(BODY)).build();
    let whole = client.complete_multipart_upload().bucket(BUCKET).key("final");
    let whole = whole
        .upload_id(upload)
        .multipart_upload(CompletedMultipartUpload::builder().parts(part).build());
    whole.send().await.unwrap();

    let empty = hex(&Sha256::digest(b""));
    let expected = exactly(&[
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-content-sha256", &empty),
    ]);
    assert_eq!(sent(&stage, Operation::CreateMultipartUpload), expected);
    let expected = exactly(&[
        ("content-length", "6"),
        ("content-type", "application/octet-stream"),
        ("x-amz-checksum-sha256", &sha256(BODY)),
        ("x-amz-content-sha256", &hex(&Sha256::digest(BODY))),
    ]);
    assert_eq!(sent(&stage, Operation::UploadPart), expected);
    let mut complete = sent(&stage, Operation::CompleteMultipartUpload);
    assert_eq!(complete.remove("x-amz-content-sha256").unwrap().len(), 64);
    complete.remove("content-length").unwrap();
    assert_eq!(complete, exactly(&[("content-type", "application/xml")]));
}

/// Both `WhenRequired` and not: deleting many is the one request of ours for which the SDK always computes a CRC32.
#[tokio::test]
async fn deleting_many_always_carries_a_crc32() {
    let stage = Stage::r2().await;
    let object = ObjectIdentifier::builder().key("seg/0").build().unwrap();
    let objects = Delete::builder().objects(object).build().unwrap();
    let delete = stage.client().delete_objects().bucket(BUCKET).delete(objects);
    delete.send().await.unwrap();
    let headers = sent(&stage, Operation::DeleteObjects);
    assert!(headers.contains_key("x-amz-checksum-crc32"), "{headers:?}");
    assert_eq!(headers.get("x-amz-sdk-checksum-algorithm").unwrap(), "CRC32");
}
