//! The source port: takes connections, and leads each to what it asks for. IO: TCP.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::caller::Caller;
use super::head::{Head, Method};
use super::refusal::Refused;
use super::seats::Seats;
use super::{login, metadata, source};
use crate::api::{Refusal, RefusalReason};
use crate::config::{Credential, Ingest, Input};
use crate::metrics::Metrics;
use crate::tape::Shelf;

/// Most connections at once, sources and all others.
const MOST_CONNECTIONS: usize = 1024;
/// Most of them that have not logged in.
const MOST_STRANGERS: usize = 256;
/// Most that are being told that there are too many.
const MOST_TURNED_AWAY: usize = 32;
/// How long sources that were asked to leave may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// What each connection needs to know.
#[derive(Debug)]
pub struct Door {
    pub(super) config: watch::Receiver<Arc<Ingest>>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) seats: Seats,
    pub(super) metrics: Metrics,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Door {
    /// A door to these tapes.
    #[must_use]
    pub fn new(config: watch::Receiver<Arc<Ingest>>, shelf: Arc<Shelf>, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            config,
            shelf,
            seats: Seats::default(),
            metrics,
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            strangers: Arc::new(Semaphore::new(MOST_STRANGERS)),
            turned_away: Arc::new(Semaphore::new(MOST_TURNED_AWAY)),
        })
    }

    /// Takes connections until `stop`; then every source is asked to leave, and their sessions have ended when this
    /// returns.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut config = self.config.clone();
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Ok(()) = config.changed() => {
                    let now = config.borrow_and_update().clone();
                    self.seats.follow(&now);
                    self.metrics.follow(&now);
                }
                Some(_) = visits.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((socket, address)) => self.open(socket, address.ip().to_canonical(), &mut visits),
                    Err(failure) => wait_after(&failure).await,
                }
            }
        }
        drop(listener);
        self.seats.close("ingest was stopped");
        let _ = timeout(LEAVE_WITHIN, async {
            while visits.join_next().await.is_some() {}
        })
        .await;
        // What is left has no session, or ends it when it is dropped.
        visits.shutdown().await;
    }

    fn open(self: &Arc<Self>, socket: TcpStream, from: IpAddr, visits: &mut JoinSet<()>) {
        // An answer is a few bytes that nobody wants to wait 40 ms for.
        let _ = socket.set_nodelay(true);
        let mut caller = Caller::new(socket, from);
        let permit = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned();
        if let (Ok(connection), Ok(stranger)) = (permit(&self.connections), permit(&self.strangers)) {
            let door = Arc::clone(self);
            visits.spawn(async move {
                door.serve(caller, stranger).await;
                drop(connection);
            });
            return;
        }
        let refused = Refused::too_many();
        self.note(from, "", &refused);
        if let Ok(permit) = permit(&self.turned_away) {
            visits.spawn(async move {
                caller.goodbye(&refused.answer(false)).await;
                drop(permit);
            });
        }
    }

    async fn serve(&self, mut caller: Caller, stranger: OwnedSemaphorePermit) {
        let (path, outcome) = match caller.head().await {
            Ok(None) => return,
            Ok(Some(head)) => self.lead(&mut caller, head, stranger).await,
            Err(refused) => (String::new(), Err(refused)),
        };
        if let Err(refused) = outcome {
            self.note(caller.from, &path, &refused);
            caller.goodbye(&refused.answer(caller.http_1_1)).await;
        }
    }

    /// Does what the head asks for; what is returned is its path, and why it was not done.
    async fn lead(
        &self,
        caller: &mut Caller,
        head: Head,
        stranger: OwnedSemaphorePermit,
    ) -> (String, Result<(), Refused>) {
        let path = head.path.clone();
        let refused = match head.method {
            Method::Put | Method::Post | Method::Source => {
                return (path, source::receive(self, caller, head, stranger).await);
            }
            Method::Get if path == metadata::PATH => return self.title(caller, &head).await,
            Method::Options => {
                let answer = "HTTP/1.1 200 OK\r\nAllow: PUT, SOURCE, GET, OPTIONS\r\nContent-Length: 0\r\n\
                              Connection: close\r\n\r\n";
                caller.goodbye(answer).await;
                return (path, Ok(()));
            }
            Method::Get if path == metadata::SHOUTCAST_PATH => {
                let message = "Shoutcast is not spoken here; set the encoder's server type to Icecast 2";
                Refused::bad(400, message)
            }
            Method::Get if head.wants_websocket => {
                let message =
                    "Streams from a browser are not taken here; use an encoder that knows Icecast 2";
                Refused::bad(400, message)
            }
            Method::Get => {
                let message = "Sources send to this port; to listen, use the station's listening address";
                Refused::bad(405, message)
            }
            Method::Other => Refused::bad(405, "A source sends with PUT or SOURCE"),
        };
        (path, Err(refused))
    }

    async fn title(&self, caller: &mut Caller, head: &Head) -> (String, Result<(), Refused>) {
        let update = match metadata::read(&head.query) {
            Ok(update) => update,
            Err(refused) => return (head.path.clone(), Err(refused)),
        };
        let taken = self
            .admit(&update.path, head)
            .and_then(|_| self.seats.title(&update.path, update.title));
        if taken.is_ok() {
            // Word for word what Icecast says: some encoders look for the 1.
            let body = "<?xml version=\"1.0\"?>\n<iceresponse><message>Metadata update successful</message>\
                        <return>1</return></iceresponse>\n";
            let version = if caller.http_1_1 { "HTTP/1.1" } else { "HTTP/1.0" };
            let answer = format!(
                "{version} 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            caller.goodbye(&answer).await;
        }
        (update.path, taken)
    }

    pub(super) fn admit(&self, path: &str, head: &Head) -> Result<(Input, Credential), Refused> {
        let config = self.config.borrow().clone();
        match login::admit(&config, path, head.login.as_ref()) {
            Ok((input, credential)) => Ok((input.clone(), credential.clone())),
            // libshout (and so Mixxx, ezstream, ices) always asks once without a password.
            Err(refused)
                if head.login.is_none()
                    && refused.reason == RefusalReason::Unauthorized
                    && matches!(head.method, Method::Source | Method::Get) =>
            {
                Err(refused.quietly())
            }
            Err(refused) => Err(refused),
        }
    }

    /// Counts a refusal, and has it told to those whom it concerns.
    pub(super) fn note(&self, from: IpAddr, path: &str, refused: &Refused) {
        self.metrics.refused(refused.reason);
        if !refused.told {
            return;
        }
        tracing::info!(%from, reason = refused.reason.as_str(), message = refused.message, "a source was refused");
        let config = self.config.borrow().clone();
        let input = config.inputs.iter().find(|input| input.path == path);
        self.shelf.refused(Refusal {
            number: 0,
            at: Timestamp::now(),
            path: path.to_owned(),
            mount: input.map(|input| input.mount.clone()),
            input: input.map(|input| input.name.clone()),
            from: from.to_string(),
            reason: refused.reason,
            message: refused.message.clone(),
        });
    }
}

/// A caller that hung up is nobody's trouble; without file descriptors trying again at once would only spin.
async fn wait_after(failure: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        failure.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(%failure, "no connection can be taken; trying again in a second");
        sleep(Duration::from_secs(1)).await;
    }
}
