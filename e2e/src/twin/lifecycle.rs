//! The lifecycle rules of buckets, which the store behind has not: kept and told, never carried out. Does no IO.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use md5::{Digest as _, Md5};

use super::refusal::Refusal;

/// What was put last, by bucket.
#[derive(Default)]
pub(super) struct Lifecycles(Mutex<BTreeMap<String, Bytes>>);

impl Lifecycles {
    /// Answers a request for `?lifecycle`.
    pub(super) fn answer(
        &self,
        method: &Method,
        bucket: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, Refusal> {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *method {
            Method::PUT => {
                let said = headers.get("content-md5").and_then(|said| said.to_str().ok());
                // Amazon wants a checksum here, and R2 has none of the newer ones.
                if said != Some(&STANDARD.encode(Md5::digest(&body))) {
                    return Err(Refusal::new(
                        400,
                        "BadDigest",
                        "The Content-MD5 you specified is not that of what we received.",
                    ));
                }
                rules.insert(bucket.to_owned(), body);
                Ok(Response::new(Bytes::new()))
            }
            Method::GET => match rules.get(bucket) {
                Some(rules) => Ok(Response::new(rules.clone())),
                None => Err(Refusal::new(
                    404,
                    "NoSuchLifecycleConfiguration",
                    "The lifecycle configuration does not exist.",
                )),
            },
            Method::DELETE => {
                rules.remove(bucket);
                let mut gone = Response::new(Bytes::new());
                *gone.status_mut() = StatusCode::NO_CONTENT;
                Ok(gone)
            }
            _ => Err(Refusal::not_implemented("S3 operations are not yet implemented")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_kept_for_each_bucket_and_only_whole() {
        let kept = Lifecycles::default();
        let rules = Bytes::from_static(b"<LifecycleConfiguration/>");
        let sum = |bytes: &[u8]| {
            let sum = STANDARD.encode(Md5::digest(bytes));
            HeaderMap::from_iter([(http::HeaderName::from_static("content-md5"), sum.parse().unwrap())])
        };
        let ask = |method: Method, bucket: &str, headers: &HeaderMap, body: &Bytes| {
            let told = kept.answer(&method, bucket, headers, body.clone());
            told.map(Response::into_body).map_err(|refusal| refusal.status)
        };
        let none = Bytes::new();
        assert_eq!(ask(Method::GET, "a", &HeaderMap::new(), &none), Err(404));
        assert_eq!(ask(Method::PUT, "a", &HeaderMap::new(), &rules), Err(400));
        assert_eq!(ask(Method::PUT, "a", &sum(b"other"), &rules), Err(400));
        assert_eq!(ask(Method::PUT, "a", &sum(&rules), &rules), Ok(Bytes::new()));
        assert_eq!(ask(Method::GET, "a", &HeaderMap::new(), &none), Ok(rules.clone()));
        assert_eq!(ask(Method::GET, "b", &HeaderMap::new(), &none), Err(404));
        assert_eq!(
            ask(Method::DELETE, "a", &HeaderMap::new(), &none),
            Ok(Bytes::new())
        );
        assert_eq!(ask(Method::GET, "a", &HeaderMap::new(), &none), Err(404));
    }
}
