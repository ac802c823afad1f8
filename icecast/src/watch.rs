//! `icecast-agent watch`: brings the configuration from the Secret to the file Icecast reads, and sources to Icecast, and
//! tells how Icecast does. IO: API, files, health.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agent::watch::{ConnectError, Files, Object};
use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::config;
use crate::feed::Offers;
use crate::mark::Mark;
use crate::metrics::Metrics;
use crate::pages;
use crate::poll::{Givens, keep_looking};
use crate::settings::Settings;
use crate::view::{Given, Shared};

/// Reloads closer than this make Icecast-KH close and open its listening sockets again and again.
const BETWEEN_WRITES: Duration = Duration::from_secs(5);
/// Without a cluster: how often the mounted directory is read.
const LOOK: Duration = Duration::from_millis(500);
/// Owner and group only: the file is full of passwords.
const MODE: u32 = 0o640;

/// Where the configuration comes from and goes to.
#[derive(clap::Args)]
pub struct Arguments {
    /// The Secret to follow through the API; only with `KUBERNETES_SERVICE_HOST` set, as it is in a pod.
    #[arg(long, value_name = "NAME")]
    secret: String,
    /// Namespace of the Secret.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Directory the same Secret is mounted at: what Icecast starts from.
    #[arg(long, value_name = "DIR")]
    mounted: PathBuf,
    /// The file Icecast reads; its directory has to be writable.
    #[arg(long, value_name = "FILE")]
    write: PathBuf,
    /// Serves /healthz, /readyz, /metrics, /on-air, /status.json and /status-json.xsl, as soon as the file is written.
    #[arg(long, value_name = "ADDRESS")]
    health: SocketAddr,
    /// The Icecast of this pod: it is fed, and asked how it does.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    icecast: SocketAddr,
}

/// Why `watch` ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No client for the API.
    #[error(transparent)]
    Api(#[from] ConnectError),
    /// No health server.
    #[error("{addr} cannot be served: {failure}; is the port taken?")]
    Health { addr: SocketAddr, failure: io::Error },
    /// No signal handler.
    #[error("SIGTERM cannot be received: {0}")]
    Signal(io::Error),
}

type Versions = Pin<Box<dyn Stream<Item = Option<Files>> + Send>>;

/// Follows the Secret until SIGTERM.
pub async fn watch(arguments: Arguments) -> Result<(), Failure> {
    // As a container's first process it would not even get a SIGTERM it has no handler for.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signal)?;
    let metrics = Metrics::default();
    let view = Shared::default();
    let registry = metrics.register(view.clone());
    let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let mut offers = Offers::to(arguments.icecast.to_string());
    tokio::spawn(offers.keep_fed(&metrics));
    let mut written = Written::new(arguments.write.clone(), BETWEEN_WRITES, metrics.clone());
    tokio::spawn(keep_looking(
        arguments.icecast,
        written.givens(),
        view.clone(),
        metrics,
    ));
    let versions = if in_cluster {
        // An earlier life of this container may have written a newer version than kubelet has mounted.
        written.adopt();
        from_cluster(&arguments).await?
    } else {
        tracing::warn!("KUBERNETES_SERVICE_HOST is not set; following the mounted directory alone");
        polled(arguments.mounted.clone())
    };
    let versions = versions
        .inspect(move |version| offers.offer(version.as_ref()))
        .boxed();
    let addr = arguments.health;
    let draining = arguments.write.with_file_name(pages::DRAINING);
    let told = agent::health::routes(registry, Arc::new(|| Ok(()))).merge(pages::routes(view, draining));
    let health = async {
        let listener = TcpListener::bind(addr).await;
        let served = async { axum::serve(listener?, told).await };
        served.await.map_err(|failure| Failure::Health { addr, failure })
    };
    tokio::select! {
        ended = keep_written(versions, written, health) => ended,
        _ = terminate.recv() => Ok(()),
    }
}

async fn from_cluster(arguments: &Arguments) -> Result<Versions, Failure> {
    let mounted = read(&arguments.mounted);
    let client = agent::watch::connect().await?;
    let followed = agent::watch::follow(
        client,
        &arguments.namespace,
        Object::Secret(arguments.secret.clone()),
    );
    Ok(stream::iter(mounted.map(Some)).chain(followed).boxed())
}

fn polled(dir: PathBuf) -> Versions {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let read = stream::unfold((ticks, dir, None), |(mut ticks, dir, last)| async move {
        loop {
            ticks.tick().await;
            let now = read(&dir);
            if now != last {
                return Some((now.clone(), (ticks, dir, now)));
            }
        }
    });
    read.boxed()
}

fn read(mounted: &Path) -> Option<Files> {
    match agent::watch::read_mounted(mounted) {
        Ok(files) => Some(files),
        Err(failure) => {
            tracing::warn!(dir = %mounted.display(), %failure, "the mounted Secret cannot be read");
            None
        }
    }
}

/// Writes what comes, with pauses; serves health from the first write on. Ends only when health does.
async fn keep_written(
    mut versions: Versions,
    mut written: Written,
    health: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::pin!(health);
    loop {
        tokio::select! {
            version = versions.next() => match version {
                Some(version) => written.offer(version.as_ref()),
                None => futures::future::pending().await,
            },
            () = sleep_until(written.due), if written.pending.is_some() => written.write(),
            ended = &mut health, if written.content.is_some() => return ended,
        }
    }
}

/// The file, and what is to become of it.
struct Written {
    path: PathBuf,
    /// What Icecast was last given, with its mark.
    content: Option<String>,
    mark: Option<Mark>,
    /// What it will be given at `due`.
    pending: Option<Pending>,
    due: Instant,
    pause: Duration,
    metrics: Metrics,
    given: watch::Sender<Option<Arc<Given>>>,
}

/// Without a mark: it is made when this is written.
struct Pending {
    text: String,
    settings: Settings,
}

impl Written {
    fn new(path: PathBuf, pause: Duration, metrics: Metrics) -> Self {
        Self {
            path,
            content: None,
            mark: None,
            pending: None,
            due: Instant::now(),
            pause,
            metrics,
            given: watch::Sender::default(),
        }
    }

    /// Tells what Icecast was given.
    fn givens(&self) -> Givens {
        self.given.subscribe()
    }

    /// Goes on from the file that is there, if it is good.
    fn adopt(&mut self) {
        let Ok(content) = fs::read(&self.path) else { return };
        let files = Files([(config::KEY.to_owned(), content)].into());
        if let Ok(usable) = config::usable(&files) {
            tracing::info!(file = %self.path.display(), "going on from the configuration of an earlier life");
            let text = usable.text.to_owned();
            let mark = Mark::of(&text);
            self.give(text, mark, usable.settings);
        }
    }

    fn give(&mut self, content: String, mark: Option<Mark>, settings: Settings) {
        self.given.send_replace(Some(Arc::new(Given {
            settings,
            mark: mark.clone(),
            at: Instant::now(),
        })));
        self.content = Some(content);
        self.mark = mark;
    }

    /// Takes a version for writing, unless it is the same or bad.
    fn offer(&mut self, version: Option<&Files>) {
        let Some(files) = version else {
            tracing::error!(
                "the Secret does not exist; Icecast keeps its last configuration. The operator makes it again if it runs"
            );
            return;
        };
        match config::usable(files) {
            Ok(usable) if self.is_given(usable.text) => self.pending = None,
            Ok(usable) => {
                self.pending = Some(Pending {
                    text: usable.text.to_owned(),
                    settings: usable.settings,
                });
            }
            Err(refusal) => {
                self.metrics.refusals.inc();
                tracing::error!(
                    "the Secret is refused: {refusal}. Icecast keeps its last configuration; delete the Secret and the operator writes it again"
                );
            }
        }
    }

    fn is_given(&self, text: &str) -> bool {
        let marked = self.mark.as_ref().map(|mark| mark.put_into(text));
        self.content.as_deref() == Some(marked.as_deref().unwrap_or(text))
    }

    fn write(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.due = Instant::now() + self.pause;
        let now = jiff::Timestamp::now();
        let mark = Mark::at(now);
        let content = mark.put_into(&pending.text);
        match replace(&self.path, content.as_bytes()) {
            Ok(()) => {
                self.metrics.writes.inc();
                self.metrics.last_write.set(now.as_second());
                tracing::info!(file = %self.path.display(), bytes = content.len(), "configuration written");
                self.give(content, Some(mark), pending.settings);
            }
            Err(failure) => {
                self.metrics.refusals.inc();
                tracing::error!(file = %self.path.display(), %failure, again_in = ?self.pause,
                    "configuration not written; the directory has to be writable and not full");
                self.pending = Some(pending);
            }
        }
    }
}

/// Old or new, never half: Icecast may read at any moment.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(&next)?;
    // Not left to the umask, nor to a file that an interrupted write left behind.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(content)?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests;
