//! Final objects, read back from the store: nothing is deleted on a promise. IO: the store, ffmpeg, ffprobe.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ingest::api::Container;
use ingest::framing::{Framer, Unit};
use sha2::{Digest as _, Sha256};

use super::ogg::packets_in;
use super::probe;
use super::published::{Doubt, Object};
use crate::store::{self, Head, SHA256, Store, hex};

/// Places in an object that are listened to.
const SAMPLES: u32 = 20;
/// Programs that listen at the same time.
const LISTENERS: usize = 2;
const SAMPLE: Duration = Duration::from_secs(4);
/// Below this, in dB, a sample has no sound in it.
const SOUND: f64 = -50.0;
/// One in so many samples has to have a sound.
const AUDIBLE: u32 = 10;
/// Bits a second of anything that is radio.
const BITRATES: std::ops::RangeInclusive<u64> = 6_000..=5_000_000;
/// ffprobe may count so much less, in percent: it takes a first frame with a table for none.
const LEAST_PERCENT: u64 = 98;

/// Why an object is not what was stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A program that listens or counts.
    #[error("{0}")]
    Program(String),
    /// It is another one.
    #[error("the store has {key} damaged: {words}")]
    Damaged {
        /// Below the Recording's prefix.
        key: String,
        /// How it is known.
        words: String,
    },
}

/// Reads an object back and compares all that is known of it. What comes out speaks against what is in it, not against the
/// store. `local` are the same bytes in a file, if there is one.
pub async fn verify(store: &Store, object: &Object, local: Option<&Path>) -> Result<Vec<Doubt>, Error> {
    let container = container_of(object);
    let damaged = |words: String| damaged(object, words);
    head(store, object).await?;
    let read = read_back(store, object, container).await?;
    if read.size != object.bytes {
        return Err(damaged(format!(
            "{} of {} bytes came back",
            read.size, object.bytes
        )));
    }
    let sum = hex(&read.sum.clone().finalize());
    if sum != object.sha256 {
        return Err(damaged(format!(
            "its SHA-256 is {sum} instead of {}",
            object.sha256
        )));
    }
    if read.frames != object.frames {
        return Err(damaged(format!(
            "{} frames of {} are in it",
            read.frames, object.frames
        )));
    }
    let mut doubts = read.doubts(object);
    if let Some(local) = local {
        let probe = match probe::probe(local, container).await {
            Err(probe::Error::Broken(words)) => return Err(Error::Program(words)),
            told => told.map_err(|failure| failure.to_string()),
        };
        doubts.extend(probed(object, container, probe));
    }
    Ok(doubts)
}

/// Looks whether the object that was verified is there still, without reading it again: another attempt may have taken it for
/// damaged since.
pub async fn is_there(store: &Store, object: &Object) -> Result<(), Error> {
    match head(store, object).await?.metadata.get(SHA256) {
        Some(sum) if *sum == object.sha256 => Ok(()),
        Some(sum) => Err(damaged(
            object,
            format!(
                "it was stored as one of SHA-256 {sum} instead of {}",
                object.sha256
            ),
        )),
        // Somebody has put it there by other ways than ours.
        None => verify(store, object, None).await.map(drop),
    }
}

async fn head(store: &Store, object: &Object) -> Result<Head, Error> {
    let head = store.head(&object.key).await?;
    let head = head.ok_or_else(|| damaged(object, "it is not there".to_owned()))?;
    if head.size != object.bytes {
        let words = format!("it has {} bytes instead of {}", head.size, object.bytes);
        return Err(damaged(object, words));
    }
    Ok(head)
}

fn damaged(object: &Object, words: String) -> Error {
    Error::Damaged {
        key: object.key.clone(),
        words,
    }
}

/// Reads all of it, and listens here and there: that takes longer than the download, and need not wait for it.
async fn read_back(store: &Store, object: &Object, container: Container) -> Result<Read, Error> {
    let mut read = Read::new(container, object.seconds);
    let mut download = store.get(&object.key, 0).await?;
    let mut listening = FuturesUnordered::new();
    loop {
        let bytes = tokio::select! {
            Some(peak) = listening.next() => {
                read.hear(peak)?;
                continue;
            }
            bytes = download.next(), if listening.len() < LISTENERS => bytes?,
        };
        let Some(bytes) = bytes else { break };
        let samples = read.take(&bytes).into_iter();
        listening.extend(samples.map(|sample| async move { probe::peak(&sample, container).await }));
    }
    while let Some(peak) = listening.next().await {
        read.hear(peak)?;
    }
    Ok(read)
}

/// By the end of its key.
#[must_use]
pub fn container_of(object: &Object) -> Container {
    match object.key.rsplit('.').next() {
        Some("mp3") => Container::Mp3,
        Some("aac") => Container::Adts,
        _ => Container::Ogg,
    }
}

/// How many frames are in these bytes, with what is heard of them here and there.
#[derive(Debug)]
struct Read {
    container: Container,
    framer: Framer,
    size: u64,
    sum: Sha256,
    frames: u64,
    at: Duration,
    every: Duration,
    taken: u32,
    sample: Vec<u8>,
    sample_from: Duration,
    heard: u32,
    audible: u32,
    complaint: Option<String>,
}

impl Read {
    fn new(container: Container, seconds: f64) -> Self {
        let length = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self {
            container,
            framer: Framer::of(container),
            size: 0,
            sum: Sha256::new(),
            frames: 0,
            at: Duration::ZERO,
            every: (length / SAMPLES).max(SAMPLE),
            taken: 0,
            sample: Vec::new(),
            sample_from: Duration::ZERO,
            heard: 0,
            audible: 0,
            complaint: None,
        }
    }

    /// Gives the samples that are now whole.
    fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.size += bytes.len() as u64;
        self.sum.update(bytes);
        let mut samples = Vec::new();
        for unit in self.framer.push(bytes) {
            self.frames += match self.container {
                Container::Ogg => packets_in(&unit),
                Container::Mp3 | Container::Adts | Container::Webm => 1,
            };
            samples.extend(self.listen(&unit));
            self.at += unit.duration;
        }
        samples
    }

    fn listen(&mut self, unit: &Unit) -> Option<Vec<u8>> {
        if self.sample.is_empty() {
            if !unit.joins || self.at < self.every * self.taken {
                return None;
            }
            self.sample = unit.link.headers.concat();
            self.sample_from = self.at;
            self.taken += 1;
        }
        self.sample.extend_from_slice(&unit.bytes);
        let whole = self.at + unit.duration >= self.sample_from + SAMPLE;
        whole.then(|| std::mem::take(&mut self.sample))
    }

    fn hear(&mut self, peak: Result<f64, probe::Error>) -> Result<(), Error> {
        self.heard += 1;
        match peak {
            Ok(peak) if peak > SOUND => self.audible += 1,
            Ok(_) => {}
            Err(probe::Error::Said(words)) => self.complaint = Some(words),
            Err(probe::Error::Broken(words)) => return Err(Error::Program(words)),
        }
        Ok(())
    }

    fn doubts(&self, object: &Object) -> Vec<Doubt> {
        let key = || object.key.clone();
        let mut doubts = Vec::new();
        if self.audible * AUDIBLE < self.heard {
            doubts.push(match self.complaint.clone() {
                Some(words) => Doubt::Probe { key: key(), words },
                None => Doubt::Silent { key: key() },
            });
        }
        let millis = Duration::try_from_secs_f64(object.seconds)
            .unwrap_or_default()
            .as_millis()
            .max(1);
        let bits = u64::try_from(u128::from(object.bytes) * 8000 / millis).unwrap_or(u64::MAX);
        // The headers outweigh what is shorter.
        if object.seconds >= 10.0 && !BITRATES.contains(&bits) {
            doubts.push(Doubt::Bitrate { key: key(), bits });
        }
        doubts
    }
}

fn probed(object: &Object, container: Container, probe: Result<probe::Probe, String>) -> Option<Doubt> {
    // ffprobe reads a chain as what its first link is.
    let one = object.links <= 1;
    let words = match probe {
        Err(words) => words,
        Ok(probe) if one && probe.packets * 100 < object.frames.saturating_sub(1) * LEAST_PERCENT => {
            format!(
                "ffprobe counts {} packets, we count {}",
                probe.packets, object.frames
            )
        }
        // MP3 and AAC have no clock: ffprobe guesses.
        Ok(probe) if one && container == Container::Ogg => {
            let seconds = probe.seconds.unwrap_or(0.0);
            let off = (seconds - object.seconds).abs();
            if off <= (object.seconds * 0.02).max(1.0) {
                return None;
            }
            format!("ffprobe reads {seconds:.1} s, we count {:.1} s", object.seconds)
        }
        Ok(_) => return None,
    };
    Some(Doubt::Probe {
        key: object.key.clone(),
        words,
    })
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
