//! One listener with ears: what a person with a radio would get, hear and lose.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::decode::Decoder;
use super::dial::{Address, Dial, Dialer, Direct};
use super::ear::Span;
use super::feed::Flip;
use super::get;
use super::latency::Latency;
use super::log::{Disconnect, Gap, GapKind, Log};
use super::session::Session;
use super::tone::Tone;

/// A stream that brought no audio for this long is not heard any more. Ogg pages may be a second long.
const STALE: Duration = Duration::from_secs(2);
/// Between attempts to connect while a test waits for a stream to appear.
const RETRY: Duration = Duration::from_millis(100);

/// How to listen; made by [`Listener::to`].
pub struct Listen {
    url: String,
    dialer: Dialer,
    decode: bool,
    titles: bool,
    reconnect: Option<Duration>,
    patience: Duration,
    keep: Option<PathBuf>,
}

impl Listen {
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

    /// Only counts bytes: no ffmpeg, no tones, no Ogg titles.
    #[must_use]
    pub fn deaf(mut self) -> Self {
        self.decode = false;
        self
    }

    /// Asks for Shoutcast titles (`Icy-MetaData: 1`). Titles inside Ogg are always read.
    #[must_use]
    pub fn titles(mut self) -> Self {
        self.titles = true;
        self
    }

    /// Connects again this long after each loss, as players do.
    #[must_use]
    pub fn reconnect(mut self, pause: Duration) -> Self {
        self.reconnect = Some(pause);
        self
    }

    /// Keeps asking for the stream this long before `open` fails.
    #[must_use]
    pub fn patient(mut self, within: Duration) -> Self {
        self.patience = within;
        self
    }

    /// Writes the received audio bytes, without titles, to a file.
    #[must_use]
    pub fn keep(mut self, path: &Path) -> Self {
        self.keep = Some(path.to_owned());
        self
    }

    /// Connects and, once the server has granted the stream, goes on listening in the background.
    /// An error is a [`super::Refused`] if a server refused it.
    pub async fn open(self) -> Result<Listener> {
        let address = Address::parse(&self.url)?;
        let keep = match &self.keep {
            Some(path) => Some(
                std::fs::File::create(path)
                    .with_context(|| format!("{} cannot be written", path.display()))?,
            ),
            None => None,
        };
        let asked = Instant::now();
        let (stream, began) = loop {
            let began = Instant::now();
            match get::get(&self.dialer, &address, self.titles).await {
                Ok(stream) => break (stream, began),
                Err(error) if asked.elapsed() >= self.patience => return Err(error),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        };
        let log = Arc::new(watch::channel(Log::default()).0);
        let decoder = self.decode.then(|| Decoder::start(Arc::clone(&log)));
        let session = Session {
            address,
            dialer: self.dialer,
            titles: self.titles,
            reconnect: self.reconnect,
            keep,
            decoder,
            log: Arc::clone(&log),
        };
        session.connected(&stream);
        let task = AbortOnDropHandle::new(tokio::spawn(session.run(stream, began)));
        Ok(Listener {
            url: self.url,
            decodes: self.decode,
            log,
            _task: task,
        })
    }
}

/// Listens until it is dropped.
pub struct Listener {
    url: String,
    decodes: bool,
    log: Arc<watch::Sender<Log>>,
    _task: AbortOnDropHandle<()>,
}

impl Listener {
    /// How to listen to an `http://` URL: decoding, directly dialed, giving up at the first refusal or loss
    /// unless told otherwise.
    #[must_use]
    pub fn to(url: &str) -> Listen {
        Listen {
            url: url.to_owned(),
            dialer: Arc::new(Direct),
            decode: true,
            titles: false,
            reconnect: None,
            patience: Duration::ZERO,
            keep: None,
        }
    }

    /// What is heard now; `None` if no audio came for two seconds.
    #[must_use]
    pub fn tone_now(&self) -> Option<Tone> {
        let (tone, at) = self.log.borrow().ear.now()?;
        (at.elapsed() < STALE).then_some(tone)
    }

    /// Waits until a tone is heard and tells how long that took from now; at once if it is heard already.
    pub async fn await_tone(&self, tone: Tone, within: Duration) -> Result<Duration> {
        self.await_tone_since(Instant::now(), tone, within).await
    }

    /// As [`Self::await_tone`], but counted from an event of the test: how long after it the tone was heard.
    pub async fn await_tone_since(&self, event: Instant, tone: Tone, within: Duration) -> Result<Duration> {
        anyhow::ensure!(self.decodes, "a deaf listener cannot wait for a tone");
        let heard = |log: &Log| {
            let span = log
                .ear
                .spans()
                .iter()
                .rev()
                .take_while(|span| span.ended >= event)
                .find(|s| s.tone == tone)?;
            Some(span.began.saturating_duration_since(event))
        };
        let what = format!("{tone} within {within:?}");
        let mut found = None;
        self.await_log(&what, event + within, |log| {
            found = heard(log);
            found.is_some()
        })
        .await?;
        found
            .filter(|after| *after <= within)
            .with_context(|| format!("waited for {what}; {}", self.report()))
    }

    /// Waits until this many bytes came in all.
    pub async fn await_bytes(&self, bytes: u64, within: Duration) -> Result<()> {
        let what = format!("{bytes} bytes within {within:?}");
        self.await_log(&what, Instant::now() + within, |log| log.bytes >= bytes)
            .await
    }

    /// Waits for a title that contains this text; gives the whole title.
    pub async fn await_title(&self, text: &str, within: Duration) -> Result<String> {
        let what = format!("a title with \"{text}\" within {within:?}");
        let mut found = None;
        self.await_log(&what, Instant::now() + within, |log| {
            found = log
                .titles
                .iter()
                .map(|(_, title)| title)
                .rfind(|title| title.contains(text))
                .cloned();
            found.is_some()
        })
        .await?;
        found.with_context(|| format!("waited for {what}; {}", self.report()))
    }

    /// Waits until the connection was lost `count` times in all.
    pub async fn await_disconnects(&self, count: usize, within: Duration) -> Result<()> {
        let what = format!("{count} disconnects within {within:?}");
        self.await_log(&what, Instant::now() + within, |log| {
            log.disconnects.len() >= count
        })
        .await
    }

    async fn await_log(&self, what: &str, until: Instant, is_so: impl FnMut(&Log) -> bool) -> Result<()> {
        let mut log = self.log.subscribe();
        if tokio::time::timeout_at(until.into(), log.wait_for(is_so))
            .await
            .is_err()
        {
            bail!("waited for {what}; {}", self.report());
        }
        Ok(())
    }

    /// Everything heard so far, in order. The last span may still go on.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.log.borrow().ear.spans().to_vec()
    }

    /// The spans that were heard, at least in part, after an event.
    #[must_use]
    pub fn spans_since(&self, event: Instant) -> Vec<Span> {
        self.log
            .borrow()
            .ear
            .spans()
            .iter()
            .filter(|span| span.ended > event)
            .cloned()
            .collect()
    }

    /// Whether a tone was ever heard.
    #[must_use]
    pub fn ever_heard(&self, tone: Tone) -> bool {
        self.log.borrow().ear.spans().iter().any(|span| span.tone == tone)
    }

    /// Gaps of at least `threshold`, by time, including one that lasts. Pauses between bytes under 150 ms and
    /// silences under 40 ms are not kept.
    #[must_use]
    pub fn gaps(&self, threshold: Duration) -> Vec<Gap> {
        self.log.borrow().gaps(threshold, Instant::now())
    }

    /// The longest stretch without sound of one kind; zero if there was none.
    #[must_use]
    pub fn longest_gap(&self, kind: GapKind) -> Duration {
        let gaps = self
            .gaps(Duration::ZERO)
            .into_iter()
            .filter(|gap| gap.kind == kind);
        gaps.map(|gap| gap.length).max().unwrap_or_default()
    }

    /// From the sender's flips to their being heard. The tones of the flips must come round slower than the
    /// latency that is measured.
    #[must_use]
    pub fn latency(&self, flips: &[Flip]) -> Latency {
        Latency::of(flips, self.log.borrow().ear.spans())
    }

    /// Audio bytes received, over all connections.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.log.borrow().bytes
    }

    /// When each connection was granted.
    #[must_use]
    pub fn connects(&self) -> Vec<Instant> {
        self.log.borrow().connects.clone()
    }

    /// The connections that were lost.
    #[must_use]
    pub fn disconnects(&self) -> Vec<Disconnect> {
        self.log.borrow().disconnects.clone()
    }

    /// Attempts to connect again that failed, and why.
    #[must_use]
    pub fn failures(&self) -> Vec<(Instant, String)> {
        self.log.borrow().failures.clone()
    }

    /// A header of the newest response, such as `content-type` or `icy-name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let log = self.log.borrow();
        log.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// From dialing to the first byte of audio, on the first connection.
    #[must_use]
    pub fn first_byte(&self) -> Option<Duration> {
        self.log.borrow().first_byte
    }

    /// Titles with their arrival, Shoutcast's and Ogg's. An Ogg title of a track is `Artist - Title`.
    #[must_use]
    pub fn titles(&self) -> Vec<(Instant, String)> {
        self.log.borrow().titles.clone()
    }

    /// What the decoder complained about. A join in mid-stream usually costs MP3 a line.
    #[must_use]
    pub fn trouble(&self) -> Vec<(Instant, String)> {
        self.log.borrow().trouble.clone()
    }

    /// What happened so far, for the message of a failed test.
    #[must_use]
    pub fn report(&self) -> String {
        let log = self.log.borrow();
        let mut text = format!("{} gave {} bytes, heard", self.url, log.bytes);
        let spans = log.ear.spans();
        if spans.is_empty() {
            text.push_str(" nothing");
        }
        for span in &spans[spans.len().saturating_sub(8)..] {
            // Writing to a String cannot fail.
            let _ = write!(text, " [{} {:.2}s]", span.tone, span.audio.as_secs_f64());
        }
        if let Some(gap) = log
            .gaps(Duration::ZERO, Instant::now())
            .iter()
            .max_by_key(|gap| gap.length)
        {
            let _ = write!(text, ", longest gap {} ms {:?}", gap.ms(), gap.kind);
        }
        for disconnect in &log.disconnects {
            let _ = write!(
                text,
                ", {} ({} ago)",
                disconnect.reason,
                seconds(disconnect.at.elapsed())
            );
        }
        for (at, why) in log.failures.iter().chain(&log.trouble).rev().take(3) {
            let _ = write!(text, ", {why} ({} ago)", seconds(at.elapsed()));
        }
        text
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2}s", duration.as_secs_f64())
}
