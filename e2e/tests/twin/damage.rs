//! Faults of the bytes: turned, missing, slow.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use e2e::twin::{Effect, Fault, Operation, When};

use crate::client::{etag, noise, sha256};
use crate::stage::{BUCKET, Stage};

const MIB: usize = 1024 * 1024;

async fn stored(stage: &Stage, key: &str, length: usize) -> Vec<u8> {
    let body = noise(1, length);
    let put = stage.client().put_object().bucket(BUCKET).key(key);
    put.body(ByteStream::from(body.clone())).send().await.unwrap();
    body
}

/// What comes of reading a key: its bytes, or that it broke off.
async fn read(client: &Client, key: &str) -> Result<Vec<u8>, String> {
    let got = client.get_object().bucket(BUCKET).key(key).send().await;
    let got = got.map_err(|error| format!("{error:?}"))?;
    let body = got.body.collect().await.map_err(|error| format!("{error:?}"))?;
    Ok(body.to_vec())
}

fn on_get(stage: &Stage, effect: Effect) {
    stage
        .twin
        .faults()
        .add(Fault::on(Operation::GetObject, When::Next(1), effect));
}

/// Offsets at which two bodies of one length differ.
fn differences(one: &[u8], other: &[u8]) -> Vec<usize> {
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other).enumerate();
    pairs.filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect()
}

#[tokio::test]
async fn a_byte_is_turned_on_the_way_in_and_the_etag_tells() {
    let stage = Stage::r2().await;
    let turn = Effect::FlipUpload(1_500_000);
    stage
        .twin
        .faults()
        .add(Fault::on(Operation::PutObject, When::Next(1), turn));
    let body = noise(1, 2 * MIB);
    let put = stage
        .client()
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_sha256(sha256(&body));
    let put = put.body(ByteStream::from(body.clone())).send().await.unwrap();
    let found = read(&stage.client(), "k").await.unwrap();
    assert_eq!(differences(&body, &found), [1_500_000]);
    assert_eq!(put.e_tag(), Some(etag(&found).as_str()));
    assert_ne!(put.e_tag(), Some(etag(&body).as_str()));
}

#[tokio::test]
async fn a_byte_of_a_part_with_a_checksum_is_turned_too() {
    let stage = Stage::r2().await;
    stage.twin.faults().add(Fault::on(
        Operation::UploadPart,
        When::Next(1),
        Effect::FlipUpload(3),
    ));
    let client = stage.client();
    let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
    let begun = begun
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .send()
        .await
        .unwrap();
    let part = client.upload_part().bucket(BUCKET).key("k").part_number(1);
    let part = part
        .upload_id(begun.upload_id().unwrap())
        .checksum_sha256(sha256(b"on air"));
    let part = part
        .body(ByteStream::from_static(b"on air"))
        .send()
        .await
        .unwrap();
    assert_eq!(part.e_tag(), Some(etag(b"on `ir").as_str()));
}

#[tokio::test]
async fn a_byte_is_turned_on_the_way_out_and_nothing_tells() {
    let stage = Stage::r2().await;
    let body = stored(&stage, "k", 2 * MIB).await;
    on_get(&stage, Effect::FlipDownload(1_500_000));
    let found = read(&stage.client(), "k").await.unwrap();
    assert_eq!(differences(&body, &found), [1_500_000]);
    assert_eq!(read(&stage.client(), "k").await.unwrap(), body, "only once");
}

#[tokio::test]
async fn a_stored_byte_rots_and_nothing_tells() {
    let stage = Stage::r2().await;
    let body = stored(&stage, "seg/1", 1000).await;
    stage.versity.rot(BUCKET, "seg/1", 700).unwrap();
    let head = stage
        .client()
        .head_object()
        .bucket(BUCKET)
        .key("seg/1")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some(etag(&body).as_str()));
    let found = read(&stage.client(), "seg/1").await.unwrap();
    assert_eq!(differences(&body, &found), [700]);
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let stage = Stage::r2().await;
    stored(&stage, "k", 2 * MIB).await;
    on_get(&stage, Effect::TruncateDownload(MIB as u64));
    read(&stage.client(), "k").await.unwrap_err();
    assert_eq!(read(&stage.client(), "k").await.unwrap().len(), 2 * MIB);
}

#[tokio::test]
async fn no_timeout_of_the_sdk_ends_a_body_that_stalls() {
    let stage = Stage::r2().await;
    stored(&stage, "k", 2 * MIB).await;
    on_get(&stage, Effect::StallDownload(MIB as u64));
    let client = stage.client_with(|config| {
        let soon = TimeoutConfig::builder().operation_timeout(Duration::from_secs(1));
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(soon.build())
    });
    let reading = read(&client, "k");
    let outcome = tokio::time::timeout(Duration::from_secs(2), reading).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

#[tokio::test]
async fn bodies_go_slowly() {
    let stage = Stage::r2().await;
    for operation in [Operation::PutObject, Operation::GetObject] {
        stage
            .twin
            .faults()
            .add(Fault::on(operation, When::Always, Effect::Slow(2_000_000)));
    }
    let begun = Instant::now();
    let body = stored(&stage, "k", 1_000_000).await;
    let (sent, begun) = (begun.elapsed(), Instant::now());
    assert_eq!(read(&stage.client(), "k").await.unwrap(), body);
    let (got, half) = (begun.elapsed(), Duration::from_millis(500));
    assert!(sent >= half && got >= half, "{sent:?} in, {got:?} out");
}
