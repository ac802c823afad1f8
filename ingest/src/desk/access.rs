//! Who may read what. No IO.

use std::fmt::Write as _;

use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Reader;

/// The reader whose token this is. Every digest is compared, and each in constant time.
pub(super) fn reader<'a>(readers: &'a [Reader], headers: &HeaderMap) -> Option<&'a Reader> {
    let told = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = told.split_at_checked(b"Bearer ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return None;
    }
    let digest = hex(&Sha256::digest(token.trim_ascii()));
    let mut found = None;
    for reader in readers {
        if bool::from(digest.as_bytes().ct_eq(reader.sha256.as_bytes())) {
            found = Some(reader);
        }
    }
    found
}

/// As the configuration has digests.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn may_read(reader: &Reader, mount: &str) -> bool {
    reader
        .mounts
        .as_ref()
        .is_none_or(|mounts| mounts.iter().any(|name| name == mount))
}

/// The Recording whose reader this is: it may say what it has. Nobody else's word frees the tape.
pub(super) fn recording(reader: &Reader) -> Option<&str> {
    reader.name.strip_prefix("recording/")
}

/// Who lets people set marks in what is recorded.
pub(super) fn may_mark(reader: &Reader) -> bool {
    reader.name == "operator"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(token: &str) -> String {
        hex(&Sha256::digest(token))
    }

    #[test]
    fn a_token_opens_what_is_its_own() {
        let named = |name: &str, token, mounts| Reader {
            name: name.to_owned(),
            sha256: digest(token),
            mounts,
        };
        let readers = [
            named("operator", "one", None),
            named("playout/main", "two", Some(vec!["main".to_owned()])),
            Reader {
                name: "unfinished".to_owned(),
                sha256: String::new(),
                mounts: None,
            },
        ];
        let table = [
            (Some("Bearer one"), Some("operator")),
            (Some("bearer two"), Some("playout/main")),
            (Some("Bearer three"), None),
            (Some("Bearer "), None),
            (Some("Bearer"), None),
            (Some("Basic one"), None),
            (Some("one"), None),
            (None, None),
        ];
        for (told, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(told) = told {
                headers.insert(header::AUTHORIZATION, told.parse().unwrap());
            }
            let found = reader(&readers, &headers);
            assert_eq!(found.map(|reader| reader.name.as_str()), expected, "{told:?}");
        }
        assert!(may_read(&readers[0], "other") && may_read(&readers[1], "main"));
        assert!(!may_read(&readers[1], "other"));
        assert_eq!(recording(&readers[1]), None);
        assert!(may_mark(&readers[0]) && !may_mark(&readers[1]));
        assert_eq!(
            recording(&named("recording/main-20261121t140000z", "three", None)),
            Some("main-20261121t140000z")
        );
    }
}
