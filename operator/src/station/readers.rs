//! Who may read the tapes of a Station, and how they prove it. No IO.
//!
//! A reader's token follows from one key of the Station and the reader's name: nobody keeps a list, and no reader can
//! make another's token.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use ingest::config::TapeAccess;
use sha2::{Digest, Sha256};

use crate::{k8s::meta::names, text::Password};

/// Port of the read API.
pub const PORT: u16 = 8006;
/// This operator.
pub const OPERATOR: &str = "operator";
/// The agent of the origin, for passthrough Mounts.
pub const ORIGIN: &str = "origin";

/// The playout pod of a Mount.
#[must_use]
pub fn playout(mount: &str) -> String {
    format!("playout/{mount}")
}

/// A Recording: it alone may say in its own name what is stored.
#[must_use]
pub fn recording(name: &str) -> String {
    format!("recording/{name}")
}

/// What a reader shows.
#[must_use]
pub fn token(key: &Password, reader: &str) -> String {
    // HMAC takes keys of any length. Were it otherwise, nobody may know what opens the tape.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else {
        return Password::random().reveal().to_owned();
    };
    mac.update(reader.as_bytes());
    hexadecimal(&mac.finalize().into_bytes())
}

/// How a reader gets at the tapes of a Station.
#[must_use]
pub fn access(station: &str, namespace: &str, key: &Password, reader: &str) -> TapeAccess {
    let (ingest, tape) = (names::ingest(station), names::tape(station));
    TapeAccess {
        addresses: vec![format!("{ingest}-0.{tape}.{namespace}.svc:{PORT}")],
        token: token(key, reader),
    }
}

/// How the ingest knows a password or token.
#[must_use]
pub fn digest(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hmacs_of_names() {
        // RFC 4231, test case 2.
        let key = Password::parse(b"Jefe").unwrap();
        assert_eq!(
            token(&key, "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_ne!(token(&key, OPERATOR), token(&key, ORIGIN));
        assert_ne!(
            token(&key, OPERATOR),
            token(&Password::parse(b"Jeff").unwrap(), OPERATOR)
        );
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_tape_is_found_by_the_pods_own_name() {
        let access = access("radio", "city", &Password::parse(b"k").unwrap(), &playout("live"));
        assert_eq!(access.addresses, ["radio-ingest-0.radio-tape.city.svc:8006"]);
    }
}
