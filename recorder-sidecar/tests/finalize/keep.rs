//! keep: what it is told goes and nothing else, it counts, and it says what it could not do.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use e2e::twin::{Effect, Entry, Fault, Key, Operation, Outage, When};
use futures::TryStreamExt;
use recorder::config::{ACCESS_KEY_ID, Recording, SECRET_ACCESS_KEY};
use recorder::errand::{Errand, KEEP_KEY, Kept, Lifecycle, Place, Sweep};
use recorder::report::Report;
use recorder::store::{Body, Object, Store};
use tokio::process::Command;
use tokio::time::timeout;

use crate::stage::{BUCKET, Stage};

const PATIENCE: Duration = Duration::from_mins(1);
/// What a Recording that is finished has in the bucket.
const OBJECTS: [&str; 5] = [
    "final-1/final-1.ogg",
    "final-1/final.json",
    "final-1/final.m3u8",
    "manifest.json",
    "manifests/0123456789abcdef.json",
];

fn place(name: &str) -> Place {
    Place {
        mount: "live".to_owned(),
        name: name.to_owned(),
    }
}

fn errand(stage: &Stage, recordings: &[&str]) -> Errand {
    let recording = Recording::parse(&serde_json::to_vec(&stage.recording).unwrap()).unwrap();
    Errand {
        order: "1".to_owned(),
        store: recording.store,
        namespace: "radio".to_owned(),
        station: "rfx".to_owned(),
        recordings: recordings.iter().map(|name| place(name)).collect(),
        sweep: None,
    }
}

pub fn sweep(stage: &Stage) -> Errand {
    let verified = vec![Place {
        mount: "main".to_owned(),
        name: "show".to_owned(),
    }];
    Errand {
        sweep: Some(Sweep { verified }),
        ..errand(stage, &[])
    }
}

/// Runs it; whether it ended well, and its last words.
async fn run(stage: &Stage, errand: &Errand, more: &[&str]) -> (bool, Report) {
    let dir = stage.dir.path();
    let (mounted, report) = (dir.join("errand"), dir.join("report"));
    fs::create_dir_all(&mounted).unwrap();
    fs::write(mounted.join(KEEP_KEY), serde_json::to_vec(errand).unwrap()).unwrap();
    fs::write(&report, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
    command
        .args(["keep", "--order", "1", "--mounted"])
        .arg(&mounted)
        .arg("--report")
        .arg(&report)
        .kill_on_drop(true);
    if !more.contains(&"--credentials") {
        command.arg("--credentials").arg(dir.join("keys"));
    }
    if !more.contains(&"--patience") {
        command.args(["--patience", "1"]);
    }
    let ended = timeout(PATIENCE, command.args(more).status()).await;
    let words = fs::read_to_string(&report).unwrap();
    let report = Report::parse(&words).unwrap_or_else(|| panic!("no report: {words:?}"));
    (ended.unwrap().unwrap().success(), report)
}

pub async fn keep(stage: &Stage, errand: &Errand) -> Kept {
    keep_with(stage, errand, &[]).await
}

async fn keep_with(stage: &Stage, errand: &Errand, more: &[&str]) -> Kept {
    match run(stage, errand, more).await {
        (true, Report::Kept(kept)) => {
            println!("{kept:?}");
            kept
        }
        other => panic!("{other:?}"),
    }
}

/// The whole bucket.
pub fn bucket(stage: &Stage) -> Store {
    let recording = Recording::parse(&serde_json::to_vec(&stage.recording).unwrap()).unwrap();
    Store::at(&recording.store, String::new(), &stage.dir.path().join("keys"))
}

pub async fn all(stage: &Stage) -> Vec<Object> {
    bucket(stage).list("").try_collect().await.unwrap()
}

pub async fn put(stage: &Stage, key: &str) {
    let body = Body::of(Bytes::from(format!("what {key} has")));
    bucket(stage).put(key, &body, "text/plain").await.unwrap();
}

async fn put_recording(stage: &Stage, place: &str) {
    for object in OBJECTS {
        put(stage, &format!("{place}/{object}")).await;
    }
}

/// Recordings of all sorts of names that are none of this errand's business.
const OTHERS: [&str; 6] = [
    "archive/radio/rfx/live/live-30",
    "archive/radio/rfx/live2/live-1",
    "archive/radio/rfx2/live/live-1",
    "archive/radio2/rfx/live/live-1",
    "radio/rfx/live/live-1",
    "archive/archive/radio/rfx/live/live-1",
];

async fn fill(stage: &Stage, names: &[&str]) -> u64 {
    let mut bytes = 0;
    for name in names {
        put_recording(stage, &format!("archive/radio/rfx/live/{name}")).await;
    }
    for object in all(stage).await {
        bytes += object.size;
    }
    for place in OTHERS {
        put_recording(stage, place).await;
    }
    for key in [
        "archive/radio/rfx/live/notes.txt",
        "archive/radio/rfx/notes.txt",
        "notes.txt",
    ] {
        put(stage, key).await;
    }
    bytes
}

fn without(objects: &[Object], names: &[&str]) -> Vec<Object> {
    let goes = |object: &&Object| {
        let is_of = |name: &&str| object.key.starts_with(&format!("archive/radio/rfx/live/{name}/"));
        !names.iter().any(is_of)
    };
    objects.iter().filter(goes).cloned().collect()
}

#[tokio::test]
async fn exactly_the_named_recordings_go_and_are_counted() {
    let stage = Stage::new().await;
    let going = ["live-1", "live-2", "live-3"];
    let bytes = fill(&stage, &going).await;
    // More than one request takes, and an upload that nobody completed.
    let many = stage
        .versity
        .folder()
        .join(BUCKET)
        .join("archive/radio/rfx/live/live-1/segments/s");
    fs::create_dir_all(&many).unwrap();
    for number in 0..1005 {
        fs::write(many.join(format!("{number:015}-{:015}.ogg", number + 1)), b"ogg").unwrap();
    }
    let open = "archive/radio/rfx/live/live-2/final-1/final-2.ogg";
    let bucket = bucket(&stage);
    bucket
        .create_upload(open, "audio/ogg", &BTreeMap::new())
        .await
        .unwrap();
    let other = "archive/radio/rfx/live/live-30/final-1/final-2.ogg";
    let other = bucket
        .create_upload(other, "audio/ogg", &BTreeMap::new())
        .await
        .unwrap();
    put_recording(&stage, "archive/radio/rfx/live/live-4").await;
    let before = all(&stage).await;
    assert_eq!(before.len(), 4 * 5 + 1005 + 6 * 5 + 3);

    // An answer that is lost is no harm.
    let lost = Fault::on(Operation::DeleteObjects, When::Next(1), Effect::LoseAnswer);
    stage.twin.faults().add(lost);
    let kept = keep_with(&stage, &errand(&stage, &going), &["--patience", "30"]).await;
    let told: Vec<_> = kept
        .recordings
        .iter()
        .map(|gone| (gone.name.as_str(), gone.objects))
        .collect();
    assert_eq!(told, [("live-1", 1010), ("live-2", 5), ("live-3", 5)]);
    assert_eq!(
        (kept.objects, kept.bytes, kept.uploads),
        (1020, bytes + 1005 * 3, 1)
    );
    assert_eq!((&kept.failures[..], &kept.lifecycle), (&[][..], &None));
    assert_eq!(
        all(&stage).await,
        without(&before, &going),
        "nothing else is touched"
    );
    let left = bucket.list_uploads("").await.unwrap();
    assert_eq!(
        left.iter().map(|upload| &upload.id).collect::<Vec<_>>(),
        [&other.id]
    );

    // Nothing is left to be done, and that is told as well.
    let again = keep(&stage, &errand(&stage, &going)).await;
    assert_eq!((again.objects, again.recordings.len()), (0, 3));
}

#[tokio::test]
async fn what_the_store_refuses_is_told_and_goes_the_next_time() {
    let stage = Stage::new().await;
    let going = ["live-1", "live-2", "live-3"];
    fill(&stage, &going).await;
    let before = all(&stage).await;
    let refuse = |when| {
        let answer = Effect::Answer {
            status: 403,
            code: "AccessDenied".to_owned(),
            retry_after: None,
        };
        stage.twin.faults().clear();
        stage
            .twin
            .faults()
            .add(Fault::on(Operation::DeleteObjects, when, answer));
    };
    refuse(When::Always);
    let kept = keep(&stage, &errand(&stage, &going)).await;
    assert_eq!(
        (kept.objects, kept.recordings.len(), kept.failures.len()),
        (0, 0, 1)
    );
    let words = kept.failure().unwrap();
    assert!(
        words.starts_with("live/live-1/: ") && words.contains("AccessDenied"),
        "{words}"
    );
    assert_eq!(all(&stage).await, before);

    refuse(When::Nth(2));
    let kept = keep(&stage, &errand(&stage, &going)).await;
    let told: Vec<_> = kept.recordings.iter().map(|gone| gone.name.as_str()).collect();
    assert_eq!((told, kept.objects, kept.failures.len()), (vec!["live-1"], 5, 1));
    assert_eq!(all(&stage).await, without(&before, &["live-1"]));

    stage.twin.faults().clear();
    stage.twin.outage(Outage::Refuse);
    let kept = keep(&stage, &errand(&stage, &going)).await;
    assert_eq!(
        (kept.objects, kept.recordings.len(), kept.failures.len()),
        (0, 0, 1)
    );
    stage.twin.outage(Outage::None);

    let kept = keep(&stage, &errand(&stage, &going)).await;
    let told: Vec<_> = kept
        .recordings
        .iter()
        .map(|gone| (gone.name.as_str(), gone.objects))
        .collect();
    assert_eq!(told, [("live-1", 0), ("live-2", 5), ("live-3", 5)]);
    assert_eq!(kept.failure(), None);
    assert_eq!(all(&stage).await, without(&before, &going));
}

#[tokio::test]
async fn an_errand_that_is_not_this_jobs_is_not_done() {
    let stage = Stage::new().await;
    fill(&stage, &["live-1"]).await;
    let before = all(&stage).await;
    let other = Errand {
        order: "0".to_owned(),
        ..errand(&stage, &["live-1"])
    };
    let (well, report) = run(&stage, &other, &[]).await;
    assert!(
        !well && matches!(&report, Report::Failed(failed) if failed.words.contains("another errand")),
        "{report:?}"
    );
    for name in ["..", "live-1/../live-30", ""] {
        let (well, report) = run(&stage, &errand(&stage, &[name]), &[]).await;
        assert!(!well && matches!(report, Report::Failed(_)), "{name:?}");
    }
    assert_eq!(all(&stage).await, before);
}

fn settings(stage: &Stage) -> Vec<Entry> {
    stage.twin.log().of(Operation::BucketSettings)
}

#[tokio::test]
async fn the_rule_that_gives_up_uploads_is_set_or_unknown() {
    let stage = Stage::new().await;
    let kept = keep(&stage, &sweep(&stage)).await;
    let Some(Lifecycle::Unknown(words)) = &kept.lifecycle else {
        panic!("an object token may not do this: {kept:?}");
    };
    assert!(words.contains("AccessDenied"), "{words}");
    assert_eq!(kept.failure(), None, "that is no failure");

    let admin: &Key = stage.versity.key();
    let keys = stage.dir.path().join("admin");
    fs::create_dir_all(&keys).unwrap();
    fs::write(keys.join(ACCESS_KEY_ID), &admin.access_key).unwrap();
    fs::write(keys.join(SECRET_ACCESS_KEY), &admin.secret_key).unwrap();
    let as_admin = ["--credentials", keys.to_str().unwrap()];
    stage.twin.log().clear();
    let set = keep_with(&stage, &sweep(&stage), &as_admin).await;
    assert_eq!(set.lifecycle, Some(Lifecycle::Set), "{:?}", settings(&stage));
    let puts = |stage: &Stage| {
        let is_put = |entry: &&Entry| entry.headers.contains_key("content-md5");
        settings(stage).iter().filter(is_put).count()
    };
    assert_eq!(puts(&stage), 1);
    let again = keep_with(&stage, &sweep(&stage), &as_admin).await;
    assert_eq!(
        (again.lifecycle, puts(&stage)),
        (Some(Lifecycle::Set), 1),
        "it is there"
    );
    // Another Station's rule beside it.
    let mut other = sweep(&stage);
    other.station = "other".to_owned();
    let beside = keep_with(&stage, &other, &as_admin).await;
    assert_eq!((beside.lifecycle, puts(&stage)), (Some(Lifecycle::Set), 2));
    let again = keep_with(&stage, &sweep(&stage), &as_admin).await;
    assert_eq!(
        (again.lifecycle, puts(&stage)),
        (Some(Lifecycle::Set), 2),
        "the first one is there still"
    );
}
