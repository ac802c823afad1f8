//! The process: wires door, tape and desk, and ends them in an order that leaves every session with its end. IO: all.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use agent::date::Dates;
use agent::watch::{Client, Files, Object, follow, read_mounted};
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::clock::follow::Follower;
use crate::config::{INGEST_KEY, Ingest};
use crate::desk::{self, Desk};
use crate::door::Door;
use crate::metrics::Metrics;
use crate::tape::{self, Shelf};

/// How often the mounted Secret is read as long as the API has told nothing.
const REREAD: Duration = Duration::from_secs(1);
/// How long sources may wait for a process that does not know what time it is.
const FIRST_TIME_WITHIN: Duration = Duration::from_secs(2);

/// How the ingest is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// The Secret to follow through the API; without it, or outside a cluster, only `--mounted` counts.
    #[arg(long)]
    pub secret: Option<String>,
    /// The directory where that Secret is mounted.
    #[arg(long)]
    pub mounted: PathBuf,
    /// The tapes are kept here.
    #[arg(long)]
    pub tapes: PathBuf,
    /// For sources.
    #[arg(long, default_value = "0.0.0.0:8005")]
    pub sources: SocketAddr,
    /// For those who read tapes.
    #[arg(long, default_value = "0.0.0.0:8006")]
    pub readers: SocketAddr,
    /// For probes and scrapes.
    #[arg(long, default_value = "0.0.0.0:8001")]
    pub health: SocketAddr,
    /// The pod's namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub namespace: String,
}

/// Why the ingest ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory of `--mounted`.
    #[error("the mounted Secret at {} cannot be read: {cause}", at.display())]
    Unreadable {
        /// The directory.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Its content.
    #[error("the Secret has no usable {INGEST_KEY}: {0}")]
    Unusable(#[from] Unusable),
    /// No way to the API.
    #[error(transparent)]
    Cluster(#[from] agent::watch::ConnectError),
    /// The directory of `--tapes`.
    #[error("the tapes in {} cannot be opened: {cause}", at.display())]
    Tapes {
        /// The directory.
        at: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A socket.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The process cannot be asked to end, and ending it otherwise would cost sessions their ends.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// No thread for sources.
    #[error("the thread for sources cannot be started: {0}")]
    Thread(io::Error),
    /// It ended.
    #[error("the thread for sources broke off")]
    Door,
    /// The thread that syncs the tapes and makes room on them.
    #[error("the thread that keeps the tapes broke off")]
    Keeper,
    /// A part that runs for ever did not.
    #[error("a part of the ingest broke off: {0}")]
    Broken(#[from] JoinError),
}

/// What is wrong with a Secret. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The key.
    #[error("the key is missing")]
    Missing,
    /// The position, without the text there.
    #[error("not the JSON this version knows, at line {line} column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

impl Serve {
    /// Runs until it is asked to end, or something it cannot do without breaks.
    pub async fn run(self) -> Result<(), Error> {
        let mut asked_to_end = Ending::new().map_err(Error::Signals)?;
        let client = self.client().await?;
        let (config, is_confirmed) = self.config(client.clone())?;
        let tapes = self.open_tapes().await?;
        if let Some(client) = client {
            self.follow_time(client, &tapes).await;
        }
        let mut keeper =
            tape::keep(&tapes, config.clone(), is_confirmed).map_err(|cause| self.tapes_failed(cause))?;
        let (sources, readers) = (bind(self.sources).await?, bind(self.readers).await?);
        tracing::info!(
            sources = %address_of(&sources, self.sources),
            readers = %address_of(&readers, self.readers),
            "listening"
        );
        let metrics = Metrics::default();
        metrics.follow(&config.borrow());
        let desk = Desk::new(Arc::clone(&tapes), config.clone());
        let registry = metrics.registry(config.clone(), Arc::clone(&tapes), desk.clone());
        let door = Door::new(config, Arc::clone(&tapes), metrics);

        let (close_door, door_closes) = oneshot::channel::<()>();
        let mut door = on_a_thread(door, sources, door_closes).map_err(Error::Thread)?;
        let (close_desk, desk_closes) = oneshot::channel::<()>();
        let mut desk = tokio::spawn(desk::serve(readers, desk, async { drop(desk_closes.await) }));
        let health = agent::health::serve(self.health, Arc::new(registry), Arc::new(|| Ok(())));
        let broken = tokio::select! {
            () = asked_to_end.asked() => None,
            _ = &mut door => Some(Error::Door),
            () = keeper.died() => Some(Error::Keeper),
            ended = &mut desk => Some(match ended {
                Ok(ended) => listen_failed(self.readers, ended.err()),
                Err(broken) => Error::Broken(broken),
            }),
            ended = health => Some(listen_failed(self.health, ended.err())),
        };
        tracing::info!("ending: sources first, so that every session has its end on tape");
        drop(close_door);
        if !door.is_terminated() {
            let _ = door.await;
        }
        let settled = tokio::task::spawn_blocking(move || {
            drop(keeper);
            tapes.settle();
        });
        settled.await?;
        drop(close_desk);
        if !desk.is_finished() {
            let _ = desk.await;
        }
        broken.map_or(Ok(()), Err)
    }

    /// The way to the API; `None` outside a cluster, and for who follows nothing.
    async fn client(&self) -> Result<Option<Client>, Error> {
        if in_cluster() && self.secret.is_some() {
            return Ok(Some(agent::watch::connect().await?));
        }
        tracing::warn!(
            "no Kubernetes API: the mounted Secret is read again each second, the time is the node's"
        );
        Ok(None)
    }

    /// What the Secret says, now and whenever it changes; and whether this is known not to be an old version of it.
    fn config(
        &self,
        client: Option<Client>,
    ) -> Result<(watch::Receiver<Arc<Ingest>>, watch::Receiver<bool>), Error> {
        let unreadable = |cause| Error::Unreadable {
            at: self.mounted.clone(),
            cause,
        };
        let first = parse(&read_mounted(&self.mounted).map_err(unreadable)?)?;
        let (sender, receiver) = watch::channel(Arc::new(first));
        // Elsewhere nobody projects the directory: what stands there holds.
        let (confirm, is_confirmed) = watch::channel(!in_cluster());
        let mounted = self.mounted.clone();
        if let Some((client, secret)) = client.zip(self.secret.clone()) {
            let versions = follow(client, &self.namespace, Object::Secret(secret));
            tokio::spawn(take_versions(versions, sender, confirm, mounted));
        } else {
            tokio::spawn(async move { reread(&sender, &mounted).await });
        }
        Ok((receiver, is_confirmed))
    }

    async fn open_tapes(&self) -> Result<Arc<Shelf>, Error> {
        let dir = self.tapes.clone();
        tokio::task::spawn_blocking(move || Shelf::open(&dir, boot_id()))
            .await?
            .map_err(|cause| self.tapes_failed(cause))
    }

    /// From now on the API server's time counts. What was known of it is enough to begin with; a first answer is waited for,
    /// but not long: sources do.
    async fn follow_time(&self, client: Client, tapes: &Arc<Shelf>) {
        let (clock, dates) = (tapes.clock().clone(), Dates::of(client));
        let mut follower = Follower::of(clock, dates, self.tapes.clone(), boot_id().to_owned());
        let mut wait = Duration::ZERO;
        if follower.is_new()
            && let Ok(next) = timeout(FIRST_TIME_WITHIN, follower.ask(true)).await
        {
            wait = next;
        }
        let tapes = Arc::clone(tapes);
        tokio::spawn(follower.follow(wait, move || !tapes.was_used()));
    }

    fn tapes_failed(&self, cause: io::Error) -> Error {
        Error::Tapes {
            at: self.tapes.clone(),
            cause,
        }
    }
}

fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Without one, every session of before is looked at as if the node had crashed: that only costs time.
fn boot_id() -> &'static str {
    static BOOT_ID: LazyLock<String> = LazyLock::new(|| {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_or_else(
            |_| format!("{:x}", rand::random::<u128>()),
            |id| id.trim().to_owned(),
        )
    });
    &BOOT_ID
}

/// Sources have a thread of their own: it waits for each write, while the disk works, and no reader and no probe waits
/// with it. The answer comes when every source has left.
fn on_a_thread(
    door: Arc<Door>,
    listener: TcpListener,
    stop: oneshot::Receiver<()>,
) -> io::Result<oneshot::Receiver<()>> {
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (done, is_done) = oneshot::channel();
    std::thread::Builder::new()
        .name("sources".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                door.listen(listener, async { drop(stop.await) }).await;
                io::Result::Ok(())
            });
            if let Err(failure) = served {
                tracing::error!(%failure, "sources cannot be listened to");
            }
            let _ = done.send(());
        })?;
    Ok(is_done)
}

/// SIGTERM and SIGINT. The first process of a container ignores signals it does not handle.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| Error::Listen { address, cause })
}

/// The port the system chose, where 0 was asked for.
fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn listen_failed(address: SocketAddr, cause: Option<io::Error>) -> Error {
    Error::Listen {
        address,
        cause: cause.unwrap_or_else(|| io::Error::other("it ended by itself")),
    }
}

/// Takes what the API tells. Until it has told something of use kubelet may have newer content than at the start.
async fn take_versions(
    versions: impl Stream<Item = Option<Files>>,
    sender: watch::Sender<Arc<Ingest>>,
    confirm: watch::Sender<bool>,
    mounted: PathBuf,
) {
    let mut versions = pin!(versions);
    loop {
        let is_confirmed = *confirm.borrow();
        let version = tokio::select! {
            version = versions.next() => version,
            never = reread(&sender, &mounted), if !is_confirmed => match never {},
        };
        match version {
            Some(Some(files)) => {
                if take(&sender, &files) {
                    confirm.send_replace(true);
                }
            }
            Some(None) => tracing::warn!("the Secret is gone; going on with its last content"),
            None => return,
        }
    }
}

async fn reread(sender: &watch::Sender<Arc<Ingest>>, mounted: &Path) -> Infallible {
    let mut last = None;
    let mut ticks = tokio::time::interval(REREAD);
    loop {
        ticks.tick().await;
        if let Some(files) = changed(mounted, last.as_ref()) {
            take(sender, &files);
            last = Some(files);
        }
    }
}

fn changed(mounted: &Path, last: Option<&Files>) -> Option<Files> {
    let files = read_mounted(mounted).ok()?;
    (last != Some(&files)).then_some(files)
}

/// Whether it is of use.
fn take(sender: &watch::Sender<Arc<Ingest>>, files: &Files) -> bool {
    match parse(files) {
        Ok(now) => {
            let changed = sender.send_if_modified(|config| {
                let changed = **config != now;
                *config = Arc::new(now);
                changed
            });
            if changed {
                tracing::info!("settings changed");
            }
            true
        }
        Err(failure) => {
            tracing::error!(%failure, "the Secret is of no use; going on with its last content");
            false
        }
    }
}

fn parse(files: &Files) -> Result<Ingest, Unusable> {
    let text = files.0.get(INGEST_KEY).ok_or(Unusable::Missing)?;
    // serde's message may quote a value.
    serde_json::from_slice(text).map_err(|failure| Unusable::Malformed {
        line: failure.line(),
        column: failure.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(content: &str) -> Files {
        Files([(INGEST_KEY.to_owned(), content.as_bytes().to_vec())].into())
    }

    fn with_cap(bytes: u64) -> String {
        format!(r#"{{"inputs":[],"readers":[],"tapeCapBytes":{bytes}}}"#)
    }

    #[tokio::test]
    async fn the_mounted_secret_counts_until_the_api_has_told_one() {
        let mounted = tempfile::TempDir::new().unwrap();
        let (sender, mut config) = watch::channel(Arc::new(Ingest::default()));
        let (confirm, mut is_confirmed) = watch::channel(false);
        let (api, told) = futures::channel::mpsc::unbounded();
        tokio::spawn(take_versions(told, sender, confirm, mounted.path().to_owned()));
        let project = |bytes| std::fs::write(mounted.path().join(INGEST_KEY), with_cap(bytes)).unwrap();
        project(1);
        config
            .wait_for(|config| config.tape_cap_bytes == 1)
            .await
            .unwrap();
        // Kubelet is late, but not that late.
        api.unbounded_send(None).unwrap();
        api.unbounded_send(Some(files("{"))).unwrap();
        project(2);
        config
            .wait_for(|config| config.tape_cap_bytes == 2)
            .await
            .unwrap();
        assert!(!*is_confirmed.borrow(), "neither is a Secret");

        // What kubelet shows now is older.
        api.unbounded_send(Some(files(&with_cap(3)))).unwrap();
        is_confirmed.wait_for(|told| *told).await.unwrap();
        assert_eq!(config.borrow().tape_cap_bytes, 3);
        let again = config.wait_for(|config| config.tape_cap_bytes != 3);
        let again = tokio::time::timeout(2 * REREAD, again).await;
        assert!(again.is_err(), "it is read no longer");
    }
}
