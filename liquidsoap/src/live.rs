//! Which input is heard in which place of `radio.liq`, and feeding those places. IO: tapes, Liquidsoap's harbor.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingest::reader::feed::{Feed, Wanted, feed_all};
use ingest::source_client::{Credentials, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::{Input, MOST_INPUTS, Playout};
use crate::engine;
use crate::metrics::{InputName, Metrics};
use crate::settings::Settings;

/// How late a source's audio may come without being heard; as much later everything of it is heard.
const CUSHION: Duration = Duration::from_millis(500);

/// Where Liquidsoap takes sources. Its `Debug` is without the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harbor {
    /// On loopback.
    pub port: u16,
    /// Known to this pod only.
    pub password: String,
}

impl fmt::Debug for Harbor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harbor")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Harbor {
    /// As an earlier life of this agent told Liquidsoap, which reads it only once; the first time with a new password.
    pub fn open(run_dir: &Path, port: u16) -> std::io::Result<Self> {
        #[derive(Deserialize)]
        struct Told {
            harbor: Harbor,
        }
        let password = match std::fs::read(run_dir.join(engine::FILE)) {
            Ok(told) => serde_json::from_slice(&told)
                .ok()
                .map(|told: Told| told.harbor.password),
            Err(absent) if absent.kind() == ErrorKind::NotFound => None,
            Err(failure) => return Err(failure),
        };
        Ok(Self {
            port,
            password: password.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>())),
        })
    }
}

/// Feeds the places, as settings and sources change. Never ends.
pub async fn feed_places(
    mut settings: watch::Receiver<Arc<Settings>>,
    harbor: Harbor,
    address: SocketAddr,
    metrics: Metrics,
) {
    let first = wanted(&settings.borrow_and_update().playout, &harbor, address);
    metrics.show_inputs(&settings.borrow().playout.inputs);
    let (tell, told) = watch::channel(first);
    let shows = {
        let (settings, metrics) = (settings.clone(), metrics.clone());
        move |feed: &Feed, connected: bool| {
            let playout = &settings.borrow().playout;
            if let Some(input) = playout.inputs.iter().find(|input| input.path == feed.path) {
                let gauge = metrics.input_connected.get_or_create(&InputName::of(input));
                gauge.set(connected.into());
            }
        }
    };
    let follow = async {
        while settings.changed().await.is_ok() {
            let playout = &settings.borrow_and_update().playout;
            metrics.show_inputs(&playout.inputs);
            tell.send_if_modified(|now| {
                let next = wanted(playout, &harbor, address);
                let changed = *now != next;
                *now = next;
                changed
            });
        }
    };
    tokio::join!(feed_all(told, shows), follow);
}

fn wanted(playout: &Playout, harbor: &Harbor, address: SocketAddr) -> Wanted {
    let feed = |(place, input): (usize, &Input)| Feed {
        path: input.path.clone(),
        target: Target {
            address: address.to_string(),
            mount: format!("/{place}"),
        },
        headers: Vec::new(),
        credentials: vec![Credentials {
            user: "source".to_owned(),
            password: harbor.password.clone(),
        }],
        cushion: Some(CUSHION),
    };
    Wanted {
        tape: playout.tape.clone(),
        feeds: playout
            .inputs
            .iter()
            .take(MOST_INPUTS)
            .enumerate()
            .map(feed)
            .collect(),
    }
}

/// The input that is heard in a place of `radio.liq`, by the place's name there.
#[must_use]
pub fn input_at<'a>(place: &str, inputs: &'a [Input]) -> Option<&'a Input> {
    inputs.get(place.strip_prefix("live_")?.parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout(inputs: &[&str]) -> Playout {
        let inputs: Vec<_> = inputs
            .iter()
            .map(|name| serde_json::json!({"name": name, "path": format!("/live/{name}")}))
            .collect();
        serde_json::from_value(serde_json::json!({
            "about": {"title": "T"}, "origins": [], "sourcePassword": "", "outputs": [], "playlists": [],
            "inputs": inputs, "tape": {"addresses": ["a:8006"], "token": "hush"}
        }))
        .unwrap()
    }

    fn places(playout: &Playout) -> Vec<(String, String)> {
        let harbor = Harbor {
            port: 8013,
            password: "p".to_owned(),
        };
        let wanted = wanted(playout, &harbor, SocketAddr::from(([127, 0, 0, 1], 8013)));
        assert_eq!(wanted.tape, playout.tape);
        let place = |feed: Feed| (feed.path, feed.target.mount);
        wanted.feeds.into_iter().map(place).collect()
    }

    #[test]
    fn inputs_have_places_by_their_priority() {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        assert_eq!(
            places(&playout(&["studio", "mobile"])),
            own(&[("/live/studio", "/0"), ("/live/mobile", "/1")])
        );
        assert_eq!(places(&playout(&[])), []);
        assert_eq!(places(&playout(&["a"; 9])).len(), MOST_INPUTS);
    }

    #[test]
    fn places_have_inputs() {
        let playout = playout(&["studio", "mobile"]);
        let at = |place| input_at(place, &playout.inputs).map(|input| input.name.as_str());
        assert_eq!(at("live_1"), Some("mobile"));
        for other in ["live_2", "live_", "automation", "live_-1"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn an_agent_that_starts_again_knows_the_password() {
        let run_dir = tempfile::tempdir().unwrap();
        let first = Harbor::open(run_dir.path(), 8013).unwrap();
        assert_ne!(first, Harbor::open(run_dir.path(), 8013).unwrap());
        let radio = engine::Radio {
            intake: 1,
            next: 2,
            control: 3,
            harbor: &first,
            outputs: &[],
        };
        radio.write(run_dir.path()).unwrap();
        assert_eq!(first, Harbor::open(run_dir.path(), 8013).unwrap());
        assert!(!format!("{radio:?}").contains(&first.password));
    }
}
