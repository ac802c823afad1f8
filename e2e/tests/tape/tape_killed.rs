//! Promise: `ingest` killed (-9) at any moment: what it had read is on the tape, nothing twice, and readers go on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::tape::{is_beginning, is_same};
use e2e::sound::{Codec, Cut, Dj, Latency, Protocol, Sent};
use futures::future::try_join_all;
use ingest::reader::Desk;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::streams::{self, Stream};
use crate::support::{self, Ingest, SOON};

const KILLS: usize = 20;
const EACH: Duration = Duration::from_secs(1);
/// What the program may have taken from a socket and not yet given to the tape: one read, even on a busy machine.
const ONE_READ: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(50);

/// One connection, logged in under a name of its own.
struct Source {
    user: String,
    dj: Dj,
    local: Arc<Mutex<Option<SocketAddr>>>,
}

/// What came of it.
struct Connection {
    input: &'static str,
    user: String,
    sent: Sent,
    /// Bytes that the program had taken from the socket.
    taken: u64,
    /// The most that one read takes.
    one_read: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_killed_ingest_loses_and_doubles_nothing() -> Result<()> {
    let streams = try_join_all([
        streams::stream("mp3", Codec::Mp3, EACH),
        streams::stream("opus", Codec::Opus, EACH),
        streams::stream("flac", Codec::OggFlac, EACH),
        streams::stream("webm", Codec::WebmOpus, EACH),
    ])
    .await?;
    let users = || (0..=KILLS).map(user);
    let inputs = streams.iter().map(|stream| support::input(stream.name, users()));
    support::play(inputs.collect(), async |ingest| {
        let reader = Reader::start(ingest.desk());
        let mut connections = Vec::new();
        let mut sources = connect(ingest, &streams, 0).await?;
        let mut back = Vec::new();
        for round in 1..=KILLS {
            // Every fourth time they have hardly said who they are.
            let longest = if round % 4 == 0 { 30 } else { 900 };
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..longest))).await;
            let killed = Instant::now();
            connections.extend(kill(ingest, &streams, sources).await?);
            sources = connect(ingest, &streams, round).await?;
            back.push(killed.elapsed());
        }
        for (stream, source) in streams.iter().zip(sources) {
            source.dj.await_over(stream.length + SOON).await?;
            let sent = source.dj.finish().await?;
            connections.push(Connection {
                input: stream.name,
                user: source.user,
                taken: sent.bytes,
                one_read: 0,
                sent,
            });
            ingest
                .await_session(stream.name, "over", |session| session.ended.is_some())
                .await?;
        }
        println!(
            "tape: ingest killed (-9) {KILLS} times: all sources are connected again after {}",
            Latency::from_samples(back)
        );
        compare(ingest, &connections, reader).await
    })
    .await
}

fn user(round: usize) -> String {
    format!("dj{round}")
}

/// All sources connect, as soon as they are let in.
async fn connect(ingest: &Ingest, streams: &[Stream], round: usize) -> Result<Vec<Source>> {
    let connecting = streams.iter().map(|stream| async move {
        let local = Arc::new(Mutex::new(None));
        let sender = || {
            let local = Arc::clone(&local);
            let dial = move |host: String, port: u16| {
                let local = Arc::clone(&local);
                async move {
                    let stream = TcpStream::connect((host, port)).await?;
                    *local.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.local_addr()?);
                    Ok(stream)
                }
            };
            let sender = ingest
                .sender_as(stream.name, &user(round))
                .protocol(Protocol::USUAL)
                .dial(dial);
            stream.from(sender, stream.pace().ok())
        };
        let (dj, _) = take(SOON, sender).await?;
        Ok(Source {
            user: user(round),
            dj,
            local,
        })
    });
    try_join_all(connecting).await
}

/// Kills the program, which is frozen first to see how much it has read, and starts it again.
async fn kill(ingest: &mut Ingest, streams: &[Stream], sources: Vec<Source>) -> Result<Vec<Connection>> {
    ingest.freeze().await?;
    let sent: Vec<u64> = sources.iter().map(|source| source.dj.sent()).collect();
    let waiting = waiting(ingest.sources())?;
    ingest.kill().await?;
    ingest.restart().await?;
    let mut connections = Vec::new();
    for ((stream, sent), source) in streams.iter().zip(sent).zip(sources) {
        let local = *source.local.lock().unwrap_or_else(PoisonError::into_inner);
        let port = local.context("a source without an address")?.port();
        // Written meanwhile counts as waiting, so this is never too much.
        let waiting = waiting.get(&port).copied().unwrap_or_default();
        connections.push(Connection {
            input: stream.name,
            user: source.user,
            sent: source.dj.cut(Cut::Fin).await?,
            taken: sent.saturating_sub(waiting),
            one_read: stream.bytes_in(ONE_READ)?,
        });
    }
    Ok(connections)
}

/// Bytes on the way to this address that nobody has read yet, by the port they come from.
fn waiting(to: SocketAddr) -> Result<BTreeMap<u16, u64>> {
    let mut waiting = BTreeMap::new();
    for line in std::fs::read_to_string("/proc/net/tcp")?.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, _, queues, ..] = fields.as_slice() else {
            continue;
        };
        let port = |address: &str| {
            let (_, port) = address.split_once(':').context("an address without a port")?;
            anyhow::Ok(u16::from_str_radix(port, 16)?)
        };
        let (sending, received) = queues.split_once(':').context("a socket without queues")?;
        let (from, queue) = match (port(local)?, port(remote)?) {
            (local, remote) if remote == to.port() => (local, sending),
            (local, remote) if local == to.port() => (remote, received),
            _ => continue,
        };
        *waiting.entry(from).or_default() += u64::from_str_radix(queue, 16)?;
    }
    Ok(waiting)
}

/// Each connection has one session at most, which is how its log begins, and the reader got all of it.
async fn compare(ingest: &Ingest, connections: &[Connection], reader: Reader) -> Result<()> {
    let sessions = ingest.sessions().await?;
    let (mut torn, mut most, mut taped) = (0, 0, 0);
    for connection in connections {
        let what = || format!("{} of {}", connection.input, connection.user);
        let of = |session: &&ingest::api::Session| {
            session.input == connection.input && session.user == connection.user
        };
        let found: Vec<_> = sessions.iter().filter(of).collect();
        ensure!(
            found.len() <= 1,
            "{} has more than one session: {found:#?}",
            what()
        );
        let mut bytes = Vec::new();
        if let Some(session) = found.first() {
            ensure!(session.ended.is_some(), "it has no end: {session:?}");
            bytes = ingest.taped(&session.id).await?;
            is_beginning(&bytes, &connection.sent.log.read()?)
                .context("the tape is not what was sent")
                .with_context(what)?;
            let got = reader.got(&session.id, bytes.len()).await.with_context(what)?;
            is_same(&got, &bytes)
                .context("the reader did not get what is on the tape")
                .with_context(what)?;
        }
        let missing = connection.taken.saturating_sub(u64::try_from(bytes.len())?);
        torn += usize::from(missing > 0);
        most = most.max(missing);
        taped += bytes.len();
        ensure!(
            missing <= connection.one_read,
            "{}: {} bytes were read, {} are on the tape",
            what(),
            connection.taken,
            bytes.len()
        );
    }
    println!(
        "tape: {} connections, {} sessions, {taped} bytes: none wrong, none twice; a kill fell between reading and writing {torn} times, at most {most} bytes; the reader resumed {} times",
        connections.len(),
        sessions.len(),
        reader.resumed()
    );
    // Whoever collects what was read before writing it would be caught each time.
    ensure!(
        torn * 2 < connections.len(),
        "nearly each kill lost something that had been read"
    );
    Ok(())
}

/// Reads every session to its end, and goes on by offset wherever it was broken off.
struct Reader {
    seen: Arc<Mutex<Seen>>,
    _reading: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Seen {
    bytes: BTreeMap<String, Vec<u8>>,
    resumed: usize,
}

impl Reader {
    fn start(desk: Desk) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let into = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut readers = BTreeMap::new();
            loop {
                let sessions = desk.all_sessions(None).await.map(|all| all.sessions);
                for session in sessions.unwrap_or_default() {
                    readers.entry(session.id.clone()).or_insert_with(|| {
                        let reading = read(desk.clone(), session.id, Arc::clone(&into));
                        AbortOnDropHandle::new(tokio::spawn(reading))
                    });
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self {
            seen,
            _reading: AbortOnDropHandle::new(reading),
        }
    }

    async fn got(&self, session: &str, length: usize) -> Result<Vec<u8>> {
        let what = format!("a reader to have {length} bytes of {session}");
        let (got, _) = e2e::harness::until(&what, SOON, || async {
            let seen = locked(&self.seen);
            match seen.bytes.get(session) {
                Some(bytes) if bytes.len() >= length => Ok(bytes.clone()),
                other => Err(format!("{:?}", other.map(Vec::len))),
            }
        })
        .await?;
        Ok(got)
    }

    fn resumed(&self) -> usize {
        locked(&self.seen).resumed
    }
}

async fn read(desk: Desk, session: String, seen: Arc<Mutex<Seen>>) {
    while read_on(&desk, &session, &seen).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until the session has ended; an error if the connection did before.
async fn read_on(desk: &Desk, session: &str, seen: &Mutex<Seen>) -> Result<()> {
    let from = locked(seen).bytes.get(session).map_or(0, Vec::len);
    let mut tape = desk.read(session, u64::try_from(from)?, true).await?;
    {
        let mut seen = locked(seen);
        // Also of a session that was cut before its first byte.
        seen.bytes.entry(session.to_owned()).or_default();
        seen.resumed += usize::from(from > 0);
    }
    while let Some(piece) = tape.next().await? {
        let mut seen = locked(seen);
        seen.bytes
            .entry(session.to_owned())
            .or_default()
            .extend_from_slice(&piece);
    }
    Ok(())
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
