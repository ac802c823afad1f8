//! Whether a recorder hangs. No IO, no clock.
//!
//! A store that takes nothing is no reason to replace anything: the spool fills, and capture waits. What counts is that the
//! tape grows and the second copy does not, or that a pod that did answer does so no longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use recorder::report::CaptureState;
use tokio::time::Instant;

use super::Told;

/// After this long the tape is asked whether there is more.
const SUSPICIOUS: Duration = Duration::from_secs(10);
/// The tape grew for so long, and nothing of it was captured.
const HANGS: Duration = Duration::from_secs(30);
/// There is more on a tape that does not grow, and nothing of it was captured.
const HANGS_AT_THE_END: Duration = Duration::from_mins(2);
/// Neither process answers.
const UNREACHABLE: Duration = Duration::from_mins(1);

/// What is known of one pod.
#[derive(Debug)]
pub struct Watchdog {
    answered: Option<Instant>,
    still: BTreeMap<String, Still>,
    patience: Patience,
}

/// How long what may last.
#[derive(Clone, Copy, Debug)]
struct Patience {
    suspicious: Duration,
    hangs: Duration,
    hangs_at_the_end: Duration,
    unreachable: Duration,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::in_time(1.0)
    }
}

/// A session of which nothing more is captured.
#[derive(Debug)]
struct Still {
    captured: u64,
    since: Instant,
    /// How long the tape was when there first was more.
    tape: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// The tape has to be asked: nothing of these sessions was captured for a while.
    AskTape,
    /// The pod is to be replaced.
    Replace(Why),
}

/// Why a pod is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It did answer, and does so no longer.
    Unreachable,
    /// The tape has more of this session.
    Hangs {
        /// Its id.
        session: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => write!(f, "it has not answered for {} s", UNREACHABLE.as_secs()),
            Self::Hangs { session } => write!(
                f,
                "it has captured nothing of session {session} for {} s, and there is more on the tape",
                HANGS.as_secs()
            ),
        }
    }
}

impl Watchdog {
    /// With all its patience times so much, as for tests.
    #[must_use]
    pub fn in_time(factor: f64) -> Self {
        Self {
            answered: None,
            still: BTreeMap::new(),
            patience: Patience {
                suspicious: SUSPICIOUS.mul_f64(factor),
                hangs: HANGS.mul_f64(factor),
                hangs_at_the_end: HANGS_AT_THE_END.mul_f64(factor),
                unreachable: UNREACHABLE.mul_f64(factor),
            },
        }
    }

    /// Takes in what the pod said just now. `expected` are sessions it should capture by now.
    pub fn look(&mut self, told: &Told, expected: &BTreeSet<String>, now: Instant) -> Verdict {
        if told.ship.is_none() && told.capture.is_none() {
            // One that never answered is kubelet's matter, or a network policy's.
            let silent = self
                .answered
                .is_some_and(|answered| now.duration_since(answered) >= self.patience.unreachable);
            return if silent {
                Verdict::Replace(Why::Unreachable)
            } else {
                Verdict::Fine
            };
        }
        self.answered = Some(now);
        // kubelet starts a capture again that does not answer its probe.
        let Some(capture) = told.capture.as_ref().filter(|capture| !capture.waits_for_room) else {
            self.still.clear();
            return Verdict::Fine;
        };
        self.note(capture, expected, now);
        let suspicious = |still: &Still| now.duration_since(still.since) >= self.patience.suspicious;
        if self.still.values().any(suspicious) {
            Verdict::AskTape
        } else {
            Verdict::Fine
        }
    }

    fn note(&mut self, capture: &CaptureState, expected: &BTreeSet<String>, now: Instant) {
        let mut offsets: BTreeMap<&str, u64> = expected.iter().map(|id| (id.as_str(), 0)).collect();
        offsets.extend(
            capture
                .sessions
                .iter()
                .map(|session| (session.id.as_str(), session.captured)),
        );
        self.still
            .retain(|id, still| offsets.get(id.as_str()) == Some(&still.captured));
        for (id, captured) in offsets {
            self.still.entry(id.to_owned()).or_insert(Still {
                captured,
                since: now,
                tape: None,
            });
        }
    }

    /// Takes in how much the tape has of each session, which is the answer to [`Verdict::AskTape`].
    pub fn hear(&mut self, tape: &BTreeMap<String, u64>, now: Instant) -> Verdict {
        for (id, still) in &mut self.still {
            let bytes = tape.get(id).copied().unwrap_or(0);
            if bytes <= still.captured {
                // There is nothing to be captured.
                still.since = now;
                still.tape = None;
                continue;
            }
            let first = *still.tape.get_or_insert(bytes);
            let lasts = now.duration_since(still.since);
            if (lasts >= self.patience.hangs && bytes > first) || lasts >= self.patience.hangs_at_the_end {
                return Verdict::Replace(Why::Hangs { session: id.clone() });
            }
        }
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use recorder::report::{Captured, ShipState};

    use super::*;

    fn captured(offsets: &[(&str, u64)]) -> Told {
        let sessions = offsets.iter().map(|(id, captured)| Captured {
            id: (*id).to_owned(),
            captured: *captured,
        });
        Told {
            ship: Some(ShipState::default()),
            capture: Some(CaptureState {
                spool_bytes: 0,
                spool_cap_bytes: 100,
                spool_fill: ingest::api::Fill::Low,
                waits_for_room: false,
                sessions: sessions.collect(),
            }),
            over_on_tape: false,
        }
    }

    fn tape(sizes: &[(&str, u64)]) -> BTreeMap<String, u64> {
        sizes
            .iter()
            .map(|(id, bytes)| ((*id).to_owned(), *bytes))
            .collect()
    }

    /// Looks every 5 s; what is captured and what is on tape by the second. Returns when which verdict came.
    fn watch(
        seconds: u64,
        told: impl Fn(u64) -> Told,
        on_tape: impl Fn(u64) -> BTreeMap<String, u64>,
    ) -> Option<(u64, Why)> {
        let begin = Instant::now();
        let mut watchdog = Watchdog::default();
        for second in (0..=seconds).step_by(5) {
            let now = begin + Duration::from_secs(second);
            let verdict = match watchdog.look(&told(second), &BTreeSet::new(), now) {
                Verdict::AskTape => watchdog.hear(&on_tape(second), now),
                verdict => verdict,
            };
            if let Verdict::Replace(why) = verdict {
                return Some((second, why));
            }
        }
        None
    }

    fn hangs(session: &str) -> Why {
        Why::Hangs {
            session: session.to_owned(),
        }
    }

    #[test]
    fn a_capture_that_stands_still_under_a_growing_tape_is_replaced() {
        let growing = |second: u64| tape(&[("a", 1000 + second)]);
        assert_eq!(
            watch(600, |second| captured(&[("a", 1000 + second)]), growing),
            None
        );
        let hung = watch(600, |_| captured(&[("a", 1000)]), growing);
        assert_eq!(hung, Some((30, hangs("a"))));
        // One of two.
        let one = watch(
            600,
            |second| captured(&[("a", second), ("b", 7)]),
            |second| tape(&[("a", second), ("b", 10 + second)]),
        );
        assert_eq!(one, Some((30, hangs("b"))));
        // It went on for a minute first.
        let later = watch(
            600,
            |second| captured(&[("a", second.min(60))]),
            |second| tape(&[("a", second)]),
        );
        assert_eq!(later, Some((90, hangs("a"))));
    }

    #[test]
    fn a_capture_that_has_everything_is_fine() {
        let silent = |_| tape(&[("a", 1000)]);
        assert_eq!(watch(600, |_| captured(&[("a", 1000)]), silent), None);
        // The tape has gone, or its ingest does not answer.
        assert_eq!(
            watch(600, |_| captured(&[("a", 1000)]), |_| BTreeMap::new()),
            None
        );
        assert_eq!(
            watch(600, |_| captured(&[]), |second| tape(&[("a", second)])),
            None
        );
        // More came after a long silence, and is captured within seconds.
        let after_silence = watch(
            600,
            |second| captured(&[("a", if second < 310 { 1000 } else { 2000 })]),
            |second| tape(&[("a", if second < 305 { 1000 } else { 2000 })]),
        );
        assert_eq!(after_silence, None);
    }

    #[test]
    fn what_is_left_of_a_session_that_ended_is_missed_too() {
        let left = watch(600, |_| captured(&[("a", 1000)]), |_| tape(&[("a", 2000)]));
        assert_eq!(left, Some((120, hangs("a"))));
    }

    #[test]
    fn a_session_that_should_be_captured_and_is_not_counts() {
        let (begin, mut watchdog) = (Instant::now(), Watchdog::default());
        let expected = BTreeSet::from(["a".to_owned()]);
        let verdicts = (0..=30).step_by(5).map(|second| {
            let now = begin + Duration::from_secs(second);
            match watchdog.look(&captured(&[]), &expected, now) {
                Verdict::AskTape => watchdog.hear(&tape(&[("a", 100 + second)]), now),
                verdict => verdict,
            }
        });
        assert_eq!(verdicts.last(), Some(Verdict::Replace(hangs("a"))));
    }

    #[test]
    fn a_full_spool_is_the_stores_fault() {
        let mut full = captured(&[("a", 1000)]);
        full.capture.as_mut().unwrap().waits_for_room = true;
        assert_eq!(
            watch(3600, |_| full.clone(), |second| tape(&[("a", 1000 + second)])),
            None
        );
        // The room that comes back is used from then on.
        let half_an_hour = watch(
            3600,
            |second| {
                let mut told = full.clone();
                told.capture.as_mut().unwrap().waits_for_room = second < 1800;
                told
            },
            |second| tape(&[("a", 1000 + second)]),
        );
        assert_eq!(half_an_hour, Some((1830, hangs("a"))));
    }

    #[test]
    fn a_pod_that_answers_no_longer_is_replaced_and_one_that_never_did_is_not() {
        let silent = || Told::default();
        assert_eq!(watch(3600, |_| silent(), |_| BTreeMap::new()), None);
        let lost = watch(
            600,
            |second| if second <= 100 { captured(&[]) } else { silent() },
            |_| BTreeMap::new(),
        );
        assert_eq!(lost, Some((160, Why::Unreachable)));
        // One process is enough.
        let half = watch(
            600,
            |_| Told {
                capture: None,
                ..captured(&[])
            },
            |_| BTreeMap::new(),
        );
        assert_eq!(half, None);
    }
}
