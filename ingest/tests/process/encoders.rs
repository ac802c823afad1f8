//! A real encoder, and the tape beside what it says it sent.

use std::process::{Command, Stdio};
use std::thread;

use ingest::api::Container;

use crate::pod::*;

/// Both outputs are encoded alike, and Ogg's serial numbers are not drawn at random.
const SAME: [&str; 4] = ["-fflags", "+bitexact", "-flags", "+bitexact"];

struct Sent {
    stream: Vec<u8>,
    said: String,
}

/// Sends two seconds of tone, and says what it sent. `None` where there is no ffmpeg.
fn ffmpeg(url: &str, codec: &[&str], legacy: &str) -> Option<Sent> {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-loglevel", "warning", "-nostdin", "-re"])
        .args(["-f", "lavfi", "-i", "sine=440:sample_rate=48000", "-t", "2"])
        .args(["-map", "0"])
        .args(codec)
        .args(SAME)
        .args(["-legacy_icecast", legacy, url])
        .args(["-map", "0", "-t", "2"])
        .args(codec)
        .args(SAME)
        .arg("pipe:1")
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(Sent {
            stream: output.stdout,
            said: String::from_utf8(output.stderr).unwrap(),
        }),
        Err(failure) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "ffmpeg cannot be started: {failure}"
            );
            println!("not run here: ffmpeg cannot be started: {failure}");
            None
        }
    }
}

#[test]
fn ffmpeg_is_taped_byte_for_byte() {
    let given = Given::new((0..8).map(|index| input(&format!("/{index}"))).collect());
    let pod = given.start();
    let codecs = [
        (
            ["-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"],
            Container::Mp3,
        ),
        (["-c:a", "libopus", "-b:a", "96k", "-f", "ogg"], Container::Ogg),
        (["-c:a", "flac", "-ar", "48000", "-f", "ogg"], Container::Ogg),
        (["-c:a", "aac", "-b:a", "128k", "-f", "adts"], Container::Adts),
    ];
    thread::scope(|all| {
        for (index, (codec, container)) in codecs.iter().chain(&codecs).enumerate() {
            let pod = &pod;
            all.spawn(move || {
                is_taped(
                    pod,
                    &format!("/{index}"),
                    codec,
                    index >= codecs.len(),
                    *container,
                );
            });
        }
    });
    assert_eq!(pod.sessions().refusals, []);
}

fn is_taped(pod: &Pod, path: &str, codec: &[&str], legacy: bool, container: Container) {
    let url = format!("icecast://source:p%C3%A4ss:word@{}{path}", pod.sources);
    let Some(sent) = ffmpeg(&url, codec, if legacy { "1" } else { "0" }) else {
        return;
    };
    let session = pod.session(path, |it| it.ended.is_some());
    assert_eq!(session.container, container, "{codec:?}: {}", sent.said);
    let (tape, sent) = (pod.tape(&session.id), sent.stream);
    if legacy {
        // ffmpeg never reads the answer to SOURCE, so its own system throws its last packets away.
        assert!(sent.starts_with(&tape), "{codec:?}");
        assert!(
            tape.len() > sent.len() * 3 / 4,
            "{} of {}",
            tape.len(),
            sent.len()
        );
    } else {
        assert!(tape == sent, "{codec:?}: {} of {} bytes", tape.len(), sent.len());
    }
}

#[test]
fn ffmpeg_shows_why_it_was_refused() {
    let given = Given::new(vec![input("/live/studio")]);
    let pod = given.start();
    let codec = ["-c:a", "libmp3lame", "-b:a", "128k", "-f", "mp3"];
    let taken = pod.source("/live/studio", MP3);
    for (user, path, said) in [
        (
            "source:wrong",
            "/live/studio",
            "401 The user or the password for /live/studio is wrong",
        ),
        (
            "source:p%C3%A4ss:word",
            "/live",
            "404 No input of this station has the path /live",
        ),
        (
            "source:p%C3%A4ss:word",
            "/live/studio",
            "403 Mountpoint in use: source has sent to",
        ),
    ] {
        let url = format!("icecast://{user}@{}{path}", pod.sources);
        let Some(sent) = ffmpeg(&url, &codec, "0") else {
            return;
        };
        assert!(sent.said.contains(said), "{}", sent.said);
    }
    drop(taken);
}
