//! What is to be played: the playlists by priority, the emergency audio, and what follows from a change. No IO, no clock.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rand::Rng;
use serde::Deserialize;

use crate::config::Order;
use crate::rotation::Rotation;

/// How long a track that did not decode is left out: not for ever, as it may have been the volume that failed.
const LEFT_OUT: Duration = Duration::from_mins(1);

/// One of the sources in `radio.liq` that play what this agent names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The playlists.
    Automation,
    /// The Mount's own emergency audio.
    Emergency,
}

impl Source {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Automation, Self::Emergency];

    /// Its name in `radio.liq`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Automation => "automation",
            Self::Emergency => "emergency",
        }
    }
}

/// A playlist and the tracks it has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The playlist's name.
    pub name: String,
    /// The order of its tracks.
    pub order: Order,
    /// Paths of audio files.
    pub tracks: BTreeSet<String>,
}

/// What Liquidsoap says about one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Now {
    /// The path it plays.
    pub playing: Option<String>,
    /// The paths it has prepared to play next.
    pub queued: Vec<String>,
}

/// What Liquidsoap is to do about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Play this (or nothing) now.
    Cut(Option<String>),
    /// Play this (or nothing) when the present track is over.
    Queue(Option<String>),
}

/// The programme of one Mount.
#[derive(Debug, Default)]
pub struct Programme {
    listings: Vec<Listing>,
    rotations: HashMap<String, Rotation>,
    emergency: Option<String>,
    undecodable: HashMap<String, Instant>,
}

impl Programme {
    /// Takes what the playlists and the emergency audio are now, highest priority first.
    pub fn update(&mut self, listings: Vec<Listing>, emergency: Option<String>) {
        self.rotations
            .retain(|name, _| listings.iter().any(|listing| &listing.name == name));
        self.undecodable.retain(|path, _| {
            emergency.as_ref() == Some(path) || listings.iter().any(|listing| listing.tracks.contains(path))
        });
        self.listings = listings;
        self.emergency = emergency;
    }

    /// The playlists as last seen.
    #[must_use]
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }

    /// Leaves a track out for a while; false if it is none of ours.
    pub fn mark_undecodable(&mut self, path: &str, now: Instant) -> bool {
        let known = self.emergency.as_deref() == Some(path)
            || self.listings.iter().any(|listing| listing.tracks.contains(path));
        if known {
            self.undecodable.insert(path.to_owned(), now);
        }
        known
    }

    /// The path of the track that `source` is to play next.
    pub fn next(&mut self, source: Source, now: Instant, rng: &mut impl Rng) -> Option<String> {
        self.undecodable
            .retain(|_, failed| now.saturating_duration_since(*failed) < LEFT_OUT);
        match source {
            Source::Emergency => self
                .emergency
                .clone()
                .filter(|path| !self.undecodable.contains_key(path)),
            Source::Automation => {
                let listing = self.listings.iter().find(|listing| self.plays(listing))?;
                let undecodable = &self.undecodable;
                let tracks: Vec<&str> = listing
                    .tracks
                    .iter()
                    .map(String::as_str)
                    .filter(|&track| !undecodable.contains_key(track))
                    .collect();
                self.rotations
                    .entry(listing.name.clone())
                    .or_default()
                    .next(listing.order, &tracks, rng)
            }
        }
    }

    /// What to tell Liquidsoap, given what `source` plays: a track must be in the playlist that has the air, or it
    /// is replaced. `None`: all is well.
    pub fn cue(&mut self, source: Source, is: &Now, now: Instant, rng: &mut impl Rng) -> Option<Cue> {
        let belongs = |path: &String| match source {
            Source::Emergency => self.emergency.as_ref() == Some(path),
            Source::Automation => self
                .listings
                .iter()
                .find(|listing| self.plays(listing))
                .is_some_and(|listing| listing.tracks.contains(path)),
        };
        let plays_on = is.playing.as_ref().is_none_or(belongs);
        let stays_queued = is.queued.iter().all(belongs);
        if !plays_on {
            Some(Cue::Cut(self.next(source, now, rng)))
        } else if !stays_queued {
            Some(Cue::Queue(self.next(source, now, rng)))
        } else {
            None
        }
    }

    fn plays(&self, listing: &Listing) -> bool {
        listing
            .tracks
            .iter()
            .any(|track| !self.undecodable.contains_key(track))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn listing(name: &str, tracks: &[&str]) -> Listing {
        let tracks = tracks.iter().map(|&track| track.to_owned()).collect();
        Listing {
            name: name.to_owned(),
            order: Order::InOrder,
            tracks,
        }
    }

    fn now(playing: Option<&str>, queued: &[&str]) -> Now {
        Now {
            playing: playing.map(str::to_owned),
            queued: queued.iter().map(|&path| path.to_owned()).collect(),
        }
    }

    fn cut(path: Option<&str>) -> Cue {
        Cue::Cut(path.map(str::to_owned))
    }

    fn queue(path: Option<&str>) -> Cue {
        Cue::Queue(path.map(str::to_owned))
    }

    #[test]
    fn cues_follow_the_playlists() {
        let both = || vec![listing("day", &["/d/1", "/d/2"]), listing("night", &["/n/1"])];
        let night = || vec![listing("day", &[]), listing("night", &["/n/1"])];
        let none = || vec![listing("day", &[]), listing("night", &[])];
        let table = [
            ("all is well", both(), now(Some("/d/1"), &["/d/2"]), None),
            ("nothing plays yet: it asks itself", both(), now(None, &[]), None),
            (
                "the playing file vanished",
                both(),
                now(Some("/d/0"), &["/d/2"]),
                Some(cut(Some("/d/1"))),
            ),
            (
                "the next file vanished",
                both(),
                now(Some("/d/1"), &["/d/0"]),
                Some(queue(Some("/d/1"))),
            ),
            (
                "a higher playlist has tracks again",
                both(),
                now(Some("/n/1"), &["/n/1"]),
                Some(cut(Some("/d/1"))),
            ),
            (
                "the playlist became empty",
                night(),
                now(Some("/d/1"), &["/d/2"]),
                Some(cut(Some("/n/1"))),
            ),
            (
                "all are empty",
                none(),
                now(Some("/d/1"), &["/d/2"]),
                Some(cut(None)),
            ),
            (
                "all are empty, one is prepared",
                none(),
                now(None, &["/d/2"]),
                Some(queue(None)),
            ),
        ];
        let mut rng = StdRng::seed_from_u64(0);
        for (case, listings, is, expected) in table {
            let mut programme = Programme::default();
            programme.update(listings, None);
            assert_eq!(
                programme.cue(Source::Automation, &is, Instant::now(), &mut rng),
                expected,
                "{case}"
            );
        }
    }

    #[test]
    fn emergency_audio_is_replaced_and_taken_back() {
        let mut rng = StdRng::seed_from_u64(0);
        let at = Instant::now();
        let mut programme = Programme::default();
        programme.update(vec![], Some("/e/new".to_owned()));
        assert_eq!(
            programme.next(Source::Emergency, at, &mut rng).as_deref(),
            Some("/e/new")
        );
        let is = now(Some("/e/old"), &["/e/old"]);
        assert_eq!(
            programme.cue(Source::Emergency, &is, at, &mut rng),
            Some(cut(Some("/e/new")))
        );
        programme.update(vec![], None);
        assert_eq!(
            programme.cue(Source::Emergency, &is, at, &mut rng),
            Some(cut(None))
        );
    }

    #[test]
    fn a_track_that_does_not_decode_is_left_out_for_a_while() {
        let mut rng = StdRng::seed_from_u64(0);
        let at = Instant::now();
        let mut programme = Programme::default();
        programme.update(vec![listing("a", &["/a/1"]), listing("b", &["/b/1"])], None);
        assert!(!programme.mark_undecodable("/etc/passwd", at));
        assert!(programme.mark_undecodable("/a/1", at));
        assert_eq!(
            programme.next(Source::Automation, at, &mut rng).as_deref(),
            Some("/b/1")
        );
        assert_eq!(
            programme
                .next(Source::Automation, at + LEFT_OUT, &mut rng)
                .as_deref(),
            Some("/a/1")
        );
    }
}
