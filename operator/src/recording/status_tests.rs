use jiff::Timestamp;
use recorder::manifest::OverWhy;
use recorder::published::Doubt;

use super::*;
use crate::{
    k8s::{conditions::besides, kind::summarize},
    recording::{
        jobs::{JobId, Said, Work},
        plan::Seen,
        sample::{at, capture, in_phase, listed, nothing, observed, published, ship, with_status},
    },
    testing::assert_kstatus,
};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn id() -> JobId {
    JobId {
        name: "live-20261121t140000z".to_owned(),
        uid: "u".to_owned(),
    }
}

fn recording(ship: Option<ShipState>) -> Seen {
    Seen {
        recorder: Work::UnderWay(id()),
        ship,
        ..nothing()
    }
}

/// Through all that makes a status; also checks what holds for every set of conditions.
fn told(observed: &Observed) -> (State, String, String) {
    let object = with_status(observed.before.clone());
    let status = summarize(&object, Ok(observed), NOW);
    assert_kstatus(&status.conditions, 1);
    let ready = find(&status.conditions, "Ready").unwrap();
    (
        report(observed).state,
        ready.reason.clone(),
        ready.message.clone(),
    )
}

fn finished(doubts: &[Doubt]) -> Observed {
    let seen = Seen {
        finalizer: Work::Complete(id(), Said::Report(published(1, doubts))),
        ..nothing()
    };
    observed(&in_phase(Phase::Finalizing), &seen)
}

#[test]
fn every_phase_has_its_reason_and_its_sentence() {
    let on_air = ship(None, &[("a", 2, None)]);
    let over = ship(Some(OverWhy::Idle), &[("a", 2, Some(50))]);
    for (observed, state, reason, sentence) in [
        (
            observed(&RecordingStatus::default(), &recording(None)),
            State::Reconciling,
            "Waiting",
            "nobody is on air yet",
        ),
        (
            observed(&in_phase(Phase::Waiting), &recording(Some(on_air))),
            State::Reconciling,
            "OnAir",
            "on air since 2026-11-21 14:00:02 UTC",
        ),
        (
            observed(&in_phase(Phase::OnAir), &recording(Some(over))),
            State::Reconciling,
            "Storing",
            "it is over; what is not in the bucket yet is being stored",
        ),
        (
            observed(&in_phase(Phase::Finalizing), &nothing()),
            State::Reconciling,
            "Finalizing",
            "everything is stored; edition 1 of the final object is being made",
        ),
        (
            finished(&[]),
            State::Ready,
            "Verified",
            "1h59m, 164 MiB, read back and found good: s3://shows/city/radio/live/live-20261121t140000z/final-1/final-1.ogg",
        ),
        (
            finished(&[Doubt::Lost { bytes: 7 }, Doubt::NothingOnAir]),
            State::Stalled,
            "Doubtful",
            "somebody should listen to it: 7 bytes that were on air are not in the bucket (and 1 more in status.doubts); the \
             segments stay in the bucket",
        ),
        (
            finished(&[Doubt::NothingOnAir]),
            State::Ready,
            "Empty",
            "nothing went on air, so nothing is kept",
        ),
    ] {
        assert_eq!(told(&observed), (state, reason.to_owned(), sentence.to_owned()));
    }
}

#[test]
fn a_pod_in_trouble_is_told_with_what_to_do() {
    let with = |reason, state, message: &str| Observed {
        trouble: Some(Report {
            state,
            reason,
            message: message.to_owned(),
        }),
        ..observed(&in_phase(Phase::OnAir), &recording(None))
    };
    let image = with(
        reason::IMAGE_UNAVAILABLE,
        State::Reconciling,
        "its image x cannot be pulled",
    );
    let (state, reason, message) = told(&image);
    assert_eq!((state, reason.as_str()), (State::Stalled, "ImageUnavailable"));
    assert!(
        message.contains("stays on the tape") && message.contains("RADIO_RECORDER_IMAGE"),
        "{message}"
    );

    let no_node = with(
        reason::UNSCHEDULABLE,
        State::Reconciling,
        "no node takes pod p: 0/3",
    );
    let (state, reason, message) = told(&no_node);
    assert_eq!((state, reason.as_str()), (State::Reconciling, "Unschedulable"));
    assert_eq!(
        message,
        "no node takes pod p: 0/3; what is not stored yet stays on the tape"
    );

    let crashing = Observed {
        failure: Some("the bucket has no manifest.json".to_owned()),
        ..with(
            reason::CRASHING,
            State::Reconciling,
            "container ship ends again and again",
        )
    };
    assert!(
        told(&crashing)
            .2
            .contains("it says: the bucket has no manifest.json")
    );

    // What is finished has no pods that matter.
    let late = Observed {
        trouble: image.trouble,
        ..finished(&[])
    };
    assert_eq!(told(&late).1, "Verified");
}

#[test]
fn a_report_that_is_not_understood_needs_somebody() {
    let seen = Seen {
        recorder: Work::Complete(id(), Said::Strange),
        ..nothing()
    };
    let (state, reason, message) = told(&observed(&in_phase(Phase::Storing), &seen));
    assert_eq!((state, reason.as_str()), (State::Stalled, "ReportUnreadable"));
    assert!(
        message.contains("delete the Job") && message.contains("localhost/radio/recorder:1"),
        "{message}"
    );
}

fn in_trouble(code: &str) -> Seen {
    let mut ship = ship(None, &[("a", 2, None)]);
    ship.trouble = Some(Trouble {
        since: at(10),
        code: code.to_owned(),
        message: "the store did not answer a PUT\nof x".to_owned(),
    });
    recording(Some(ship))
}

/// The conditions beside the three, after those before.
fn aside(before: &RecordingStatus, seen: &Seen) -> RecordingStatus {
    let beside = beside(&observed(before, seen));
    RecordingStatus {
        conditions: besides(Some(&beside), 1, &before.conditions, NOW),
        ..before.clone()
    }
}

fn words(status: &RecordingStatus) -> Vec<(&str, &str, &str)> {
    let conditions = status.conditions.iter();
    conditions
        .map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str()))
        .collect()
}

#[test]
fn the_store_is_told_while_it_matters() {
    let on_air = || in_phase(Phase::OnAir);
    let fine = || recording(Some(ship(None, &[("a", 2, None)])));
    assert_eq!(words(&aside(&on_air(), &fine())), []);
    let unreachable = aside(&on_air(), &in_trouble("Silent"));
    assert_eq!(
        words(&unreachable),
        [("StoreReachable", "False", "StoreUnreachable")]
    );
    let message = &unreachable.conditions[0].message;
    assert!(
        message.starts_with("since 2026-11-21 14:00:10 UTC the store has taken nothing: "),
        "{message}"
    );
    assert!(!message.contains('\n'), "{message}");
    for refusal in ["AccessDenied", "NoKeys", "NoSuchBucket", "403"] {
        let refused = aside(&on_air(), &in_trouble(refusal));
        assert_eq!(
            words(&refused),
            [("StoreReachable", "False", "StoreRefuses")],
            "{refusal}"
        );
    }
    // The operator begins again, and has not heard the recorder yet.
    assert_eq!(aside(&unreachable, &recording(None)), unreachable);
    let reachable = aside(&unreachable, &fine());
    assert_eq!(words(&reachable), [("StoreReachable", "True", "StoreReachable")]);
    assert_eq!(aside(&reachable, &recording(None)), reachable);
    let finished = RecordingStatus {
        phase: Some(Phase::Verified),
        edition: Some(1),
        sessions: vec![listed("a", 2, Some(50), Some(7))],
        ..reachable
    };
    assert_eq!(words(&aside(&finished, &nothing())), []);
}

#[test]
fn a_disk_that_fills_up_is_told() {
    let filled = |fill| {
        let mut observed = observed(&in_phase(Phase::OnAir), &in_trouble("Silent"));
        let mut capture = capture();
        capture.spool_fill = fill;
        observed.capture = Some(capture);
        beside(&observed)
            .into_iter()
            .map(|beside| (beside.type_, beside.reason))
            .collect::<Vec<_>>()
    };
    let store = (STORE_REACHABLE, reason::STORE_UNREACHABLE);
    assert_eq!(filled(Fill::Low), [store]);
    assert_eq!(filled(Fill::Half), [store, (SPOOL_FILLING, reason::HALF_FULL)]);
    assert_eq!(filled(Fill::High), [store, (SPOOL_FILLING, reason::NEARLY_FULL)]);
}
