//! Decodes in real time what a listener gets, through ffmpeg, into the ear of its log. Starts processes.
//!
//! One ffmpeg per connection and, in Ogg, per chain link: 5.1 decodes a chain of one codec but ends at a change of
//! codec, and a fresh decoder is what a link means anyway.
//! Audio is stamped with the arrival of the newest bytes ffmpeg had been given when it came out. ffmpeg may hold
//! bytes back (an MP3 demuxer reads 1 KiB at a time), so a stamp can be late by that much, never early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::codec;
use super::log::Log;
use super::ogg::{Comments, Page, Pages};

/// Far more than a burst; beyond it the listener reads slower rather than lose audio.
const BACKLOG: usize = 1024;
/// ffmpeg needs milliseconds for what it still holds at the end of its input.
const DRAIN: Duration = Duration::from_secs(5);

/// What the connection tells the decoder.
pub enum Piece {
    Connected { content_type: String },
    Bytes(Bytes, Instant),
}

type SharedLog = Arc<watch::Sender<Log>>;

/// Hands pieces to the decoding task, which ends with it.
pub struct Decoder {
    pieces: mpsc::Sender<Piece>,
    _task: AbortOnDropHandle<()>,
}

impl Decoder {
    pub fn start(log: SharedLog) -> Self {
        let (pieces, received) = mpsc::channel(BACKLOG);
        Self {
            pieces,
            _task: AbortOnDropHandle::new(tokio::spawn(run(received, log))),
        }
    }

    pub async fn give(&self, piece: Piece) {
        // The task ends only with us.
        drop(self.pieces.send(piece).await);
    }
}

async fn run(mut pieces: mpsc::Receiver<Piece>, log: SharedLog) {
    let mut decoding = Decoding::new(String::new(), &log);
    while let Some(piece) = pieces.recv().await {
        let done = match piece {
            Piece::Connected { content_type } => {
                let done = decoding.end_link().await;
                decoding = Decoding::new(content_type, &log);
                done
            }
            Piece::Bytes(bytes, at) => decoding.feed(&bytes, at).await,
        };
        if let Err(error) = done {
            decoding.ffmpeg = None;
            log.send_modify(|log| log.trouble.push((Instant::now(), format!("{error:#}"))));
        }
    }
}

enum Container {
    Unknown(BytesMut),
    Ogg {
        pages: Pages,
        comments: Comments,
        headers: Vec<Bytes>,
        in_headers: bool,
    },
    Plain(&'static str),
}

/// The decoding of one connection.
struct Decoding {
    content_type: String,
    container: Container,
    ffmpeg: Option<Ffmpeg>,
    log: SharedLog,
}

impl Decoding {
    fn new(content_type: String, log: &SharedLog) -> Self {
        let container = Container::Unknown(BytesMut::new());
        Self {
            content_type,
            container,
            ffmpeg: None,
            log: Arc::clone(log),
        }
    }

    async fn feed(&mut self, bytes: &[u8], at: Instant) -> Result<()> {
        match &mut self.container {
            Container::Unknown(seen) => {
                seen.extend_from_slice(bytes);
                if seen.len() < 4 {
                    return Ok(());
                }
                let seen = seen.split().freeze();
                self.container = recognise(&seen, &self.content_type);
                Box::pin(self.feed(&seen, at)).await
            }
            Container::Plain(demuxer) => {
                let demuxer = *demuxer;
                self.ffmpeg(demuxer, &[])?.write(bytes, at).await
            }
            Container::Ogg { pages, .. } => {
                for page in pages.push(bytes) {
                    self.page(&page, at).await?;
                }
                Ok(())
            }
        }
    }

    async fn page(&mut self, page: &Page, at: Instant) -> Result<()> {
        let Container::Ogg {
            comments,
            headers,
            in_headers,
            ..
        } = &mut self.container
        else {
            return Ok(());
        };
        if let Some(title) = comments.push(page) {
            self.log.send_modify(|log| log.titles.push((at, title)));
        }
        let next_link = page.begins_stream() && !*in_headers;
        *in_headers = page.is_header();
        let mut replay = Vec::new();
        if next_link {
            headers.clear();
        } else if !*in_headers {
            replay.clone_from(headers);
        }
        if *in_headers {
            headers.push(page.bytes.clone());
        }
        if next_link {
            self.end_link().await?;
        }
        self.ffmpeg("ogg", &replay)?.write(&page.bytes, at).await
    }

    /// The running ffmpeg, or a new one that is first given `headers`.
    fn ffmpeg(&mut self, demuxer: &str, headers: &[Bytes]) -> Result<&mut Ffmpeg> {
        match &mut self.ffmpeg {
            Some(ffmpeg) => Ok(ffmpeg),
            none => Ok(none.insert(Ffmpeg::start(demuxer, headers.concat(), &self.log)?)),
        }
    }

    /// Lets the decoder finish, so that its audio comes before that of the next.
    async fn end_link(&mut self) -> Result<()> {
        match self.ffmpeg.take() {
            Some(ffmpeg) => ffmpeg.finish().await,
            None => Ok(()),
        }
    }
}

fn recognise(start: &[u8], content_type: &str) -> Container {
    let demuxer = match (start, content_type) {
        ([b'O', b'g', b'g', b'S', ..], _) => {
            let (pages, comments) = (Pages::default(), Comments::default());
            return Container::Ogg {
                pages,
                comments,
                headers: Vec::new(),
                in_headers: false,
            };
        }
        ([0x1a, 0x45, 0xdf, 0xa3, ..], _) => "matroska",
        ([b'R', b'I', b'F', b'F', ..], _) => "wav",
        ([b'f', b'L', b'a', b'C', ..], _) => "flac",
        ([0xff, second, ..], _) if second & 0xf6 == 0xf0 => "aac",
        (_, "audio/aac" | "audio/aacp") => "aac",
        _ => "mp3",
    };
    Container::Plain(demuxer)
}

struct Ffmpeg {
    child: Child,
    stdin: ChildStdin,
    newest: watch::Sender<Instant>,
    headers: Vec<u8>,
    hearing: JoinHandle<()>,
}

impl Ffmpeg {
    fn start(demuxer: &str, headers: Vec<u8>, log: &SharedLog) -> Result<Self> {
        let mut child = codec::spawn(&mut codec::decoder(demuxer))?;
        let stdin = child.stdin.take().context("ffmpeg was started without a stdin")?;
        let stdout = child
            .stdout
            .take()
            .context("ffmpeg was started without a stdout")?;
        let (newest, stamps) = watch::channel(Instant::now());
        let hearing = tokio::spawn(hear(stdout, stamps, Arc::clone(log)));
        if let Some(mut stderr) = child.stderr.take() {
            let log = Arc::clone(log);
            tokio::spawn(async move {
                let mut text = Vec::new();
                // What ffmpeg complains about is for the report; its ending is seen on stdin.
                drop(stderr.read_to_end(&mut text).await);
                let text = String::from_utf8_lossy(&text).trim().to_owned();
                if !text.is_empty() {
                    log.send_modify(|log| log.trouble.push((Instant::now(), text)));
                }
            });
        }
        Ok(Self {
            child,
            stdin,
            newest,
            headers,
            hearing,
        })
    }

    async fn write(&mut self, bytes: &[u8], at: Instant) -> Result<()> {
        self.newest.send_replace(at);
        let headers = std::mem::take(&mut self.headers);
        self.stdin
            .write_all(&headers)
            .await
            .context("the decoder ended")?;
        self.stdin.write_all(bytes).await.context("the decoder ended")?;
        self.stdin.flush().await.context("the decoder ended")
    }

    async fn finish(self) -> Result<()> {
        let Self {
            mut child,
            stdin,
            hearing,
            ..
        } = self;
        drop(stdin);
        tokio::time::timeout(DRAIN, hearing)
            .await
            .with_context(|| format!("the decoder did not end within {DRAIN:?} of its input"))??;
        child.wait().await.context("the decoder was lost")?;
        Ok(())
    }
}

async fn hear(mut stdout: ChildStdout, stamps: watch::Receiver<Instant>, log: SharedLog) {
    let mut pcm = vec![0; 16 * 1024];
    // An error here is the end of ffmpeg, which its stdin reports.
    while let Ok(count @ 1..) = stdout.read(&mut pcm).await {
        let at = *stamps.borrow();
        log.send_modify(|log| log.ear.hear(&pcm[..count], at));
    }
}
