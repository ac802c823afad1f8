//! The store's own promises, without capture and ship: whole objects, and those in parts.

use std::collections::BTreeMap;

use bytes::Bytes;
use e2e::twin::{Effect, Fault, Operation, When};
use recorder::store::{Body, Error, Part, Store, Upload};

use crate::frames::Mp3;
use crate::stage::Tape;

const KEY: &str = "final-1/final-1.mp3";

fn piece(bytes: &[u8]) -> Body {
    Body::of(Bytes::copy_from_slice(bytes))
}

fn next(stage: &Tape, operation: Operation, when: When, effect: Effect) {
    stage.twin.faults().add(Fault::on(operation, when, effect));
}

/// Resumed by another process, completed twice, with answers lost on the way.
#[tokio::test]
async fn parts_become_an_object_whatever_is_lost() {
    let stage = Tape::new().await;
    let store = stage.recorders_store();
    let whole = Mp3::new(99).frames(40_000);
    let parts: Vec<Body> = whole.chunks(6 << 20).map(piece).collect();
    assert_eq!(parts.len(), 3);
    let metadata = BTreeMap::from([("kind".to_owned(), "final".to_owned())]);
    let upload = store.create_upload(KEY, "audio/mpeg", &metadata).await.unwrap();
    next(&stage, Operation::UploadPart, When::Nth(1), Effect::FlipUpload(5));
    next(&stage, Operation::UploadPart, When::Nth(2), Effect::LoseAnswer);
    for (number, body) in (1..).zip(&parts[..2]) {
        store.upload_part(&upload, number, body).await.unwrap();
    }
    let mut all = resumed(&store, &upload, &parts).await;
    all.push(store.upload_part(&upload, 3, &parts[2]).await.unwrap());
    next(
        &stage,
        Operation::CompleteMultipartUpload,
        When::Next(1),
        Effect::LoseAnswer,
    );
    store.complete(&upload, &all).await.unwrap();
    store.complete(&upload, &all).await.unwrap();
    store.abort(&upload).await.unwrap();
    let gone = store.list_parts(&upload).await;
    assert!(matches!(gone, Err(Error::NoUpload { .. })), "{gone:?}");
    let refused = store.upload_part(&upload, 1, &parts[0]).await;
    assert!(matches!(refused, Err(Error::NoUpload { .. })), "{refused:?}");
    let head = store.head(KEY).await.unwrap().unwrap();
    assert_eq!((head.size, head.metadata), (whole.len() as u64, metadata));

    for effect in [Effect::TruncateDownload(1 << 20), Effect::ResetBefore] {
        next(&stage, Operation::GetObject, When::Next(2), effect);
    }
    let mut download = store.get(KEY, 0).await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = download.next().await.unwrap() {
        read.extend_from_slice(&bytes);
    }
    assert!(read == whole);
}

/// The first two parts, as the store tells of them.
async fn resumed(store: &Store, upload: &Upload, parts: &[Body]) -> Vec<Part> {
    let found = store.list_uploads("final-1/").await.unwrap();
    assert_eq!(
        found.iter().map(|found| &found.id).collect::<Vec<_>>(),
        [&upload.id]
    );
    let listed = store.list_parts(&found[0]).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed[0].as_part(&Part::of(1, &parts[1])).is_none(),
        "another part"
    );
    let own = (1..).zip(&listed).zip(parts);
    own.map(|((number, listed), body)| listed.as_part(&Part::of(number, body)).unwrap())
        .collect()
}

#[tokio::test]
async fn a_new_object_never_replaces_another() {
    let stage = Tape::new().await;
    let store = stage.recorders_store();
    let mut audio = Mp3::new(98);
    let (one, other) = (piece(&audio.frames(10)), piece(&audio.frames(10)));
    let none = BTreeMap::new();
    next(&stage, Operation::PutObject, When::Next(1), Effect::LoseAnswer);
    store.put_new("x", &one, "audio/mpeg", &none).await.unwrap();
    store.put_new("x", &one, "audio/mpeg", &none).await.unwrap();
    let refused = store.put_new("x", &other, "audio/mpeg", &none).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_eq!(
        store.read("x", 1 << 20).await.unwrap().as_ref(),
        Some(one.bytes())
    );
    store
        .delete(&["x".to_owned(), "never there".to_owned()])
        .await
        .unwrap();
    assert_eq!(store.head("x").await.unwrap(), None);
    assert_eq!(store.read("x", 9).await.unwrap(), None);
}

/// R2 takes one write a second of one key, and says so.
#[tokio::test]
async fn writing_a_key_twice_takes_its_time() {
    let stage = Tape::new().await;
    let store = stage.recorders_store();
    for text in [b"first", b"again"] {
        store
            .put("manifest.json", &piece(text), "application/json")
            .await
            .unwrap();
    }
    assert_eq!(store.read("manifest.json", 9).await.unwrap().unwrap(), "again");
    let entries = stage.twin.log().entries();
    assert!(entries.iter().any(|entry| entry.status() == Some(429)));
}
