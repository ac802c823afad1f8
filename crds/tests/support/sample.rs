//! The sample objects: `samples/accepted/` and `samples/rejected/`.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

/// The first line of a rejected sample begins with it; the rest is part of the API server's answer.
const REJECTED: &str = "# rejected: ";

/// One file: an object, or an object before and after an update.
#[derive(Debug)]
pub struct Sample {
    /// The file's name, without `.yaml`.
    pub name: String,
    /// Part of the answer to a rejected sample.
    pub answer: Option<String>,
    /// The object before the update, if it is about one.
    pub old: Option<Value>,
    /// The object that is accepted or rejected.
    pub object: Value,
}

impl Sample {
    /// All samples in `samples/<folder>`, by name.
    pub fn all(folder: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/samples")
            .join(folder);
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let mut objects = documents(&text);
        assert!(
            (1..=2).contains(&objects.len()),
            "{} has neither one nor two objects",
            path.display()
        );
        Self {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            answer: text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix(REJECTED))
                .map(str::to_owned),
            object: objects.pop().unwrap(),
            old: objects.pop(),
        }
    }

    /// The kind of the object.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap()
    }
}

/// Every object of a YAML file.
pub fn documents(yaml: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}
