//! A bare Icecast, on loopback or on another machine's network, from Debian's package: what the helpers are proved with and others compared to.

use std::fs::{self, DirEntry};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::ports;

/// Debian's `nobody`: Icecast refuses to be root.
const NOBODY: &str = "65534";
const START: Duration = Duration::from_secs(10);
/// A killed process is gone in a few milliseconds.
const REAP: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);
const PASSWORD: &str = "hackme";
/// As `/proc/net/tcp` says it.
const LISTENING: &str = "0A";

/// A running Icecast; it ends when it is dropped.
pub struct BareIcecast {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl BareIcecast {
    /// Starts one on a free port of loopback with this many bytes of burst for new listeners.
    pub async fn start(burst: u32) -> Result<Self> {
        let host = Ipv4Addr::LOCALHOST;
        Self::start_on(host, burst, |command| Ok(command.spawn()?)).await
    }

    /// Starts one on a machine of this address, which `spawn` brings it to.
    pub async fn start_on(
        host: Ipv4Addr,
        burst: u32,
        spawn: impl FnOnce(&mut Command) -> Result<Child>,
    ) -> Result<Self> {
        if !Path::new("/usr/bin/icecast2").exists() {
            bail!("icecast2 is not installed: apt-get install icecast2");
        }
        let [free] = ports::free().context("no free port on loopback")?;
        let address = SocketAddr::from((host, free.port()));
        let folder = TempDir::new().context("no temporary folder for Icecast")?;
        // It runs as another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let config_path = folder.path().join("icecast.xml");
        fs::write(&config_path, config(address, burst))
            .with_context(|| format!("{} cannot be written", config_path.display()))?;
        let log = fs::File::create(folder.path().join("log")).context("Icecast's log cannot be written")?;
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                NOBODY,
                "--regid",
                NOBODY,
                "--clear-groups",
                "/usr/bin/icecast2",
            ]);
            command
        } else {
            Command::new("/usr/bin/icecast2")
        };
        command.arg("-c").arg(&config_path).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = spawn(&mut command).context("icecast2 could not be started")?;
        let mut icecast = Self {
            child,
            address,
            folder,
        };
        icecast.await_port().await?;
        Ok(icecast)
    }

    /// No connection before all its threads have run: one that comes before the counters are there kills Icecast 2.4.4 (strdup
    /// of nothing in `stats.c`, seen in one of nine starts with a source that was in a hurry).
    async fn await_port(&mut self) -> Result<()> {
        let until = Instant::now() + START;
        while !self.is_settled() {
            if let Some(status) = self.child.try_wait()? {
                bail!("icecast2 ended with {status}: {}", self.log());
            }
            anyhow::ensure!(
                Instant::now() < until,
                "icecast2 does not listen after {START:?}: {}",
                self.log()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// It listens, and each of its threads waits for something.
    fn is_settled(&self) -> bool {
        let Some(process) = self.child.id().map(|pid| PathBuf::from(format!("/proc/{pid}"))) else {
            return false;
        };
        let port = format!(":{:04X}", self.address.port());
        let listens = fs::read_to_string(process.join("net/tcp")).is_ok_and(|sockets| {
            let mut sockets = sockets.lines().map(str::split_whitespace);
            sockets.any(|mut socket| {
                socket.nth(1).is_some_and(|local| local.ends_with(&port)) && socket.nth(1) == Some(LISTENING)
            })
        });
        let waits = |thread: DirEntry| {
            let told = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            told.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('S'))
        };
        listens && fs::read_dir(process.join("task")).is_ok_and(|threads| threads.flatten().all(waits))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a mount for listeners.
    #[must_use]
    pub fn url(&self, mount: &str) -> String {
        format!("http://{}{mount}", self.address())
    }

    /// The URL of a mount for a source, with its login.
    #[must_use]
    pub fn source_url(&self, mount: &str) -> String {
        format!("http://source:{PASSWORD}@{}{mount}", self.address())
    }

    /// Its process, for a test that measures it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it (-9) and waits for its end.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("icecast2 could not be ended")
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for BareIcecast {
    fn drop(&mut self) {
        // Waited for here, so that the last test of a process leaves no zombie to a PID 1 that reaps nobody.
        if self.child.start_kill().is_ok() {
            let until = Instant::now() + REAP;
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn config(address: SocketAddr, burst: u32) -> String {
    let (host, port) = (address.ip(), address.port());
    format!(
        r#"<icecast>
  <limits>
    <clients>5000</clients><sources>200</sources><burst-size>{burst}</burst-size>
    <source-timeout>10</source-timeout><header-timeout>15</header-timeout><client-timeout>30</client-timeout>
  </limits>
  <authentication>
    <source-password>{PASSWORD}</source-password>
    <admin-user>admin</admin-user><admin-password>{PASSWORD}</admin-password>
  </authentication>
  <mount type="default"><charset>UTF-8</charset></mount>
  <hostname>localhost</hostname>
  <listen-socket><port>{port}</port><bind-address>{host}</bind-address></listen-socket>
  <paths>
    <basedir>/usr/share/icecast2</basedir><logdir>/tmp</logdir>
    <webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>3</loglevel></logging>
</icecast>
"#
    )
}
