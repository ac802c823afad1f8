//! How a connection is made. Tests inside the cluster hand in a dialer that enters a network namespace.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::BoxFuture;
use tokio::net::TcpStream;

/// Longer than a dropped SYN and its repetition, shorter than anyone's patience.
const CONNECT: Duration = Duration::from_secs(10);

/// Makes TCP connections. Any `Fn(String, u16)` that returns a future of a stream is one.
pub trait Dial: Send + Sync + 'static {
    /// Connects to a host and port.
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<TcpStream>>;
}

/// A shared [`Dial`].
pub type Dialer = Arc<dyn Dial>;

/// Connects from where the test runs.
#[derive(Clone, Copy, Debug)]
pub struct Direct;

impl Dial for Direct {
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async move { TcpStream::connect((host, port)).await })
    }
}

impl<F, C> Dial for F
where
    F: Fn(String, u16) -> C + Send + Sync + 'static,
    C: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(self(host, port))
    }
}

/// What an `http://[user:password@]host[:port]/path` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
    pub path: String,
    pub login: Option<(String, String)>,
}

impl Address {
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .with_context(|| format!("{url} does not begin with http://"))?;
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at..]),
            None => (rest, "/"),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (login.split_once(':'), place),
            None => (None, authority),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (
                host,
                port.parse()
                    .with_context(|| format!("{url} has no port that is a number"))?,
            ),
            None => (place, 80),
        };
        if host.is_empty() {
            bail!("{url} names no host");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
        })
    }

    /// The URL without its password.
    pub fn shown(&self) -> String {
        format!("http://{}{}", self.authority(), self.path)
    }

    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub async fn connect(&self, dialer: &Dialer) -> Result<TcpStream> {
        let stream = tokio::time::timeout(CONNECT, dialer.dial(self.host.clone(), self.port))
            .await
            .with_context(|| format!("{} did not answer a connection for {CONNECT:?}", self.authority()))?
            .with_context(|| format!("no connection to {}", self.authority()))?;
        stream
            .set_nodelay(true)
            .with_context(|| format!("connection to {} was lost", self.authority()))?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let address = Address::parse("http://source:p:w@10.0.0.1:8005/live/studio?a=b").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("10.0.0.1", 8005));
        assert_eq!(address.path, "/live/studio?a=b");
        assert_eq!(address.login, Some(("source".into(), "p:w".into())));
        let plain = Address::parse("http://radio").unwrap();
        assert_eq!((plain.port, plain.path.as_str(), plain.login), (80, "/", None));
        for wrong in ["https://x/", "radio:8000", "http://:80/", "http://x:port/"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
