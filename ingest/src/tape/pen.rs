//! The thread that writes what sources send, so that a disk that hangs keeps no source and no listener waiting. IO:
//! through the sessions' disks.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::locked;
use super::session::Session;

/// How long a source waits for the disk before it goes on in memory. A disk that works takes a thousandth of it; all
/// sources wait together, and once.
const PATIENCE: Duration = Duration::from_millis(50);

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
    /// That was told.
    is_told: bool,
    is_closed: bool,
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
        let desk = locked(&self.desk);
        let unwritten = |desk: &mut Desk| desk.late_since.is_none() && !session.is_written();
        let waited = self.written.wait_timeout_while(desk, PATIENCE, unwritten);
        let (mut desk, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        if outcome.timed_out() {
            desk.late_since.get_or_insert_with(Instant::now);
        }
        let hangs = desk.late_since.is_some_and(|since| since.elapsed() >= HANGS);
        if hangs && !std::mem::replace(&mut desk.is_told, true) {
            tracing::error!(
                session = session.id(),
                "the tape's disk does not answer; what sources send is kept in memory, look at the volume"
            );
        }
    }

    fn write(&self) {
        while let Some(session) = self.next() {
            session.is_in_line.store(false, Ordering::Release);
            session.flush();
            // Who has just looked and found it unwritten holds this until he waits.
            drop(locked(&self.desk));
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
