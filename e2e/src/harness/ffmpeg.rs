//! A real DJ's program: ffmpeg as people start it, inside the cluster's network. Starts processes.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::Login;
use crate::cluster;
use crate::sound::Codec;

/// ffmpeg writes its last page and closes.
const LEAVES: Duration = Duration::from_secs(5);

/// It sends until it is told to leave; dropped, it is killed.
pub struct Ffmpeg {
    child: Child,
}

impl Ffmpeg {
    /// Sends a sine to an input in real time, with ffmpeg's own choices wherever it has some.
    pub fn start(login: &Login, codec: Codec, hz: u16, title: &str) -> Result<Self> {
        let (encoder, kbps, content_type, muxer) = match codec {
            Codec::Mp3 => ("libmp3lame", "128k", "audio/mpeg", "mp3"),
            Codec::Adts => ("aac", "128k", "audio/aac", "adts"),
            Codec::Opus => ("libopus", "96k", "audio/ogg", "ogg"),
            Codec::Vorbis => ("libvorbis", "128k", "audio/ogg", "ogg"),
            Codec::OggFlac => ("flac", "0", "audio/ogg", "ogg"),
            Codec::WebmOpus => ("libopus", "96k", "audio/webm", "webm"),
        };
        let sine = format!("sine=frequency={hz}:sample_rate=48000");
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-v", "error", "-re"]);
        command.args(["-f", "lavfi", "-i", &sine, "-ac", "2"]);
        command.args(["-c:a", encoder, "-b:a", kbps, "-metadata"]);
        command.arg(format!("title={title}"));
        command.args(["-content_type", content_type, "-f", muxer]);
        command.arg(login.icecast_url());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = cluster::spawn(&mut command).context("ffmpeg")?;
        Ok(Self { child })
    }

    /// Fails with ffmpeg's words if it has ended.
    pub async fn still_sends(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        if let Some(status) = ended {
            let words = self.words().await;
            anyhow::bail!("ffmpeg ended with {status}: {words}");
        }
        Ok(())
    }

    /// Ends it as a DJ does, with Ctrl-C.
    pub async fn leave(mut self) -> Result<()> {
        self.still_sends().await?;
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).context("ffmpeg has no pid")?;
        kill_process(pid, Signal::INT)?;
        let status = tokio::time::timeout(LEAVES, self.child.wait())
            .await
            .with_context(|| format!("ffmpeg does not end within {LEAVES:?}"))??;
        let words = self.words().await;
        // Its own way to say that somebody pressed Ctrl-C.
        ensure!(
            status.code() == Some(255) || status.success(),
            "ffmpeg: {status}: {words}"
        );
        Ok(())
    }

    async fn words(&mut self) -> String {
        let mut words = String::new();
        if let Some(mut said) = self.child.stderr.take() {
            // Words that are no UTF-8 are no reason to hide the others' failure.
            drop(said.read_to_string(&mut words).await);
        }
        words.trim().to_owned()
    }
}
