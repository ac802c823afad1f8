//! "Maximum concurrent writes to the same object name (key): 1 per second". Pure but for the clock it is given.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const APART: Duration = Duration::from_secs(1);

/// When each key was last written, as far back as it matters.
#[derive(Default)]
pub struct Pace(HashMap<String, Instant>);

impl Pace {
    /// Whether a key may be written now. A write that is refused does not count.
    pub fn allows(&mut self, key: String, now: Instant) -> bool {
        self.0.retain(|_, last| now.duration_since(*last) < APART);
        if self.0.contains_key(&key) {
            return false;
        }
        self.0.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_a_second() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(pace.allows("a".into(), at(0)));
        assert!(pace.allows("b".into(), at(1)));
        assert!(!pace.allows("a".into(), at(999)));
        assert!(pace.allows("a".into(), at(1000)));
        assert_eq!(pace.0.len(), 2, "b is still within its second");
        assert!(pace.allows("c".into(), at(5000)));
        assert_eq!(pace.0.len(), 1, "what does not matter any more is forgotten");
    }
}
