use radio_crds::{
    input::PasswordPlace,
    show::{SlotTime, SlotUnderWay},
};

use super::*;
use crate::show::sample::{at, slot};

fn told(plan: &Plan) -> Told<'_> {
    Told {
        trouble: None,
        plan,
        suspended: false,
        missing: &[],
        no_storage: None,
    }
}

fn next() -> Plan {
    Plan {
        next: Some(SlotTime {
            start: at(0),
            end: at(120),
        }),
        ..Plan::default()
    }
}

fn said(told: &Told<'_>) -> (State, &'static str, String) {
    let report = report(told);
    (report.state, report.reason, report.message)
}

const NEXT: &str = "the next slot is from 2026-11-27 19:00:00 UTC to 2026-11-27 21:00:00 UTC";

#[test]
fn what_comes_next() {
    let plan = next();
    assert_eq!(said(&told(&plan)), (State::Ready, reason::READY, NEXT.to_owned()));
    let done = Plan::default();
    assert_eq!(said(&told(&done)).2, "there is no slot to come");
    let last = Plan {
        under_way: vec![slot()],
        ..Plan::default()
    };
    assert_eq!(said(&told(&last)).2, "there is no slot after this one");
    let unrecorded = Told {
        no_storage: Some("radio"),
        ..told(&plan)
    };
    assert_eq!(
        said(&unrecorded).2,
        format!("{NEXT}; nothing is recorded, because Station radio has no storage")
    );
}

#[test]
fn a_slot_of_somebody_else_is_no_success() {
    let plan = Plan {
        taken: vec![(at(0), "night-shift".to_owned())],
        ..next()
    };
    let (state, why, message) = said(&told(&plan));
    assert_eq!((state, why), (State::Stalled, reason::SLOT_TAKEN));
    assert!(
        message
            .starts_with("the slot of 2026-11-27 19:00:00 UTC belongs to Show night-shift, which is older"),
        "{message}"
    );
}

#[test]
fn what_is_not_as_somebody_meant_it_is_told_without_being_a_failure() {
    let overlapping = Plan {
        overlapped: Some(at(60)),
        ..next()
    };
    let (state, why, message) = said(&told(&overlapping));
    assert_eq!((state, why), (State::Ready, reason::SCHEDULE_OVERLAPS));
    assert!(
        message.contains("the start at 2026-11-27 20:00:00 UTC is left out"),
        "{message}"
    );

    let plan = next();
    let suspended = Told {
        suspended: true,
        ..told(&plan)
    };
    assert_eq!(said(&suspended).1, reason::SUSPENDED);
    assert!(said(&suspended).2.starts_with("suspended"));

    let place = PasswordPlace {
        name: "djs".to_owned(),
        key: "van".to_owned(),
    };
    let missing = [Missing::Password {
        username: "bert".to_owned(),
        why: NoPassword::Key(place),
    }];
    let closed = Told {
        missing: &missing,
        ..told(&plan)
    };
    let (state, why, message) = said(&closed);
    assert_eq!((state, why), (State::Ready, reason::PASSWORD_NOT_FOUND));
    assert_eq!(
        message,
        format!(
            "{NEXT}; presenter bert cannot connect, because key van of Secret djs with the password does not exist"
        )
    );
    let missing = [Missing::Key {
        secret: "mic-keys".to_owned(),
        key: "9".to_owned(),
    }];
    let closed = Told {
        missing: &missing,
        ..told(&plan)
    };
    assert_eq!(said(&closed).1, reason::INPUT_NOT_FOUND);
}

#[test]
fn errors_say_whether_somebody_has_to_do_something() {
    let plan = next();
    let report = |trouble: &Error| {
        let told = Told {
            trouble: Some(trouble),
            ..told(&plan)
        };
        let (state, reason, message) = said(&told);
        assert!(!message.is_empty());
        (state, reason)
    };
    let mount = "talk".to_owned();
    let namespace = "city".to_owned();
    assert_eq!(
        report(&Error::MountNotFound {
            mount: mount.clone(),
            namespace
        }),
        (State::Reconciling, reason::MOUNT_NOT_FOUND)
    );
    assert_eq!(
        report(&Error::NoInput { mount: mount.clone() }),
        (State::Stalled, reason::INPUT_NOT_FOUND)
    );
    let input = "9".to_owned();
    assert_eq!(
        report(&Error::InputNotFound { mount, input }),
        (State::Stalled, reason::INPUT_NOT_FOUND)
    );
}

#[test]
fn a_slot_is_told_once_when_its_recording_is_there() {
    let with = |slots: &[SlotUnderWay]| ShowStatus {
        under_way: slots.to_vec(),
        ..ShowStatus::default()
    };
    let unmade = SlotUnderWay {
        recording: None,
        ..slot()
    };
    let none = ShowStatus::default();
    assert_eq!(news(&none, &with(std::slice::from_ref(&unmade))).len(), 0);
    let told = news(&with(&[unmade]), &with(&[slot()]));
    assert_eq!(
        told[0].note.as_deref(),
        Some(
            "the slot from 2026-11-27 19:00:00 UTC to 2026-11-27 21:00:00 UTC is recorded as Recording \
             talk-20261127t190000z"
        )
    );
    assert_eq!(news(&with(&[slot()]), &with(&[slot()])).len(), 0);
}
