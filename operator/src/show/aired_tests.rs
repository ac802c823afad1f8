use serde_json::json;

use super::*;
use crate::{
    show::sample::{at, recording, slot},
    testing::{aired, session},
};

fn span(from: i64, to: Option<i64>) -> Span {
    Span {
        from: at(from),
        to: to.map(at),
    }
}

#[test]
fn who_is_on_air_first_in_a_slot() {
    for (on_air, now, expected) in [
        (vec![], 30, None),
        // Connected early: on air from the start, and not before it.
        (vec![span(-10, None)], -5, None),
        (vec![span(-10, None)], 0, Some(0)),
        // Gone before it starts, or come after it is over: somebody else's.
        (vec![span(-10, Some(-1))], 30, None),
        (vec![span(-10, Some(0))], 30, None),
        (vec![span(140, None)], 150, None),
        (vec![span(20, Some(25)), span(7, Some(9))], 30, Some(7)),
        // In the overrun of it.
        (vec![span(130, None)], 131, Some(130)),
    ] {
        assert_eq!(
            since(&slot(), &on_air, None, at(now)),
            expected.map(at),
            "{on_air:?}"
        );
    }
}

#[test]
fn what_was_known_stays_and_the_recording_knows_too() {
    let known = SlotUnderWay {
        on_air_since: Some(at(3)),
        ..slot()
    };
    assert_eq!(since(&known, &[span(1, None)], None, at(30)), Some(at(3)));
    let recorded = recording(&json!({"startedAt": at(12)}));
    assert_eq!(since(&slot(), &[], Some(&recorded), at(30)), Some(at(12)));
}

#[test]
fn only_sources_of_the_place_count() {
    let mut here = session("talk", "studio", at(1));
    here.aired = Some(aired(at(1), None));
    let mut there = session("live", "studio", at(0));
    there.aired = Some(aired(at(0), None));
    let mut rehearsing = session("talk", "van", at(0));
    rehearsing.aired = None;
    let sessions = [there, here, rehearsing];
    assert_eq!(on_air("talk", None, &sessions), [span(1, None)]);
    assert_eq!(on_air("talk", Some("studio"), &sessions), [span(1, None)]);
    assert_eq!(on_air("talk", Some("van"), &sessions), []);
}

fn outcome(slot: &SlotUnderWay, recording: Option<&Recording>) -> Outcome {
    past(slot, None, recording).outcome
}

#[test]
fn what_becomes_of_a_slot() {
    let on_air = SlotUnderWay {
        on_air_since: Some(at(1)),
        ..slot()
    };
    for (status, heard, missed) in [
        (json!({}), Outcome::Storing, Outcome::Storing),
        (json!({"phase": "OnAir"}), Outcome::Storing, Outcome::Storing),
        (json!({"phase": "Finalizing"}), Outcome::Storing, Outcome::Storing),
        (
            json!({"phase": "Verified", "coverage": 95}),
            Outcome::Recorded,
            Outcome::Recorded,
        ),
        (
            json!({"phase": "Verified", "coverage": 94}),
            Outcome::Short,
            Outcome::Short,
        ),
        (
            json!({"phase": "Doubtful", "coverage": 20}),
            Outcome::Short,
            Outcome::Short,
        ),
        (
            json!({"phase": "Doubtful", "coverage": 99}),
            Outcome::Doubtful,
            Outcome::Doubtful,
        ),
        (json!({"phase": "Empty"}), Outcome::NotRecorded, Outcome::Missed),
    ] {
        let recording = recording(&status);
        assert_eq!(outcome(&on_air, Some(&recording)), heard, "{status}");
        assert_eq!(outcome(&slot(), Some(&recording)), missed, "{status}");
    }
    let unrecorded = |on_air_since| SlotUnderWay {
        recording: None,
        on_air_since,
        ..slot()
    };
    assert_eq!(outcome(&unrecorded(Some(at(1))), None), Outcome::Aired);
    assert_eq!(outcome(&unrecorded(None), None), Outcome::Missed);
    let taken = SlotUnderWay {
        taken_by: Some("night-shift".to_owned()),
        ..on_air
    };
    assert_eq!(outcome(&taken, None), Outcome::Taken);
}

#[test]
fn an_outcome_outlives_its_recording() {
    let over = past(
        &slot(),
        None,
        Some(&recording(&json!({"phase": "Verified", "coverage": 100}))),
    );
    assert_eq!(reviewed(&over, None), over);
    // Deleted by hand before it was finished.
    let storing = past(&slot(), None, Some(&recording(&json!({}))));
    assert_eq!(reviewed(&storing, None).outcome, Outcome::Missed);
    let started = recording(&json!({"phase": "Storing", "startedAt": at(5)}));
    let on_air = reviewed(&storing, Some(&started));
    assert_eq!(
        (on_air.outcome, on_air.on_air_since),
        (Outcome::Storing, Some(at(5)))
    );
    assert_eq!(reviewed(&on_air, None).outcome, Outcome::NotRecorded);
    // Made again from the bucket, in another edition.
    let again = recording(&json!({"phase": "Doubtful"}));
    assert_eq!(reviewed(&over, Some(&again)).outcome, Outcome::Doubtful);
}
