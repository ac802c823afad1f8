//! kill -9 of capture and of ship, and pods that are lost with their node.

use std::fs;
use std::time::Duration;

use e2e::harness::rows;
use e2e::sound::Codec;
use e2e::twin::Operation;
use futures::future::join_all;
use ingest::config::Routing;
use rand::RngExt;
use tokio::time::sleep;

use crate::moments::{Moment, killed_in_turn};
use crate::oracle::{OnAir, Row};
use crate::sound::{codecs, minutes};
use crate::stage::{Station, Tape, kill};

/// capture and ship, at moments of which nobody knows what they do then.
#[tokio::test]
async fn capture_and_ship_killed_at_random() {
    let rows = codecs(Codec::Opus).into_iter().map(|codec| async move {
        let sound = minutes(codec, 440, 2).await;
        let station = Station::new().await;
        let mut recorder = station.record();
        let dj = station.connect("studio", Routing::Live, &sound).await;
        let mut kills = [0, 0];
        while dj.dj.is_on_air() {
            let pause = rand::rng().random_range(20..400);
            sleep(Duration::from_millis(pause)).await;
            if rand::rng().random_bool(0.5) {
                kill(&mut recorder.capture).await;
                recorder.capture = station.capture();
                kills[0] += 1;
            } else {
                kill(&mut recorder.ship).await;
                recorder.ship = station.ship();
                kills[1] += 1;
            }
        }
        let sent = dj.played_out().await;
        let bytes = station.recorded(&mut recorder, &[&sent]).await;
        station.finalized().await;
        let fault = format!("kill -9 of capture ({} times) and ship ({})", kills[0], kills[1]);
        let row = Row::of(&station, fault, codec, bytes, &[OnAir::all(&sent)]).await;
        row.is_whole_and_without_gaps();
        assert!(kills[0] + kills[1] > 3, "{kills:?}");
    });
    join_all(rows).await;
}

/// capture knows no store: it is killed whenever ship is.
#[tokio::test]
async fn capture_and_ship_killed_at_each_request_in_turn() {
    let all = codecs(Codec::Mp3)
        .into_iter()
        .flat_map(|codec| rows(&Moment::ALL).iter().map(move |moment| (codec, *moment)));
    let rows = all.map(|(codec, moment)| async move {
        let sound = minutes(codec, 440, 3).await;
        let station = Station::new().await;
        let dj = station.connect("studio", Routing::Live, &sound).await;
        let mut capture = station.capture();
        let at = killed_in_turn(&station, moment, &[], async || {
            kill(&mut capture).await;
            capture = station.capture();
            station.ship()
        });
        let at = at.await;
        let sent = dj.played_out().await;
        let manifest = station.manifest().await;
        let bytes = station.nothing_is_lost(&[sent.log(&manifest)]).await;
        station.finalized().await;
        let fault = format!(
            "kill -9 of capture and ship at each S3 call ({}), {moment:?}",
            at.len()
        );
        let row = Row::of(&station, fault, codec, bytes, &[OnAir::all(&sent)]).await;
        row.is_whole_and_without_gaps();
        println!("killed at {at:?}");
        assert!(at.contains(&Operation::PutObject), "{at:?}");
    });
    join_all(rows).await;
}

/// The pod and its node are gone, the spool with them: the next attempt has the bucket and the tape.
#[tokio::test]
async fn a_lost_pod_is_replaced_by_another() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (mut capture, mut ship) = (stage.capture(), stage.ship());
    for round in 0..3 {
        show.play(60, 30).await;
        if round == 1 {
            stage.twin.outage(e2e::twin::Outage::Refuse);
            show.play(30, 30).await;
        }
        kill(&mut capture).await;
        kill(&mut ship).await;
        fs::remove_dir_all(stage.spool()).unwrap();
        stage.twin.outage(e2e::twin::Outage::None);
        (capture, ship) = (stage.capture(), stage.ship());
    }
    show.play(30, 30).await;
    show.end();
    stage.over(&mut ship).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// A zombie of a lost node goes on beside its replacement.
#[tokio::test]
async fn two_attempts_at_once_double_nothing() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(40, 20).await;
    let [_other_capture, mut other] = stage.elsewhere();
    show.play(200, 40).await;
    show.end();
    stage.over(&mut ship).await;
    stage.over(&mut other).await;
    stage.nothing_is_lost(&[show.log()]).await;
}

/// What the spool gave back and the bucket then lost is a hole, and no zeros.
#[tokio::test]
async fn what_vanishes_from_the_bucket_is_told() {
    let stage = Tape::new().await;
    let mut show = stage.begin(Routing::Live);
    let (_capture, mut ship) = (stage.capture(), stage.ship());
    show.play(80, 40).await;
    let freed = stage.spool().join(&show.id).join("freed");
    let given_back = async || fs::read_to_string(&freed).is_ok_and(|to| to.parse::<u64>().unwrap() > 700_000);
    stage
        .until("some segments are stored and given back", given_back)
        .await;
    kill(&mut ship).await;
    let stored = stage.bucket().await.remove(&show.id).unwrap();
    let (from, bytes) = stored.segments.into_iter().nth(2).unwrap();
    let to = from + bytes.len() as u64;
    let range = recorder::manifest::Range { from, to };
    let key = recorder::manifest::segment_key(&show.id, range, ingest::api::Container::Mp3);
    stage.store().delete(&[key]).await.unwrap();
    let mut ship = stage.ship();
    show.end();
    stage.over(&mut ship).await;
    assert_eq!(stage.compare(&[show.log()]).await.1, [(from, to)]);
    assert_eq!(stage.manifest().await.sessions[0].lost, [range]);
}
