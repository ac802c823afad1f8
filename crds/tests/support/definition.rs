//! A generated definition as it is checked in: its schema and the CEL rules in it.

use std::{collections::BTreeSet, fs, path::Path};

use kube::core::cel::Validator;
use serde_json::Value;

use super::openapi;

/// One CEL rule: where it is in the schema of which kind, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    pub kind: String,
    /// As in [`openapi::Violation`].
    pub path: String,
    pub message: String,
}

/// One kind's checked-in definition.
pub struct Definition {
    pub kind: String,
    pub schema: Value,
}

impl Definition {
    /// All kinds' definitions.
    pub fn all() -> Vec<Self> {
        ["station", "mount", "show", "recording"].map(Self::read).into()
    }

    fn read(kind: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{kind}.yaml"));
        let definition: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let versions = definition["spec"]["versions"].as_array().unwrap();
        assert_eq!(
            versions.len(),
            1,
            "the samples are checked against the only version"
        );
        Self {
            kind: definition["spec"]["names"]["kind"].as_str().unwrap().to_owned(),
            schema: versions[0]["schema"]["openAPIV3Schema"].clone(),
        }
    }

    /// Every CEL rule of the kind.
    pub fn rules(&self) -> BTreeSet<Rule> {
        let mut rules = BTreeSet::new();
        openapi::visit(&self.schema, "", &mut |path, schema| {
            for rule in schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let message = rule["message"].as_str().unwrap_or_default().to_owned();
                let new = rules.insert(Rule {
                    kind: self.kind.clone(),
                    path: path.to_owned(),
                    message,
                });
                assert!(new, "two rules of {path} say the same");
            }
        });
        rules
    }

    /// What the API server would object to in `object`, as an update of `old` if there is one.
    pub fn violations(&self, object: &Value, old: Option<&Value>) -> Vec<openapi::Violation> {
        let mut violations = openapi::check(&self.schema, object);
        // After these the API server does not look at its rules any more.
        let blocking = ["Required value", "Too long", "Too many", "must be of type"];
        if violations
            .iter()
            .any(|violation| blocking.iter().any(|word| violation.message.contains(word)))
        {
            return violations;
        }
        if let Err(errors) = Validator::new().validate(&self.schema, object, old) {
            violations.extend(errors.into_vec().into_iter().map(|error| openapi::Violation {
                path: openapi::without_indexes(&error.field_path),
                message: error.message,
            }));
        }
        violations
    }
}
