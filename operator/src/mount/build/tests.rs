use insta::{assert_snapshot, assert_yaml_snapshot};
use kube::ResourceExt;

use super::*;
use crate::{
    mount::validate::Rival,
    testing::{FULL_MOUNT, PASSTHROUGH_MOUNT, PLAIN_MOUNT, WILDCARD_MOUNT, valid_mount, value},
    text::{Line, Password},
};

fn build(mount: &ValidMount) -> Desired {
    super::build(mount).unwrap()
}

fn json(secret: &Secret) -> serde_json::Value {
    serde_json::from_slice(&secret.data.as_ref().unwrap()["playout.json"].0).unwrap()
}

#[test]
fn the_playout_pod() {
    assert_yaml_snapshot!(build(&valid_mount(FULL_MOUNT)).playout);
}

#[test]
fn the_playout_pod_of_a_plain_mount() {
    assert_yaml_snapshot!(build(&valid_mount(PLAIN_MOUNT)).playout);
}

#[test]
fn the_rights() {
    let Access {
        service_account,
        role,
        binding,
    } = build(&valid_mount(FULL_MOUNT)).access;
    assert_yaml_snapshot!((service_account, role, binding));
}

#[test]
fn the_configuration() {
    let secret = build(&valid_mount(FULL_MOUNT)).config;
    assert_yaml_snapshot!(Secret {
        data: None,
        ..secret.clone()
    });
    assert_yaml_snapshot!(json(&secret));
}

#[test]
fn the_configuration_of_a_plain_mount() {
    assert_yaml_snapshot!(json(&build(&valid_mount(PLAIN_MOUNT)).config));
}

#[test]
fn every_name() {
    let Desired {
        access,
        config,
        playout,
    } = build(&valid_mount(FULL_MOUNT));
    let names = [
        format!("ServiceAccount {}", access.service_account.name_any()),
        format!("Role {}", access.role.name_any()),
        format!("RoleBinding {}", access.binding.name_any()),
        format!("Secret {}", config.name_any()),
        format!("Deployment {}", playout.name_any()),
    ];
    assert_snapshot!(names.join("\n"));
}

#[test]
fn the_agent_understands_what_it_is_told() {
    for mount in [FULL_MOUNT, PLAIN_MOUNT] {
        let told = json(&build(&valid_mount(mount)).config);
        let read: playout_agent::config::Playout = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(value(&read), told);
    }
}

/// Titles, passwords, playlists from `ConfigMaps` and emergency audio change under a running Liquidsoap.
#[test]
fn only_outputs_image_and_volumes_restart_the_pod() {
    let mount = valid_mount(FULL_MOUNT);
    let template = |mount: &ValidMount| value(&build(mount).playout.spec.unwrap().template);
    let before = template(&mount);

    let mut softly = mount.clone();
    softly.credentials.source = Password::random();
    softly.credentials.tape = Password::random();
    softly.inputs.remove(0);
    softly.spec.title = Some(Line::parse("title", "Another", 200).unwrap());
    softly.station.title = Line::parse("title", "Other", 200).unwrap();
    softly.spec.emergency = None;
    softly.spec.playlists.remove(0);
    softly.missing = Vec::new();
    assert_eq!(template(&softly), before);
    softly.inputs.clear();
    assert_eq!(template(&softly), before);
    assert_ne!(json(&build(&softly).config), json(&build(&mount).config));

    let mut two_volumes = mount.clone();
    let mut attic = two_volumes.spec.playlists[1].clone();
    attic.name = crate::text::EntryName::parse("name", "attic").unwrap();
    two_volumes.spec.playlists.push(attic);
    let mut priorities = two_volumes.clone();
    priorities.spec.playlists.reverse();
    assert_eq!(template(&priorities), template(&two_volumes));

    let mut outputs = mount.clone();
    outputs.spec.wants.outputs[0].bitrate_kbps = 128;
    assert_ne!(template(&outputs), before);
    let mut image = mount.clone();
    image.spec.image = crate::text::ImageName::parse("image", "other").unwrap();
    assert_ne!(template(&image), before);
    let mut volumes = mount;
    volumes.spec.playlists.pop();
    assert_ne!(template(&volumes), before);
}

#[test]
fn a_passthrough_mount_has_no_pod() {
    for mount in [PASSTHROUGH_MOUNT, WILDCARD_MOUNT] {
        assert!(super::build(&valid_mount(mount)).is_none());
    }
}

#[test]
fn a_mount_that_lost_its_path_is_silent() {
    let mut mount = valid_mount(PLAIN_MOUNT);
    assert_eq!(build(&mount).playout.spec.unwrap().replicas, Some(1));
    mount.rival = Some(Rival {
        path: "/live.mp3".to_owned(),
        mount: "older".to_owned(),
    });
    assert_eq!(build(&mount).playout.spec.unwrap().replicas, Some(0));
}
