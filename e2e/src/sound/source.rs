//! The head of a source's request and the server's replies to it, by hand: a test must be able to be odd.

use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::dial::{Address, Dialer};

const LONGEST_REPLY: usize = 64 * 1024;
/// A reply without a length is over when this long nothing follows.
const QUIET: Duration = Duration::from_millis(500);

/// How a source introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `PUT` with HTTP/1.1.
    Put {
        /// Asks for leave with `Expect: 100-continue`.
        expect: bool,
        /// Sends `Transfer-Encoding: chunked`.
        chunked: bool,
    },
    /// `PUT` with HTTP/1.0.
    Put10,
    /// The old `SOURCE /mount HTTP/1.0`.
    Source,
    /// The older `SOURCE /mount ICE/1.0`.
    SourceIce,
}

impl Protocol {
    /// As ffmpeg and libshout 2.4 do it.
    pub const USUAL: Self = Self::Put {
        expect: true,
        chunked: false,
    };

    /// All of them, for tests that go round.
    pub const ALL: [Self; 7] = [
        Self::Put {
            expect: true,
            chunked: false,
        },
        Self::Put {
            expect: false,
            chunked: false,
        },
        Self::Put {
            expect: true,
            chunked: true,
        },
        Self::Put {
            expect: false,
            chunked: true,
        },
        Self::Put10,
        Self::Source,
        Self::SourceIce,
    ];

    pub(super) fn is_chunked(self) -> bool {
        matches!(self, Self::Put { chunked: true, .. })
    }

    /// Whether the server is asked for leave before the audio.
    pub(super) fn waits(self) -> bool {
        matches!(
            self,
            Self::Put { expect: true, .. } | Self::Source | Self::SourceIce
        )
    }

    pub(super) fn head(self, address: &Address, headers: &[(String, String)]) -> String {
        let (method, version) = match self {
            Self::Put { .. } => ("PUT", "HTTP/1.1"),
            Self::Put10 => ("PUT", "HTTP/1.0"),
            Self::Source => ("SOURCE", "HTTP/1.0"),
            Self::SourceIce => ("SOURCE", "ICE/1.0"),
        };
        let mut head = format!(
            "{method} {} {version}\r\nHost: {}\r\n",
            address.path,
            address.authority()
        );
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Self::Put { expect, chunked } = self {
            head.push_str(if expect { "Expect: 100-continue\r\n" } else { "" });
            head.push_str(if chunked {
                "Transfer-Encoding: chunked\r\n"
            } else {
                ""
            });
        }
        head.push_str("\r\n");
        head
    }
}

pub(super) fn authorization(user: &str, password: &str) -> (String, String) {
    (
        "Authorization".into(),
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
    )
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The status line and headers, as they came.
    pub head: String,
    /// What followed, up to 64 KiB.
    pub body: String,
}

/// A server's refusal: an error that tests can look into (`error.downcast_ref::<Refused>()`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for, without the password.
    pub url: String,
    /// The status code.
    pub status: u16,
    /// The reason the server gave.
    pub body: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was refused with {}: {}",
            self.url,
            self.status,
            self.body.trim()
        )
    }
}

impl std::error::Error for Refused {}

/// What a server says on one connection, reply after reply.
pub(super) struct Replies<R> {
    stream: R,
    seen: Vec<u8>,
    /// Whether the connection ended by a reset.
    pub reset: bool,
}

impl<R: AsyncRead + Unpin> Replies<R> {
    pub fn of(stream: R) -> Self {
        Self {
            stream,
            seen: Vec::new(),
            reset: false,
        }
    }

    /// Reads one; `None` if the connection ended (by FIN or RST) before it.
    pub async fn next(&mut self) -> Result<Option<Reply>> {
        let end = loop {
            if let Some(at) = self.seen.windows(4).position(|piece| piece == b"\r\n\r\n") {
                break at + 4;
            }
            if self.seen.len() > LONGEST_REPLY || !self.read_more().await? {
                anyhow::ensure!(
                    self.seen.is_empty(),
                    "the server ended in the middle of a reply's head"
                );
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.seen.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.get(..3)?.parse().ok());
        let status = status.with_context(|| format!("the server's reply is no HTTP: {head:?}"))?;
        let length = match content_length(&head) {
            Some(length) => length.min(LONGEST_REPLY),
            // Leave, and a source's 200, are followed by the next reply: waiting for a body would only cost time.
            None if status < 300 => 0,
            None => LONGEST_REPLY,
        };
        while self.seen.len() < length {
            match tokio::time::timeout(QUIET, self.read_more()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => break,
                Ok(Err(error)) => return Err(error),
            }
        }
        let body: Vec<u8> = self.seen.drain(..length.min(self.seen.len())).collect();
        Ok(Some(Reply {
            status,
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        }))
    }

    /// What came and is no reply: the body of a 200 that was said before there was one.
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits for the end of the connection.
    pub async fn end(&mut self) -> Result<()> {
        while self.read_more().await? {
            self.seen.clear();
        }
        Ok(())
    }

    async fn read_more(&mut self) -> Result<bool> {
        match self.stream.read_buf(&mut self.seen).await {
            Ok(count) => Ok(count > 0),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.reset = true;
                Ok(false)
            }
            Err(error) => Err(error).context("the server's reply cannot be read"),
        }
    }
}

fn content_length(head: &str) -> Option<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?
        .1
        .trim()
        .parse()
        .ok()
}

/// One GET with a login, for `/admin/metadata`.
pub(super) async fn admin(dialer: &Dialer, address: &Address, path: &str) -> Result<Reply> {
    let mut stream = address.connect(dialer).await?;
    let mut head = format!(
        "GET {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: radio-e2e\r\n",
        address.authority()
    );
    if let Some((user, password)) = &address.login {
        let (name, value) = authorization(user, password);
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    stream
        .write_all(head.as_bytes())
        .await
        .with_context(|| format!("{} was lost", address.authority()))?;
    let reply = Replies::of(stream).next().await?;
    reply.with_context(|| format!("{} closed instead of answering {path}", address.authority()))
}

/// Escapes a value for a query.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_what_their_protocol_says() {
        let address = Address::parse("http://h:8005/live").unwrap();
        let headers = [authorization("source", "hackme")];
        for (protocol, first, expect, chunked) in [
            (Protocol::USUAL, "PUT /live HTTP/1.1\r\n", true, false),
            (
                Protocol::Put {
                    expect: false,
                    chunked: true,
                },
                "PUT /live HTTP/1.1\r\n",
                false,
                true,
            ),
            (Protocol::Put10, "PUT /live HTTP/1.0\r\n", false, false),
            (Protocol::Source, "SOURCE /live HTTP/1.0\r\n", false, false),
            (Protocol::SourceIce, "SOURCE /live ICE/1.0\r\n", false, false),
        ] {
            let head = protocol.head(&address, &headers);
            assert!(head.starts_with(first) && head.ends_with("\r\n\r\n"), "{head}");
            assert!(
                head.contains("Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"),
                "{head}"
            );
            assert_eq!(head.contains("Expect: 100-continue"), expect, "{head}");
            assert_eq!(head.contains("Transfer-Encoding: chunked"), chunked, "{head}");
        }
    }

    #[tokio::test]
    async fn replies_are_read_with_what_follows() {
        let read = async |text: &str| Replies::of(text.as_bytes()).next().await;
        let leave = read("HTTP/1.1 100 Continue\r\n\r\n").await.unwrap().unwrap();
        assert_eq!((leave.status, leave.body.as_str()), (100, ""));
        let refusal = read("HTTP/1.0 403 No\r\ncontent-LENGTH: 4\r\n\r\nbusyXX")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((refusal.status, refusal.body.as_str()), (403, "busy"));
        let bare = read("HTTP/1.0 401\r\n\r\nwho?").await.unwrap().unwrap();
        assert_eq!((bare.status, bare.body.as_str()), (401, "who?"));
        let mut two = Replies::of(&b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.0 415 Not this\r\n\r\nnoise"[..]);
        assert_eq!(two.next().await.unwrap().unwrap().status, 200);
        assert_eq!(two.next().await.unwrap().unwrap().body, "noise");
        let mut late = Replies::of(&b"HTTP/1.0 200 OK\r\n\r\nNot this\n"[..]);
        assert_eq!(late.next().await.unwrap().unwrap().status, 200);
        assert!(late.next().await.is_err());
        assert_eq!(late.rest(), "Not this\n");
        assert_eq!(read("").await.unwrap(), None);
        assert!(read("SSH-2.0-x\r\n\r\n").await.is_err());
        assert!(read("HTTP/1.0 200 O").await.is_err());
    }

    #[test]
    fn titles_survive_the_query() {
        assert_eq!(escape("a-Z_0.9~ &=\"ü"), "a-Z_0.9~%20%26%3D%22%C3%BC");
    }
}
