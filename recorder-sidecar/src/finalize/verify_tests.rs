use super::*;
use std::process::{Command, Stdio};

const OPUS: &[u8] = include_bytes!("../../../ingest/src/framing/fixtures/tone.opus");

fn object(key: &str, seconds: f64) -> Object {
    Object {
        key: key.to_owned(),
        content_type: String::new(),
        codec: String::new(),
        rate: 48_000,
        channels: 1,
        bytes: 0,
        sha256: String::new(),
        frames: 0,
        seconds,
        links: 1,
        titles: Vec::new(),
    }
}

/// What ffmpeg makes of this source.
fn made(source: &str, arguments: &[&str]) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-f", "lavfi", "-i", source])
        .args(arguments)
        .arg("-");
    let output = ffmpeg.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

async fn heard(container: Container, stream: &[u8], seconds: f64) -> Read {
    let mut read = Read::new(container, seconds);
    for bytes in stream.chunks(1000) {
        for sample in read.take(bytes) {
            read.hear(probe::peak(&sample, container).await).unwrap();
        }
    }
    read
}

#[tokio::test]
async fn sound_is_told_from_silence_wherever_it_is() {
    for (container, codec) in [
        (Container::Ogg, "libopus"),
        (Container::Mp3, "libmp3lame"),
        (Container::Adts, "aac"),
    ] {
        let format = ["ogg", "mp3", "adts"][container as usize % 3];
        let arguments = ["-c:a", codec, "-f", format];
        let tone = heard(container, &made("sine=d=30", &arguments), 30.0).await;
        assert!(
            tone.heard >= 6 && tone.audible == tone.heard,
            "{container:?}: {tone:?}"
        );
        assert_eq!(
            tone.doubts(&object("a", 30.0)).len(),
            1,
            "only that no byte is claimed: {tone:?}"
        );
        let silence = heard(container, &made("anullsrc=d=30", &arguments), 30.0).await;
        assert!(
            silence.heard >= 6 && silence.audible == 0,
            "{container:?}: {silence:?}"
        );
        let silent = Doubt::Silent { key: "a".to_owned() };
        assert_eq!(silence.doubts(&object("a", 5.0)), [silent], "{container:?}");
    }
}

#[tokio::test]
async fn garbage_between_right_frames_is_no_sound() {
    let mut read = Read::new(Container::Mp3, 10.0);
    read.hear(probe::peak(b"nothing that plays", Container::Mp3).await)
        .unwrap();
    let doubts = read.doubts(&object("a", 5.0));
    assert!(
        matches!(&doubts[..], [Doubt::Probe { words, .. }] if !words.is_empty()),
        "{doubts:?}"
    );
}

#[test]
fn a_bitrate_has_to_be_one() {
    let doubts = |bytes, seconds| {
        Read::new(Container::Ogg, seconds).doubts(&Object {
            bytes,
            ..object("a", seconds)
        })
    };
    assert_eq!(doubts(160_000, 10.0), []);
    assert_eq!(
        doubts(1000, 10.0),
        [Doubt::Bitrate {
            key: "a".to_owned(),
            bits: 800
        }]
    );
    assert_eq!(
        doubts(100_000_000, 10.0),
        [Doubt::Bitrate {
            key: "a".to_owned(),
            bits: 80_000_000
        }]
    );
}

#[tokio::test]
async fn ffprobe_agrees_with_our_count_or_there_is_a_doubt() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, OPUS).unwrap();
    let frames = heard(Container::Ogg, OPUS, 1.5).await.frames;
    let told_as = async |container| {
        let told = probe::probe(file.path(), container).await;
        told.map_err(|failure| failure.to_string())
    };
    let told = || told_as(Container::Ogg);
    let right = Object {
        frames,
        ..object("a", 1.5)
    };
    assert_eq!(probed(&right, Container::Ogg, told().await), None);
    let more = Object {
        frames: frames * 2,
        ..right.clone()
    };
    assert!(probed(&more, Container::Ogg, told().await).is_some());
    let longer = Object {
        seconds: 9.0,
        ..right.clone()
    };
    assert!(probed(&longer, Container::Ogg, told().await).is_some());
    assert!(probed(&right, Container::Mp3, told_as(Container::Mp3).await).is_some());
}
