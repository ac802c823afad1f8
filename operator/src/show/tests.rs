use radio_crds::{Recording, show::Outcome};
use serde_json::json;

use super::{
    sample::{FULL, PLAIN, at, fetched, mount, recording, station},
    *,
};
use crate::testing::{self, FULL_STATION, MockApi, WILDCARD_MOUNT, assert_kstatus, fill, refusal, yaml};

/// A Show whose only slot is on since ten minutes.
fn on_now() -> Show {
    let mut show: Show = yaml(PLAIN);
    let started = Timestamp::now()
        .saturating_sub(jiff::SignedDuration::from_mins(10))
        .unwrap();
    show.spec.schedule.start = Some(Timestamp::from_second(started.as_second()).unwrap());
    show.metadata.resource_version = Some("3".to_owned());
    show
}

fn context(
    api: &MockApi,
    answer: impl Fn(&testing::Asked) -> (u16, serde_json::Value) + Send + Sync + 'static,
) -> Context {
    let (stores, _) = testing::stores(&[station()], &[mount()]);
    testing::context(api.client(answer), stores)
}

#[tokio::test]
async fn a_slot_is_prepared_before_anything_else_can_fail() {
    let api = MockApi::default();
    let context = context(&api, |asked| {
        match (asked.method.as_str(), asked.path.ends_with("/recordings")) {
            ("POST", true) => (201, asked.body.clone()),
            _ => refusal(403, "Forbidden"),
        }
    });
    let mut show = on_now();
    show.spec.presenters = vec![serde_json::from_value(json!({"username": "anna"})).unwrap()];
    let observed = show.run(&context).await.unwrap();
    assert_eq!(api.asked()[0], "POST recordings");
    assert!(matches!(observed.trouble, Some(Error::Api(_) | Error::Apply(_))));
    assert_eq!(Show::report(&observed).reason, reason::API_ERROR);
    assert!(Show::look_again(&observed).unwrap() < Duration::from_secs(10));
    // What was prepared is known all the same.
    assert!(observed.details.under_way[0].recording.is_some());
    assert_eq!(
        observed.details.slot.as_ref().unwrap().start,
        show.spec.schedule.start.unwrap()
    );
    let status = crate::k8s::kind::summarize(&show, Ok(&observed), at(0));
    assert_kstatus(&status.conditions, 1);
}

#[tokio::test]
async fn a_slot_that_could_not_be_prepared_is_tried_again() {
    let api = MockApi::default();
    let context = context(&api, |_| refusal(500, "InternalError"));
    let mut show = on_now();
    let start = show.spec.schedule.start.unwrap();
    let observed = show.run(&context).await.unwrap();
    assert_eq!(observed.details.under_way[0].recording, None);
    assert!(observed.details.seen_until.unwrap() < start);
    // With this status it is wanted once more, and one that is there is as good as made.
    show.status = Some(observed.details);
    let there = MockApi::default();
    let again = self::context(&there, |_| refusal(409, "AlreadyExists"));
    let observed = show.run(&again).await.unwrap();
    assert_eq!(there.asked(), ["POST recordings"]);
    assert!(observed.trouble.is_none());
    assert!(observed.details.under_way[0].recording.is_some());
    assert_eq!(observed.details.seen_until, Some(start));
}

#[tokio::test]
async fn what_has_begun_goes_on_without_a_mount() {
    let api = MockApi::default();
    let with_mount = context(&api, |asked| (201, asked.body.clone()));
    let mut show = on_now();
    show.status = Some(show.run(&with_mount).await.unwrap().details);
    let under_way = show.status.as_ref().unwrap().under_way.clone();
    let nothing = testing::context(
        MockApi::default().client(|_| refusal(500, "x")),
        testing::stores(&[], &[]).0,
    );
    let observed = show.run(&nothing).await.unwrap();
    assert!(matches!(observed.trouble, Some(Error::MountNotFound { .. })));
    assert_eq!(observed.details.under_way, under_way);
}

#[tokio::test]
async fn a_recording_of_a_slot_that_is_moved_away_is_taken_back() {
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 300).unwrap();
    let mut show: Show = yaml(PLAIN);
    show.spec.schedule.start = Some(soon);
    let api = MockApi::default();
    let context = context(&api, |asked| (201, asked.body.clone()));
    show.status = Some(show.run(&context).await.unwrap().details);
    let mut made: Recording = serde_json::from_value(api.last_body("POST")).unwrap();
    made.metadata.uid = Some("made-uid".to_owned());
    made.metadata.resource_version = Some("8".to_owned());

    let moved = Timestamp::from_second(soon.as_second() + 120).unwrap();
    show.spec.schedule.start = Some(moved);
    let after = MockApi::default();
    let (stores, mut writers) = testing::stores(&[station()], &[mount()]);
    fill(&mut writers.recordings, [kube::core::DeserializeGuard(Ok(made))]);
    let client = after.client(|asked| (200, asked.body.clone()));
    let observed = show.run(&testing::context(client, stores)).await.unwrap();
    assert!(
        after.asked()[0] == "POST recordings" && after.asked()[1].starts_with("DELETE talk-"),
        "{:?}",
        after.asked()
    );
    assert_eq!(
        after.last_body("DELETE")["preconditions"],
        json!({"uid": "made-uid", "resourceVersion": "8"})
    );
    assert_eq!(observed.details.under_way[0].start, moved);
}

#[tokio::test]
async fn what_is_in_a_recording_is_never_taken_back() {
    let api = MockApi::default();
    let client = api.client(|_| refusal(404, "NotFound"));
    for phase in ["OnAir", "Storing", "Verified", "Doubtful", "Empty"] {
        apply::take_back(&client, &recording(&json!({"phase": phase})))
            .await
            .unwrap();
    }
    assert_eq!(api.asked(), [""; 0]);
    apply::take_back(&client, &recording(&json!({"phase": "Waiting"})))
        .await
        .unwrap();
    assert_eq!(api.asked(), ["DELETE talk-20261127t190000z"]);
}

#[test]
fn a_recording_has_what_show_mount_and_station_say() {
    let wanted = plan::Wanted {
        name: "talk-20261127t190000z".to_owned(),
        from: at(0),
        until: at(130),
        slot_end: at(120),
        max_length_seconds: 7800,
    };
    let station = station();
    let storage = station.storage().unwrap();
    let full = build::recording(&yaml(FULL), &mount(), storage, &wanted);
    insta::assert_yaml_snapshot!("recording_of_a_slot", full);
    // The operator that reads it finds nothing to object to.
    let mut seen = full;
    seen.metadata.uid = Some("uid".to_owned());
    crate::recording::validate::spec(&seen, &testing::images()).unwrap();

    let mut of_mount = mount();
    of_mount.spec.recording =
        serde_json::from_value(json!({"renditions": ["mp3"], "minCoverage": 50})).unwrap();
    let plain = build::recording(&yaml(PLAIN), &of_mount, storage, &wanted);
    assert_eq!(
        (plain.spec.renditions.len(), plain.spec.min_coverage),
        (1, Some(50))
    );
}

#[test]
fn where_slots_are_recorded() {
    let recorded = |mode: &str| {
        let mut found = fetched(&[], &[]);
        found.mount.as_mut().unwrap().spec.recording = serde_json::from_value(json!({"mode": mode})).unwrap();
        (found.storage().is_some(), found.no_storage())
    };
    assert_eq!(recorded("Always"), (true, false));
    assert_eq!(recorded("Shows"), (true, false));
    assert_eq!(recorded("Never"), (false, false));
    let mut bare = fetched(&[], &[]);
    bare.station = Some(yaml(FULL_STATION));
    assert_eq!((bare.storage().is_some(), bare.no_storage()), (false, true));
}

#[test]
fn of_two_with_the_same_slot_the_older_one_has_it() {
    let plain: Show = yaml(PLAIN);
    let older: Show = yaml(FULL);
    let taken = plan(&plain, &fetched(std::slice::from_ref(&older), &[]), at(-5));
    assert_eq!(taken.taken, [(at(0), "night-shift".to_owned())]);
    assert_eq!(taken.make, []);
    let own = plan(&older, &fetched(std::slice::from_ref(&plain), &[]), at(-5));
    assert_eq!((own.taken.len(), own.make.len()), (0, 1));
    // At another key of the same Mount it is another place.
    let mut elsewhere = plain;
    elsewhere.spec.input = Some("7".to_owned());
    let free = plan(&elsewhere, &fetched(&[older], &[]), at(-5));
    assert_eq!((free.taken.len(), free.make.len()), (0, 1));
}

#[tokio::test]
async fn the_keys_of_a_mount_are_looked_for() {
    let api = MockApi::default();
    let client = api.client(|_| {
        (
            200,
            json!({"metadata": {"name": "mic-keys"}, "data": {"8": "eA=="}}),
        )
    });
    let (stores, _) = testing::stores(&[station()], &[yaml(WILDCARD_MOUNT)]);
    let mut show: Show = yaml(PLAIN);
    show.spec.mount_ref.name = "mics".to_owned();
    show.spec.input = Some("7".to_owned());
    let observed = show.run(&testing::context(client, stores)).await.unwrap();
    assert_eq!(api.asked(), ["GET mic-keys"]);
    assert_eq!(Show::report(&observed).reason, reason::INPUT_NOT_FOUND);
}

#[test]
fn a_slot_that_nobody_prepared_is_no_recording_that_is_missing() {
    let mut plan = Plan {
        under_way: vec![sample::slot()],
        seen_until: at(0),
        ..Plan::default()
    };
    let wanted = plan::Wanted {
        name: "talk-20261127t190000z".to_owned(),
        from: at(0),
        until: at(135),
        slot_end: at(120),
        max_length_seconds: 8100,
    };
    plan.closed = plan.under_way.clone();
    forget(&mut plan, &wanted, None);
    assert_eq!(
        (plan.under_way[0].recording.as_ref(), plan.closed.len()),
        (None, 0)
    );
    assert!(plan.seen_until < at(0));
    assert_eq!(
        aired::past(&plan.under_way[0], None, None).outcome,
        Outcome::Missed
    );
}
