//! One session: from its tape to the spool, until there is nothing more. IO: HTTP, files.

use std::collections::HashSet;
use std::hash::RandomState;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ingest::reader::{Desk, Error, Join, OnTape};
use tokio::time::{Instant, MissedTickBehavior};

use super::begin::Begin;
use super::{Shared, locked};
use crate::config::Recording;
use crate::manifest::Range;
use crate::spool::{self, About, Local};

pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SYNC: Duration = Duration::from_secs(1);
/// An ingest that does not know a session for so long has it no more.
const UNKNOWN: Duration = Duration::from_secs(30);
/// Stream headers with the largest of cover pictures.
const MOST_HEADERS: u64 = 4 << 20;

/// What it takes to follow a session.
pub(super) struct Pull {
    pub spool: PathBuf,
    pub recording: Arc<Recording>,
    pub tape: OnTape,
    pub shared: Shared,
}

/// Why something is tried again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Ingest(#[from] Error),
    #[error("the spool's disk does not take it: {0}; free or mend it")]
    Disk(#[from] io::Error),
}

impl Trouble {
    fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Ingest(Error::Refused { status, .. }) if *status == wanted)
    }
}

impl Pull {
    /// Returns when nothing more will come, and never because of a failure.
    pub async fn run(self) -> String {
        let id = self.tape.session.id.clone();
        let mut again = Again::of(&id);
        let local = loop {
            match self.begin().await {
                Ok(local) => break Arc::new(local),
                Err(failure) => again.after(&failure).await,
            }
        };
        if !local.is_whole() {
            locked(&self.shared.followed).insert(id.clone(), Arc::clone(&local));
            let all = async { tokio::join!(self.pull_tape(&local), self.copy_index(&local)) };
            tokio::select! {
                _ = all => {}
                () = self.keep_synced(&local) => {}
            }
            while let Err(failure) = synced(&local).await {
                again.after(&failure.into()).await;
            }
            tracing::info!(
                session = id,
                bytes = local.tape_end(),
                "a session is whole in the spool"
            );
            locked(&self.shared.followed).remove(&id);
        }
        id
    }

    fn desk(&self) -> &Desk {
        &self.tape.desk
    }

    /// The session's place in the spool.
    async fn begin(&self) -> Result<Local, Trouble> {
        let session = &self.tape.session;
        if spool::has(&self.spool, &session.id) {
            return Ok(Local::resume(&self.spool, &session.id)?);
        }
        let about = if session.started >= self.recording.window.from {
            About {
                session: session.clone(),
                start: 0,
                headers: None,
            }
        } else {
            let mut begin = Begin::of(&self.recording, session.container);
            let mut lines = self.desk().index(&session.id, 0, false).await?;
            while let Some(line) = lines.next().await? {
                begin.take(&line);
            }
            begin.about(session)
        };
        let (about, headers) = self.with_headers(about).await?;
        tracing::info!(
            session = session.id,
            input = session.input,
            from = about.start,
            "a session is captured"
        );
        Ok(Local::create(&self.spool, &about, &headers)?)
    }

    /// Without them what follows can't be decoded until the source sends the next ones, but it is the source's all the same.
    async fn with_headers(&self, about: About) -> Result<(About, Vec<u8>), Trouble> {
        let none = |about| {
            (
                About {
                    headers: None,
                    ..about
                },
                Vec::new(),
            )
        };
        let Some(range) = about.headers.filter(|range| range.bytes() <= MOST_HEADERS) else {
            return Ok(none(about));
        };
        let id = &about.session.id;
        let opened = match self.desk().read(id, range.from, false).await {
            // The head of a long session is given up once it is archived; its headers are still told to who joins.
            Err(Error::Gone { .. }) => self.desk().join(id, Join::At(about.start)).await,
            opened => opened,
        };
        let mut tape = match opened {
            Err(Error::Gone { .. }) => return Ok(none(about)),
            opened => opened?,
        };
        let wanted = usize::try_from(range.bytes()).unwrap_or(usize::MAX);
        let mut headers = Vec::new();
        while headers.len() < wanted {
            let Some(bytes) = tape.next().await? else {
                return Ok(none(about));
            };
            headers.extend_from_slice(&bytes);
        }
        headers.truncate(wanted);
        let to = range.from + headers.len() as u64;
        let headers_at = Range { to, ..range };
        Ok((
            About {
                headers: Some(headers_at),
                ..about
            },
            headers,
        ))
    }

    async fn pull_tape(&self, local: &Local) {
        let mut again = Again::of(&self.tape.session.id);
        let mut unknown = None;
        loop {
            self.shared.room.wait().await;
            let failure = match self.pull_some(local, &mut again).await {
                Ok(true) => return local.tape_is_whole(),
                Ok(false) => {
                    unknown = None;
                    continue;
                }
                Err(failure) => failure,
            };
            match failure {
                Trouble::Ingest(Error::Gone { next: Some(next) }) if next > local.tape_end() => {
                    tracing::error!(
                        session = self.tape.session.id,
                        from = local.tape_end(),
                        to = next,
                        "the tape does not have this any more: it is lost, unless the bucket has it"
                    );
                    if let Err(failure) = local.lost(next) {
                        again.after(&failure.into()).await;
                    }
                }
                // An ingest whose node crashed has less than we do, and nothing more will come.
                failure if failure.is(StatusCode::RANGE_NOT_SATISFIABLE) => return local.tape_is_whole(),
                failure if self.is_unknown(&failure, &mut unknown) => match self.lose_the_rest(local) {
                    Ok(()) => return local.tape_is_whole(),
                    Err(failure) => again.after(&failure.into()).await,
                },
                failure => again.after(&failure).await,
            }
        }
    }

    /// The tape has given up the session, at its cap or with its disk: what is known to have been there is lost, and said to be.
    fn lose_the_rest(&self, local: &Local) -> io::Result<()> {
        let sent = local.end_told()?.unwrap_or(self.tape.session.bytes);
        if sent > local.tape_end() {
            tracing::error!(
                session = self.tape.session.id,
                from = local.tape_end(),
                to = sent,
                "the tape has given up this session before it was captured: this is lost, unless the bucket has it"
            );
        }
        local.lost(sent)
    }

    /// True at the session's end; false when it has to go on elsewhere.
    async fn pull_some(&self, local: &Local, again: &mut Again) -> Result<bool, Trouble> {
        let mut at = local.tape_end();
        let mut tape = self.desk().read(&self.tape.session.id, at, true).await?;
        while let Some(bytes) = tape.next().await? {
            if !local.append(at, &bytes)? {
                return Ok(false);
            }
            at += bytes.len() as u64;
            again.worked();
            self.shared.captured.inc_by(bytes.len() as u64);
            self.shared.room.add(bytes.len());
            if self.shared.room.is_full() {
                return Ok(false);
            }
        }
        Ok(at == local.tape_end())
    }

    async fn copy_index(&self, local: &Local) {
        let mut again = Again::of(&self.tape.session.id);
        let mut unknown = None;
        // After a crash of its node the ingest's index is another one: then all lines are looked at again.
        let mut known: Option<Known> = None;
        loop {
            let failure = match self.copy_lines(local, known.as_ref(), &mut again).await {
                Ok(()) => return local.index_is_whole(),
                Err(failure) => failure,
            };
            let changed = failure.is(StatusCode::RANGE_NOT_SATISFIABLE)
                || matches!(
                    failure,
                    Trouble::Ingest(Error::Strange { .. } | Error::Gone { .. })
                );
            if changed && known.is_none() {
                tracing::warn!(
                    session = self.tape.session.id,
                    "the index has changed; it is read again from its beginning"
                );
                match Known::of(local) {
                    Ok(lines) => known = Some(lines),
                    Err(failure) => again.after(&failure.into()).await,
                }
                continue;
            }
            if self.is_unknown(&failure, &mut unknown) {
                return local.index_is_whole();
            }
            again.after(&failure).await;
        }
    }

    async fn copy_lines(
        &self,
        local: &Local,
        known: Option<&Known>,
        again: &mut Again,
    ) -> Result<(), Trouble> {
        let from = if known.is_some() { 0 } else { local.next_line() };
        let mut lines = self.desk().index(&self.tape.session.id, from, true).await?;
        while let Some(line) = lines.next().await? {
            if known.is_none_or(|known| !known.lines.contains(&spool::hash(&known.state, &line))) {
                local.line(lines.at(), &line)?;
            }
            again.worked();
        }
        Ok(())
    }

    fn is_unknown(&self, failure: &Trouble, since: &mut Option<Instant>) -> bool {
        if !failure.is(StatusCode::NOT_FOUND) {
            *since = None;
            return false;
        }
        let gone = since.get_or_insert_with(Instant::now).elapsed() >= UNKNOWN;
        if gone {
            tracing::error!(
                session = self.tape.session.id,
                "the ingest does not have this session any more"
            );
        }
        gone
    }

    /// Brings what came to the disk each second. Never returns.
    async fn keep_synced(&self, local: &Arc<Local>) {
        let mut again = Again::of(&self.tape.session.id);
        let mut ticks = tokio::time::interval(SYNC);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let round = async {
                local.skip_what_is_freed()?;
                synced(local).await
            };
            match round.await {
                Ok(()) => again.worked(),
                Err(failure) => again.after(&failure.into()).await,
            }
        }
    }
}

/// A disk may take its time: nobody else waits for it.
async fn synced(local: &Arc<Local>) -> io::Result<()> {
    let local = Arc::clone(local);
    tokio::task::spawn_blocking(move || local.sync())
        .await
        .map_err(io::Error::other)??;
    Ok(())
}

struct Known {
    state: RandomState,
    lines: HashSet<u64>,
}

impl Known {
    fn of(local: &Local) -> io::Result<Self> {
        let state = RandomState::new();
        let lines = local.known_lines(&state)?;
        Ok(Self { state, lines })
    }
}

/// Trying again, slower each time, and saying so once.
struct Again {
    session: String,
    pause: Duration,
    said: String,
}

impl Again {
    fn of(session: &str) -> Self {
        Self {
            session: session.to_owned(),
            pause: FIRST_PAUSE,
            said: String::new(),
        }
    }

    fn worked(&mut self) {
        self.pause = FIRST_PAUSE;
        if !self.said.is_empty() {
            self.said.clear();
            tracing::info!(session = self.session, "the session is captured again");
        }
    }

    async fn after(&mut self, failure: &Trouble) {
        let failure = failure.to_string();
        if failure != self.said {
            tracing::warn!(session = self.session, %failure, "the session cannot be captured now; trying again");
            self.said = failure;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
