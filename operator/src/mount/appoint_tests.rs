use ingest::api::Ended;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use radio_crds::{MAX_RECORDING_NAME_LENGTH, RecordingStatus, recording};
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
    let appointed = appoint(mount, &station(), sessions, there, &[], at(now));
    appointed.iter().map(ResourceExt::name_any).collect()
}

fn one(sessions: &[Session], there: &[Recording], now: i64) -> Vec<String> {
    made(&yaml(PLAIN_MOUNT), sessions, there, now)
}

fn open(from: i64) -> Window {
    Window {
        from: at(from),
        until: None,
    }
}

/// A Recording that is there, as far as its status goes.
fn there(from: i64, change: impl FnOnce(&mut RecordingStatus)) -> Recording {
    let storage = station().spec.storage.unwrap();
    let mut there = recording(&yaml(PLAIN_MOUNT), &station(), &storage, None, open(from));
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
    assert_eq!(appoint(&mount, &poor, &dj, &[], &[], at(1)), []);
    assert_eq!(Archive::of(&mount, &poor), Archive::NoStorage);
    assert_eq!(
        Archive::of(&self::mount(json!({"mode": "Never"})), &poor),
        Archive::NotWanted
    );
    // Whoever is on air outside of any slot is not recorded, and slots are.
    let of_shows = self::mount(json!({"mode": "Shows"}));
    assert_eq!(made(&of_shows, &dj, &[], 1), [""; 0]);
    assert_eq!(Archive::of(&of_shows, &poor), Archive::NoStorage);
    for (mode, recorded) in [("Always", true), ("Shows", true), ("Never", false)] {
        let mount = self::mount(json!({"mode": mode}));
        assert_eq!(
            Archive::of(&mount, &station()).of_slots().is_some(),
            recorded,
            "{mode}"
        );
    }
    assert_eq!(Archive::of(&of_shows, &poor).of_slots(), None);
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
    let rotated = appoint(&mount, &station(), &marathon, &[there(0)], &[], at(3600));
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
    let appointed = appoint(&mount, &station(), &sessions, &[], &[], at(500));
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
    let again = appoint(&mount, &station(), &sessions, &appointed[1..], &[], at(500));
    assert_eq!(again, appointed[..1]);
    assert_eq!(
        appoint(&mount, &station(), &sessions, &appointed, &[], at(500)),
        []
    );
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
    let appointed = appoint(&mount(asked), &station, &[dj], &[], &[], at(1));
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

/// A slot of the Mount `live`, from and to, with its overrun.
fn slot(from: i64, until: i64) -> Reserved {
    Reserved {
        input: None,
        from: at(from),
        until: at(until),
        recording: name_of("live", None, at(from)),
    }
}

/// From and until, in seconds, of what is to be made beside slots.
fn beside(
    slots: &[Reserved],
    sessions: &[Session],
    there: &[Recording],
    now: i64,
) -> Vec<(i64, Option<i64>)> {
    let seconds = |instant: Timestamp| instant.duration_since(at(0)).as_secs();
    let mut there = there.to_vec();
    let mut windows = Vec::new();
    // What is made in one go is all that is to be made.
    for _ in 0..2 {
        let appointed = appoint(&yaml(PLAIN_MOUNT), &station(), sessions, &there, slots, at(now));
        windows.extend(appointed.iter().map(|made| {
            (
                seconds(made.spec.window.from),
                made.spec.window.until.map(seconds),
            )
        }));
        there.extend(appointed);
    }
    windows
}

/// The Recording of a slot.
fn of_slot(slot: &Reserved) -> Recording {
    let storage = station().spec.storage.unwrap();
    let window = Window {
        from: slot.from,
        until: Some(slot.until),
    };
    let mut recording = recording(&yaml(PLAIN_MOUNT), &station(), &storage, None, window);
    recording.spec.idle_end = None;
    recording.spec.max_length = Some("24h".to_owned());
    recording.spec.show = Some(recording::SlotOf {
        name: "night".to_owned(),
        slot_end: slot.until,
    });
    recording
}

#[test]
fn what_is_on_air_in_a_slot_is_the_shows_whether_its_recording_is_there_or_not() {
    let show = slot(3600, 11_700);
    let slots = std::slice::from_ref(&show);
    let recorded = [of_slot(&show)];
    for there in [&[][..], &recorded] {
        let made = |sessions: &[Session], now| beside(slots, sessions, there, now);
        // All of it in the slot, with a long silence in it.
        let in_it = [
            aired("studio", 3600, Some(5000)),
            aired("studio", 9000, Some(11_700)),
        ];
        assert_eq!(made(&in_it, 11_700), []);
        // Who comes long before has his own, up to the slot or his own end.
        assert_eq!(made(&[aired("studio", 0, Some(600))], 700), [(0, Some(3600))]);
        assert_eq!(made(&[aired("studio", 0, None)], 3600), [(0, Some(3600))]);
        // Who stays for longer than the overrun goes on in the next one.
        assert_eq!(made(&[aired("studio", 3601, None)], 11_699), []);
        assert_eq!(made(&[aired("studio", 3601, None)], 11_701), [(11_700, None)]);
        // Before, in it and after, and an operator that was away.
        assert_eq!(
            made(&[aired("studio", 0, Some(12_000))], 20_000),
            [(0, Some(3600)), (11_700, None)]
        );
        // Two who come and go before it are two shows, as ever.
        let two = [aired("studio", 0, Some(60)), aired("studio", 1800, Some(1860))];
        assert_eq!(made(&two, 1900), [(0, Some(3600)), (1800, Some(3600))]);
        // Somebody else's slot.
        let mut elsewhere = aired("studio", 4000, None);
        elsewhere.mount = "talk".to_owned();
        assert_eq!(made(&[elsewhere], 5000), []);
    }
}

#[test]
fn slots_that_are_far_away_are_of_no_concern() {
    // Six hours is the greatest length.
    let dj = [aired("studio", 0, None)];
    assert_eq!(beside(&[slot(21_600, 30_000)], &dj, &[], 1), [(0, Some(21_600))]);
    assert_eq!(beside(&[slot(21_601, 30_000)], &dj, &[], 1), [(0, None)]);
    // Back to back, with a third one whose end is somewhere in a long time on air.
    let day = [slot(3600, 7200), slot(7200, 10_800), slot(14_400, 15_300)];
    assert_eq!(
        beside(&day, &dj, &[], 16_000),
        [(0, Some(3600)), (10_800, Some(14_400)), (15_300, None)]
    );
}

#[test]
fn a_slot_moved_after_its_recording_was_made_leaves_nothing_out() {
    // Its Recording ends at 7200, the slot now at 9000.
    let there = [of_slot(&slot(3600, 7200))];
    let dj = [aired("studio", 3600, None)];
    assert_eq!(beside(&[slot(3600, 9000)], &dj, &there, 8000), [(7200, None)]);
    // A Show that was deleted: its Recording counts by itself.
    assert_eq!(beside(&[], &dj, &there, 7199), []);
    assert_eq!(beside(&[], &dj, &there, 7201), [(7200, None)]);
}

#[test]
fn what_a_deleted_recording_of_a_slot_has_acked_is_not_recorded_again() {
    let show = slot(3600, 11_700);
    let finished = acked(aired("studio", 3600, Some(11_000)), &[&show.recording]);
    assert_eq!(
        beside(
            std::slice::from_ref(&show),
            std::slice::from_ref(&finished),
            &[],
            12_000
        ),
        []
    );
    assert_eq!(beside(&[], &[finished], &[], 12_000), []);
}

#[test]
fn a_silence_ends_an_unscheduled_recording_before_a_slot_too() {
    let dj = [aired("studio", 0, Some(600))];
    let plain = appoint(
        &yaml(PLAIN_MOUNT),
        &station(),
        &dj,
        &[],
        &[slot(3600, 7200)],
        at(700),
    );
    assert_eq!(plain[0].spec.idle_end.as_deref(), Some("2m"));
    assert!(crate::recording::ends::ends_idle(&plain[0]));
    let own = appoint(
        &mount(json!({"idleEnd": "5m"})),
        &station(),
        &dj,
        &[],
        &[slot(3600, 7200)],
        at(700),
    );
    assert_eq!(own[0].spec.idle_end.as_deref(), Some("5m"));
    // Without a slot it is as it was.
    let alone = appoint(&yaml(PLAIN_MOUNT), &station(), &dj, &[], &[], at(700));
    assert_eq!(
        (alone[0].spec.idle_end.as_deref(), alone[0].spec.window.until),
        (None, None)
    );
}

#[test]
fn each_input_of_a_wildcard_has_slots_of_its_own() {
    let mut on_seven = slot(0, 7200);
    on_seven.input = Some("7".to_owned());
    on_seven.recording = name_of("mics", Some("7"), at(0));
    let of = |input: &str| {
        let mut session = aired(input, 10, None);
        session.mount = "mics".to_owned();
        session
    };
    let appointed = appoint(
        &yaml(WILDCARD_MOUNT),
        &station(),
        &[of("7"), of("8")],
        &[],
        &[on_seven],
        at(60),
    );
    let inputs: Vec<_> = appointed.iter().map(|made| made.spec.input.as_deref()).collect();
    assert_eq!(inputs, [Some("8")]);
}

#[test]
fn a_mount_looks_again_when_a_window_ends() {
    let slot = of_slot(&slot(0, 7200));
    let left = |now| until_rotation("live", std::slice::from_ref(&slot), at(now)).map(|left| left.as_secs());
    assert_eq!(left(0), Some(7200));
    assert_eq!(left(7199), Some(1));
    // Who is still there a moment later is recorded further.
    assert_eq!(left(7200), Some(1));
    assert_eq!(left(7201), None);
}

#[test]
fn who_goes_with_the_end_of_a_slot_is_in_no_recording_of_his_own() {
    let show = slot(3600, 7200);
    for there in [vec![], vec![of_slot(&show)]] {
        let slots = std::slice::from_ref(&show);
        let made = |to: Option<SignedDuration>, now: i64| {
            let mut dj = aired("studio", 3500, None);
            let left = to.map(|after| at(7200) + after);
            dj.aired = Some(testing::aired(at(3600), left));
            beside(slots, &[dj], &there, now)
        };
        // Off air some milliseconds after the end, as the ingest does it.
        assert_eq!(made(Some(SignedDuration::from_millis(4)), 7300), []);
        assert_eq!(made(Some(SignedDuration::from_millis(999)), 7300), []);
        assert_eq!(made(None, 7200), [], "it is not known yet");
        // Who stays on air is recorded from the end on.
        assert_eq!(made(None, 7201), [(7200, None)]);
        assert_eq!(made(Some(SignedDuration::from_secs(1)), 7300), [(7200, None)]);
    }
}

/// Every second on air is in exactly one Recording or slot, whatever comes when.
#[test]
fn nothing_is_lost_and_nothing_doubled_beside_slots() {
    let mut seed = 20_261_121_u64;
    let mut roll = |below: i64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        i64::try_from(seed % 1_000_000).unwrap() % below
    };
    for round in 0..400 {
        let mut slots = Vec::new();
        let mut start = roll(4000);
        for _ in 0..roll(4) {
            let length = 60 + roll(7000);
            slots.push(slot(start, start + length));
            start += length + if roll(2) == 0 { 0 } else { roll(5000) };
        }
        let mut sessions = Vec::new();
        let mut from = roll(3000);
        for _ in 0..=roll(5) {
            let length = 1 + roll(9000);
            sessions.push(aired("studio", from, Some(from + length)));
            from += length + 1 + roll(1000);
        }
        let there: Vec<Recording> = slots.iter().filter(|_| round % 2 == 0).map(of_slot).collect();
        let mut pieces: Vec<(i64, i64)> = beside(&slots, &sessions, &there, 1_000_000)
            .into_iter()
            .map(|(from, until)| (from, until.unwrap_or(i64::MAX)))
            .collect();
        let seconds = |instant: Timestamp| instant.duration_since(at(0)).as_secs();
        pieces.extend(slots.iter().map(|slot| (seconds(slot.from), seconds(slot.until))));
        pieces.sort_unstable();
        for session in &sessions {
            let aired = session.aired.as_ref().unwrap();
            let (first, last) = (seconds(aired.first), seconds(aired.last.unwrap()));
            for second in (first..last).step_by(13) {
                let begun = pieces
                    .iter()
                    .filter(|piece| piece.0 <= second && second < piece.1)
                    .count();
                // One without an end is over by a silence, which the next one begins after.
                assert!(begun >= 1, "{round}: {second} is in none: {pieces:?}");
                let held = pieces
                    .iter()
                    .filter(|piece| piece.0 <= second && second < piece.1 && piece.1 < i64::MAX);
                let scheduled = slots
                    .iter()
                    .filter(|slot| (seconds(slot.from)..seconds(slot.until)).contains(&second));
                if scheduled.count() > 0 {
                    assert_eq!(held.count(), 1, "{round}: {second} is in two: {pieces:?}");
                }
            }
        }
    }
}
