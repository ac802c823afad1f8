//! The source port: takes connections, and leads each to what it asks for. IO: TCP.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::caller::Caller;
use super::head::{Head, Method};
use super::refusal::Refused;
use super::seats::Seats;
use super::strangers::{Stranger, Strangers};
use super::{login, metadata, source};
use crate::api::{Refusal, RefusalReason};
use crate::config::{Credential, Ingest, Input};
use crate::metrics::Metrics;
use crate::tape::Shelf;

/// Most connections at once, sources and all others, without those that are being parted from.
const MOST_CONNECTIONS: usize = 1024;
/// Most of them that have not said yet what they want.
const MOST_STRANGERS: usize = 256;
/// Most that are being parted from at leisure; others have to make do with what goes out at once.
const MOST_GOODBYES: usize = 256;
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
    strangers: Strangers,
    goodbyes: Semaphore,
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
            strangers: Strangers::with_places(MOST_STRANGERS),
            goodbyes: Semaphore::new(MOST_GOODBYES),
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
        let caller = Caller::new(socket, from);
        let door = Arc::clone(self);
        if let Ok(connection) = Arc::clone(&self.connections).try_acquire_owned() {
            let stranger = self.strangers.enter();
            visits.spawn(async move { door.serve(caller, stranger, connection).await });
            return;
        }
        let refused = Refused::too_many();
        self.note(from, "", &refused);
        visits.spawn(async move { door.part(caller, &refused.answer(false)).await });
    }

    async fn serve(&self, mut caller: Caller, mut stranger: Stranger, connection: OwnedSemaphorePermit) {
        let head = tokio::select! {
            biased;
            head = caller.head() => head,
            () = stranger.displaced() => Err(Refused::too_many()),
        };
        drop(stranger);
        let (path, outcome) = match head {
            Ok(None) => return,
            Ok(Some(head)) => self.lead(&mut caller, head).await,
            Err(refused) => (String::new(), Err(refused)),
        };
        // Who only has to go takes no place from those who come.
        drop(connection);
        match outcome {
            Ok(Some(answer)) => self.part(caller, &answer).await,
            Ok(None) => {}
            Err(refused) => {
                self.note(caller.from, &path, &refused);
                let answer = refused.answer(caller.http_1_1);
                self.part(caller, &answer).await;
            }
        }
    }

    async fn part(&self, mut caller: Caller, answer: &str) {
        match self.goodbyes.try_acquire() {
            Ok(_place) => caller.goodbye(answer).await,
            Err(_) => caller.hang_up(answer),
        }
    }

    /// Does what the head asks for; what is returned is its path, and the last answer or why it was not done.
    async fn lead(&self, caller: &mut Caller, head: Head) -> (String, Result<Option<String>, Refused>) {
        let path = head.path.clone();
        let refused = match head.method {
            Method::Put | Method::Post | Method::Source => {
                return (path, source::receive(self, caller, head).await);
            }
            Method::Get if path == metadata::PATH => return self.title(caller.http_1_1, &head),
            Method::Options => {
                let answer = "HTTP/1.1 200 OK\r\nAllow: PUT, SOURCE, GET, OPTIONS\r\nContent-Length: 0\r\n\
                              Connection: close\r\n\r\n";
                return (path, Ok(Some(answer.to_owned())));
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

    fn title(&self, http_1_1: bool, head: &Head) -> (String, Result<Option<String>, Refused>) {
        let update = match metadata::read(&head.query) {
            Ok(update) => update,
            Err(refused) => return (head.path.clone(), Err(refused)),
        };
        let taken = self.admit(&update.path, head).and_then(|(_, credentials)| {
            let now = self.shelf.clock().now();
            self.seats.title(&update.path, &credentials, update.title, now)
        });
        let answer = taken.map(|()| {
            // Word for word what Icecast says: some encoders look for the 1.
            let body = "<?xml version=\"1.0\"?>\n<iceresponse><message>Metadata update successful</message>\
                        <return>1</return></iceresponse>\n";
            let version = if http_1_1 { "HTTP/1.1" } else { "HTTP/1.0" };
            Some(format!(
                "{version} 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            ))
        });
        (update.path, answer)
    }

    pub(super) fn admit(&self, path: &str, head: &Head) -> Result<(Input, Vec<Credential>), Refused> {
        let config = self.config.borrow().clone();
        match login::admit(&config, path, head.login.as_ref()) {
            Ok((input, credentials)) => Ok((input.clone(), credentials.into_iter().cloned().collect())),
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
            at: self.shelf.clock().now(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn said_to(door: std::net::SocketAddr, said: &str) -> (String, TcpStream) {
        let mut caller = TcpStream::connect(door).await.unwrap();
        caller.write_all(said.as_bytes()).await.unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        (answer, caller)
    }

    #[tokio::test]
    async fn who_was_refused_and_does_not_hang_up_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(dir.path(), "boot").unwrap();
        let (_config, config) = watch::channel(Arc::new(Ingest::default()));
        let mut door = Arc::into_inner(Door::new(config, shelf, Metrics::default())).unwrap();
        door.connections = Arc::new(Semaphore::new(1));
        door.goodbyes = Semaphore::new(1);
        let door = Arc::new(door);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(Arc::clone(&door).listen(listener, std::future::pending()));
        let mut refused = Vec::new();
        for number in 0..3 {
            // The first has the only place for goodbyes, the others get what goes out at once.
            let (answer, caller) = said_to(address, "PUT /nowhere HTTP/1.1\r\n\r\n").await;
            assert!(
                answer.starts_with("HTTP/1.1 404 No input of this station has the path /nowhere"),
                "{number}: {answer}"
            );
            assert!(answer.ends_with("/nowhere\n"), "{number}: {answer}");
            refused.push(caller);
        }
        assert_eq!(door.goodbyes.available_permits(), 0, "the first has not hung up");
        drop(refused);
        listening.abort();
    }
}
