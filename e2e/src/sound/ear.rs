//! Turns decoded audio into spans of tones. Pure: the stamps are given by whoever got the bytes.
//!
//! Audio is judged in slices of 20 ms. A tone counts once five slices in a row and the 100 ms they make agree on
//! it; its span then begins at the first of them, so an edge is known to 20 ms although a name takes 100.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::tone::{self, Tone};

/// The grain of edges and silences.
pub const SLICE: Duration = Duration::from_millis(20);
/// Audio that must agree before a tone is believed.
pub const WINDOW: Duration = Duration::from_millis(100);

const SLICE_SAMPLES: usize = 960;
const SLICES: usize = 5;
/// Other slices that end a span even if they make no tone: from here on it is `Unknown`.
const LOST: usize = 2 * SLICES;
/// Shorter silences are a codec's business.
const SHORTEST_SILENCE: u32 = 2;

/// A stretch of one tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was heard.
    pub tone: Tone,
    /// When the last byte of its first slice arrived.
    pub began: Instant,
    /// When the last byte of its last slice arrived.
    pub ended: Instant,
    /// How much audio it is; less than `ended - began` after a stall, more in a burst.
    pub audio: Duration,
    /// Slices inside it that were something else, for less than 100 ms: clicks, splices, concealed losses.
    pub blemishes: u32,
}

/// A stretch of silent slices, at the grain of [`SLICE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When its first slice arrived.
    pub at: Instant,
    /// How much audio it is.
    pub audio: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    tone: Tone,
    at: Instant,
}

/// Listens to mono s16le at [`tone::RATE`].
#[derive(Clone, Debug, Default)]
pub struct Ear {
    odd_byte: Option<u8>,
    samples: Vec<i16>,
    window: VecDeque<i16>,
    recent: VecDeque<Slice>,
    /// Slices since the current span was last heard: how many, and when the first and the last came.
    astray: usize,
    astray_since: Option<Instant>,
    spans: Vec<Span>,
    silences: Vec<Silence>,
    silent_now: bool,
    last: Option<Instant>,
}

impl Ear {
    /// Takes decoded audio that became complete with a byte that arrived `at`.
    pub fn hear(&mut self, pcm: &[u8], at: Instant) {
        let mut bytes = pcm.iter().copied();
        while let Some(low) = self.odd_byte.take().or_else(|| bytes.next()) {
            let Some(high) = bytes.next() else {
                self.odd_byte = Some(low);
                break;
            };
            self.samples.push(i16::from_le_bytes([low, high]));
            if self.samples.len() == SLICE_SAMPLES {
                self.slice(at);
            }
        }
    }

    /// All spans so far; the last one may still go on.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Silences of at least 40 ms; the last one may still go on.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences
            .iter()
            .filter(|s| s.audio >= SLICE * SHORTEST_SILENCE)
    }

    /// The tone of the newest 100 ms and when they arrived.
    #[must_use]
    pub fn now(&self) -> Option<(Tone, Instant)> {
        let tone = if self.astray >= SLICES {
            Tone::Unknown
        } else {
            self.spans.last()?.tone
        };
        Some((tone, self.last?))
    }

    fn slice(&mut self, at: Instant) {
        let slice = Slice {
            tone: tone::name(&self.samples),
            at,
        };
        self.window.extend(self.samples.drain(..));
        self.recent.push_back(slice);
        if self.recent.len() > SLICES {
            self.recent.pop_front();
            self.window.drain(..SLICE_SAMPLES);
        }
        self.last = Some(at);
        self.note_silence(slice);
        self.note_span(slice);
    }

    fn note_silence(&mut self, slice: Slice) {
        let silent = slice.tone == Tone::Silence;
        match self.silences.last_mut() {
            Some(run) if silent && self.silent_now => run.audio += SLICE,
            _ if silent => {
                self.silences.retain(|s| s.audio >= SLICE * SHORTEST_SILENCE);
                self.silences.push(Silence {
                    at: slice.at,
                    audio: SLICE,
                });
            }
            _ => {}
        }
        self.silent_now = silent;
    }

    fn note_span(&mut self, slice: Slice) {
        let confirmed = self.confirmed();
        if let Some(current) = self.spans.last_mut() {
            let another = confirmed.is_some_and(|tone| tone != current.tone);
            let lost_still = current.tone == Tone::Unknown && !another;
            if slice.tone == current.tone || lost_still {
                let missed = u32::try_from(self.astray).unwrap_or(u32::MAX);
                current.audio += SLICE * (1 + missed);
                current.blemishes += missed;
                current.ended = slice.at;
                self.astray = 0;
                return;
            }
        }
        if self.astray == 0 {
            self.astray_since = Some(slice.at);
        }
        self.astray += 1;
        if let Some(tone) = confirmed {
            self.begin(tone);
        } else if self.astray >= LOST {
            self.begin_unknown(slice.at);
        }
    }

    /// The tone on which the last five slices and the 100 ms they make agree.
    fn confirmed(&mut self) -> Option<Tone> {
        let tone = self.recent.back()?.tone;
        let agreed = self.recent.len() == SLICES && self.recent.iter().all(|s| s.tone == tone);
        let news = self.spans.last().is_none_or(|span| span.tone != tone);
        (agreed && news && tone != Tone::Unknown && tone::name(self.window.make_contiguous()) == tone)
            .then_some(tone)
    }

    fn begin(&mut self, tone: Tone) {
        let (Some(first), Some(last)) = (self.recent.front(), self.recent.back()) else {
            return;
        };
        let (began, ended) = (first.at, last.at);
        if let Some(span) = self.spans.last_mut().filter(|span| span.tone == Tone::Unknown) {
            // An unknown span counted these slices as its own until they were a tone.
            let lent = SLICE * u32::try_from(SLICES - self.astray.min(SLICES)).unwrap_or(0);
            span.audio = span.audio.saturating_sub(lent);
            span.ended = span.ended.min(began);
        }
        self.spans.push(Span {
            tone,
            began,
            ended,
            audio: WINDOW,
            blemishes: 0,
        });
        self.astray = 0;
    }

    fn begin_unknown(&mut self, ended: Instant) {
        let audio = SLICE * u32::try_from(self.astray).unwrap_or(u32::MAX);
        let began = self.astray_since.unwrap_or(ended);
        self.spans.push(Span {
            tone: Tone::Unknown,
            began,
            ended,
            audio,
            blemishes: 0,
        });
        self.astray = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::signal::Oscillator;
    use super::*;

    /// Plays a script of (tone, ms) in pieces of `grain` bytes, each stamped by its place in the audio.
    fn played(script: &[(Tone, usize)], grain: usize) -> (Ear, Instant) {
        let start = Instant::now();
        let mut oscillator = Oscillator::default();
        let mut pcm = Vec::new();
        for (tone, ms) in script {
            for sample in oscillator.samples(*tone, ms * 48) {
                pcm.extend(sample.to_le_bytes());
            }
        }
        let mut ear = Ear::default();
        let mut done = 0;
        for piece in pcm.chunks(grain) {
            done += piece.len();
            let micros = u64::try_from(done / 2).unwrap() * 1_000_000 / u64::from(tone::RATE);
            ear.hear(piece, start + Duration::from_micros(micros));
        }
        (ear, start)
    }

    fn names(ear: &Ear) -> Vec<Tone> {
        ear.spans().iter().map(|span| span.tone).collect()
    }

    #[test]
    fn spans_follow_the_script_whatever_the_grain() {
        let script = [
            (Tone::Hz(440), 1010),
            (Tone::Silence, 430),
            (Tone::Hz(880), 770),
            (Tone::Unknown, 900),
            (Tone::Hz(440), 500),
        ];
        for grain in [1, 7, 960, 1920, 4097, 200_000] {
            let (ear, start) = played(&script, grain);
            assert_eq!(names(&ear), script.map(|(tone, _)| tone), "grain {grain}");
            if grain > 2000 {
                continue;
            }
            let mut edge = 0;
            for (span, (tone, ms)) in ear.spans().iter().zip(script) {
                let began = usize::try_from((span.began - start).as_millis()).unwrap();
                assert!(
                    (edge..=edge + 45).contains(&began),
                    "{tone} began at {began}, not {edge}"
                );
                let audio = usize::try_from(span.audio.as_millis()).unwrap();
                assert!(audio.abs_diff(ms) <= 45, "{tone} lasted {audio}, not {ms}");
                edge += ms;
            }
        }
    }

    #[test]
    fn a_short_drop_out_is_a_silence_and_a_blemish_but_no_span() {
        let (ear, _) = played(
            &[(Tone::Hz(440), 1000), (Tone::Silence, 80), (Tone::Hz(440), 1000)],
            960,
        );
        assert_eq!(names(&ear), [Tone::Hz(440)]);
        assert_eq!(ear.spans()[0].blemishes, 4);
        assert_eq!(
            ear.silences().map(|s| s.audio).collect::<Vec<_>>(),
            [Duration::from_millis(80)]
        );
    }

    #[test]
    fn under_100_ms_of_a_tone_is_not_named() {
        let (ear, _) = played(
            &[(Tone::Hz(440), 1000), (Tone::Hz(880), 80), (Tone::Hz(440), 1000)],
            960,
        );
        assert_eq!(names(&ear), [Tone::Hz(440)]);
    }

    #[test]
    fn noise_between_two_tones_is_unknown_and_now() {
        let (ear, _) = played(&[(Tone::Hz(440), 500), (Tone::Unknown, 120)], 960);
        assert_eq!(ear.now().unwrap().0, Tone::Unknown);
        let (ear, _) = played(&[(Tone::Unknown, 500)], 960);
        assert_eq!(names(&ear), [Tone::Unknown]);
        assert!(Ear::default().now().is_none());
    }
}
