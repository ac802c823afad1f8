//! The checked-in definitions are the ones the types give, and they are fit to live with for years.
#![cfg(test)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const KINDS: [(&str, &str, &str); 4] = [
    ("station", "stations", "rst"),
    ("mount", "mounts", "mnt"),
    ("show", "shows", "sh"),
    ("recording", "recordings", "rec"),
];

/// `kubectl apply` keeps a copy in an annotation, which may have 256 KiB.
const MAX_BYTES: usize = 200 * 1024;

fn checked_in(kind: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{kind}.yaml"))).unwrap()
}

fn definition(kind: &str) -> Value {
    serde_yaml::from_str(&checked_in(kind)).unwrap()
}

fn schema(kind: &str) -> Value {
    definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `look` with every schema below a kind's root, and its path.
fn each_schema(kind: &str, look: &mut impl FnMut(&str, &Value)) {
    fn visit(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            look(&path, property);
            visit(property, &path, look);
        }
        if schema["items"].is_object() {
            let path = format!("{path}[]");
            look(&path, &schema["items"]);
            visit(&schema["items"], &path, look);
        }
    }
    visit(&schema(kind), kind, look);
}

#[test]
fn the_yaml_is_what_the_types_give() {
    for (kind, ..) in KINDS {
        let printed = Command::new(env!("CARGO_BIN_EXE_crdgen"))
            .arg(kind)
            .output()
            .unwrap();
        assert!(printed.status.success());
        let printed = String::from_utf8(printed.stdout).unwrap();
        assert!(
            printed == checked_in(kind),
            "crds/{kind}.yaml is old: cargo run -p radio-crds --bin crdgen"
        );
    }
}

#[test]
fn crdgen_says_which_kinds_there_are() {
    let printed = Command::new(env!("CARGO_BIN_EXE_crdgen"))
        .arg("podcast")
        .output()
        .unwrap();
    assert!(!printed.status.success());
    let answer = String::from_utf8(printed.stderr).unwrap();
    assert!(
        answer.contains("podcast") && answer.contains("station"),
        "{answer}"
    );
}

#[test]
fn each_definition_is_small() {
    for (kind, ..) in KINDS {
        let bytes = definition(kind).to_string().len();
        assert!(bytes < MAX_BYTES, "{kind}: {bytes} bytes");
    }
}

#[test]
fn kubectl_knows_the_short_names_and_the_category() {
    for (kind, plural, short_name) in KINDS {
        let spec = &definition(kind)["spec"];
        assert_eq!(spec["group"], radio_crds::GROUP);
        assert_eq!(spec["scope"], "Namespaced");
        assert_eq!(spec["names"]["plural"], plural);
        assert_eq!(spec["names"]["shortNames"], serde_json::json!([short_name]));
        assert_eq!(
            spec["names"]["categories"],
            serde_json::json!([radio_crds::CATEGORY])
        );
        let version = &spec["versions"][0];
        assert_eq!(version["name"], radio_crds::VERSION);
        assert_eq!(version["subresources"], serde_json::json!({"status": {}}));
        let columns: Vec<_> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .collect();
        // A list of recordings is a log of shows.
        let wanted = match kind {
            "recording" => ["On air since", "State", "Reason"],
            _ => ["Ready", "Reason", "Age"],
        };
        for column in wanted {
            assert!(
                columns.iter().any(|found| found["name"] == column),
                "{kind} has no column {column}"
            );
        }
    }
}

#[test]
fn printer_columns_show_fields_that_exist() {
    for (kind, ..) in KINDS {
        let mut paths = vec![".metadata.creationTimestamp".to_owned()];
        each_schema(kind, &mut |path, _| {
            paths.push(path.trim_start_matches(kind).replace("[]", ""));
        });
        for column in definition(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap()
        {
            let path = column["jsonPath"]
                .as_str()
                .unwrap()
                .replace(r#"[?(@.type=="Ready")]"#, "")
                .replace("[0]", "");
            assert!(paths.contains(&path), "{kind}: {column}");
        }
    }
}

#[test]
fn every_field_is_described_in_at_most_three_lines() {
    for (kind, ..) in KINDS {
        each_schema(kind, &mut |path, schema| {
            if !path.ends_with("[]") {
                let description = schema["description"].as_str().unwrap_or_default();
                assert!(
                    (1..=3).contains(&description.lines().count()),
                    "{path}: {description:?}"
                );
            }
        });
    }
}

#[test]
fn every_optional_field_of_a_spec_says_its_default() {
    fn visit(schema: &Value, path: &str) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let description = property["description"].as_str().unwrap_or_default();
            let told = description.contains("Default: ") || description.contains("Either this or");
            assert!(
                told || required.contains(&Value::from(name.as_str())),
                "{path}.{name}: {description:?}"
            );
            visit(property, &format!("{path}.{name}"));
            visit(&property["items"], &format!("{path}.{name}[]"));
        }
    }
    for (kind, ..) in KINDS {
        visit(&schema(kind)["properties"]["spec"], kind);
    }
}

/// What an autoscaler or Git may own has no default from the API server: it would show as drift.
#[test]
fn nothing_is_defaulted_nullable_or_a_fraction() {
    for (kind, ..) in KINDS {
        each_schema(kind, &mut |path, schema| {
            for keyword in [
                "default",
                "nullable",
                "pattern",
                "oneOf",
                "anyOf",
                "allOf",
                "additionalProperties",
            ] {
                assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
            }
            let known = ["object", "array", "string", "integer", "boolean"];
            assert!(
                known.iter().any(|known| schema["type"] == *known),
                "{path}: {}",
                schema["type"]
            );
            if let Some(format) = schema["format"].as_str() {
                assert!(
                    ["int32", "int64", "date-time"].contains(&format),
                    "{path}: the API server warns about {format}"
                );
            }
        });
    }
}

#[test]
fn lists_of_objects_merge_by_key() {
    for (kind, ..) in KINDS {
        each_schema(kind, &mut |path, schema| {
            if schema["items"]["type"] == "object" {
                assert_eq!(schema["x-kubernetes-list-type"], "map", "{path}");
                let keys = schema["x-kubernetes-list-map-keys"].as_array().unwrap();
                let required = schema["items"]["required"].as_array().unwrap();
                assert!(
                    !keys.is_empty() && keys.iter().all(|key| required.contains(key)),
                    "{path}: {keys:?}"
                );
            } else if schema["type"] == "array" {
                assert!(
                    schema["x-kubernetes-list-type"].is_string(),
                    "{path} has no list type"
                );
            }
        });
    }
}

/// Unbounded text or lists in a spec break the API server's budget for CEL, and ours.
#[test]
fn everything_in_a_spec_has_a_limit() {
    for (kind, ..) in KINDS {
        let spec = format!("{kind}.spec");
        each_schema(kind, &mut |path, schema| {
            if !path.starts_with(&spec) {
                return;
            }
            let limits: &[&str] = match schema["type"].as_str() {
                Some("string") if schema["enum"].is_array() => &["enum"],
                Some("string") if schema["format"] == "date-time" => &["format"],
                Some("string") => &["minLength", "maxLength"],
                Some("integer") => &["minimum", "maximum"],
                Some("array") => &["maxItems"],
                _ => &[],
            };
            for limit in limits {
                assert!(schema.get(limit).is_some(), "{path} has no {limit}");
            }
        });
    }
}

#[test]
fn status_and_everything_at_its_top_is_optional() {
    for (kind, ..) in KINDS {
        let schema = schema(kind);
        assert_eq!(schema["required"], serde_json::json!(["spec"]), "{kind}");
        let status = &schema["properties"]["status"];
        assert!(status.is_object() && status.get("required").is_none(), "{kind}");
        for field in ["observedGeneration", "conditions"] {
            assert!(
                status["properties"][field].is_object(),
                "{kind} has no status.{field}"
            );
        }
    }
}

#[test]
fn names_are_camel_case_and_every_rule_has_a_message() {
    for (kind, ..) in KINDS {
        each_schema(kind, &mut |path, schema| {
            let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
            assert!(
                name.starts_with(|first: char| first.is_ascii_lowercase()),
                "{path}"
            );
            assert!(
                name.chars().all(|character| character.is_ascii_alphanumeric()),
                "{path}"
            );
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                assert!(
                    rule["message"].as_str().is_some_and(|message| message.len() > 20),
                    "{path}: {rule}"
                );
            }
        });
    }
}
