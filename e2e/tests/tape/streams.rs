//! What the sources send: streams of known tones, encoded once and sent as bytes.

use std::time::Duration;

use anyhow::Result;
use e2e::sound::{Codec, Script, Sender, Tone};
use futures::future::try_join_all;

/// What every stream plays, one after the other.
pub const TONES: [Tone; 3] = [Tone::Hz(440), Tone::Hz(660), Tone::Hz(880)];

/// A whole stream.
pub struct Stream {
    /// Also the name of its input.
    pub name: &'static str,
    pub codec: Codec,
    pub bytes: Vec<u8>,
    pub length: Duration,
}

impl Stream {
    /// Bytes per second, to send it in real time.
    pub fn pace(&self) -> Result<u32> {
        Ok(u32::try_from(self.bytes_in(Duration::from_secs(1))?)?)
    }

    /// Bytes that play for so long.
    pub fn bytes_in(&self, length: Duration) -> Result<u64> {
        let bytes = u128::try_from(self.bytes.len())? * length.as_millis() / self.length.as_millis();
        Ok(u64::try_from(bytes)?)
    }

    /// How long so many bytes of it play.
    pub fn length_of(&self, bytes: usize) -> Result<Duration> {
        Ok(self.length * u32::try_from(bytes)? / u32::try_from(self.bytes.len())?)
    }

    /// Sends it.
    pub fn from(&self, sender: Sender, pace: Option<u32>) -> Sender {
        sender.codec(self.codec).raw(self.bytes.clone(), pace)
    }
}

/// One stream of a codec that plays each of the tones for so long.
pub async fn stream(name: &'static str, codec: Codec, each: Duration) -> Result<Stream> {
    let script = TONES
        .iter()
        .fold(Script::default(), |script, tone| script.then(*tone, each));
    Ok(Stream {
        name,
        codec,
        bytes: encode(codec, script).await?,
        length: each * 3,
    })
}

/// A chain: each tone in a link of its own.
pub async fn chain(name: &'static str, codecs: [Codec; 3], each: Duration) -> Result<Stream> {
    let links = TONES
        .iter()
        .zip(codecs)
        .map(|(tone, codec)| encode(codec, Script::default().then(*tone, each)));
    Ok(Stream {
        name,
        codec: codecs[0],
        bytes: try_join_all(links).await?.concat(),
        length: each * 3,
    })
}

/// Everything that the tape takes.
pub async fn all(each: Duration) -> Result<Vec<Stream>> {
    let codecs = [
        ("mp3", Codec::Mp3),
        ("adts", Codec::Adts),
        ("opus", Codec::Opus),
        ("vorbis", Codec::Vorbis),
        ("flac", Codec::OggFlac),
        ("webm", Codec::WebmOpus),
    ];
    let plain = try_join_all(codecs.map(|(name, codec)| Box::pin(stream(name, codec, each))));
    let (mut streams, chain) = tokio::try_join!(plain, chain("chain", [Codec::Opus; 3], each))?;
    streams.push(chain);
    Ok(streams)
}

async fn encode(codec: Codec, script: Script) -> Result<Vec<u8>> {
    // Nobody listens.
    Sender::to("http://nowhere/")
        .codec(codec)
        .play(script)
        .unpaced()
        .encode()
        .await
}
