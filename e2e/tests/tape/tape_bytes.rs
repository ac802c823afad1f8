//! Promise: the tape is what was sent, byte for byte, however it was sent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::tape::is_same;
use e2e::sound::{Codec, Protocol};
use futures::future::try_join_all;
use ingest::api::Container;

use crate::streams::{self, Stream};
use crate::support::{self, Ingest, SOON};

/// Small pieces, and soon over.
const PACE: u32 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn tape_is_what_was_sent_in_every_form() -> Result<()> {
    let each = Duration::from_secs(1);
    let mut streams = streams::all(each).await?;
    let mixed = [Codec::Opus, Codec::OggFlac, Codec::Vorbis];
    streams.push(streams::chain("mixed", mixed, each).await?);
    let forms = || {
        streams
            .iter()
            .flat_map(|stream| (0..).zip(Protocol::ALL).map(move |form| (stream, form)))
    };
    let inputs = support::inputs(forms().map(|(stream, (form, _))| name(stream, form)));
    support::play(inputs, async |ingest| {
        let ingest = &*ingest;
        let compared = forms().map(|(stream, (form, protocol))| async move {
            let input = name(stream, form);
            let what = || format!("{} by {protocol:?}", stream.name);
            compare(ingest, stream, &input, protocol).await.with_context(what)
        });
        let bytes: usize = try_join_all(compared).await?.into_iter().sum();
        println!(
            "tape: {} streams in {} protocol forms, {bytes} bytes: every tape is what was sent",
            streams.len(),
            Protocol::ALL.len()
        );
        Ok(())
    })
    .await
}

fn name(stream: &Stream, form: usize) -> String {
    format!("{}-{form}", stream.name)
}

async fn compare(ingest: &Ingest, stream: &Stream, input: &str, protocol: Protocol) -> Result<usize> {
    let dj = stream
        .from(ingest.sender(input).protocol(protocol), Some(PACE))
        .start()
        .await?;
    let session = ingest.await_session(input, "there", |_| true).await?;
    let following = follow(ingest, &session.id);
    let sending = async {
        dj.await_over(SOON).await?;
        dj.finish().await
    };
    let (followed, sent) = tokio::try_join!(following, sending)?;
    let session = ingest.await_session(input, "over", |s| s.ended.is_some()).await?;
    ensure!(session.container == container(stream.codec), "{session:?}");
    let log = sent.log.read()?;
    ensure!(
        log == stream.bytes,
        "the sender sent {} bytes of {}",
        log.len(),
        stream.bytes.len()
    );
    is_same(&ingest.taped(&session.id).await?, &log).context("the tape is not what was sent")?;
    is_same(&followed, &log).context("who followed did not get what was sent")?;
    Ok(log.len())
}

async fn follow(ingest: &Ingest, session: &str) -> Result<Vec<u8>> {
    let mut tape = ingest.desk().read(session, 0, true).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = tape.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn container(codec: Codec) -> Container {
    match codec {
        Codec::Mp3 => Container::Mp3,
        Codec::Adts => Container::Adts,
        Codec::Opus | Codec::Vorbis | Codec::OggFlac => Container::Ogg,
        Codec::WebmOpus => Container::Webm,
    }
}
