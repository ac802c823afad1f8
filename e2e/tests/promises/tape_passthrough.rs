//! Promise: sources on a wildcard path, each with its own key, are heard on the relay byte for byte, without a Liquidsoap.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::harness::inputs::take;
use e2e::harness::radio::{ON_AIR, station};
use e2e::harness::tape::is_joined;
use e2e::harness::{Login, Stage, play, until};
use e2e::sound::{Codec, Cut, Dj, Listener, Script, Tone};
use kube::api::ListParams;
use serde_json::json;
use tempfile::NamedTempFile;

/// A key that was added opens its path.
const OPENS: Duration = Duration::from_secs(5);
const HEARD: Duration = Duration::from_secs(20);
/// What is compared, beyond the relay's burst.
const BYTES: u64 = 96 * 1024;

const MICROPHONES: [(&str, Tone); 3] = [
    ("hall", Tone::Hz(440)),
    ("bar", Tone::Hz(660)),
    ("roof", Tone::Hz(1320)),
];

const MOUNT: &str = "
{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {hall: key-of-hall, bar: key-of-bar, roof: key-of-roof}}
---
apiVersion: radio.moafunk.de/v1alpha1
kind: Mount
metadata: {name: mics}
spec: {stationRef: {name: fm}, path: /mic-*.opus, passthrough: {keysSecretRef: {name: keys}}}
";

/// A source and somebody who listens to it.
struct Microphone {
    dj: Dj,
    listener: Listener,
    kept: NamedTempFile,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_passthrough_is_heard_byte_for_byte() {
    play("passthrough", |stage| async move {
        stage.apply(&(station("fm") + MOUNT)).await?;
        stage.await_ready("Station", "fm", 4 * ON_AIR).await?;
        stage.await_ready("Mount", "mics", 4 * ON_AIR).await?;
        let mut microphones = Vec::new();
        for (key, tone) in MICROPHONES {
            let login = stage.login("mics", key).await?;
            ensure!(
                login.path == format!("/mic-{key}.opus") && login.password == format!("key-of-{key}"),
                "{key} is told the path {}",
                login.path
            );
            microphones.push(open(&stage, &login, tone).await.context(key)?);
        }
        keys_of_others(&stage).await?;
        wrong_codec(&stage).await?;
        for microphone in microphones {
            microphone.compare().await?;
        }
        new_key(&stage).await?;
        no_playout(&stage).await
    })
    .await;
}

async fn open(stage: &Stage, login: &Login, tone: Tone) -> Result<Microphone> {
    let sender = || login.sender().codec(Codec::Opus).play(Script::steady(tone));
    let (dj, _) = take(ON_AIR, sender).await?;
    let begun = Instant::now();
    let kept = NamedTempFile::new()?;
    let listener = stage.ear("fm", &login.path, HEARD).await?.keep(kept.path());
    let listener = listener.open().await?;
    let after = listener.await_tone_since(begun, tone, HEARD).await?;
    println!(
        "tape: {} connected -> heard: {} ms",
        login.path,
        after.as_millis()
    );
    Ok(Microphone { dj, listener, kept })
}

impl Microphone {
    /// The listener got the stream's headers and then one piece of what was sent.
    async fn compare(self) -> Result<()> {
        self.listener.await_bytes(BYTES, HEARD).await?;
        ensure!(
            self.listener.disconnects().is_empty(),
            "{}",
            self.listener.report()
        );
        let url = self.dj.url();
        drop(self.listener);
        let heard = std::fs::read(self.kept.path())?;
        let sent = self.dj.cut(Cut::Fin).await?.log.read()?;
        let headers = opus_headers(&sent)?;
        is_joined(&heard, &sent, headers).with_context(|| url.clone())?;
        println!("tape: {url}: {} bytes heard, all as they were sent", heard.len());
        Ok(())
    }
}

/// The length of the two pages before the audio.
fn opus_headers(stream: &[u8]) -> Result<usize> {
    let mut at = 0;
    for page in 0..2 {
        let rest = stream.get(at..).context("a stream without headers")?;
        ensure!(rest.starts_with(b"OggS"), "page {page} is none");
        let segments = usize::from(*rest.get(26).context("half a page")?);
        let lacing = rest.get(27..27 + segments).context("half a page")?;
        at += 27 + segments + lacing.iter().map(|length| usize::from(*length)).sum::<usize>();
    }
    Ok(at)
}

/// The key of one opens no other.
async fn keys_of_others(stage: &Stage) -> Result<()> {
    let hall = stage.login("mics", "hall").await?;
    let bar = stage.login("mics", "bar").await?;
    let refused = hall
        .with_password(&bar.password)
        .sender()
        .codec(Codec::Opus)
        .refused();
    let refused = refused.await?;
    ensure!(refused.status == 401, "another's key is answered with {refused}");
    Ok(())
}

/// A path that ends in .opus takes nothing else.
async fn wrong_codec(stage: &Stage) -> Result<()> {
    stage
        .merge("Secret", "keys", json!({"stringData": {"odd": "key-of-odd"}}))
        .await?;
    let odd = stage.login("mics", "odd").await?;
    let (refused, _) = until("MP3 to be refused", OPENS, || async {
        let refused = odd.sender().codec(Codec::Mp3).refused().await;
        match refused {
            // The path is there as soon as the ingest knows of the key.
            Ok(refused) if refused.status == 404 => Err(refused.to_string()),
            Ok(refused) => Ok(refused),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    println!("tape: MP3 to {}: {refused}", odd.path);
    ensure!(
        refused.status == 415,
        "MP3 to {} is answered with {refused}",
        odd.path
    );
    ensure!(!refused.body.trim().is_empty(), "no reason is given");
    Ok(())
}

/// A key that is added to the Secret works soon.
async fn new_key(stage: &Stage) -> Result<()> {
    let hall = stage.login("mics", "hall").await?;
    let login = Login {
        path: "/mic-late.opus".to_owned(),
        password: "key-of-late".to_owned(),
        ..hall
    };
    let added = Instant::now();
    stage
        .merge("Secret", "keys", json!({"stringData": {"late": login.password}}))
        .await?;
    let sender = || {
        login
            .sender()
            .codec(Codec::Opus)
            .play(Script::steady(Tone::Hz(1760)))
    };
    let (dj, _) = take(OPENS, sender).await?;
    println!("tape: key added -> works: {} ms", added.elapsed().as_millis());
    let listener = stage.listen("fm", &login.path, HEARD).await?;
    let after = listener.await_tone_since(added, Tone::Hz(1760), HEARD).await?;
    println!("tape: key added -> heard: {} ms", after.as_millis());
    dj.finish().await.map(drop)
}

async fn no_playout(stage: &Stage) -> Result<()> {
    let playout = ListParams::default().labels("app.kubernetes.io/component=playout");
    for kind in ["Pod", "Deployment", "Secret"] {
        let made = stage.kind(kind).list(&playout).await?;
        ensure!(
            made.items.is_empty(),
            "a {kind} was made for a playout that nobody needs"
        );
    }
    Ok(())
}
