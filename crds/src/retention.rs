//! What a Station keeps in its bucket, and for how long. No IO.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{conditions, quantity, text};

/// For how long what a Station has recorded is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Finished recordings of Shows that say nothing else are kept for so long, e.g. `365d`. Default: for ever. Recordings
    /// of no Show are always kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 8))]
    #[x_kube(validation = text::age())]
    pub keep_for: Option<String>,
}

/// What was deleted from a Station's bucket that belongs to no recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// When it was looked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub at: Option<Timestamp>,

    /// Number of objects deleted, since there is this Station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<i64>,

    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,

    /// Number of uploads given up that had been begun and not completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploads: Option<i64>,

    /// Whether the store itself gives up such uploads after a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,

    /// What the store said, if it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle_said: Option<String>,

    /// The last Job that looked and deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// The last Job that deleted, as far as the next one has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// The uid of the Job whose report was counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,

    /// How often in a row it did not delete everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<i32>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub at: Option<Timestamp>,

    /// What went wrong, as a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

/// Whether the bucket has the rule that uploads which are not completed go after a day: `Set` or `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Lifecycle {
    /// It has.
    Set,
    /// The store does not let us say so.
    Unknown,
}

impl Retention {
    /// For how many seconds finished recordings are kept; `None`: for ever, or what is written is no time.
    #[must_use]
    pub fn keep_for_seconds(&self) -> Option<u64> {
        quantity::age(self.keep_for.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        assert_eq!(Retention::default().keep_for_seconds(), None);
        let year = Retention {
            keep_for: Some("365d".to_owned()),
        };
        assert_eq!(year.keep_for_seconds(), Some(31_536_000));
    }
}
