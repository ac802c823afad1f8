//! One connection, as far as it is the same for everybody: the head comes, an answer goes, it ends. IO: TCP.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::head::{self, Head};
use super::refusal::Refused;

/// How long a head may take, from the first connection to the last byte.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take to go out, and how long we then wait for the other side to hang up.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// Most bytes read after an answer.
const GOODBYE_BYTES: usize = 512 * 1024;

/// Whoever called.
#[derive(Debug)]
pub(super) struct Caller {
    pub socket: TcpStream,
    pub from: IpAddr,
    /// What has come and nobody has looked at yet; its capacity is all the memory a connection reads into.
    pub arrived: Vec<u8>,
    pub http_1_1: bool,
}

impl Caller {
    pub fn new(socket: TcpStream, from: IpAddr) -> Self {
        Self {
            socket,
            from,
            arrived: Vec::with_capacity(head::LONGEST),
            http_1_1: false,
        }
    }

    /// The head of the request; what came behind it stays in `arrived`. `None` if the other side hung up.
    pub async fn head(&mut self) -> Result<Option<Head>, Refused> {
        if let Ok(head) = timeout(HEAD_WITHIN, self.whole_head()).await {
            return head;
        }
        let refused = Refused::late("No request came within 10 seconds");
        let silent = self.arrived.is_empty();
        Err(if silent { refused.quietly() } else { refused })
    }

    async fn whole_head(&mut self) -> Result<Option<Head>, Refused> {
        loop {
            match self.socket.read_buf(&mut self.arrived).await {
                Ok(count) if count > 0 => {}
                // Load balancers look like this too: they connect and hang up.
                _ => return Ok(None),
            }
            if let Some((head, length)) = head::parse(&self.arrived).map_err(Refused::head)? {
                self.arrived.drain(..length);
                self.http_1_1 = head.http_1_1;
                return Ok(Some(head));
            }
        }
    }

    /// Waits for more; `Ok(0)` is the end.
    pub async fn more(&mut self) -> io::Result<usize> {
        self.arrived.clear();
        self.socket.read_buf(&mut self.arrived).await
    }

    /// Sends a few lines.
    pub async fn say(&mut self, text: &str) -> io::Result<()> {
        let sent = timeout(GOODBYE_WITHIN, self.socket.write_all(text.as_bytes())).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends the last answer and hangs up. Closing a socket with unread bytes in it resets the connection, and a reset
    /// overtakes the answer: so what still comes is read, for a moment.
    pub async fn goodbye(&mut self, answer: &str) {
        let _ = timeout(GOODBYE_WITHIN, async {
            self.socket.write_all(answer.as_bytes()).await?;
            self.socket.shutdown().await?;
            let mut unwanted = 0;
            while unwanted < GOODBYE_BYTES {
                match self.more().await? {
                    0 => break,
                    count => unwanted += count,
                }
            }
            io::Result::Ok(())
        })
        .await;
    }
    /// Sends as much of the last answer as goes out at once, and hangs up.
    pub fn hang_up(self, answer: &str) {
        let _ = self.socket.try_write(answer.as_bytes());
    }
}
