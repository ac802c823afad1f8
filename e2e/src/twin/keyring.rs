//! The key pairs the twin takes: any number, each with an end if it has one, so that tests can rotate them.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;
use serde::Deserialize;

use super::operation::Operation;
use super::refusal::Refusal;
use super::signature::{Authorization, unauthorized};

/// R2's region, and what "will alias to the `auto` region".
const REGIONS: [&str; 3] = ["auto", "", "us-east-1"];
/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_mins(15);

/// A key pair.
#[derive(Clone, Deserialize)]
pub struct Key {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// What a temporary key's requests must carry as `x-amz-security-token`.
    #[serde(default)]
    pub session_token: Option<String>,
    /// When it ends.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Whether it is an "Admin Read & Write" token; others are "Object Read & Write".
    #[serde(default)]
    pub admin: bool,
}

impl Key {
    /// An "Object Read & Write" token without an end.
    #[must_use]
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
            expires: None,
            admin: false,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Key").field(&self.access_key).finish()
    }
}

/// The keys that open the twin now.
#[derive(Default)]
pub struct Keyring(Mutex<Vec<Key>>);

impl Keyring {
    /// Adds a key, or changes the one of that name.
    pub fn put(&self, key: Key) {
        self.revoke(&key.access_key);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// From now on a key opens nothing.
    pub fn revoke(&self, access_key: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|key| key.access_key != access_key);
    }

    fn find(&self, access_key: &str) -> Option<Key> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.access_key == access_key).cloned()
    }

    /// Whether a request may be carried out.
    pub fn check(
        &self,
        operation: Operation,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if uri.query().is_some_and(|query| query.contains("X-Amz-Signature")) {
            return Err(Refusal::not_implemented("The twin takes no presigned URLs."));
        }
        let said = Authorization::read(headers)?;
        if !REGIONS.contains(&said.region.as_str()) {
            let message = format!("The region name '{}' is not valid. Must be: auto", said.region);
            return Err(Refusal::new(400, "InvalidRegionName", message));
        }
        check_time(headers, now)?;
        let key = self
            .find(&said.access_key)
            .ok_or_else(|| unauthorized("The access key is not known."))?;
        if key.expires.is_some_and(|end| end <= now) {
            return Err(unauthorized("The credentials have expired."));
        }
        let token = headers
            .get("x-amz-security-token")
            .and_then(|token| token.to_str().ok());
        if token != key.session_token.as_deref() {
            return Err(unauthorized("The session token is not the key's."));
        }
        let all_signed = headers
            .keys()
            .filter(|name| *name == "host" || name.as_str().starts_with("x-amz-"))
            .all(|name| said.signed.iter().any(|signed| name == signed.as_str()));
        if !all_signed || said.expected(&key.secret_key, method, uri, headers) != said.signature {
            return Err(Refusal::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. \
                 Check your secret access key and signing method.",
            ));
        }
        if operation.is_for_admins() && !key.admin {
            return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
        }
        Ok(())
    }
}

fn check_time(headers: &HeaderMap, now: Timestamp) -> Result<(), Refusal> {
    let said = headers
        .get("x-amz-date")
        .and_then(|date| date.to_str().ok())
        .and_then(|date| jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok())
        .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
    match said {
        Some(said) if said.timestamp().duration_since(now).unsigned_abs() <= SKEW => Ok(()),
        _ => Err(Refusal::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the server's time is too large.",
        )),
    }
}
