//! What was left behind in a Station's part of the bucket: uploads nobody completed, versions nobody finished, segments that
//! came when their Recording was verified. IO: the store.

use std::collections::HashSet;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::recordings::removed;
use crate::errand::{Failure, Kept, Place, Sweep};
use crate::finalize::{self, verify};
use crate::manifest::{Manifest, Range, SEGMENTS, parse_segment_key};
use crate::published::{FINAL, Versions, folder, version_of};
use crate::store::{self, Object, Store};

/// What is younger may be somebody's who is at work.
const OLD: SignedDuration = SignedDuration::from_hours(24);

/// Sweeps, and counts.
pub(super) async fn sweep(store: &Store, wanted: &Sweep, now: Timestamp, kept: &mut Kept) {
    if let Err(failure) = uploads(store, now, kept).await {
        failed("uploads that nobody completed", &failure, kept);
        // The rest would be waited for as long, for the same answer.
        if failure.passes() {
            return;
        }
    }
    if let Err(failure) = objects(store, wanted, now, kept).await {
        failed("what is beside verified recordings", &failure, kept);
    }
}

fn failed(what: &str, failure: &impl ToString, kept: &mut Kept) {
    kept.failures.push(Failure {
        what: what.to_owned(),
        words: failure.to_string(),
    });
}

/// One whose beginning the store does not tell stays.
fn is_old(since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_some_and(|since| now.duration_since(since) >= OLD)
}

async fn uploads(store: &Store, now: Timestamp, kept: &mut Kept) -> Result<(), store::Error> {
    for upload in store.list_uploads("").await? {
        if is_old(upload.began, now) {
            tracing::info!(key = upload.key, began = ?upload.began, "an upload that nobody completed is given up");
            store.abort(&upload).await?;
            kept.uploads += 1;
        }
    }
    Ok(())
}

/// One listing of all the Station has costs less than one for each Recording. Keys come in order, so what is of one Recording
/// comes together.
async fn objects(store: &Store, wanted: &Sweep, now: Timestamp, kept: &mut Kept) -> Result<(), store::Error> {
    let verified: HashSet<&Place> = wanted.verified.iter().collect();
    let mut listing = std::pin::pin!(store.list(""));
    let mut of: Option<(Place, Vec<Object>)> = None;
    while let Some(mut object) = listing.try_next().await? {
        let Some((place, key)) = split(&object.key) else {
            continue;
        };
        if of.as_ref().is_none_or(|(before, _)| *before != place) {
            if let Some((before, objects)) = of.take() {
                one(store, &before, &objects, now, kept).await?;
            }
            of = verified.contains(&place).then_some((place, Vec::new()));
        }
        if let Some((_, objects)) = &mut of {
            object.key = key;
            objects.push(object);
        }
    }
    match of {
        Some((place, objects)) => one(store, &place, &objects, now, kept).await,
        None => Ok(()),
    }
}

/// Whose an object is, and its key below the Recording's prefix.
fn split(key: &str) -> Option<(Place, String)> {
    let (mount, rest) = key.split_once('/')?;
    let (name, key) = rest.split_once('/')?;
    let place = Place {
        mount: mount.to_owned(),
        name: name.to_owned(),
    };
    Some((place, key.to_owned()))
}

/// Sweeps one Recording. Only a store that does not answer ends it all.
async fn one(
    store: &Store,
    place: &Place,
    objects: &[Object],
    now: Timestamp,
    kept: &mut Kept,
) -> Result<(), store::Error> {
    let own = store.below(&place.to_string());
    let drafts = drafts(objects, now);
    remove(&own, place, &drafts, kept).await?;
    let segments = segments(objects, now);
    if segments.is_empty() {
        return Ok(());
    }
    match spare(&own, segments).await {
        Ok(spare) => remove(&own, place, &spare, kept).await,
        Err(finalize::Error::Store(failure)) if failure.passes() => Err(failure),
        Err(finalize::Error::Damaged(failure)) => {
            let words = format!(
                "{failure}; raise spec.edition of the Recording, and it is made again of its segments"
            );
            failed(&format!("segments of {place}"), &words, kept);
            Ok(())
        }
        Err(failure) => {
            failed(&format!("segments of {place}"), &failure, kept);
            Ok(())
        }
    }
}

async fn remove(own: &Store, place: &Place, objects: &[Object], kept: &mut Kept) -> Result<(), store::Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = objects.iter().map(|object| object.key.clone()).collect();
    tracing::info!(recording = %place, ?keys, "of no use beside a verified recording");
    let refused = own.remove(&keys).await?;
    let (count, bytes) = removed(objects, &refused);
    kept.objects += count;
    kept.bytes += bytes;
    if let Some(first) = refused.first() {
        let what = format!("{} of {} objects of {place}", refused.len(), keys.len());
        let words = format!("the store keeps {} and says {}", first.key, first.code);
        failed(&what, &words, kept);
    }
    Ok(())
}

/// What is of versions that nobody finished, while another one is published.
fn drafts(objects: &[Object], now: Timestamp) -> Vec<Object> {
    let mut versions = Versions::default();
    for object in objects {
        versions.take(&object.key);
    }
    if versions.published.is_none() {
        return Vec::new();
    }
    let finished = |version: u32| {
        let last = format!("{}{FINAL}", folder(version));
        objects.iter().any(|object| object.key == last)
    };
    let at_rest = |version: u32| {
        let mut of_it = objects
            .iter()
            .filter(|object| version_of(&object.key) == Some(version));
        of_it.all(|object| is_old(object.modified, now))
    };
    let is_draft = |object: &&Object| {
        version_of(&object.key).is_some_and(|version| !finished(version) && at_rest(version))
    };
    objects.iter().filter(is_draft).cloned().collect()
}

fn segments(objects: &[Object], now: Timestamp) -> Vec<Object> {
    let of_old = objects
        .iter()
        .filter(|object| object.key.starts_with(SEGMENTS) && is_old(object.modified, now));
    of_old.cloned().collect()
}

/// Which of these segments hold nothing that the published version has not, and that is beyond doubt and there.
async fn spare(own: &Store, segments: Vec<Object>) -> Result<Vec<Object>, finalize::Error> {
    let Some(published) = finalize::newest(own).await? else {
        return Ok(Vec::new());
    };
    if !published.is_beyond_doubt() {
        return Ok(Vec::new());
    }
    let manifest = finalize::read_manifest(own).await?;
    // Of another manifest, some may be in no version.
    if published.manifest_sha256 != finalize::sum(&manifest) {
        return Ok(Vec::new());
    }
    for object in published.objects.iter().chain(&published.renditions) {
        verify::is_there(own, object).await?;
    }
    let spare = segments
        .into_iter()
        .filter(|segment| is_covered(&manifest, &segment.key));
    Ok(spare.collect())
}

/// Whether other segments, of which the version was made, have all bytes of this one.
fn is_covered(manifest: &Manifest, key: &str) -> bool {
    let Some((session, range)) = parse_segment_key(key) else {
        return false;
    };
    let of_session = manifest
        .sessions
        .iter()
        .filter(|taped| taped.session.id == session);
    let mut ranges: Vec<Range> = of_session
        .flat_map(|taped| &taped.segments)
        .map(|segment| segment.range)
        .collect();
    ranges.sort_unstable();
    let mut to = range.from;
    for known in ranges {
        if known.from <= to {
            to = to.max(known.to);
        }
    }
    to >= range.to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finalize::fixtures::{at, manifest, segment, taped};
    use crate::manifest::{OverWhy, segment_key};
    use ingest::api::Container;

    const DAY: i64 = 86_400;

    fn objects(keys: &[(&str, i64)]) -> Vec<Object> {
        let object = |&(key, second): &(&str, i64)| Object {
            key: key.to_owned(),
            size: 1,
            etag: String::new(),
            modified: Some(at(second)),
        };
        keys.iter().map(object).collect()
    }

    fn names(objects: &[Object]) -> Vec<&str> {
        objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn versions_that_nobody_finished_go_when_they_are_at_rest_and_another_is_published() {
        let published = ("final-2/final.json", 0);
        let drafts = |keys: &[(&str, i64)]| {
            let found = drafts(&objects(keys), at(DAY));
            names(&found).join(" ")
        };
        let left = ("final-1/final-1.ogg", 0);
        assert_eq!(drafts(&[left, published]), "final-1/final-1.ogg");
        assert_eq!(drafts(&[left]), "", "it may be all there is");
        assert_eq!(drafts(&[("final-1/final.json", 0), published]), "");
        let young = ("final-1/final-2.ogg", 1);
        assert_eq!(drafts(&[left, young, published]), "", "somebody is at it");
        let next = ("final-3/final-1.ogg", 0);
        assert_eq!(drafts(&[next, published]), "final-3/final-1.ogg");
        let others = [("final/final-1.ogg", 0), ("manifest.json", 0), published];
        assert_eq!(drafts(&others), "");
        let mut unknown = objects(&[left, published]);
        unknown[0].modified = None;
        assert!(super::drafts(&unknown, at(DAY)).is_empty());
    }

    #[test]
    fn only_old_segments_are_looked_at() {
        let there = objects(&[
            ("manifest.json", 0),
            ("segments/s/1.ogg", 0),
            ("segments/s/2.ogg", 1),
        ]);
        assert_eq!(names(&segments(&there, at(DAY))), ["segments/s/1.ogg"]);
    }

    #[test]
    fn a_segment_is_spare_if_others_have_all_of_it() {
        let mut known = taped("s", 0);
        known.segments = vec![
            segment("s", 0, 100),
            segment("s", 100, 200),
            segment("s", 300, 400),
        ];
        let manifest = manifest(0, None, OverWhy::Idle, vec![known]);
        let covered = |session: &str, from, to| {
            let key = segment_key(session, Range { from, to }, Container::Ogg);
            is_covered(&manifest, &key)
        };
        assert!(covered("s", 0, 100) && covered("s", 50, 200) && covered("s", 300, 350));
        assert!(!covered("s", 150, 350) && !covered("s", 200, 300) && !covered("s", 350, 401));
        assert!(!covered("other", 0, 100));
        assert!(!is_covered(&manifest, "segments/s/notes.txt"));
    }

    #[test]
    fn keys_tell_whose_they_are() {
        let (place, key) = split("live/live-1/final-1/final.json").unwrap();
        assert_eq!(
            (place.to_string().as_str(), key.as_str()),
            ("live/live-1/", "final-1/final.json")
        );
        assert_eq!(split("live/notes.txt"), None);
        assert_eq!(split("notes.txt"), None);
    }
}
