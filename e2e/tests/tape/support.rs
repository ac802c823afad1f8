//! The real `ingest` on loopback, with a folder for its configuration and one for its tapes. Starts processes.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::until;
use e2e::install::command;
use e2e::ports;
use e2e::sound::Sender;
use ingest::api::Session;
use ingest::config::{self, Credential, INGEST_KEY, Input, Reader, Routing};
use ingest::reader::Desk;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, RwLock};

/// Of every input.
pub const PASSWORD: &str = "not-to-be-logged";
/// Of the one reader.
const TOKEN: &str = "a-token-not-to-be-logged";
/// For the program to start on a busy machine, and for everything else that has no reason to take long.
pub const SOON: Duration = Duration::from_secs(10);
const GIGABYTE: u64 = 1 << 30;
/// A killed process is gone in a few milliseconds.
const REAP: Duration = Duration::from_secs(1);
const LINES_SHOWN: usize = 30;

/// Tests that time something want the machine for themselves; the others share it.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// A running ingest; it is killed when it is dropped.
pub struct Ingest {
    child: Child,
    folder: TempDir,
    sources: SocketAddr,
    readers: SocketAddr,
    health: SocketAddr,
}

/// An input that anybody with the password may use as `source`, or as any of the further users.
pub fn input(name: &str, users: impl IntoIterator<Item = String>) -> Input {
    let credential = |user: String| Credential {
        user,
        sha256: digest(PASSWORD),
        routing: Routing::Live,
        show: None,
        turns: Vec::new(),
    };
    let users = std::iter::once("source".to_owned()).chain(users);
    Input {
        mount: "live".to_owned(),
        name: name.to_owned(),
        path: path(name),
        priority: 0,
        accepts: None,
        credentials: users.map(credential).collect(),
    }
}

/// The inputs of these names, for `source` alone.
pub fn inputs(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Input> {
    names.into_iter().map(|name| input(name.as_ref(), [])).collect()
}

fn path(input: &str) -> String {
    format!("/live/{input}")
}

fn digest(secret: &str) -> String {
    Sha256::digest(secret)
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Runs a test beside others.
pub async fn play(inputs: Vec<Input>, story: impl AsyncFnOnce(&mut Ingest) -> Result<()>) -> Result<()> {
    let _beside = MACHINE.read().await;
    tell(inputs, story).await
}

/// Runs a test while no other one runs.
pub async fn play_alone(
    inputs: Vec<Input>,
    story: impl AsyncFnOnce(&mut Ingest) -> Result<()>,
) -> Result<()> {
    let _alone = MACHINE.write().await;
    tell(inputs, story).await
}

async fn tell(inputs: Vec<Input>, story: impl AsyncFnOnce(&mut Ingest) -> Result<()>) -> Result<()> {
    let mut ingest = Ingest::start(inputs).await?;
    let told = story(&mut ingest).await;
    let log = ingest.log();
    if told.is_err() {
        let lines: Vec<&str> = log.lines().collect();
        println!("{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n"));
    }
    told?;
    for secret in [PASSWORD, TOKEN] {
        ensure!(!log.contains(secret), "a secret is in the log:\n{log}");
    }
    Ok(())
}

impl Ingest {
    async fn start(inputs: Vec<Input>) -> Result<Self> {
        let folder = TempDir::new().context("no temporary folder for the ingest")?;
        let config = config::Ingest {
            inputs,
            readers: vec![Reader {
                name: "test".to_owned(),
                sha256: digest(TOKEN),
                mounts: None,
            }],
            tape_cap_bytes: GIGABYTE,
            recordings: Vec::new(),
        };
        fs::create_dir(folder.path().join("mounted"))?;
        fs::create_dir(folder.path().join("tapes"))?;
        fs::write(
            folder.path().join("mounted").join(INGEST_KEY),
            serde_json::to_vec(&config)?,
        )?;
        let [sources, readers, health] = ports::free()?;
        let child = spawn(folder.path(), [sources, readers, health]).await?;
        let mut ingest = Self {
            child,
            folder,
            sources,
            readers,
            health,
        };
        ingest.await_ready().await?;
        Ok(ingest)
    }

    async fn await_ready(&mut self) -> Result<()> {
        let health = self.health;
        let (child, log) = (&mut self.child, self.folder.path().join("log"));
        let begin = Instant::now();
        while let Err(why) = ask(health, "/readyz").await {
            let words = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = child.try_wait()? {
                anyhow::bail!("the ingest ended with {status}: {}", words());
            }
            ensure!(
                begin.elapsed() < SOON,
                "the ingest is not ready after {SOON:?}: {why:#}: {}",
                words()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// A sender to an input.
    pub fn sender(&self, input: &str) -> Sender {
        self.sender_as(input, "source")
    }

    /// The same by another user.
    pub fn sender_as(&self, input: &str, user: &str) -> Sender {
        Sender::to(&self.source_url(&path(input))).login(user, PASSWORD)
    }

    /// Where a source of this path connects, without a login.
    pub fn source_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sources)
    }

    /// Where sources connect.
    pub fn sources(&self) -> SocketAddr {
        self.sources
    }

    /// Its read API.
    pub fn desk(&self) -> Desk {
        Desk::new(self.readers.to_string(), TOKEN.to_owned())
    }

    /// All sessions, the oldest first.
    pub async fn sessions(&self) -> Result<Vec<Session>> {
        Ok(self.desk().all_sessions(None).await?.sessions)
    }

    /// Waits for the newest session of an input to be what it should.
    pub async fn await_session(
        &self,
        input: &str,
        what: &str,
        is_so: impl Fn(&Session) -> bool,
    ) -> Result<Session> {
        let what = format!("a session of {input} that is {what}");
        let (session, _) = until(&what, SOON, || async {
            let sessions = self.sessions().await.map_err(|error| format!("{error:#}"))?;
            match sessions.into_iter().rfind(|session| session.input == input) {
                Some(session) if is_so(&session) => Ok(session),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        Ok(session)
    }

    /// Every byte of a session.
    pub async fn taped(&self, session: &str) -> Result<Vec<u8>> {
        let mut tape = self.desk().read(session, 0, false).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = tape.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Its process.
    pub fn pid(&self) -> Result<Pid> {
        let pid = self.child.id().context("the ingest is gone")?;
        Pid::from_raw(i32::try_from(pid)?).context("the ingest has no pid")
    }

    /// Freezes it, and waits until none of its threads runs any more.
    pub async fn freeze(&self) -> Result<()> {
        let pid = self.pid()?;
        kill_process(pid, Signal::STOP)?;
        until("the ingest to be frozen", SOON, || async {
            let threads = threads(pid).map_err(|error| format!("{error:#}"))?;
            if threads.iter().all(|state| *state == 'T') {
                Ok(())
            } else {
                Err(format!("{threads:?}"))
            }
        })
        .await?;
        Ok(())
    }

    /// Kills it (-9).
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("the ingest could not be killed")
    }

    /// Starts it again, on the same ports and tapes; does not wait until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(self.folder.path(), [self.sources, self.readers, self.health]).await?;
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Ingest {
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

async fn spawn(folder: &Path, [sources, readers, health]: [SocketAddr; 3]) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    let mut command = Command::new(program().await?);
    // Neither a kubeconfig nor a proxy of whoever runs the tests.
    command.env_clear().env("RADIO_LOG", "text").env("HOME", folder);
    command.args(["serve", "--secret", "fm-ingest", "--namespace", "radio"]);
    command.arg("--mounted").arg(folder.join("mounted"));
    command.arg("--tapes").arg(folder.join("tapes"));
    for (option, address) in [
        ("--sources", sources),
        ("--readers", readers),
        ("--health", health),
    ] {
        command.arg(option).arg(address.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    command.spawn().context("the ingest could not be started")
}

/// The program, built if need be: cargo builds other packages' programs for no test.
async fn program() -> Result<&'static PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_try_init(|| async {
            let mut cargo = Command::from(command::cargo());
            // As the rest of the suite builds it, or cargo would choose other features and build all again.
            cargo.args(["build", "--quiet", "--workspace", "--bin", "ingest"]);
            cargo.arg("--message-format=json-render-diagnostics");
            let messages = command::output(&mut cargo).await?;
            let of_ingest = |line: &str| {
                let message: serde_json::Value = serde_json::from_str(line).ok()?;
                let is_ours = message["target"]["name"] == "ingest";
                is_ours.then(|| message["executable"].as_str().map(PathBuf::from))?
            };
            messages
                .lines()
                .find_map(of_ingest)
                .context("cargo built no program named ingest")
        })
        .await
}

async fn ask(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}

/// The state of each thread, as `ps` shows it.
fn threads(pid: Pid) -> Result<Vec<char>> {
    let folder = format!("/proc/{pid}/task");
    let mut states = Vec::new();
    for thread in fs::read_dir(folder)? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        let (_, rest) = stat.rsplit_once(") ").context("a thread without a name")?;
        states.extend(rest.chars().next());
    }
    Ok(states)
}
