//! The bucket. IO: HTTP.
//!
//! Every request is tried until the store answers: an outage, throttling, refused keys or a lost answer only take time. An
//! error that comes out of here is one that asking again does not help, unless patience was limited. Keys are below the
//! Recording's prefix.

mod delete;
mod download;
mod error;
mod health;
mod keys;
mod lifecycle;
mod multipart;
mod object;
mod pace;
mod proof;
mod sent;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use backon::{ExponentialBuilder, Retryable};
use futures::future::{BoxFuture, FutureExt as _, TryFutureExt as _};
use prometheus_client::registry::Registry;

use crate::config::{Bucket, Profile, Recording};
pub use crate::report::Trouble;

pub use delete::Refusal;
pub use download::Download;
pub use error::Error;
pub use multipart::{Part, Upload, Uploaded};
pub use object::{Head, Object, SHA256};
pub use proof::Sums;
pub use sent::{Body, hex};

use health::Health;
use keys::Keys;
use pace::Pace;

const CONNECT: Duration = Duration::from_secs(3);
/// An upload or download that makes no progress for so long is broken.
const STALLED: Duration = Duration::from_secs(30);
/// Most requests take less by far.
const SLOW: Duration = Duration::from_secs(10);
/// R2 takes one write a second of one key: the first pause is longer than that.
const FIRST_PAUSE: Duration = Duration::from_millis(1500);
/// With the jitter, which doubles it at most, an hour's outage costs some eighty requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Keys that are refused are not asked for as often: the store may lock out who insists.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// A place in a bucket, mostly a Recording's. Clones share everything.
#[derive(Clone, Debug)]
pub struct Store {
    keys: Arc<Keys>,
    bucket: Arc<str>,
    prefix: Arc<str>,
    profile: Profile,
    /// For how long a request is tried; `None`: until there is an answer.
    patience: Option<Duration>,
    pace: Arc<Pace>,
    health: Arc<Health>,
}

impl Store {
    /// A Recording's, with the keys in the files of `credentials`, which are read again for each request. Asks nothing yet.
    #[must_use]
    pub fn open(recording: &Recording, credentials: &Path) -> Self {
        Self::at(&recording.store, recording.prefix(), credentials)
    }

    /// The same for everything below a prefix, which ends with `/`.
    #[must_use]
    pub fn at(bucket: &Bucket, prefix: String, credentials: &Path) -> Self {
        Self {
            keys: Arc::new(Keys::new(sdk(bucket), credentials)),
            bucket: bucket.bucket.as_str().into(),
            prefix: prefix.into(),
            profile: bucket.profile,
            patience: None,
            pace: Arc::new(Pace::new(bucket.bandwidth_cap)),
            health: Arc::default(),
        }
    }

    /// What is below a key of this one, which ends with `/`.
    #[must_use]
    pub fn below(&self, key: &str) -> Self {
        Self {
            prefix: self.key(key).into(),
            ..self.clone()
        }
    }

    /// The same, and what does not succeed for so long fails.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// Whose rules it keeps.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What is wrong with it now; `None` when the last answer was a good one.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.health.trouble()
    }

    /// Adds its metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.health.register(registry);
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Asks until there is an answer, or patience ends.
    async fn insist<T: Send, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let patience = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_total_delay(self.patience);
        // The SDK's futures are so deep that the compiler gives up on what holds them.
        let boxed = || -> BoxFuture<'_, Result<T, Error>> { told_if_slow(ask()).boxed() };
        boxed
            .retry(patience)
            .sleep(tokio::time::sleep)
            .when(Error::passes)
            .adjust(|failure, pause| pause.map(|pause| failure.pause(pause)))
            .notify(|failure, _| self.health.failed(failure))
            .inspect_ok(|_| self.health.worked())
            .inspect_err(|failure| self.health.answered_no(failure))
            .await
    }
}

/// A store that says nothing is told of, before patience with it ends.
async fn told_if_slow<T>(ask: impl Future<Output = T>) -> T {
    let mut ask = std::pin::pin!(ask);
    if let Ok(answer) = tokio::time::timeout(SLOW, &mut ask).await {
        return answer;
    }
    tracing::warn!(
        seconds = SLOW.as_secs(),
        "a request to the store takes longer than most; it is waited for"
    );
    ask.await
}

/// How the SDK speaks to a bucket, whoever uses it. Retries are ours alone: the SDK's know no 429 and give up in a long
/// outage.
#[must_use]
pub fn sdk(bucket: &Bucket) -> aws_sdk_s3::config::Builder {
    let http = aws_smithy_http_client::Builder::new();
    let http = if bucket.endpoint.starts_with("https://") {
        http.tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https()
    } else {
        http.build_http()
    };
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(bucket.region.clone()))
        .endpoint_url(&bucket.endpoint)
        .force_path_style(bucket.force_path_style)
        // Anything else sends what R2 refuses; checksums are set by hand where they are wanted.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALLED)
                .build(),
        )
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .http_client(http)
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
