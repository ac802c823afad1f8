//! kill -9 of the ingest: what it had taken from a socket is in the bucket, and only what the DJ could not deliver is lost.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use e2e::harness::is_full;
use e2e::sound::{Codec, Cut};
use futures::future::join_all;
use ingest::config::Routing::Live;
use rand::RngExt;
use recorder::published::GapKind;
use tokio::time::sleep;

use crate::oracle::{Log, OnAir, Row};
use crate::sound::{codecs, minutes};
use crate::stage::{Sent, Station};

/// What the ingest may have in its hands between socket and tape.
const ONE_READ: u64 = 64 << 10;

#[tokio::test]
async fn only_what_could_not_be_delivered_is_lost() {
    let kills = if is_full() { 10 } else { 3 };
    let rows = codecs(Codec::Mp3).into_iter().map(|codec| async move {
        let sound = minutes(codec, 440, 3).await;
        let mut station = Station::new().await;
        let mut recorder = station.record();
        let (mut sent, mut undelivered) = (Vec::new(), 0);
        for _ in 0..kills {
            let dj = station.connect("studio", Live, &sound).await;
            dj.until(sound.at(5)).await;
            sleep(Duration::from_millis(rand::rng().random_range(0..1_500))).await;
            // Sent first: what is written meanwhile counts as waiting, so this is never too little.
            let took = dj.dj.sent();
            let waiting = station
                .kill_ingest(|station| waiting(station.sources()).values().sum::<u64>())
                .await;
            let gone = dj.cut(Cut::Fin).await;
            undelivered += gone.bytes.len() as u64 - took.saturating_sub(waiting);
            sent.push(gone);
            station.start_ingest().await;
        }
        let last = station.connect("studio", Live, &sound).await;
        last.until(sound.at(20)).await;
        sent.push(last.cut(Cut::Fin).await);

        station.over(&mut recorder.ship).await;
        let (bytes, kept) = against_the_tape(&station, &sent).await;
        station.finalized().await;
        for (sent, kept) in sent.iter_mut().zip(kept) {
            sent.bytes.truncate(usize::try_from(kept).unwrap());
        }
        let on_air: Vec<_> = sent.iter().map(OnAir::all).collect();
        let fault = format!("ingest killed -9 ({kills}): {undelivered} bytes never read");
        let row = Row::of(&station, fault, codec, bytes, &on_air).await;
        assert!(row.packets.is_whole(), "{row}");
        assert!(
            row.bytes.lost <= undelivered + ONE_READ * kills,
            "more is lost than was not read: {row}"
        );
        let kinds: Vec<_> = row.gaps.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, vec![GapKind::NoSource; usize::try_from(kills).unwrap()]);
    });
    join_all(rows).await;
}

/// What is on a tape is in the bucket, and it is how its DJ's log begins. Gives how long each is.
async fn against_the_tape(station: &Station, sent: &[Sent]) -> (crate::oracle::Figures, Vec<u64>) {
    let manifest = station.manifest().await;
    let logs: Vec<Log<'_>> = sent.iter().map(|sent| sent.log(&manifest)).collect();
    let (bytes, holes) = station.compare(&logs).await;
    let mut kept = Vec::new();
    for log in &logs {
        let on_tape = fs::read(station.tape(log.session)).unwrap();
        assert!(log.bytes.starts_with(&on_tape), "{}", log.session);
        kept.push(on_tape.len() as u64);
    }
    let ends = logs
        .iter()
        .zip(&kept)
        .filter(|(log, kept)| **kept < log.bytes.len() as u64);
    let ends: Vec<_> = ends.map(|(log, kept)| (*kept, log.bytes.len() as u64)).collect();
    assert_eq!(holes, ends, "the bucket has what the tapes have");
    (bytes, kept)
}

/// Bytes on the way to this address that nobody has read yet, by the port they come from.
fn waiting(to: SocketAddr) -> BTreeMap<u16, u64> {
    let mut waiting = BTreeMap::new();
    for line in fs::read_to_string("/proc/net/tcp").unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, _, queues, ..] = fields.as_slice() else {
            continue;
        };
        let port = |address: &str| {
            let (_, port) = address.split_once(':').unwrap();
            u16::from_str_radix(port, 16).unwrap()
        };
        let (sending, received) = queues.split_once(':').unwrap();
        let (from, queue) = match (port(local), port(remote)) {
            (local, remote) if remote == to.port() => (local, sending),
            (local, remote) if local == to.port() => (remote, received),
            _ => continue,
        };
        *waiting.entry(from).or_default() += u64::from_str_radix(queue, 16).unwrap();
    }
    waiting
}
