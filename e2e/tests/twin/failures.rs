//! Faults of the way to the store: errors, lost requests and answers, outages.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use e2e::twin::{Effect, Fault, Operation, Outage, Outcome, When};

use crate::client::{etag, noise, told};
use crate::multipart::uploaded;
use crate::stage::{BUCKET, Stage};

const MIB: usize = 1024 * 1024;

async fn put(client: &Client, key: &str, body: Vec<u8>) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
    let put = client.put_object().bucket(BUCKET).key(key).if_none_match("*");
    put.body(ByteStream::from(body)).send().await
}

async fn is_there(stage: &Stage, key: &str) -> bool {
    let head = stage.versity().head_object().bucket(BUCKET).key(key).send().await;
    told(head).0 == 200
}

fn outcomes(stage: &Stage, operation: Operation) -> Vec<Outcome> {
    let entries = stage.twin.log().of(operation);
    entries.iter().map(|entry| entry.outcome).collect()
}

fn on_put(stage: &Stage, when: When, effect: Effect) {
    stage
        .twin
        .faults()
        .add(Fault::on(Operation::PutObject, when, effect));
}

#[tokio::test]
async fn requests_wait() {
    let stage = Stage::r2().await;
    on_put(&stage, When::Always, Effect::Delay(300));
    let begun = Instant::now();
    put(&stage.client(), "k", noise(1, 9)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn errors_are_answered_and_nothing_is_stored() {
    let stage = Stage::r2().await;
    for (status, code, retry_after) in [
        (500, "InternalError", None),
        (503, "ServiceUnavailable", None),
        (429, "TooManyRequests", Some(7)),
        (401, "Unauthorized", None),
        (403, "AccessDenied", None),
    ] {
        let effect = Effect::Answer {
            status,
            code: code.into(),
            retry_after,
        };
        on_put(&stage, When::Next(1), effect);
        let key = format!("k/{status}");
        let outcome = put(&stage.client(), &key, noise(1, MIB)).await;
        let seen = outcome
            .as_ref()
            .err()
            .and_then(SdkError::raw_response)
            .and_then(|response| response.headers().get("retry-after"))
            .map(str::to_owned);
        assert_eq!(seen, retry_after.map(|seconds: u32| seconds.to_string()));
        assert_eq!(told(outcome), (status, code.into()));
        assert!(!is_there(&stage, &key).await);
        stage.twin.faults().clear();
        assert_eq!(told(put(&stage.client(), &key, noise(1, 9)).await).0, 200);
        stage.pause_for_key().await;
    }
}

#[tokio::test]
async fn a_recorders_client_gets_through_some_503() {
    let stage = Stage::r2().await;
    let effect = Effect::Answer {
        status: 503,
        code: "ServiceUnavailable".into(),
        retry_after: None,
    };
    on_put(&stage, When::Next(2), effect);
    let client = stage.client_with(|config| {
        let quick = RetryConfig::standard().with_max_attempts(5);
        config.retry_config(quick.with_initial_backoff(Duration::from_millis(20)))
    });
    put(&client, "k", noise(1, 9)).await.unwrap();
    let answered = [503, 503, 200].map(Outcome::Answered);
    assert_eq!(outcomes(&stage, Operation::PutObject), answered);
}

#[tokio::test]
async fn a_reset_before_leaves_nothing() {
    let stage = Stage::r2().await;
    on_put(&stage, When::Nth(1), Effect::ResetBefore);
    let outcome = put(&stage.client(), "k", noise(1, 9)).await;
    assert!(
        matches!(outcome, Err(SdkError::DispatchFailure(_))),
        "{outcome:?}"
    );
    assert_eq!(outcomes(&stage, Operation::PutObject), [Outcome::Cut]);
    assert!(!is_there(&stage, "k").await);
}

#[tokio::test]
async fn a_reset_in_the_middle_of_an_upload_leaves_nothing() {
    let stage = Stage::r2().await;
    on_put(&stage, When::Nth(1), Effect::ResetUpload(MIB as u64));
    let outcome = put(&stage.client(), "k", noise(1, 4 * MIB)).await;
    assert!(
        matches!(outcome, Err(SdkError::DispatchFailure(_))),
        "{outcome:?}"
    );
    assert_eq!(outcomes(&stage, Operation::PutObject), [Outcome::Cut]);
    assert!(!is_there(&stage, "k").await);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_object() {
    let stage = Stage::r2().await;
    on_put(&stage, When::Nth(1), Effect::LoseAnswer);
    let body = noise(1, 9);
    let outcome = put(&stage.client(), "k", body.clone()).await;
    assert!(
        matches!(outcome, Err(SdkError::DispatchFailure(_))),
        "{outcome:?}"
    );
    assert_eq!(outcomes(&stage, Operation::PutObject), [Outcome::Lost(200)]);
    stage.pause_for_key().await;
    // What a recorder then has to find out.
    let again = put(&stage.client(), "k", body.clone()).await;
    assert_eq!(told(again), (412, "PreconditionFailed".into()));
    let head = stage
        .client()
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some(etag(&body).as_str()));
}

#[tokio::test]
async fn a_lost_answer_to_complete_leaves_the_object_and_no_upload() {
    let stage = Stage::r2().await;
    let lost = Fault::on(
        Operation::CompleteMultipartUpload,
        When::Nth(1),
        Effect::LoseAnswer,
    );
    stage.twin.faults().add(lost);
    let (_, complete) = uploaded(&stage.client(), "final", &[5 * MIB, 3]).await;
    let again = complete.clone();
    assert_eq!(told(complete.send().await).0, 0);
    assert_eq!(told(again.send().await), (404, "NoSuchUpload".into()));
    assert!(is_there(&stage, "final").await);
}

#[tokio::test]
async fn complete_answers_200_with_an_error() {
    let stage = Stage::r2().await;
    let lie = Fault::on(
        Operation::CompleteMultipartUpload,
        When::Nth(1),
        Effect::ErrorIn200,
    );
    stage.twin.faults().add(lie);
    let (_, complete) = uploaded(&stage.client(), "final", &[5 * MIB, 3]).await;
    let again = complete.clone();
    assert_eq!(told(complete.send().await), (200, "InternalError".into()));
    assert!(!is_there(&stage, "final").await);
    assert_eq!(told(again.send().await), (200, String::new()));
    assert!(is_there(&stage, "final").await);
}

#[tokio::test]
async fn faults_are_for_the_keys_they_name() {
    let stage = Stage::r2().await;
    stage.twin.faults().add(Fault {
        key: "seg/".into(),
        ..Fault::anywhere(When::Always, Effect::ResetBefore)
    });
    assert_eq!(told(put(&stage.client(), "final", noise(1, 9)).await).0, 200);
    assert_eq!(told(put(&stage.client(), "seg/1", noise(1, 9)).await).0, 0);
}

#[tokio::test]
async fn an_outage_refuses_and_ends() {
    let stage = Stage::r2().await;
    let client = stage.client();
    put(&client, "before", noise(1, 9)).await.unwrap();
    stage.twin.outage(Outage::Refuse);
    stage.is_closed().await;
    assert_eq!(told(put(&client, "during", noise(1, 9)).await).0, 0);
    stage.twin.outage(Outage::None);
    stage.is_open().await;
    put(&client, "after", noise(1, 9)).await.unwrap();
    assert!(!is_there(&stage, "during").await);
}

#[tokio::test]
async fn an_outage_swallows_and_ends() {
    let stage = Stage::r2().await;
    let client = stage.client_with(|config| {
        let soon = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(1));
        config
            .retry_config(RetryConfig::disabled())
            .timeout_config(soon.build())
    });
    stage.twin.outage(Outage::Blackhole);
    let outcome = put(&client, "during", noise(1, 9)).await;
    assert!(matches!(outcome, Err(SdkError::TimeoutError(_))), "{outcome:?}");
    stage.twin.outage(Outage::None);
    put(&client, "after", noise(1, 9)).await.unwrap();
    assert!(!is_there(&stage, "during").await);
}

#[tokio::test]
async fn a_dead_store_is_an_error() {
    let mut stage = Stage::r2().await;
    stage.versity.kill().await.unwrap();
    let outcome = put(&stage.client(), "k", noise(1, 9)).await;
    assert_eq!(told(outcome), (500, "InternalError".into()));
}
