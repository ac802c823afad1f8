//! Every rule of the API has an object that keeps it and one that breaks it, and the rule tells them apart.
//!
//! The API server answers the same to the same files: `e2e/tests/promises/ground_api.rs`.
#![cfg(test)]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use kube::core::cel::compile_schema;
use radio_crds::{Mount, Recording, Show, Station};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use support::{
    definition::{Definition, Rule},
    openapi,
    sample::{Sample, documents},
};

fn definition(kind: &str) -> Definition {
    Definition::all()
        .into_iter()
        .find(|definition| definition.kind == kind)
        .unwrap()
}

/// The object after a trip through its Rust type, so that nothing in a sample is quietly unknown to it.
fn through_rust(object: &Value) -> Value {
    fn trip<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let typed: T = serde_json::from_value(object.clone()).unwrap();
        serde_json::to_value(typed).unwrap()
    }
    match object["kind"].as_str() {
        Some("Station") => trip::<Station>(object),
        Some("Mount") => trip::<Mount>(object),
        Some("Show") => trip::<Show>(object),
        Some("Recording") => trip::<Recording>(object),
        other => panic!("no kind of ours: {other:?}"),
    }
}

#[test]
fn every_rule_compiles() {
    for definition in Definition::all() {
        let compiled = compile_schema(&definition.schema);
        assert!(
            !compiled.has_errors(),
            "{}: {:?}",
            definition.kind,
            compiled.compilation_errors()
        );
    }
}

#[test]
fn accepted_samples_break_nothing() {
    for sample in Sample::all("accepted") {
        assert!(
            sample.answer.is_none(),
            "{} is accepted, there is no answer to it",
            sample.name
        );
        let definition = definition(sample.kind());
        for (object, old) in sample
            .old
            .iter()
            .map(|old| (old, None))
            .chain([(&sample.object, sample.old.as_ref())])
        {
            assert_eq!(definition.violations(object, old), [], "{}", sample.name);
            assert_eq!(&through_rust(object), object, "{}", sample.name);
        }
    }
}

#[test]
fn rejected_samples_break_one_thing_and_are_told_so() {
    for sample in Sample::all("rejected") {
        let definition = definition(sample.kind());
        if let Some(old) = &sample.old {
            assert_eq!(
                definition.violations(old, None),
                [],
                "{}: what is there before the update",
                sample.name
            );
        }
        let violations = definition.violations(&sample.object, sample.old.as_ref());
        let messages: BTreeSet<_> = violations
            .iter()
            .map(|violation| violation.message.as_str())
            .collect();
        let answer = sample
            .answer
            .expect("a rejected sample begins with '# rejected: '");
        assert_eq!(messages.len(), 1, "{}: {violations:?}", sample.name);
        assert!(
            messages.iter().all(|message| message.contains(&answer)),
            "{}: {violations:?}",
            sample.name
        );
    }
}

#[test]
fn every_rule_has_a_sample_that_breaks_it_and_one_that_keeps_it() {
    let mut broken = BTreeSet::new();
    for sample in Sample::all("rejected") {
        for violation in definition(sample.kind()).violations(&sample.object, sample.old.as_ref()) {
            let (path, message) = (violation.path, violation.message);
            broken.insert(Rule {
                kind: sample.kind().to_owned(),
                path,
                message,
            });
        }
    }
    let accepted = Sample::all("accepted");
    for definition in Definition::all() {
        let rules = definition.rules();
        assert!(!rules.is_empty(), "{} has no rules", definition.kind);
        for rule in &rules {
            assert!(broken.contains(rule), "no sample is rejected by {rule:?}");
            let kept = accepted.iter().any(|sample| {
                sample.kind() == rule.kind && !openapi::at(&sample.object, &rule.path).is_empty()
            });
            assert!(kept, "no accepted sample has anything at {rule:?}");
        }
    }
}

#[test]
fn every_accepted_sample_has_a_rejected_twin() {
    let names = |folder| {
        Sample::all(folder)
            .into_iter()
            .map(|sample| sample.name)
            .collect::<BTreeSet<_>>()
    };
    let alone: Vec<_> = names("accepted")
        .difference(&names("rejected"))
        .cloned()
        .collect();
    assert_eq!(alone, [""; 0]);
}

#[test]
fn the_derived_methods_know_the_same_rules() {
    let mount = |station: &str, path: &str| {
        let spec = serde_json::json!({"stationRef": {"name": station}, "path": path});
        Mount::new("live", serde_json::from_value(spec).unwrap())
    };
    assert!(mount("example", "/live").validate_cel().is_ok());
    assert!(mount("example", "/admin").validate_cel().is_err());
    assert!(
        mount("example", "/other")
            .validate_cel_update(&mount("example", "/live"))
            .is_ok()
    );
    assert!(
        mount("other", "/live")
            .validate_cel_update(&mount("example", "/live"))
            .is_err()
    );
}

/// One of our objects in a sample, or a part that kustomize puts over one.
struct Shipped {
    path: String,
    object: Value,
    is_patch: bool,
}

fn shipped() -> Vec<Shipped> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples");
    let mut shipped = Vec::new();
    for directory in fs::read_dir(folder).unwrap() {
        let directory = directory.unwrap().path();
        let kustomization = fs::read_to_string(directory.join("kustomization.yaml")).unwrap_or_default();
        let kustomization = documents(&kustomization).pop().unwrap_or_default();
        for file in fs::read_dir(&directory).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            let patches = kustomization["patches"].as_array();
            let is_patch = patches.into_iter().flatten().any(|patch| patch["path"] == name);
            let objects = documents(&fs::read_to_string(&path).unwrap());
            let ours = objects
                .into_iter()
                .filter(|object| object["apiVersion"] == "radio.moafunk.de/v1alpha1");
            shipped.extend(ours.map(|object| Shipped {
                path: path.display().to_string(),
                object,
                is_patch,
            }));
        }
    }
    shipped
}

/// RFC 7396, as far as the samples go.
fn merge(target: &mut Value, patch: &Value) {
    match (target.as_object_mut(), patch.as_object()) {
        (Some(target), Some(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
        _ => target.clone_from(patch),
    }
}

#[test]
fn the_shipped_samples_are_valid() {
    let (patches, objects): (Vec<_>, Vec<_>) = shipped().into_iter().partition(|shipped| shipped.is_patch);
    let whole = patches.into_iter().map(|patch| {
        let same = |shipped: &&Shipped| {
            shipped.object["kind"] == patch.object["kind"]
                && shipped.object["metadata"]["name"] == patch.object["metadata"]["name"]
        };
        let mut object = objects.iter().find(same).unwrap().object.clone();
        merge(&mut object, &patch.object);
        Shipped { object, ..patch }
    });
    let whole: Vec<_> = whole.collect();
    let mut checked = BTreeSet::new();
    for Shipped { path, object, .. } in objects.iter().chain(&whole) {
        let kind = object["kind"].as_str().unwrap();
        assert_eq!(definition(kind).violations(object, None), [], "{path}");
        assert_eq!(&through_rust(object), object, "{path}");
        checked.insert(kind.to_owned());
    }
    assert_eq!(
        checked.into_iter().collect::<Vec<_>>(),
        ["Mount", "Show", "Station"],
        "the samples show every kind that people write"
    );
}

/// `kubectl apply` keeps a copy of the whole `ConfigMap`, base64 and all, in an annotation of at most 256 KiB.
#[test]
fn the_example_can_be_applied_by_plain_kubectl() {
    let music = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/samples/example/music");
    let bytes: u64 = fs::read_dir(music)
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len().div_ceil(3) * 4)
        .sum();
    assert!((1..250_000).contains(&bytes), "{bytes} bytes of base64");
}
