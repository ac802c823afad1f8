use std::collections::BTreeMap;

use super::*;
use crate::{
    show::sample::{FULL, PLAIN, mount},
    testing::{WILDCARD_MOUNT, input_secrets, yaml},
};

fn keyed() -> Show {
    let mut show: Show = yaml(PLAIN);
    show.spec.mount_ref.name = "mics".to_owned();
    show.spec.input = Some("7".to_owned());
    show
}

fn names(valid: &Valid) -> Vec<(&str, &str, &str)> {
    let presenters = valid.presenters.iter();
    presenters
        .map(|presenter| {
            let place = &presenter.password;
            (
                presenter.username.as_str(),
                place.name.as_str(),
                place.key.as_str(),
            )
        })
        .collect()
}

#[test]
fn presenters_and_where_their_passwords_are() {
    let valid = check(&yaml(FULL), &mount()).unwrap();
    assert_eq!(
        names(&valid),
        [("anna", "night-shift-presenters", "anna"), ("bert", "djs", "van")]
    );
    assert_eq!(valid.to_be_made(), ["anna"]);
    assert_eq!(valid.owner.station, "radio");
    assert_eq!(check(&yaml(PLAIN), &mount()).unwrap().presenters, []);
}

#[test]
fn a_password_that_is_missing_is_known() {
    let valid = check(&yaml(FULL), &mount()).unwrap();
    let mut secrets = input_secrets();
    assert_eq!(
        valid.missing(&secrets),
        [Missing::Password {
            username: "anna".to_owned(),
            why: NoPassword::Secret("night-shift-presenters".to_owned())
        }]
    );
    let made = BTreeMap::from([("anna".to_owned(), ByteString(b"made\n".to_vec()))]);
    secrets.insert("night-shift-presenters".to_owned(), made);
    assert_eq!(valid.missing(&secrets), []);
    let broken = BTreeMap::from([("van".to_owned(), ByteString(b"a\nb".to_vec()))]);
    secrets.insert("djs".to_owned(), broken);
    assert!(matches!(
        &valid.missing(&secrets)[..],
        [Missing::Password { why: NoPassword::Unusable(place), .. }] if place.key == "van"
    ));
}

#[test]
fn a_key_that_is_none_is_known() {
    let mount: Mount = yaml(WILDCARD_MOUNT);
    let valid = check(&keyed(), &mount).unwrap();
    assert_eq!(valid.missing(&input_secrets()), []);
    let mut other = keyed();
    other.spec.input = Some("9".to_owned());
    let valid = check(&other, &mount).unwrap();
    assert_eq!(
        valid.missing(&input_secrets()),
        [Missing::Key {
            secret: "mic-keys".to_owned(),
            key: "9".to_owned()
        }]
    );
    other.spec.input = Some("../x".to_owned());
    assert!(matches!(check(&other, &mount), Err(Error::InputNotFound { .. })));
    other.spec.input = None;
    assert!(matches!(check(&other, &mount), Err(Error::Invalid(broken)) if broken.field == "spec.input"));
}

#[test]
fn inputs_have_to_be_there() {
    let mut show: Show = yaml(FULL);
    show.spec.inputs = vec!["studio".to_owned(), "bus".to_owned()];
    assert!(matches!(
        check(&show, &mount()),
        Err(Error::InputNotFound { input, .. }) if input == "bus"
    ));
    show.spec.inputs.clear();
    let mut mute = mount();
    mute.spec.inputs.clear();
    assert!(matches!(check(&show, &mute), Err(Error::NoInput { .. })));
}

#[test]
fn what_cannot_be_carried_out() {
    type Break = fn(&mut Show);
    let cases: [(&str, Break); 11] = [
        ("metadata", |show| show.metadata.uid = None),
        ("spec.title", |show| show.spec.title = "#{x}".to_owned()),
        ("spec.hosts", |show| show.spec.hosts[0] = "<b>".to_owned()),
        ("spec.schedule.cron", |show| {
            show.spec.schedule.cron = Some("61 20 * * *".to_owned());
        }),
        ("spec.schedule.timeZone", |show| {
            show.spec.schedule.time_zone = Some("Europe/Atlantis".to_owned());
        }),
        ("spec.earlyConnect", |show| {
            show.spec.early_connect = Some("5h".to_owned());
        }),
        ("spec.overrun", |show| show.spec.overrun = Some("soon".to_owned())),
        ("spec.missedAfter", |show| {
            show.spec.missed_after = Some("0s".to_owned());
        }),
        ("spec.presenters", |show| {
            show.spec.presenters[0].username = "anna:x".to_owned();
        }),
        ("spec.presenters", |show| {
            show.spec.presenters[1].username = "anna".to_owned();
        }),
        ("spec.input", |show| show.spec.input = Some("7".to_owned())),
    ];
    for (field, break_it) in cases {
        let mut show: Show = yaml(FULL);
        break_it(&mut show);
        match check(&show, &mount()) {
            Err(Error::Invalid(broken)) => assert_eq!(broken.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}
