//! What ship tells: the tapes what is stored, the bucket what is known, and whoever asks how far it is. IO: the store, HTTP.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use http::StatusCode;
use ingest::api::Ack;
use ingest::reader;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::adopt::{Adopted, adopt};
use super::cargo::Cargo;
use super::voyage::{Done, Voyage};
use crate::config::Recording;
use crate::course::Span;
use crate::manifest::{About, MANIFEST_KEY, MANIFESTS, Manifest, Over, OverWhy, Rehearsal};
use crate::published::LostBytes;
use crate::report::{Heard, Progress, ShipState, Stored};
use crate::store::{self, Body, Head, Store};

/// The tape keeps what nobody acked; that is no harm, so an ingest that is gone is not waited for.
const LAST_ACKS: Duration = Duration::from_secs(30);
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
const JSON: &str = "application/json";
/// Beside a manifest: who wrote it, and which of its.
const WRITTEN: &str = "written-by";

const MANIFEST: Duration = Duration::from_mins(1);
/// However much larger it is than what was stored since.
const LATEST_MANIFEST: Duration = Duration::from_mins(10);
/// A manifest is to take no more than a tenth of the upload.
const MANIFEST_SHARE: u64 = 10;

/// When the manifest was last written, and what for.
#[derive(Default)]
pub(super) struct Checkpoint {
    pub at: Option<Instant>,
    pub size: u64,
    pub stored_since: u64,
    pub changed: bool,
    pub under_way: bool,
    /// This life, by whose manifest one of another pod is told from it.
    life: String,
    count: u64,
    /// The manifest of another life that was read last.
    other: Option<String>,
}

impl Checkpoint {
    pub fn of_this_life(other: Option<String>) -> Self {
        Self {
            other,
            life: format!("{:016x}", RandomState::new().hash_one(Timestamp::now())),
            ..Self::default()
        }
    }

    fn is_due(&self) -> bool {
        let age = self.at.map_or(Duration::MAX, |at| at.elapsed());
        let worth = self.stored_since >= self.size * MANIFEST_SHARE || age >= LATEST_MANIFEST;
        self.changed && !self.under_way && age >= MANIFEST && worth
    }
}

impl Voyage {
    /// Tells the tapes what is stored.
    pub(super) fn acks(&mut self, recording: &Recording) {
        for (id, cargo) in self.cargo.iter_mut().filter(|(_, cargo)| cargo.belongs) {
            let Some((desk, to)) = cargo.to_ack(recording.limit()) else {
                continue;
            };
            cargo.ack_under_way = true;
            let session = id.clone();
            let ack = Ack {
                recording: recording.name.clone(),
                to,
            };
            self.tasks.spawn(async move {
                let to = match desk.ack(&session, &ack).await {
                    Ok(()) => Some(to),
                    // It has nothing to be told of.
                    Err(reader::Error::Refused { status: StatusCode::NOT_FOUND, .. }) => Some(u64::MAX),
                    Err(failure) => {
                        tracing::debug!(session, %failure, "the tape could not be told what is stored; it keeps it");
                        None
                    }
                };
                Done::Acked { session, to }
            });
        }
    }

    /// Says how far it is, and writes the manifest if that is due.
    pub(super) fn checkpoint(&mut self, recording: &Recording) {
        self.report.tell(self.state());
        if !self.manifest.is_due() {
            return;
        }
        let body = body(&self.manifest_now(recording, None));
        self.manifest.at = Some(Instant::now());
        self.manifest.stored_since = 0;
        self.manifest.changed = false;
        self.manifest.under_way = true;
        self.manifest.count += 1;
        let writing = Writing {
            store: self.store.clone(),
            life: self.manifest.life.clone(),
            count: self.manifest.count,
            other: self.manifest.other.clone(),
            recording: recording.clone(),
        };
        self.tasks
            .spawn(async move { Done::Manifest(Box::new(writing.write(body).await)) });
    }

    /// What became of a manifest.
    pub(super) fn checked(&mut self, checked: Result<Checked, store::Error>) {
        self.manifest.under_way = false;
        match checked {
            Ok(Checked::Written(size)) => self.manifest.size = size,
            Ok(Checked::Other(life, adopted)) => {
                tracing::warn!("another pod of this Recording is at work: what it has stored is taken over");
                self.manifest.other = Some(life);
                self.manifest.changed = true;
                self.manifest.at = None;
                self.merge(adopted);
            }
            Err(failure) => {
                self.manifest.changed = true;
                tracing::error!(%failure, "the manifest is refused; it is tried again");
            }
        }
    }

    fn merge(&mut self, adopted: Adopted) {
        for (id, taped) in adopted {
            match self.cargo.get_mut(&id) {
                Some(cargo) => cargo.merge(taped),
                None => drop(self.cargo.insert(id, Cargo::adopted(taped))),
            }
        }
    }

    /// The last words.
    pub(super) async fn finish(mut self, recording: &Recording, why: OverWhy) -> Stored {
        self.acks(recording);
        let acks = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(LAST_ACKS, acks).await.is_err() {
            tracing::warn!("not all tapes could be told what is stored; they keep it until they are full");
        }
        self.tasks.shutdown().await;
        let over = Over {
            at: Timestamp::now(),
            why,
        };
        let manifest = loop {
            match self.leave(recording, over).await {
                Ok(manifest) => break manifest,
                Err(failure) => {
                    tracing::error!(%failure, "the last manifest is refused; it is tried again");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            }
        };
        let now = Timestamp::now();
        for (session, cargo) in self.cargo.iter().filter(|(_, cargo)| !cargo.belongs) {
            let spans = cargo.spans(now);
            tracing::info!(session, ?spans, "a session was not of this Recording");
        }
        let stored = stored(&manifest, over);
        tracing::info!(
            recording = recording.name,
            sessions = manifest.sessions.len(),
            bytes = stored.bytes,
            lost = stored.lost_bytes,
            ?why,
            "over, and all of it is stored"
        );
        stored
    }

    /// Writes all that is known by anybody, where nobody writes again, and then where it is looked for.
    async fn leave(&mut self, recording: &Recording, over: Over) -> Result<Manifest, store::Error> {
        self.merge(adopt(&self.store, recording).await?);
        for cargo in self.cargo.values_mut() {
            cargo.belongs |= !cargo.stored.is_empty();
        }
        let manifest = self.manifest_now(recording, Some(over));
        let body = body(&manifest);
        let life = &self.manifest.life;
        let own = format!("{MANIFESTS}{life}.json");
        for key in [own.as_str(), MANIFEST_KEY] {
            self.store
                .put_told(key, &body, JSON, &told(life, self.manifest.count))
                .await?;
        }
        Ok(manifest)
    }

    fn manifest_now(&self, recording: &Recording, over: Option<Over>) -> Manifest {
        let now = Timestamp::now();
        Manifest {
            recording: About::from(recording),
            written: now,
            over,
            sessions: self
                .belonging()
                .filter_map(|(_, cargo)| cargo.taped(recording, now))
                .collect(),
            rehearsals: self.rehearsals(now),
        }
    }

    /// Those beside what was on air.
    fn rehearsals(&self, now: Timestamp) -> Vec<Rehearsal> {
        let spans = self.belonging().flat_map(|(_, cargo)| cargo.spans(now));
        let last = spans.map(|span| span.to.unwrap_or(now)).max();
        let before_the_end = |rehearsal: &&Rehearsal| last.is_some_and(|last| rehearsal.from < last);
        self.rehearsals.values().filter(before_the_end).cloned().collect()
    }

    /// When a session was on air for this Recording: later times belong to the next.
    fn own_spans(&self, cargo: &Cargo, now: Timestamp) -> Vec<Span> {
        let mut spans = cargo.spans(now);
        let Some(reach) = self.reach.as_ref().filter(|reach| reach.has_any(&spans)) else {
            return spans;
        };
        spans.retain(|span| reach.has(span));
        reach.clip(&mut spans, || reach.is_past_its_limit(now));
        spans
    }

    fn state(&self) -> ShipState {
        let now = Timestamp::now();
        let progress = self.belonging().map(|(id, cargo)| {
            let spans = self.own_spans(cargo, now);
            Progress {
                id: id.clone(),
                input: cargo
                    .session()
                    .map(|session| session.input.clone())
                    .unwrap_or_default(),
                from: spans.first().map(|span| span.from),
                to: spans.last().and_then(|span| span.to),
                stored: cargo.done,
                bytes: cargo.bytes(),
                lost: cargo.lost(now),
                complete: cargo.is_complete(now),
            }
        });
        ShipState {
            over: self.over,
            sessions: progress.collect(),
            last_stored: self.last_stored,
            trouble: None,
        }
    }
}

/// What became of a manifest that was to be written.
pub(super) enum Checked {
    /// It has so many bytes.
    Written(u64),
    /// Another life's stands there: what the bucket has has to be known first.
    Other(String, Adopted),
}

struct Writing {
    store: Store,
    life: String,
    count: u64,
    other: Option<String>,
    recording: Recording,
}

impl Writing {
    async fn write(self, body: Body) -> Result<Checked, store::Error> {
        let there = self.store.head(MANIFEST_KEY).await?;
        let writer = there.and_then(|there| writer(&there));
        let is_news =
            |writer: &String| !writer.starts_with(&self.life) && Some(writer) != self.other.as_ref();
        if let Some(other) = writer.filter(is_news) {
            return Ok(Checked::Other(other, adopt(&self.store, &self.recording).await?));
        }
        let told = told(&self.life, self.count);
        self.store.put_told(MANIFEST_KEY, &body, JSON, &told).await?;
        Ok(Checked::Written(body.size()))
    }
}

fn told(life: &str, count: u64) -> BTreeMap<String, String> {
    [(WRITTEN.to_owned(), format!("{life}-{count}"))].into()
}

/// Who wrote a manifest, and which of its.
pub(super) fn writer(head: &Head) -> Option<String> {
    head.metadata.get(WRITTEN).cloned()
}

fn body(manifest: &Manifest) -> Body {
    // No map in it has keys that are no strings.
    Body::of(serde_json::to_vec(manifest).unwrap_or_default().into())
}

/// What a manifest says, for the operator.
#[must_use]
pub fn stored(manifest: &Manifest, over: Over) -> Stored {
    let heard: Vec<Heard> = manifest
        .sessions
        .iter()
        .zip(manifest.on_air())
        .filter_map(|(taped, spans)| {
            Some(Heard {
                id: taped.session.id.clone(),
                input: taped.session.input.clone(),
                from: spans.first()?.from,
                to: spans.last()?.to,
                bytes: taped.segments.iter().map(|segment| segment.range.bytes()).sum(),
            })
        })
        .collect();
    let lost = manifest.sessions.iter().flat_map(|taped| {
        taped.lost.iter().map(|&bytes| LostBytes {
            session: taped.session.id.clone(),
            bytes,
        })
    });
    let lost: Vec<LostBytes> = lost.collect();
    Stored {
        over,
        from: heard.iter().map(|heard| heard.from).min(),
        to: heard.iter().filter_map(|heard| heard.to).max(),
        bytes: heard.iter().map(|heard| heard.bytes).sum(),
        lost_bytes: lost.iter().map(|lost| lost.bytes.bytes()).sum(),
        lost,
        sessions: heard,
        lost_left_out: 0,
        sessions_left_out: 0,
    }
}
