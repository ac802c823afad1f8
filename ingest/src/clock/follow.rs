//! Asks the API server what time it has, for as long as the process runs. IO: API reads, and what was learned is kept.

use std::path::PathBuf;
use std::time::Duration;

use agent::date::Dates;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::{sleep, timeout};

use super::{Answer, Clock, Estimate, kept, since_boot};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(5);
/// A clock that is further off somebody should know of.
const FAR: Duration = Duration::from_secs(2);
/// What is less far from what is kept is not written again.
const KEPT_WITHIN: Duration = Duration::from_millis(100);

/// Who asks.
#[derive(Debug)]
pub struct Follower {
    clock: Clock,
    dates: Dates,
    /// Where what was learned is kept, and for which boot of the node.
    kept: (PathBuf, String),
    written: Option<Estimate>,
    is_away: bool,
}

impl Follower {
    /// What the process before had learned counts at once.
    #[must_use]
    pub fn of(clock: Clock, dates: Dates, tapes: PathBuf, boot_id: String) -> Self {
        if let Some(estimate) = kept::read(&tapes, &boot_id) {
            clock.resume(estimate);
        }
        Self {
            written: clock.estimate(),
            clock,
            dates,
            kept: (tapes, boot_id),
            is_away: false,
        }
    }

    /// Whether a first answer is still missing.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.clock.estimate().is_none()
    }

    /// Asks once; how long to wait before the next time. `is_free`: the clock may be set back.
    pub async fn ask(&mut self, is_free: bool) -> Duration {
        let asked = since_boot();
        let told = timeout(ANSWER_WITHIN, self.dates.ask()).await;
        let came = since_boot();
        let told = told
            .unwrap_or_else(|_| Err("no answer within 5 seconds".to_owned()))
            .and_then(|date| parse(&date));
        match told {
            Ok(date) => self.learn(Answer { asked, came, date }, is_free),
            Err(failure) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(
                        failure,
                        "the API server does not tell its time; going on with what is known of it"
                    );
                }
                RETRY
            }
        }
    }

    fn learn(&mut self, answer: Answer, is_free: bool) -> Duration {
        let is_first = self.written.is_none();
        self.clock.learn(answer, is_free);
        let ahead = self.clock.read().ahead;
        if self.is_away {
            tracing::info!("the API server tells its time again");
        }
        self.is_away = false;
        if is_first && ahead.unsigned_abs() > FAR {
            tracing::warn!(
                seconds = ahead.as_secs_f64(),
                "the node's clock is wrong by this, the API server's counts; look at the node's time service"
            );
        }
        let Some(estimate) = self.clock.estimate() else {
            return RETRY;
        };
        self.keep(estimate, answer.came);
        estimate.next(since_boot())
    }

    fn keep(&mut self, estimate: Estimate, now: Duration) {
        let moved = |written: Estimate| {
            estimate
                .time(now)
                .duration_since(written.time(now))
                .unsigned_abs()
        };
        if self.written.is_some_and(|written| moved(written) < KEPT_WITHIN) {
            return;
        }
        self.written = Some(estimate);
        let (dir, boot_id) = self.kept.clone();
        // The disk may hang, and the time does not wait.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(failure) = kept::write(&dir, &boot_id, estimate) {
                tracing::warn!(%failure, "the API server's time cannot be kept beside the tapes; a restart while the API is away has the node's");
            }
        }));
    }

    /// Asks for ever.
    pub async fn follow(mut self, mut wait: Duration, is_free: impl Fn() -> bool) {
        loop {
            sleep(wait).await;
            wait = self.ask(is_free()).await;
        }
    }
}

/// As HTTP dates are: of the forms RFC 9110 knows only the one that is sent.
fn parse(date: &str) -> Result<Timestamp, String> {
    DateTimeParser::new()
        .parse_timestamp(date)
        .map_err(|_| "its answer has no date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_or_none() {
        let at: Timestamp = "2026-11-21T20:15:03Z".parse().unwrap();
        assert_eq!(parse("Sat, 21 Nov 2026 20:15:03 GMT"), Ok(at));
        for not in ["", "now", "2026-11-21T20:15:03Z", "Sat, 31 Feb 2026 20:15:03 GMT"] {
            assert!(parse(not).is_err(), "{not}");
        }
    }
}
