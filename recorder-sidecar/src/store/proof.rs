//! Whether the bucket has what was sent, byte for byte: nothing leaves the tape on a promise. IO: HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Error, Store, hex};

/// The sums of an object that is put in one piece, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// SHA-256.
    pub sha256: String,
    /// MD5.
    pub md5: String,
}

impl Store {
    /// Whether an object that was put in one piece is the one of these sums. What the store tells of it with its `ETag` and
    /// its SHA-256 (in base64) may prove that; otherwise all of it is read back.
    pub async fn has(&self, key: &str, etag: &str, checksum_sha256: Option<&str>, sums: &Sums) -> bool {
        if let Some(told) = self.told(etag, checksum_sha256, sums) {
            return told;
        }
        match self.read_back(key).await {
            Ok(sum) => sum == sums.sha256,
            Err(failure) => {
                tracing::warn!(key, %failure, "what was stored does not come back");
                false
            }
        }
    }

    /// The same by what the store tells alone; `None` if that proves nothing.
    pub(super) fn told(&self, etag: &str, checksum_sha256: Option<&str>, sums: &Sums) -> Option<bool> {
        let checksum = checksum_sha256.map(|sum| {
            let bytes = STANDARD.decode(sum).unwrap_or_default();
            hex(&bytes) == sums.sha256
        });
        if checksum == Some(false) {
            return checksum;
        }
        if etag == sums.md5 {
            return Some(true);
        }
        // Encrypted objects have another `ETag`, and some stores their own idea of it.
        if self.profile.etag_is_md5() {
            Some(false)
        } else {
            checksum
        }
    }

    /// Reads all of an object and sums it up.
    async fn read_back(&self, key: &str) -> Result<String, Error> {
        let mut download = self.get(key, 0).await?;
        let mut sum = Sha256::new();
        while let Some(bytes) = download.next().await? {
            sum.update(&bytes);
        }
        Ok(hex(&sum.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::Method;

    use crate::store::Body;
    use crate::store::fake::{Etags, Fake};

    async fn put(fake: &Fake) {
        let body = Body::of(Bytes::from_static(b"audio"));
        let none = BTreeMap::new();
        let put = fake.store.put_new("k", &body, "audio/mpeg", &none);
        put.await.unwrap();
        assert_eq!(fake.bytes("k").unwrap(), "audio");
    }

    #[tokio::test]
    async fn a_store_that_tells_nothing_is_read_back() {
        for (profile, etags, gets) in [
            ("r2", Etags::Md5, 0),
            ("aws", Etags::Md5, 0),
            ("generic", Etags::Md5, 0),
            ("generic", Etags::Own, 1),
            ("generic", Etags::Encrypted, 1),
        ] {
            let fake = Fake::new(profile, etags).await;
            put(&fake).await;
            assert_eq!(fake.asked(&Method::GET, "k"), gets, "{profile}, {etags:?}");
            assert_eq!(fake.asked(&Method::PUT, "k"), 1, "{profile}, {etags:?}");
        }
    }

    #[tokio::test]
    async fn what_a_store_spoils_is_sent_again() {
        for etags in [Etags::Md5, Etags::Own, Etags::Encrypted] {
            let fake = Fake::new("generic", etags).await;
            fake.spoil_next(1);
            put(&fake).await;
            assert_eq!(fake.asked(&Method::PUT, "k"), 2, "{etags:?}");
        }
    }

    #[tokio::test]
    async fn what_was_spoiled_before_does_not_count_as_there() {
        let fake = Fake::new("generic", Etags::Own).await;
        put(&fake).await;
        put(&fake).await;
        assert_eq!(fake.asked(&Method::PUT, "k"), 1, "it was there");
        fake.rot("k");
        put(&fake).await;
        assert_eq!(fake.asked(&Method::PUT, "k"), 2);
    }
}
