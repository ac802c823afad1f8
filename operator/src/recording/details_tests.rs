use radio_crds::recording::Session;
use recorder::published::Doubt;
use recorder::report::{Report, ShipState};

use super::*;
use crate::recording::{
    jobs::{JobId, Said, Work},
    plan::Seen,
    sample::{PLAIN, at, in_phase, listed, nothing, observed, published, ship, stored, valid},
};

fn id() -> JobId {
    JobId {
        name: "j".to_owned(),
        uid: "u".to_owned(),
    }
}

fn under_way(ship: ShipState) -> Seen {
    Seen {
        recorder: Work::UnderWay(id()),
        ship: Some(ship),
        ..nothing()
    }
}

fn seconds(time: Option<&Time>) -> Option<i64> {
    time.map(|time| time.0.as_second() - at(0).as_second())
}

/// One step of the life of a Recording.
fn then(status: &RecordingStatus, seen: &Seen) -> RecordingStatus {
    let next = details(&observed(status, seen));
    // As it comes back from the API server.
    let read: RecordingStatus = serde_json::from_value(serde_json::to_value(&next).unwrap()).unwrap();
    assert_eq!(read, next, "it differs from itself when it is read back");
    assert_eq!(details(&observed(&read, seen)), read, "the same again is news");
    read
}

#[test]
fn a_life_as_the_status_tells_it() {
    let waiting = then(&RecordingStatus::default(), &under_way(ShipState::default()));
    assert_eq!(waiting, in_phase(Phase::Waiting));

    let mut session = ship(None, &[("a", 2, None)]);
    session.sessions[0].from = Some("2026-11-21T14:00:02.123456789Z".parse().unwrap());
    let on_air = then(&waiting, &under_way(session));
    assert_eq!(
        (on_air.phase, seconds(on_air.started_at.as_ref())),
        (Some(Phase::OnAir), Some(2))
    );
    assert_eq!(
        (on_air.sessions.len(), &on_air.ended_at, &on_air.duration),
        (1, &None, &None)
    );

    let storing = then(
        &on_air,
        &under_way(ship(Some(OverWhy::Idle), &[("a", 2, Some(7200))])),
    );
    assert_eq!(
        (storing.phase, storing.over),
        (Some(Phase::Storing), Some(Over::Idle))
    );

    let complete = Seen {
        recorder: Work::Complete(id(), Said::Report(stored(&[("a", 2, Some(7200))]))),
        ..nothing()
    };
    let finalizing = then(&storing, &complete);
    assert_eq!(
        (finalizing.phase, seconds(finalizing.ended_at.as_ref())),
        (Some(Phase::Finalizing), Some(7200))
    );
    assert_eq!(finalizing.duration.as_deref(), Some("1h59m"));
    assert_eq!(
        (finalizing.bytes, finalizing.size.as_deref()),
        (Some(1000), Some("1000 B"))
    );
    assert_eq!(finalizing.sessions, [listed("a", 2, Some(7200), Some(1000))]);
}

#[test]
fn what_is_published_replaces_what_was_known_before() {
    let finalizing = RecordingStatus {
        bytes: Some(1000),
        size: Some("1000 B".to_owned()),
        duration: Some("2h00m".to_owned()),
        sessions: vec![listed("a", 2, Some(7200), Some(1000))],
        started_at: Some(whole(at(2))),
        ended_at: Some(whole(at(7200))),
        ..in_phase(Phase::Finalizing)
    };
    let done = Seen {
        finalizer: Work::Complete(id(), Said::Report(published(1, &[]))),
        ..nothing()
    };
    let verified = then(&finalizing, &done);
    assert_eq!(
        (verified.phase, verified.edition, verified.version),
        (Some(Phase::Verified), Some(1), Some(1))
    );
    assert_eq!(
        (verified.duration.as_deref(), verified.size.as_deref()),
        (Some("1h59m"), Some("164 MiB"))
    );
    assert_eq!((verified.gaps, verified.coverage), (Some(0), Some(100)));
    assert!(verified.verified_at.is_some() && verified.doubts.is_empty());
    let object = &verified.objects[0];
    assert_eq!(
        object.key,
        "city/radio/live/live-20261121t140000z/final-1/final-1.ogg"
    );
    assert_eq!(
        object.url,
        "s3://shows/city/radio/live/live-20261121t140000z/final-1/final-1.ogg"
    );
    assert_eq!((object.seconds, object.bytes), (7195, 171_966_464));

    // A day later the Jobs are gone.
    assert_eq!(then(&verified, &nothing()), verified);
}

#[test]
fn a_window_that_begins_in_the_middle_of_a_session_is_on_air_from_its_beginning() {
    let status = then(
        &RecordingStatus::default(),
        &under_way(ship(None, &[("a", -900, None)])),
    );
    assert_eq!(seconds(status.started_at.as_ref()), Some(0));
}

#[test]
fn lists_keep_to_their_limits_and_the_api_servers_rules() {
    let missing = |second, kind| Missing {
        from: at(second),
        to: at(second + 1),
        kind,
        bytes: None,
    };
    let mut many = published(1, &vec![Doubt::NothingOnAir; 40]);
    many.gaps = 41;
    many.gap_list = (0..40)
        .map(|second| missing(second, published::GapKind::NoSource))
        .collect();
    // Two sessions that lost bytes at one instant.
    many.gap_list.insert(0, missing(0, published::GapKind::NoSource));
    many.objects = (0..20)
        .map(|number| Made {
            key: format!("final-1/{}.ogg", number / 2),
            ..many.objects[0].clone()
        })
        .collect();
    let mut status = RecordingStatus::default();
    take_published(&mut status, &many, &valid(PLAIN));
    assert_eq!((status.gaps, status.gap_list.len()), (Some(41), LISTED_GAPS));
    assert_eq!(
        (status.objects.len(), status.doubts.len()),
        (LISTED_OBJECTS, LISTED_DOUBTS)
    );
    assert_eq!(
        status.doubts[15],
        "and 25 more; final.json in the bucket has them all"
    );
    let keys: BTreeSet<_> = status.objects.iter().map(|object| &object.key).collect();
    assert_eq!(keys.len(), LISTED_OBJECTS);
}

#[test]
fn hostile_words_stay_one_short_line() {
    let doubt = Doubt::Probe {
        key: "final-1/final-1.ogg".to_owned(),
        words: format!("no\u{1b}[31m\nsuch {}", "x".repeat(2000)),
    };
    let status = then(
        &in_phase(Phase::Finalizing),
        &Seen {
            finalizer: Work::Complete(id(), Said::Report(published(1, &[doubt]))),
            ..nothing()
        },
    );
    assert!(status.doubts[0].chars().count() <= 300 && !status.doubts[0].contains(char::is_control));
    for number in [f64::NAN, f64::INFINITY, -3.0, 250.0] {
        let broken = Published {
            seconds: number,
            coverage_percent: number,
            ..published(1, &[])
        };
        let mut status = RecordingStatus::default();
        take_published(&mut status, &broken, &valid(PLAIN));
        assert!(status.coverage.unwrap() <= 100, "{number}");
    }
}

#[test]
fn what_never_arrived_is_a_doubt_once() {
    let known = RecordingStatus {
        sessions: vec![listed("a", 2, Some(50), None)],
        ..in_phase(Phase::OnAir)
    };
    let nobody = Seen {
        recorder: Work::Complete(id(), Said::Report(stored(&[]))),
        ..nothing()
    };
    let status = then(&known, &nobody);
    assert_eq!((status.phase, status.doubts.len()), (Some(Phase::Doubtful), 1));
    assert!(
        status.doubts[0].starts_with("session a of input studio was on air"),
        "{:?}",
        status.doubts
    );
    assert_eq!(then(&status, &nothing()).doubts.len(), 1);
}

#[test]
fn nothing_changes_while_nothing_happens() {
    let before = then(
        &RecordingStatus::default(),
        &under_way(ship(None, &[("a", 2, None)])),
    );
    let mut later = ship(None, &[("a", 2, None)]);
    later.sessions[0].stored = 5_000_000;
    later.sessions[0].bytes = 6_000_000;
    later.last_stored = Some(at(3000));
    assert_eq!(then(&before, &under_way(later)), before);
}

#[test]
fn a_report_fits_into_a_message_and_back() {
    let ids: Vec<String> = (0..200)
        .map(|number| format!("20261121T140000345Z-{number:04}"))
        .collect();
    let sessions: Vec<_> = ids.iter().map(|id| (id.as_str(), 2, Some(60))).collect();
    let message = Report::Stored(stored(&sessions)).message();
    let Some(Report::Stored(read)) = Report::parse(&message) else {
        panic!("{message}")
    };
    let mut status = in_phase(Phase::Storing);
    take_stored(&mut status, &read);
    assert!(message.len() < 4096 && read.sessions_left_out > 0);
    assert_eq!(status.bytes, Some(200_000));
    let listed: Vec<Session> = crate::recording::sessions::stored(&[], &read);
    assert!(!listed.is_empty() && listed.len() <= 64);
}
