//! What the bucket has of a Recording already: an earlier attempt's work, and an earlier life's. IO: the store.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt};
use ingest::api::{Container, Line, Session};
use ingest::config::Routing;

use super::words::stored;
use crate::config::Recording;
use crate::finalize;
use crate::manifest::{
    LARGEST_MANIFEST, MANIFEST_KEY, MANIFESTS, Manifest, SEGMENTS, Segment, Taped, extension,
    parse_segment_key,
};
use crate::merge;
use crate::report::Stored;
use crate::store::{Error, Head, Object, Store, Sums};

const HEADS_AT_ONCE: usize = 4;

/// Sessions of which the bucket has anything, by their ids.
pub(super) type Adopted = BTreeMap<String, Taped>;

/// What is stored, if a version of it is published that nothing speaks against: its segments may be gone, and whoever comes
/// late must not make another manifest of what is left.
pub(super) async fn published(store: &Store) -> Result<Option<Stored>, Error> {
    match finalize::newest(store).await {
        Ok(Some(published)) if published.is_beyond_doubt() => {}
        Err(finalize::Error::Store(failure)) => return Err(failure),
        _ => return Ok(None),
    }
    let manifest = manifest(store).await?;
    Ok(manifest.and_then(|manifest| manifest.over.map(|over| stored(&manifest, over))))
}

/// Looks what is there. Waits as long as the store does not answer: nothing could be stored in the meantime.
pub(super) async fn adopt(store: &Store, recording: &Recording) -> Result<Adopted, Error> {
    let mut known: HashMap<String, Segment> = HashMap::new();
    let mut adopted = Adopted::new();
    if let Some(manifest) = manifest(store).await? {
        for mut taped in manifest.sessions {
            known.extend(
                taped
                    .segments
                    .drain(..)
                    .map(|segment| (segment.key.clone(), segment)),
            );
            adopted.insert(taped.session.id.clone(), taped);
        }
    }
    let (listed, unknown): (Vec<_>, Vec<_>) = store
        .list(SEGMENTS)
        .try_collect::<Vec<Object>>()
        .await?
        .into_iter()
        .filter(|object| {
            parse_segment_key(&object.key).is_some_and(|(_, range)| range.bytes() == object.size)
        })
        .partition(|object| known.contains_key(&object.key));
    let kept: Vec<_> = listed
        .into_iter()
        .filter_map(|object| known.remove(&object.key).map(|segment| (object, segment)))
        .collect();
    for segment in intact(store, kept).await {
        add(&mut adopted, recording, segment, None);
    }
    let mut heads = futures::stream::iter(unknown)
        .map(|object| async move { store.head(&object.key).await.map(|head| (object, head)) })
        .buffer_unordered(HEADS_AT_ONCE);
    while let Some((object, head)) = heads.try_next().await? {
        let Some(head) = head else { continue };
        let Some(segment) = Segment::from_metadata(&object.key, &head.metadata) else {
            continue;
        };
        let checksum = head.checksum_sha256.as_deref();
        // Who stored it may have been killed before that was proven.
        if store
            .has(&object.key, &head.etag, checksum, &sums(&segment))
            .await
        {
            add(&mut adopted, recording, segment, Some(&head));
        }
    }
    for taped in adopted.values_mut() {
        taped.segments.sort_by_key(|segment| segment.range);
        time(taped);
    }
    let segments: usize = adopted.values().map(|taped| taped.segments.len()).sum();
    tracing::info!(sessions = adopted.len(), segments, "the bucket was looked at");
    Ok(adopted)
}

/// Those that nobody has touched since they were written down, which is when it was proven that they are there. What was
/// spoiled is sent again, if the spool or the tape has it.
async fn intact(store: &Store, kept: Vec<(Object, Segment)>) -> Vec<Segment> {
    // Where none has its MD5 as ETag, ETags tell nothing: to read hours of audio back would prove it a second time.
    let tells =
        store.profile().etag_is_md5() || kept.iter().any(|(object, segment)| object.etag == segment.md5);
    let looked_at = kept.into_iter().map(|(object, segment)| async move {
        let same = !tells || store.has(&object.key, &object.etag, None, &sums(&segment)).await;
        same.then_some(segment)
    });
    futures::stream::iter(looked_at)
        .buffer_unordered(HEADS_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

fn sums(segment: &Segment) -> Sums {
    Sums {
        sha256: segment.sha256.clone(),
        md5: segment.md5.clone(),
    }
}

/// What all pods that were ever at work have written. A manifest that can't be read is made again of what is known otherwise.
async fn manifest(store: &Store) -> Result<Option<Manifest>, Error> {
    let left: Vec<Object> = store.list(MANIFESTS).try_collect().await?;
    let mut all: Option<Manifest> = None;
    for key in left
        .iter()
        .map(|object| object.key.as_str())
        .chain([MANIFEST_KEY])
    {
        let Some(text) = store.read(key, LARGEST_MANIFEST).await? else {
            continue;
        };
        match serde_json::from_slice(&text) {
            Ok(manifest) => {
                all = Some(match all {
                    Some(known) => merge::manifests(known, manifest),
                    None => manifest,
                });
            }
            Err(failure) => tracing::error!(
                key,
                line = failure.line(),
                column = failure.column(),
                "a manifest in the bucket is not one of this version"
            ),
        }
    }
    Ok(all)
}

fn add(adopted: &mut Adopted, recording: &Recording, segment: Segment, head: Option<&Head>) {
    let Some((id, _)) = parse_segment_key(&segment.key) else {
        return;
    };
    let taped = adopted
        .entry(id.to_owned())
        .or_insert_with(|| unheard_of(recording, id, &segment, head));
    taped.segments.push(segment);
}

/// Of what no line tells when it came, the segments do.
fn time(taped: &mut Taped) {
    let told = taped.lines.iter().filter_map(|line| match *line {
        Line::Clock { at, .. } | Line::End { at, .. } => Some(at),
        _ => None,
    });
    let told = told.max();
    let behind = |segment: &&Segment| told.is_none_or(|told| segment.range.to > told);
    let marks: Vec<Line> = taped
        .segments
        .iter()
        .filter(behind)
        .flat_map(|segment| [(segment.range.from, segment.t0), (segment.range.to, segment.t1)])
        .filter(|(at, _)| told.is_none_or(|told| *at > told))
        .map(|(at, t)| Line::Clock { at, t })
        .collect();
    taped.lines.extend(marks);
}

/// A session of which there are segments and nothing else: their own words have to do.
fn unheard_of(recording: &Recording, id: &str, segment: &Segment, head: Option<&Head>) -> Taped {
    let told = |name: &str| head.and_then(|head| head.metadata.get(name));
    let all = [Container::Ogg, Container::Mp3, Container::Adts, Container::Webm];
    let is_its = |container: &Container| segment.key.ends_with(&format!(".{}", extension(*container)));
    Taped {
        session: Session {
            id: id.to_owned(),
            mount: recording.mount.clone(),
            input: told("input").cloned().unwrap_or_default(),
            path: String::new(),
            priority: told("priority")
                .and_then(|priority| priority.parse().ok())
                .unwrap_or_default(),
            routing: Routing::Live,
            user: String::new(),
            container: all.into_iter().find(is_its).unwrap_or(Container::Ogg),
            codec: None,
            title: None,
            started: told("started")
                .and_then(|started| started.parse().ok())
                .unwrap_or(segment.t0),
            bytes: 0,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        },
        start: 0,
        headers: None,
        end: None,
        segments: Vec::new(),
        lost: Vec::new(),
        lines: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::finalize::fixtures::{at, manifest, segment, taped};
    use crate::manifest::OverWhy;
    use crate::store::Body;
    use crate::store::fake::{Etags, Fake};

    /// A segment of ten bytes.
    async fn put(fake: &Fake, from: u64) -> Segment {
        let body = Body::of(Bytes::from(from.to_string().repeat(10).into_bytes()).slice(..10));
        let segment = Segment {
            sha256: body.sha256(),
            md5: body.md5(),
            ..segment("s", from, from + 10)
        };
        let metadata = segment.to_metadata(&taped("s", 0).session);
        let stored = fake.store.put_new(&segment.key, &body, "audio/ogg", &metadata);
        stored.await.unwrap();
        segment
    }

    /// By their first bytes.
    async fn adopted(fake: &Fake) -> Vec<u64> {
        let adopted = adopt(&fake.store, &fake.recording).await.unwrap();
        let segments = adopted.values().flat_map(|taped| &taped.segments);
        segments.map(|segment| segment.range.from).collect()
    }

    #[tokio::test]
    async fn what_somebody_spoiled_in_the_bucket_is_not_taken_over() {
        for (etags, kept) in [
            (Etags::Md5, vec![0, 20]),
            // Its own ETags tell nothing, and what the manifest has was proven once.
            (Etags::Own, vec![0, 10, 20]),
            (Etags::Encrypted, vec![0, 10, 20]),
        ] {
            let fake = Fake::new("generic", etags).await;
            let mut known = taped("s", 0);
            for from in [0, 10] {
                known.segments.push(put(&fake, from).await);
            }
            let spoiled = known.segments[1].key.clone();
            // Nobody has written these two down.
            put(&fake, 20).await;
            let unproven = put(&fake, 30).await;
            let text = serde_json::to_vec(&manifest(0, None, OverWhy::Idle, vec![known])).unwrap();
            let text = Body::of(Bytes::from(text));
            fake.store
                .put(MANIFEST_KEY, &text, "application/json")
                .await
                .unwrap();
            assert_eq!(adopted(&fake).await, [0, 10, 20, 30], "{etags:?}");

            fake.overwrite(&spoiled);
            fake.overwrite(&unproven.key);
            let before = fake.asked(&Method::GET, SEGMENTS);
            assert_eq!(adopted(&fake).await, kept, "{etags:?}");
            let read_back = fake.asked(&Method::GET, SEGMENTS) - before;
            assert_eq!(read_back, 2, "{etags:?}");
        }
    }

    #[test]
    fn segments_tell_when_they_came_where_no_line_does() {
        let stored = |from: u64, to: u64| Segment {
            t0: at(i64::try_from(from).unwrap()),
            t1: at(i64::try_from(to).unwrap()),
            ..segment("s", from, to)
        };
        let mut unheard = taped("s", 0);
        unheard.segments = vec![stored(0, 10), stored(10, 20)];
        time(&mut unheard);
        assert_eq!(unheard.clock().when(19), Some(at(19)));

        // What the index tells is better, as far as it goes.
        let mut half = taped("s", 0);
        half.segments = unheard.segments.clone();
        half.lines = vec![Line::Clock { at: 12, t: at(50) }];
        time(&mut half);
        assert_eq!(half.clock().when(12), Some(at(50)));
        let marks = half.lines.len();
        time(&mut half);
        assert_eq!(half.lines.len(), marks, "the same is told once");
    }
}
