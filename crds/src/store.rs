//! The bucket that recordings are kept in. No IO.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{refs::SecretRef, text};

/// What requests are signed for if nothing else is said.
pub const DEFAULT_REGION: &str = "auto";

/// A bucket of an S3 store, and the way to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Address of the S3 API, e.g. `https://<account>.r2.cloudflarestorage.com`.
    #[schemars(length(min = 8, max = 200))]
    #[x_kube(validation = text::server_address())]
    pub endpoint: String,

    /// Region that requests are signed for. Default: `auto`. AWS wants its own, e.g. `eu-central-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::region())]
    pub region: Option<String>,

    /// Name of the bucket, 3 to 63 characters. It has to be there.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = text::bucket())]
    pub bucket: String,

    /// Everything is below it: `<prefix>/<namespace>/<station>/<mount>/<recording>/`. Default: the bucket's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = text::key_prefix())]
    pub prefix: Option<String>,

    /// Whose rules the store keeps: `r2`, `aws` or `generic`. Default: by the endpoint's host name, else `generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,

    /// The bucket's name is in the path, not in the host name. Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,

    /// Most bytes a second one recording sends, over some seconds, e.g. `2Mi`. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = text::byte_rate())]
    pub bandwidth_cap: Option<String>,

    /// A Secret with the keys `access-key-id` and `secret-access-key`. Other values count within a minute, also for a
    /// recording under way.
    pub secret_ref: SecretRef,
}

/// Whose rules a store keeps: `r2`, `aws` or `generic`. Default: by the endpoint's host name, else `generic`.
// The schema takes this text for the optional field, not the field's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Cloudflare R2.
    R2,
    /// Amazon S3.
    Aws,
    /// Anything else; the least is taken for granted.
    #[default]
    Generic,
}

impl Bucket {
    /// What requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or(DEFAULT_REGION)
    }

    /// Whose rules the store keeps.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let host = || {
            let host = self.endpoint.split("://").nth(1).unwrap_or_default();
            host.split(['/', ':']).next().unwrap_or_default()
        };
        self.profile.unwrap_or_else(|| match host() {
            host if host.ends_with(".r2.cloudflarestorage.com") => Profile::R2,
            host if host.ends_with(".amazonaws.com") => Profile::Aws,
            _ => Profile::Generic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_name_tells_whose_rules_count() {
        let profile = |endpoint: &str, profile| {
            let endpoint = endpoint.to_owned();
            Bucket {
                endpoint,
                profile,
                ..Bucket::default()
            }
            .profile()
        };
        assert_eq!(profile("https://abc.r2.cloudflarestorage.com", None), Profile::R2);
        assert_eq!(
            profile("https://abc.eu.r2.cloudflarestorage.com:443/", None),
            Profile::R2
        );
        assert_eq!(
            profile("https://s3.eu-central-1.amazonaws.com", None),
            Profile::Aws
        );
        assert_eq!(
            profile("https://amazonaws.com.example.org", None),
            Profile::Generic
        );
        assert_eq!(profile("http://minio:9000", None), Profile::Generic);
        assert_eq!(profile("http://twin:9000", Some(Profile::R2)), Profile::R2);
    }
}
