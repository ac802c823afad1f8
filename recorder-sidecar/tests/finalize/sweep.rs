//! keep sweeps what was left behind, and nothing that somebody may still need.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use e2e::twin::{Effect, Fault, Operation, When};
use ingest::api::Container;
use recorder::manifest::{Range, Segment, segment_key};
use recorder::store::Upload;

use crate::audio::opus;
use crate::keep::{all, bucket, keep, put, sweep};
use crate::stage::{BUCKET, Source, Stage};

const SHOW: &str = "archive/radio/rfx/main/show";
const FINAL: [&str; 4] = [
    "final-1/final-1.ogg",
    "final-1/final.json",
    "final-1/final.m3u8",
    "manifest.json",
];

/// As if it were older by a day and an hour.
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_hours(25);
    let file = fs::File::open(path).unwrap_or_else(|failure| panic!("{}: {failure}", path.display()));
    file.set_modified(then).unwrap();
}

fn object(stage: &Stage, key: &str) -> PathBuf {
    stage.versity.folder().join(BUCKET).join(key)
}

fn upload(stage: &Stage, upload: &Upload) -> PathBuf {
    let uploads = fs::read_dir(object(stage, ".sgwtmp/multipart")).unwrap();
    let mut found = uploads.map(|of_key| of_key.unwrap().path().join(&upload.id));
    found.find(|path| path.exists()).unwrap()
}

/// A Recording that is verified, and the segments it had.
async fn verified(stage: &Stage) -> Vec<Segment> {
    let source = Source::new("a", 0, Container::Ogg, opus(30, 440));
    let taped = stage.store_session(&source).await;
    let segments = taped.segments.clone();
    stage.write_manifest(vec![taped]).await;
    stage.finalize().await;
    for key in FINAL {
        age(&object(stage, &format!("{SHOW}/{key}")));
    }
    segments
}

#[tokio::test]
async fn what_is_beside_a_verified_recording_goes_when_it_is_older_than_a_day() {
    let stage = Stage::new().await;
    let segments = verified(&stage).await;
    let unknown = segment_key("b", Range { from: 0, to: 9 }, Container::Ogg);
    let aged = [
        format!("{SHOW}/{}", segments[1].key),
        format!("{SHOW}/final-2/final-1.ogg"),
        format!("{SHOW}/{unknown}"),
        format!("{SHOW}/notes.txt"),
        "archive/radio/rfx/main/other/final-1/final-1.ogg".to_owned(),
        "archive/radio/rfx2/main/show/segments/a/000000000000000-000000000000009.ogg".to_owned(),
    ];
    let young = [
        format!("{SHOW}/{}", segments[0].key),
        format!("{SHOW}/final-3/final-1.ogg"),
    ];
    for key in aged.iter().chain(&young) {
        put(&stage, key).await;
    }
    for key in &aged {
        age(&object(&stage, key));
    }
    let before = all(&stage).await;
    let kept = keep(&stage, &sweep(&stage)).await;
    assert_eq!((kept.failure(), kept.objects), (None, 2), "{}", stage.log());
    let (gone, left): (Vec<_>, Vec<_>) = before
        .into_iter()
        .partition(|object| aged[..2].contains(&object.key));
    assert_eq!(all(&stage).await, left);
    assert_eq!(kept.bytes, gone.iter().map(|object| object.size).sum::<u64>());
}

#[tokio::test]
async fn uploads_that_nobody_completed_are_given_up_after_a_day() {
    let stage = Stage::new().await;
    let bucket = bucket(&stage);
    let (none, mut uploads) = (BTreeMap::new(), Vec::new());
    for key in [
        "archive/radio/rfx/main/x/final-1.ogg",
        "archive/radio/rfx/main/y",
        "archive/radio/rfx2/main/x",
    ] {
        let upload = bucket.create_upload(key, "audio/ogg", &none);
        uploads.push(upload.await.unwrap());
    }
    let there = async || {
        let there = bucket.list_uploads("").await.unwrap();
        there.into_iter().map(|upload| upload.key).collect::<Vec<_>>()
    };
    assert_eq!(keep(&stage, &sweep(&stage)).await.uploads, 0);
    age(&upload(&stage, &uploads[0]));
    age(&upload(&stage, &uploads[2]));
    assert_eq!(keep(&stage, &sweep(&stage)).await.uploads, 1);
    assert_eq!(there().await, [uploads[1].key.as_str(), uploads[2].key.as_str()]);

    // A store that does not let us is told of, and asked again.
    age(&upload(&stage, &uploads[1]));
    let answer = Effect::Answer {
        status: 503,
        code: "SlowDown".to_owned(),
        retry_after: None,
    };
    let fault = Fault::on(Operation::AbortMultipartUpload, When::Next(1), answer);
    stage.twin.faults().add(fault);
    let refused = keep(&stage, &sweep(&stage)).await;
    assert!(refused.failure().unwrap().contains("SlowDown"), "{refused:?}");
    assert_eq!(keep(&stage, &sweep(&stage)).await.uploads, 1);
    assert_eq!(there().await, [uploads[2].key.as_str()]);
}

#[tokio::test]
async fn segments_of_a_version_that_is_damaged_stay() {
    let stage = Stage::new().await;
    let segments = verified(&stage).await;
    let late = format!("{SHOW}/{}", segments[1].key);
    put(&stage, &late).await;
    age(&object(&stage, &late));
    fs::remove_file(object(&stage, &format!("{SHOW}/{}", FINAL[0]))).unwrap();
    let before = all(&stage).await;
    let kept = keep(&stage, &sweep(&stage)).await;
    assert_eq!((kept.objects, kept.failures.len()), (0, 1), "{kept:?}");
    assert_eq!(all(&stage).await, before);
}
