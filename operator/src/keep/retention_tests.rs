use kube::core::DeserializeGuard;
use radio_crds::recording::Session;
use serde_json::json;

use super::*;
use crate::testing::{PLAIN_STATION, yaml};

const DAY: i64 = 86_400;

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_795_200_000 + number * DAY).unwrap()
}

/// A slot of an hour on this day.
fn recording(number: i64, phase: Phase) -> Recording {
    let from = day(number);
    let mut recording: Recording = serde_json::from_value(json!({
        "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
        "metadata": {
            "name": format!("live-{number}"), "namespace": "city", "uid": format!("uid-{number}"), "generation": 1,
            "labels": {SHOW_LABEL: "night-shift"},
        },
        "spec": {
            "station": "radio", "mount": "live", "title": "Night Shift", "window": {"from": from},
            "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
        },
        "status": {"phase": phase, "observedGeneration": 1, "conditions": []},
    }))
    .unwrap();
    if phase != Phase::Empty
        && let Some(status) = &mut recording.status
    {
        let ended = from + SignedDuration::from_hours(1);
        status.ended_at = serde_json::from_value(json!(ended)).unwrap();
    }
    recording
}

fn keep(newest: usize) -> Rule {
    Rule {
        newest: Some(newest),
        younger_than: None,
    }
}

fn choose(rule: Option<Rule>, recordings: &[Recording], now: Timestamp) -> Choice {
    let all: Vec<_> = recordings
        .iter()
        .map(|recording| Arc::new(DeserializeGuard(Ok(recording.clone()))))
        .collect();
    retention("night-shift", rule.as_ref(), &all, now)
}

fn names(choice: &Choice) -> Vec<String> {
    choice.go.iter().map(|recording| recording.name_any()).collect()
}

fn go(rule: Rule, recordings: &[Recording]) -> Vec<String> {
    names(&choose(Some(rule), recordings, day(100)))
}

#[test]
fn all_but_the_newest_go_oldest_first() {
    let mut all: Vec<_> = [3, 1, 5, 2, 4]
        .map(|number| recording(number, Phase::Verified))
        .into();
    assert_eq!(go(keep(3), &all), ["live-1", "live-2"]);
    assert_eq!(go(keep(5), &all), [""; 0]);
    assert_eq!(go(keep(10_000), &all), [""; 0]);
    all.push(recording(6, Phase::Doubtful));
    let choice = choose(Some(keep(3)), &all, day(100));
    assert_eq!((choice.finished, choice.next), (6, None));
    assert_eq!(
        names(&choice),
        ["live-1", "live-2"],
        "what is in doubt pushes nothing out"
    );
}

#[test]
fn nights_that_nobody_came_to_push_nothing_out_and_go_with_the_rest() {
    use Phase::{Empty, Verified};
    let all: Vec<_> = [Empty, Verified, Empty, Verified, Verified, Empty, Empty, Empty]
        .into_iter()
        .zip(1..)
        .map(|(phase, number)| recording(number, phase))
        .collect();
    assert_eq!(go(keep(3), &all), ["live-1"]);
    assert_eq!(go(keep(2), &all), ["live-1", "live-2", "live-3"]);
    assert_eq!(go(keep(4), &all), [""; 0], "there are not as many yet");
}

#[test]
fn what_is_not_finished_neither_goes_nor_counts() {
    use Phase::{Finalizing, OnAir, Storing, Verified, Waiting};
    let mut all: Vec<_> = [Storing, OnAir, Waiting, Finalizing]
        .into_iter()
        .zip(1..)
        .map(|(phase, number)| recording(number, phase))
        .collect();
    all.extend([5, 6, 7].map(|number| recording(number, Verified)));
    all.extend([8, 9].map(|number| recording(number, Storing)));
    assert_eq!(go(keep(2), &all), ["live-5"]);

    let mut new_edition = recording(1, Verified);
    new_edition.metadata.generation = Some(2);
    let mut leaving = recording(2, Verified);
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!(day(2))).unwrap();
    let mut unseen = recording(3, Verified);
    unseen.status = None;
    let rest = [new_edition, leaving, unseen, recording(4, Verified)];
    assert_eq!(go(keep(1), &rest), [""; 0]);
}

#[test]
fn what_a_lost_tape_may_add_to_stays_until_that_is_given_up() {
    let mut open = recording(1, Phase::Doubtful);
    if let Some(status) = &mut open.status {
        status.sessions = vec![Session {
            id: "s".to_owned(),
            input: "studio".to_owned(),
            from: day(1),
            to: None,
            bytes: Some(7),
        }];
    }
    let all = [open, recording(2, Phase::Verified), recording(3, Phase::Verified)];
    let on = |now| names(&choose(Some(keep(1)), &all, now));
    assert_eq!(on(day(4)), ["live-2"]);
    assert_eq!(on(day(10)), ["live-1", "live-2"]);
}

#[test]
fn what_is_young_stays_and_tells_when_it_is_not() {
    let all: Vec<_> = (1..=5).map(|number| recording(number, Phase::Verified)).collect();
    let ninety = Rule {
        newest: None,
        younger_than: Some(SignedDuration::from_hours(24 * 90)),
    };
    let hour = SignedDuration::from_hours(1);
    let first = choose(Some(ninety), &all, day(50));
    assert_eq!((names(&first), first.next), (vec![], Some(day(91) + hour)));
    let then = choose(Some(ninety), &all, day(92) + hour);
    assert_eq!(
        (names(&then), then.next),
        (
            vec!["live-1".to_owned(), "live-2".to_owned()],
            Some(day(93) + hour)
        )
    );
    let both = Rule {
        newest: Some(4),
        ..ninety
    };
    assert_eq!(names(&choose(Some(both), &all, day(500))), ["live-1"]);
    assert_eq!(names(&choose(Some(both), &all, day(50))), [""; 0]);
    // Nobody came: it is as old as its beginning.
    let empty = [recording(1, Phase::Empty)];
    assert_eq!(names(&choose(Some(ninety), &empty, day(91))), ["live-1"]);
}

#[test]
fn only_what_bears_the_shows_name_is_looked_at() {
    let mut free = recording(1, Phase::Verified);
    free.metadata.labels = None;
    let mut other = recording(2, Phase::Verified);
    other.metadata.labels = Some([(SHOW_LABEL.to_owned(), "morning".to_owned())].into());
    let all = [
        free,
        other,
        recording(3, Phase::Verified),
        recording(4, Phase::Verified),
    ];
    let choice = choose(Some(keep(1)), &all, day(100));
    assert_eq!((names(&choice), choice.finished), (vec!["live-3".to_owned()], 2));
    assert_eq!(choose(None, &all, day(100)).go, []);
    assert_eq!(choose(None, &all, day(100)).finished, 2);
}

#[test]
fn what_somebody_wants_to_keep_stays_and_takes_no_place() {
    let mut wanted = recording(4, Phase::Verified);
    let say = |recording: &mut Recording, said: &str| {
        recording.metadata.annotations = Some([(KEEP_ANNOTATION.to_owned(), said.to_owned())].into());
    };
    say(&mut wanted, "true");
    let mut all: Vec<_> = [1, 2, 3].map(|number| recording(number, Phase::Verified)).into();
    all.push(wanted);
    assert_eq!(go(keep(2), &all), ["live-1"]);
    say(&mut all[3], "false");
    assert_eq!(go(keep(2), &all), ["live-1", "live-2"]);
}

#[test]
fn a_rule_is_the_shows_with_the_stations_behind_it() {
    let rule = |recording: serde_json::Value, of_station: Option<&str>| {
        let show: Show = serde_json::from_value(json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show", "metadata": {"name": "night-shift"},
            "spec": {
                "mountRef": {"name": "live"}, "title": "Night Shift", "schedule": {"cron": "0 20 * * *", "duration": "1h"},
                "recording": recording,
            },
        }))
        .unwrap();
        let mut station: Station = yaml(PLAIN_STATION);
        station.spec.retention = of_station.map(|age| Retention {
            keep_for: Some(age.to_owned()),
        });
        Rule::of(&show, &station)
    };
    let days = |days: i64| Some(SignedDuration::from_hours(24 * days));
    let wanted = |newest, younger_than| Some(Rule { newest, younger_than });
    assert_eq!(rule(json!(null), None), None);
    assert_eq!(rule(json!({}), None), None);
    assert_eq!(rule(json!({"keep": 3}), None), wanted(Some(3), None));
    assert_eq!(rule(json!({"keep": 3}), Some("30d")), wanted(Some(3), days(30)));
    assert_eq!(
        rule(json!({"keepFor": "90d"}), Some("30d")),
        wanted(None, days(90))
    );
    assert_eq!(rule(json!(null), Some("30d")), wanted(None, days(30)));
    // What cannot be read keeps everything.
    assert_eq!(rule(json!({"keep": 3, "keepFor": "soon"}), Some("30d")), None);
    assert_eq!(rule(json!({"keep": 3}), Some("soon")), None);
}
