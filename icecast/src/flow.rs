//! What moved between one look at Icecast and the next: whether audio flows, and counters that outlive sources. No IO, no
//! clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::stats::{Mount, Stats};

/// Xiph counts a source's bytes every 5 s only, so a look that is closer proves no silence.
const COUNTED_WITHIN: Duration = Duration::from_secs(6);
/// A source this young flows: nothing of it may be counted yet.
const YOUNG: SignedDuration = SignedDuration::from_secs(15);
/// Icecast-KH tells whole seconds of age, so the same beginning comes out a little different each time.
const JITTER: SignedDuration = SignedDuration::from_secs(3);

/// Whether a mount has sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Air {
    /// Its source sends, or has only just come.
    Flows,
    /// Its source is connected and sends nothing, for this long.
    Silent(Duration),
    /// Nobody sends.
    NoSource,
    /// Seen for the first time.
    Unknown,
}

/// A mount over time.
#[derive(Clone, Debug)]
pub struct Flow {
    /// At the last look.
    pub air: Air,
    /// How long its bytes had not grown, at the last look.
    pub lag: Duration,
    /// Bytes from its sources, over all of them.
    pub read: u64,
    /// Bytes to its listeners, over all sources.
    pub sent: u64,
    /// Listeners cut by the queue, over all sources.
    pub cut: u64,
    last: Mount,
    grew: Instant,
}

/// All mounts over time.
#[derive(Clone, Debug, Default)]
pub struct Flows(pub BTreeMap<String, Flow>);

impl Flows {
    /// Takes what was seen `now` (`clock` on the wall). Forgets what neither Icecast nor `is_configured` knows.
    pub fn take(
        &mut self,
        stats: &Stats,
        is_configured: impl Fn(&str) -> bool,
        now: Instant,
        clock: Timestamp,
    ) {
        self.0
            .retain(|path, _| stats.mounts.contains_key(path) || is_configured(path));
        for (path, flow) in &mut self.0 {
            if !stats.mounts.contains_key(path) {
                flow.air = Air::NoSource;
                flow.last = Mount::default();
            }
        }
        for (path, mount) in &stats.mounts {
            match self.0.get_mut(path) {
                Some(flow) => flow.take(mount, now, clock),
                None => {
                    self.0.insert(path.clone(), Flow::first(mount, now, clock));
                }
            }
        }
    }

    /// How `path` is.
    pub fn air(&self, path: &str) -> Air {
        self.0.get(path).map_or(Air::NoSource, |flow| flow.air)
    }
}

impl Flow {
    fn first(mount: &Mount, now: Instant, clock: Timestamp) -> Self {
        Self {
            air: match (mount.has_source, young(mount, clock)) {
                (false, _) => Air::NoSource,
                (true, true) => Air::Flows,
                (true, false) => Air::Unknown,
            },
            lag: Duration::ZERO,
            read: mount.read,
            sent: mount.sent,
            cut: mount.cut,
            last: mount.clone(),
            grew: now,
        }
    }

    fn take(&mut self, mount: &Mount, now: Instant, clock: Timestamp) {
        let goes_on = same_source(&self.last, mount);
        let before = if goes_on {
            std::mem::take(&mut self.last)
        } else {
            Mount::default()
        };
        self.read += mount.read - before.read;
        self.sent += mount.sent.saturating_sub(before.sent);
        self.cut += mount.cut.saturating_sub(before.cut);
        if mount.read > before.read || !goes_on {
            self.grew = now;
        }
        self.lag = now - self.grew;
        self.air = if !mount.has_source {
            Air::NoSource
        } else if mount.read > before.read || young(mount, clock) {
            Air::Flows
        } else if self.lag < COUNTED_WITHIN {
            // Too soon to know.
            match self.air {
                Air::NoSource => Air::Unknown,
                air => air,
            }
        } else {
            Air::Silent(self.lag)
        };
        self.last = mount.clone();
    }
}

fn young(mount: &Mount, clock: Timestamp) -> bool {
    mount
        .since
        .is_some_and(|since| clock.duration_since(since) < YOUNG)
}

fn same_source(before: &Mount, now: &Mount) -> bool {
    let together = match (before.since, now.since) {
        (Some(before), Some(now)) => now.duration_since(before).abs() <= JITTER,
        (None, None) => true,
        _ => false,
    };
    together && before.has_source == now.has_source && now.read >= before.read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{read, tests::XIPH, tests::now as clock};

    struct Watched {
        flows: Flows,
        started: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self {
                flows: Flows::default(),
                started: Instant::now(),
            }
        }

        /// A look so many seconds after the first, which is at an age of the source of 60 s.
        fn look(&mut self, after: u64, mount: Option<Mount>) -> Air {
            let mut stats = read(XIPH.as_bytes(), clock()).unwrap();
            stats.mounts = mount.into_iter().map(|mount| ("/a".to_owned(), mount)).collect();
            let wall = clock() + SignedDuration::from_secs(i64::try_from(after).unwrap());
            let now = self.started + Duration::from_secs(after);
            self.flows.take(&stats, |path| path == "/a", now, wall);
            self.flows.air("/a")
        }

        fn counters(&self) -> [u64; 3] {
            let flow = &self.flows.0["/a"];
            [flow.read, flow.sent, flow.cut]
        }
    }

    fn mount(age: i64, read: u64) -> Mount {
        Mount {
            has_source: true,
            since: Some(clock() - SignedDuration::from_secs(age)),
            read,
            sent: 2 * read,
            cut: read / 100,
            ..Mount::default()
        }
    }

    #[test]
    fn audio_flows_while_bytes_grow() {
        let mut watched = Watched::new();
        assert_eq!(watched.look(0, Some(mount(60, 100))), Air::Unknown);
        assert_eq!(
            watched.look(2, Some(mount(60, 100))),
            Air::Unknown,
            "not yet counted"
        );
        assert_eq!(watched.look(10, Some(mount(60, 200))), Air::Flows);
        assert_eq!(
            watched.look(12, Some(mount(60, 200))),
            Air::Flows,
            "not yet counted"
        );
        assert_eq!(
            watched.look(20, Some(mount(60, 200))),
            Air::Silent(Duration::from_secs(10))
        );
        assert_eq!(
            watched.look(30, Some(mount(60, 200))),
            Air::Silent(Duration::from_secs(20))
        );
        assert_eq!(watched.flows.0["/a"].lag, Duration::from_secs(20));
        assert_eq!(watched.look(40, Some(mount(60, 201))), Air::Flows);
        assert_eq!(watched.look(50, None), Air::NoSource);
        assert_eq!(watched.flows.air("/nowhere"), Air::NoSource);
    }

    #[test]
    fn a_new_source_flows_for_15_seconds_whatever_is_counted() {
        let mut watched = Watched::new();
        assert_eq!(watched.look(0, Some(mount(1, 0))), Air::Flows);
        assert_eq!(watched.look(10, Some(mount(1, 0))), Air::Flows);
        assert_eq!(
            watched.look(20, Some(mount(1, 0))),
            Air::Silent(Duration::from_secs(20))
        );
        // Another one, on an agent that knows the mount.
        assert_eq!(watched.look(30, Some(mount(-25, 0))), Air::Flows);
        let mut bare = mount(1, 0);
        bare.has_source = false;
        assert_eq!(watched.look(40, Some(bare)), Air::NoSource);
    }

    #[test]
    fn counters_go_on_over_sources_and_shaky_clocks() {
        let mut watched = Watched::new();
        watched.look(0, Some(mount(60, 1000)));
        watched.look(10, Some(mount(59, 1500)));
        watched.look(20, Some(mount(61, 1600)));
        assert_eq!(watched.counters(), [1600, 3200, 16]);
        // Another source, that has sent less; then one that has already sent more.
        watched.look(30, Some(mount(-25, 100)));
        assert_eq!(watched.counters(), [1700, 3400, 17]);
        watched.look(40, Some(mount(-35, 300)));
        assert_eq!(watched.counters(), [2000, 4000, 20]);
        watched.look(50, None);
        watched.look(60, Some(mount(-35, 300)));
        assert_eq!(watched.counters(), [2300, 4600, 23]);
        let stats = read(b"<icestats/>", clock()).unwrap();
        watched.flows.take(&stats, |_| false, watched.started, clock());
        assert!(watched.flows.0.is_empty(), "gone with its mount");
    }
}
