//! Shows what `cluster` is doing: each step with its time, and a line of progress while it lasts.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a long step says that it is still alive, when nobody looks at a terminal.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// How much of what is said is shown: a line that wraps could not be written over.
const SAID: usize = 80;

/// What a step says while it runs; the last thing said is shown.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<String>>);

impl Progress {
    /// Says where the step is.
    pub fn say(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The steps of one run, and when each ended.
pub struct Steps {
    started: Instant,
    on_terminal: bool,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            on_terminal: std::io::stdout().is_terminal(),
        }
    }
}

impl Steps {
    /// Runs one step, showing its progress and then its time.
    pub async fn run<T>(&self, name: &str, work: impl AsyncFnOnce(&Progress) -> Result<T>) -> Result<T> {
        let progress = Progress::default();
        let begun = Instant::now();
        let work = work(&progress);
        tokio::pin!(work);
        let tick = if self.on_terminal {
            Duration::from_millis(200)
        } else {
            LOG_EVERY
        };
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + tick, tick);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = ticks.tick() => self.show('·', name, begun.elapsed(), &progress.last(), self.on_terminal),
            }
        };
        let mark = if outcome.is_ok() { '✓' } else { '✗' };
        self.show(mark, name, begun.elapsed(), &progress.last(), false);
        outcome.with_context(|| format!("{name}: failed"))
    }

    /// The time since the first step began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn show(&self, mark: char, name: &str, took: Duration, said: &str, passing: bool) {
        let line = line(mark, name, took, said);
        let mut out = std::io::stdout().lock();
        // A closed stdout is no reason to leave a cluster half made.
        let _ = match (self.on_terminal, passing) {
            (true, true) => write!(out, "\r\x1b[K{line}"),
            (true, false) => writeln!(out, "\r\x1b[K{line}"),
            (false, _) => writeln!(out, "{line}"),
        };
        let _ = out.flush();
    }
}

fn line(mark: char, name: &str, took: Duration, said: &str) -> String {
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID).collect();
    let line = format!("{mark} {:>6.1} s  {name:<28} {said}", took.as_secs_f64());
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_time_and_drops_control_characters() {
        let line = line('✓', "etcd", Duration::from_millis(1250), "\x1b[31mready\r\n");
        assert_eq!(line, format!("✓    1.2 s  {:<28} [31mready", "etcd"));
    }

    #[tokio::test]
    async fn a_failed_step_is_named_in_the_error() {
        let failed = Steps::default()
            .run("etcd", async |_| anyhow::bail!("no disk") as Result<()>)
            .await;
        assert_eq!(format!("{:#}", failed.unwrap_err()), "etcd: failed: no disk");
    }
}
