//! The ingest's only clock: the API server's as soon as that has told it, and the node's until then. Windows, the index and
//! Recordings are on it, so that a node whose clock is wrong locks nobody out and doubles no slot. IO: the node's clocks.

mod estimate;
pub mod follow;
mod kept;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::ClockId;

use estimate::Hand;
pub use estimate::{Answer, Estimate};

/// What time it is. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    estimate: Option<Estimate>,
    /// There is one once somebody has been shown the time.
    hand: Option<Hand>,
}

/// For metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How far it is ahead of the node's own clock.
    pub ahead: SignedDuration,
    /// It is no further than this from the API server's; `None` if that has told nothing.
    pub error: Option<Duration>,
}

impl Clock {
    /// The time of the moment. Never less than before, unless the node's own clock is all there is, and was set back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.lock().shows(since_boot(), Timestamp::now())
    }

    /// The API server has told its time. `is_free`: nobody has yet relied on the time there was, it may be set as need be.
    pub fn learn(&self, answer: Answer, is_free: bool) {
        let mut state = self.lock();
        let (now, node) = (since_boot(), Timestamp::now());
        state.shows(now, node);
        let estimate = state.estimate;
        state.estimate = Some(estimate.map_or_else(|| Estimate::of(answer), |before| before.with(answer)));
        if is_free {
            state.hand = None;
        }
    }

    /// What an earlier process had learned, in the same boot of the same node.
    pub fn resume(&self, estimate: Estimate) {
        *self.lock() = State {
            estimate: Some(estimate),
            hand: None,
        };
    }

    /// What is known of the API server's clock.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        self.lock().estimate
    }

    /// For metrics.
    #[must_use]
    pub fn read(&self) -> Reading {
        let mut state = self.lock();
        let (now, node) = (since_boot(), Timestamp::now());
        Reading {
            ahead: state.shows(now, node).duration_since(node),
            error: state.estimate.map(|estimate| estimate.error(now)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn shows(&mut self, now: Duration, node: Timestamp) -> Timestamp {
        let Some(estimate) = self.estimate else {
            // It may be set by hand: that is followed, as everybody else does.
            self.hand = Some(Hand::at(node, now));
            return node;
        };
        let truth = estimate.time(now);
        self.hand
            .get_or_insert_with(|| Hand::at(truth, now))
            .follow(truth, now)
    }
}

/// A clock that nobody sets.
#[must_use]
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(second: i64) -> Answer {
        Answer {
            asked: Duration::from_secs(50),
            came: Duration::from_secs(50),
            date: Timestamp::from_second(second).unwrap(),
        }
    }

    fn told(state: &mut State, second: i64) {
        state.estimate = Some(Estimate::of(answer(second)));
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_nodes_clock_counts_until_the_api_has_told_its_own() {
        let after = |seconds: u64| Duration::from_secs(50 + seconds);
        let half = SignedDuration::from_millis(500);
        let mut state = State::default();
        assert_eq!(state.shows(after(0), at(0)), at(0));
        assert_eq!(state.shows(after(1), at(-9)), at(-9), "somebody set it");
        // The node is five minutes late: that is jumped over, whoever sits there.
        told(&mut state, at(300).as_second());
        assert_eq!(state.shows(after(2), at(2)), at(302) + half);
        assert_eq!(
            state.shows(after(9), at(9000)),
            at(309) + half,
            "it does not matter any more"
        );

        // It is five minutes early, and somebody has seen it.
        let mut state = State::default();
        state.shows(after(0), at(300));
        told(&mut state, at(0).as_second());
        assert_eq!(state.shows(after(10), at(310)), at(305), "it waits, so to say");
        assert_eq!(state.shows(after(700), at(900)), at(700) + half);
    }

    #[test]
    fn a_time_nobody_relied_on_is_set_back() {
        let clock = Clock::default();
        let node = clock.now();
        assert_eq!(clock.read().error, None);
        let boot = since_boot();
        let early = Answer {
            asked: boot,
            came: boot,
            date: node - SignedDuration::from_mins(5),
        };
        clock.learn(early, true);
        let ahead = clock.read().ahead;
        assert!(ahead.as_secs() <= -298 && ahead.as_secs() >= -301, "{ahead:?}");
        assert!(
            clock
                .read()
                .error
                .is_some_and(|error| error <= Duration::from_secs(1))
        );
        let shown = clock.now();
        let late = Answer {
            date: node - SignedDuration::from_mins(9),
            ..early
        };
        clock.learn(late, false);
        assert!(clock.now() >= shown);
    }
}
