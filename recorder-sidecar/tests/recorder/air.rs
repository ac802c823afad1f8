//! Who is on air: rehearsals that go live and back, DJs who come again, and DJs who hand over. The gaps of the Recording are
//! just those that the DJs made.

use std::time::Duration;

use e2e::harness::is_full;
use e2e::sound::{Codec, Cut};
use futures::future::join_all;
use ingest::api::Line;
use ingest::config::Routing::{self, Live, Rehearsal};
use jiff::{SignedDuration, Timestamp};
use recorder::published::{Final, GapKind};
use tokio::time::sleep;

use crate::oracle::{OnAir, Row};
use crate::sound::{FAST, codecs, minute, minutes, speed};
use crate::stage::{Sent, Station};

/// A clock that is read by another process, on a busy machine.
const MOMENT: SignedDuration = SignedDuration::from_millis(1_500);
/// The wall clock of a tape's bytes is right to a second.
const SECOND: u32 = 1;

fn times() -> usize {
    if is_full() { 10 } else { 3 }
}

fn is_about(found: Timestamp, expected: Timestamp) {
    let off = found.duration_since(expected).abs();
    assert!(off <= MOMENT, "{found} instead of {expected}");
}

/// Each gap is of this kind and about this long: when somebody left, and when somebody came.
fn has_gaps(published: &Final, expected: &[(GapKind, Timestamp, Timestamp)]) {
    let found: Vec<_> = published.gaps.iter().map(|gap| gap.kind).collect();
    let kinds: Vec<_> = expected.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(found, kinds);
    for (gap, (_, from, to)) in published.gaps.iter().zip(expected) {
        is_about(gap.from, *from);
        is_about(gap.to, *to);
    }
}

/// One connection, whose credential is routed to and fro.
#[tokio::test]
async fn test_live_test_by_routing() {
    let rows = codecs(Codec::Opus).into_iter().map(|codec| async move {
        // More than is needed: it is left when everything was done.
        let sound = minutes(codec, 440, if is_full() { 12 } else { 4 }).await;
        let mut station = Station::new().await;
        let mut recorder = station.record();
        let dj = station.connect_at(FAST, "studio", Rehearsal, &sound).await;
        dj.until(sound.at(5)).await;
        let mut changes = Vec::new();
        for routing in [Live, Rehearsal].repeat(times()) {
            station.route(&dj.user, routing).await;
            changes.push(Timestamp::now());
            sleep(Duration::from_millis(300)).await;
        }
        let sent = dj.cut(Cut::Fin).await;
        station.over(&mut recorder.ship).await;
        let routings = routings(&station).await;
        assert_eq!(routings.len(), changes.len());
        // The test after the show is nobody's.
        let manifest = station.manifest().await;
        let (mut bytes, holes) = station.compare(&[sent.log(&manifest)]).await;
        if let [(from, _)] = holes[..]
            && from >= routings[changes.len() - 1]
        {
            bytes.lost = 0;
        }
        let on_air: Vec<_> = routings
            .chunks(2)
            .map(|turn| OnAir {
                sent: &sent,
                bytes: Some(turn[0]..turn[1]),
            })
            .collect();
        let published = station.finalized().await;
        let fault = format!("test -> live -> test, {} times, routed", times());
        let row = Row::of(&station, fault, codec, bytes, &on_air).await;
        row.is_whole();
        let silences = changes[1..].chunks_exact(2);
        let expected: Vec<_> = silences
            .map(|pair| (GapKind::Rehearsal, pair[0], pair[1]))
            .collect();
        has_gaps(&published, &expected);
    });
    join_all(rows).await;
}

/// Where in the stream its routing changed, as the tape says.
async fn routings(station: &Station) -> Vec<u64> {
    let manifest = station.manifest().await;
    let changes = manifest.sessions[0].lines.iter();
    let changes: Vec<(u64, Routing)> = changes
        .filter_map(|line| match *line {
            Line::Routing { at, routing, .. } => Some((at, routing)),
            _ => None,
        })
        .collect();
    let expected = [Live, Rehearsal].iter().cycle();
    assert!(
        changes
            .iter()
            .zip(expected)
            .all(|((_, found), next)| found == next)
    );
    changes.into_iter().map(|(at, _)| at).collect()
}

/// The DJ connects as another user for the test, and again for the show.
#[tokio::test]
async fn test_live_test_by_reconnecting() {
    let rows = codecs(Codec::Mp3).into_iter().map(|codec| async move {
        let sound = minutes(codec, 440, 2).await;
        let station = Station::new().await;
        let mut recorder = station.record();
        let (mut live, mut tests) = (Vec::new(), Vec::new());
        for turn in 0..=2 * times() {
            let routing = if turn % 2 == 0 { Rehearsal } else { Live };
            let dj = station.connect("studio", routing, &sound).await;
            dj.until(sound.at(speed() * 4 / 5)).await;
            let sent = dj.cut(Cut::Fin).await;
            if routing == Live {
                live.push(sent);
            } else {
                tests.push(sent);
            }
        }
        let all: Vec<&Sent> = live.iter().collect();
        let bytes = station.recorded(&mut recorder, &all).await;
        let published = station.finalized().await;
        let fault = format!("test -> live -> test, {} times, connected again", times());
        let on_air: Vec<_> = live.iter().map(OnAir::all).collect();
        let row = Row::of(&station, fault, codec, bytes, &on_air).await;
        row.is_whole();
        let between = |index: usize| {
            let (before, test, after) = (&live[index], &tests[index + 1], &live[index + 1]);
            [
                (GapKind::NoSource, before.to, test.from),
                (GapKind::Rehearsal, test.from, test.to),
                (GapKind::NoSource, test.to, after.from),
            ]
        };
        let expected: Vec<_> = (0..live.len() - 1).flat_map(between).collect();
        has_gaps(&published, &expected);
    });
    join_all(rows).await;
}

#[tokio::test]
async fn a_dj_comes_again() {
    let rows = codecs(Codec::OggFlac).into_iter().map(|codec| async move {
        let sound = minutes(codec, 440, 2).await;
        let station = Station::new().await;
        let mut recorder = station.record();
        let mut sent = Vec::new();
        for turn in 0..=times() {
            let dj = station.connect("studio", Live, &sound).await;
            dj.until(sound.at(speed() * 4 / 5)).await;
            sent.push(dj.cut(Cut::Fin).await);
            if turn < times() {
                sleep(Duration::from_secs(2)).await;
            }
        }
        let all: Vec<&Sent> = sent.iter().collect();
        let bytes = station.recorded(&mut recorder, &all).await;
        let published = station.finalized().await;
        let fault = format!("a DJ connects again, {} times", times());
        let on_air: Vec<_> = sent.iter().map(OnAir::all).collect();
        let row = Row::of(&station, fault, codec, bytes, &on_air).await;
        row.is_whole();
        let pairs = sent.windows(2);
        let expected: Vec<_> = pairs
            .map(|pair| (GapKind::NoSource, pair[0].to, pair[1].from))
            .collect();
        has_gaps(&published, &expected);
    });
    join_all(rows).await;
}

/// The studio takes over from a DJ on the road, who goes on behind.
#[tokio::test]
async fn two_djs_hand_over() {
    let rows = codecs(Codec::Opus).into_iter().map(|codec| async move {
        let (road, studio) = (minutes(codec, 440, 2).await, minute(codec, 880).await);
        let station = Station::new().await;
        let mut recorder = station.record();
        let mobile = station.connect_at(FAST, "mobile", Live, &road).await;
        mobile.until(road.at(30)).await;
        let taken = station.connect_at(FAST, "studio", Live, &studio).await;
        let from = mobile.dj.sent();
        let studio = taken.played_out().await;
        let to = mobile.dj.sent();
        let mobile = mobile.played_out().await;
        let bytes = station.recorded(&mut recorder, &[&mobile, &studio]).await;
        let published = station.finalized().await;
        let [before, between, behind] = &published.intervals[..] else {
            panic!("{:?}", published.intervals)
        };
        assert_eq!(between.input, "studio");
        for (found, expected) in [(before.bytes.to, from), (behind.bytes.from, to)] {
            assert!(
                found.abs_diff(expected) < road.at(2 * SECOND * FAST),
                "{found} {expected}"
            );
        }
        let on_air = [
            OnAir {
                sent: &mobile,
                bytes: Some(0..before.bytes.to),
            },
            OnAir::all(&studio),
            OnAir {
                sent: &mobile,
                bytes: Some(behind.bytes.from..mobile.bytes.len() as u64),
            },
        ];
        let row = Row::of(&station, "two DJs hand over", codec, bytes, &on_air).await;
        row.is_whole_and_without_gaps();
    });
    join_all(rows).await;
}

#[tokio::test]
async fn studio_in_opus_then_mobile_in_mp3() {
    let (opus, mp3) = (minute(Codec::Opus, 440).await, minute(Codec::Mp3, 880).await);
    let station = Station::new().await;
    let mut recorder = station.record();
    let studio = station.connect("studio", Live, &opus).await.played_out().await;
    sleep(Duration::from_secs(2)).await;
    let mobile = station.connect("mobile", Live, &mp3).await.played_out().await;
    let bytes = station.recorded(&mut recorder, &[&studio, &mobile]).await;
    let published = station.finalized().await;
    let fault = "studio in Opus, then mobile in MP3";
    let on_air = [OnAir::all(&studio), OnAir::all(&mobile)];
    let row = Row::of(&station, fault, Codec::Opus, bytes, &on_air).await;
    row.is_whole();
    has_gaps(&published, &[(GapKind::NoSource, studio.to, mobile.from)]);
    let codecs: Vec<_> = published.objects.iter().map(|object| &*object.codec).collect();
    assert_eq!(codecs, ["opus", "mp3"]);
}
