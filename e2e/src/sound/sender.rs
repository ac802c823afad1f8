//! A DJ: an encoder, a connection to a source port, and an exact log of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, watch};

use super::byte_log::ByteLog;
use super::codec::Codec;
use super::dial::{Address, Dial, Dialer, Direct};
use super::dj::{Air, Dj, Granted, SharedAir};
use super::encode::{Body, Encoding, Supply};
use super::feed::{Feed, Order};
use super::signal::Script;
use super::source::{self, Protocol, Refused, Replies, Reply};
use super::tone::Tone;

/// For a server to give leave.
const ANSWER: Duration = Duration::from_secs(10);
/// How a DJ sends; [`Sender::start`] makes the [`Dj`].
pub struct Sender {
    url: String,
    dialer: Dialer,
    login: Option<(String, String)>,
    protocol: Protocol,
    encoding: Encoding,
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    script: Script,
    speed: Option<f64>,
    log_to: Option<PathBuf>,
    raw: Option<(Vec<u8>, Option<u32>)>,
}

impl Sender {
    /// To `http://[user:password@]host:port/mount`: 440 Hz for ever as MP3 in real time, with PUT and
    /// `Expect: 100-continue`, unless told otherwise.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let encoding = Encoding {
            codec: Codec::Mp3,
            kbps: 128,
            page: Duration::from_millis(100),
            tags: Vec::new(),
        };
        Self {
            url: url.to_owned(),
            dialer: Arc::new(Direct),
            login: None,
            protocol: Protocol::USUAL,
            encoding,
            content_type: None,
            headers: Vec::new(),
            script: Script::steady(Tone::Hz(440)),
            speed: Some(1.0),
            log_to: None,
            raw: None,
        }
    }

    /// Connects by this instead of directly.
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dialer = Arc::new(dial);
        self
    }

    /// As [`Self::dial`], with one that is shared already.
    #[must_use]
    pub fn dialer(mut self, dialer: &Dialer) -> Self {
        self.dialer = Arc::clone(dialer);
        self
    }

    /// Logs in, instead of with what the URL says.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// How to introduce itself.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// What to encode, at the codec's usual bit rate.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.encoding.codec = codec;
        self.encoding.kbps = codec.usual_kbps();
        self
    }

    /// The bit rate; to be called after [`Self::codec`].
    #[must_use]
    pub fn kbps(mut self, kbps: u32) -> Self {
        self.encoding.kbps = kbps;
        self
    }

    /// The length of Ogg pages and `WebM` clusters: 100 ms unless told; ffmpeg's own is 1 s for Ogg.
    #[must_use]
    pub fn page(mut self, length: Duration) -> Self {
        self.encoding.page = length;
        self
    }

    /// A tag inside the stream: an Ogg title, and again in each new chain link.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.encoding.tags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another Content-Type than the codec's own.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        self.content_type = Some(content_type.to_owned());
        self
    }

    /// A further header, such as `ice-name`.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What to play.
    #[must_use]
    pub fn play(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// How many times as fast as real time.
    #[must_use]
    pub fn speed(mut self, times: f64) -> Self {
        self.speed = Some(times);
        self
    }

    /// As fast as the server takes it.
    #[must_use]
    pub fn unpaced(mut self) -> Self {
        self.speed = None;
        self
    }

    /// Keeps the byte log here instead of in a temporary file.
    #[must_use]
    pub fn log_to(mut self, path: &Path) -> Self {
        self.log_to = Some(path.to_owned());
        self
    }

    /// Sends these bytes instead of an encoder's, once, at so many bytes per second or unpaced.
    #[must_use]
    pub fn raw(mut self, bytes: Vec<u8>, per_second: Option<u32>) -> Self {
        self.raw = Some((bytes, per_second));
        self
    }

    /// Connects, introduces itself, waits for leave if the protocol asks for it, and goes on playing in the
    /// background. A refusal is a [`Refused`]; where the protocol asks for no leave it comes later, in
    /// [`Dj::reply`].
    pub async fn start(self) -> Result<Dj> {
        let mut address = Address::parse(&self.url)?;
        address.login = self.login.clone().or(address.login);
        let log = ByteLog::create(self.log_to.as_deref())?;
        let (read, mut write) = address.connect(&self.dialer).await?.into_split();
        let mut replies = Replies::of(read);
        let head = self.protocol.head(&address, &self.all_headers(&address));
        write
            .write_all(head.as_bytes())
            .await
            .with_context(|| format!("{} was lost", address.shown()))?;
        let reply = if self.protocol.waits() {
            Some(leave(&mut replies, &address).await?)
        } else {
            None
        };
        let air = Arc::new(watch::Sender::new(Air {
            reply,
            ..Air::default()
        }));
        let counted = Arc::clone(&air);
        let body = Body {
            socket: write,
            log: log.writer()?,
            chunked: self.protocol.is_chunked(),
            on_sent: Box::new(move |count| counted.send_modify(|air| air.accepted(count))),
        };
        let (orders, received) = mpsc::channel(4);
        let (supply, feed) = self.supply(received, &air);
        Ok(Dj::on_air(Granted {
            address,
            dialer: self.dialer,
            log,
            air,
            orders,
            replies,
            body,
            supply,
            feed,
        }))
    }

    /// Encodes without a connection: the bytes it would send, for a script that ends.
    pub async fn encode(self) -> Result<Vec<u8>> {
        let log = ByteLog::create(None)?;
        let mut body = Body {
            socket: tokio::io::sink(),
            log: log.writer()?,
            chunked: false,
            on_sent: Box::new(|_| ()),
        };
        let (_orders, received) = mpsc::channel(1);
        let (supply, feed) = self.supply(received, &SharedAir::default());
        let feeding = async {
            match feed {
                Some(feed) => feed.run().await,
                None => Ok(()),
            }
        };
        tokio::try_join!(feeding, body.send(supply))?;
        log.read()
    }

    /// Tries, and gives the refusal, which may come after leave and the first audio; an error if there is none.
    pub async fn refused(self) -> Result<Refused> {
        match self.start().await {
            Err(error) => error.downcast::<Refused>(),
            Ok(dj) => {
                let reply = dj.await_last_reply(ANSWER).await?;
                if reply.status < 400 && reply.body.is_empty() {
                    bail!("{} took the source with {}", dj.url(), reply.status);
                }
                Ok(Refused {
                    url: dj.url(),
                    status: reply.status,
                    body: reply.body,
                })
            }
        }
    }

    fn all_headers(&self, address: &Address) -> Vec<(String, String)> {
        let content_type = self
            .content_type
            .as_deref()
            .unwrap_or_else(|| self.encoding.codec.content_type());
        let login = address
            .login
            .iter()
            .map(|(user, password)| source::authorization(user, password));
        login
            .chain([
                ("User-Agent".to_owned(), "radio-e2e sender".to_owned()),
                ("Content-Type".to_owned(), content_type.to_owned()),
            ])
            .chain(self.headers.iter().cloned())
            .collect()
    }

    /// What will be sent, and what makes it.
    fn supply(&self, orders: mpsc::Receiver<Order>, air: &SharedAir) -> (Supply, Option<Feed>) {
        if let Some((bytes, per_second)) = &self.raw {
            return (
                Supply::Raw {
                    bytes: bytes.clone(),
                    per_second: *per_second,
                },
                None,
            );
        }
        let (encoders, outputs) = mpsc::channel(1);
        let flips = Arc::clone(air);
        let feed = Feed {
            encoding: self.encoding.clone(),
            script: self.script.clone(),
            speed: self.speed,
            orders,
            encoders,
            on_flip: Box::new(move |flip| flips.send_modify(|air| air.flips.push(flip))),
        };
        (Supply::Encoders(outputs), Some(feed))
    }
}

/// The server's answer to a source that asked for leave.
async fn leave(replies: &mut Replies<OwnedReadHalf>, address: &Address) -> Result<Reply> {
    let url = address.shown();
    let reply = tokio::time::timeout(ANSWER, replies.next())
        .await
        .with_context(|| format!("{url} did not give leave for {ANSWER:?}"))??
        .with_context(|| format!("{url} closed the connection instead of answering the source"))?;
    if reply.status >= 300 {
        return Err(Refused {
            url,
            status: reply.status,
            body: reply.body,
        }
        .into());
    }
    Ok(reply)
}
