//! Names the tone in a piece of audio by Goertzel's filter. Pure.

use std::f64::consts::TAU;
use std::fmt;

/// Samples per second of everything that is heard or made here.
pub const RATE: u32 = 48_000;

/// The tones a test may play, in Hz. Multiples of 110, so that none is within a window's resolution of another.
pub const CANDIDATES: [u16; 12] = [220, 330, 440, 550, 660, 880, 1100, 1320, 1540, 1760, 2200, 2640];

/// Part of the power that must be in one tone for it to be named; two tones of a mixture never both reach it.
const SHARE: f64 = 0.75;

/// Root mean square, of full scale, below which audio is silence (-50 dB).
const SILENCE: f64 = 0.003;

/// What a piece of audio is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// One of [`CANDIDATES`].
    Hz(u16),
    /// Nothing a person would hear.
    Silence,
    /// Sound, but no single candidate tone: noise, speech, a mixture, an encoder in trouble.
    Unknown,
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hz(hz) => write!(f, "{hz} Hz"),
            Self::Silence => f.write_str("silence"),
            Self::Unknown => f.write_str("no known tone"),
        }
    }
}

/// Names mono audio at [`RATE`]. The resolution is 1/length: 100 ms tell 10 Hz apart, 20 ms tell 50 Hz.
#[must_use]
pub fn name(samples: &[i16]) -> Tone {
    let level = mean_square(samples);
    if level < SILENCE * SILENCE {
        return Tone::Silence;
    }
    CANDIDATES
        .into_iter()
        .map(|hz| (power(samples, hz) / level, hz))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(share, _)| *share >= SHARE)
        .map_or(Tone::Unknown, |(_, hz)| Tone::Hz(hz))
}

fn full_scale(sample: i16) -> f64 {
    f64::from(sample) / 32_768.0
}

fn count(samples: &[i16]) -> f64 {
    f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX)).max(1.0)
}

fn mean_square(samples: &[i16]) -> f64 {
    samples.iter().map(|s| full_scale(*s).powi(2)).sum::<f64>() / count(samples)
}

/// Mean power at `hz`, on the scale of [`mean_square`].
fn power(samples: &[i16], hz: u16) -> f64 {
    let turn = 2.0 * (TAU * f64::from(hz) / f64::from(RATE)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (full_scale(*sample) + turn * last - before, last);
    }
    let magnitude = last * last + before * before - turn * last * before;
    2.0 * magnitude / count(samples).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 4800;
    const SLICE: usize = 960;

    fn sine(hz: f64, amplitude: f64, phase: f64, length: usize) -> Vec<f64> {
        (0..length)
            .map(|i| {
                let at = f64::from(u32::try_from(i).unwrap()) / f64::from(RATE);
                amplitude * (TAU * hz * at + phase).sin()
            })
            .collect()
    }

    fn noise(amplitude: f64, length: usize) -> Vec<f64> {
        (0..length)
            .map(|_| (rand::random::<f64>() * 2.0 - 1.0) * amplitude)
            .collect()
    }

    fn mix(a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    fn heard(audio: &[f64]) -> Tone {
        let samples: Vec<i16> = audio
            .iter()
            .map(|s| {
                #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of i16")]
                let sample = (s * 32_767.0).clamp(-32_768.0, 32_767.0) as i16;
                sample
            })
            .collect();
        name(&samples)
    }

    #[test]
    fn every_candidate_is_named_at_any_phase_and_volume() {
        for hz in CANDIDATES {
            for phase in [0.0, 0.7, 1.6, 3.0, 4.4, 5.9] {
                for amplitude in [0.01, 0.1, 0.5, 1.0] {
                    for length in [SLICE, WINDOW] {
                        let tone = heard(&sine(f64::from(hz), amplitude, phase, length));
                        assert_eq!(tone, Tone::Hz(hz), "{amplitude} {phase} {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn noise_is_never_a_tone() {
        for round in 0..300 {
            for length in [SLICE, WINDOW] {
                let tone = heard(&noise(0.7, length));
                assert_eq!(tone, Tone::Unknown, "round {round}");
            }
        }
    }

    #[test]
    fn tone_is_named_through_some_noise() {
        for hz in CANDIDATES {
            let audio = mix(&sine(f64::from(hz), 0.5, 1.0, WINDOW), &noise(0.2, WINDOW));
            assert_eq!(heard(&audio), Tone::Hz(hz));
        }
    }

    #[test]
    fn silence_is_silence_with_or_without_dither() {
        assert_eq!(heard(&vec![0.0; WINDOW]), Tone::Silence);
        assert_eq!(heard(&noise(0.0005, WINDOW)), Tone::Silence);
        assert_eq!(heard(&sine(440.0, 0.002, 0.0, WINDOW)), Tone::Silence);
        assert_eq!(name(&[]), Tone::Silence);
    }

    #[test]
    fn tones_off_the_list_are_unknown() {
        for hz in [
            100.0, 226.0, 275.0, 385.0, 433.0, 447.0, 495.0, 600.0, 770.0, 868.0, 893.0, 990.0, 3000.0,
            9000.0,
        ] {
            assert_eq!(heard(&sine(hz, 0.5, 0.3, WINDOW)), Tone::Unknown, "{hz} Hz");
        }
    }

    #[test]
    fn a_wrong_sample_rate_is_not_mistaken_for_the_tone() {
        for hz in CANDIDATES {
            let wrong = heard(&sine(f64::from(hz) * 48_000.0 / 44_100.0, 0.5, 0.0, WINDOW));
            assert_ne!(wrong, Tone::Hz(hz));
        }
    }

    #[test]
    fn mixtures_name_the_tone_only_when_it_clearly_leads() {
        for (second, expected) in [
            (0.1, Tone::Hz(440)),
            (0.25, Tone::Hz(440)),
            (0.4, Tone::Unknown),
            (0.5, Tone::Unknown),
        ] {
            for other in [220.0, 330.0, 550.0, 880.0, 1320.0] {
                let audio = mix(&sine(440.0, 0.5, 0.2, WINDOW), &sine(other, second, 1.1, WINDOW));
                assert_eq!(heard(&audio), expected, "with {other} Hz at {second}");
            }
        }
    }

    #[test]
    fn a_flip_inside_the_window_is_never_a_third_tone() {
        for cut in (0..=WINDOW).step_by(240) {
            for (from, to) in [(440, 880), (440, 660), (220, 440), (330, 550), (880, 1320)] {
                let mut audio = sine(f64::from(from), 0.5, 0.0, cut);
                audio.extend(sine(f64::from(to), 0.5, 0.9, WINDOW - cut));
                let tone = heard(&audio);
                assert!(
                    [Tone::Hz(from), Tone::Hz(to), Tone::Unknown].contains(&tone),
                    "{from} to {to} at {cut} was heard as {tone}"
                );
            }
        }
    }
}
