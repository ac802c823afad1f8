//! Looks at this pod's Icecast every 10 s. IO: through `ask`, and the kernel's table of sockets.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::ask::{Refusal, ask};
use crate::metrics::Metrics;
use crate::queues;
use crate::settings::Login;
use crate::stats::{self, Stats};
use crate::view::{Answer, Given, Shared};

const BETWEEN: Duration = Duration::from_secs(10);
/// After a failure, and while a new configuration is not yet in effect.
const SOONER: Duration = Duration::from_secs(2);
/// Icecast takes a new configuration within 1.1 s.
const RELOADED: Duration = Duration::from_millis(1500);
/// As long it is looked more often whether a configuration is in effect.
const AWAITED: Duration = Duration::from_secs(20);
/// A list of clients costs Icecast work; an origin has few of them.
const MOST_CLIENTS_LISTED: u64 = 200;
/// One failed look is no news: at its start Icecast is not there yet.
const WORTH_A_LINE: u32 = 3;

/// Whom `watch` gives configurations, as the poller hears of them.
pub type Givens = watch::Receiver<Option<Arc<Given>>>;

/// Looks, as long as there is a configuration to look with. Ends only with `givens`.
pub async fn keep_looking(icecast: SocketAddr, mut givens: Givens, view: Shared, metrics: Metrics) {
    let mut eye = Eye {
        icecast,
        view,
        metrics,
        previous: None,
        failed: 0,
        slow: HashSet::new(),
        told: None,
    };
    let mut last: Option<Arc<Given>> = None;
    loop {
        let now = givens.borrow_and_update().clone();
        if let Some(given) = &now {
            if let Some(last) = last
                .take()
                .filter(|last| last.settings.login != given.settings.login)
            {
                eye.previous = Some(last.settings.login.clone());
            }
            eye.look(given).await;
            last.clone_from(&now);
        }
        let pause = eye.pause(now.as_deref());
        let changed = tokio::select! {
            () = sleep(pause) => continue,
            changed = givens.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        sleep(RELOADED).await;
    }
}

struct Eye {
    icecast: SocketAddr,
    view: Shared,
    metrics: Metrics,
    /// Icecast takes a new password some seconds after us.
    previous: Option<Login>,
    failed: u32,
    slow: HashSet<String>,
    /// The configuration of which was last said whether it is in effect, and what.
    told: Option<(Instant, bool)>,
}

impl Eye {
    async fn look(&mut self, given: &Arc<Given>) {
        let asked = Instant::now();
        let answer = self.ask(given).await;
        let clock = Timestamp::now();
        self.report(&answer);
        let slow = queues::piled_up(self.icecast.port());
        let still = slow.intersection(&self.slow).count();
        self.slow = slow;
        let mut view = self.view.change();
        view.take_slow_listeners(u64::try_from(still).unwrap_or(u64::MAX));
        view.take(given, answer, asked, clock);
        let (applied, overdue) = (view.is_applied(given.mark.as_ref()), view.is_not_applied());
        drop(view);
        self.tell_whether_applied(given, applied, overdue);
    }

    async fn ask(&self, given: &Given) -> Answer {
        match self.stats(given).await {
            Ok(stats) => Answer::Told(stats),
            Err(Failed::Refused(Refusal::Full)) => {
                self.metrics.poll_failed("full");
                Answer::Full
            }
            Err(failure) => {
                self.metrics.poll_failed(failure.word());
                Answer::Failed(failure.to_string())
            }
        }
    }

    async fn stats(&self, given: &Given) -> Result<Stats, Failed> {
        let settings = &given.settings;
        let mut login = &settings.login;
        let mut body = ask(self.icecast, "/admin/stats", login).await;
        if let (Err(Refusal::Password), Some(previous)) = (&body, &self.previous) {
            login = previous;
            body = ask(self.icecast, "/admin/stats", login).await;
        }
        let mut stats = stats::read(&body?, Timestamp::now())?;
        // Nobody relays from a relay.
        if settings.relays.is_empty() {
            for (path, mount) in &mut stats.mounts {
                if (1..=MOST_CLIENTS_LISTED).contains(&mount.listeners) {
                    let question = format!("/admin/listclients?mount={}", encoded(path));
                    let clients = ask(self.icecast, &question, login).await;
                    let relays = clients.map(|body| stats::relays(&body, &settings.relay_user));
                    mount.relays = relays.ok().and_then(Result::ok);
                }
            }
        }
        Ok(stats)
    }

    fn report(&mut self, answer: &Answer) {
        if let Answer::Failed(why) = answer {
            self.failed = self.failed.saturating_add(1);
            if self.failed == WORTH_A_LINE {
                tracing::warn!(icecast = %self.icecast, "Icecast does not tell how it does: {why}");
            }
        } else {
            if self.failed >= WORTH_A_LINE {
                tracing::info!(icecast = %self.icecast, "Icecast tells again how it does");
            }
            self.failed = 0;
        }
    }

    fn tell_whether_applied(&mut self, given: &Given, applied: bool, overdue: bool) {
        let news = (applied || overdue).then_some((given.at, applied));
        if news.is_none() || self.told == news {
            return;
        }
        self.told = news;
        let after = given.at.elapsed();
        if applied {
            tracing::info!(?after, "Icecast runs with the configuration it was given");
        } else {
            tracing::error!(
                ?after,
                "config_not_applied: Icecast still runs with an older configuration than it was given; \
                 look for its own word on that in the log of the container icecast, or delete the pod"
            );
        }
    }

    fn pause(&self, given: Option<&Given>) -> Duration {
        let is_awaited = given.is_some_and(|given| {
            !self.view.look().is_applied(given.mark.as_ref()) && given.at.elapsed() < AWAITED
        });
        if is_awaited || self.failed > 0 {
            SOONER
        } else {
            BETWEEN
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("its answer cannot be read: {0}")]
    Unreadable(#[from] crate::xml::Malformed),
}

impl Failed {
    /// For a label.
    fn word(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Unreachable(_)) => "unreachable",
            Self::Refused(Refusal::Slow) => "slow",
            Self::Refused(Refusal::Password | Refusal::Status(_)) => "refused",
            Self::Refused(Refusal::Full) => "full",
            Self::Refused(Refusal::Long) | Self::Unreadable(_) => "unreadable",
        }
    }
}

fn encoded(path: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|half| char::from(HEX[usize::from(half)]));
            encoded.extend(['%', high, low]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
