//! Many listeners without ears, cheap enough for thousands in one process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio_util::task::AbortOnDropHandle;

use super::dial::{Address, Dial, Dialer, Direct};
use super::get;
use super::latency::Latency;
use super::log::Reason;

const POLL: Duration = Duration::from_millis(20);

/// What one listener of a crowd got.
#[derive(Clone, Debug, Default)]
pub struct Seat {
    /// Bytes over all its connections.
    pub bytes: u64,
    /// Connections it was granted.
    pub connects: u32,
    /// Connections it lost, and how.
    pub disconnects: Vec<(Instant, Reason)>,
    /// Attempts that were refused or failed.
    pub failures: u32,
    /// Why the last one failed.
    pub last_failure: Option<String>,
    /// From dialing to the first byte, on its first connection.
    pub first_byte: Option<Duration>,
    /// The longest time without a byte between two bytes, not counting the one that lasts.
    pub longest_pause: Duration,
    last_byte: Option<Instant>,
}

impl Seat {
    fn got(&mut self, count: usize, began: Instant) {
        let now = Instant::now();
        self.bytes += u64::try_from(count).unwrap_or(u64::MAX);
        self.first_byte.get_or_insert(now - began);
        if let Some(last) = self.last_byte.replace(now) {
            self.longest_pause = self.longest_pause.max(now - last);
        }
    }

    /// The longest time without a byte since the first, including one that lasts.
    #[must_use]
    pub fn longest_gap(&self, now: Instant) -> Duration {
        let lasting = self.last_byte.map(|last| now.saturating_duration_since(last));
        self.longest_pause.max(lasting.unwrap_or_default())
    }
}

type Shared = Arc<Mutex<Seat>>;

fn with<T>(seat: &Shared, act: impl FnOnce(&mut Seat) -> T) -> T {
    act(&mut seat.lock().unwrap_or_else(PoisonError::into_inner))
}

/// How a crowd comes; made by [`Crowd::of`].
pub struct Gathering {
    url: String,
    count: usize,
    dialer: Dialer,
    over: Duration,
    reconnect: Option<Duration>,
}

impl Gathering {
    /// Connects by this instead of directly.
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dialer = Arc::new(dial);
        self
    }

    /// As [`Self::dial`], with one that is shared already.
    #[must_use]
    pub fn dialer(mut self, dialer: &Dialer) -> Self {
        self.dialer = Arc::clone(dialer);
        self
    }

    /// Lets them arrive evenly over this time instead of at once.
    #[must_use]
    pub fn over(mut self, time: Duration) -> Self {
        self.over = time;
        self
    }

    /// Each connects again this long after a loss or a refusal.
    #[must_use]
    pub fn reconnect(mut self, pause: Duration) -> Self {
        self.reconnect = Some(pause);
        self
    }

    /// Sends them off; [`Crowd::seated`] waits until they hear something.
    pub fn gather(self) -> Result<Crowd> {
        let address = Arc::new(Address::parse(&self.url)?);
        let count = u32::try_from(self.count)?.max(1);
        let step = self.over / count;
        let mut seats = Vec::with_capacity(self.count);
        let mut tasks = Vec::with_capacity(self.count);
        for index in 0..count {
            let seat = Shared::default();
            seats.push(Arc::clone(&seat));
            let (address, dialer) = (Arc::clone(&address), Arc::clone(&self.dialer));
            let listener = sit(seat, address, dialer, step * index, self.reconnect);
            tasks.push(AbortOnDropHandle::new(tokio::spawn(listener)));
        }
        Ok(Crowd {
            url: self.url,
            seats,
            _tasks: tasks,
        })
    }
}

async fn sit(
    seat: Shared,
    address: Arc<Address>,
    dialer: Dialer,
    wait: Duration,
    reconnect: Option<Duration>,
) {
    tokio::time::sleep(wait).await;
    loop {
        let began = Instant::now();
        match get::get(&dialer, &address, false).await {
            Ok(mut stream) => {
                with(&seat, |seat| seat.connects += 1);
                let reason = loop {
                    match stream.next().await {
                        Ok(bytes) => with(&seat, |seat| seat.got(bytes.len(), began)),
                        Err(reason) => break reason,
                    }
                };
                with(&seat, |seat| seat.disconnects.push((Instant::now(), reason)));
            }
            Err(error) => with(&seat, |seat| {
                seat.failures += 1;
                seat.last_failure = Some(format!("{error:#}"));
            }),
        }
        match reconnect {
            Some(pause) => tokio::time::sleep(pause).await,
            None => break,
        }
    }
}

/// Listeners that count bytes until they are dropped.
pub struct Crowd {
    url: String,
    seats: Vec<Shared>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Crowd {
    /// `count` listeners of an `http://` URL.
    #[must_use]
    pub fn of(count: usize, url: &str) -> Gathering {
        let dialer: Dialer = Arc::new(Direct);
        Gathering {
            url: url.to_owned(),
            count,
            dialer,
            over: Duration::ZERO,
            reconnect: None,
        }
    }

    /// Waits until each got its first byte.
    pub async fn seated(&self, within: Duration) -> Result<()> {
        self.until("a first byte each", within, |summary| {
            summary.first_bytes.count() == summary.listeners
        })
        .await
    }

    /// Waits until each of them got this many bytes.
    pub async fn await_bytes(&self, each: u64, within: Duration) -> Result<()> {
        let what = format!("{each} bytes each");
        self.until(&what, within, |summary| summary.fewest_bytes >= each)
            .await
    }

    /// Waits until all of them together lost this many connections.
    pub async fn await_disconnects(&self, count: usize, within: Duration) -> Result<()> {
        let what = format!("{count} disconnects");
        self.until(&what, within, |summary| summary.disconnects >= count)
            .await
    }

    async fn until(&self, what: &str, within: Duration, is_so: impl Fn(&Summary) -> bool) -> Result<()> {
        let until = Instant::now() + within;
        loop {
            let summary = self.summary();
            if is_so(&summary) {
                return Ok(());
            }
            if Instant::now() >= until {
                let seats = self.seats();
                let why = seats
                    .iter()
                    .find_map(|seat| seat.last_failure.as_deref())
                    .unwrap_or("no attempt failed");
                bail!(
                    "{} did not give its crowd {what} within {within:?}: {summary}; {why}",
                    self.url
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What each of them got.
    #[must_use]
    pub fn seats(&self) -> Vec<Seat> {
        self.seats
            .iter()
            .map(|seat| with(seat, |seat| seat.clone()))
            .collect()
    }

    /// What all of them got; prints in one line.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let (seats, now) = (self.seats(), Instant::now());
        let bytes = |pick: fn(Option<u64>, u64) -> u64| {
            seats
                .iter()
                .map(|seat| seat.bytes)
                .fold(None, |known, bytes| Some(pick(known, bytes)))
                .unwrap_or(0)
        };
        Summary {
            listeners: seats.len(),
            connects: seats.iter().map(|seat| seat.connects).sum(),
            disconnects: seats.iter().map(|seat| seat.disconnects.len()).sum(),
            failures: seats.iter().map(|seat| seat.failures).sum(),
            bytes: seats.iter().map(|seat| seat.bytes).sum(),
            fewest_bytes: bytes(|known, bytes| known.map_or(bytes, |known| known.min(bytes))),
            most_bytes: bytes(|known, bytes| known.map_or(bytes, |known| known.max(bytes))),
            longest_gap: seats
                .iter()
                .map(|seat| seat.longest_gap(now))
                .max()
                .unwrap_or_default(),
            first_bytes: Latency::from_samples(seats.iter().filter_map(|seat| seat.first_byte).collect()),
        }
    }
}

/// A crowd in figures.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How many there are.
    pub listeners: usize,
    /// Connections granted to all of them.
    pub connects: u32,
    /// Connections lost by all of them.
    pub disconnects: usize,
    /// Attempts refused or failed.
    pub failures: u32,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Bytes of the one that got the least.
    pub fewest_bytes: u64,
    /// Bytes of the one that got the most.
    pub most_bytes: u64,
    /// The longest any of them had no byte after its first.
    pub longest_gap: Duration,
    /// From dialing to the first byte.
    pub first_bytes: Latency,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listeners,
            connects,
            disconnects,
            failures,
            bytes,
            fewest_bytes,
            most_bytes,
            ..
        } = self;
        write!(
            f,
            "{listeners} listeners: {connects} connects, {disconnects} disconnects, {failures} failures, \
             {bytes} bytes ({fewest_bytes} to {most_bytes} each), longest gap {} ms, first byte {}",
            self.longest_gap.as_millis(),
            self.first_bytes
        )
    }
}
