//! How full the spool is. IO: looks at its files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use ingest::api::Fill;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

const BLOCK: u64 = 512;
const AGAIN: Duration = Duration::from_secs(1);

/// The spool's cap, and what it takes.
#[derive(Debug)]
pub(super) struct Room {
    spool: PathBuf,
    cap: u64,
    used: AtomicU64,
    told: AtomicU8,
    measured: Notify,
}

impl Room {
    pub fn new(spool: &Path, cap: u64) -> io::Result<Self> {
        let room = Self {
            spool: spool.to_owned(),
            cap,
            used: AtomicU64::new(0),
            told: AtomicU8::new(0),
            measured: Notify::new(),
        };
        room.measure()?;
        Ok(room)
    }

    pub fn cap(&self) -> u64 {
        self.cap
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Between measurements, what is added is counted.
    pub fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn is_full(&self) -> bool {
        self.used() >= self.cap
    }

    /// Waits until something may be added.
    pub async fn wait(&self) {
        while self.is_full() {
            self.measured.notified().await;
        }
    }

    /// Looks each second, whether anything is captured or not: it is ship, another process, that makes room. Never returns.
    pub async fn watch(&self) {
        let mut ticks = tokio::time::interval(AGAIN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = false;
        loop {
            ticks.tick().await;
            match self.measure() {
                Ok(()) => said = false,
                Err(failure) if !said => {
                    tracing::warn!(%failure, "how full the spool is cannot be seen");
                    said = true;
                }
                Err(_) => {}
            }
            self.measured.notify_waiters();
        }
    }

    /// How full it is, for the operator.
    pub fn fill(&self) -> Fill {
        match self.told.load(Ordering::Relaxed) {
            0 => Fill::Low,
            50 => Fill::Half,
            _ => Fill::High,
        }
    }

    /// Looks how much ship has freed.
    pub fn measure(&self) -> io::Result<()> {
        let mut blocks = 0;
        for session in fs::read_dir(&self.spool)? {
            // What goes while it is looked at takes nothing.
            let Ok(files) = fs::read_dir(session?.path()) else {
                continue;
            };
            blocks += files
                .flatten()
                .filter_map(|file| file.metadata().ok())
                .map(|file| file.blocks())
                .sum::<u64>();
        }
        let used = blocks * BLOCK;
        self.used.store(used, Ordering::Relaxed);
        self.tell(used);
        Ok(())
    }

    fn tell(&self, used: u64) {
        let before = self.told.load(Ordering::Relaxed);
        let level = level(used, self.cap, before);
        self.told.store(level, Ordering::Relaxed);
        let cap = self.cap;
        match level {
            100 if before < 100 => {
                tracing::error!(
                    used,
                    cap,
                    "the spool is full; the rest waits on the tape until the store takes more"
                );
            }
            50 | 80 if before < level => {
                tracing::warn!(used, cap, "the spool is {level}% full; look at the store");
            }
            0 if before > 0 => tracing::info!(used, cap, "the spool is less than half full again"),
            _ => {}
        }
    }
}

/// Percent that a level is left below where it is reached.
const STICKS: u8 = 5;

/// The highest of 0, 50, 80 and 100 percent that is reached, or that was and is not left yet.
fn level(used: u64, cap: u64, before: u8) -> u8 {
    let reached = |percent: u8| u128::from(used) * 100 >= u128::from(cap) * u128::from(percent);
    let holds = |&level: &u8| reached(level) || level <= before && reached(level - STICKS);
    [100, 80, 50].into_iter().find(holds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_reached_one_after_the_other() {
        let table = [
            (0, 0),
            (499, 0),
            (500, 50),
            (799, 50),
            (800, 80),
            (999, 80),
            (1_000, 100),
            (u64::MAX, 100),
        ];
        for (used, expected) in table {
            assert_eq!(level(used, 1_000, 0), expected, "{used}");
        }
        let back = [(999, 100), (949, 80), (750, 80), (749, 50), (450, 50), (449, 0)];
        for (used, expected) in back {
            assert_eq!(level(used, 1_000, 100), expected, "{used}");
        }
    }

    #[tokio::test]
    async fn a_full_spool_waits_until_something_goes() {
        let spool = tempfile::tempdir().unwrap();
        let session = spool.path().join("s1");
        fs::create_dir(&session).unwrap();
        fs::write(session.join("tape"), vec![1; 64 << 10]).unwrap();
        let room = Room::new(spool.path(), 64 << 10).unwrap();
        let watched = async {
            assert!(room.is_full());
            let waits = tokio::time::timeout(AGAIN * 2, room.wait()).await;
            assert!(waits.is_err(), "it is full");
            fs::write(session.join("tape"), b"").unwrap();
            room.wait().await;
            assert!(!room.is_full());
            room.add(64 << 10);
            assert!(room.is_full());
        };
        tokio::select! {
            () = watched => {}
            () = room.watch() => {}
        }
    }

    /// Nothing is captured any more, and ship empties it, or another fills it.
    #[tokio::test]
    async fn how_full_it_is_is_known_whoever_is_at_work() {
        let spool = tempfile::tempdir().unwrap();
        let session = spool.path().join("s1");
        fs::create_dir(&session).unwrap();
        let room = Room::new(spool.path(), 100 << 10).unwrap();
        let becomes = async |fill: Fill| {
            while room.fill() != fill {
                room.measured.notified().await;
            }
        };
        let watched = async {
            for (bytes, fill) in [(64 << 10, Fill::Half), (84 << 10, Fill::High), (0, Fill::Low)] {
                fs::write(session.join("tape"), vec![1; bytes]).unwrap();
                becomes(fill).await;
            }
        };
        tokio::select! {
            () = watched => {}
            () = room.watch() => {}
        }
    }
}
