//! Starts encoders and carries their bytes to a socket, logging exactly what it took. Starts processes.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use super::codec::{self, Codec};

const BEATS_PER_SECOND: usize = 50;

/// How to encode.
#[derive(Clone, Debug)]
pub struct Encoding {
    pub codec: Codec,
    pub kbps: u32,
    pub page: Duration,
    /// Tags of each encoder's stream: Ogg titles.
    pub tags: Vec<(String, String)>,
}

/// A running encoder's output.
pub struct Encoded {
    pub output: ChildStdout,
    _child: Child,
}

impl Encoding {
    pub fn start(&self) -> Result<(ChildStdin, Encoded)> {
        let mut command = codec::encoder();
        for (tag, value) in &self.tags {
            command.arg("-metadata").arg(format!("{tag}={value}"));
        }
        command
            .args(self.codec.encoding(self.kbps))
            .args(self.codec.live(self.page));
        command.args(["-flush_packets", "1", "-f", self.codec.muxer(), "pipe:1"]);
        let mut child = codec::spawn(&mut command)?;
        let stdin = child.stdin.take().context("ffmpeg was started without a stdin")?;
        let output = child
            .stdout
            .take()
            .context("ffmpeg was started without a stdout")?;
        Ok((
            stdin,
            Encoded {
                output,
                _child: child,
            },
        ))
    }
}

/// What a body is made of.
pub enum Supply {
    /// Encoders, one after the other.
    Encoders(mpsc::Receiver<Encoded>),
    /// Given bytes, at a pace or as fast as they are taken.
    Raw { bytes: Vec<u8>, per_second: Option<u32> },
}

/// Where the body of a source goes: the socket, and the log of what the socket accepted.
pub struct Body<W> {
    pub socket: W,
    pub log: File,
    pub chunked: bool,
    pub on_sent: Box<dyn Fn(u64) + Send + Sync>,
}

impl<W: AsyncWrite + Unpin> Body<W> {
    /// Sends all there is, and the end of the body.
    pub async fn send(&mut self, supply: Supply) -> Result<()> {
        match supply {
            Supply::Encoders(mut encoders) => {
                while let Some(mut encoded) = encoders.recv().await {
                    self.send_all(&mut encoded.output).await?;
                }
            }
            Supply::Raw { bytes, per_second } => self.send_paced(&bytes, per_second).await?,
        }
        if self.chunked {
            return self
                .socket
                .write_all(b"0\r\n\r\n")
                .await
                .context("the end of the audio was not taken");
        }
        self.socket
            .shutdown()
            .await
            .context("the end of the audio was not taken")
    }

    async fn send_paced(&mut self, bytes: &[u8], per_second: Option<u32>) -> Result<()> {
        let Some(per_second) = per_second else {
            return self.send_piece(bytes).await;
        };
        let piece = usize::try_from(per_second)? / BEATS_PER_SECOND;
        let mut beat = tokio::time::interval(Duration::from_secs(1) / u32::try_from(BEATS_PER_SECOND)?);
        for piece in bytes.chunks(piece.max(1)) {
            beat.tick().await;
            self.send_piece(piece).await?;
        }
        Ok(())
    }

    async fn send_all(&mut self, source: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            match source
                .read(&mut bytes)
                .await
                .context("the encoder's output cannot be read")?
            {
                0 => return Ok(()),
                count => self.send_piece(&bytes[..count]).await?,
            }
        }
    }

    /// In a chunk of its own if chunked.
    async fn send_piece(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.chunked {
            self.socket
                .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())
                .await?;
        }
        while !bytes.is_empty() {
            let accepted = self.socket.write(bytes).await?;
            // No await between these: a task that is aborted must not lose what the socket took.
            self.log
                .write_all(&bytes[..accepted])
                .context("the sender's byte log cannot be written")?;
            (self.on_sent)(u64::try_from(accepted).unwrap_or(u64::MAX));
            bytes = &bytes[accepted..];
            anyhow::ensure!(accepted > 0, "the socket takes no bytes");
        }
        if self.chunked {
            self.socket.write_all(b"\r\n").await?;
        }
        Ok(())
    }
}
