//! A DJ on the air: flips, titles, stalls and ways to go.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::byte_log::ByteLog;
use super::dial::{Address, Dialer};
use super::encode::{Body, Supply};
use super::feed::{Feed, Flip, Order};
use super::source::{self, Refused, Replies, Reply};
use super::tone::Tone;

/// For an order to a running feed to be carried out: encoders start slowly on a busy machine.
const OBEY: Duration = Duration::from_secs(10);
/// For a server to have its last word after the end of the audio.
const FAREWELL: Duration = Duration::from_secs(2);

/// What happened so far on the way to the server.
#[derive(Clone, Debug, Default)]
pub struct Air {
    pub sent: u64,
    pub writes: Vec<(Instant, u64)>,
    pub flips: Vec<Flip>,
    pub reply: Option<Reply>,
    pub server_closed: Option<Instant>,
    pub body_over: Option<Instant>,
    pub failure: Option<String>,
    pub feed_failure: Option<String>,
}

impl Air {
    pub fn accepted(&mut self, count: u64) {
        self.sent += count;
        self.writes.push((Instant::now(), self.sent));
    }

    fn has_final_reply(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.status >= 200)
    }
}

pub type SharedAir = Arc<watch::Sender<Air>>;

/// How a connection is cut in the middle of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// RST, as from a crashed machine behind a NAT.
    Reset,
    /// FIN without an end of the body, as from a killed program.
    Fin,
}

/// What a DJ that is gone leaves behind.
#[derive(Debug)]
pub struct Sent {
    /// Bytes the socket accepted.
    pub bytes: u64,
    /// When it accepted bytes, and how many it had accepted then in all.
    pub writes: Vec<(Instant, u64)>,
    /// Every flip, the first tone included.
    pub flips: Vec<Flip>,
    /// The bytes.
    pub log: ByteLog,
    /// The server's last word.
    pub reply: Option<Reply>,
    /// Why sending failed, if it did.
    pub failure: Option<String>,
}

/// Sends until it is dropped (which is [`Cut::Fin`]), told to go, or its script is over.
pub struct Dj {
    address: Address,
    dialer: Dialer,
    log: ByteLog,
    air: SharedAir,
    orders: mpsc::Sender<Order>,
    cut: oneshot::Sender<Cut>,
    /// Whether the body has an end of its own, after which a server answers.
    answered: bool,
    sending: AbortOnDropHandle<()>,
    watching: AbortOnDropHandle<()>,
    _feeding: Option<AbortOnDropHandle<()>>,
}

/// What a granted source hands to its [`Dj`].
pub struct Granted {
    pub address: Address,
    pub dialer: Dialer,
    pub log: ByteLog,
    pub air: SharedAir,
    pub orders: mpsc::Sender<Order>,
    pub replies: Replies<OwnedReadHalf>,
    pub body: Body<OwnedWriteHalf>,
    pub supply: Supply,
    pub feed: Option<Feed>,
}

impl Dj {
    pub(super) fn on_air(granted: Granted) -> Self {
        let Granted {
            address,
            dialer,
            log,
            air,
            orders,
            replies,
            body,
            supply,
            feed,
        } = granted;
        let (cut, cut_asked) = oneshot::channel();
        let spawned = |task| AbortOnDropHandle::new(task);
        let answered = body.chunked;
        Self {
            sending: spawned(tokio::spawn(send(body, supply, cut_asked, Arc::clone(&air)))),
            watching: spawned(tokio::spawn(watch_replies(replies, Arc::clone(&air)))),
            _feeding: feed.map(|feed| spawned(tokio::spawn(play(feed, Arc::clone(&air))))),
            address,
            dialer,
            log,
            air,
            orders,
            cut,
            answered,
        }
    }

    /// Plays another tone from now on, instead of the rest of the script. Gives the moment of the flip.
    pub async fn play(&self, tone: Tone) -> Result<Instant> {
        self.order(|told| Order::Play(tone, told)).await
    }

    /// Ends the encoder and starts another on the same connection: the next link of an Ogg chain.
    pub async fn new_link(&self) -> Result<()> {
        self.order(Order::NewLink).await
    }

    /// Stops playing, with the connection left open, until [`Self::resume`].
    pub async fn stall(&self) -> Result<()> {
        self.order(Order::Stall).await
    }

    /// Plays on; what came due during the stall is sent at once.
    pub async fn resume(&self) -> Result<()> {
        self.order(Order::Resume).await
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T> {
        let (told, done) = oneshot::channel();
        let carried_out = async {
            self.orders.send(order(told)).await.ok()?;
            done.await.ok()
        };
        let done = tokio::time::timeout(OBEY, carried_out).await;
        done.ok()
            .flatten()
            .with_context(|| format!("the DJ plays no more: {}", self.report()))
    }

    /// Sets the title through `/admin/metadata`.
    pub async fn title(&self, title: &str) -> Result<()> {
        let mount = source::escape(&self.address.path);
        let song = source::escape(title);
        let path = format!("/admin/metadata?mode=updinfo&mount={mount}&charset=UTF-8&song={song}");
        let reply = source::admin(&self.dialer, &self.address, &path).await?;
        if reply.status >= 300 {
            return Err(Refused {
                url: self.url(),
                status: reply.status,
                body: reply.body,
            }
            .into());
        }
        Ok(())
    }

    /// Every flip so far, the first tone included.
    #[must_use]
    pub fn flips(&self) -> Vec<Flip> {
        self.air.borrow().flips.clone()
    }

    /// Bytes the socket accepted so far; all of them are in [`Self::log`].
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.air.borrow().sent
    }

    /// When the socket accepted bytes, and how many it had accepted then in all.
    #[must_use]
    pub fn writes(&self) -> Vec<(Instant, u64)> {
        self.air.borrow().writes.clone()
    }

    /// The bytes the socket accepted.
    #[must_use]
    pub fn log(&self) -> &ByteLog {
        &self.log
    }

    /// The server's newest reply.
    #[must_use]
    pub fn reply(&self) -> Option<Reply> {
        self.air.borrow().reply.clone()
    }

    /// Whether audio still goes out and the server has not closed.
    #[must_use]
    pub fn is_on_air(&self) -> bool {
        let air = self.air.borrow();
        air.body_over.is_none() && air.server_closed.is_none()
    }

    /// When the server closed the connection.
    #[must_use]
    pub fn server_closed(&self) -> Option<Instant> {
        self.air.borrow().server_closed
    }

    /// Waits for a final reply.
    pub async fn await_reply(&self, within: Duration) -> Result<Reply> {
        self.await_air("a reply", within, Air::has_final_reply).await?;
        self.reply().context("the reply is gone")
    }

    /// Waits for a refusal or the end, and gives the newest reply.
    pub async fn await_last_reply(&self, within: Duration) -> Result<Reply> {
        let is_last = |air: &Air| {
            let refusal = air.reply.as_ref().is_some_and(|reply| reply.status >= 400);
            refusal || air.server_closed.is_some()
        };
        // Who goes on was let in; the reply says so.
        drop(self.await_air("a last reply", within, is_last).await);
        self.reply()
            .with_context(|| format!("there was no reply; {}", self.report()))
    }

    /// Waits until the server closes the connection.
    pub async fn await_server_closed(&self, within: Duration) -> Result<()> {
        self.await_air("the server to close", within, |air| air.server_closed.is_some())
            .await
    }

    /// Waits until the script is over and all its bytes are accepted, or sending failed.
    pub async fn await_over(&self, within: Duration) -> Result<()> {
        self.await_air("the end of the script", within, |air| air.body_over.is_some())
            .await
    }

    /// Waits until this many bytes were accepted.
    pub async fn await_sent(&self, bytes: u64, within: Duration) -> Result<()> {
        self.await_air("bytes to be sent", within, |air| air.sent >= bytes)
            .await
    }

    async fn await_air(&self, what: &str, within: Duration, is_so: impl FnMut(&Air) -> bool) -> Result<()> {
        let mut air = self.air.subscribe();
        if tokio::time::timeout(within, air.wait_for(is_so)).await.is_err() {
            bail!("waited {within:?} for {what}; {}", self.report());
        }
        Ok(())
    }

    /// Stops playing now, plays out what the encoder holds, ends the body, and waits for the server's last
    /// word. A script that should be played to its end is awaited with [`Self::await_over`] before.
    pub async fn finish(self) -> Result<Sent> {
        // A script that is over takes no orders.
        drop(self.orders.send(Order::Finish).await);
        self.await_over(OBEY).await?;
        // Not every server closes, or answers, a source that left.
        let parted = |air: &Air| air.server_closed.is_some() || (self.answered && air.has_final_reply());
        drop(self.await_air("a last word", FAREWELL, parted).await);
        Ok(self.leave_behind())
    }

    /// Cuts the connection at once.
    pub async fn cut(mut self, how: Cut) -> Result<Sent> {
        // Both halves of the socket must be gone before it closes.
        self.watching.abort();
        drop((&mut self.watching).await);
        let (cut, _) = oneshot::channel();
        // A body that is over has closed already.
        let _ = std::mem::replace(&mut self.cut, cut).send(how);
        (&mut self.sending).await.context("the sending task failed")?;
        Ok(self.leave_behind())
    }

    fn leave_behind(self) -> Sent {
        let Air {
            sent,
            writes,
            flips,
            reply,
            failure,
            feed_failure,
            ..
        } = self.air.borrow().clone();
        Sent {
            bytes: sent,
            writes,
            flips,
            log: self.log,
            reply,
            failure: failure.or(feed_failure),
        }
    }

    /// Where it sends, without the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.address.shown()
    }

    /// What happened so far, for the message of a failed test.
    #[must_use]
    pub fn report(&self) -> String {
        let air = self.air.borrow();
        let mut text = format!(
            "{} took {} bytes and {} flips",
            self.url(),
            air.sent,
            air.flips.len()
        );
        if let Some(reply) = &air.reply {
            let _ = write!(text, ", said {} {}", reply.status, reply.body.trim());
        }
        if let Some(at) = air.server_closed {
            let _ = write!(text, ", closed {:.2}s ago", at.elapsed().as_secs_f64());
        }
        for why in air.failure.iter().chain(&air.feed_failure) {
            let _ = write!(text, ", {why}");
        }
        text
    }
}

async fn play(feed: Feed, air: SharedAir) {
    if let Err(error) = feed.run().await {
        air.send_modify(|air| air.feed_failure = Some(format!("the encoder took no more audio: {error:#}")));
    }
}

async fn send(
    mut body: Body<OwnedWriteHalf>,
    supply: Supply,
    mut cut: oneshot::Receiver<Cut>,
    air: SharedAir,
) {
    let (done, how) = tokio::select! {
        done = body.send(supply) => (done, None),
        how = &mut cut => (Ok(()), how.ok()),
    };
    let answered = body.chunked && done.is_ok() && how.is_none();
    air.send_modify(|air| {
        air.body_over = Some(Instant::now());
        air.failure = done
            .err()
            .map(|error| format!("the connection took no more bytes: {error:#}"));
    });
    // A body with an end of its own leaves the connection to the answer, until somebody ends it.
    let how = if answered { cut.await.ok() } else { how };
    if how == Some(Cut::Reset) && body.socket.as_ref().set_zero_linger().is_ok() {
        // Its drop would send a FIN first.
        body.socket.forget();
    }
}

async fn watch_replies(mut replies: Replies<OwnedReadHalf>, air: SharedAir) {
    while let Ok(Some(reply)) = replies.next().await {
        air.send_modify(|air| air.reply = Some(reply));
    }
    // Whoever was told yes before the audio can be told no only in the body of that yes.
    let rest = replies.rest();
    air.send_modify(|air| {
        if let Some(reply) = &mut air.reply {
            reply.body.push_str(&rest);
        }
        air.server_closed = Some(Instant::now());
    });
}
