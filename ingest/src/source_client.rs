//! Sends an encoded stream to an Icecast mount point, and titles beside it. IO: TCP.
//!
//! The request is written by hand: Icecast 2.4 knows no chunked bodies, so the body is simply everything until
//! the connection closes, which no HTTP client library will send.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to accept a connection, and then to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A server whose machine is gone acknowledges nothing and closes nothing. After this the connection is broken; a
/// server that only hangs has given up the source by then too (Icecast's own `source-timeout` is 10 s).
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: u64 = 16 * 1024;
/// Percent-encoded. Icecast reads heads of 4 KiB.
const LONGEST_TITLE: usize = 1024;

/// Where a stream goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// The mount point, with its slash.
    pub mount: String,
}

/// Who sends it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Icecast's own is `source`.
    pub user: String,
    /// Never logged: this type has no `Debug` of its fields.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What Icecast is told about the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Such as `audio/mpeg`.
    pub content_type: &'static str,
    /// Stream headers, e.g. `("ice-name", "Radio")`. Control characters in a value become spaces.
    pub headers: Vec<(&'static str, String)>,
}

/// Why a stream or a title was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke before an answer came.
    #[error("Icecast at {address} cannot be reached: {cause}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Connected, but silent.
    #[error("Icecast at {address} did not answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// `host:port`.
        address: String,
    },
    /// 401: user or password are not what this server knows.
    #[error("Icecast refused the password for {mount}")]
    Unauthorized {
        /// The mount point.
        mount: String,
    },
    /// Another source is on this mount point, or the server has not noticed yet that the last one left.
    #[error("{mount} already has a source")]
    MountTaken {
        /// The mount point.
        mount: String,
    },
    /// The server's `<sources>` limit is reached.
    #[error("Icecast takes no more sources; raise <sources> to have {mount} on the air")]
    TooManySources {
        /// The mount point.
        mount: String,
    },
    /// Anything else.
    #[error("Icecast refused {mount} with {status}: {reason}")]
    Refused {
        /// The mount point.
        mount: String,
        /// The HTTP status.
        status: StatusCode,
        /// The server's own words.
        reason: String,
    },
    /// What came back is no HTTP.
    #[error("{address} does not answer like an Icecast server")]
    NotIcecast {
        /// `host:port`.
        address: String,
    },
}

/// A stream that an Icecast server has accepted.
#[derive(Debug)]
pub struct Source {
    socket: TcpStream,
}

impl Source {
    /// Connects and asks for the mount point; returns when the server has said yes.
    pub async fn connect(target: &Target, who: &Credentials, about: &About) -> Result<Self, Error> {
        let mut head = head("PUT", &target.mount, &target.address, who);
        field(&mut head, "Content-Type", about.content_type);
        field(&mut head, "Expect", "100-continue");
        for (name, value) in &about.headers {
            field(&mut head, name, value);
        }
        let (socket, answer) = ask(target, head).await?;
        answer.accepted(target)?;
        Ok(Self { socket })
    }

    /// Sends one piece; waits while the server is slower than the stream.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Resolves when the server has closed the connection. Can be dropped and called again.
    pub async fn closed(&mut self) {
        // Icecast says nothing while it takes a stream; what it does say is no reason to go.
        let mut ignored = [0; 256];
        while matches!(self.socket.read(&mut ignored).await, Ok(count) if count > 0) {}
    }
}

/// Tells listeners of an MP3 stream what is on. Ogg carries its titles itself.
pub async fn set_title(target: &Target, who: &Credentials, title: &str) -> Result<(), Error> {
    let path = format!(
        "/admin/metadata?mode=updinfo&mount={}&charset=UTF-8&song={}",
        percent_encoded(&target.mount),
        percent_encoded(cut(title))
    );
    let (_, answer) = ask(target, head("GET", &path, &target.address, who)).await?;
    answer.accepted(target)
}

fn head(method: &str, path: &str, host: &str, who: &Credentials) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    field(&mut head, "Host", host);
    let login = STANDARD.encode(format!("{}:{}", who.user, who.password));
    field(&mut head, "Authorization", &format!("Basic {login}"));
    field(
        &mut head,
        "User-Agent",
        concat!("radio-operator/", env!("CARGO_PKG_VERSION")),
    );
    head
}

fn field(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    // A line break in a value would begin a header of the author's choice.
    head.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
    head.push_str("\r\n");
}

/// As much of a title as fits a request's line: other scripts take up to nine bytes for a letter.
fn cut(title: &str) -> &str {
    let mut length = 0;
    let too_long = title.char_indices().find(|&(at, c)| {
        length += percent_encoded(&title[at..at + c.len_utf8()]).len();
        length > LONGEST_TITLE
    });
    too_long.map_or(title, |(at, _)| &title[..at])
}

pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

async fn ask(target: &Target, head: String) -> Result<(TcpStream, Answer), Error> {
    let address = &target.address;
    let silent = |_| Error::Silent {
        address: address.clone(),
    };
    let broken = |cause| Error::Unreachable {
        address: address.clone(),
        cause,
    };
    let mut socket = timeout(PATIENCE, TcpStream::connect(address))
        .await
        .map_err(silent)?
        .map_err(broken)?;
    prepare(&socket).map_err(broken)?;
    let answer = timeout(PATIENCE, async {
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(b"\r\n").await?;
        read_answer(&mut socket).await
    });
    let text = answer.await.map_err(silent)?.map_err(broken)?;
    let answer = Answer::read(&text).ok_or_else(|| Error::NotIcecast {
        address: address.clone(),
    })?;
    Ok((socket, answer))
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let unacknowledged = u32::try_from(UNACKNOWLEDGED.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(socket, unacknowledged)?;
    Ok(())
}

/// The head of the answer; of a refusal also what follows, where Icecast says why.
async fn read_answer(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut socket = socket.take(LONGEST_ANSWER);
    while socket.read_buf(&mut text).await? > 0 {
        let whole_head = text.windows(4).any(|four| four == b"\r\n\r\n");
        if whole_head && Answer::read(&text).is_none_or(|answer| answer.is_yes()) {
            break;
        }
    }
    Ok(text)
}

struct Answer {
    status: StatusCode,
    body: String,
}

impl Answer {
    fn read(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (version, rest) = text.split_once(' ')?;
        if !version.starts_with("HTTP/1.") {
            return None;
        }
        let status = rest.get(..3)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Some(Self {
            status,
            body: without_markup(body),
        })
    }

    fn is_yes(&self) -> bool {
        self.status.is_success() || self.status == StatusCode::CONTINUE
    }

    fn accepted(self, target: &Target) -> Result<(), Error> {
        let mount = target.mount.clone();
        let says = |words: &str| self.body.to_lowercase().contains(words);
        if self.is_yes() {
            Ok(())
        } else if self.status == StatusCode::UNAUTHORIZED {
            Err(Error::Unauthorized { mount })
        } else if says("mountpoint in use") || self.status == StatusCode::CONFLICT {
            Err(Error::MountTaken { mount })
        } else if says("too many sources") || says("too many streams") {
            Err(Error::TooManySources { mount })
        } else {
            Err(Error::Refused {
                mount,
                status: self.status,
                reason: self.body,
            })
        }
    }
}

/// Icecast wraps its reasons in a small page.
fn without_markup(page: &str) -> String {
    let mut inside = false;
    let text: String = page
        .chars()
        .filter(|&c| {
            inside = (inside || c == '<') && c != '>';
            !inside && c != '>'
        })
        .take(300)
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "source_client_tests.rs"]
mod tests;
