//! A real `ingest`, and DJs who send to it by their own protocol, with a log of every byte that their sockets took.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::install::command;
use e2e::ports;
use e2e::sound::{Codec, Cut, Dj, Script, Sender};
use e2e::twin::Rules;
use ingest::api::Session;
use ingest::config::{Credential, INGEST_KEY, Ingest, Input, Named, Routing};
use ingest::reader::Desk;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, RECORDING, Stage, TOKEN, digest, reader, replace};
use crate::sound::{Sound, speed};

/// The first is heard before the second.
const INPUTS: [&str; 2] = ["studio", "mobile"];
const PASSWORD: &str = "password";
/// Users of each kind: every connection logs in under a name of its own, by which its session is found.
const USERS: usize = 40;
const SOON: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(20);

/// A [`Stage`] with an ingest.
pub struct Station {
    stage: Stage,
    ingest: Child,
    told: Ingest,
    sources: SocketAddr,
    health: SocketAddr,
    connections: AtomicUsize,
}

impl Deref for Station {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Station {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Station {
    /// On air, with nobody there yet. The Recording begins now.
    pub async fn new() -> Self {
        let mut stage = Stage::new(Rules::R2, "r2").await;
        let [sources, health] = ports::free().unwrap();
        let mut told = Ingest {
            inputs: (0..).zip(INPUTS).map(input).collect(),
            readers: vec![reader(RECORDING, TOKEN)],
            tape_cap_bytes: 1 << 40,
            ..Ingest::default()
        };
        // Building it may take longer than the Recording waits for somebody.
        program().await;
        let now = Timestamp::now();
        told.recordings = vec![Named {
            name: RECORDING.to_owned(),
            mount: "main".to_owned(),
            input: None,
            from: now,
            until: None,
        }];
        stage.recording["window"]["from"] = serde_json::to_value(now).unwrap();
        // Nobody is away for so long, even on a busy machine.
        stage.recording["idleEndSeconds"] = 5.into();
        stage.tell();
        let mut station = Self {
            ingest: ingest(&stage, &told, sources, health).await,
            stage,
            told,
            sources,
            health,
            connections: AtomicUsize::new(0),
        };
        station.await_ingest().await;
        station
    }

    /// Kills it (-9) after it was frozen; `between` sees it like that.
    pub async fn kill_ingest<T>(&mut self, between: impl FnOnce(&Self) -> T) -> T {
        let pid = self.ingest.id().and_then(|pid| i32::try_from(pid).ok());
        kill_process(pid.and_then(Pid::from_raw).unwrap(), Signal::STOP).unwrap();
        let seen = between(self);
        super::kill(&mut self.ingest).await;
        seen
    }

    pub async fn start_ingest(&mut self) {
        self.ingest = ingest(&self.stage, &self.told, self.sources, self.health).await;
        self.await_ingest().await;
    }

    async fn await_ingest(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.sources).await.is_err() || self.desk().sessions(None).await.is_err() {
            let ended = self.ingest.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < SOON,
                "{ended:?}\n{}",
                self.log()
            );
            sleep(AGAIN).await;
        }
    }

    /// Where DJs connect.
    pub fn sources(&self) -> SocketAddr {
        self.sources
    }

    pub fn desk(&self) -> Desk {
        Desk::new(self.stage.desk.to_string(), TOKEN.to_owned())
    }

    /// The folder of a session on the tape.
    pub fn tape(&self, session: &str) -> PathBuf {
        tapes(&self.stage).join("sessions").join(session).join("tape")
    }

    /// The session that a connection made on the tape, if it did.
    pub async fn session(&self, user: &str) -> Option<Session> {
        let all = self.desk().all_sessions(None).await.unwrap().sessions;
        all.into_iter().find(|session| session.user == user)
    }

    /// Routes whoever is logged in as this user elsewhere, as the operator does it; the answer comes when the ingest did it.
    pub async fn route(&mut self, user: &str, routing: Routing) {
        let credentials = self
            .told
            .inputs
            .iter_mut()
            .flat_map(|input| &mut input.credentials);
        for credential in credentials.filter(|credential| credential.user == user) {
            credential.routing = routing;
        }
        configure(&self.stage, &self.told);
        let begun = Instant::now();
        while self.session(user).await.unwrap().routing != routing {
            assert!(begun.elapsed() < SOON, "{user} is not routed to {routing:?}");
            sleep(AGAIN).await;
        }
    }

    /// A DJ begins to send this to an input.
    pub async fn connect(&self, input: &str, routing: Routing, sound: &Sound) -> Connection {
        self.connect_at(speed(), input, routing, sound).await
    }

    /// The same, so many times as fast as real time.
    pub async fn connect_at(&self, speed: u32, input: &str, routing: Routing, sound: &Sound) -> Connection {
        let pace = sound.bytes_a_second() * speed;
        let play = |sender: Sender| sender.raw(sound.bytes.clone(), Some(pace));
        self.connect_with(input, routing, sound.codec, play).await
    }

    /// A DJ begins to encode this and to send it to an input.
    pub async fn encode(&self, input: &str, codec: Codec, script: &Script) -> Connection {
        let play = |sender: Sender| sender.play(script.clone()).speed(f64::from(speed()));
        self.connect_with(input, Routing::Live, codec, play).await
    }

    async fn connect_with(
        &self,
        input: &str,
        routing: Routing,
        codec: Codec,
        play: impl Fn(Sender) -> Sender,
    ) -> Connection {
        let user = user(routing, self.connections.fetch_add(1, Ordering::Relaxed));
        let url = format!("http://{}/main/{input}", self.sources);
        let sender = || play(Sender::to(&url).login(&user, PASSWORD).codec(codec));
        let begun = Instant::now();
        let dj = loop {
            match sender().start().await {
                Ok(dj) => break dj,
                // Whoever was there before may still seem to be.
                Err(failure) => assert!(begun.elapsed() < SOON, "{failure:#}\n{}", self.log()),
            }
            sleep(AGAIN).await;
        };
        Connection {
            dj,
            user,
            codec,
            from: Timestamp::now(),
        }
    }
}

/// A DJ on the line.
pub struct Connection {
    pub dj: Dj,
    pub user: String,
    codec: Codec,
    from: Timestamp,
}

impl Connection {
    /// Waits until so many bytes are sent.
    pub async fn until(&self, bytes: u64) {
        self.dj.await_sent(bytes, PATIENCE).await.unwrap();
    }

    /// Sends everything, and says goodbye.
    pub async fn played_out(self) -> Sent {
        self.dj.await_over(PATIENCE).await.unwrap();
        let gone = self.dj.finish().await.unwrap();
        assert_eq!(gone.failure, None);
        Sent {
            user: self.user,
            codec: self.codec,
            bytes: gone.log.read().unwrap(),
            from: self.from,
            to: Timestamp::now(),
            torn: false,
        }
    }

    /// Is gone, in the middle of what it sends.
    pub async fn cut(self, how: Cut) -> Sent {
        let gone = self.dj.cut(how).await.unwrap();
        Sent {
            user: self.user,
            codec: self.codec,
            bytes: gone.log.read().unwrap(),
            from: self.from,
            to: Timestamp::now(),
            torn: true,
        }
    }
}

/// What a DJ that is gone has sent.
pub struct Sent {
    pub user: String,
    pub codec: Codec,
    /// What its socket took.
    pub bytes: Vec<u8>,
    /// From when to when it was connected, by its own clock.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Its last packet may be half a packet.
    pub torn: bool,
}

/// Logins that are live from the start, and such that rehearse.
fn user(routing: Routing, number: usize) -> String {
    assert!(number < USERS, "more connections than users");
    match routing {
        Routing::Live => format!("dj{number}"),
        Routing::Rehearsal => format!("test{number}"),
    }
}

fn input((priority, name): (u16, &str)) -> Input {
    let credential = |routing| {
        move |number| Credential {
            user: user(routing, number),
            sha256: digest(PASSWORD),
            routing,
            show: None,
            turns: Vec::new(),
        }
    };
    let live = (0..USERS).map(credential(Routing::Live));
    Input {
        mount: "main".to_owned(),
        name: name.to_owned(),
        path: format!("/main/{name}"),
        priority,
        accepts: None,
        credentials: live
            .chain((0..USERS).map(credential(Routing::Rehearsal)))
            .collect(),
    }
}

fn tapes(stage: &Stage) -> PathBuf {
    stage.dir.path().join("tapes")
}

fn configure(stage: &Stage, told: &Ingest) {
    let path = stage.dir.path().join("ingest").join(INGEST_KEY);
    replace(&path, &serde_json::to_vec(told).unwrap());
}

async fn ingest(stage: &Stage, told: &Ingest, sources: SocketAddr, health: SocketAddr) -> Child {
    configure(stage, told);
    let mut command = Command::new(program().await);
    command.env_remove("KUBERNETES_SERVICE_HOST").arg("serve");
    command.arg("--mounted").arg(stage.dir.path().join("ingest"));
    command.arg("--tapes").arg(tapes(stage));
    for (option, address) in [
        ("--sources", sources),
        ("--readers", stage.desk),
        ("--health", health),
    ] {
        command.arg(option).arg(address.to_string());
    }
    stage.start(command)
}

/// The ingest of this build, built if need be: cargo builds other packages' programs for no test.
async fn program() -> &'static PathBuf {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let mut cargo = Command::from(command::cargo());
        // As the rest of the suite builds it, or cargo would choose other features and build all again.
        cargo.args(["build", "--quiet", "--workspace", "--bin", "ingest"]);
        cargo.arg("--message-format=json-render-diagnostics");
        let built = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let built = timeout(PATIENCE, built).await.unwrap().unwrap();
        assert!(built.status.success(), "the ingest cannot be built");
        let messages = String::from_utf8(built.stdout).unwrap();
        let of_ingest = |line: &str| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_ours = message["target"]["name"] == "ingest";
            is_ours.then(|| message["executable"].as_str().map(PathBuf::from))?
        };
        let built = messages.lines().find_map(of_ingest);
        built.expect("cargo built no program named ingest")
    };
    PROGRAM.get_or_init(build).await
}
