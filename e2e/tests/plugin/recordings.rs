//! ls, url, verify, restore.

use std::fs;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::stage::{BUCKET, RECORDINGS, Stage, sha256};

const NAME: &str = "live-20261121t180242z";
const OTHER: &str = "live-20261121t190000z";

fn audio(seed: u8) -> Vec<u8> {
    let bytes =
        (0..300_000_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap_or(0) ^ seed);
    bytes.collect()
}

#[tokio::test]
async fn a_log_for_people_and_for_programs() {
    let stage = Stage::new().await;
    stage.record(NAME, &audio(1));
    let said = stage.run("recordings ls").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .starts_with("Saturday 21 November 2026\n  18:02:43  live  24s"),
        "{}",
        said.out
    );
    assert!(said.out.contains(NAME), "{}", said.out);
    let said = stage.run("recordings ls -o json").await;
    assert_eq!(said.json()["recordings"][0]["name"], NAME);
    let said = stage.run("recordings ls -n nowhere").await;
    assert_eq!(said.out, "There are no such recordings.\n");
}

/// The link alone is enough, and only as it is.
#[tokio::test]
async fn a_link_gives_the_audio_to_whoever_has_it() {
    let stage = Stage::new().await;
    stage.record(NAME, &audio(2));
    let said = stage.run(&format!("recordings url {NAME} --for 1h")).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let link = said.out.trim_end();
    assert_eq!(said.out.lines().count(), 1, "nothing but the link: {}", said.out);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let get = async |link: &str| {
        let request = Request::get(link).body(Body::empty()).unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap(),
        )
    };
    let (status, got) = get(link).await;
    assert_eq!(status, 200);
    assert_eq!(sha256(&got), sha256(&audio(2)));
    assert!(link.contains("X-Amz-Expires=3600"), "{link}");
    let (status, _) = get(&link.replace("X-Amz-Expires=3600", "X-Amz-Expires=604800")).await;
    assert_eq!(status, 403, "nobody makes it last longer");
    let said = stage.run(&format!("recordings url {NAME} --for 8d")).await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("at most 7d"), "{}", said.err);
}

#[tokio::test]
async fn a_bit_that_turned_is_found() {
    let stage = Stage::new().await;
    let key = stage.record(NAME, &audio(3));
    stage.record(OTHER, &audio(4));
    let said = stage.run(&format!("recordings verify {NAME} {OTHER}")).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains(&sha256(&audio(3))), "{}", said.out);
    assert!(
        said.out.ends_with("read back: all as they were stored.\n"),
        "{}",
        said.out
    );

    stage.versity.rot(BUCKET, &key, 123_456).unwrap();
    let said = stage.run("recordings verify --all").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.ends_with(&format!("NOT good: {NAME}.\n")),
        "{}",
        said.out
    );
    let mut rotten = audio(3);
    rotten[123_456] ^= 1;
    assert!(said.out.contains(&sha256(&rotten)), "what it saw: {}", said.out);
    let told = stage.run("recordings verify --all -o json").await.json();
    let good: Vec<&Value> = told["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| &look["good"])
        .collect();
    assert_eq!(good, [false, true]);

    fs::remove_file(stage.file(&key)).unwrap();
    let said = stage.run(&format!("recordings verify {NAME}")).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("nothing: it is not in the bucket"),
        "{}",
        said.out
    );
}

/// An empty cluster gets them back as they were, and nothing is done twice.
#[tokio::test]
async fn what_the_bucket_has_comes_back() {
    let stage = Stage::new().await;
    for (name, seed) in [(NAME, 5), (OTHER, 6)] {
        stage.record(name, &audio(seed));
    }
    stage.begin("live-20261121t200000z");
    let path = format!("{RECORDINGS}/{NAME}");
    let before = stage.api.get(&path).unwrap();
    stage.api.forget_below(RECORDINGS);

    let dry = stage.run("recordings restore radio --dry-run").await;
    assert_eq!((dry.code, stage.api.writes()), (Some(0), 0), "{dry:?}");
    assert!(
        dry.out
            .ends_with("3 Recordings would be made, 0 there already.\n"),
        "{}",
        dry.out
    );

    let said = stage.run("recordings restore radio").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.ends_with("3 Recordings made, 0 there already.\n"),
        "{}",
        said.out
    );
    let after = stage.api.get(&path).unwrap();
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(stripped(&after["status"]), stripped(&before["status"]));
    let going_on = stage
        .api
        .get(&format!("{RECORDINGS}/live-20261121t200000z"))
        .unwrap();
    assert_eq!(going_on.get("status"), None, "the operator goes on with it");

    let writes = stage.api.writes();
    let again = stage.run("recordings restore radio -o json").await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let did: Vec<Value> = again.json()["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["did"].clone())
        .collect();
    assert_eq!(did[..2], [json!("there"), json!("there")]);
    assert_eq!(stage.api.writes(), writes, "nothing is written twice");

    // It ended between the two writes.
    let mut half = after.clone();
    half.as_object_mut().unwrap().remove("status");
    stage.api.put(&path, half);
    assert_eq!(stage.run("recordings restore radio").await.code, Some(0));
    assert_eq!(stage.api.get(&path).unwrap()["status"], after["status"]);
}

#[tokio::test]
async fn one_that_cannot_be_read_keeps_no_other_from_coming_back() {
    let stage = Stage::new().await;
    stage.record(NAME, &audio(7));
    stage.spoil("live-20261121t170000z");
    stage.api.forget_below(RECORDINGS);
    let said = stage.run("recordings restore radio").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out
            .contains("FAILED  live-20261121t170000z  manifest.json is not one of this version"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .ends_with("1 Recording made, 0 there already, 1 FAILED.\n"),
        "{}",
        said.out
    );
    assert!(stage.api.get(&format!("{RECORDINGS}/{NAME}")).is_some());
}

/// Where there is no Station yet.
#[tokio::test]
async fn the_bucket_can_be_told_by_hand() {
    let stage = Stage::new().await;
    stage.record(NAME, &audio(8));
    stage.api.forget_below("/apis/radio.moafunk.de");
    let said = stage.run("recordings restore radio").await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no Station radio"), "{}", said.err);
    let endpoint = stage.versity.endpoint();
    let line = format!(
        "recordings restore radio --endpoint {endpoint} --bucket {BUCKET} --secret s3 --prefix archive --region us-east-1"
    );
    let said = stage.run(&line).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let made = stage.api.get(&format!("{RECORDINGS}/{NAME}")).unwrap();
    assert_eq!(made["spec"]["store"], stage.store());
}

#[tokio::test]
async fn keys_that_are_refused_are_told_at_once() {
    let stage = Stage::new().await;
    stage.record(NAME, &audio(9));
    stage.put_secret("wr0ng-secret");
    let began = std::time::Instant::now();
    let said = stage.run(&format!("recordings verify {NAME}")).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("the store refused our keys"), "{said:?}");
    assert!(!format!("{said:?}").contains("wr0ng-secret"), "{said:?}");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let said = stage.run("recordings verify nobody").await;
    assert!(
        said.err
            .contains("there is no Recording nobody in namespace city"),
        "{}",
        said.err
    );
}

/// Sizes in words are the operator's own.
fn stripped(status: &Value) -> Value {
    let mut status = status.clone();
    status.as_object_mut().unwrap().remove("size");
    status
}
