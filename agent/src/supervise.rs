//! Keeping one program running as a container's first process. IO: starts a process, signals it, reads one file.
//!
//! kubelet restarts a dead container after 10 s, 20 s, 40 s, ...; a listener has gone by then. So the program's
//! parent lives in the container and starts it again at once. Where it is PID 1 it also buries orphans.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait, waitpid};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// How often the file of `reload_on` is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// SIGHUP kills a program that has not installed its handler yet, so a young one is left alone.
const SETTLED: Duration = Duration::from_secs(1);
/// A program that dies younger than this cannot start; restarts then come slower and slower.
const STILLBORN: Duration = Duration::from_secs(2);
/// A program that lived this long can start.
const GROWN: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Who was killed from outside may be fit to run: a listener should not wait for it any longer than this.
const LONGEST_PAUSE_KILLED: Duration = Duration::from_secs(1);
/// What a shell answers for a program that is not there.
const NOT_FOUND: u8 = 127;

/// A program to keep running.
#[derive(Clone, Debug)]
pub struct Child {
    /// What to run; looked up in PATH when it has no slash.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// It gets SIGHUP whenever this file's content has changed.
    pub reload_on: Option<PathBuf>,
}

/// Runs `child` and starts it again when it dies. SIGTERM and SIGINT go to the child; when it then ends, its exit
/// code is returned (128 + n for death by signal n).
///
/// As PID 1 this waits for every child of the process, so the process must not start others.
pub async fn keep_alive(child: Child) -> ExitCode {
    let mut heard = match Heard::new() {
        Ok(heard) => heard,
        Err(failure) => {
            tracing::error!(%failure, "signals cannot be received; nothing was started");
            return ExitCode::FAILURE;
        }
    };
    let mut watched = child.reload_on.clone().map(Watched::new);
    let mut restarts = Restarts::default();
    loop {
        let started = Instant::now();
        let mut longest = LONGEST_PAUSE;
        let died = match life(&child, &mut heard, watched.as_mut()).await {
            Ok(Life::Stopped(code)) => return code,
            Ok(Life::Died(how)) => {
                if how.was_killed() {
                    longest = LONGEST_PAUSE_KILLED;
                }
                how.to_string()
            }
            Err(failure) if never_starts(&failure) => {
                tracing::error!(program = %child.program.display(), %failure, "cannot be run; check the image");
                return ExitCode::from(NOT_FOUND);
            }
            Err(failure) => format!("could not be started: {failure}"),
        };
        let pause = restarts.pause_after(started.elapsed()).min(longest);
        tracing::error!(program = %child.program.display(), lived = ?started.elapsed(), again_in = ?pause, "{died}");
        tokio::select! {
            () = sleep(pause) => {}
            _ = heard.stop.next() => return ExitCode::SUCCESS,
        }
    }
}

enum Life {
    /// It ended as it was asked to.
    Stopped(ExitCode),
    /// It ended, and nobody had asked it to.
    Died(End),
}

async fn life(child: &Child, heard: &mut Heard, mut watched: Option<&mut Watched>) -> io::Result<Life> {
    // Before the start: what changes later than this, the child may not have read.
    if let Some(watched) = watched.as_deref_mut() {
        watched.changed();
    }
    let pid = Pid::from_child(&Command::new(&child.program).args(&child.args).spawn()?);
    tracing::info!(program = %child.program.display(), pid = pid.as_raw_nonzero(), "running");
    let started = Instant::now();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = heard.deaths.recv() => match bury(pid) {
                Some(how) if stopping => return Ok(Life::Stopped(how.exit_code())),
                Some(how) => return Ok(Life::Died(how)),
                None => {}
            },
            asked = heard.stop.next() => {
                stopping = true;
                send(pid, asked);
            }
            _ = look.tick() => {
                let listens = !stopping && started.elapsed() > SETTLED;
                if listens && watched.as_deref_mut().is_some_and(Watched::changed) {
                    tracing::info!(pid = pid.as_raw_nonzero(), "configuration changed; reloading");
                    send(pid, Signal::HUP);
                }
            }
        }
    }
}

fn never_starts(failure: &io::Error) -> bool {
    matches!(
        failure.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}

fn send(pid: Pid, what: Signal) {
    // Not yet buried, so the id is still the child's own.
    if let Err(failure) = kill_process(pid, what) {
        tracing::warn!(pid = pid.as_raw_nonzero(), ?what, %failure, "signal not delivered");
    }
}

/// How the child ended, `None` while it runs; as PID 1 also takes every dead orphan off the process table.
fn bury(child: Pid) -> Option<End> {
    if getpid() != Pid::INIT {
        return match waitpid(Some(child), WaitOptions::NOHANG) {
            Ok(ended) => ended.map(|(_, how)| End::of(how)),
            Err(Errno::CHILD) => Some(End::Unknown),
            Err(_) => None,
        };
    }
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, how))) if pid == child => ended = Some(End::of(how)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return ended,
            Err(_) => return ended.or(Some(End::Unknown)),
        }
    }
}

enum End {
    Exit(i32),
    Signal(i32),
    /// Somebody else waited for it.
    Unknown,
}

impl End {
    fn of(how: WaitStatus) -> Self {
        let exit = how.exit_status().map(Self::Exit);
        exit.or_else(|| how.terminating_signal().map(Self::Signal))
            .unwrap_or(Self::Unknown)
    }

    fn was_killed(&self) -> bool {
        matches!(self, Self::Signal(signal) if *signal == Signal::KILL.as_raw())
    }

    fn exit_code(&self) -> ExitCode {
        let code = match self {
            Self::Exit(code) => *code,
            Self::Signal(signal) => 128 + signal,
            Self::Unknown => return ExitCode::FAILURE,
        };
        u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "ended by itself with exit code {code}"),
            Self::Signal(signal) => write!(f, "died of signal {signal}"),
            Self::Unknown => f.write_str("ended, nobody knows how"),
        }
    }
}

/// The signals that matter here. Listening starts before the first child, so none is missed.
struct Heard {
    deaths: Signals,
    stop: Stop,
}

impl Heard {
    fn new() -> io::Result<Self> {
        let stop = Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Self {
            deaths: signal(SignalKind::child())?,
            stop,
        })
    }
}

struct Stop {
    terminate: Signals,
    interrupt: Signals,
}

impl Stop {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
        }
    }
}

/// Paces restarts.
#[derive(Default)]
struct Restarts {
    stillborn: u32,
}

impl Restarts {
    fn pause_after(&mut self, lived: Duration) -> Duration {
        if lived >= GROWN {
            self.stillborn = 0;
        }
        if lived >= STILLBORN {
            return Duration::ZERO;
        }
        let doublings = self.stillborn.checked_sub(1);
        self.stillborn = self.stillborn.saturating_add(1);
        doublings.map_or(Duration::ZERO, |n| {
            LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(n.min(8)))
        })
    }
}

/// A file whose content is compared; its stamps only say when a look is worth it.
struct Watched {
    path: PathBuf,
    stamps: Option<(u64, u64, i64, i64, u64)>,
    content: Option<Vec<u8>>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamps: None,
            content: None,
        }
    }

    /// Whether the content differs from the last time. An unreadable file counts as unchanged.
    fn changed(&mut self) -> bool {
        let Ok(now) = fs::metadata(&self.path) else {
            return false;
        };
        let stamps = Some((now.dev(), now.ino(), now.mtime(), now.mtime_nsec(), now.size()));
        if stamps == self.stamps {
            return false;
        }
        let Ok(content) = fs::read(&self.path) else {
            return false;
        };
        self.stamps = stamps;
        let differs = self.content.as_ref() != Some(&content);
        self.content = Some(content);
        differs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_at_once_unless_it_cannot_start() {
        let seconds = Duration::from_secs;
        let mut restarts = Restarts::default();
        let young: Vec<u128> = (0..8)
            .map(|_| restarts.pause_after(seconds(1)).as_millis())
            .collect();
        assert_eq!(young, [0, 250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(
            restarts.pause_after(seconds(3)),
            Duration::ZERO,
            "lived, but proves little"
        );
        assert_eq!(restarts.pause_after(seconds(1)), LONGEST_PAUSE);
        assert_eq!(restarts.pause_after(seconds(10)), Duration::ZERO);
        assert_eq!(restarts.pause_after(seconds(1)), Duration::ZERO, "forgiven");
    }

    #[test]
    fn a_file_has_changed_only_when_its_content_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("icecast.xml");
        let mut watched = Watched::new(path.clone());
        assert!(!watched.changed(), "not there yet");
        fs::write(&path, "one").unwrap();
        assert!(watched.changed());
        assert!(!watched.changed());
        fs::write(dir.path().join("next"), "one").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        assert!(!watched.changed(), "another inode, equal content");
        fs::write(dir.path().join("next"), "two").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        assert!(watched.changed());
        fs::remove_file(&path).unwrap();
        assert!(!watched.changed(), "gone");
    }
}
