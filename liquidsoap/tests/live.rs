//! Sources on real tapes, heard through a real Liquidsoap. Runs where `liquidsoap` (2.3 or newer) and `ffmpeg` are on PATH.

#![cfg(test)]

mod stage;

use std::time::{Duration, Instant};

use ingest::api::Container;
use stage::{DJ, OTHER, PLAYLIST, Stage, encoded, flipping};
use tokio::time::sleep;

/// The promise.
const SWITCH: Duration = Duration::from_secs(1);
/// What is heard now was sent this long ago at most.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn every_format_is_heard_and_the_playlist_comes_back() {
    let Some(stage) = Stage::open().await else { return };
    stage.hears(PLAYLIST, LATE).await;
    let formats = [
        ("mp3", Container::Mp3, "-c:a libmp3lame -b:a 128k -f mp3"),
        ("opus", Container::Ogg, "-c:a libopus -b:a 96k -f ogg"),
        ("adts", Container::Adts, "-c:a aac -b:a 96k -f adts"),
        ("vorbis", Container::Ogg, "-c:a libvorbis -b:a 128k -f ogg"),
        ("flac", Container::Ogg, "-c:a flac -f ogg"),
        ("webm", Container::Webm, "-c:a libopus -b:a 96k -f webm -live 1"),
        // Pages as large as ffmpeg's are by default; the next as many encoders make them.
        (
            "small opus",
            Container::Ogg,
            "-c:a libopus -b:a 96k -page_duration 100000 -f ogg",
        ),
    ];
    for (name, container, how) in formats {
        let stream = encoded(DJ, 4.0, how);
        let mut dj = stage.source(0, container);
        let came = Instant::now();
        let (heard, ()) = tokio::join!(stage.hears(DJ, LATE), dj.send(&stream));
        dj.leave();
        let left = Instant::now();
        let back = stage.hears(PLAYLIST, LATE).await;
        println!(
            "{name}: heard after {:?}, the playlist after {:?}",
            heard.duration_since(came),
            back.duration_since(left)
        );
    }
    assert_eq!(
        stage.silence(),
        Duration::ZERO,
        "a hole between playlist and source"
    );
}

#[tokio::test]
async fn latency_at_the_decoder() {
    let Some(stage) = Stage::open().await else { return };
    stage.hears(PLAYLIST, LATE).await;
    for (name, container, how) in [
        ("mp3", Container::Mp3, "-c:a libmp3lame -b:a 128k -f mp3"),
        (
            "opus with pages of 1 s",
            Container::Ogg,
            "-c:a libopus -b:a 96k -f ogg",
        ),
    ] {
        let stream = flipping(24.0, how);
        let mut dj = stage.source(0, container);
        let came = Instant::now();
        dj.send(&stream).await;
        dj.leave();
        stage.hears(PLAYLIST, LATE).await;
        let mut late = stage.flips(came);
        late.sort();
        let (p50, worst) = (late[late.len() / 2], late[late.len() - 1]);
        println!("{name}: p50 {p50:?}, worst {worst:?} of {}", late.len());
        assert!(late.len() >= 8 && p50 < LATE, "{late:?}");
    }
    assert_eq!(stage.silence(), Duration::ZERO);
}

#[tokio::test]
async fn a_killed_liquidsoap_has_the_source_back() {
    let Some(stage) = Stage::open().await else { return };
    stage.hears(PLAYLIST, LATE).await;
    let stream = encoded(DJ, 40.0, "-c:a libopus -b:a 96k -page_duration 100000 -f ogg");
    let mut dj = stage.source(0, Container::Ogg);
    let sending = tokio::spawn(async move {
        dj.send(&stream).await;
        dj
    });
    stage.hears(DJ, LATE).await;
    for _ in 0..3 {
        let killed = Instant::now();
        stage.kill_liquidsoap();
        let back = stage
            .hears_after(DJ, killed + Duration::from_millis(300), Duration::from_secs(5))
            .await;
        println!(
            "Liquidsoap killed, the source heard again after {:?}",
            back.duration_since(killed)
        );
    }
    assert!(!sending.is_finished(), "the source never noticed");
    sending.abort();
}

#[tokio::test]
async fn an_ingest_that_comes_back_is_heard_again() {
    let Some(mut stage) = Stage::open().await else {
        return;
    };
    stage.hears(PLAYLIST, LATE).await;
    let stream = encoded(DJ, 60.0, "-c:a libmp3lame -b:a 128k -f mp3");
    let mut dj = stage.source(0, Container::Mp3);
    let sending = tokio::spawn(async move { dj.send(&stream).await });
    stage.hears(DJ, LATE).await;
    for away in [100, 3000] {
        stage.ingest_goes().await;
        sleep(Duration::from_millis(away)).await;
        let before = Instant::now();
        stage.ingest_comes().await;
        let back = stage.hears_after(DJ, before, LATE).await;
        println!(
            "the ingest was away for {away} ms, heard again after {:?}",
            back.duration_since(before)
        );
        assert!(away < 1000 || back.duration_since(before) < SWITCH * 2);
    }
    sending.abort();
    assert_eq!(stage.silence(), Duration::ZERO);
}

#[tokio::test]
async fn the_first_input_is_heard_before_the_second() {
    let Some(stage) = Stage::open().await else { return };
    stage.hears(PLAYLIST, LATE).await;
    let how = "-c:a libmp3lame -b:a 128k -f mp3";
    let (first, second) = (encoded(DJ, 4.0, how), encoded(OTHER, 14.0, how));
    let mut mobile = stage.source(1, Container::Mp3);
    let sending = tokio::spawn(async move {
        mobile.send(&second).await;
        mobile.leave();
    });
    stage.hears(OTHER, LATE).await;
    let mut studio = stage.source(0, Container::Mp3);
    let (_, ()) = tokio::join!(stage.hears(DJ, LATE), studio.send(&first));
    studio.leave();
    stage.hears(OTHER, LATE).await;
    // A second session of one input takes the place of the first, which nobody has ended yet.
    let left_over = stage.source(0, Container::Mp3);
    let again = encoded(DJ, 3.0, "-c:a libopus -f ogg");
    let mut newest = stage.source(0, Container::Ogg);
    let (_, ()) = tokio::join!(stage.hears(DJ, LATE), newest.send(&again));
    newest.leave();
    left_over.leave();
    sending.await.unwrap();
    stage.hears(PLAYLIST, LATE).await;
    assert_eq!(stage.silence(), Duration::ZERO);
}

#[tokio::test]
async fn titles_arrive_and_the_playlists_returns() {
    let Some(stage) = Stage::open().await else { return };
    stage.hears(PLAYLIST, LATE).await;
    stage.is_titled("Somebody - Song").await;
    let tagged = |title: &str, seconds| {
        encoded(
            DJ,
            seconds,
            &format!("-c:a libopus -b:a 96k -page_duration 100000 -metadata title={title} -f ogg"),
        )
    };
    // A chain: each link has its title.
    let chain = [tagged("One", 3.0), tagged("Two", 3.0)].concat();
    let mut dj = stage.source(0, Container::Ogg);
    let ((), _, ()) = tokio::join!(
        async {
            stage.is_titled("One").await;
            stage.is_titled("Two").await;
        },
        stage.hears(DJ, LATE),
        dj.send(&chain)
    );
    dj.leave();
    stage.is_titled("Somebody - Song").await;

    let mut dj = stage.source(0, Container::Mp3);
    dj.title("Ärger - & \u{1f3a7}");
    let stream = encoded(DJ, 4.0, "-c:a libmp3lame -b:a 128k -f mp3");
    let ((), ()) = tokio::join!(stage.is_titled("Ärger - & \u{1f3a7}"), dj.send(&stream));
    dj.leave();
    stage.is_titled("Somebody - Song").await;

    // Who tells no title has not the one before.
    let mut dj = stage.source(0, Container::Mp3);
    let ((), ()) = tokio::join!(stage.is_titled(""), dj.send(&stream));
    dj.leave();
    assert_eq!(stage.silence(), Duration::ZERO);
}

#[tokio::test]
async fn an_agent_that_starts_again_is_heard() {
    let Some(mut stage) = Stage::open().await else {
        return;
    };
    stage.hears(PLAYLIST, LATE).await;
    let stream = encoded(DJ, 40.0, "-c:a libmp3lame -b:a 128k -f mp3");
    let mut dj = stage.source(0, Container::Mp3);
    let sending = tokio::spawn(async move { dj.send(&stream).await });
    stage.hears(DJ, LATE).await;
    stage.agent_starts_again();
    let began = Instant::now();
    let back = stage
        .hears_after(DJ, began + Duration::from_millis(300), Duration::from_secs(10))
        .await;
    println!(
        "playout-agent started again, heard after {:?}",
        back.duration_since(began)
    );
    sending.abort();
}
