//! kill -9 of finalize, and of the programs it runs.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use e2e::harness::{is_full, rows};
use e2e::sound::Codec;
use e2e::twin::Operation;
use futures::future::join_all;
use ingest::config::Routing::Live;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::sleep;

use crate::moments::{Moment, killed_in_turn};
use crate::oracle::{Figures, OnAir, Row};
use crate::sound::{Sound, codecs, minute, minutes};
use crate::stage::{Sent, Station};

/// A show that is in the bucket, in segments.
async fn shipped(sound: &Sound) -> (Station, Sent, Figures) {
    let station = Station::new().await;
    let mut recorder = station.record();
    let sent = station.connect("studio", Live, sound).await.played_out().await;
    let bytes = station.recorded(&mut recorder, &[&sent]).await;
    (station, sent, bytes)
}

#[tokio::test]
async fn killed_at_each_request_in_turn() {
    let all = codecs(Codec::Opus)
        .into_iter()
        .flat_map(|codec| rows(&Moment::ALL).iter().map(move |moment| (codec, *moment)));
    let rows = all.map(|(codec, moment)| async move {
        let (station, sent, bytes) = shipped(&minute(codec, 440).await).await;
        let at = killed_in_turn(&station, moment, &[], async || station.finalize()).await;
        let fault = format!("kill -9 of finalize at each S3 call ({}), {moment:?}", at.len());
        let row = Row::of(&station, fault, codec, bytes, &[OnAir::all(&sent)]).await;
        row.is_whole_and_without_gaps();
        println!("killed at {at:?}");
        assert!(at.contains(&Operation::GetObject), "{at:?}");
    });
    join_all(rows).await;
}

/// An object that is stored in parts.
#[tokio::test]
async fn killed_at_each_request_of_an_upload_in_parts() {
    const FOR_PARTS: [Operation; 5] = [
        Operation::CompleteMultipartUpload,
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::ListMultipartUploads,
        Operation::ListParts,
    ];
    if !is_full() {
        println!("not run here: an upload in parts; RADIO_FULL=1 runs it");
        return;
    }
    let rows = Moment::ALL.map(async |moment| {
        let (mut station, sent, bytes) = shipped(&minutes(Codec::OggFlac, 440, 6).await).await;
        delete_segments(&mut station, false);
        let mut at = Vec::new();
        for operation in FOR_PARTS {
            // Each finds everything still to be done.
            forget_final(&station).await;
            let killed = killed_in_turn(&station, moment, &[operation], async || station.finalize()).await;
            assert!(
                !killed.is_empty() || operation == Operation::ListParts,
                "{operation:?} is not asked for"
            );
            at.extend(killed);
            let left = station.recorders_store().list_uploads("final-").await.unwrap();
            assert!(left.is_empty(), "parts that nobody completes: {left:?}");
        }
        delete_segments(&mut station, true);
        station.finalized().await;
        let fault = format!(
            "kill -9 of finalize at each call for parts ({}), {moment:?}",
            at.len()
        );
        let on_air = [OnAir::all(&sent)];
        let row = Row::of(&station, fault, Codec::OggFlac, bytes, &on_air).await;
        row.is_whole_and_without_gaps();
        println!("killed at {at:?}");
    });
    join_all(rows).await;
}

fn delete_segments(station: &mut Station, after_verify: bool) {
    station.recording["deleteSegmentsAfterVerify"] = after_verify.into();
    station.tell();
}

async fn forget_final(station: &Station) {
    let keys = station.keys_below("final-").await;
    station.store().delete(&keys).await.unwrap();
}

/// A program that finalize runs.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// Counts the packets.
    Ffprobe,
    /// Makes the MP3.
    Transcoder,
    /// Listens to a sample; of these there are many, counted from 0.
    Listener(usize),
}

impl Victim {
    const ALL: [Self; 7] = [
        Self::Transcoder,
        Self::Ffprobe,
        Self::Listener(0),
        Self::Listener(1),
        Self::Listener(7),
        Self::Listener(14),
        // Of the MP3, which is listened to as well.
        Self::Listener(20),
    ];

    fn is(self, command: &str) -> bool {
        command.contains(match self {
            Self::Ffprobe => "ffprobe",
            Self::Transcoder => "libmp3lame",
            Self::Listener(_) => "volumedetect",
        })
    }

    /// Waits for it and kills it; false if the process ends before.
    async fn falls(self, finalize: &mut Child) -> bool {
        let before = if let Self::Listener(number) = self {
            number
        } else {
            0
        };
        let mut seen = HashSet::new();
        while finalize.try_wait().unwrap().is_none() {
            for child in children(finalize.id().unwrap()) {
                let command = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
                if self.is(&command) && seen.insert(child) && seen.len() > before {
                    return kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).is_ok();
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }
}

fn children(pid: u32) -> Vec<i32> {
    let told = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    told.split_whitespace()
        .map(|child| child.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn its_ffmpeg_killed_in_turn() {
    let rows = codecs(Codec::WebmOpus).into_iter().map(|codec| async move {
        let (mut station, sent, bytes) = shipped(&minute(codec, 440).await).await;
        station.recording["renditions"] = serde_json::json!(["mp3"]);
        delete_segments(&mut station, false);
        let mut killed = Vec::new();
        for victim in if is_full() {
            &Victim::ALL[..]
        } else {
            &Victim::ALL[..3]
        } {
            let mut finalize = station.finalize();
            if victim.falls(&mut finalize).await {
                killed.push(*victim);
            }
            // Its Job starts it again when it fails.
            if !finalize.wait().await.unwrap().success() {
                station.finalized().await;
            }
            let published = station.published(1).await;
            assert_eq!(published.doubts, [], "{victim:?} was killed\n{}", station.log());
            forget_final(&station).await;
        }
        delete_segments(&mut station, true);
        let published = station.finalized().await;
        assert_eq!(published.renditions.len(), usize::from(codec != Codec::Mp3));
        let fault = format!("kill -9 of finalize's ffmpeg and ffprobe ({})", killed.len());
        let row = Row::of(&station, fault, codec, bytes, &[OnAir::all(&sent)]).await;
        row.is_whole_and_without_gaps();
        println!("killed {killed:?}");
        assert!(killed.len() > 1, "{killed:?}");
    });
    join_all(rows).await;
}
