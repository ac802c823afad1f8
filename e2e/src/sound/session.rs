//! The background half of a listener: its connections, one after the other.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::decode::{Decoder, Piece};
use super::dial::{Address, Dialer};
use super::get::{self, Stream};
use super::icy::Icy;
use super::log::{Disconnect, Log, Reason};

/// Runs until it is dropped.
pub struct Session {
    pub address: Address,
    pub dialer: Dialer,
    pub titles: bool,
    pub reconnect: Option<Duration>,
    pub keep: Option<std::fs::File>,
    pub decoder: Option<Decoder>,
    pub log: Arc<watch::Sender<Log>>,
}

impl Session {
    pub fn connected(&self, stream: &Stream) {
        self.log.send_modify(|log| {
            log.connects.push(Instant::now());
            log.headers = stream.headers.clone();
        });
    }

    pub async fn run(mut self, mut stream: Stream, mut began: Instant) {
        loop {
            let reason = self.drink(stream, began).await;
            self.log.send_modify(|log| {
                log.disconnects.push(Disconnect {
                    at: Instant::now(),
                    reason,
                });
            });
            let Some(pause) = self.reconnect else { break };
            stream = loop {
                tokio::time::sleep(pause).await;
                began = Instant::now();
                match get::get(&self.dialer, &self.address, self.titles).await {
                    Ok(stream) => break stream,
                    Err(error) => {
                        self.log
                            .send_modify(|log| log.failures.push((began, format!("{error:#}"))));
                    }
                }
            };
            self.connected(&stream);
        }
        // The decoder may still hold audio: it lives as long as the listener.
        std::future::pending::<()>().await;
    }

    async fn drink(&mut self, mut stream: Stream, began: Instant) -> Reason {
        let text = |name| stream.headers.get(name).and_then(|value| value.to_str().ok());
        let interval = text("icy-metaint")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        let content_type = text("content-type").unwrap_or_default().to_owned();
        let mut icy = Icy::new(if self.titles { interval } else { 0 });
        if let Some(decoder) = &self.decoder {
            decoder.give(Piece::Connected { content_type }).await;
        }
        loop {
            let bytes = match stream.next().await {
                Ok(bytes) => bytes,
                Err(reason) => return reason,
            };
            let at = Instant::now();
            let mut titles = Vec::new();
            let audio = icy.strip(bytes, &mut titles);
            if let Some(Err(error)) = self.keep.as_mut().map(|file| file.write_all(&audio)) {
                return Reason::Broken(format!("its bytes could not be kept: {error}"));
            }
            self.log.send_modify(|log| {
                log.first_byte.get_or_insert(at - began);
                log.bytes_came(audio.len(), at);
                log.titles.extend(titles.into_iter().map(|title| (at, title)));
            });
            if let Some(decoder) = &self.decoder {
                decoder.give(Piece::Bytes(audio, at)).await;
            }
        }
    }
}
