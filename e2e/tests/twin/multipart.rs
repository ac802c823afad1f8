//! R2's rules for multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use crate::client::{etag, etag_of_parts, noise, sha256, told};
use crate::stage::{BUCKET, Stage};

const MIB: usize = 1024 * 1024;

/// An upload of parts of these sizes, and the request that completes it.
pub async fn uploaded(
    client: &Client,
    key: &str,
    sizes: &[usize],
) -> (Vec<Bytes>, CompleteMultipartUploadFluentBuilder) {
    uploaded_to(client, BUCKET, key, sizes).await
}

/// The same in another bucket.
pub async fn uploaded_to(
    client: &Client,
    bucket: &str,
    key: &str,
    sizes: &[usize],
) -> (Vec<Bytes>, CompleteMultipartUploadFluentBuilder) {
    let begun = client.create_multipart_upload().bucket(bucket).key(key);
    let upload = begun.send().await.unwrap().upload_id().unwrap().to_owned();
    let (mut parts, mut completed) = (vec![], vec![]);
    for (number, size) in (1..).zip(sizes) {
        let body = Bytes::from(noise(u8::try_from(number).unwrap(), *size));
        let part = client.upload_part().bucket(bucket).key(key).upload_id(&upload);
        let part = part.part_number(number).body(ByteStream::from(body.clone()));
        let part = part.send().await.unwrap();
        completed.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .build(),
        );
        parts.push(body);
    }
    let completed = CompletedMultipartUpload::builder()
        .set_parts(Some(completed))
        .build();
    let complete = client.complete_multipart_upload().bucket(bucket).key(key);
    (parts, complete.upload_id(upload).multipart_upload(completed))
}

#[tokio::test]
async fn parts_are_equal_but_the_last_and_only_complete_says_so() {
    let stage = Stage::r2().await;
    let client = stage.client();
    for (key, sizes, code) in [
        ("longer last", &[5 * MIB, 6 * MIB][..], "InvalidPart"),
        ("shorter second", &[6 * MIB, 5 * MIB, 1], "InvalidPart"),
        ("small first", &[5 * MIB - 1, 5 * MIB - 1], "EntityTooSmall"),
    ] {
        let (_, complete) = uploaded(&client, key, sizes).await;
        assert_eq!(told(complete.send().await), (400, code.into()), "{key}");
        let head = client.head_object().bucket(BUCKET).key(key);
        assert_eq!(told(head.send().await).0, 404, "{key} is no object");
    }
    let (_, plain) = uploaded(&stage.versity(), "on AWS", &[5 * MIB, 6 * MIB]).await;
    assert_eq!(told(plain.send().await).0, 200, "AWS takes what R2 refuses");
}

#[tokio::test]
async fn an_upload_is_completed_once() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let (parts, complete) = uploaded(&client, "final", &[5 * MIB, 3]).await;
    let again = complete.clone();
    let whole = complete.send().await.unwrap();
    let parts: Vec<&[u8]> = parts.iter().map(Bytes::as_ref).collect();
    assert_eq!(whole.e_tag(), Some(etag_of_parts(&parts).as_str()));
    assert_eq!(told(again.send().await), (404, "NoSuchUpload".into()));
    let (_, complete) = uploaded(&stage.versity(), "on AWS", &[5 * MIB, 3]).await;
    complete.clone().send().await.unwrap();
    assert_eq!(told(complete.send().await).0, 200, "AWS says yes again");
}

#[tokio::test]
async fn of_two_who_complete_at_once_one_is_told_no() {
    let stage = Stage::r2().await;
    let (_, complete) = uploaded(&stage.client(), "final", &[5 * MIB, 3]).await;
    let (one, other) = tokio::join!(complete.clone().send(), complete.send());
    let mut statuses = [told(one).0, told(other).0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
}

#[tokio::test]
async fn a_condition_that_fails_aborts_the_upload() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let put = client.put_object().bucket(BUCKET).key("final");
    put.body(ByteStream::from_static(b"another"))
        .send()
        .await
        .unwrap();
    let (_, complete) = uploaded(&client, "final", &[5 * MIB, 3]).await;
    // A second after the object, or it would be one write too many.
    stage.pause_for_key().await;
    let complete = complete.if_none_match("*");
    let again = complete.clone();
    assert_eq!(told(complete.send().await), (412, "PreconditionFailed".into()));
    assert_eq!(
        told(again.send().await),
        (404, "NoSuchUpload".into()),
        "it is gone"
    );
}

#[tokio::test]
async fn a_wrong_etag_is_no_part() {
    let stage = Stage::r2().await;
    let (_, complete) = uploaded(&stage.client(), "final", &[3]).await;
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag(etag(b"other"))
        .build();
    let wrong = CompletedMultipartUpload::builder().parts(wrong).build();
    let outcome = complete.multipart_upload(wrong).send().await;
    assert_eq!(told(outcome), (400, "InvalidPart".into()));
}

#[tokio::test]
async fn an_upload_tells_when_it_ends() {
    let stage = Stage::r2().await;
    let begun = stage.client().create_multipart_upload().bucket(BUCKET).key("k");
    let begun = begun.send().await.unwrap();
    let days = (begun.abort_date().unwrap().secs() - jiff::Timestamp::now().as_second()) / 3600;
    assert!((167..=168).contains(&days), "{days} h");
}

#[tokio::test]
async fn with_checksums_every_part_needs_one() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
    let begun = begun
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let upload = begun.upload_id().unwrap();
    let part = || {
        let part = client.upload_part().bucket(BUCKET).key("k").upload_id(upload);
        part.part_number(1).body(ByteStream::from_static(b"on air"))
    };
    assert_eq!(told(part().send().await).0, 400, "none");
    let wrong = part().checksum_sha256(sha256(b"off air")).send().await;
    assert_eq!(told(wrong).0, 400, "a wrong one");
    let right = part().checksum_sha256(sha256(b"on air")).send().await;
    assert_eq!(told(right).0, 200);
}
