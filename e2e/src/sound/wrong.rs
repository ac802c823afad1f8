//! Speaks to a source port as nobody should, and tells how the server took it.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::dial::{Address, Dialer};
use super::source::{self, Protocol, Replies, Reply};

/// A way to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// This many random bytes instead of a request.
    Garbage(usize),
    /// A source's request with another method.
    Method(String),
    /// A source's request with a header of this many bytes.
    OversizedHead(usize),
    /// A source's request, one byte each so often.
    SlowHead(Duration),
    /// Half of a source's request, then nothing; the connection stays open.
    HalfHead,
    /// A connection that never says anything.
    Mute,
    /// A whole source's request without a byte of audio after it.
    NoAudio,
    /// These bytes as they are.
    Exactly(Vec<u8>),
}

/// How it was taken.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The last that the server replied, if it did.
    pub reply: Option<Reply>,
    /// How long after the connection the server closed it; `None` if it still stood when patience ended.
    pub closed_after: Option<Duration>,
    /// Whether it was closed by a reset.
    pub reset: bool,
}

/// Does it to the address (with its login, if it has one), and waits for the reply and the end.
pub async fn knock(dialer: &Dialer, url: &str, wrong: &Wrong, patience: Duration) -> Result<Verdict> {
    let address = Address::parse(url)?;
    let began = Instant::now();
    let (read, write) = address.connect(dialer).await?.into_split();
    let mut replies = Replies::of(read);
    let talking = tokio::spawn(talk(write, address, wrong.clone()));
    let mut verdict = Verdict {
        reply: None,
        closed_after: None,
        reset: false,
    };
    let watching = async {
        while let Ok(Some(reply)) = replies.next().await {
            verdict.reply = Some(reply);
        }
        if let Some(reply) = &mut verdict.reply {
            reply.body.push_str(&replies.rest());
        }
        // What is not HTTP is still an answer of a kind; only its end is of interest.
        drop(replies.end().await);
        verdict.reset = replies.reset;
        verdict.closed_after = Some(began.elapsed());
    };
    // Patience that ends is a result like any other.
    drop(tokio::time::timeout(patience, watching).await);
    talking.abort();
    Ok(verdict)
}

/// Keeps the connection open when it has said its piece, so that the server has to decide.
async fn talk(mut write: OwnedWriteHalf, address: Address, wrong: Wrong) -> std::io::Result<()> {
    let head = head(&address, &wrong);
    if let Wrong::SlowHead(pause) = wrong {
        for byte in head {
            write.write_all(&[byte]).await?;
            tokio::time::sleep(pause).await;
        }
    } else {
        write.write_all(&head).await?;
    }
    std::future::pending().await
}

fn head(address: &Address, wrong: &Wrong) -> Vec<u8> {
    let mut headers = vec![("Content-Type".into(), "audio/mpeg".into())];
    headers.extend(
        address
            .login
            .iter()
            .map(|(user, password)| source::authorization(user, password)),
    );
    let right = |headers: &[_]| {
        Protocol::Put {
            expect: false,
            chunked: false,
        }
        .head(address, headers)
    };
    match wrong {
        Wrong::Garbage(count) => (0..*count).map(|_| rand::random()).collect(),
        Wrong::Method(method) => right(&headers).replacen("PUT", method, 1).into_bytes(),
        Wrong::OversizedHead(length) => {
            headers.push(("ice-description".into(), "x".repeat(*length)));
            right(&headers).into_bytes()
        }
        Wrong::SlowHead(_) | Wrong::NoAudio => right(&headers).into_bytes(),
        Wrong::HalfHead => {
            let mut head = right(&headers);
            head.truncate(head.len() / 2);
            head.into_bytes()
        }
        Wrong::Mute => Vec::new(),
        Wrong::Exactly(bytes) => bytes.clone(),
    }
}

/// Opens connections that say nothing and stay; they end when they are dropped.
pub async fn mutes(dialer: &Dialer, url: &str, count: usize) -> Result<Vec<TcpStream>> {
    let address = Address::parse(url)?;
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(address.connect(dialer).await?);
    }
    Ok(streams)
}
