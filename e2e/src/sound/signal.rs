//! Makes the sound of tests: tones, silence, noise, scripts of them (pure) and audio files (through ffmpeg).

use std::f64::consts::TAU;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

use super::codec::{self, Codec};
use super::tone::{RATE, Tone};

/// Half of full scale: loud enough for every codec, with room for a resampler's overshoot.
const AMPLITUDE: f64 = 0.5;

/// Makes samples whose phase goes on through a flip, so that a flip makes no click.
#[derive(Clone, Debug)]
pub struct Oscillator {
    phase: f64,
    noise: u32,
}

impl Default for Oscillator {
    fn default() -> Self {
        Self {
            phase: 0.0,
            noise: 0x9e37_79b9,
        }
    }
}

impl Oscillator {
    /// The next `count` samples, mono at 48 kHz; [`Tone::Unknown`] is white noise.
    pub fn samples(&mut self, tone: Tone, count: usize) -> Vec<i16> {
        (0..count)
            .map(|_| to_sample(self.next(tone) * AMPLITUDE))
            .collect()
    }

    /// The same as bytes of s16le.
    pub fn pcm(&mut self, tone: Tone, count: usize) -> Vec<u8> {
        self.samples(tone, count)
            .into_iter()
            .flat_map(i16::to_le_bytes)
            .collect()
    }

    fn next(&mut self, tone: Tone) -> f64 {
        match tone {
            Tone::Hz(hz) => {
                self.phase = (self.phase + TAU * f64::from(hz) / f64::from(RATE)) % TAU;
                self.phase.sin()
            }
            Tone::Silence => 0.0,
            Tone::Unknown => {
                self.noise ^= self.noise << 13;
                self.noise ^= self.noise >> 17;
                self.noise ^= self.noise << 5;
                f64::from(self.noise) / f64::from(u32::MAX) * 2.0 - 1.0
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of i16")]
fn to_sample(level: f64) -> i16 {
    (level * 32_767.0).clamp(-32_768.0, 32_767.0) as i16
}

/// What a sender plays: steps one after the other. It ends after the last step unless that one is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    pub(super) steps: Vec<(Tone, Option<Duration>)>,
}

impl Script {
    /// One tone for ever.
    #[must_use]
    pub fn steady(tone: Tone) -> Self {
        Self::default().hold(tone)
    }

    /// `count` flips round the given tones, one `every` so often; then the last tone goes on.
    #[must_use]
    pub fn flips(tones: &[Tone], every: Duration, count: usize) -> Self {
        let order: Vec<Tone> = tones.iter().copied().cycle().take(count).collect();
        let last = order.last().copied().unwrap_or(Tone::Silence);
        order
            .into_iter()
            .fold(Self::default(), |script, tone| script.then(tone, every))
            .hold(last)
    }

    /// Adds a tone for some time.
    #[must_use]
    pub fn then(mut self, tone: Tone, length: Duration) -> Self {
        self.steps.push((tone, Some(length)));
        self
    }

    /// Adds a tone that never ends.
    #[must_use]
    pub fn hold(mut self, tone: Tone) -> Self {
        self.steps.push((tone, None));
        self
    }
}

/// An audio file of one tone, for playlists.
#[derive(Clone, Debug)]
pub struct Track {
    tone: Tone,
    length: Duration,
    codec: Codec,
    tags: Vec<(&'static str, String)>,
}

impl Track {
    /// Ten seconds of a tone as MP3.
    #[must_use]
    pub fn of(tone: Tone) -> Self {
        Self {
            tone,
            length: Duration::from_secs(10),
            codec: Codec::Mp3,
            tags: Vec::new(),
        }
    }

    /// How long it plays.
    #[must_use]
    pub fn length(mut self, length: Duration) -> Self {
        self.length = length;
        self
    }

    /// How it is encoded.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The title in its tags.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.tags.push(("title", title.to_owned()));
        self
    }

    /// The artist in its tags.
    #[must_use]
    pub fn artist(mut self, artist: &str) -> Self {
        self.tags.push(("artist", artist.to_owned()));
        self
    }

    /// Writes it, over whatever is there.
    pub async fn write(&self, path: &Path) -> Result<()> {
        let mut command = codec::encoder();
        for (tag, value) in &self.tags {
            command.arg("-metadata").arg(format!("{tag}={value}"));
        }
        command.args(self.codec.encoding(self.codec.usual_kbps()));
        command.args(["-y", "-f", self.codec.muxer()]).arg(path);
        let mut child = codec::spawn(&mut command)?;
        let mut stdin = child.stdin.take().context("ffmpeg was started without a stdin")?;
        let samples = usize::try_from(self.length.as_millis()).unwrap_or(usize::MAX) * (RATE as usize / 1000);
        let pcm = Oscillator::default().pcm(self.tone, samples);
        // ffmpeg tells better than the broken pipe why it did not take the audio.
        let fed = stdin.write_all(&pcm).await;
        drop(stdin);
        let output = child.wait_with_output().await.context("ffmpeg was lost")?;
        if !output.status.success() {
            bail!(
                "ffmpeg could not write {}: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        fed.with_context(|| format!("ffmpeg did not take all audio of {}", path.display()))
    }
}

/// Writes an audio file of one tone; [`Track`] can do more.
pub async fn file(tone: Tone, length: Duration, codec: Codec, path: &Path) -> Result<()> {
    Track::of(tone).length(length).codec(codec).write(path).await
}

/// Mono audio as a whole WAV file.
#[must_use]
pub fn wav(samples: &[i16]) -> Vec<u8> {
    let length = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX - 36);
    let mut bytes = Vec::with_capacity(samples.len() * 2 + 44);
    bytes.extend(b"RIFF");
    bytes.extend((length + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((RATE * 2).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tone::{CANDIDATES, name};
    use super::*;

    #[test]
    fn what_is_made_is_what_is_named() {
        let mut oscillator = Oscillator::default();
        for tone in CANDIDATES
            .map(Tone::Hz)
            .into_iter()
            .chain([Tone::Silence, Tone::Unknown])
        {
            assert_eq!(name(&oscillator.samples(tone, 4800)), tone);
        }
    }

    #[test]
    fn a_flip_does_not_click() {
        let mut oscillator = Oscillator::default();
        let mut audio = oscillator.samples(Tone::Hz(440), 777);
        audio.extend(oscillator.samples(Tone::Hz(880), 777));
        let steepest = audio
            .windows(2)
            .map(|pair| pair[0].abs_diff(pair[1]))
            .max()
            .unwrap();
        assert!(
            steepest < 1950,
            "{steepest} is more than 880 Hz can rise in one sample"
        );
    }

    #[test]
    fn a_wav_says_how_long_it_is() {
        let wav = wav(&[1, -1, 2]);
        assert_eq!(wav.len(), 50);
        assert_eq!(&wav[4..8], 42_u32.to_le_bytes());
        assert_eq!(&wav[40..], [6, 0, 0, 0, 1, 0, 255, 255, 2, 0]);
    }

    #[test]
    fn flips_hold_their_last_tone() {
        let second = Duration::from_secs(1);
        let script = Script::flips(&[Tone::Hz(440), Tone::Hz(880)], second, 3);
        let tones: Vec<Tone> = script.steps.iter().map(|(tone, _)| *tone).collect();
        assert_eq!(
            tones,
            [Tone::Hz(440), Tone::Hz(880), Tone::Hz(440), Tone::Hz(440)]
        );
        assert_eq!(script.steps[3].1, None);
    }
}
