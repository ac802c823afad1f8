//! A source, and the log of what it sent.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub const PASSWORD: &str = "the DJ's password";
pub const PATH: &str = "/main/studio";
const STEP: Duration = Duration::from_millis(50);
/// As it comes from an encoder's socket.
const PIECE: usize = 16 << 10;

/// A connection of a source.
pub struct Dj {
    socket: TcpStream,
    pub sent: Vec<u8>,
}

impl Dj {
    pub async fn connect(sources: SocketAddr, content_type: &str) -> Self {
        let mut socket = loop {
            match TcpStream::connect(sources).await {
                Ok(socket) => break socket,
                Err(_) => sleep(STEP).await,
            }
        };
        let login = STANDARD.encode(format!("source:{PASSWORD}"));
        let head = format!(
            "PUT {PATH} HTTP/1.1\r\nHost: radio\r\nAuthorization: Basic {login}\r\nContent-Type: {content_type}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 19];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200 OK\r\n\r\n");
        Self {
            socket,
            sent: Vec::new(),
        }
    }

    /// As fast as it is taken.
    pub async fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.socket.write_all(piece).await.unwrap();
        }
        self.sent.extend_from_slice(bytes);
    }

    /// Evenly over this time.
    pub async fn play(&mut self, bytes: &[u8], time: Duration) {
        let steps = usize::try_from(time.as_millis() / STEP.as_millis())
            .unwrap()
            .max(1);
        let begun = Instant::now();
        for (number, piece) in (1..).zip(bytes.chunks(bytes.len().div_ceil(steps))) {
            self.send(piece).await;
            sleep_until(begun + STEP * number).await;
        }
    }

    /// Ends as an encoder does; gives what it sent.
    pub async fn leave(mut self) -> Vec<u8> {
        self.socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let gone = timeout(Duration::from_secs(20), self.socket.read_to_end(&mut rest)).await;
        gone.expect("the ingest takes leave").unwrap();
        self.sent
    }
}
