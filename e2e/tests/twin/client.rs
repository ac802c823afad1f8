//! The AWS SDK as radio-operator uses it, and what it tells of an error.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::twin::{Key, hex};
use md5::{Digest, Md5};
use sha2::Sha256;

/// "429 is not retried": R2's code is not among the SDK's.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().map(|response| response.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "429"
    }
}

/// What recordings are sent with, of research/recording.md 1.7.
pub fn configured(endpoint: &str, access_key: &str, secret_key: &str) -> Builder {
    let grace = Duration::from_secs(30);
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("auto"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(grace)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(5)
                .with_initial_backoff(Duration::from_millis(1500)),
        )
        .retry_partition(
            RetryPartition::custom("twin")
                .token_bucket(TokenBucket::unlimited())
                .build(),
        )
        .retry_classifier(TooManyRequests)
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .read_timeout(grace)
                .operation_attempt_timeout(Duration::from_mins(1))
                .build(),
        )
        .http_client(http_client())
}

/// The SDK without what recorders add to it.
pub fn unclassified(endpoint: &str, key: &Key) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("auto"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            &key.access_key,
            &key.secret_key,
            None,
            None,
            "test",
        ))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .http_client(http_client());
    Client::from_conf(config.build())
}

fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Status and code of an outcome: (200, "") if it went well, (0, ..) if no answer came.
pub fn told<T, E: ProvideErrorMetadata>(outcome: Result<T, SdkError<E>>) -> (u16, String) {
    match outcome {
        Ok(_) => (200, String::new()),
        Err(error) => {
            let status = error
                .raw_response()
                .map_or(0, |response| response.status().as_u16());
            (status, error.code().unwrap_or_default().to_owned())
        }
    }
}

/// The `ETag` of an object that was put in one request.
pub fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex(&Md5::digest(body)))
}

/// The `ETag` of an object of these parts.
pub fn etag_of_parts(parts: &[&[u8]]) -> String {
    let sums: Vec<u8> = parts.iter().flat_map(|part| Md5::digest(part).to_vec()).collect();
    format!("\"{}-{}\"", hex(&Md5::digest(sums)), parts.len())
}

/// What `x-amz-checksum-sha256` says of a body.
pub fn sha256(body: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// Bytes that no two offsets share by chance.
pub fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let step = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    (0..length).map(step).collect()
}
