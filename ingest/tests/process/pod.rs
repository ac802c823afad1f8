//! An ingest on loopback, and the other ends of its ports.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingest::api::{Session, Sessions};
use ingest::config::{Credential, Format, Ingest, Input, Reader, Routing};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

pub const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "päss:word";
pub const TOKEN: &str = "token-of-the-reader";

pub const MP3: &[u8] = include_bytes!("../../src/framing/fixtures/tone.mp3");
pub const OPUS: &[u8] = include_bytes!("../../src/framing/fixtures/tone.opus");
pub const VORBIS: &[u8] = include_bytes!("../../src/framing/fixtures/tone.vorbis.ogg");
pub const FLAC: &[u8] = include_bytes!("../../src/framing/fixtures/tone.flac.ogg");
pub const CHAIN: &[u8] = include_bytes!("../../src/framing/fixtures/chain.ogg");
pub const AAC: &[u8] = include_bytes!("../../src/framing/fixtures/tone.aac");
pub const WEBM: &[u8] = include_bytes!("../../src/framing/fixtures/chromium.webm");

/// What an ingest is given: it outlives the process.
pub struct Given {
    dir: tempfile::TempDir,
}

/// The process.
pub struct Pod {
    process: Child,
    pub sources: SocketAddr,
    pub readers: SocketAddr,
    health: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Given {
    pub fn new(inputs: Vec<Input>) -> Self {
        let given = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(given.mounted()).unwrap();
        given.configure(inputs);
        given
    }

    pub fn configure(&self, inputs: Vec<Input>) {
        self.configure_as(&Self::config(inputs));
    }

    /// As kubelet does it: the content changes in one step.
    pub fn configure_as(&self, config: &Ingest) {
        let next = self.mounted().join("..next");
        fs::write(&next, serde_json::to_vec(config).unwrap()).unwrap();
        fs::rename(next, self.mounted().join("ingest.json")).unwrap();
    }

    /// As the operator writes it.
    pub fn config(inputs: Vec<Input>) -> Ingest {
        Ingest {
            inputs,
            readers: vec![Reader {
                name: "test".to_owned(),
                sha256: sha256(TOKEN),
                mounts: None,
            }],
            tape_cap_bytes: 1 << 30,
            recordings: Vec::new(),
        }
    }

    fn mounted(&self) -> PathBuf {
        self.dir.path().join("secret")
    }

    pub fn session(&self, id: &str) -> PathBuf {
        self.dir.path().join("tapes/sessions").join(id)
    }

    pub fn start(&self) -> Pod {
        self.start_with(&[])
    }

    /// With these variables in its environment: that of a cluster, say.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Pod {
        Pod::start(&self.mounted(), &self.dir.path().join("tapes"), environment)
    }

    /// A file of its own.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

impl Pod {
    fn start(mounted: &Path, tapes: &Path, environment: &[(&str, &str)]) -> Self {
        let health = nobody_elses();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ingest"))
            .arg("serve")
            .arg("--mounted")
            .arg(mounted)
            .arg("--tapes")
            .arg(tapes)
            .args(["--sources", "127.0.0.1:0", "--readers", "127.0.0.1:0", "--health"])
            .arg(health.to_string())
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("RUST_LOG")
            // Counts in a cluster only.
            .args(["--secret", "station-ingest"])
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, listening) = mpsc::channel();
        let (stderr, written) = (process.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let said: serde_json::Value = serde_json::from_str(&line).unwrap();
                if said["message"] == "listening" {
                    let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
                    sender.send((address("sources"), address("readers"))).unwrap();
                }
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let (sources, readers) = match listening.recv_timeout(PATIENCE) {
            Ok(addresses) => addresses,
            Err(failure) => panic!("{failure}: {}", log.lock().unwrap()),
        };
        Self {
            process,
            sources,
            readers,
            health,
            log,
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.process.wait().unwrap()
    }

    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.process.wait().unwrap();
    }

    /// A connection to the source port that has said this.
    pub fn call(&self, said: impl AsRef<[u8]>) -> TcpStream {
        let mut socket = TcpStream::connect(self.sources).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(said.as_ref()).unwrap();
        socket
    }

    /// The whole answer to this on the source port.
    pub fn ask(&self, said: impl AsRef<[u8]>) -> String {
        rest(&mut self.call(said))
    }

    /// A source that was let in with `SOURCE`, and has sent this much.
    pub fn source(&self, path: &str, first: &[u8]) -> TcpStream {
        let mut source = self.call(format!("SOURCE {path} ICE/1.0\r\n{}\r\n", login(PASSWORD)));
        assert_eq!(head(&mut source), "HTTP/1.0 200 OK\r\n\r\n");
        source.write_all(first).unwrap();
        source
    }

    pub fn sessions(&self) -> Sessions {
        let (status, body) = self.read("/v1/sessions?all=true");
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    /// The newest session of a path, once it is as it should be.
    pub fn session(&self, path: &str, is_right: impl Fn(&Session) -> bool) -> Session {
        let session = || self.sessions().sessions.into_iter().rfind(|it| it.path == path);
        wait_for(|| session().filter(&is_right))
    }

    pub fn tape(&self, id: &str) -> Vec<u8> {
        let (status, body) = self.read(&format!("/v1/sessions/{id}/tape?from=0"));
        assert_eq!(status, 200);
        body
    }

    /// What a reader gets, to the end of the answer.
    pub fn read(&self, path: &str) -> (u16, Vec<u8>) {
        get(self.readers, path)
    }

    pub fn metrics(&self) -> String {
        // It is opened last.
        wait_for(|| TcpStream::connect(self.health).ok());
        let (status, body) = get(self.health, "/metrics");
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap()
    }
}

/// The one address whose port is not told. Loopback has 2^24 of them: no two pods want the same.
fn nobody_elses() -> SocketAddr {
    static PODS: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, PODS.fetch_add(1, Ordering::Relaxed), high, low], 18_001))
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

pub fn input(path: &str) -> Input {
    Input {
        mount: "live".to_owned(),
        name: path.trim_start_matches('/').replace('/', "-"),
        path: path.to_owned(),
        priority: 0,
        accepts: None,
        credentials: vec![credential(PASSWORD, Routing::Live)],
    }
}

pub fn accepting(path: &str, format: Format) -> Input {
    Input {
        accepts: Some(format),
        ..input(path)
    }
}

pub fn credential(password: &str, routing: Routing) -> Credential {
    Credential {
        user: "source".to_owned(),
        sha256: sha256(password),
        routing,
        show: None,
        turns: Vec::new(),
    }
}

pub fn sha256(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").unwrap();
            digits
        })
}

/// The header field.
pub fn login(password: &str) -> String {
    login_of("source", password)
}

/// The same for somebody with a name.
pub fn login_of(user: &str, password: &str) -> String {
    let told = STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {told}\r\n")
}

pub fn put(path: &str, fields: &str) -> String {
    format!(
        "PUT {path} HTTP/1.1\r\nHost: ingest\r\n{}{fields}\r\n",
        login(PASSWORD)
    )
}

/// What comes until an empty line.
pub fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap_or_else(|failure| {
            panic!("{failure} after {:?}", String::from_utf8_lossy(&head));
        });
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// What comes until the connection ends, however it does.
pub fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(failure) = socket.read_to_end(&mut answer) {
        assert_eq!(failure.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(answer).unwrap()
}

fn get(address: SocketAddr, path: &str) -> (u16, Vec<u8>) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Of HTTP/1.0, so that the body is simply what comes until the end.
    let request = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let status = head(&mut socket).split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = Vec::new();
    socket.read_to_end(&mut body).unwrap();
    (status, body)
}

/// Asks again until there is an answer.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it never happened");
        thread::sleep(Duration::from_millis(10));
    }
}
