//! The tapes of a Station, read the way its playout pods read them. Does IO.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::StatusCode;
use ingest::api::{Session, Sessions};
use ingest::config::{FEEDS_KEY, TapeAccess};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::request::{self, Answer};
use super::{Stage, until};

/// What this needs of a reader's configuration.
#[derive(Deserialize)]
struct Told {
    tape: TapeAccess,
}

/// The read API of one ingest pod, with the rights of one of its readers.
pub struct Tape {
    stage: Stage,
    pod: String,
    port: u16,
    token: String,
}

impl Stage {
    /// The tapes that the playout of a Mount may read.
    pub async fn tape(&self, mount: &str) -> Result<Tape> {
        self.tape_of(&format!("{mount}-playout"), "playout.json").await
    }

    /// The tapes that the origin of a Station may read: those of its passthrough Mounts.
    pub async fn passthrough_tape(&self, station: &str) -> Result<Tape> {
        self.tape_of(&format!("{station}-origin-0"), FEEDS_KEY).await
    }

    async fn tape_of(&self, secret: &str, key: &str) -> Result<Tape> {
        let config = self.secret(secret, key).await?;
        let Told { tape } =
            serde_json::from_str(&config).with_context(|| format!("{secret} is told of no tape"))?;
        let [address] = tape.addresses.as_slice() else {
            bail!("there is not one ingest: {:?}", tape.addresses);
        };
        let (host, port) = address.rsplit_once(':').context("an address without a port")?;
        let pod = host.split('.').next().unwrap_or(host);
        Ok(Tape {
            stage: self.clone(),
            pod: pod.to_owned(),
            port: port.parse()?,
            token: tape.token,
        })
    }
}

impl Tape {
    /// The pod whose tapes these are.
    #[must_use]
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// All sessions, the oldest first.
    pub async fn sessions(&self) -> Result<Vec<Session>> {
        let answer = self.get("/v1/sessions?all=true").await?.whole().await?;
        Ok(serde_json::from_slice::<Sessions>(&answer)?.sessions)
    }

    /// Waits for the newest session of an input to be what it should.
    pub async fn await_session(
        &self,
        input: &str,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Session) -> bool,
    ) -> Result<Session> {
        let (session, _) = until(
            &format!("a session of {input} that is {what}"),
            within,
            || async {
                let sessions = self.sessions().await.map_err(|e| format!("{e:#}"))?;
                match sessions.into_iter().rfind(|session| session.input == input) {
                    Some(session) if is_so(&session) => Ok(session),
                    Some(other) => Err(format!("{other:?}")),
                    None => Err("there is none".to_owned()),
                }
            },
        )
        .await?;
        Ok(session)
    }

    /// Every byte of a session.
    pub async fn bytes(&self, session: &str) -> Result<Bytes> {
        self.get(&format!("/v1/sessions/{session}/tape?from=0"))
            .await?
            .whole()
            .await
    }

    /// Reads a session from its beginning for as long as it goes on.
    pub async fn follow(&self, session: &str) -> Result<Reader> {
        let path = format!("/v1/sessions/{session}/tape?from=0&follow=true");
        let mut answer = self.get(&path).await?;
        let got = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&got);
        let reading = tokio::spawn(async move {
            while let Some(bytes) = answer.next().await {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&bytes);
            }
        });
        Ok(Reader {
            got,
            reading: AbortOnDropHandle::new(reading),
        })
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        let pod = self.stage.kind("Pod").get(&self.pod).await?;
        let ip = pod.data.pointer("/status/podIP").and_then(Value::as_str);
        let ip = ip
            .with_context(|| format!("the pod {} has no address", self.pod))?
            .parse()?;
        let address = SocketAddr::new(ip, self.port);
        let answer = request::get(address, path, &format!("Bearer {}", self.token)).await?;
        ensure!(
            answer.status == StatusCode::OK,
            "{path} was answered with {}",
            answer.status
        );
        Ok(answer)
    }
}

/// Somebody who follows a session.
pub struct Reader {
    got: Arc<Mutex<Vec<u8>>>,
    reading: AbortOnDropHandle<()>,
}

impl Reader {
    /// What it got until its connection was over.
    pub async fn got(self, within: Duration) -> Result<Vec<u8>> {
        tokio::time::timeout(within, self.reading)
            .await
            .with_context(|| format!("a reader still reads after {within:?}"))??;
        Ok(std::mem::take(
            &mut *self.got.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

/// Fails with the first difference if `part` is not how `whole` begins.
pub fn is_beginning(part: &[u8], whole: &[u8]) -> Result<()> {
    let differs = part.iter().zip(whole).position(|(a, b)| a != b);
    if let Some(at) = differs {
        bail!(
            "they differ from byte {at} on, of {} and {}",
            part.len(),
            whole.len()
        );
    }
    ensure!(
        part.len() <= whole.len(),
        "{} bytes more than the {} there should be",
        part.len() - whole.len(),
        whole.len()
    );
    Ok(())
}

/// Fails with the first difference if the two are not equal.
pub fn is_same(one: &[u8], other: &[u8]) -> Result<()> {
    is_beginning(one, other)?;
    is_beginning(other, one)
}

/// Whether a listener that joined in the middle got the stream itself: its headers, and then one piece of it.
pub fn is_joined(heard: &[u8], sent: &[u8], headers: usize) -> Result<()> {
    const PROBE: usize = 2048;
    let begins = sent.get(..headers).context("less was sent than the headers")?;
    let rest = heard
        .strip_prefix(begins)
        .context("it does not begin with the stream's headers")?;
    let probe = rest.get(..PROBE).context("too little was heard to compare")?;
    let at = sent
        .windows(PROBE)
        .position(|piece| piece == probe)
        .context("what follows the headers was never sent")?;
    is_beginning(rest, &sent[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_differences() {
        assert!(is_beginning(b"on a", b"on air").is_ok());
        assert!(is_same(b"on air", b"on air").is_ok());
        for (one, other, why) in [
            (&b"on ear"[..], &b"on air"[..], "from byte 3 on"),
            (b"on air", b"on", "4 bytes more"),
            (b"on", b"on air", "4 bytes more"),
        ] {
            let error = is_same(one, other).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_joined_stream_is_headers_and_one_piece() {
        let sent: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let joined = |from: usize, to: usize| [&sent[..100], &sent[from..to]].concat();
        assert!(is_joined(&joined(100, 9_000), &sent, 100).is_ok());
        assert!(is_joined(&joined(40_001, 60_003), &sent, 100).is_ok());
        let mut torn = joined(40_000, 60_000);
        torn.drain(10_000..10_004);
        assert!(is_joined(&torn, &sent, 100).is_err());
        assert!(is_joined(&sent[100..], &sent, 100).is_err());
    }
}
