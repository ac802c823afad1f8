//! Liquidsoap itself: the file that tells it what to do, and keeping it alive. IO: one file, one child process.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use agent::supervise::{Child, keep_alive};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Output;
use crate::live::Harbor;

/// The name of the file in the run directory.
pub const FILE: &str = "radio.json";
const LOOK: Duration = Duration::from_millis(50);

/// What `radio.liq` reads at its start. The only password in it opens nothing outside of this pod.
#[derive(Debug, Serialize)]
pub struct Radio<'a> {
    /// Port that takes encoded audio.
    pub intake: u16,
    /// Port that knows the next track.
    pub next: u16,
    /// Port Liquidsoap listens on.
    pub control: u16,
    /// Where it takes sources.
    pub harbor: &'a Harbor,
    /// What to encode.
    pub outputs: &'a [Output],
}

impl Radio<'_> {
    /// Writes it whole.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let unfinished = run_dir.join(".radio.json");
        std::fs::write(&unfinished, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(unfinished, run_dir.join(FILE))
    }
}

/// The loopback addresses inside a pod.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Addresses {
    /// Takes encoded audio from Liquidsoap.
    #[arg(long, default_value = "127.0.0.1:8010")]
    pub intake: SocketAddr,
    /// Tells Liquidsoap the next track.
    #[arg(long, default_value = "127.0.0.1:8011")]
    pub next: SocketAddr,
    /// Where Liquidsoap is controlled.
    #[arg(long, default_value = "127.0.0.1:8012")]
    pub control: SocketAddr,
    /// Where Liquidsoap takes sources.
    #[arg(long, default_value = "127.0.0.1:8013")]
    pub harbor: SocketAddr,
}

/// How Liquidsoap is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Engine {
    /// Where `playout-agent serve` writes radio.json.
    #[arg(long, default_value = "/run/radio")]
    pub run_dir: PathBuf,
    /// The program.
    #[arg(long, default_value = "liquidsoap")]
    pub liquidsoap: PathBuf,
    /// The script.
    #[arg(long, default_value = "/usr/share/radio/radio.liq")]
    pub script: PathBuf,
}

impl Engine {
    /// Waits for radio.json, then keeps Liquidsoap running until this process is told to end.
    pub async fn run(self) -> ExitCode {
        match self.radio_json_is_there().await {
            Ok(true) => {}
            Ok(false) => return ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!(%failure, "signals cannot be received; Liquidsoap was not started");
                return ExitCode::FAILURE;
            }
        }
        let mut run_dir = std::ffi::OsString::from("RADIO_RUN_DIR=");
        run_dir.push(&self.run_dir);
        // env(1) becomes Liquidsoap: same process, one variable more.
        let args = vec![
            run_dir,
            self.liquidsoap.into_os_string(),
            self.script.into_os_string(),
        ];
        keep_alive(Child {
            program: "env".into(),
            args,
            reload_on: None,
        })
        .await
    }

    /// False when asked to end first: the first process of a container ignores signals it does not handle.
    async fn radio_json_is_there(&self) -> io::Result<bool> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let file = self.run_dir.join(FILE);
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => if file.exists() { return Ok(true) },
                _ = terminate.recv() => return Ok(false),
                _ = interrupt.recv() => return Ok(false),
            }
        }
    }
}
