use insta::{assert_snapshot, assert_yaml_snapshot};
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;

use super::*;
use crate::{
    recording::{
        sample::{FULL, PLAIN, valid},
        validate::nowhere,
    },
    testing::value,
};

fn tape() -> TapeAccess {
    TapeAccess {
        addresses: vec!["radio-ingest-0.radio-tape.city.svc:8006".to_owned()],
        token: "s3cr3t".to_owned(),
    }
}

fn json(secret: &Secret) -> serde_json::Value {
    serde_json::from_slice(&secret.data.as_ref().unwrap()[RECORDING_KEY].0).unwrap()
}

fn pod(job: &Job) -> PodSpec {
    job.spec.as_ref().unwrap().template.spec.clone().unwrap()
}

#[test]
fn the_recorder() {
    assert_yaml_snapshot!(recorder(&valid(FULL)));
}

#[test]
fn the_recorder_of_a_plain_recording() {
    assert_yaml_snapshot!(recorder(&valid(PLAIN)));
}

#[test]
fn the_finalizer() {
    assert_yaml_snapshot!(finalizer(&valid(FULL), 2, 200 << 20));
}

#[test]
fn the_finalizer_of_a_plain_recording() {
    assert_yaml_snapshot!(finalizer(&valid(PLAIN), 1, 200 << 20));
}

#[test]
fn what_they_are_told() {
    let secret = config(&valid(FULL), tape());
    assert_yaml_snapshot!(Secret {
        data: None,
        ..secret.clone()
    });
    assert_yaml_snapshot!(json(&secret));
    assert_yaml_snapshot!(json(&config(&valid(PLAIN), nowhere())));
}

#[test]
fn the_recorder_understands_what_it_is_told() {
    for text in [FULL, PLAIN] {
        let told = json(&config(&valid(text), tape()));
        let read = recorder::config::Recording::parse(told.to_string().as_bytes()).unwrap();
        assert_eq!(value(&read), told);
    }
}

#[test]
fn every_name() {
    let spec = valid(FULL);
    let names = [
        format!("Secret {}", config(&spec, tape()).name_any()),
        format!("Job {}", recorder(&spec).name_any()),
        format!("Job {}", finalizer(&spec, spec.edition, 0).name_any()),
    ];
    assert_snapshot!(names.join("\n"));
    // A Job's name is a label of its pods.
    let longest = "r".repeat(radio_crds::MAX_RECORDING_NAME_LENGTH);
    assert_eq!(finalizer_name(&longest, 1007).len(), 63);
}

/// The way to the tapes opens them: it is in the Secret and nowhere else.
#[test]
fn no_token_is_in_a_job() {
    let spec = valid(FULL);
    for job in [recorder(&spec), finalizer(&spec, 1, 0)] {
        let text = value(&job).to_string();
        assert!(!text.contains("s3cr3t") && !text.contains("token"), "{text}");
    }
    assert!(!format!("{:?}", spec.told(tape())).contains("s3cr3t"));
}

#[test]
fn every_pod_is_restricted() {
    for job in [recorder(&valid(FULL)), finalizer(&valid(PLAIN), 1, 0)] {
        let pod = pod(&job);
        let security = pod.security_context.unwrap();
        assert_eq!(security.run_as_non_root, Some(true));
        assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
        for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
            let security = container.security_context.clone().unwrap();
            assert_eq!(security.allow_privilege_escalation, Some(false));
            assert_eq!(security.read_only_root_filesystem, Some(true));
            assert_eq!(security.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
            let resources = container.resources.clone().unwrap();
            assert_eq!(
                resources.requests.unwrap()["memory"],
                resources.limits.unwrap()["memory"]
            );
        }
    }
}

#[test]
fn scratch_grows_with_the_show_and_its_renditions() {
    let size = |text: &str, bytes| {
        let volumes = pod(&finalizer(&valid(text), 1, bytes)).volumes.unwrap();
        let scratch = volumes
            .into_iter()
            .find(|volume| volume.name == "scratch")
            .unwrap();
        scratch.empty_dir.unwrap().size_limit.unwrap().0
    };
    assert_eq!(size(PLAIN, 0), "256Mi");
    assert_eq!(size(PLAIN, 1 << 30), "2560Mi");
    assert_eq!(size(FULL, 1 << 30), "4608Mi");
    // What no node has is asked for without an overflow.
    assert_eq!(size(FULL, u64::MAX), "17592186044416Mi");
}
