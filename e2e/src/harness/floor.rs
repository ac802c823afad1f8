//! Who has the floor: many tests side by side, or one alone. One that needs it alone waits for those that are there, and keeps
//! nobody waiting who comes meanwhile: what can go on side by side is over first.

use std::sync::LazyLock;

use tokio::sync::watch;

/// The floor of one process.
pub(super) struct Floor(LazyLock<watch::Sender<Taken>>);

#[derive(Default)]
struct Taken {
    shared: usize,
    alone: bool,
}

/// Somebody is there as long as this lives.
pub(super) struct Stay<'a> {
    floor: &'a Floor,
    alone: bool,
}

impl Floor {
    pub(super) const fn new() -> Self {
        Self(LazyLock::new(watch::Sender::default))
    }

    /// Comes beside others.
    pub(super) async fn share(&self) -> Stay<'_> {
        self.take(false).await
    }

    /// Comes when nobody is there.
    pub(super) async fn alone(&self) -> Stay<'_> {
        self.take(true).await
    }

    async fn take(&self, alone: bool) -> Stay<'_> {
        let mut changes = self.0.subscribe();
        while !self.0.send_if_modified(|taken| taken.let_in(alone)) {
            // Its sender is never gone.
            let _ = changes.changed().await;
        }
        Stay { floor: self, alone }
    }
}

impl Taken {
    fn let_in(&mut self, alone: bool) -> bool {
        let is_free = !self.alone && (!alone || self.shared == 0);
        if is_free && alone {
            self.alone = true;
        } else if is_free {
            self.shared += 1;
        }
        is_free
    }
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.floor.0.send_modify(|taken| {
            if self.alone {
                taken.alone = false;
            } else {
                taken.shared -= 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn waits<T>(coming: impl Future<Output = T>) -> bool {
        tokio::time::timeout(Duration::from_millis(20), coming)
            .await
            .is_err()
    }

    #[tokio::test]
    async fn who_needs_it_alone_keeps_nobody_waiting() {
        static FLOOR: Floor = Floor::new();
        let first = FLOOR.share().await;
        let alone = tokio::spawn(FLOOR.alone());
        assert!(waits(FLOOR.alone()).await);
        let second = FLOOR.share().await;
        drop(first);
        assert!(!alone.is_finished());
        drop(second);
        let alone = alone.await.unwrap();
        assert!(waits(FLOOR.share()).await && waits(FLOOR.alone()).await);
        drop(alone);
        drop(FLOOR.share().await);
    }
}
