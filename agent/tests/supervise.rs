//! `agent::supervise` with real programs and real signals, through the `keep-alive` binary.

#![cfg(test)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// Says its pid and each signal it hears, ends with code 7 on SIGTERM, and by itself after a minute at most.
const PROGRAM: &str = r#"
echo "start $$" >> "$1"
trap 'echo hup >> "$1"' HUP
trap 'echo term >> "$1"; exit 7' TERM
trap 'echo int >> "$1"; exit 8' INT
n=0; while [ $n -lt 1200 ]; do sleep 0.05; n=$((n + 1)); done
"#;

struct Supervised {
    parent: Child,
    said: PathBuf,
}

impl Supervised {
    fn start(dir: &Path, program: &str, reload_on: Option<&Path>) -> Self {
        let said = dir.join("said");
        fs::write(&said, "").unwrap();
        // Under nohup SIGHUP is ignored, and a shell cannot trap what was ignored when it started.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_keep-alive")]);
        command.args(["/bin/sh", "-c", program, "program"]).arg(&said);
        if let Some(file) = reload_on {
            command.env("RELOAD_ON", file);
        }
        Self {
            parent: command.spawn().unwrap(),
            said,
        }
    }

    fn said(&self) -> Vec<String> {
        fs::read_to_string(&self.said)
            .unwrap()
            .lines()
            .map(ToOwned::to_owned)
            .collect()
    }

    fn heard(&self, word: &str) -> usize {
        self.said()
            .iter()
            .filter(|line| line.split(' ').next() == Some(word))
            .count()
    }

    fn pids(&self) -> Vec<Pid> {
        let lines = self.said();
        let pids = lines.iter().filter_map(|line| line.strip_prefix("start "));
        pids.map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
            .collect()
    }

    fn await_starts(&self, count: usize) -> Pid {
        until(&format!("start {count}"), || self.heard("start") >= count);
        self.pids()[count - 1]
    }

    fn signal(&self, what: Signal) {
        kill_process(Pid::from_child(&self.parent), what).unwrap();
    }

    fn await_end(&mut self) -> ExitStatus {
        let mut ended = None;
        until("the end of the supervisor", || {
            ended = self.parent.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.parent.try_wait().unwrap().is_none() {
            // By now the program may be gone or its id another's: only its living parent may end it.
            self.signal(Signal::TERM);
            let _: io::Result<ExitStatus> = self.parent.wait();
        }
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_program_is_back_at_once_and_a_stopped_one_ends_with_its_own_code() {
    let dir = tempfile::tempdir().unwrap();
    let mut supervised = Supervised::start(dir.path(), PROGRAM, None);
    let first = supervised.await_starts(1);
    let killed = Instant::now();
    kill_process(first, Signal::KILL).unwrap();
    let second = supervised.await_starts(2);
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    assert_ne!(first, second);
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.await_end().code(), Some(7));
    assert_eq!(supervised.heard("term"), 1);
    assert_eq!(
        supervised.heard("start"),
        2,
        "not started again after it was asked to stop"
    );
}

#[test]
fn a_program_killed_again_and_again_is_back_within_a_second_or_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut supervised = Supervised::start(dir.path(), PROGRAM, None);
    // Without the limit the pauses would be 0, 0.25, 0.5, 1, 2, 4 s.
    for kills in 1..=6 {
        let alive = supervised.await_starts(kills);
        let killed = Instant::now();
        kill_process(alive, Signal::KILL).unwrap();
        supervised.await_starts(kills + 1);
        assert!(
            killed.elapsed() < Duration::from_millis(1800),
            "kill {kills}: {:?}",
            killed.elapsed()
        );
    }
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.await_end().code(), Some(7));
}

#[test]
fn sigint_is_passed_on_and_death_by_a_signal_is_told_as_a_shell_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut polite = Supervised::start(dir.path(), PROGRAM, None);
    polite.await_starts(1);
    polite.signal(Signal::INT);
    assert_eq!(polite.await_end().code(), Some(8));

    let dir = tempfile::tempdir().unwrap();
    let mut plain = Supervised::start(dir.path(), r#"echo "start $$" >> "$1"; exec sleep 60"#, None);
    plain.await_starts(1);
    plain.signal(Signal::TERM);
    assert_eq!(plain.await_end().code(), Some(128 + 15));
}

#[test]
fn a_changed_file_reloads_once_and_an_equal_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let (config, next) = (dir.path().join("config"), dir.path().join("next"));
    let put = |content: &str| {
        fs::write(&next, content).unwrap();
        fs::rename(&next, &config).unwrap();
    };
    put("one");
    let supervised = Supervised::start(dir.path(), PROGRAM, Some(&config));
    supervised.await_starts(1);
    put("two");
    until("the reload", || supervised.heard("hup") == 1);
    put("two");
    // What must not happen can only be watched for a while: five looks.
    sleep(Duration::from_secs(1));
    assert_eq!(supervised.heard("hup"), 1);
    put("three");
    until("the second reload", || supervised.heard("hup") == 2);
    assert_eq!(supervised.heard("start"), 1);
}

#[test]
fn a_program_that_cannot_start_is_tried_slower_and_can_be_stopped_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut hopeless = Supervised::start(dir.path(), r#"echo "start $$" >> "$1"; exit 1"#, None);
    hopeless.await_starts(5);
    // Pauses before the starts 2..5: 0, 0.25, 0.5, 1 s.
    assert!(
        started.elapsed() >= Duration::from_millis(1750),
        "{:?}",
        started.elapsed()
    );
    hopeless.signal(Signal::TERM);
    assert_eq!(hopeless.await_end().code(), Some(0));
    assert!(hopeless.heard("start") <= 6);
}

#[test]
fn a_program_that_is_not_there_ends_the_container() {
    let ended = Command::new(env!("CARGO_BIN_EXE_keep-alive"))
        .arg("/no/such/program")
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(127));
}

#[test]
fn the_first_process_of_a_container_buries_orphans() {
    let own_pids = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    if !Command::new("unshare")
        .args(own_pids)
        .arg("true")
        .status()
        .is_ok_and(|made| made.success())
    {
        println!("not run here: unshare cannot make a process namespace (needs root)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    // `kill -0` still succeeds on a zombie, so it fails only once PID 1 has buried the orphan.
    let orphaned = r#"
        sh -c 'sleep 0.2 & echo $! > "$0.orphan"' "$1"
        orphan=$(cat "$1.orphan")
        n=0; while kill -0 "$orphan" 2> /dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
        [ $n -lt 100 ] && echo "buried by $PPID" > "$1"
        exec sleep 20
    "#;
    let mut container = Command::new("unshare")
        .args(own_pids)
        .args([
            env!("CARGO_BIN_EXE_keep-alive"),
            "/bin/sh",
            "-c",
            orphaned,
            "program",
        ])
        .arg(&said)
        .spawn()
        .unwrap();
    until("the burial", || {
        fs::read_to_string(&said).is_ok_and(|said| said == "buried by 1\n")
    });
    // Ended through its own first process: a killed `unshare` would leave that one to somebody else.
    let unshare = container.id();
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap();
    let first = children.trim().parse().ok().and_then(Pid::from_raw).unwrap();
    kill_process(first, Signal::TERM).unwrap();
    assert_eq!(container.wait().unwrap().code(), Some(128 + 15));
}
