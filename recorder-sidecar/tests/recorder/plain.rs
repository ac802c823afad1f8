//! Shows on which nothing goes wrong, with real audio.

use std::time::Duration;

use e2e::sound::{Codec, Script, Tone};
use futures::future::join_all;
use ingest::config::Routing::Live;

use crate::oracle::{OnAir, Row};
use crate::sound::{FAST, Sound, codecs, encode, minute, minutes, speed};
use crate::stage::{Connection, Station};

/// One show by one DJ, who does something meanwhile.
async fn show(fault: &str, sound: Sound, speed: u32, meanwhile: impl AsyncFnOnce(&Connection)) -> Station {
    let station = Station::new().await;
    let mut recorder = station.record();
    let dj = station.connect_at(speed, "studio", Live, &sound).await;
    meanwhile(&dj).await;
    let sent = dj.played_out().await;
    assert_eq!(sent.bytes, sound.bytes);
    let bytes = station.recorded(&mut recorder, &[&sent]).await;
    station.finalized().await;
    let row = Row::of(&station, fault, sound.codec, bytes, &[OnAir::all(&sent)]).await;
    row.is_whole_and_without_gaps();
    station
}

#[tokio::test]
async fn nothing_happens() {
    let rows = codecs(Codec::Opus).into_iter().map(|codec| async move {
        show("none", minute(codec, 440).await, speed(), async |_| ()).await;
    });
    join_all(rows).await;
}

/// Beside the stream; inside it where that is how titles come: each is a link of an Ogg chain. `WebM` has none on its way.
#[tokio::test]
async fn a_title_every_five_seconds() {
    let all = codecs(Codec::Mp3).into_iter();
    let rows = all
        .filter(|codec| *codec != Codec::WebmOpus)
        .map(|codec| async move {
            let titles: Vec<String> = (1..12).map(|number| format!("Song {number}")).collect();
            let in_stream = codec != Codec::Mp3;
            let sound = if in_stream {
                chain(codec, &titles).await
            } else {
                minute(codec, 550).await
            };
            let tell = async |dj: &Connection| {
                let beside = titles.iter().filter(|_| !in_stream);
                for (second, title) in (1..).map(|number| number * 5).zip(beside) {
                    dj.until(sound.at(second)).await;
                    dj.dj.title(title).await.unwrap();
                }
            };
            let station = show("a title every 5 s", sound.clone(), FAST, tell).await;
            let published = station.published(1).await;
            assert_eq!(published.objects.len(), 1);
            let told = published.objects[0].titles.iter();
            let told: Vec<&str> = told.map(|title| &*title.title).collect();
            assert_eq!(told, titles);
        });
    join_all(rows).await;
}

async fn chain(codec: Codec, titles: &[String]) -> Sound {
    let links = titles.iter().map(|title| encode(codec, 550, 5, title));
    let links = join_all(links).await.into_iter();
    links.reduce(|chain, link| chain.and(&link)).unwrap()
}

/// Encoded meanwhile: a codec says little of silence, and it takes its time all the same.
#[tokio::test]
async fn two_minutes_of_digital_silence() {
    let rows = codecs(Codec::OggFlac).into_iter().map(|codec| async move {
        let seconds = Duration::from_secs;
        let script = Script::default()
            .then(Tone::Hz(440), seconds(30))
            .then(Tone::Silence, seconds(120))
            .then(Tone::Hz(660), seconds(30));
        let station = Station::new().await;
        let mut recorder = station.record();
        let dj = station.encode("studio", codec, &script).await;
        let sent = dj.played_out().await;
        let bytes = station.recorded(&mut recorder, &[&sent]).await;
        let published = station.finalized().await;
        assert!((published.seconds - 180.0).abs() < 0.5, "{}", published.seconds);
        let on_air = [OnAir::all(&sent)];
        let row = Row::of(&station, "120 s of digital silence", codec, bytes, &on_air).await;
        row.is_whole_and_without_gaps();
    });
    join_all(rows).await;
}

/// Of one codec, and of two, which are two objects then.
#[tokio::test]
async fn two_chained_ogg_streams() {
    let all = [
        [Codec::Opus, Codec::Opus],
        [Codec::OggFlac, Codec::OggFlac],
        [Codec::Opus, Codec::OggFlac],
    ];
    let rows = e2e::harness::rows(&all)
        .iter()
        .map(|&[first, second]| async move {
            let sound = minute(first, 440).await.and(&minute(second, 880).await);
            let fault = format!("two chained Ogg streams, the second {second:?}");
            let station = show(&fault, sound, speed(), async |_| ()).await;
            let objects = station.published(1).await.objects.len();
            assert_eq!(objects, if first == second { 1 } else { 2 });
        });
    join_all(rows).await;
}

#[tokio::test]
async fn the_recorder_is_placed_ten_minutes_late() {
    let rows = codecs(Codec::WebmOpus).into_iter().map(|codec| async move {
        let sound = minutes(codec, 440, 11).await;
        let station = Station::new().await;
        let dj = station.connect("studio", Live, &sound).await;
        dj.until(sound.at(600)).await;
        assert!(station.spool().read_dir().is_err(), "there was a recorder before");
        let mut recorder = station.record();
        let sent = dj.played_out().await;
        let bytes = station.recorded(&mut recorder, &[&sent]).await;
        station.finalized().await;
        let fault = "recorder placed 10 min late";
        let row = Row::of(&station, fault, codec, bytes, &[OnAir::all(&sent)]).await;
        row.is_whole_and_without_gaps();
    });
    join_all(rows).await;
}
