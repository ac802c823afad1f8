use super::*;
use crate::errand::{Failure, Gone, MOST_RECORDINGS};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn published(gaps: usize, doubts: Vec<Doubt>) -> Published {
    let missing = |second: usize| Missing {
        from: at(i64::try_from(second).unwrap()),
        to: at(i64::try_from(second).unwrap() + 1),
        kind: GapKind::Lost,
        bytes: Some(12_345),
    };
    let made = Made {
        key: "final-1/final-1.ogg".to_owned(),
        codec: "opus".to_owned(),
        bytes: 1,
        seconds: 0.5,
        sha256: "ab".repeat(32),
    };
    Published {
        version: 1,
        verified_at: at(0),
        from: at(0),
        to: at(9),
        seconds: 8.75,
        coverage_percent: 97.2,
        bytes: 1,
        objects: vec![made; 3],
        renditions: Vec::new(),
        gaps,
        gap_list: (0..gaps).map(missing).collect(),
        beyond_doubt: doubts.is_empty(),
        doubts,
        objects_left_out: 0,
        doubts_left_out: 0,
    }
}

#[test]
fn what_fits_is_told_whole() {
    let report = Report::Published(published(2, vec![Doubt::Lost { bytes: 7 }]));
    assert_eq!(Report::parse(&report.message()), Some(report));
    assert_eq!(Report::parse("OOMKilled"), None);
    assert_eq!(Report::parse(""), None);
}

#[test]
fn no_message_is_longer_than_kubelet_keeps() {
    let hostile = Doubt::Probe {
        key: "final-1/final-1.ogg".to_owned(),
        words: "\u{1F4FB}\"\\\n".repeat(5_000),
    };
    let report = Report::Published(published(500, vec![hostile; 40]));
    let message = report.message();
    assert!(message.len() < 4_096, "{}", message.len());
    let Some(Report::Published(told)) = Report::parse(&message) else {
        panic!("{message}")
    };
    assert_eq!(told.gaps, 500);
    assert_eq!(told.objects.len(), 3);
    assert_eq!(told.doubts.len() + told.doubts_left_out, 40);
    assert!(!told.doubts.is_empty() && !told.gap_list.is_empty() && !told.beyond_doubt);

    let heard = |n: i64| Heard {
        id: format!("20261121T135025{n:03}Z-1f3a"),
        input: "studio".to_owned(),
        from: at(n),
        to: Some(at(n + 1)),
        bytes: 1 << 40,
    };
    let open = Heard {
        to: None,
        ..heard(299)
    };
    let lost = |n: i64| LostBytes {
        session: heard(n).id,
        bytes: Range { from: 0, to: 1 << 40 },
    };
    let stored = Stored {
        over: Over {
            at: at(0),
            why: OverWhy::Idle,
        },
        from: Some(at(0)),
        to: None,
        bytes: 1,
        lost_bytes: 2,
        lost: (0..300).map(lost).collect(),
        sessions: (0..299).map(heard).chain([open.clone()]).collect(),
        lost_left_out: 0,
        sessions_left_out: 0,
    };
    let message = Report::Stored(stored).message();
    assert!(message.len() < 4_096, "{}", message.len());
    let Some(Report::Stored(told)) = Report::parse(&message) else {
        panic!("{message}")
    };
    assert_eq!(told.sessions.len() + told.sessions_left_out, 300);
    assert_eq!(told.lost.len() + told.lost_left_out, 300);
    assert_eq!(told.sessions[0], heard(0));

    assert_eq!(
        told.sessions.last(),
        Some(&open),
        "whose end nobody saw is told of"
    );

    let failed = Report::Failed(Failed {
        words: "x".repeat(1 << 20),
    });
    assert!(failed.message().len() < 4_096);
}

#[test]
fn what_keep_deleted_is_told_whatever_the_store_said() {
    let gone = |number: u64| Gone {
        name: format!("{}-{number:015}", "m".repeat(36)),
        objects: u64::MAX,
        bytes: u64::MAX,
    };
    let failure = Failure {
        what: "live/live-20261121t140000z/".to_owned(),
        words: "\u{1F4FB}\"\\\n".repeat(5_000),
    };
    let most = u64::try_from(MOST_RECORDINGS).unwrap();
    let kept = Kept {
        order: "f".repeat(64),
        recordings: (0..most).map(gone).collect(),
        lifecycle: Some(Lifecycle::Unknown("\u{1}".repeat(5_000))),
        failures: vec![failure; 40],
        ..Kept::default()
    };
    let message = Report::Kept(kept.clone()).message();
    assert!(message.len() < 4_096, "{}", message.len());
    let Some(Report::Kept(told)) = Report::parse(&message) else {
        panic!("{message}")
    };
    assert_eq!(told.recordings, kept.recordings);
    assert_eq!(told.failures.len() + told.failures_left_out, 40);
    assert!(told.failure().is_some());
}
