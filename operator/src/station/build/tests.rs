use insta::{assert_snapshot, assert_yaml_snapshot};
use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, ResourceExt};

use super::*;
use crate::testing::{FULL_MOUNT, FULL_STATION, PLAIN_MOUNT, PLAIN_STATION, valid_station, value};

fn full() -> Desired {
    build(&valid_station(FULL_STATION, &[PLAIN_MOUNT, FULL_MOUNT]))
}

fn xml(secret: &Secret) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()["icecast.xml"].0.clone()).unwrap()
}

/// Everything but the content, which has a snapshot of its own.
fn frame(secret: &Secret) -> Secret {
    Secret {
        data: None,
        ..secret.clone()
    }
}

#[test]
fn the_origin() {
    assert_yaml_snapshot!(full().origin);
}

#[test]
fn the_relays() {
    assert_yaml_snapshot!(full().relay);
}

#[test]
fn the_services() {
    let Desired {
        origin_service,
        listen_service,
        ..
    } = full();
    assert_yaml_snapshot!((origin_service, listen_service));
}

#[test]
fn the_rights() {
    let Access {
        service_account,
        role,
        binding,
    } = full().relay_access;
    assert_yaml_snapshot!((service_account, role, binding));
}

#[test]
fn the_configuration_of_the_origin() {
    let secret = full().origin_config;
    assert_yaml_snapshot!(frame(&secret));
    assert_snapshot!(xml(&secret));
}

#[test]
fn the_configuration_of_the_relays() {
    let secret = full().relay_config;
    assert_yaml_snapshot!(frame(&secret));
    assert_snapshot!(xml(&secret));
}

#[test]
fn a_station_without_mounts() {
    let Desired {
        origin_config,
        relay_config,
        ..
    } = build(&valid_station(PLAIN_STATION, &[]));
    assert_snapshot!(xml(&origin_config));
    assert_snapshot!(xml(&relay_config));
}

#[test]
fn every_name() {
    let desired = full();
    let mut names = Vec::new();
    let mut add = |kind: &str, name: String| names.push(format!("{kind} {name}"));
    for access in [&desired.origin_access, &desired.relay_access] {
        add("ServiceAccount", access.service_account.name_any());
        add("Role", access.role.name_any());
        add("RoleBinding", access.binding.name_any());
    }
    for secret in [&desired.origin_config, &desired.relay_config] {
        add("Secret", secret.name_any());
    }
    for service in [&desired.origin_service, &desired.listen_service] {
        add("Service", service.name_any());
    }
    for deployment in [&desired.origin, &desired.relay] {
        add("Deployment", deployment.name_any());
    }
    assert_snapshot!(names.join("\n"));
}

#[test]
fn every_child_is_owned_and_labelled() {
    let desired = full();
    let metas = [
        desired.origin_access.service_account.meta(),
        desired.origin_access.role.meta(),
        desired.origin_access.binding.meta(),
        desired.origin_config.meta(),
        desired.relay_config.meta(),
        desired.origin_service.meta(),
        desired.listen_service.meta(),
        desired.origin.meta(),
        desired.relay.meta(),
    ];
    for meta in metas {
        let owner = &meta.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
            ("Station", "station-uid", Some(true))
        );
        let labels = meta.labels.as_ref().unwrap();
        assert_eq!(labels["app.kubernetes.io/managed-by"], "radio-operator");
        assert_eq!(labels["radio.moafunk.de/station"], "radio");
        assert!(meta.namespace.as_deref() == Some("city") && meta.annotations.is_none());
    }
}

/// Mounts, passwords and what listeners read are reloaded by the agents: a pod must not be replaced for them.
#[test]
fn only_image_and_number_of_relays_touch_the_pods() {
    let before = full();
    let mut other = valid_station(FULL_STATION, &[]);
    other.credentials.source = crate::text::Password::random();
    other.credentials.relay = crate::text::Password::random();
    other.spec.identity.title = crate::text::Line::parse("title", "Another", 200).unwrap();
    other.spec.hostname = crate::text::HostName::parse("hostname", "other.example.org").unwrap();
    let after = build(&other);
    assert_eq!(value(&before.origin), value(&after.origin));
    assert_eq!(value(&before.relay), value(&after.relay));
    assert_ne!(value(&before.origin_config), value(&after.origin_config));

    let template = |desired: &Desired| value(&desired.relay.spec.as_ref().unwrap().template);
    let plain = build(&valid_station(PLAIN_STATION, &[]));
    assert_ne!(template(&before), template(&plain));
    other.spec.relays = 9;
    assert_eq!(template(&before), template(&build(&other)));
}
