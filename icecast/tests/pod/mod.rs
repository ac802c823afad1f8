//! A pod on this host: one mounted Secret, `watch` and `run`, a real Icecast; no root. Loopback only.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use e2e::ports;
use rustix::process::{Pid, Signal, geteuid, kill_process};

pub const PATIENCE: Duration = Duration::from_secs(30);
/// Debian's nobody. Icecast refuses to be root, and the agents need not be.
const NOBODY: u32 = 65534;
pub const ICECAST: &str = "/usr/bin/icecast2";

/// A pod on this host: a mounted Secret, the two agents, Icecast.
pub struct Pod {
    dir: tempfile::TempDir,
    program: PathBuf,
    pub icecast: u16,
    pub health: u16,
    versions: u32,
    pub processes: Vec<Child>,
}

impl Pod {
    /// `None`, with a word why, where Icecast is not installed.
    pub fn new() -> Option<Self> {
        if !Path::new(ICECAST).exists() {
            println!("not run here: icecast2 is not installed (apt-get install icecast2)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        // Where cargo keeps it, another user may not look.
        let program = dir.path().join("icecast-agent");
        fs::copy(env!("CARGO_BIN_EXE_icecast-agent"), &program).unwrap();
        for name in ["secret", "run"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            if geteuid().is_root() {
                chown(dir.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let [icecast, health] = ports::free().unwrap().map(|free| free.port());
        Some(Self {
            dir,
            program,
            icecast,
            health,
            versions: 0,
            processes: Vec::new(),
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes the Secret the way kubelet does.
    pub fn project(&mut self, config: &str) {
        self.project_all(&[("icecast.xml", config)]);
    }

    pub fn project_all(&mut self, files: &[(&str, &str)]) {
        let secret = self.path("secret");
        let version = format!("..v{}", self.versions);
        self.versions += 1;
        fs::create_dir(secret.join(&version)).unwrap();
        for (name, content) in files {
            fs::write(secret.join(&version).join(name), content).unwrap();
        }
        symlink(&version, secret.join("..next")).unwrap();
        fs::rename(secret.join("..next"), secret.join("..data")).unwrap();
        if self.versions == 1 {
            symlink("..data/icecast.xml", secret.join("icecast.xml")).unwrap();
        }
    }

    pub fn start(&mut self) {
        let health = format!("127.0.0.1:{}", self.health);
        let (secret, config) = (self.path("secret"), self.path("run/icecast.xml"));
        let mut watch = self.agent("watch");
        watch
            .args(["--secret", "station-relay", "--health", &health, "--mounted"])
            .arg(secret);
        watch.arg("--write").arg(&config);
        watch.args(["--icecast", &format!("127.0.0.1:{}", self.icecast)]);
        self.processes.push(watch.spawn().unwrap());
        until("a healthy watch", || {
            self.asked("/healthz")
                .is_some_and(|answer| answer.contains(" 200 "))
        });
        let written = fs::metadata(&config).expect("healthy before the configuration is written");
        assert_eq!(written.permissions().mode() & 0o7777, 0o640);
        assert_ne!(written.uid(), 0);
        let mut run = self.agent("run");
        run.arg("--config").arg(&config).args(["--icecast", ICECAST]);
        self.processes.push(run.spawn().unwrap());
        until("Icecast", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.icecast)).is_ok()
        });
    }

    fn agent(&self, task: &str) -> Command {
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                &NOBODY.to_string(),
                "--regid",
                &NOBODY.to_string(),
                "--clear-groups",
            ]);
            command.arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        let log = File::create(self.path(&format!("{task}.log"))).unwrap();
        command
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env("RUST_LOG", "trace");
        command.arg(task).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    pub fn asked(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.health)).ok()?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub fn icecast_pid(&self) -> Option<Pid> {
        let run = self.processes[1].id();
        let children = fs::read_to_string(format!("/proc/{run}/task/{run}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    /// A source that is let in, or the status it was refused with. It sends until it is dropped.
    pub fn source(&self, mount: &str, password: &str) -> Result<Feed, String> {
        let mut socket =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.icecast)).map_err(|e| e.to_string())?;
        let login = BASE64_STANDARD.encode(format!("source:{password}"));
        write!(
            socket,
            "PUT {mount} HTTP/1.1\r\nHost: pod\r\nAuthorization: Basic {login}\r\nContent-Type: audio/mpeg\r\n\r\n"
        )
        .map_err(|e| e.to_string())?;
        let status = status(&mut socket)?;
        if status != "200" {
            return Err(status);
        }
        Ok(Feed::new(move || {
            sleep(Duration::from_millis(20));
            socket.write_all(&[0x55; 320]).map(|()| 320)
        }))
    }

    pub fn listener(&self, mount: &str) -> Result<Feed, String> {
        let mut socket =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.icecast)).map_err(|e| e.to_string())?;
        write!(socket, "GET {mount} HTTP/1.0\r\nHost: pod\r\n\r\n").map_err(|e| e.to_string())?;
        let status = status(&mut socket)?;
        if status != "200" {
            return Err(status);
        }
        Ok(Feed::new(move || match socket.read(&mut [0; 4096])? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            bytes => Ok(bytes),
        }))
    }

    pub fn logs(&self) -> String {
        ["watch.log", "run.log"]
            .map(|log| fs::read_to_string(self.path(log)).unwrap_or_default())
            .concat()
    }

    /// Ends `watch` (0) or `run` (1).
    pub fn stop(&mut self, process: usize) -> ExitStatus {
        kill_process(Pid::from_child(&self.processes[process]), Signal::TERM).unwrap();
        let mut ended = None;
        until("the end of an agent", || {
            ended = self.processes[process].try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for process in &mut self.processes {
            if process.try_wait().unwrap().is_none() {
                // TERM, not KILL: `run` takes Icecast with it.
                let _: rustix::io::Result<()> = kill_process(Pid::from_child(process), Signal::TERM);
                process.wait().unwrap();
            }
        }
        if std::thread::panicking() {
            println!("{}", self.logs());
        }
    }
}

/// A connection that carries bytes in its own thread.
pub struct Feed {
    bytes: Arc<AtomicU64>,
    broken: Arc<AtomicBool>,
    enough: Arc<AtomicBool>,
}

impl Feed {
    fn new(mut carry: impl FnMut() -> std::io::Result<usize> + Send + 'static) -> Self {
        let feed = Self {
            bytes: Arc::default(),
            broken: Arc::default(),
            enough: Arc::default(),
        };
        let (bytes, broken, enough) = (feed.bytes.clone(), feed.broken.clone(), feed.enough.clone());
        std::thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                match carry() {
                    Ok(count) => bytes.fetch_add(count as u64, Ordering::Relaxed),
                    Err(_) => return broken.store(true, Ordering::Relaxed),
                };
            }
        });
        feed
    }

    /// Bytes flow now, and the connection was never broken.
    pub fn flows(&self) -> bool {
        let before = self.bytes.load(Ordering::Relaxed);
        until("bytes", || {
            self.broken.load(Ordering::Relaxed) || self.bytes.load(Ordering::Relaxed) > before + 3200
        });
        !self.broken.load(Ordering::Relaxed)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

fn status(socket: &mut TcpStream) -> Result<String, String> {
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).map_err(|e| e.to_string())?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(|e| e.to_string())?;
    head.split(' ').nth(1).map(ToOwned::to_owned).ok_or(head)
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(10));
    }
}

pub fn config(port: u16, mounts: &str) -> String {
    format!(
        "<icecast><location>here</location><admin>nobody@localhost</admin><hostname>localhost</hostname>
        <limits><clients>50</clients><sources>5</sources></limits>
        <authentication><source-password>opensesame</source-password><relay-password>relayword</relay-password>
        <admin-user>admin</admin-user><admin-password>adminword</admin-password></authentication>
        <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
        {mounts}
        <paths><basedir>/usr/share/icecast2</basedir><logdir>/tmp</logdir>
        <webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
        <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>3</loglevel></logging></icecast>"
    )
}
