//! The thread that writes what sources send, so that a disk that hangs keeps no source and no listener waiting. IO:
//! through the sessions' disks.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::locked;
use super::session::Session;

/// How long sources wait for a disk that gets nothing done before they go on in memory. One that works takes a
/// thousandth of it; a hang costs all of them together this once.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes a second that no source sends who sends as it plays. Who is faster is made to wait before memory is full.
const FAST: u64 = 256 << 10;

/// Some disks take their time now and then; only after so long somebody must hear of it.
const HANGS: Duration = Duration::from_secs(2);

/// Writes what sessions have in memory, in the order in which they ask.
#[derive(Debug, Default)]
pub(super) struct Pen {
    desk: Mutex<Desk>,
    /// There is something to write, or nothing will be any more.
    asked: Condvar,
    /// Something was written.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Desk {
    /// Each session is in it once.
    waiting: VecDeque<Arc<Session>>,
    /// The disk keeps the thread waiting: until it has written everything nobody waits for it.
    late_since: Option<Instant>,
    /// Counts what was written.
    done: u64,
    /// That was told.
    is_told: bool,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Some,
    None,
}

impl Pen {
    /// Starts the thread. It ends when the pen is closed.
    pub fn new() -> io::Result<Arc<Self>> {
        let pen = Arc::new(Self::default());
        let writing = Arc::clone(&pen);
        thread::Builder::new()
            .name("pen".to_owned())
            .spawn(move || writing.write())?;
        Ok(pen)
    }

    /// Ends the thread when everything is written.
    pub fn close(&self) {
        locked(&self.desk).is_closed = true;
        self.asked.notify_all();
    }

    /// The disk does not take what is written, and does not refuse it.
    pub fn is_late(&self) -> bool {
        locked(&self.desk).late_since.is_some()
    }

    /// Has what a session has in memory written.
    pub fn write_soon(&self, session: &Arc<Session>) {
        if !session.is_in_line.swap(true, Ordering::AcqRel) {
            locked(&self.desk).waiting.push_back(Arc::clone(session));
            self.asked.notify_one();
        }
    }

    /// Waits until it is written, or refused; in vain if the disk hangs.
    pub fn await_written(&self, session: &Session) {
        let mut desk = locked(&self.desk);
        while desk.late_since.is_none() && !session.is_written() {
            let outcome;
            (desk, outcome) = self.something_written(desk, PATIENCE);
            if outcome == Progress::None {
                desk.late_since.get_or_insert_with(Instant::now);
            }
        }
        let hangs = desk.late_since.is_some_and(|since| since.elapsed() >= HANGS);
        if hangs && !std::mem::replace(&mut desk.is_told, true) {
            tracing::error!(
                session = session.id(),
                "the tape's disk does not answer; what sources send is kept in memory, look at the volume"
            );
        }
    }

    /// Holds up who sends faster than anybody plays, while the disk hangs: he can wait, and would soon have filled his
    /// memory. `spare` is how much may come at once, `behind` what the disk does not have, `sent` of it the newest.
    pub fn hold_back(&self, behind: u64, spare: usize, sent: usize) {
        let desk = locked(&self.desk);
        let Some(since) = desk.late_since else {
            return;
        };
        let played = since.elapsed().as_millis() * u128::from(FAST) / 1000;
        if u128::from(behind) > spare as u128 + played {
            let as_long_as_it_plays = Duration::from_millis(sent as u64 * 1000 / FAST);
            drop(self.something_written(desk, as_long_as_it_plays));
        }
    }

    fn something_written<'a>(
        &self,
        desk: MutexGuard<'a, Desk>,
        within: Duration,
    ) -> (MutexGuard<'a, Desk>, Progress) {
        let done = desk.done;
        let waited = self
            .written
            .wait_timeout_while(desk, within, |desk| desk.done == done);
        let (desk, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        let progress = if outcome.timed_out() {
            Progress::None
        } else {
            Progress::Some
        };
        (desk, progress)
    }

    fn write(&self) {
        while let Some(session) = self.next() {
            session.is_in_line.store(false, Ordering::Release);
            session.flush();
            // Who has just looked and found it unwritten holds this until he waits.
            locked(&self.desk).done += 1;
            self.written.notify_all();
        }
    }

    fn next(&self) -> Option<Arc<Session>> {
        let mut desk = locked(&self.desk);
        loop {
            if let Some(session) = desk.waiting.pop_front() {
                return Some(session);
            }
            desk.late_since = None;
            if std::mem::take(&mut desk.is_told) {
                tracing::info!("the tape's disk answers again");
            }
            if desk.is_closed {
                return None;
            }
            desk = self.asked.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
