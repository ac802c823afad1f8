//! What ship tells: the tapes what is stored, the bucket what is known, and whoever asks how far it is. IO: the store, HTTP.

use std::time::Duration;

use http::StatusCode;
use ingest::api::Ack;
use ingest::reader;
use jiff::Timestamp;
use tokio::time::Instant;

use super::report::{Progress, State};
use super::voyage::{Done, Voyage};
use crate::config::Recording;
use crate::manifest::{About, MANIFEST_KEY, Manifest, Over, OverWhy};
use crate::store::Body;

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
}

impl Checkpoint {
    fn is_due(&self) -> bool {
        let age = self.at.map_or(Duration::MAX, |at| at.elapsed());
        let worth = self.stored_since >= self.size * MANIFEST_SHARE || age >= LATEST_MANIFEST;
        self.changed && !self.under_way && age >= MANIFEST && worth
    }
}

impl Voyage {
    /// Tells the tapes what is stored.
    pub(super) fn acks(&mut self, recording: &Recording) {
        for (id, cargo) in &mut self.cargo {
            let Some((desk, to)) = cargo.to_ack() else {
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
        let state = self.state(recording, None);
        self.report.tell(state);
        if !self.manifest.is_due() {
            return;
        }
        let body = self.manifest_body(recording, None);
        self.manifest.at = Some(Instant::now());
        self.manifest.stored_since = 0;
        self.manifest.changed = false;
        self.manifest.under_way = true;
        let store = self.store.clone();
        self.tasks.spawn(async move {
            let put = store.put(MANIFEST_KEY, &body, "application/json").await;
            Done::Manifest(put.map(|()| body.size()))
        });
    }

    pub(super) fn manifest_body(&self, recording: &Recording, why: Option<OverWhy>) -> Body {
        let now = Timestamp::now();
        let manifest = Manifest {
            recording: About::from(recording),
            written: now,
            over: why.map(|why| Over { at: now, why }),
            sessions: self
                .cargo
                .values()
                .filter_map(|cargo| cargo.taped(recording, now))
                .collect(),
        };
        // No map in it has keys that are no strings.
        Body::of(serde_json::to_vec(&manifest).unwrap_or_default().into())
    }

    pub(super) fn state(&self, recording: &Recording, over: Option<OverWhy>) -> State {
        let now = Timestamp::now();
        let progress = self.cargo.iter().map(|(id, cargo)| Progress {
            id: id.clone(),
            stored: cargo.done,
            bytes: cargo.bytes(),
            lost: cargo.lost(recording, now),
            complete: cargo.is_complete(recording, now),
        });
        State {
            over,
            sessions: progress.collect(),
            last_stored: self.last_stored,
            trouble: None,
        }
    }
}
