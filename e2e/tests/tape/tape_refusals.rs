//! Promise: whoever is not let in is told why, in one sentence, soon; and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::tape::is_same;
use e2e::sound::wrong::{Wrong, knock};
use e2e::sound::{Codec, Dialer, Direct, Protocol, Refused, Sender};
use futures::future::try_join_all;
use ingest::api::RefusalReason;
use ingest::config::Format;

use crate::streams;
use crate::support::{self, Ingest, SOON};

/// A head may take 10 s, and the first audio 15.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn tape_refusals_say_why_and_disturb_nobody() -> Result<()> {
    let mut inputs = support::inputs(["studio", "guest", "opus", "unsent"]);
    inputs[2].accepts = Some(Format::Opus);
    let stream = streams::stream("studio", Codec::Mp3, Duration::from_secs(6)).await?;
    support::play(inputs, async |ingest| {
        let ingest = &*ingest;
        let dj = stream
            .from(ingest.sender("studio"), Some(stream.pace()?))
            .start()
            .await?;
        ingest.await_session("studio", "there", |_| true).await?;
        let mut told = by_status(ingest).await?;
        told.extend(by_protocol(ingest).await?);
        listed(ingest, &told).await?;
        dj.await_over(stream.length + SOON).await?;
        let sent = dj.finish().await?;
        let session = ingest
            .await_session("studio", "over", |s| s.ended.is_some())
            .await?;
        is_same(&ingest.taped(&session.id).await?, &sent.log.read()?)
            .context("the DJ who was on air was disturbed")?;
        let sessions = ingest.sessions().await?;
        ensure!(
            sessions.len() == 1,
            "somebody was let in who should not be: {sessions:#?}"
        );
        Ok(())
    })
    .await
}

/// A reason, and the sentence that was told.
type Told = (RefusalReason, String);

/// Sources that speak well and may not come in. Some are told 200 before their first audio, as by Icecast, and why not
/// only after that.
async fn by_status(ingest: &Ingest) -> Result<Vec<Told>> {
    use RefusalReason::{Taken, Unauthorized, UnknownPath, UnsupportedFormat};
    let anybody = || Sender::to(&ingest.source_url("/live/studio"));
    let mp3 = streams::stream("opus", Codec::Mp3, Duration::from_secs(1)).await?;
    let wave = e2e::sound::signal::wav(&vec![0; 48_000]);
    let by_source = |sender: Sender| sender.protocol(Protocol::SourceIce);
    let unasked = |sender: Sender| {
        sender.protocol(Protocol::Put {
            expect: false,
            chunked: false,
        })
    };
    let opus = || mp3.from(ingest.sender("opus"), None);
    let guest = || ingest.sender("guest").raw(wave.clone(), None);
    let wrong = || anybody().login("source", "wrong");
    let cases = [
        ("a wrong password", wrong(), 401, Unauthorized),
        (
            "a wrong user",
            anybody().login("admin", support::PASSWORD),
            401,
            Unauthorized,
        ),
        (
            "a wrong password by SOURCE",
            by_source(wrong()),
            401,
            Unauthorized,
        ),
        ("a wrong password, unasked", unasked(wrong()), 401, Unauthorized),
        ("no login", anybody(), 401, Unauthorized),
        ("an unknown path", ingest.sender("nowhere"), 404, UnknownPath),
        ("a taken input", ingest.sender("studio"), 403, Taken),
        (
            "a taken input by SOURCE",
            by_source(ingest.sender("studio")),
            403,
            Taken,
        ),
        ("MP3 where Opus is wanted", opus(), 415, UnsupportedFormat),
        (
            "MP3 where Opus is wanted, unasked",
            unasked(opus()),
            200,
            UnsupportedFormat,
        ),
        ("WAV", guest(), 415, UnsupportedFormat),
        ("WAV by SOURCE", by_source(guest()), 200, UnsupportedFormat),
    ];
    let mut told = Vec::new();
    for (what, sender, status, reason) in cases {
        let refused = sender
            .refused()
            .await
            .with_context(|| format!("{what} was not refused"))?;
        told.push((reason, sentence(what, status, &refused)?));
    }
    Ok(told)
}

/// Sources that do not know how to speak: all at once, as they are slow.
async fn by_protocol(ingest: &Ingest) -> Result<Vec<Told>> {
    use RefusalReason::{BadRequest, TimedOut};
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec();
    let slowly = Duration::from_millis(500);
    // What it does, what it is told, and within how many seconds.
    let cases = [
        ("noise", Wrong::Garbage(4000), 400, BadRequest, 2),
        ("TLS", Wrong::Exactly(tls), 400, BadRequest, 2),
        (
            "half a line",
            Wrong::Exactly(b"SOURCE\r\n\r\n".to_vec()),
            400,
            BadRequest,
            2,
        ),
        (
            "another method",
            Wrong::Method("BREW".to_owned()),
            405,
            BadRequest,
            2,
        ),
        (
            "100 kB of headers",
            Wrong::OversizedHead(100_000),
            400,
            BadRequest,
            2,
        ),
        ("half a head", Wrong::HalfHead, 408, TimedOut, 12),
        ("a slow head", Wrong::SlowHead(slowly), 408, TimedOut, 12),
        ("nothing", Wrong::Mute, 408, TimedOut, 12),
        ("no audio", Wrong::NoAudio, 200, TimedOut, 17),
    ];
    let dialer: Dialer = Arc::new(Direct);
    let login = format!("http://source:{}@", support::PASSWORD);
    let url = &ingest.source_url("/live/unsent").replacen("http://", &login, 1);
    let knocks = cases.iter().map(|(what, wrong, status, reason, within)| {
        let knocking = knock(&dialer, url, wrong, PATIENCE);
        async move {
            let verdict = knocking.await?;
            let reply = verdict.reply.with_context(|| format!("{what} got no answer"))?;
            let closed = verdict
                .closed_after
                .with_context(|| format!("{what} was not closed"))?;
            ensure!(
                closed < Duration::from_secs(*within),
                "{what} was closed after {closed:?}"
            );
            let refused = Refused {
                url: url.clone(),
                status: reply.status,
                body: reply.body,
            };
            anyhow::Ok((*reason, sentence(what, *status, &refused)?))
        }
    });
    try_join_all(knocks).await
}

/// What a person reads in the log of a DJ program: one sentence.
fn sentence(what: &str, status: u16, refused: &Refused) -> Result<String> {
    ensure!(refused.status == status, "{what}: {refused}");
    let body = refused.body.trim();
    ensure!(
        body.len() > 15 && body.lines().count() == 1 && body.len() < 300,
        "{what} was told {body:?}"
    );
    ensure!(!body.contains(support::PASSWORD), "{what} was told a password");
    println!("tape: refused {what}: {} {body}", refused.status);
    Ok(body.to_owned())
}

/// The operator reads the same reasons and sentences, of what is alike only the newest.
async fn listed(ingest: &Ingest, told: &[Told]) -> Result<()> {
    let refusals = ingest.desk().sessions(None).await?.refusals;
    for (reason, _) in told {
        let listed = refusals.iter().any(|refusal| refusal.reason == *reason);
        ensure!(listed, "{reason:?} is not among {refusals:#?}");
    }
    for refusal in refusals {
        let was_told = (refusal.reason, refusal.message.clone());
        ensure!(told.contains(&was_told), "nobody was told {refusal:#?}");
    }
    Ok(())
}
