//! Promise: the ingest killed (-9) at any moment loses nothing that it had read, doubles nothing, and is back for the DJ.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::cluster::verbs;
use e2e::harness::inputs::take;
use e2e::harness::radio::ON_AIR;
use e2e::harness::tape::{Tape, is_beginning, is_same};
use e2e::harness::{Login, Stage, is_full, play, rows, until};
use e2e::sound::{Codec, Cut, Dj, Latency, Listener, Script, Sent, Tone};

const HEARD: Duration = Duration::from_secs(15);
/// For the process to be back.
const BACK: Duration = Duration::from_mins(1);
/// A connection to a killed process is closed by its kernel.
const CLOSED: Duration = Duration::from_secs(5);
/// What was sent this long before the kill was read by then, even on a busy machine.
const READ: Duration = Duration::from_secs(1);
const RECONNECT: Duration = Duration::from_millis(200);
/// Each is heard in its own rounds only.
const TONES: [Tone; 2] = [Tone::Hz(440), Tone::Hz(660)];
const LAST: Tone = Tone::Hz(1320);

/// One connection of the DJ, and what came of it.
struct Connection {
    sent: Sent,
    /// Bytes that the ingest surely had read.
    surely_read: u64,
    /// What somebody who followed the tape had got.
    followed: Vec<u8>,
    codec: Codec,
}

#[tokio::test(flavor = "multi_thread")]
async fn tape_ingest_killed_loses_and_doubles_nothing() {
    play("ingest", |stage| async move {
        stage.on_air_with_inputs().await?;
        let login = stage.login("live", "studio").await?;
        let tape = stage.tape("live").await?;
        let listener = stage.ear("fm", "/live.mp3", ON_AIR).await?.reconnect(RECONNECT);
        let listener = listener.open().await?;
        let rounds = if is_full() { 20 } else { 2 };
        let codecs = rows(&[
            Codec::Opus,
            Codec::Mp3,
            Codec::Adts,
            Codec::OggFlac,
            Codec::WebmOpus,
        ]);
        let show = Show {
            stage,
            login,
            tape,
            listener,
        };
        let (mut connections, mut back) = (Vec::new(), Vec::new());
        for (round, codec) in (0..rounds).zip(codecs.iter().cycle()) {
            let killed = show.until_killed(*codec, TONES[round % 2], &mut back).await;
            connections.push(killed.with_context(|| format!("round {}", round + 1))?);
        }
        let dj = show.connect(Codec::Opus, LAST, &mut back).await?;
        let last = dj.finish().await?;
        println!(
            "tape: ingest killed (-9) {rounds} times: the DJ is connected again after {}",
            Latency::from_samples(back.split_off(1))
        );
        compare(&show.tape, &connections, &last).await
    })
    .await;
}

/// Everybody who takes part.
struct Show {
    stage: Stage,
    login: Login,
    tape: Tape,
    listener: Listener,
}

impl Show {
    /// A DJ connects, as soon as that is possible, and is heard.
    async fn connect(&self, codec: Codec, tone: Tone, back: &mut Vec<Duration>) -> Result<Dj> {
        let sender = || self.login.sender().codec(codec).play(Script::steady(tone));
        let (dj, after) = tokio::select! {
            taken = take(BACK, sender) => taken?,
            failed = self.no_back_off() => failed?,
        };
        back.push(after);
        let connected = Instant::now();
        self.listener.await_tone_since(connected, tone, HEARD).await?;
        Ok(dj)
    }

    /// Replaces the pod whenever kubelet lets its container wait: after twenty kills that would be five minutes each.
    async fn no_back_off<T>(&self) -> Result<T> {
        loop {
            until("kubelet to back off", Duration::MAX, || async {
                let pod = self.stage.kind("Pod").get(self.tape.pod()).await;
                let state = pod.map_err(|e| e.to_string())?.data;
                match state.pointer("/status/containerStatuses/0/state/waiting/reason") {
                    Some(reason) if reason == "CrashLoopBackOff" => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await?;
            self.stage.delete("Pod", self.tape.pod()).await?;
        }
    }

    /// A DJ is heard and loses the ingest at a random moment.
    async fn until_killed(&self, codec: Codec, tone: Tone, back: &mut Vec<Duration>) -> Result<Connection> {
        let dj = self.connect(codec, tone, back).await?;
        let session = self
            .tape
            .await_session("studio", "on air", HEARD, |s| s.ended.is_none());
        let reader = self.tape.follow(&session.await?.id).await?;
        let surely_read = dj.sent();
        tokio::time::sleep(READ + Duration::from_millis(rand::random_range(0..1500))).await;
        let pod = self.tape.pod();
        let hit = verbs::kill_process(&self.stage.namespace, pod, "ingest", "ingest").await?;
        ensure!(hit > 0, "no process ingest was found");
        dj.await_server_closed(CLOSED).await?;
        Ok(Connection {
            sent: dj.cut(Cut::Fin).await?,
            surely_read,
            followed: reader.got(CLOSED).await?,
            codec,
        })
    }
}

/// There is one session for each connection, in order, and each is how that connection's log begins.
async fn compare(tape: &Tape, killed: &[Connection], last: &Sent) -> Result<()> {
    let ended = tape
        .await_session("studio", "over", HEARD, |s| s.ended.is_some())
        .await?;
    let sessions = tape.sessions().await?;
    ensure!(
        sessions.len() == killed.len() + 1,
        "{} connections, but {sessions:#?}",
        killed.len() + 1
    );
    let mut unread = 0;
    for (session, connection) in sessions.iter().zip(killed) {
        ensure!(session.ended.is_some(), "it has no end: {session:?}");
        let (taped, sent) = (tape.bytes(&session.id).await?, connection.sent.log.read()?);
        let what = || format!("{:?}, session {}", connection.codec, session.id);
        is_beginning(&taped, &sent)
            .context("the tape is not what was sent")
            .with_context(what)?;
        is_beginning(&connection.followed, &taped)
            .context("a reader had got what is not on the tape")
            .with_context(what)?;
        ensure!(
            !connection.followed.is_empty(),
            "the reader of {} got nothing",
            session.id
        );
        ensure!(
            u64::try_from(taped.len())? >= connection.surely_read,
            "{} bytes on the tape, but {} were sent a second before the kill",
            taped.len(),
            connection.surely_read
        );
        unread = unread.max(sent.len() - taped.len());
    }
    println!("tape: at most {unread} bytes were on their way at a kill, none of what was read is lost");
    let taped = tape.bytes(&ended.id).await?;
    is_same(&taped, &last.log.read()?).context("the last connection, which nobody killed")
}
