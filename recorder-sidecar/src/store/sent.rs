//! What is sent to the store, and its sums. No IO.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::Sums;

/// Bytes and their sums. In memory: only so are they signed, and nothing is sent in a way R2 refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    sha256: [u8; 32],
    md5: [u8; 16],
}

impl Body {
    /// Sums them up: some milliseconds for a segment.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        Self {
            sha256: Sha256::digest(&bytes).into(),
            md5: Md5::digest(&bytes).into(),
            bytes,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// SHA-256, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&self.sha256)
    }

    /// MD5, in hexadecimal.
    #[must_use]
    pub fn md5(&self) -> String {
        hex(&self.md5)
    }

    /// Both.
    #[must_use]
    pub fn sums(&self) -> Sums {
        Sums {
            sha256: self.sha256(),
            md5: self.md5(),
        }
    }

    pub(super) fn md5_bytes(&self) -> [u8; 16] {
        self.md5
    }

    pub(super) fn sha256_base64(&self) -> String {
        STANDARD.encode(self.sha256)
    }
}

/// In hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// The `ETag` of an object of parts with these MD5 sums.
pub(super) fn etag_of_parts(sums: &[[u8; 16]]) -> String {
    format!("{}-{}", hex(&Md5::digest(sums.concat())), sums.len())
}

/// An `ETag` without its quotes.
pub(super) fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_ascii_lowercase()
}
