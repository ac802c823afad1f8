//! What a Recording is called. No IO.

use std::fmt::Write;

use jiff::Timestamp;
use radio_crds::MAX_RECORDING_NAME_LENGTH;
use sha2::{Digest, Sha256};

/// Hexadecimal digits that tell shortened names apart.
const HASH: usize = 6;

/// `<mount>-<when it began>`, the same whoever makes it: it cannot be made twice.
#[must_use]
pub fn name_of(mount: &str, input: Option<&str>, from: Timestamp) -> String {
    let time = from.strftime("%Y%m%dt%H%M%Sz");
    let longest = MAX_RECORDING_NAME_LENGTH - "-20261121t190000z".len();
    if input.is_none() && mount.len() <= longest {
        return format!("{mount}-{time}");
    }
    // Mount `a-b` with input `c` is not Mount `a` with input `b-c`, and `_` is in no name of an object.
    let mut hash = String::new();
    for byte in Sha256::digest(format!("{mount}/{}", input.unwrap_or_default())) {
        // Writing into a String never fails.
        let _ = write!(hash, "{byte:02x}");
    }
    let place: String = [Some(mount), input]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("-");
    let place: String = place
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .take(longest - HASH - 1)
        .collect();
    let hash: String = hash.chars().take(HASH).collect();
    format!("{}-{hash}-{time}", place.trim_end_matches('-'))
}
