//! Stations, mounts and music as a test says them; listening through the listen Service.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Stage, until};
use crate::cluster;
use crate::sound::{Codec, Listen, Listener, Tone, Track};

/// What playlists play.
pub const PLAYLIST: Tone = Tone::Hz(880);
/// What the emergency audio in the image plays.
pub const EMERGENCY: Tone = Tone::Hz(220);

/// From `apply` to on the air; the promise of the Ground issue.
pub const ON_AIR: Duration = Duration::from_secs(15);

/// The title of every track of a test; it has what gets lost on the way.
pub const TITLE: &str = "Drei Töne 🎧 & \"more\"";

const TRACK: Duration = Duration::from_secs(20);

/// A Station with nothing but its title.
#[must_use]
pub fn station(name: &str) -> String {
    format!(
        "{{apiVersion: radio.moafunk.de/v1alpha1, kind: Station, metadata: {{name: {name}}}, \
         spec: {{title: Radio {name}}}}}\n---\n"
    )
}

/// A Mount at `/<name>` that plays the `ConfigMap` `music`.
#[must_use]
pub fn mount(name: &str, station: &str) -> String {
    format!(
        "{{apiVersion: radio.moafunk.de/v1alpha1, kind: Mount, metadata: {{name: {name}}}, \
         spec: {{stationRef: {{name: {station}}}, path: /{name}, \
         playlists: [{{name: music, configMap: {{name: music}}}}]}}}}\n---\n"
    )
}

/// The Mount, with these inputs too.
#[must_use]
pub fn with_inputs(mount: &str, inputs: &str) -> String {
    mount.replace("playlists:", &format!("inputs: {inputs}, playlists:"))
}

impl Stage {
    /// A `ConfigMap` with one track of one tone.
    pub async fn music(&self, config_map: &str, tone: Tone) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        Track::of(tone)
            .length(TRACK)
            .codec(Codec::Opus)
            .title(TITLE)
            .write(file.path())
            .await?;
        let track = STANDARD.encode(std::fs::read(file.path())?);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config_map},
            "binaryData": {"tone.opus": track},
        });
        self.apply(&object.to_string()).await?;
        Ok(())
    }

    /// Merges JSON into an object.
    pub async fn merge(&self, kind: &str, name: &str, patch: serde_json::Value) -> Result<()> {
        let patch = Patch::Merge(patch);
        self.kind(kind)
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// A Station `fm` with a Mount `/live` that plays [`PLAYLIST`], ready.
    pub async fn on_air(&self) -> Result<()> {
        self.on_air_with(&mount("live", "fm")).await
    }

    /// The same, with the inputs `studio` and `mobile`.
    pub async fn on_air_with_inputs(&self) -> Result<()> {
        self.on_air_with(&with_inputs(
            &mount("live", "fm"),
            "[{name: studio}, {name: mobile}]",
        ))
        .await
    }

    /// A Station `fm` with this Mount `live`, ready.
    pub async fn on_air_with(&self, live: &str) -> Result<()> {
        self.music("music", PLAYLIST).await?;
        self.apply(&(station("fm") + live)).await?;
        self.await_ready("Station", "fm", 4 * ON_AIR).await?;
        self.await_ready("Mount", "live", 4 * ON_AIR).await?;
        Ok(())
    }

    /// The address of a Service inside the cluster.
    pub async fn service(&self, name: &str, within: Duration) -> Result<SocketAddr> {
        let (address, _) = until(&format!("the Service {name}"), within, || async {
            let service = self.kind("Service").get(name).await.map_err(|e| e.to_string())?;
            let ip = service
                .data
                .pointer("/spec/clusterIP")
                .and_then(|ip| ip.as_str()?.parse().ok());
            let port = service
                .data
                .pointer("/spec/ports/0/port")
                .and_then(serde_json::Value::as_u64);
            let port = port.and_then(|port| u16::try_from(port).ok());
            ip.zip(port)
                .map(|(ip, port)| SocketAddr::new(ip, port))
                .ok_or_else(|| "it has no address".to_owned())
        })
        .await?;
        Ok(address)
    }

    /// Listens to a path of a Station through its listen Service, as soon as it is there.
    pub async fn listen(&self, station: &str, path: &str, within: Duration) -> Result<Listener> {
        let listener = self.ear(station, path, within).await?.titles().open().await;
        listener.with_context(|| format!("{path} of {station} was not on the air within {within:?}"))
    }

    /// A listener yet to be opened, for a test that listens in its own way.
    pub async fn ear(&self, station: &str, path: &str, within: Duration) -> Result<Listen> {
        let begin = Instant::now();
        let address = self.service(&format!("{station}-listen"), within).await?;
        let left = within.saturating_sub(begin.elapsed());
        Ok(Listener::to(&format!("http://{address}{path}"))
            .dial(dial)
            .patient(left))
    }

    /// Listeners of both encodings of the Mount `live` of `fm`; each hears the playlist.
    pub async fn audience(&self) -> Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        for path in ["/live.opus", "/live.mp3"] {
            let listener = self.listen("fm", path, ON_AIR).await?;
            listener.await_tone(PLAYLIST, ON_AIR).await?;
            listeners.push(listener);
        }
        Ok(listeners)
    }
}

/// Connects from inside the local cluster's network.
pub async fn dial(host: String, port: u16) -> std::io::Result<tokio::net::TcpStream> {
    let ip = host
        .parse()
        .map_err(|_| std::io::Error::other(format!("{host} is not an IP address")))?;
    cluster::dial(SocketAddr::new(ip, port)).await
}
