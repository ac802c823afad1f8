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
use crate::store::{Error, Head, Object, Store};

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
    for object in listed {
        let Some(segment) = known.remove(&object.key) else {
            continue;
        };
        // What was spoiled since is sent again, if the spool or the tape has it.
        if !store.profile().etag_is_md5() || object.etag == segment.md5 {
            add(&mut adopted, recording, segment, None);
        }
    }
    let mut heads = futures::stream::iter(unknown)
        .map(|object| async move { store.head(&object.key).await.map(|head| (object, head)) })
        .buffer_unordered(HEADS_AT_ONCE);
    while let Some((object, head)) = heads.try_next().await? {
        let Some(head) = head else { continue };
        let segment = Segment::from_metadata(&object.key, &head.metadata);
        let segment = segment.filter(|segment| !store.profile().etag_is_md5() || head.etag == segment.md5);
        if let Some(segment) = segment {
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
    use super::*;
    use crate::finalize::fixtures::{at, segment, taped};

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
