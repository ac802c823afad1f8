//! What `keep` is told to delete, and what it says it has: the operator writes the one into a Secret and reads the other from
//! the Job's pod. No IO.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Bucket, Unusable, is_object_name};

/// The key of [`Errand`] in its Secret.
pub const KEEP_KEY: &str = "keep.json";
/// More Recordings are not deleted in one go: what became of each has to fit a termination message.
pub const MOST_RECORDINGS: usize = 20;

/// What is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Errand {
    /// Which errand this is: a Job does its own, whatever its Secret says by then.
    pub order: String,
    /// The way to the bucket.
    pub store: Bucket,
    /// Where the Recordings live.
    pub namespace: String,
    /// The Station.
    pub station: String,
    /// Everything that the bucket has of these goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Place>,
    /// What was left behind goes too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

/// Where in a Station's part of the bucket a Recording is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The Mount.
    pub mount: String,
    /// The Recording.
    pub name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.mount, self.name)
    }
}

/// What is swept, once it is older than a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sweep {
    /// Recordings that are verified: what is in the bucket beside their final objects is of no use. Nothing is touched in
    /// any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verified: Vec<Place>,
}

impl Errand {
    /// Reads what the Secret says, and refuses what would lead anywhere else than to the Station's own place.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        let errand: Self = serde_json::from_slice(text).map_err(|failure| Unusable::Malformed {
            line: failure.line(),
            column: failure.column(),
        })?;
        let places = errand.recordings.iter();
        let places = places.chain(errand.sweep.iter().flat_map(|sweep| &sweep.verified));
        let mut names = vec![("namespace", &errand.namespace), ("station", &errand.station)];
        names.extend(places.flat_map(|place| [("mount", &place.mount), ("name", &place.name)]));
        for (field, name) in names {
            if !is_object_name(name) {
                return Err(Unusable::Name { field });
            }
        }
        errand.store.check()?;
        Ok(errand)
    }

    /// Nothing is deleted that is not below it. Ends with `/`.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.store.station_prefix(&self.namespace, &self.station)
    }
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Which errand it was.
    pub order: String,
    /// The Recordings of which nothing is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Gone>,
    /// All objects deleted, those of the Recordings and those that were swept.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads given up that nobody had completed.
    pub uploads: u64,
    /// Whether the store itself gives such uploads up after a day; absent: this was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// What could not be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// How many of `failures` did not fit.
    #[serde(default)]
    pub failures_left_out: usize,
}

/// A Recording of which the bucket has nothing any longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// Its name.
    pub name: String,
    /// How many objects it had.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether the bucket has the rule that uploads nobody completes go after a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifecycle {
    /// It has.
    Set,
    /// The store does not let us say so, in these words.
    Unknown(String),
}

/// Something that could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What, in words.
    pub what: String,
    /// What the store said.
    pub words: String,
}

impl Kept {
    /// Why not all of it was done, in one sentence; `None`: it was.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let all = self.failures.len() + self.failures_left_out;
        let Some(first) = self.failures.first() else {
            return (all > 0).then(|| format!("{all} failures, which the Job's log tells"));
        };
        let beside = match all - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!("{}: {}{beside}", first.what, first.words))
    }

    /// The last failure is counted and left out, then what the store said of a rule; false if there is none.
    pub(crate) fn leave_one_out(&mut self) -> bool {
        if self.failures.pop().is_some() {
            self.failures_left_out += 1;
            return true;
        }
        match &mut self.lifecycle {
            Some(Lifecycle::Unknown(words)) if !words.is_empty() => {
                words.clear();
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut serde_json::Value)) -> Result<Errand, Unusable> {
        let mut json = serde_json::json!({
            "order": "1", "namespace": "city", "station": "radio",
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "prefix": "archive/2026/"},
            "recordings": [{"mount": "live", "name": "live-20261121t140000z"}],
            "sweep": {"verified": [{"mount": "live", "name": "live-20261122t140000z"}]},
        });
        change(&mut json);
        Errand::parse(json.to_string().as_bytes())
    }

    #[test]
    fn nothing_leads_out_of_the_stations_own_place() {
        let errand = told(|_| {}).unwrap();
        assert_eq!(errand.prefix(), "archive/2026/city/radio/");
        assert_eq!(errand.recordings[0].to_string(), "live/live-20261121t140000z/");
        let pointers = [
            "/namespace",
            "/station",
            "/recordings/0/mount",
            "/recordings/0/name",
            "/sweep/verified/0/name",
        ];
        for pointer in pointers {
            for name in ["", "..", "a/b", "a/../b", "A", "a b", "."] {
                let wrong = told(|json| *json.pointer_mut(pointer).unwrap() = name.into());
                assert!(matches!(wrong, Err(Unusable::Name { .. })), "{pointer} {name:?}");
            }
        }
        assert!(told(|json| json["store"]["prefix"] = "a/../b".into()).is_err());
        assert!(told(|json| json["store"]["endpoint"] = "s3.example.org".into()).is_err());
        assert!(told(|json| json["recordings"] = "all".into()).is_err());
    }

    #[test]
    fn failures_are_told_in_a_sentence() {
        let mut kept = Kept::default();
        assert_eq!(kept.failure(), None);
        let failure = |what: &str| Failure {
            what: what.to_owned(),
            words: "AccessDenied".to_owned(),
        };
        kept.failures.push(failure("live/a/"));
        assert_eq!(kept.failure().unwrap(), "live/a/: AccessDenied");
        kept.failures.push(failure("live/b/"));
        kept.failures_left_out = 3;
        assert_eq!(kept.failure().unwrap(), "live/a/: AccessDenied (and 4 more)");
        kept.failures.clear();
        assert!(kept.failure().unwrap().starts_with("3 failures"));
    }
}
