//! Brings inputs as they are heard now to a server that takes Icecast's sources: an Icecast, or Liquidsoap's harbor. IO:
//! tapes, TCP to the server.
//!
//! Each feed follows its input's newest live session. What breaks, on either side, is begun anew at the newest boundary,
//! headers first.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::audio::Audio;
use super::cushion::{Cushion, Piece};
use super::{Join, OnTape, recent};
use crate::api::Container;
use crate::config::{Routing, TapeAccess};
use crate::source_client::{About, Credentials, Error, Source, Target, set_title};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The server is next door, and listeners hear nothing until it is found again.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The ingest is not, and all feeds look for it at once; its list tells them when it answers.
const AWAY: Range<f64> = 2.0..5.0;
const TITLE_AGAIN: Duration = Duration::from_secs(1);
/// A server that has just taken a source may not know it yet, and refuses its title for a moment.
const TITLE_TRIES: u32 = 5;

/// What is fed, and from where. Changes disturb no feed that stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Where the tapes are; absent: nothing is fed.
    pub tape: Option<TapeAccess>,
    /// One for each input.
    pub feeds: Vec<Feed>,
}

/// One input on its way to one mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The input's path.
    pub path: String,
    /// The mount point.
    pub target: Target,
    /// What the server is told about the stream; used by the next connection.
    pub headers: Vec<(&'static str, String)>,
    /// Tried in this order: after a rotation the server may not have read the new password yet.
    pub credentials: Vec<Credentials>,
    /// For a server that plays what it gets at once, and not for one that passes it on: how far it is kept ahead.
    pub cushion: Option<Duration>,
}

/// What there is to hear, as the reader sees it. Shared by all feeds.
type Tapes = watch::Receiver<Arc<Vec<OnTape>>>;
/// A feed stays the same while this does.
type Way = (String, String, String);

/// Feeds what is wanted, as that changes. `shows` is told when a feed's server begins and ceases to take it. Ends only
/// when nothing can be wanted any more.
pub async fn feed_all<S>(mut wanted: watch::Receiver<Wanted>, shows: S)
where
    S: Fn(&Feed, bool) + Clone + Send + Sync + 'static,
{
    let (tell, tapes) = watch::channel(Arc::default());
    let mut access = None;
    let mut _listing = None;
    let mut fed: BTreeMap<Way, (watch::Sender<Feed>, AbortOnDropHandle<Infallible>)> = BTreeMap::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        if access != now.tape {
            let listing = now.tape.clone().map(|tape| list(tape, tell.clone()));
            if listing.is_none() {
                tell.send_replace(Arc::default());
            }
            _listing = listing.map(|listing| AbortOnDropHandle::new(tokio::spawn(listing)));
            access.clone_from(&now.tape);
        }
        for (_, (feed, _)) in fed.extract_if(.., |way, _| !now.feeds.iter().any(|feed| feed.way() == *way)) {
            shows(&feed.borrow(), false);
        }
        for feed in now.feeds {
            if let Some((present, _)) = fed.get(&feed.way()) {
                present.send_if_modified(|present| {
                    let changed = *present != feed;
                    *present = feed;
                    changed
                });
                continue;
            }
            let way = feed.way();
            let (present, receiver) = watch::channel(feed);
            let feeding = Feeding {
                feed: receiver,
                tapes: tapes.clone(),
                shows: shows.clone(),
            };
            fed.insert(
                way,
                (present, AbortOnDropHandle::new(tokio::spawn(feeding.feed()))),
            );
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

impl Feed {
    fn way(&self) -> Way {
        (
            self.path.clone(),
            self.target.address.clone(),
            self.target.mount.clone(),
        )
    }
}

async fn list(access: TapeAccess, tell: watch::Sender<Arc<Vec<OnTape>>>) {
    let mut lists = std::pin::pin!(recent(&access));
    while let Some(tapes) = lists.next().await {
        tell.send_replace(Arc::new(tapes));
    }
}

/// The newest source on this path that is connected and to be heard.
fn newest<'a>(tapes: &'a [OnTape], path: &str) -> Option<&'a OnTape> {
    let heard = |tape: &&OnTape| {
        let session = &tape.session;
        session.path == path && session.routing == Routing::Live && session.ended.is_none()
    };
    tapes
        .iter()
        .filter(heard)
        .max_by(|a, b| a.session.id.cmp(&b.session.id))
}

/// Whether a session that is being fed is to be left, now. One that has ended is not: it is fed to its last byte.
fn is_over(tapes: &[OnTape], chosen: &OnTape) -> bool {
    let now = tapes.iter().find(|tape| tape.session.id == chosen.session.id);
    match newest(tapes, &chosen.session.path) {
        Some(newest) => newest.session.id != chosen.session.id,
        None => now.is_some_and(|now| now.session.routing != Routing::Live),
    }
}

fn title(tapes: &[OnTape], session: &str) -> Option<String> {
    let tape = tapes.iter().find(|tape| tape.session.id == session)?;
    tape.session.title.clone()
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Tape(#[from] super::Error),
    #[error(transparent)]
    Server(#[from] Error),
    #[error("it closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(std::io::Error),
}

impl Failure {
    fn is_ingest_away(&self) -> bool {
        use super::Error::{Silent, Unreachable};
        matches!(self, Self::Tape(Unreachable { .. } | Silent { .. }))
    }
}

struct Feeding<S> {
    feed: watch::Receiver<Feed>,
    tapes: Tapes,
    shows: S,
}

impl<S: Fn(&Feed, bool)> Feeding<S> {
    async fn feed(mut self) -> Infallible {
        let mut finished: Option<String> = None;
        let mut pause = Duration::ZERO;
        let mut said = String::new();
        loop {
            let chosen = self.next(finished.as_deref()).await;
            let mut carried = false;
            let mut tapes = self.tapes.clone();
            let mut news = self.tapes.clone();
            news.mark_unchanged();
            let ended = tokio::select! {
                ended = self.carry(&chosen, &mut carried) => Some(ended),
                _ = tapes.wait_for(|tapes| is_over(tapes, &chosen)) => None,
            };
            let feed = self.feed.borrow().clone();
            if carried {
                (self.shows)(&feed, false);
                (pause, said) = (Duration::ZERO, String::new());
            }
            let (path, session) = (&feed.path, &chosen.session.id);
            match ended {
                None => tracing::info!(path, session, "another source has its place, or none"),
                Some(Ok(()) | Err(Failure::Tape(super::Error::Gone { .. }))) => {
                    tracing::info!(path, session, "fed to its end");
                    finished = Some(chosen.session.id);
                }
                Some(Err(failure)) => {
                    let away = failure.is_ingest_away();
                    let failure = failure.to_string();
                    // Once, not four times a second.
                    if said != failure {
                        tracing::warn!(path, session, mount = feed.target.mount, %failure, "it is not fed; beginning anew");
                        said = failure;
                    }
                    tokio::time::sleep(pause).await;
                    // The first time it only broke off: the tape may be there at once.
                    if away && !carried {
                        let again = Duration::from_secs_f64(rand::random_range(AWAY));
                        let _ = timeout(again, news.changed()).await;
                    }
                    pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                }
            }
        }
    }

    /// Waits for a session to feed. One that was fed to its end is known a moment longer than it lives.
    async fn next(&mut self, finished: Option<&str>) -> OnTape {
        let path = self.feed.borrow().path.clone();
        let due = |tapes: &[OnTape]| {
            newest(tapes, &path)
                .filter(|tape| Some(tape.session.id.as_str()) != finished)
                .cloned()
        };
        let found = self.tapes.wait_for(|tapes| due(tapes).is_some()).await;
        match found.ok().and_then(|tapes| due(&tapes)) {
            Some(tape) => tape,
            // Whoever knows the tapes is gone, and so is this, in a moment.
            None => std::future::pending().await,
        }
    }

    /// One connection on each side, until one of them ends.
    async fn carry(&self, chosen: &OnTape, carried: &mut bool) -> Result<(), Failure> {
        let tape = chosen.desk.join(&chosen.session.id, Join::Live).await?;
        let timed = self.feed.borrow().cushion.is_some();
        let mut audio = Audio::of(tape, chosen.session.container, timed);
        // Icecast sends away a source that stays silent.
        let Some(first) = audio.next().await? else {
            return Ok(());
        };
        let source = self.connect(audio.content_type()).await?;
        *carried = true;
        let feed = self.feed.borrow().clone();
        tracing::info!(
            path = feed.path,
            session = chosen.session.id,
            mount = feed.target.mount,
            "it is fed"
        );
        (self.shows)(&feed, true);
        let stream = Stream {
            source,
            audio,
            cushion: feed.cushion.map(Cushion::of),
        };
        tokio::select! {
            sent = stream.send(first) => sent,
            never = self.tell_titles(chosen) => match never {},
        }
    }

    async fn connect(&self, content_type: &'static str) -> Result<Source, Error> {
        let feed = self.feed.borrow().clone();
        let about = About {
            content_type,
            headers: feed.headers,
        };
        let mut refused = Error::Unauthorized {
            mount: feed.target.mount.clone(),
        };
        for who in &feed.credentials {
            match Source::connect(&feed.target, who, &about).await {
                Err(failure @ Error::Unauthorized { .. }) => refused = failure,
                connected => return connected,
            }
        }
        Err(refused)
    }

    async fn tell_titles(&self, chosen: &OnTape) -> Infallible {
        if !matches!(chosen.session.container, Container::Mp3 | Container::Adts) {
            // Its titles are in the stream.
            return std::future::pending().await;
        }
        let mut tapes = self.tapes.clone();
        // Also that there is none is told: the server may still show the one of whoever was there before.
        let mut told = None;
        let mut refused = 0;
        loop {
            let due = |tapes: &[OnTape]| {
                Some(title(tapes, &chosen.session.id)).filter(|now| told.as_ref() != Some(now))
            };
            let changed = tapes.wait_for(|tapes| due(tapes).is_some()).await;
            let Some(now) = changed.ok().and_then(|tapes| due(&tapes)) else {
                return std::future::pending().await;
            };
            match self.tell(now.as_deref().unwrap_or_default()).await {
                Ok(()) => (told, refused) = (Some(now), 0),
                Err(Error::Refused { status, reason, .. })
                    if status.is_client_error() && refused + 1 >= TITLE_TRIES =>
                {
                    tracing::warn!(mount = self.feed.borrow().target.mount, %status, reason, "a title is not taken");
                    (told, refused) = (Some(now), 0);
                }
                Err(failure) => {
                    refused += u32::from(matches!(failure, Error::Refused { .. }));
                    tracing::debug!(%failure, "a title was not taken; trying again");
                    tokio::time::sleep(TITLE_AGAIN).await;
                }
            }
        }
    }

    async fn tell(&self, title: &str) -> Result<(), Error> {
        let feed = self.feed.borrow().clone();
        let mut told = Ok(());
        for who in &feed.credentials {
            told = set_title(&feed.target, who, title).await;
            if !matches!(told, Err(Error::Unauthorized { .. })) {
                break;
            }
        }
        told
    }
}

/// One stream on its way into one connection.
struct Stream {
    source: Source,
    audio: Audio,
    cushion: Option<Cushion>,
}

impl Stream {
    /// Ends well when the session has.
    async fn send(mut self, first: Piece) -> Result<(), Failure> {
        self.pass(first).await?;
        loop {
            let due = self.cushion.as_ref().and_then(Cushion::due);
            tokio::select! {
                piece = self.audio.next() => match piece? {
                    Some(piece) => self.pass(piece).await?,
                    None => return self.release().await,
                },
                () = wait_until(due) => self.release().await?,
                () = self.source.closed() => return Err(Failure::Closed),
            }
        }
    }

    async fn pass(&mut self, piece: Piece) -> Result<(), Failure> {
        match &mut self.cushion {
            Some(cushion) => {
                let ready = cushion.take(piece, Instant::now());
                self.send_all(ready).await
            }
            None => self.send_all(vec![piece.bytes]).await,
        }
    }

    async fn release(&mut self) -> Result<(), Failure> {
        let held = self
            .cushion
            .as_mut()
            .map(|cushion| cushion.release(Instant::now()));
        self.send_all(held.unwrap_or_default()).await
    }

    async fn send_all(&mut self, ready: Vec<Bytes>) -> Result<(), Failure> {
        for bytes in ready {
            self.source.send(&bytes).await.map_err(Failure::Broken)?;
        }
        Ok(())
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
