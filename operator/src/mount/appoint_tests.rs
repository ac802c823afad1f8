use ingest::api::Ended;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use radio_crds::{RecordingStatus, recording};
use serde_json::json;

use super::*;
use crate::testing::{self, PLAIN_MOUNT, PLAIN_STATION, WILDCARD_MOUNT, session, yaml};

/// 2026-11-21T19:00:00Z and some seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_287_600 + seconds).unwrap()
}

fn station() -> Station {
    let mut station: Station = yaml(PLAIN_STATION);
    let storage = json!({"s3": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "keys"}}});
    station.spec.storage = Some(serde_json::from_value(storage).unwrap());
    station
}

fn mount(recording: serde_json::Value) -> Mount {
    let mut mount: Mount = yaml(PLAIN_MOUNT);
    mount.spec.recording = Some(serde_json::from_value(recording).unwrap());
    mount
}

/// On air from and, if it ended, to.
fn aired(input: &str, from: i64, to: Option<i64>) -> Session {
    let mut session = session("live", input, at(from));
    session.bytes = 1;
    session.ended = to.map(|to| Ended {
        at: at(to),
        why: "it ended".to_owned(),
    });
    session.aired = Some(testing::aired(at(from), to.map(at)));
    session
}

fn acked(mut session: Session, by: &[&str]) -> Session {
    session.acked_by = by.iter().map(ToString::to_string).collect();
    session
}

/// The names of what is to be made.
fn made(mount: &Mount, sessions: &[Session], there: &[Recording], now: i64) -> Vec<String> {
    let appointed = appoint(mount, &station(), sessions, there, at(now));
    appointed.iter().map(ResourceExt::name_any).collect()
}

fn one(sessions: &[Session], there: &[Recording], now: i64) -> Vec<String> {
    made(&yaml(PLAIN_MOUNT), sessions, there, now)
}

/// A Recording that is there, as far as its status goes.
fn there(from: i64, change: impl FnOnce(&mut RecordingStatus)) -> Recording {
    let storage = station().spec.storage.unwrap();
    let mut there = recording(&yaml(PLAIN_MOUNT), &station(), &storage, None, at(from));
    let mut status = RecordingStatus::default();
    change(&mut status);
    there.status = Some(status);
    there
}

fn over(ended: i64, why: Over, sessions: &[(&str, i64, Option<i64>)]) -> impl FnOnce(&mut RecordingStatus) {
    let sessions = sessions.iter().map(|(input, from, to)| recording::Session {
        id: aired(input, *from, *to).id,
        input: (*input).to_owned(),
        from: at(*from),
        to: to.map(at),
        bytes: Some(1),
    });
    let sessions = sessions.collect();
    move |status| {
        status.phase = Some(Phase::Verified);
        status.over = Some(why);
        status.ended_at = Some(Time(at(ended)));
        status.sessions = sessions;
    }
}

const FIRST: &str = "live-20261121t190000z";

#[test]
fn who_goes_on_air_is_recorded_at_once_and_once() {
    let dj = [aired("studio", 0, None)];
    assert_eq!(one(&dj, &[], 0), [FIRST]);
    // The ingest's clock is ahead of ours.
    assert_eq!(one(&dj, &[], -5), [FIRST]);
    assert_eq!(one(&dj, &[there(0, |_| {})], 1), [""; 0]);
    // A second DJ, a reconnect and a hand-over belong to the same show.
    let show = [
        aired("studio", 0, Some(60)),
        aired("studio", 70, Some(130)),
        aired("mobile", 200, None),
    ];
    assert_eq!(one(&show, &[], 210), [FIRST]);
    assert_eq!(one(&show, &[there(0, |_| {})], 210), [""; 0]);
}

#[test]
fn what_was_never_on_air_is_not_recorded() {
    let mut rehearsal = aired("studio", 0, None);
    rehearsal.aired = None;
    let mut login = aired("studio", 0, Some(1));
    login.bytes = 0;
    let mut elsewhere = aired("studio", 0, None);
    elsewhere.mount = "talk".to_owned();
    assert_eq!(one(&[rehearsal, login, elsewhere], &[], 10), [""; 0]);
}

#[test]
fn nothing_is_recorded_without_storage_or_against_the_will() {
    let dj = [aired("studio", 0, None)];
    assert_eq!(made(&mount(json!({"mode": "Never"})), &dj, &[], 1), [""; 0]);
    assert_eq!(made(&mount(json!({"mode": "Always"})), &dj, &[], 1), [FIRST]);
    let poor: Station = yaml(PLAIN_STATION);
    let mount: Mount = yaml(PLAIN_MOUNT);
    assert_eq!(appoint(&mount, &poor, &dj, &[], at(1)), []);
    assert_eq!(Archive::of(&mount, &poor), Archive::NoStorage);
    assert_eq!(
        Archive::of(&self::mount(json!({"mode": "Never"})), &poor),
        Archive::NotWanted
    );
}

#[test]
fn an_operator_that_was_away_appoints_for_everything_that_is_still_on_the_tape() {
    let missed = [
        aired("studio", 0, Some(600)),
        // After a longer silence it is another show.
        aired("studio", 3600, Some(4200)),
        aired("mobile", 4300, Some(4400)),
        aired("studio", 9000, None),
    ];
    assert_eq!(
        one(&missed, &[], 9300),
        [FIRST, "live-20261121t200000z", "live-20261121t213000z"]
    );
    let placed = there(0, over(600, Over::Idle, &[("studio", 0, Some(600))]));
    assert_eq!(
        one(&missed, &[placed], 9300),
        ["live-20261121t200000z", "live-20261121t213000z"]
    );
}

#[test]
fn the_silence_that_ends_a_show_is_the_mounts_own() {
    let two = [aired("studio", 0, Some(60)), aired("studio", 90, None)];
    assert_eq!(made(&mount(json!({"idleEnd": "30s"})), &two, &[], 100).len(), 1);
    assert_eq!(made(&mount(json!({"idleEnd": "29s"})), &two, &[], 100).len(), 2);
}

#[test]
fn a_long_show_goes_on_in_the_next_recording() {
    let marathon = [aired("studio", 0, None)];
    let mount = mount(json!({"maxLength": "1h"}));
    assert_eq!(made(&mount, &marathon, &[], 3599), [FIRST]);
    let there = |from: i64| {
        let mut there = there(from, |status| status.phase = Some(Phase::OnAir));
        there.spec.max_length = Some("1h".to_owned());
        there
    };
    assert_eq!(made(&mount, &marathon, &[there(0)], 3599), [""; 0]);
    assert_eq!(
        made(&mount, &marathon, &[there(0)], 3600),
        ["live-20261121t200000z"]
    );
    // After an absence all of them at once, each from the end of the one before.
    assert_eq!(
        made(&mount, &marathon, &[there(0)], 9000),
        ["live-20261121t200000z", "live-20261121t210000z"]
    );
    let rotated = appoint(&mount, &station(), &marathon, &[there(0)], at(3600));
    assert_eq!(rotated[0].spec.window.from, at(3600));
    // The end of it was never stored, although the part before was; the one who has it now has it.
    let ended = acked(aired("studio", 0, Some(4000)), &[FIRST]);
    let rest = "live-20261121t200000z";
    assert_eq!(
        made(&mount, std::slice::from_ref(&ended), &[there(0)], 9000),
        [rest]
    );
    assert_eq!(
        made(&mount, &[acked(ended, &[FIRST, rest])], &[there(0)], 9000),
        [""; 0]
    );
}

#[test]
fn a_recording_deleted_on_air_is_made_again_and_a_finished_one_is_not() {
    let on_air = [acked(aired("studio", 0, None), &[FIRST])];
    assert_eq!(one(&on_air, &[], 600), [FIRST]);
    let finished = [
        acked(aired("studio", 0, Some(60)), &[FIRST]),
        acked(aired("mobile", 90, Some(200)), &[FIRST]),
    ];
    assert_eq!(one(&finished, &[], 600), [""; 0]);
    // Nor when the tape has forgotten how it began.
    assert_eq!(one(&finished[1..], &[], 600), [""; 0]);
    assert_eq!(one(&[aired("studio", 0, Some(60))], &[], 600), [FIRST]);
}

#[test]
fn who_comes_after_the_recorder_has_left_gets_a_new_one() {
    let show = ("studio", 0, Some(100));
    // Within the silence of the rule, but the recorder had already seen two minutes of it.
    let late = [
        acked(aired("studio", 0, Some(100)), &[FIRST]),
        aired("mobile", 219, None),
    ];
    assert_eq!(one(&late, &[there(0, |_| {})], 220), [""; 0]);
    assert_eq!(
        one(&late, &[there(0, over(100, Over::Idle, &[show]))], 220),
        ["live-20261121t190339z"]
    );
}

#[test]
fn a_session_without_an_end_takes_nobody_in_once_it_was_given_up() {
    // Its ingest was lost with the tape, and a new one has a new show.
    let lost = there(0, over(100, Over::Idle, &[("studio", 0, None)]));
    let next = [aired("studio", 4000, None)];
    assert_eq!(
        one(&next, std::slice::from_ref(&lost), 4001),
        ["live-20261121t200640z"]
    );
    // The tape comes back with all of it: the same Recording has to take it up, not another one.
    let back = [acked(aired("studio", 0, Some(900)), &[FIRST]), next[0].clone()];
    assert_eq!(one(&back, &[lost], 4001), ["live-20261121t200640z"]);
}

#[test]
fn each_input_of_a_wildcard_is_recorded_for_itself() {
    let of = |input: &str, from: i64| {
        let mut session = aired(input, from, None);
        session.mount = "mics".to_owned();
        session
    };
    let mount: Mount = yaml(WILDCARD_MOUNT);
    let sessions = [of("7", 0), of("a_b", 0), of("7", 400)];
    let appointed = appoint(&mount, &station(), &sessions, &[], at(500));
    let told: Vec<_> = appointed
        .iter()
        .map(|recording| {
            (
                recording.name_any(),
                recording.spec.input.as_deref().unwrap_or_default(),
                recording.spec.title.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("mics-7-effea4-20261121t190000z".to_owned(), "7", "Radio, 7"),
            ("mics-a-b-d5f8c5-20261121t190000z".to_owned(), "a_b", "Radio, a_b"),
        ]
    );
    let again = appoint(&mount, &station(), &sessions, &appointed[1..], at(500));
    assert_eq!(again, appointed[..1]);
    assert_eq!(appoint(&mount, &station(), &sessions, &appointed, at(500)), []);
}

#[test]
fn names_fit_and_differ() {
    let name = |mount: &str, input| name_of(mount, input, at(0));
    let long = "a".repeat(40);
    let names = [
        name("live", None),
        name(&"a".repeat(35), None),
        name(&"a".repeat(36), None),
        name(&long, None),
        name(&long, Some("7")),
        name("mics", Some("7")),
        name("mics", Some(&"-_".repeat(20))),
        name("mics-a", Some("b")),
        name("mics", Some("a-b")),
        name("mics", Some("a_b")),
    ];
    for name in &names {
        assert!(name.len() <= MAX_RECORDING_NAME_LENGTH, "{name}");
        assert!(name.ends_with("-20261121t190000z"), "{name}");
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        assert!(name.chars().all(fits), "{name}");
    }
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "{names:?}");
}

#[test]
fn everything_a_recording_needs_to_know_is_written_into_it() {
    let mut station = station();
    station.spec.storage.as_mut().unwrap().spool_size = Some("4Gi".to_owned());
    let asked = json!({"maxLength": "3h", "idleEnd": "5m", "renditions": ["mp3"], "minCoverage": 80});
    let mut dj = aired("studio", 0, None);
    dj.aired.as_mut().unwrap().first = Timestamp::new(at(0).as_second(), 123_456_789).unwrap();
    let appointed = appoint(&mount(asked), &station, &[dj], &[], at(1));
    insta::assert_yaml_snapshot!(appointed[0]);
}

#[test]
fn what_goes_on_is_named_until_it_is_over() {
    let waits = there(0, |_| {});
    let on_air = there(3600, |status| status.phase = Some(Phase::OnAir));
    let storing = there(7200, |status| {
        status.phase = Some(Phase::Storing);
        status.over = Some(Over::Idle);
    });
    let mut elsewhere = on_air.clone();
    elsewhere.spec.mount = "talk".to_owned();
    let mut deleted = there(9000, |_| {});
    deleted.metadata.deletion_timestamp = Some(Time(at(0)));
    let all = [waits, on_air, storing, elsewhere, deleted];
    assert_eq!(under_way("live", &all), [FIRST, "live-20261121t200000z"]);

    // Six hours is the greatest length.
    let left = |now| until_rotation("live", &all[..2], at(now)).map(|left| left.as_secs());
    assert_eq!(left(0), Some(21_600));
    assert_eq!(left(21_599), Some(1));
    assert_eq!(left(21_600), Some(3600));
    assert_eq!(left(25_200), None);
}
