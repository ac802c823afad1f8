//! AWS Signature Version 4, for both sides: what a client should have sent, and what the store behind wants. Pure.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What an `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The public half of the key pair.
    pub access_key: String,
    /// `20261121`.
    pub day: String,
    /// For whom it was signed; R2 knows `auto` and its aliases.
    pub region: String,
    /// The headers that are signed, in order.
    pub signed: Vec<String>,
    /// The signature, in hex.
    pub signature: String,
}

impl Authorization {
    /// Reads one.
    pub fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let header = headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| unauthorized("Missing authentication credentials."))?;
        Self::parse(header).ok_or_else(|| unauthorized("The Authorization header is malformed."))
    }

    fn parse(header: &str) -> Option<Self> {
        let fields = header.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut credential = field("Credential")?.rsplitn(5, '/');
        if credential.next()? != "aws4_request" || credential.next()? != "s3" {
            return None;
        }
        let region = credential.next()?.to_owned();
        let day = credential.next()?.to_owned();
        Some(Self {
            access_key: credential.next()?.to_owned(),
            day,
            region,
            signed: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }

    /// The signature this request should have, under this secret.
    #[must_use]
    pub fn expected(&self, secret: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
        let canonical = canonical(method, uri, headers, &self.signed);
        let time = single(headers, "x-amz-date");
        let scope = format!("{}/{}/s3/aws4_request", self.day, self.region);
        let text = format!(
            "{ALGORITHM}\n{time}\n{scope}\n{}",
            hex(&Sha256::digest(canonical))
        );
        let mut key = mac(format!("AWS4{secret}").as_bytes(), &self.day);
        for part in [self.region.as_str(), "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        hex(&mac(&key, &text))
    }
}

/// The `Authorization` header for a request to the store behind: its host and all its `x-amz-` headers are signed.
#[must_use]
pub fn authorization(
    access_key: &str,
    secret: &str,
    region: &str,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> String {
    let mut signed: Vec<String> = headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .filter(|name| name == "host" || name.starts_with("x-amz-"))
        .collect();
    signed.sort();
    let mut authorization = Authorization {
        access_key: access_key.into(),
        day: single(headers, "x-amz-date").chars().take(8).collect(),
        region: region.into(),
        signed,
        signature: String::new(),
    };
    authorization.signature = authorization.expected(secret, method, uri, headers);
    format!(
        "{ALGORITHM} Credential={access_key}/{}/{region}/s3/aws4_request, SignedHeaders={}, Signature={}",
        authorization.day,
        authorization.signed.join(";"),
        authorization.signature
    )
}

/// R2's "Missing or invalid authentication credentials".
pub fn unauthorized(message: &str) -> Refusal {
    Refusal::new(401, "Unauthorized", message)
}

/// Bytes as hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn canonical(method: &Method, uri: &Uri, headers: &HeaderMap, signed: &[String]) -> String {
    let mut parameters: Vec<String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.into()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    parameters.sort();
    let mut text = format!("{method}\n{}\n{}\n", uri.path(), parameters.join("&"));
    for name in signed {
        let _ = writeln!(text, "{name}:{}", single(headers, name));
    }
    let payload = single(headers, "x-amz-content-sha256");
    let _ = write!(text, "\n{}\n{payload}", signed.join(";"));
    text
}

/// A header's value as it is signed: all its lines with commas, runs of spaces as one.
fn single(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        String::from_utf8_lossy(value.as_bytes())
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length: the error can't happen, and without a key no signature matches.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's documentation: "Example: GET Object".
    #[test]
    fn the_published_example_comes_out() {
        let mut headers = HeaderMap::new();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", empty),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
                 SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
                 Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let said = Authorization::read(&headers).unwrap();
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let uri = "/test.txt".parse().unwrap();
        assert_eq!(said.access_key, "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(
            said.expected(secret, &Method::GET, &uri, &headers),
            said.signature
        );
        assert_ne!(
            said.expected("other", &Method::GET, &uri, &headers),
            said.signature
        );
    }

    #[test]
    fn a_missing_or_broken_header_is_unauthorized() {
        let mut headers = HeaderMap::new();
        assert_eq!(Authorization::read(&headers).unwrap_err().status, 401);
        headers.insert("authorization", "Bearer x".parse().unwrap());
        assert_eq!(Authorization::read(&headers).unwrap_err().status, 401);
    }
}
