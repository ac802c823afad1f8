//! Per-object exponential back-off with jitter. No IO.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// How often each object has failed in a row.
#[derive(Debug)]
pub struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// The object failed once more: how long to wait.
    pub fn failed(&self, key: K) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key).or_insert(0);
        let wait = delay(*count, rand::random_range(0.0..=1.0));
        *count = count.saturating_add(1);
        wait
    }

    /// The object is fine, or gone: the next failure starts anew.
    pub fn reset(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The wait after `failures` earlier failures: half of it fixed, half by `jitter` in 0..=1.
fn delay(failures: u32, jitter: f64) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST);
    whole.mul_f64(0.5 + jitter / 2.0)
}

/// A wait spread over 80 % to 120 %, so that many objects do not come back at once.
#[must_use]
pub fn spread(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_five_minutes() {
        let whole: Vec<u64> = (0..11).map(|failures| delay(failures, 1.0).as_secs()).collect();
        assert_eq!(whole, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(delay(u32::MAX, 1.0), LONGEST);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        for failures in 0..12 {
            assert_eq!(delay(failures, 0.0) * 2, delay(failures, 1.0));
        }
    }

    #[test]
    fn each_object_counts_alone_and_starts_anew_after_success() {
        let backoff = Backoff::default();
        for _ in 0..10 {
            backoff.failed("broken");
        }
        assert!(backoff.failed("broken") >= LONGEST / 2);
        assert!(backoff.failed("other") <= FIRST);
        backoff.reset(&"broken");
        assert!(backoff.failed("broken") <= FIRST);
    }
}
