//! R2's limits: writes per key, lengths of keys and metadata, parts, pages, regions.

use std::time::{Duration, Instant};

use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use e2e::twin::Operation;

use crate::client::told;
use crate::stage::{BUCKET, Stage};

#[tokio::test]
async fn a_key_is_written_once_a_second() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let put = |key: &str| {
        let put = client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from_static(b"x")).send()
    };
    put("manifest").await.unwrap();
    put("another").await.unwrap();
    let refused = put("manifest").await;
    let retry_after = refused
        .as_ref()
        .unwrap_err()
        .raw_response()
        .and_then(|response| response.headers().get("retry-after").map(str::to_owned));
    assert_eq!(retry_after.as_deref(), Some("1"));
    assert_eq!(told(refused), (429, "TooManyRequests".into()));
    let delete = client.delete_object().bucket(BUCKET).key("manifest");
    assert_eq!(told(delete.send().await).0, 429);
    for _ in 0..3 {
        let got = client.get_object().bucket(BUCKET).key("manifest");
        assert_eq!(told(got.send().await).0, 200, "reading is free");
    }
    stage.pause_for_key().await;
    assert_eq!(told(put("manifest").await).0, 200);
}

/// A recorder's client waits and comes back; the SDK alone would have given up.
#[tokio::test]
async fn a_recorders_client_tries_again_and_the_bare_sdk_does_not() {
    let stage = Stage::r2().await;
    let client = stage.client_with(|config| config);
    let put = || {
        let put = client.put_object().bucket(BUCKET).key("manifest");
        put.body(ByteStream::from_static(b"x")).send()
    };
    put().await.unwrap();
    put().await.unwrap();
    let statuses: Vec<_> = stage.twin.log().of(Operation::PutObject);
    let statuses: Vec<_> = statuses.iter().map(|entry| entry.status().unwrap()).collect();
    assert_eq!(statuses.first(), Some(&200));
    assert_eq!(statuses.get(1), Some(&429), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&200));

    let bare = crate::client::unclassified(&stage.twin.endpoint(), stage.key());
    let put = bare.put_object().bucket(BUCKET).key("manifest");
    let begun = Instant::now();
    let outcome = put.body(ByteStream::from_static(b"x")).send().await;
    assert_eq!(told(outcome).0, 429);
    assert!(begun.elapsed() < Duration::from_secs(1), "at once");
}

#[tokio::test]
async fn names_and_metadata_have_an_end() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let put = |key: String, note: usize| {
        let put = client.put_object().bucket(BUCKET).key(key);
        let put = put.metadata("note", "n".repeat(note));
        put.body(ByteStream::from_static(b"x")).send()
    };
    // Not one long name: versitygw stores each as a file's.
    let key = |length: usize| "123456789/".repeat(103).split_at(length).0.to_owned();
    assert_eq!(told(put(key(1023), 1).await).0, 200);
    assert_eq!(told(put(key(1025), 1).await), (400, "InvalidObjectName".into()));
    assert_eq!(
        told(put("k".into(), 8192 - 3).await),
        (400, "MetadataTooLarge".into())
    );
    let part = client.upload_part().bucket(BUCKET).key("k").upload_id("u");
    let part = part.part_number(10_001).body(ByteStream::from_static(b"x"));
    assert_eq!(told(part.send().await), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn pages_and_batches_have_an_end() {
    let stage = Stage::r2().await;
    let client = stage.client();
    let listed = client.list_objects_v2().bucket(BUCKET).max_keys(5000);
    assert_eq!(listed.send().await.unwrap().max_keys(), Some(1000));
    let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
    let upload = begun.send().await.unwrap().upload_id().unwrap().to_owned();
    let parts = client.list_parts().bucket(BUCKET).key("k").upload_id(upload);
    assert_eq!(
        parts.max_parts(5000).send().await.unwrap().max_parts(),
        Some(1000)
    );
    let many = (0..1001).map(|number| {
        ObjectIdentifier::builder()
            .key(format!("{number}"))
            .build()
            .unwrap()
    });
    let many = Delete::builder()
        .set_objects(Some(many.collect()))
        .build()
        .unwrap();
    let delete = client.delete_objects().bucket(BUCKET).delete(many);
    assert_eq!(told(delete.send().await), (400, "MalformedXML".into()));
}

#[tokio::test]
async fn the_region_is_auto_or_an_alias() {
    let stage = Stage::r2().await;
    for (region, status) in [("auto", 200), ("us-east-1", 200), ("eu-central-1", 400)] {
        let client = stage.client_with(|config| {
            config
                .region(Region::new(region))
                .retry_config(RetryConfig::disabled())
        });
        let listed = client.list_objects_v2().bucket(BUCKET).send().await;
        assert_eq!(told(listed).0, status, "{region}");
    }
}
