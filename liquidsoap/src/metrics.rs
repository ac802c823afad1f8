//! What the agent counts, and whether it is ready. No IO.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::config::Input;
use crate::intake::Outputs;

/// A connection that moved nothing for this long does not play.
const STILL: Duration = Duration::from_secs(5);

/// One output on one origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Line {
    /// `host:port`.
    pub origin: String,
    /// The output's path.
    pub output: String,
}

/// A playlist's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlaylistName {
    /// The name.
    pub playlist: String,
}

/// An input's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InputName {
    /// The name.
    pub input: String,
}

impl InputName {
    /// The name of this input.
    #[must_use]
    pub fn of(input: &Input) -> Self {
        Self {
            input: input.name.clone(),
        }
    }
}

/// What may be heard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceName {
    /// `automation`, `emergency`, `builtin`, or `live/` and the name of an input.
    pub source: String,
}

impl SourceName {
    /// One of those that every Mount has.
    #[must_use]
    pub fn of(source: &str) -> Self {
        Self {
            source: source.to_owned(),
        }
    }

    /// An input.
    #[must_use]
    pub fn live(input: &InputName) -> Self {
        Self {
            source: format!("live/{}", input.input),
        }
    }
}

/// Every series of the agent. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Bytes sent.
    pub sent: Family<Line, Counter>,
    /// 1 while connected.
    pub connected: Family<Line, Gauge>,
    /// Connections that were accepted.
    pub connects: Family<Line, Counter>,
    /// Pages and frames an origin was too slow for.
    pub lost: Family<Line, Counter>,
    /// Tracks in each playlist.
    pub tracks: Family<PlaylistName, Gauge>,
    /// Tracks that did not decode.
    pub undecodable: Counter,
    /// 1 while Liquidsoap takes an input's source.
    pub input_connected: Family<InputName, Gauge>,
    /// 1 for the source that is heard.
    pub on_air: Family<SourceName, Gauge>,
    /// 1 while Liquidsoap answers.
    pub liquidsoap_up: Gauge,
    moved: Arc<Mutex<BTreeMap<Line, Instant>>>,
    inputs: Arc<Mutex<Vec<InputName>>>,
}

impl Metrics {
    /// A registry that shows them.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix("radio_playout");
        all.register("sent_bytes", "Encoded audio sent to an origin", self.sent.clone());
        all.register(
            "origin_connected",
            "1 while an origin takes an output",
            self.connected.clone(),
        );
        all.register(
            "origin_connects",
            "Times an origin accepted an output",
            self.connects.clone(),
        );
        all.register(
            "lost_units",
            "Ogg pages and MP3 frames an origin was too slow for",
            self.lost.clone(),
        );
        all.register("playlist_tracks", "Tracks in a playlist", self.tracks.clone());
        all.register(
            "undecodable_tracks",
            "Tracks that could not be decoded",
            self.undecodable.clone(),
        );
        all.register(
            "input_connected",
            "1 while Liquidsoap takes the source of an input",
            self.input_connected.clone(),
        );
        all.register("on_air", "1 for the source that is heard", self.on_air.clone());
        all.register(
            "liquidsoap_up",
            "1 while Liquidsoap answers",
            self.liquidsoap_up.clone(),
        );
        all
    }

    /// Has a series for each of these inputs, and for no other.
    pub fn show_inputs(&self, inputs: &[Input]) {
        let mut shown = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let inputs: Vec<InputName> = inputs.iter().map(InputName::of).collect();
        for gone in shown.iter().filter(|name| !inputs.contains(name)) {
            self.input_connected.remove(gone);
            self.on_air.remove(&SourceName::live(gone));
        }
        for name in &inputs {
            // It begins at 0.
            drop(self.input_connected.get_or_create(name));
        }
        *shown = inputs;
    }

    /// This is heard, and nothing else; `true` if it was not before.
    pub fn show_on_air(&self, on_air: Option<&SourceName>) -> bool {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let live = inputs.iter().map(SourceName::live);
        let others = ["automation", "emergency", "builtin"].map(SourceName::of);
        let mut news = false;
        for source in live.chain(others) {
            let is_heard = on_air == Some(&source);
            news |= self.on_air.get_or_create(&source).set(is_heard.into()) == 0 && is_heard;
        }
        news
    }

    /// Bytes went out on a line.
    pub fn moved(&self, line: &Line, bytes: usize) {
        self.sent.get_or_create(line).inc_by(bytes as u64);
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        match moved.get_mut(line) {
            Some(at) => *at = Instant::now(),
            None => {
                moved.insert(line.clone(), Instant::now());
            }
        }
    }

    /// Takes a line off every table: its origin is no longer configured.
    pub fn forget(&self, line: &Line) {
        self.sent.remove(line);
        self.connected.remove(line);
        self.connects.remove(line);
        self.lost.remove(line);
        self.moved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(line);
    }

    /// Ready is when every output went to every origin a moment ago; otherwise the first that did not.
    pub fn ready(&self, origins: &[String], outputs: &Outputs) -> Result<(), String> {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        for origin in origins {
            for output in outputs.keys() {
                let line = Line {
                    origin: origin.clone(),
                    output: output.clone(),
                };
                match moved.get(&line) {
                    None => return Err(format!("{output} has not been sent to {origin} yet")),
                    Some(at) if at.elapsed() > STILL => {
                        let seconds = at.elapsed().as_secs();
                        return Err(format!("{output} has not moved to {origin} for {seconds} s"));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(())
    }
}
