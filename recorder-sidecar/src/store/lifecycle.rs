//! The bucket's rule that uploads nobody completes are given up. IO: HTTP.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter,
};
use backon::{ExponentialBuilder, Retryable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::{BoxFuture, FutureExt as _};
use md5::{Digest as _, Md5};

use super::object::{HEAD_PATIENCE, within};
use super::{Error, Store};
use crate::errand::Lifecycle;

/// After how many days.
const DAYS: i32 = 1;
/// It is looked at again tomorrow.
const TRIES: usize = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

impl Store {
    /// Sees to it that the store gives up what is uploaded below the prefix and not completed within a day. All other rules of
    /// the bucket stay. `name` is the rule's, and tells it from those of others. Most keys may not do this, and R2's may only
    /// if they are an administrator's: that is no failure.
    pub async fn give_up_uploads(&self, name: &str) -> Lifecycle {
        let patience = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(TRIES);
        let ask = || -> BoxFuture<'_, Result<(), Error>> { self.try_give_up_uploads(name).boxed() };
        let told = ask
            .retry(patience)
            .sleep(tokio::time::sleep)
            .when(|failure| matches!(failure, Error::Busy { .. } | Error::Silent { .. }));
        match told.await {
            Ok(()) => Lifecycle::Set,
            Err(Error::Unauthorized { doing, status, code }) => Lifecycle::Unknown(format!(
                "these keys may not do {doing} ({status} {code}); what nobody completes is given up by the daily sweep alone"
            )),
            Err(failure) => Lifecycle::Unknown(failure.to_string()),
        }
    }

    async fn try_give_up_uploads(&self, name: &str) -> Result<(), Error> {
        let Some(rules) = with_rule(self.rules().await?, name, &self.prefix) else {
            return Ok(());
        };
        let doing = "PutBucketLifecycleConfiguration".to_owned();
        let cannot = |failure: BuildError| Error::Refused {
            doing: doing.clone(),
            status: 0,
            code: "CannotBeAsked".to_owned(),
            words: failure.to_string(),
        };
        let rules = rules.map_err(cannot)?;
        let rules = BucketLifecycleConfiguration::builder()
            .set_rules(Some(rules))
            .build();
        let put = self
            .keys
            .client()?
            .put_bucket_lifecycle_configuration()
            .bucket(&*self.bucket)
            .lifecycle_configuration(rules.map_err(cannot)?)
            .customize()
            .mutate_request(with_md5);
        let put = within(&doing, HEAD_PATIENCE, put.send()).await?;
        put.map_err(|failure| Error::of(doing.clone(), "", &failure))?;
        tracing::info!(
            rule = name,
            "the bucket has the rule that gives up uploads after a day"
        );
        Ok(())
    }

    async fn rules(&self) -> Result<Vec<LifecycleRule>, Error> {
        let doing = "GetBucketLifecycleConfiguration".to_owned();
        let get = self
            .keys
            .client()?
            .get_bucket_lifecycle_configuration()
            .bucket(&*self.bucket);
        match within(&doing, HEAD_PATIENCE, get.send()).await? {
            Ok(told) => Ok(told.rules.unwrap_or_default()),
            Err(failure) => match Error::of(doing.clone(), "", &failure) {
                Error::Refused { code, .. } if code == "NoSuchLifecycleConfiguration" => Ok(Vec::new()),
                failure => Err(failure),
            },
        }
    }
}

/// The SDK insists on a checksum that R2 has not for this operation; all stores know this one.
fn with_md5(request: &mut HttpRequest) {
    let Some(body) = request.body().bytes() else {
        return;
    };
    let md5 = STANDARD.encode(Md5::digest(body));
    let headers = request.headers_mut();
    headers.remove("x-amz-sdk-checksum-algorithm");
    headers.remove("x-amz-checksum-crc32");
    headers.insert("content-md5", md5);
}

/// All rules of a bucket, and ours; `None` if they do without.
fn with_rule(
    mut rules: Vec<LifecycleRule>,
    name: &str,
    prefix: &str,
) -> Option<Result<Vec<LifecycleRule>, BuildError>> {
    if rules.iter().any(|rule| gives_up(rule, prefix)) {
        return None;
    }
    rules.retain(|rule| rule.id() != Some(name));
    let ours = LifecycleRule::builder()
        .id(name)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        .abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(DAYS)
                .build(),
        )
        .build();
    Some(ours.map(|ours| {
        rules.push(ours);
        rules
    }))
}

/// Whether a rule does it for everything below the prefix, whosever it is.
fn gives_up(rule: &LifecycleRule, prefix: &str) -> bool {
    let days = rule
        .abort_incomplete_multipart_upload()
        .and_then(AbortIncompleteMultipartUpload::days_after_initiation);
    *rule.status() == ExpirationStatus::Enabled
        && days.is_some_and(|days| (1..=DAYS).contains(&days))
        && place(rule).is_some_and(|place| prefix.starts_with(place))
}

/// Where a rule counts, if it asks for nothing but a place.
#[expect(deprecated, reason = "old rules have their prefix outside of the filter")]
fn place(rule: &LifecycleRule) -> Option<&str> {
    let Some(filter) = rule.filter() else {
        return Some(rule.prefix().unwrap_or_default());
    };
    let asks_for_more = filter.tag().is_some()
        || filter.and().is_some()
        || filter.object_size_greater_than().is_some()
        || filter.object_size_less_than().is_some();
    (!asks_for_more).then(|| filter.prefix().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{LifecycleExpiration, Tag};

    use super::*;

    const OURS: &str = "archive/city/radio/";

    fn giving_up(id: &str, prefix: Option<&str>, days: i32) -> LifecycleRule {
        let filter = LifecycleRuleFilter::builder().set_prefix(prefix.map(str::to_owned));
        let give_up = AbortIncompleteMultipartUpload::builder().days_after_initiation(days);
        LifecycleRule::builder()
            .id(id)
            .status(ExpirationStatus::Enabled)
            .filter(filter.build())
            .abort_incomplete_multipart_upload(give_up.build())
            .build()
            .unwrap()
    }

    /// The names of all rules if ours is put beside these.
    fn names(rules: &[LifecycleRule]) -> String {
        let Some(rules) = with_rule(rules.to_vec(), "ours", OURS) else {
            return "does without".to_owned();
        };
        let rules = rules.unwrap();
        let names: Vec<_> = rules.iter().filter_map(LifecycleRule::id).collect();
        names.join(", ")
    }

    #[test]
    fn the_rules_of_others_stay_as_they_are() {
        assert_eq!(names(&[]), "ours");
        let expiring = LifecycleRule::builder()
            .id("logs")
            .status(ExpirationStatus::Enabled)
            .expiration(LifecycleExpiration::builder().days(3).build())
            .build()
            .unwrap();
        let slow = giving_up("Default Multipart Abort Rule", None, 7);
        let there = [expiring.clone(), slow.clone()];
        let rules = with_rule(there.to_vec(), "ours", OURS).unwrap().unwrap();
        assert_eq!(rules[..2], there);
        assert_eq!(rules[2], giving_up("ours", Some(OURS), 1));
        assert_eq!(names(&rules), "does without", "it is there");
    }

    #[test]
    fn ours_is_mended_if_somebody_changed_it() {
        assert_eq!(names(&[giving_up("ours", Some(OURS), 30)]), "ours");
        let mut disabled = giving_up("ours", Some(OURS), 1);
        disabled.status = ExpirationStatus::Disabled;
        assert_eq!(names(&[disabled]), "ours");
        assert_eq!(names(&[giving_up("ours", Some("archive/town/"), 1)]), "ours");
    }

    #[test]
    fn another_rule_will_do_if_it_is_for_all_of_it() {
        for prefix in [None, Some(""), Some("archive/"), Some(OURS)] {
            assert_eq!(
                names(&[giving_up("of all", prefix, 1)]),
                "does without",
                "{prefix:?}"
            );
        }
        let below = giving_up("of one", Some("archive/city/radio/live/"), 1);
        assert_eq!(names(&[below]), "of one, ours");
        let mut tagged = giving_up("tagged", Some(""), 1);
        let tag = Tag::builder().key("a").value("b").build().unwrap();
        tagged.filter = Some(LifecycleRuleFilter::builder().tag(tag).build());
        assert_eq!(names(&[tagged]), "tagged, ours");
    }
}
