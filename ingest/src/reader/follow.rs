//! What is on tape in all pods of an ingest, now and at every change.

use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt};

use super::{Desk, Error};
use crate::api::{Session, Sessions};
use crate::config::TapeAccess;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A session, and the desk that has its tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnTape {
    /// The session.
    pub session: Session,
    /// Where to read it.
    pub desk: Desk,
}

/// Which sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Recent,
}

/// All sessions, the oldest first, now and at every change. Never ends: of a pod that is away the last known list stays.
pub fn on_tape(access: &TapeAccess) -> impl Stream<Item = Vec<OnTape>> + Send + use<> {
    merged(access, Which::All)
}

/// Like [`on_tape`], without most of those that ended.
pub fn recent(access: &TapeAccess) -> impl Stream<Item = Vec<OnTape>> + Send + use<> {
    merged(access, Which::Recent)
}

fn merged(access: &TapeAccess, which: Which) -> impl Stream<Item = Vec<OnTape>> + Send + use<> {
    let desks = Desk::all(access);
    let mut known: Vec<Vec<OnTape>> = vec![Vec::new(); desks.len()];
    let answers = desks.into_iter().enumerate().map(|(pod, desk)| {
        let answers = asked(desk.clone(), which);
        answers.map(move |answer| (pod, desk.clone(), answer)).boxed()
    });
    stream::select_all(answers).map(move |(pod, desk, answer)| {
        let tape = |session| OnTape {
            session,
            desk: desk.clone(),
        };
        known[pod] = answer.sessions.into_iter().map(tape).collect();
        let mut all: Vec<OnTape> = known.iter().flatten().cloned().collect();
        all.sort_by(|a, b| a.session.id.cmp(&b.session.id));
        all
    })
}

/// All that one pod has, now, at every change and when it answers again; it tells about refusals too. Never ends; a pod
/// that is away is asked again, at most half a second later.
pub fn answers(desk: Desk) -> impl Stream<Item = Sessions> + Send {
    asked(desk, Which::All)
}

fn asked(desk: Desk, which: Which) -> impl Stream<Item = Sessions> + Send {
    stream::unfold(Asking::of(desk, which), |mut asking| async {
        let answer = asking.next().await;
        Some((answer, asking))
    })
}

struct Asking {
    desk: Desk,
    which: Which,
    version: Option<String>,
    pause: Duration,
    said: String,
}

impl Asking {
    fn of(desk: Desk, which: Which) -> Self {
        Self {
            desk,
            which,
            version: None,
            pause: Duration::ZERO,
            said: String::new(),
        }
    }

    async fn next(&mut self) -> Sessions {
        loop {
            let asked = Instant::now();
            match self.ask().await {
                Ok(answer) => {
                    if !std::mem::take(&mut self.said).is_empty() {
                        tracing::info!(ingest = self.desk.address(), "the ingest answers again");
                    }
                    let before = self.version.replace(answer.version.clone());
                    let news = before.as_ref() != Some(&answer.version);
                    let waited = news || asked.elapsed() >= LONGEST_PAUSE;
                    // One that answers and then breaks off each question is not asked at once either.
                    if before.is_some() && waited {
                        self.pause = Duration::ZERO;
                    }
                    if news {
                        return answer;
                    }
                    // It should have waited; asking again at once would keep both busy.
                    if !waited {
                        self.wait().await;
                    }
                }
                Err(failure) => self.failed(&failure).await,
            }
        }
    }

    async fn ask(&self) -> Result<Sessions, Error> {
        let after = self.version.as_deref();
        match self.which {
            Which::All => self.desk.all_sessions(after).await,
            Which::Recent => self.desk.sessions(after).await,
        }
    }

    async fn failed(&mut self, failure: &Error) {
        // Whoever waits for the ingest shall hear at once that it answers. It may also be the version it does not like.
        self.version = None;
        let failure = failure.to_string();
        // Once, not twice a second.
        if self.said != failure {
            tracing::warn!(%failure, "what is on tape is not known; asking again");
            self.said = failure;
        }
        self.wait().await;
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
    }
}
