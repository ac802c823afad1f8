//! What is on tape in all pods of the ingest, and which of them have told. IO: HTTP.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use ingest::api::Sessions;
use ingest::config::TapeAccess;
use ingest::reader::{Desk, OnTape, follow};

/// The lists of all pods, as they were last told.
pub(super) struct Tapes {
    news: BoxStream<'static, (Desk, Sessions)>,
    pods: usize,
    told: BTreeMap<String, Vec<OnTape>>,
}

impl Tapes {
    pub fn of(access: &TapeAccess) -> Self {
        let desks = Desk::all(access);
        let pods = desks.len();
        let news = desks.into_iter().map(|desk| {
            let answers = follow::answers(desk.clone());
            answers.map(move |answer| (desk.clone(), answer)).boxed()
        });
        Self {
            news: stream::select_all(news).boxed(),
            pods,
            told: BTreeMap::new(),
        }
    }

    /// Waits for the next news. Can be dropped and called again.
    pub async fn next(&mut self) {
        match self.news.next().await {
            Some((desk, answer)) => {
                let tape = |session| OnTape {
                    session,
                    desk: desk.clone(),
                };
                let tapes = answer.sessions.into_iter().map(tape).collect();
                self.told.insert(desk.address().to_owned(), tapes);
            }
            // An ingest without pods has no news.
            None => std::future::pending().await,
        }
    }

    /// All sessions.
    pub fn all(&self) -> impl Iterator<Item = &OnTape> {
        self.told.values().flatten()
    }

    /// Every pod has told its own.
    pub fn are_known(&self) -> bool {
        self.told.len() >= self.pods
    }
}
