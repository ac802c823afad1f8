//! A versitygw of one's own on loopback, over a temporary folder. Does IO.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::distr::{Alphanumeric, SampleString};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::backend::Backend;
use super::keyring::Key;
use crate::ports;

const POLL: Duration = Duration::from_millis(20);
const START: Duration = Duration::from_secs(20);

/// A running versitygw; it ends when it is dropped, and what it stored with it.
pub struct VersityGw {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
    key: Key,
}

impl VersityGw {
    /// Starts this program on a free port.
    pub async fn start(program: &Path) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder for versitygw")?;
        let key = Key::new("root", Alphanumeric.sample_string(&mut rand::rng(), 40));
        let [address] = ports::free()?;
        let mut child = Command::new(program)
            .args(["--port", &address.to_string(), "--quiet", "posix"])
            .arg(folder.path())
            .env("ROOT_ACCESS_KEY", &key.access_key)
            .env("ROOT_SECRET_KEY", &key.secret_key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let listens = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    bail!("versitygw ended at once: {status}");
                }
                if TcpStream::connect(address).await.is_ok() {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(START, listens)
            .await
            .context("versitygw does not listen")??;
        Ok(Self {
            child,
            address,
            folder,
            key,
        })
    }

    /// The URL for S3 clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key pair that may do everything.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Where it stores: a folder for each bucket, a file for each object.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// It as the store behind a twin.
    pub fn backend(&self) -> Result<Backend> {
        Backend::new(&self.address.to_string(), self.key.clone())
    }

    /// Turns a bit of a stored object, as a disk does that rots: size and `ETag` stay what they were.
    pub fn rot(&self, bucket: &str, key: &str, offset: u64) -> Result<()> {
        let path = self.folder.path().join(bucket).join(key);
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)
            .and_then(|()| file.write_all_at(&[byte[0] ^ 1], offset))
            .with_context(|| format!("cannot turn a bit of {}", path.display()))
    }

    /// Ends it at once, as a crash does.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("versitygw was not killed")
    }
}
