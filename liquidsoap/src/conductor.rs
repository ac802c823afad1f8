//! Keeps what Liquidsoap plays in step with the playlists: looks at both, cues what differs. IO: HTTP to Liquidsoap,
//! file system through the library.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::sync::{Notify, watch};

use crate::library::{Library, Places};
use crate::live;
use crate::metrics::{InputName, Metrics, PlaylistName, SourceName};
use crate::next::{self, Shared};
use crate::programme::{Cue, Listing, Now, Source};
use crate::settings::Settings;

/// Half of the promised second is for the encoders, Icecast and the listener.
const LOOK: Duration = Duration::from_millis(250);
/// Scanning a large or slow volume takes at most this part of the time.
const SCAN_SHARE: u32 = 10;
/// Liquidsoap decodes a track before it answers a cue.
const PATIENCE: Duration = Duration::from_secs(6);

/// What Liquidsoap says about itself.
#[derive(Clone, Debug, Deserialize)]
struct State {
    on_air: Option<String>,
    automation: Now,
    emergency: Now,
}

impl State {
    fn of(&self, source: Source) -> &Now {
        match source {
            Source::Automation => &self.automation,
            Source::Emergency => &self.emergency,
        }
    }
}

/// Why Liquidsoap did not do as it was told.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("Liquidsoap does not answer on {0}")]
    Silent(SocketAddr),
    #[error("Liquidsoap answered {0}")]
    Refused(StatusCode),
    #[error("Liquidsoap's state is not what this version knows: {0}")]
    Strange(serde_json::Error),
}

/// Everything the conductor looks at and acts on.
pub struct Conductor {
    /// Liquidsoap's control address.
    pub control: SocketAddr,
    /// Where audio files are.
    pub places: Places,
    /// What is to be played.
    pub programme: Shared,
    /// Wakes it at once.
    pub changed: Arc<Notify>,
    /// The Mount's settings.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Where it shows what it saw.
    pub metrics: Metrics,
}

impl Conductor {
    /// Never ends.
    pub async fn conduct(self) {
        // Liquidsoap closes a connection after its answer; a cue sent into that moment would be lost.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        let mut library = Library::default();
        loop {
            let began = Instant::now();
            library = self.look(library).await;
            let scanned = began.elapsed();
            self.step(&client).await;
            let pause = LOOK.max(scanned * SCAN_SHARE);
            // Whichever comes first; a timeout is the ordinary case.
            let _ = tokio::time::timeout(pause, self.changed.notified()).await;
        }
    }

    /// On a thread of its own: a dead network file system blocks whoever reads it.
    async fn look(&self, mut library: Library) -> Library {
        let (places, settings) = (self.places.clone(), Arc::clone(&self.settings.borrow()));
        let looked = tokio::task::spawn_blocking(move || {
            let seen = library.look(&places, &settings.playout);
            (library, seen)
        });
        match looked.await {
            Ok((library, (listings, emergency))) => {
                self.show_tracks(&listings);
                next::with(&self.programme, |programme| programme.update(listings, emergency));
                library
            }
            Err(failure) => {
                tracing::error!(%failure, "looking at the playlists failed; they stay as they are");
                Library::default()
            }
        }
    }

    async fn step(&self, client: &Client<HttpConnector, Body>) {
        let state = match self.state(client).await {
            Ok(state) => state,
            Err(failure) => {
                if self.metrics.liquidsoap_up.set(0) == 1 {
                    tracing::warn!(%failure, "Liquidsoap is away");
                }
                self.metrics.on_air.clear();
                return;
            }
        };
        if self.metrics.liquidsoap_up.set(1) == 0 {
            tracing::info!("Liquidsoap answers");
        }
        self.show_on_air(state.on_air.as_deref());
        for source in Source::ALL {
            let cue = next::with(&self.programme, |programme| {
                programme.cue(source, state.of(source), Instant::now(), &mut rand::rng())
            });
            if let Some(cue) = cue
                && let Err(failure) = self.cue(client, source, cue).await
            {
                tracing::warn!(source = source.name(), %failure, "a cue was not taken; trying again");
            }
        }
    }

    async fn state(&self, client: &Client<HttpConnector, Body>) -> Result<State, Error> {
        let (_, body) = self.ask(client, Method::GET, "/state", String::new()).await?;
        serde_json::from_slice(&body).map_err(Error::Strange)
    }

    async fn cue(&self, client: &Client<HttpConnector, Body>, source: Source, cue: Cue) -> Result<(), Error> {
        let (verb, path) = match cue {
            Cue::Cut(path) => ("cut", path),
            Cue::Queue(path) => ("queue", path),
        };
        tracing::info!(
            source = source.name(),
            verb,
            path = path.as_deref().unwrap_or("nothing"),
            "cueing Liquidsoap"
        );
        let route = format!("/{}/{verb}", source.name());
        let (status, _) = self
            .ask(client, Method::POST, &route, path.unwrap_or_default())
            .await?;
        // Refused because it does not decode: it has told that already, and the next look picks another.
        if status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY {
            Ok(())
        } else {
            Err(Error::Refused(status))
        }
    }

    async fn ask(
        &self,
        client: &Client<HttpConnector, Body>,
        method: Method,
        route: &str,
        body: String,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let silent = || Error::Silent(self.control);
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{route}", self.control))
            .body(Body::from(body))
            .map_err(|_| silent())?;
        let answer = async {
            let answer = client.request(request).await.ok()?;
            let status = answer.status();
            Some((
                status,
                answer.into_body().collect().await.ok()?.to_bytes().to_vec(),
            ))
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .ok()
            .flatten()
            .ok_or_else(silent)
    }

    fn show_on_air(&self, on_air: Option<&str>) {
        let settings = self.settings.borrow();
        let source = on_air.map(|id| match live::input_at(id, &settings.playout.inputs) {
            Some(input) => SourceName::live(&InputName::of(input)),
            None => SourceName::of(id),
        });
        if self.metrics.show_on_air(source.as_ref()) {
            tracing::info!(source = source.map(|source| source.source), "on the air");
        }
    }

    fn show_tracks(&self, listings: &[Listing]) {
        let before: BTreeMap<String, usize> = next::with(&self.programme, |programme| {
            programme
                .listings()
                .iter()
                .map(|listing| (listing.name.clone(), listing.tracks.len()))
                .collect()
        });
        for gone in before
            .keys()
            .filter(|name| listings.iter().all(|listing| &listing.name != *name))
        {
            self.metrics.tracks.remove(&PlaylistName {
                playlist: gone.clone(),
            });
        }
        for listing in listings {
            let count = listing.tracks.len();
            let name = PlaylistName {
                playlist: listing.name.clone(),
            };
            self.metrics
                .tracks
                .get_or_create(&name)
                .set(i64::try_from(count).unwrap_or(i64::MAX));
            if before.get(&listing.name) != Some(&count) {
                tracing::info!(playlist = listing.name, tracks = count, "playlist");
            }
        }
    }
}
