use ingest::api::{Ended, RefusalReason, Sessions};
use radio_crds::{recording::Phase, show::ShowStatus};
use serde_json::json;

use super::*;
use crate::testing::{aired, refused as not_let_in, session, yaml};

const SHOW: &str = r"
apiVersion: radio.moafunk.de/v1alpha1
kind: Show
metadata: {name: night, namespace: city}
spec:
  mountRef: {name: live}
  title: Night Shift
  schedule: {cron: 0 20 * * *, duration: 2h}
  missedAfter: 90s
";

/// Seconds after the start of the slot that is under way.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn show(recording: Option<&str>) -> Show {
    let mut show: Show = yaml(SHOW);
    let under_way = SlotUnderWay {
        start: at(0),
        end: at(7200),
        opens: at(-900),
        closes: at(8100),
        recording: recording.map(str::to_owned),
        ..SlotUnderWay::default()
    };
    let past = PastSlot {
        start: at(-86_400),
        end: at(-79_200),
        recording: Some("live-0".to_owned()),
        on_air_since: Some(at(-86_700)),
        outcome: Outcome::Recorded,
    };
    show.status = Some(ShowStatus {
        under_way: vec![under_way],
        slots: vec![past],
        ..ShowStatus::default()
    });
    show
}

fn seen(sessions: &[Session], refusals: &[Refusal]) -> Seen {
    let mut seen = Seen::new(Timestamp::UNIX_EPOCH);
    seen.take(&Sessions {
        version: "1".to_owned(),
        sessions: sessions.to_vec(),
        refusals: refusals.to_vec(),
        fill: ingest::api::Fill::default(),
    });
    seen
}

/// On air from and to these seconds.
fn on_air(mount: &str, input: &str, from: i64, to: Option<i64>) -> Session {
    let mut session = session(mount, input, at(from));
    session.bytes = 1000;
    session.aired = Some(aired(at(from), to.map(at)));
    session.ended = to.map(|to| Ended {
        at: at(to),
        why: "the source closed the connection".to_owned(),
    });
    session
}

fn recording(status: &serde_json::Value) -> Recording {
    let recording = json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording", "metadata": {"name": "live-1"},
        "spec": {
            "station": "radio", "mount": "live", "title": "Night Shift", "minCoverage": 95,
            "window": {"from": at(0), "until": at(7500)},
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
        },
        "status": status,
    });
    serde_json::from_value(recording).unwrap()
}

fn look(show: &Show, seen: Option<&Seen>, recordings: &HashMap<String, Recording>) -> Vec<Scene> {
    let pulse = Pulse::new(&crate::recorders::Told::default(), at(5));
    let pulses = [("live-1".to_owned(), pulse)].into();
    let view = View {
        hearing: Hearing::Now,
        seen,
        recordings,
        pulses: &pulses,
    };
    scenes(show, &view)
}

fn air_of(show: &Show, sessions: &[Session]) -> (Option<i64>, Option<i64>) {
    let scene = &look(show, Some(&seen(sessions, &[])), &HashMap::new())[0];
    let second = |instant: Timestamp| instant.as_second() - 1_800_000_000;
    (scene.air.first.map(second), scene.air.still.map(second))
}

#[test]
fn who_is_on_air_in_a_slot() {
    let plain = show(None);
    for (sessions, expected) in [
        (vec![], (None, None)),
        (vec![on_air("live", "studio", 30, None)], (Some(30), Some(30))),
        // Early, and still there.
        (vec![on_air("live", "studio", -600, None)], (Some(0), Some(0))),
        (vec![on_air("live", "studio", -600, Some(60))], (Some(0), None)),
        // Gone before it began.
        (vec![on_air("live", "studio", -600, Some(-60))], (None, None)),
        (vec![on_air("live", "studio", -600, Some(0))], (None, None)),
        // After it was over.
        (vec![on_air("live", "studio", 8100, None)], (None, None)),
        (
            vec![on_air("live", "studio", 8000, None)],
            (Some(8000), Some(8000)),
        ),
        // Somewhere else.
        (vec![on_air("talk", "studio", 30, None)], (None, None)),
        // Connected, and in rehearsal.
        (vec![session("live", "studio", at(10))], (None, None)),
        (
            vec![
                on_air("live", "studio", 30, Some(90)),
                on_air("live", "van", 200, None),
            ],
            (Some(30), Some(200)),
        ),
    ] {
        assert_eq!(air_of(&plain, &sessions), expected, "{sessions:?}");
    }
    let mut of_input = show(None);
    of_input.spec.input = Some("van".to_owned());
    assert_eq!(
        air_of(&of_input, &[on_air("live", "studio", 30, None)]),
        (None, None)
    );
    assert_eq!(
        air_of(&of_input, &[on_air("live", "van", 30, None)]),
        (Some(30), Some(30))
    );
}

#[test]
fn what_the_tape_has_forgotten_is_still_known() {
    let session = json!({"id": "a", "input": "studio", "from": at(40), "to": at(7000)});
    let recordings = [("live-1".to_owned(), recording(&json!({"sessions": [session]})))].into();
    let scene = look(&show(Some("live-1")), None, &recordings).remove(0);
    assert_eq!((scene.air.first, scene.air.still), (Some(at(40)), None));
    let mut known = show(None);
    known.status.as_mut().unwrap().under_way[0].on_air_since = Some(at(77));
    assert_eq!(look(&known, None, &HashMap::new())[0].air.first, Some(at(77)));
}

#[test]
fn slots_are_as_they_were_when_they_began() {
    let scenes = look(&show(None), None, &HashMap::new());
    assert_eq!(scenes.len(), 2);
    let now = &scenes[0];
    assert_eq!((now.start, now.end, now.closes), (at(0), at(7200), at(8100)));
    assert_eq!(now.missed_after, SignedDuration::from_secs(90));
    assert_eq!((&now.outcome, &now.taping), (&None, &None));
    let past = &scenes[1];
    assert_eq!(past.outcome, Some(Outcome::Recorded));
    assert_eq!(past.air.first, Some(at(-86_400)));

    let mut taken = show(None);
    taken.status.as_mut().unwrap().under_way[0].taken_by = Some("other".to_owned());
    assert_eq!(
        look(&taken, None, &HashMap::new())[0].outcome,
        Some(Outcome::Taken)
    );
    let mut invalid = show(None);
    invalid.spec.missed_after = Some("soon".to_owned());
    assert_eq!(look(&invalid, None, &HashMap::new()), []);
}

#[test]
fn how_far_its_recording_is() {
    let status = json!({
        "phase": "Doubtful", "coverage": 60, "doubts": ["too short"],
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Doubtful", "message": "listen to it",
             "lastTransitionTime": at(9)},
            {"type": "StoreReachable", "status": "False", "reason": "StoreUnreachable", "message": "away",
             "lastTransitionTime": at(7)},
        ],
    });
    let recordings = [("live-1".to_owned(), recording(&status))].into();
    let scene = look(&show(Some("live-1")), None, &recordings).remove(0);
    // The next show begins before the overrun is over.
    assert_eq!(scene.closes, at(7500));
    let taping = scene.taping.unwrap();
    assert_eq!((taping.name.as_str(), taping.quiet_since), ("live-1", at(5)));
    assert_eq!(
        taping.recorded,
        Some(Recorded {
            phase: Some(Phase::Doubtful),
            until: at(7500),
            coverage: Some(60),
            min_coverage: Some(95),
            doubts: vec!["too short".to_owned()],
            store_out: Some(at(7)),
            says: "listen to it".to_owned(),
        })
    );
    // It is to be there, and is not.
    let missing = look(&show(Some("live-1")), None, &HashMap::new()).remove(0);
    assert_eq!(missing.taping.unwrap().recorded, None);
}

#[test]
fn who_is_there_without_being_on_air_and_who_was_not_let_in() {
    let mut waiting = session("live", "studio", at(10));
    waiting.routing = Routing::Rehearsal;
    waiting.user = "anna".to_owned();
    let knock = |input, second| not_let_in(Some(("live", input)), RefusalReason::Unauthorized, at(second));
    let elsewhere = not_let_in(Some(("talk", "van")), RefusalReason::Taken, at(60));
    let seen = seen(
        &[waiting, on_air("live", "van", 0, None)],
        &[knock("studio", 20), knock("van", 50), elsewhere],
    );
    let view = View {
        hearing: Hearing::Now,
        seen: Some(&seen),
        recordings: &HashMap::new(),
        pulses: &HashMap::new(),
    };
    let show = show(None);
    assert_eq!(rehearsing(&show, &view), ["anna at studio"]);
    assert_eq!(refused(&show, &view, at(0)).unwrap().at, at(50));
    assert!(refused(&show, &view, at(51)).is_none());
}

#[test]
fn whose_recorders_are_looked_at() {
    let show = show(Some("live-1"));
    let recordings: Vec<_> = recordings_of(&show).collect();
    assert_eq!(recordings, [("live-1", true), ("live-0", false)]);
}
