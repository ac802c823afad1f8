//! The usual course of a show at a [`Station`]: recorded, compared, finalized, compared again.

use recorder::published::Final;
use tokio::process::Child;

use super::{Sent, Station};
use crate::oracle::{Figures, Log};

/// capture and ship, under way.
pub struct Recorder {
    pub capture: Child,
    pub ship: Child,
}

impl Station {
    pub fn record(&self) -> Recorder {
        Recorder {
            capture: self.capture(),
            ship: self.ship(),
        }
    }

    /// Waits for the end of the Recording, in which everything of these connections is to be found and nothing else.
    pub async fn recorded(&self, recorder: &mut Recorder, sent: &[&Sent]) -> Figures {
        self.over(&mut recorder.ship).await;
        let manifest = self.manifest().await;
        let logs: Vec<Log<'_>> = sent.iter().map(|sent| sent.log(&manifest)).collect();
        self.nothing_is_lost(&logs).await
    }

    /// Makes and verifies the final object.
    pub async fn finalized(&self) -> Final {
        let mut finalize = self.finalize();
        self.over(&mut finalize).await;
        self.published(1).await
    }
}
