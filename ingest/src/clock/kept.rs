//! What was learned of the API server's clock, for the process that comes after this one while the API is away. IO: a small
//! file beside the tapes.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Estimate;
use crate::tape::replace;

const FILE: &str = "clock.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    /// It says nothing about any other.
    boot_id: String,
    estimate: Estimate,
}

/// What was written in this boot of this node, if anything.
pub fn read(dir: &Path, boot_id: &str) -> Option<Estimate> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()?;
    (kept.boot_id == boot_id).then_some(kept.estimate)
}

/// Writes it. Blocks.
pub fn write(dir: &Path, boot_id: &str, estimate: Estimate) -> io::Result<()> {
    let boot_id = boot_id.to_owned();
    let kept = serde_json::to_vec(&Kept { boot_id, estimate })?;
    replace(dir, FILE, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Answer, since_boot};

    #[test]
    fn it_counts_in_the_same_boot_only() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(read(place.path(), "one"), None);
        let boot = since_boot();
        let estimate = Estimate::of(Answer {
            asked: boot,
            came: boot,
            date: jiff::Timestamp::now(),
        });
        write(place.path(), "one", estimate).unwrap();
        assert_eq!(read(place.path(), "one"), Some(estimate));
        assert_eq!(read(place.path(), "two"), None);
        std::fs::write(place.path().join(FILE), "{").unwrap();
        assert_eq!(read(place.path(), "one"), None);
    }
}
