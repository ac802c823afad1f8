//! kill -9 at each request to the store in turn.

use e2e::harness::is_full;
use e2e::twin::{Effect, Entry, Fault, Operation, Outcome, When};
use tokio::process::Child;
use tokio::time::timeout;

use crate::stage::{PATIENCE, Stage, kill};

/// Where in a request a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The store has done nothing yet.
    Before,
    /// The store has done what it was asked, and nobody hears of it.
    After,
}

impl Moment {
    pub const ALL: [Self; 2] = [Self::After, Self::Before];

    fn effect(self) -> Effect {
        match self {
            Self::Before => Effect::Delay(60_000),
            Self::After => Effect::LoseAnswer,
        }
    }

    fn has_come(self, entry: &Entry) -> bool {
        !entry.effects.is_empty() && (self == Self::Before || matches!(entry.outcome, Outcome::Lost(_)))
    }
}

/// Starts a process again and again. The first life is killed at its first request, the second at its second, and so on, until
/// one ends well before its turn comes. With `only` just these operations count. Gives the operations at which it was killed.
pub async fn killed_in_turn(
    stage: &Stage,
    moment: Moment,
    only: &[Operation],
    mut start: impl AsyncFnMut() -> Child,
) -> Vec<Operation> {
    // Every third stands for the others.
    let step = if is_full() { 1 } else { 3 };
    let mut at = Vec::new();
    for turn in (1..).step_by(step) {
        stage.twin.log().clear();
        stage.twin.faults().clear();
        stage.twin.faults().add(Fault {
            on: only.to_vec(),
            ..Fault::anywhere(When::Nth(turn), moment.effect())
        });
        let mut process = start().await;
        let mut operation = None;
        let come = stage.twin.log().until(|entries| {
            let entry = entries.iter().find(|entry| moment.has_come(entry));
            operation = entry.map(|entry| entry.operation);
            entry.is_some()
        });
        tokio::select! {
            () = come => kill(&mut process).await,
            ended = timeout(PATIENCE, process.wait()) => {
                assert!(ended.expect("it ends").unwrap().success(), "{}", stage.log());
                break;
            }
        }
        at.extend(operation);
    }
    stage.twin.faults().clear();
    at
}
