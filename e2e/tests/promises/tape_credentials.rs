//! Promise: a changed password counts within 2 s and disturbs nobody; who is turned away is told why, and so is whoever looks
//! at the Mount.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, dial, mount, with_inputs};
use e2e::harness::{Login, Stage, play, until};
use e2e::sound::wrong::{self, Wrong};
use e2e::sound::{Codec, Dialer, Dj, Refused, Script, Tone, signal};
use serde_json::json;

/// A changed password counts.
const COUNTS: Duration = Duration::from_secs(2);
const HEARD: Duration = Duration::from_secs(10);
/// The status and the Events tell.
const TOLD: Duration = Duration::from_secs(10);

const INPUTS: &str =
    "[{name: studio}, {name: guest, username: anna, passwordSecretRef: {name: anna, key: word}}]";
const ANNA: &str = "{apiVersion: v1, kind: Secret, metadata: {name: anna}, stringData: {word: first-word}}";

#[tokio::test(flavor = "multi_thread")]
async fn tape_credentials_change_at_once_and_refusals_are_clear() {
    play("credentials", |stage| async move {
        stage.apply(ANNA).await?;
        stage
            .on_air_with(&with_inputs(&mount("live", "fm"), INPUTS))
            .await?;
        let (studio, guest) = (
            stage.login("live", "studio").await?,
            stage.login("live", "guest").await?,
        );
        ensure!(
            guest.user == "anna" && guest.password == "first-word",
            "the status names another login"
        );
        let sender = || {
            guest
                .sender()
                .codec(Codec::Opus)
                .play(Script::steady(Tone::Hz(440)))
        };
        let (dj, _) = take(ON_AIR, sender).await?;
        let listener = stage.listen("fm", "/live.opus", ON_AIR).await?;
        listener.await_tone(Tone::Hz(440), HEARD).await?;
        connected(&stage).await?;

        let pods = stage.pods().await?;
        // First, because of each reason the Mount tells once a minute.
        refusals(&stage, &studio, &guest).await?;
        changed(&stage, "anna", "word", &guest).await?;
        changed(&stage, "live-inputs", "studio", &studio).await?;
        ensure!(stage.pods().await? == pods, "a pod or a container was restarted");
        ensure!(dj.is_on_air(), "the DJ was disturbed: {}", dj.report());
        ensure!(listener.disconnects().is_empty(), "{}", listener.report());
        leaves(&stage, dj).await
    })
    .await;
}

/// A DJ is told of by status and Event.
async fn connected(stage: &Stage) -> Result<()> {
    let what = "connected, with opus";
    let (_, after) = stage
        .await_input(("live", "guest"), what, TOLD, |input| {
            input.connected && input.since.is_some() && input.codec.as_deref() == Some("opus")
        })
        .await?;
    println!(
        "tape: the status tells of a DJ {:.1} s after being heard",
        after.as_secs_f32()
    );
    let (kind, sentence) = stage
        .await_event(("Mount", "live"), "SourceConnected", "guest", TOLD)
        .await?;
    println!("tape: Event SourceConnected: {sentence}");
    ensure!(kind == "Normal", "a DJ is no {kind}");
    Ok(())
}

async fn leaves(stage: &Stage, dj: Dj) -> Result<()> {
    dj.finish().await?;
    stage
        .await_input(("live", "guest"), "gone", TOLD, |input| !input.connected)
        .await?;
    let event = stage.await_event(("Mount", "live"), "SourceDisconnected", "guest", TOLD);
    println!("tape: Event SourceDisconnected: {}", event.await?.1);
    Ok(())
}

/// Writes another password into a Secret: the new one counts in time, the old one no more.
async fn changed(stage: &Stage, secret: &str, key: &str, login: &Login) -> Result<()> {
    let new = login.with_password("second-word");
    let refused = status(&new).await?;
    ensure!(
        refused == 401,
        "the new password was answered with {refused} before it was one"
    );
    let written = Instant::now();
    stage
        .merge("Secret", secret, json!({"stringData": {key: "second-word"}}))
        .await?;
    until("the new password to count", COUNTS, || async {
        match status(&new).await {
            Ok(401) => Err("it is refused".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    println!(
        "tape: password in Secret {secret} changed -> counts: {} ms",
        written.elapsed().as_millis()
    );
    let old = status(login).await?;
    ensure!(old == 401, "the old password is answered with {old}");
    Ok(())
}

/// What a source is answered: 401 without the right password, something else with it. It leaves at once.
async fn status(login: &Login) -> Result<u16> {
    match login.sender().codec(Codec::Opus).start().await {
        Ok(_) => Ok(200),
        Err(error) => Ok(error.downcast::<Refused>()?.status),
    }
}

/// Everybody who is turned away gets a status and a sentence; the Mount tells the same.
async fn refusals(stage: &Stage, studio: &Login, guest: &Login) -> Result<()> {
    let wrong = studio.with_password("wrong").sender().refused().await?;
    clear("a wrong password", &wrong, 401)?;
    told(stage, "studio", "Unauthorized", &wrong).await?;

    let taken = guest.sender().refused().await?;
    clear("a taken input", &taken, 403)?;
    told(stage, "guest", "Taken", &taken).await?;

    let wav = signal::wav(&signal::Oscillator::default().samples(Tone::Hz(440), 48_000));
    let format = studio.sender().raw(wav, Some(192_000)).refused().await?;
    clear("WAV", &format, 415)?;
    told(stage, "studio", "UnsupportedFormat", &format).await?;

    let nowhere = Login {
        path: "/nowhere/studio".to_owned(),
        ..studio.clone()
    };
    let unknown = nowhere.sender().refused().await?;
    clear("an unknown path", &unknown, 404)?;
    let event = stage.await_event(("Station", "fm"), "SourceRefused", "/nowhere/studio", TOLD);
    println!("tape: Event of the Station: {}", event.await?.1);

    let dialer: Dialer = Arc::new(dial);
    let url = format!("http://{}{}", studio.address, studio.path);
    for (what, said, status) in [
        ("garbage", Wrong::Garbage(512), 400),
        (
            "a TLS greeting",
            Wrong::Exactly(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
            400,
        ),
        ("no login", Wrong::NoAudio, 401),
    ] {
        let verdict = wrong::knock(&dialer, &url, &said, HEARD).await?;
        let reply = verdict.reply.with_context(|| format!("{what} got no answer"))?;
        ensure!(verdict.closed_after.is_some(), "{what} is kept connected");
        let refused = Refused {
            url: url.clone(),
            status: reply.status,
            body: reply.body,
        };
        clear(what, &refused, status)?;
        if status == 401 {
            ensure!(
                reply.head.to_lowercase().contains("www-authenticate: basic"),
                "a program is not asked for its login: {}",
                reply.head
            );
        }
    }
    Ok(())
}

/// One sentence, and the right status.
fn clear(what: &str, refused: &Refused, status: u16) -> Result<()> {
    let sentence = refused.body.trim();
    println!("tape: {what}: {} {sentence}", refused.status);
    ensure!(
        refused.status == status,
        "{what} is answered with {}",
        refused.status
    );
    ensure!(
        sentence.len() > 10 && sentence.lines().count() == 1,
        "{what} is told no sentence: {sentence:?}"
    );
    Ok(())
}

/// The Mount's status and Events tell of the same.
async fn told(stage: &Stage, input: &str, reason: &str, refused: &Refused) -> Result<()> {
    let sentence = refused.body.trim();
    let (_, after) = stage
        .await_input(("live", input), &format!("refusing: {reason}"), TOLD, |input| {
            input.last_refusal.as_ref().is_some_and(|last| {
                last.reason == reason && last.message == sentence && !last.from.is_empty()
            })
        })
        .await?;
    let (kind, _) = stage
        .await_event(
            ("Mount", "live"),
            "SourceRefused",
            sentence.trim_end_matches('.'),
            TOLD,
        )
        .await?;
    ensure!(kind == "Warning", "a refusal is {kind}");
    println!(
        "tape: {reason} is told by the status after {:.1} s",
        after.as_secs_f32()
    );
    Ok(())
}
