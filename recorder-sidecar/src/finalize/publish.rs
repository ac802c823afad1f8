//! Files into a version in the bucket, verified. IO: the store, ffmpeg, files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use futures::TryStreamExt as _;
use ingest::framing::clean_title;
use jiff::Timestamp;

use super::Error;
use super::assemble::Made;
use super::coverage::{coverage, heard};
use super::intervals::OnAir;
use super::make::Making;
use super::probe;
use super::published::{Doubt, FINAL, Final, Gap, GapKind, Interval, Object, Title, folder};
use super::rendition::rendition;
use super::upload::{self, Cargo, upload};
use super::verify::{self, verify};
use crate::config::{Recording, Rendition};
use crate::course::Span;
use crate::manifest::{Manifest, SEGMENTS, extension};
use crate::store::{self, Body, Store};

const PLAYLIST: &str = "final.m3u8";
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
const JSON: &str = "application/json";
/// Objects that play less than this share of the time their sources were on air lack something, in percent.
pub(super) const LEAST_PERCENT: f64 = 98.0;
/// Versions whose keys are taken by other bytes, passed over at most.
const MOST_CONFLICTS: u32 = 10;

/// A file on its way to the bucket.
pub(super) struct Work {
    pub object: Object,
    pub path: PathBuf,
}

/// What a version is made for.
#[derive(Clone)]
pub(super) struct Wanted {
    /// SHA-256 of the manifest it is made of.
    pub manifest_sha256: String,
    /// Asked for by the Recording.
    pub edition: u32,
    /// The next free one.
    pub version: u32,
}

/// Stores and verifies everything, and publishes it. What an attempt with other software has left is passed over: the version
/// is the next free one from `version` on.
pub(super) async fn publish(
    store: &Store,
    recording: &Recording,
    manifest: &Manifest,
    making: Making,
    mut wanted: Wanted,
) -> Result<Final, Error> {
    let last = wanted.version + MOST_CONFLICTS;
    loop {
        match try_publish(store, recording, manifest, &making, &wanted).await {
            Err(Error::Store(store::Error::Conflict { key })) if wanted.version < last => {
                tracing::warn!(
                    key,
                    "another attempt has left something else there; a new version begins"
                );
                wanted.version += 1;
            }
            Err(Error::Damaged(failure)) => {
                // It is ours and nobody knows of it yet; left there, it would be in the way of the next attempt.
                if let verify::Error::Damaged { key, .. } = &failure {
                    store.delete(std::slice::from_ref(key)).await?;
                }
                return Err(Error::Damaged(failure));
            }
            done => return done,
        }
    }
}

async fn try_publish(
    store: &Store,
    recording: &Recording,
    manifest: &Manifest,
    making: &Making,
    wanted: &Wanted,
) -> Result<Final, Error> {
    let version = wanted.version;
    let mut doubts = doubts_of(
        manifest,
        &making.on_air,
        &making.files,
        recording.min_coverage_percent,
    );
    let works: Vec<_> = (1..)
        .zip(&making.files)
        .map(|(number, made)| work(version, number, made))
        .collect();
    let mut renditions = Vec::new();
    for (number, work) in (1..).zip(&works) {
        doubts.extend(store_and_verify(store, work).await?);
        for Rendition::Mp3 in &recording.renditions {
            match rendition(work, version, number).await {
                Ok(Some(rendition)) => {
                    doubts.extend(store_and_verify(store, &rendition).await?);
                    renditions.push(rendition.object);
                }
                Ok(None) => {}
                Err(probe::Error::Said(why)) => doubts.push(Doubt::Rendition {
                    key: work.object.key.clone(),
                    words: why,
                }),
                Err(broken @ probe::Error::Broken(_)) => return Err(Error::Program(broken.to_string())),
            }
        }
    }
    let objects: Vec<_> = works.into_iter().map(|work| work.object).collect();
    let on_air = &making.on_air;
    let seconds: f64 = objects.iter().map(|object| object.seconds).sum();
    let published = Final {
        version,
        recording: manifest.recording.clone(),
        manifest_sha256: wanted.manifest_sha256.clone(),
        edition: wanted.edition,
        verified_at: Timestamp::now(),
        from: on_air.from,
        to: on_air.to,
        intervals: intervals(manifest, on_air),
        gaps: on_air.gaps.clone(),
        seconds,
        coverage_percent: coverage(manifest, on_air, seconds),
        objects,
        renditions,
        doubts,
    };
    write(store, &published).await?;
    Ok(published)
}

async fn write(store: &Store, published: &Final) -> Result<(), Error> {
    let folder = folder(published.version);
    let none = std::collections::BTreeMap::new();
    let playlist = Body::of(Bytes::from(playlist(published)));
    store
        .put_new(&format!("{folder}{PLAYLIST}"), &playlist, PLAYLIST_TYPE, &none)
        .await?;
    let text = serde_json::to_vec_pretty(published).map_err(|failure| Error::Unreadable {
        key: FINAL.to_owned(),
        words: failure.to_string(),
    })?;
    let text = Body::of(Bytes::from(text));
    Ok(store
        .put_new(&format!("{folder}{FINAL}"), &text, JSON, &none)
        .await?)
}

/// A playlist over the objects.
fn playlist(published: &Final) -> String {
    let name = clean_title(&published.recording.title).unwrap_or_else(|| published.recording.name.clone());
    let mut playlist = format!("#EXTM3U\n#PLAYLIST:{name}\n");
    for object in &published.objects {
        let file = object.key.rsplit('/').next().unwrap_or_default();
        let _ = write!(playlist, "#EXTINF:{:.3},{name}\n{file}\n", object.seconds);
    }
    playlist
}

fn work(version: u32, number: usize, made: &Made) -> Work {
    let parameters = made.parameters;
    let titles = made.chapters.iter().map(|chapter| Title {
        seconds: chapter.at.as_secs_f64(),
        title: chapter.title.clone(),
    });
    Work {
        path: made.path.clone(),
        object: Object {
            key: format!(
                "{}final-{number}.{}",
                folder(version),
                extension(parameters.container)
            ),
            content_type: parameters.container.content_type().to_owned(),
            codec: parameters.codec.to_owned(),
            rate: parameters.rate,
            channels: parameters.channels,
            bytes: made.size,
            sha256: made.sha256.clone(),
            frames: made.frames,
            seconds: made.duration.as_secs_f64(),
            links: made.links,
            titles: titles.collect(),
        },
    }
}

async fn store_and_verify(store: &Store, work: &Work) -> Result<Vec<Doubt>, Error> {
    let object = &work.object;
    let cargo = Cargo {
        key: &object.key,
        path: &work.path,
        size: object.bytes,
        sha256: &object.sha256,
        content_type: &object.content_type,
    };
    upload(store, cargo).await.map_err(|failure| match failure {
        upload::Error::Store(failure) => Error::Store(failure),
        upload::Error::File(cause) => Error::Scratch {
            at: work.path.clone(),
            cause,
        },
    })?;
    let doubts = match verify(store, object, Some(&work.path)).await {
        // It may have been damaged on its way here.
        Err(verify::Error::Damaged { .. }) => verify(store, object, Some(&work.path)).await?,
        verified => verified?,
    };
    tracing::info!(
        key = object.key,
        bytes = object.bytes,
        frames = object.frames,
        ?doubts,
        "an object is stored and verified"
    );
    Ok(doubts)
}

fn intervals(manifest: &Manifest, on_air: &OnAir) -> Vec<Interval> {
    let interval = |piece: &super::intervals::Piece| {
        let session = &manifest.sessions[piece.session].session;
        Interval {
            from: piece.from,
            to: piece.to,
            session: session.id.clone(),
            input: session.input.clone(),
            bytes: piece.bytes,
        }
    };
    on_air.pieces.iter().map(interval).collect()
}

/// What speaks against a Recording, by what is known before anything is stored.
fn doubts_of(manifest: &Manifest, on_air: &OnAir, files: &[Made], least: Option<u8>) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if on_air.pieces.is_empty() {
        doubts.push(Doubt::NothingOnAir);
    }
    let is_lost = |gap: &&Gap| gap.kind == GapKind::Lost;
    let lost = on_air.gaps.iter().filter(is_lost);
    let bytes: u64 = lost
        .filter_map(|gap| gap.lost.as_ref())
        .map(|lost| lost.bytes.bytes())
        .sum();
    if bytes > 0 {
        doubts.push(Doubt::Lost { bytes });
    }
    // On air to the last that is known of it: its ingest was lost, and may have more when it is back.
    let has_no_end = |spans: &[Span]| spans.last().is_some_and(|span| span.to.is_none());
    let sessions = manifest.sessions.iter().zip(manifest.on_air());
    let open = sessions.filter(|(_, spans)| has_no_end(spans));
    doubts.extend(open.map(|(taped, _)| Doubt::NoEnd {
        session: taped.session.id.clone(),
    }));
    let seconds: f64 = files.iter().map(|made| made.duration.as_secs_f64()).sum();
    let heard = heard(on_air, Timestamp::MAX);
    let should = heard * LEAST_PERCENT / 100.0;
    // A source's encoder sends in bursts: some seconds are nothing.
    if seconds + 5.0 < should {
        doubts.push(Doubt::LessThanHeard { seconds, heard });
    }
    let percent = coverage(manifest, on_air, seconds);
    if let Some(least) = least.filter(|least| percent < f64::from(*least)) {
        doubts.push(Doubt::ShowShort { percent, least });
    }
    doubts
}

/// Deletes the segments of a version that nothing speaks against, if that is wanted. None of them if one of its objects is not
/// there any more as it was: that is [`Error::Damaged`].
pub(super) async fn clear(
    store: &Store,
    recording: &Recording,
    manifest: &Manifest,
    published: &Final,
) -> Result<(), Error> {
    if !recording.delete_segments_after_verify {
        return Ok(());
    }
    if !published.is_beyond_doubt() {
        tracing::warn!(doubts = ?published.doubts, "the segments stay: somebody should listen first");
        return Ok(());
    }
    let segments = manifest.sessions.iter().flat_map(|taped| &taped.segments);
    let keys: BTreeSet<_> = segments.map(|segment| segment.key.clone()).collect();
    let listed = store.list(SEGMENTS);
    if !listed.try_any(async |there| keys.contains(&there.key)).await? {
        return Ok(());
    }
    // They were verified minutes ago or in another life.
    for object in published.objects.iter().chain(&published.renditions) {
        verify::is_there(store, object).await?;
    }
    let keys: Vec<_> = keys.into_iter().collect();
    Ok(store.delete(&keys).await?)
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
