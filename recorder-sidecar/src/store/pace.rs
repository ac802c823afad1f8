//! The bandwidth that uploads may take.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Whole bodies pass one after the other, each when the one before has had its time: a body itself goes as fast as it can.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_a_second: Option<u64>,
    free: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(bytes_a_second: Option<u64>) -> Self {
        Self {
            bytes_a_second: bytes_a_second.filter(|&cap| cap > 0),
            free: Mutex::default(),
        }
    }

    /// Waits until this many bytes may go.
    pub async fn wait(&self, bytes: usize) {
        let Some(cap) = self.bytes_a_second else { return };
        let mut free = self.free.lock().await;
        if let Some(free) = *free {
            sleep_until(free).await;
        }
        let millis = (bytes as u64).saturating_mul(1000) / cap;
        *free = Some(Instant::now() + Duration::from_millis(millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_wait_for_each_other() {
        let start = Instant::now();
        let pace = Pace::new(Some(10_000));
        for (bytes, millis) in [(2_000, 0), (500, 200), (1, 250)] {
            pace.wait(bytes).await;
            assert!(
                start.elapsed().as_millis() >= millis,
                "{bytes}: {:?}",
                start.elapsed()
            );
        }
        // It would take longer than anybody waits.
        let free = Pace::new(None);
        free.wait(usize::MAX).await;
        free.wait(1).await;
    }
}
