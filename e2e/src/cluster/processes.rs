//! The long-lived processes of the cluster: started once, found again by pid *and* start time, ended by pid.
//! Does IO.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::{cgroups, netns};
use crate::install::cache::{self, Fingerprint};

/// One process of the cluster and everything that decides how it runs.
pub struct Service {
    /// Its name, unique in the cluster: the record and the log are called so.
    pub name: String,
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments. Never secrets: every process of the machine can read them.
    pub arguments: Vec<String>,
    /// Its environment beside ours.
    pub environment: Vec<(String, String)>,
    /// The network namespace it lives in; none is the host's.
    pub namespace: Option<String>,
    /// The cgroup it lives in.
    pub cgroup: String,
    /// Files it reads at its start: when one changes, it is started anew.
    pub reads: Vec<PathBuf>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// What is remembered of a started process.
#[derive(Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Clock ticks between the machine's start and the process's: with the pid and the boot, it names one
    /// process only.
    started: u64,
    boot: String,
    fingerprint: String,
}

/// Makes the service run: nothing to do when it runs already, as it should. True when it was started now.
pub async fn ensure(records: &Path, service: &Service) -> Result<bool> {
    let fingerprint = fingerprint(service)?;
    if let Some(record) = read(records, &service.name) {
        if record.fingerprint == fingerprint && is_alive(&record) {
            return Ok(false);
        }
        stop(records, &service.name, Duration::from_secs(10)).await?;
    }
    start(records, service, fingerprint)
        .with_context(|| format!("cannot start {} ({})", service.name, service.program.display()))?;
    Ok(true)
}

/// Whether the process is alive that was recorded under this name.
#[must_use]
pub fn is_running(records: &Path, name: &str) -> bool {
    read(records, name).is_some_and(|record| is_alive(&record))
}

/// The pid of the process recorded under this name, while it lives.
#[must_use]
pub fn pid(records: &Path, name: &str) -> Option<Pid> {
    read(records, name)
        .filter(is_alive)
        .and_then(|record| Pid::from_raw(record.pid))
}

/// Ends the process of this name, kindly first; one that was not started by us is never touched.
pub async fn stop(records: &Path, name: &str, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    while let Some(pid) = pid(records, name) {
        let signal = if begun.elapsed() < patience {
            Signal::TERM
        } else {
            Signal::KILL
        };
        let _ = rustix::process::kill_process(pid, signal);
        if begun.elapsed() > patience + Duration::from_secs(10) {
            bail!(
                "{name} (pid {}) does not end, even by SIGKILL",
                pid.as_raw_nonzero()
            );
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let _ = fs::remove_file(records.join(name));
    Ok(())
}

/// Forgets a process that is known to be dead.
pub fn forget(records: &Path, name: &str) {
    if !is_running(records, name) {
        let _ = fs::remove_file(records.join(name));
    }
}

/// The names of all recorded processes.
#[must_use]
pub fn recorded(records: &Path) -> Vec<String> {
    let entries = fs::read_dir(records).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn start(records: &Path, service: &Service, fingerprint: String) -> Result<()> {
    let log = File::options().create(true).append(true).open(&service.log)?;
    let mut command = Command::new(&service.program);
    command
        .args(&service.arguments)
        .envs(service.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // Its own process group: Ctrl-C at `cluster up` is not meant for the cluster.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = match &service.namespace {
        Some(namespace) => netns::within(&netns::path(namespace), move || command.spawn())??,
        None => command.spawn()?,
    };
    let pid = Pid::from_child(&child);
    let record = Record {
        pid: pid.as_raw_nonzero().get(),
        started: Stat::of(pid).context("it ended at once")?.started,
        boot: boot(),
        fingerprint,
    };
    // First the record, then the cgroup: interrupted between the two, it is still known as ours.
    cache::write(&records.join(&service.name), serde_json::to_vec(&record)?)?;
    cgroups::join(&service.cgroup, pid)
}

fn fingerprint(service: &Service) -> Result<String> {
    let mut print = Fingerprint::default();
    print
        .add(service.program.as_os_str().as_encoded_bytes())
        .add(service.cgroup.as_bytes());
    for argument in &service.arguments {
        print.add(argument.as_bytes());
    }
    for (name, value) in &service.environment {
        print.add(name.as_bytes()).add(value.as_bytes());
    }
    for file in &service.reads {
        print.add(&fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(print.finish())
}

fn read(records: &Path, name: &str) -> Option<Record> {
    serde_json::from_slice(&fs::read(records.join(name)).ok()?).ok()
}

fn is_alive(record: &Record) -> bool {
    let stat = Pid::from_raw(record.pid).and_then(Stat::of);
    stat.is_some_and(|stat| !stat.dead && stat.started == record.started) && record.boot == boot()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The few facts of `/proc/PID/stat` that are wanted here.
#[derive(Debug, PartialEq)]
struct Stat {
    dead: bool,
    started: u64,
}

impl Stat {
    fn of(pid: Pid) -> Option<Self> {
        let mut text = String::new();
        File::open(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .ok()?
            .read_to_string(&mut text)
            .ok()?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        // The command name, in parentheses, may itself hold spaces and parentheses: fields count after the last.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let dead = matches!(*fields.first()?, "Z" | "X");
        Some(Self {
            dead,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(records: &Path, arguments: &[&str]) -> Service {
        Service {
            name: "sleeper".into(),
            program: "/bin/sleep".into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: vec![],
            namespace: None,
            cgroup: String::new(),
            reads: vec![],
            log: records.join("../sleeper.log"),
        }
    }

    #[test]
    fn stat_survives_odd_command_names() {
        let fields = "S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4242 1 2";
        let line = format!("77 (a) b (c)) {fields}");
        assert_eq!(
            Stat::parse(&line),
            Some(Stat {
                dead: false,
                started: 4242
            })
        );
        assert_eq!(Stat::parse("77 (a) Z"), None);
    }

    #[tokio::test]
    async fn a_service_is_started_once_and_anew_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let records = folder.path().join("pids");
        fs::create_dir(&records).unwrap();
        assert!(ensure(&records, &service(&records, &["60"])).await.unwrap());
        let first = pid(&records, "sleeper").unwrap();
        assert!(!ensure(&records, &service(&records, &["60"])).await.unwrap());
        assert!(ensure(&records, &service(&records, &["61"])).await.unwrap());
        assert_ne!(pid(&records, "sleeper").unwrap(), first);
        stop(&records, "sleeper", Duration::from_secs(5)).await.unwrap();
        assert!(!is_running(&records, "sleeper"));
        assert!(recorded(&records).is_empty());
    }

    #[tokio::test]
    async fn a_pid_that_now_belongs_to_someone_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut stranger = Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let record = Record {
            pid: Pid::from_child(&stranger).as_raw_nonzero().get(),
            started: 1,
            boot: boot(),
            fingerprint: String::new(),
        };
        fs::write(folder.path().join("etcd"), serde_json::to_vec(&record).unwrap()).unwrap();
        stop(folder.path(), "etcd", Duration::ZERO).await.unwrap();
        assert!(
            stranger.try_wait().unwrap().is_none(),
            "a stranger's process was ended"
        );
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
