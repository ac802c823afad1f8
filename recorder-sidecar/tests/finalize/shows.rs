//! Whole Recordings, from segments to verified objects.

use std::time::Duration;

use ingest::api::Container;
use recorder::finalize::published::{Doubt, GapKind};
use recorder::manifest::{Range, SEGMENTS};

use crate::audio::{flac, framehash, mp3, opus, units, webm};
use crate::stage::{Source, Stage, at};

#[tokio::test]
async fn a_reconnect_makes_one_stream_of_all_packets() {
    let stage = Stage::new().await;
    let (first, second) = (opus(45, 440), opus(30, 880));
    let sessions = vec![
        stage
            .store_session(&Source::new("a", 0, Container::Ogg, first.clone()))
            .await,
        stage
            .store_session(&Source::new("b", 50, Container::Ogg, second.clone()))
            .await,
    ];
    stage.write_manifest(sessions).await;
    stage.finalize().await;

    let published = stage.published(1).await;
    assert_eq!(published.doubts, [], "{}", stage.log());
    assert_eq!(published.objects.len(), 1);
    let object = &published.objects[0];
    let about = (object.key.as_str(), object.links, object.rate, object.channels);
    assert_eq!(about, ("final-1/final-1.ogg", 1, 48_000, 2));
    assert!((object.seconds - 75.0).abs() < 0.1, "{}", object.seconds);
    let made = framehash(&stage.object(&object.key).await);
    let expected = [framehash(&first), framehash(&second)].concat();
    println!(
        "{} packets of {} are in the object, in order",
        made.len(),
        expected.len()
    );
    assert_eq!(made, expected);
    assert_eq!(object.frames, expected.len() as u64);
    let gaps: Vec<_> = published.gaps.iter().map(|gap| (gap.kind, gap.to)).collect();
    assert_eq!(gaps, [(GapKind::NoSource, at(50))]);
    let keys = ["final-1/final-1.ogg", "final-1/final.json", "final-1/final.m3u8"];
    assert_eq!(stage.keys("final-").await, keys);
    assert_eq!(
        stage.keys(SEGMENTS).await,
        [""; 0],
        "the segments are not needed any more"
    );

    // Another attempt finds everything done, and so does a look at it.
    stage.finalize().await;
    assert_eq!(stage.keys("final-").await, keys);
    stage.done(stage.run("verify")).await;
}

#[tokio::test]
async fn titles_are_chapters_and_a_rendition_is_made_beside() {
    let mut stage = Stage::new().await;
    stage.recording["renditions"] = serde_json::json!(["mp3"]);
    let stream = opus(45, 440);
    let half = stream.len() as u64 / 2;
    let source = Source::new("a", 0, Container::Ogg, stream)
        .title(0, 0, "First")
        .title(half, 22, "Second");
    stage
        .write_manifest(vec![stage.store_session(&source).await])
        .await;
    stage.finalize().await;
    let published = stage.published(1).await;
    assert_eq!(published.doubts, [], "{}", stage.log());
    let titles = published.objects[0].titles.iter();
    let titles: Vec<_> = titles
        .map(|title| (title.title.as_str(), title.seconds.round()))
        .collect();
    assert_eq!(titles, [("First", 0.0), ("Second", 23.0)]);
    let made = stage.object("final-1/final-1.ogg").await;
    assert!(made.windows(21).any(|bytes| bytes == b"CHAPTER001NAME=Second"));
    assert_eq!(published.renditions.len(), 1);
    assert!((published.renditions[0].seconds - 45.0).abs() < 1.0);
    assert!(
        stage
            .keys("final-")
            .await
            .contains(&"final-1/rendition-1.mp3".to_owned())
    );
}

#[tokio::test]
async fn who_comes_first_is_heard_and_the_other_goes_on_behind() {
    let stage = Stage::new().await;
    let (car, studio) = (mp3(60, 440), flac(20, 880));
    let mut low = Source::new("car", 0, Container::Mp3, car.clone());
    low.priority = 1;
    let sessions = vec![
        stage.store_session(&low).await,
        stage
            .store_session(&Source::new("studio", 20, Container::Ogg, studio.clone()))
            .await,
    ];
    stage.write_manifest(sessions).await;
    stage.finalize().await;
    let published = stage.published(1).await;
    assert_eq!(
        (&published.doubts[..], &published.gaps[..]),
        (&[][..], &[][..]),
        "{}",
        stage.log()
    );
    let keys: Vec<_> = published
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "final-1/final-1.mp3",
            "final-1/final-2.ogg",
            "final-1/final-3.mp3"
        ]
    );
    assert_eq!(framehash(&stage.object(keys[1]).await), framehash(&studio));
    let frames = |stream: &[u8]| {
        units(Container::Mp3, stream)
            .into_iter()
            .map(|unit| unit.bytes)
            .collect::<Vec<_>>()
    };
    let (all, before, behind) = (
        frames(&car),
        frames(&stage.object(keys[0]).await),
        frames(&stage.object(keys[2]).await),
    );
    assert!(all.starts_with(&before) && all.ends_with(&behind));
    for (length, expected) in [(before.len(), 20.0), (behind.len(), 20.0)] {
        let seconds = f64::from(u32::try_from(length).unwrap()) * 1152.0 / 44_100.0;
        assert!((seconds - expected).abs() < 1.0, "{seconds}");
    }
}

#[tokio::test]
async fn a_browser_comes_out_as_ogg() {
    let stage = Stage::new().await;
    let stream = webm(20, 440);
    let sessions = vec![
        stage
            .store_session(&Source::new("a", 0, Container::Webm, stream.clone()))
            .await,
    ];
    stage.write_manifest(sessions).await;
    stage.finalize().await;
    let published = stage.published(1).await;
    assert_eq!(published.doubts, [], "{}", stage.log());
    assert_eq!(
        framehash(&stage.object("final-1/final-1.ogg").await),
        framehash(&stream)
    );
}

#[tokio::test]
async fn what_is_lost_is_told_and_published_again_when_it_is_back() {
    let stage = Stage::new().await;
    let stream = opus(60, 440);
    let whole = stage
        .store_session(&Source::new("a", 0, Container::Ogg, stream.clone()))
        .await;
    let mut holed = whole.clone();
    let gone = holed.segments.remove(2);
    stage.write_manifest(vec![holed]).await;
    stage.finalize().await;
    let first = stage.published(1).await;
    assert_eq!(
        first.doubts,
        [Doubt::Lost {
            bytes: gone.range.bytes()
        }]
    );
    let lost: Vec<Range> = first
        .gaps
        .iter()
        .filter_map(|gap| Some(gap.lost.as_ref()?.bytes))
        .collect();
    assert_eq!(lost, [gone.range]);
    assert_eq!(
        stage.keys(SEGMENTS).await.len(),
        whole.segments.len(),
        "the segments stay"
    );
    let (all, there) = (
        framehash(&stream),
        framehash(&stage.object("final-1/final-1.ogg").await),
    );
    assert!(
        there.len() < all.len() && there.len() * 10 > all.len() * 8,
        "{} of {}",
        there.len(),
        all.len()
    );

    stage.write_manifest(vec![whole]).await;
    stage.finalize().await;
    let second = stage.published(2).await;
    assert_eq!((&second.doubts[..], &second.gaps[..]), (&[][..], &[][..]));
    assert_eq!(framehash(&stage.object("final-2/final-1.ogg").await), all);
    assert_eq!(stage.published(1).await, first, "a version never changes");
    assert_eq!(stage.keys(SEGMENTS).await, [""; 0]);
}

#[tokio::test]
async fn a_spoiled_segment_is_not_published_as_if_it_were_right() {
    let stage = Stage::new().await;
    let mut taped = stage
        .store_session(&Source::new("a", 0, Container::Mp3, mp3(60, 440)))
        .await;
    taped.segments[2].sha256 = taped.segments[1].sha256.clone();
    let range = taped.segments[2].range;
    stage.write_manifest(vec![taped]).await;
    stage.finalize().await;
    let published = stage.published(1).await;
    let lost: Vec<Range> = published
        .gaps
        .iter()
        .filter_map(|gap| Some(gap.lost.as_ref()?.bytes))
        .collect();
    assert_eq!(lost, [range]);
    assert!(!stage.keys(SEGMENTS).await.is_empty());
}

#[tokio::test]
async fn a_large_show_is_stored_in_parts_across_kills_with_little_memory() {
    let stage = Stage::new().await;
    // 40 kB a second: 48 minutes, 115 MB.
    let stream = mp3(60, 440).repeat(48);
    let sessions = vec![
        stage
            .store_session(&Source::new("a", 0, Container::Mp3, stream.clone()))
            .await,
    ];
    stage.write_manifest(sessions).await;
    let mut killed = 0;
    for parts in [1, 3] {
        let mut child = stage.run("finalize");
        loop {
            let mut there = 0;
            for upload in stage.store.list_uploads("final-").await.unwrap() {
                there = there.max(
                    stage
                        .store
                        .list_parts(&upload)
                        .await
                        .map_or(0, |parts| parts.len()),
                );
            }
            if there >= parts {
                child.start_kill().unwrap();
                child.wait().await.unwrap();
                killed += 1;
                break;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(killed > 0, "{}", stage.log());
    let memory = stage.finalize().await;
    println!(
        "{} MB, killed {killed} times, at most {} MiB of memory",
        stream.len() / 1_000_000,
        memory / 1024
    );
    assert!(memory < 128 << 10, "{memory} KiB");
    let published = stage.published(1).await;
    assert_eq!(published.doubts, [], "{}", stage.log());
    assert_eq!(published.objects.len(), 1);
    let made = stage.object("final-1/final-1.mp3").await;
    let tag = made.len() - stream.len();
    assert!(
        made.starts_with(b"ID3") && tag < 200 && made[tag..] == stream,
        "the frames are the source's"
    );
    assert!(
        stage.store.list_uploads("final-").await.unwrap().is_empty(),
        "no parts are left behind"
    );
    assert_eq!(
        stage.keys("final-").await,
        ["final-1/final-1.mp3", "final-1/final.json", "final-1/final.m3u8"]
    );
}
