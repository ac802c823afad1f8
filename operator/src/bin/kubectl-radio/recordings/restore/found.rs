//! What a Station's place in a bucket has, by its keys. No IO.

use std::collections::BTreeMap;

use recorder::{
    manifest::{MANIFEST_KEY, MANIFESTS},
    published::{FINAL, Versions, folder},
};

/// A Recording by Mount and name.
pub type Id = (String, String);

/// What there is of one Recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Keys of manifests below its place; `manifest.json` is the first.
    pub manifests: Vec<String>,
    /// Of final objects.
    pub versions: Versions,
}

impl Kept {
    /// The newest `final.json`, below its place.
    pub fn final_json(&self) -> Option<String> {
        let version = self.versions.published?;
        Some(format!("{}{FINAL}", folder(version)))
    }
}

/// Takes keys below the Station's place apart: `<mount>/<recording>/...`. Others are nobody's.
pub fn sort<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeMap<Id, Kept> {
    let mut found: BTreeMap<Id, Kept> = BTreeMap::new();
    for key in keys {
        let mut parts = key.splitn(3, '/');
        let (Some(mount), Some(name), Some(own)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if [mount, name, own].contains(&"") {
            continue;
        }
        let kept = found.entry((mount.to_owned(), name.to_owned())).or_default();
        kept.versions.take(own);
        if own == MANIFEST_KEY {
            kept.manifests.insert(0, own.to_owned());
        } else if own.starts_with(MANIFESTS) {
            kept.manifests.push(own.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_which_recordings_there_are() {
        let keys = [
            "live/one/final-1/final-1.ogg",
            "live/one/final-1/final.json",
            "live/one/final-2/final-1.ogg",
            "live/one/manifests/a.json",
            "live/one/manifest.json",
            "live/two/segments/s/000000000000000-000000000000010.ogg",
            "mics/one/manifest.json",
            "live/stray",
            "live//manifest.json",
            "stray",
            "",
        ];
        let found = sort(keys.into_iter());
        let kept = |mount: &str, name: &str| &found[&(mount.to_owned(), name.to_owned())];
        assert_eq!(found.len(), 3);
        assert_eq!(
            kept("live", "one").manifests,
            ["manifest.json", "manifests/a.json"]
        );
        assert_eq!(
            kept("live", "one").final_json().as_deref(),
            Some("final-1/final.json")
        );
        assert_eq!(
            kept("live", "two"),
            &Kept::default(),
            "nobody wrote down what it is"
        );
        assert_eq!(kept("mics", "one").manifests, ["manifest.json"]);
        assert_eq!(kept("mics", "one").final_json(), None);
    }
}
