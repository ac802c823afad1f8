//! Slots of Shows: how much of one there is, and what somebody marked in it.

use ingest::api::{Container, Line};
use recorder::finalize::published::{Doubt, GapKind};

use crate::audio::{mp3, opus};
use crate::stage::{Source, Stage, at};

/// A slot of a minute that may be overrun by another, and of which 90 % are asked for.
async fn slot() -> Stage {
    let mut stage = Stage::new().await;
    stage.recording["window"] = serde_json::json!({ "from": at(0), "until": at(120) });
    stage.recording["show"] = serde_json::json!({ "name": "night-shift", "slotEnd": at(60) });
    stage.recording["minCoveragePercent"] = 90.into();
    stage
}

async fn finalize(stage: &Stage, source: &Source) {
    let taped = stage.store_session(source).await;
    stage.write_manifest(vec![taped]).await;
    stage.finalize().await;
}

#[tokio::test]
async fn a_slot_is_covered_to_its_end_and_nobody_has_to_overrun_it() {
    let stage = slot().await;
    finalize(&stage, &Source::new("a", 0, Container::Ogg, opus(60, 440))).await;
    let published = stage.published(1).await;
    assert_eq!(
        (&published.doubts[..], &published.gaps[..]),
        (&[][..], &[][..]),
        "{}",
        stage.log()
    );
    assert!(
        published.coverage_percent > 99.0,
        "{}",
        published.coverage_percent
    );
    assert_eq!(published.recording.show.unwrap().name, "night-shift");
}

#[tokio::test]
async fn an_overrun_is_recorded_and_makes_up_for_nothing() {
    let stage = slot().await;
    // From the middle of the slot to the middle of the overrun: a minute, and half of the slot.
    finalize(&stage, &Source::new("a", 30, Container::Ogg, opus(60, 440))).await;
    let published = stage.published(1).await;
    assert!((published.seconds - 60.0).abs() < 1.0, "{}", published.seconds);
    assert!(
        (published.coverage_percent - 50.0).abs() < 1.5,
        "{}",
        published.coverage_percent
    );
    let short = |doubt: &Doubt| matches!(doubt, Doubt::ShowShort { least: 90, .. });
    assert!(
        published.doubts.len() == 1 && published.doubts.iter().all(short),
        "{:?}",
        published.doubts
    );
    let gaps: Vec<_> = published
        .gaps
        .iter()
        .map(|gap| (gap.kind, gap.from, gap.to))
        .collect();
    assert_eq!(gaps, [(GapKind::NoSource, at(0), at(30))]);
}

#[tokio::test]
async fn what_somebody_marks_is_a_chapter_between_the_titles() {
    let stage = slot().await;
    for (id, container, stream) in [
        ("a", Container::Ogg, opus(45, 440)),
        ("b", Container::Mp3, mp3(45, 440)),
    ] {
        let length = stream.len() as u64;
        let mut source =
            Source::new(id, 0, container, stream)
                .title(0, 0, "First")
                .title(length / 2, 22, "Second");
        let mark = |at_byte, second, text: &str| Line::Mark {
            at: at_byte,
            t: at(second),
            text: text.to_owned(),
        };
        source.more.push(mark(length / 3, 15, "Interview"));
        source.more.push(mark(length * 2 / 3, 30, "Interview"));
        finalize(&stage, &source).await;
        let published = stage.published(if id == "a" { 1 } else { 2 }).await;
        let titles = published.objects[0].titles.iter();
        let titles: Vec<_> = titles
            .map(|title| (title.title.as_str(), title.seconds))
            .collect();
        let expected = [
            ("First", 0.0),
            ("Interview", 15.0),
            ("Second", 22.5),
            ("Interview", 30.0),
        ];
        assert_eq!(titles.len(), expected.len(), "{titles:?}");
        for ((title, second), (wanted, about)) in titles.into_iter().zip(expected) {
            assert!(
                title == wanted && (second - about).abs() < 1.5,
                "{title} at {second}, not {wanted} at {about}"
            );
        }
        let made = stage.object(&published.objects[0].key).await;
        let marked = made.windows(9).filter(|bytes| bytes == b"Interview").count();
        assert_eq!(marked, 2, "players find it");
    }
}
