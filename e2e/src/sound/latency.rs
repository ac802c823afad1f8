//! Latency from the sender's hand to the listener's ear, by tone flips. Pure.

use std::fmt;
use std::time::Duration;

use super::ear::Span;
use super::feed::Flip;

/// Durations with their percentiles; also good for any other series of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    sorted: Vec<Duration>,
    /// Flips that were never heard.
    pub missed: usize,
}

impl Latency {
    /// Finds each flip among what was heard after it, in order.
    #[must_use]
    pub fn of(flips: &[Flip], spans: &[Span]) -> Self {
        let mut rest = spans;
        let mut latency = Self::default();
        let mut found = Vec::new();
        for (index, flip) in flips.iter().enumerate() {
            // A flip that was lost must not take the next one of its tone, nor all between.
            let again = flips[index + 1..]
                .iter()
                .find(|next| next.tone == flip.tone)
                .map(|next| next.at);
            let heard = rest
                .iter()
                .position(|span| span.tone == flip.tone && span.began >= flip.at);
            match heard.filter(|at| again.is_none_or(|again| rest[*at].began < again)) {
                Some(at) => {
                    found.push(rest[at].began - flip.at);
                    rest = &rest[at + 1..];
                }
                None => latency.missed += 1,
            }
        }
        latency.sorted = found;
        latency.sorted.sort();
        latency
    }

    /// From measured durations.
    #[must_use]
    pub fn from_samples(mut samples: Vec<Duration>) -> Self {
        samples.sort();
        Self {
            sorted: samples,
            missed: 0,
        }
    }

    /// How many were measured.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest value that `percent` of all do not exceed; zero if there is none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted
            .get(rank - 1)
            .or_else(|| self.sorted.last())
            .copied()
            .unwrap_or_default()
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// All but one in a hundred.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The worst.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [self.p50(), self.p99(), self.max()].map(|d| d.as_millis());
        write!(
            f,
            "p50 {p50} ms, p99 {p99} ms, max {max} ms over {}",
            self.count()
        )?;
        if self.missed > 0 {
            write!(f, ", {} missed", self.missed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tone::Tone;
    use super::*;

    #[test]
    fn percentiles_are_of_the_samples() {
        let ms = Duration::from_millis;
        let latency = Latency::from_samples((1..=20).rev().map(ms).collect());
        assert_eq!(
            (latency.p50(), latency.p99(), latency.max()),
            (ms(10), ms(20), ms(20))
        );
        assert_eq!(Latency::default().p99(), Duration::ZERO);
        assert_eq!(latency.to_string(), "p50 10 ms, p99 20 ms, max 20 ms over 20");
    }

    #[test]
    fn flips_find_their_spans_and_a_lost_one_takes_nobody_elses() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let flip = |ms, hz| Flip {
            at: after(ms),
            tone: Tone::Hz(hz),
        };
        let span = |ms, hz| Span {
            tone: Tone::Hz(hz),
            began: after(ms),
            ended: after(ms + 900),
            audio: Duration::from_millis(900),
            blemishes: 0,
        };
        let flips = [flip(0, 440), flip(1000, 880), flip(2000, 440), flip(3000, 880)];
        let all = [span(300, 440), span(1310, 880), span(2320, 440), span(3330, 880)];
        assert_eq!(
            Latency::of(&flips, &all).to_string(),
            "p50 310 ms, p99 330 ms, max 330 ms over 4"
        );
        let lost = [span(300, 440), span(2320, 440), span(3330, 880)];
        let latency = Latency::of(&flips, &lost);
        assert_eq!((latency.count(), latency.missed), (3, 1));
        assert_eq!(latency.max(), Duration::from_millis(330));
    }
}
