//! Whether this process can do its work, and what it lacks. No IO.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// What has to be there before the operator is ready; filled in by those who make it so.
#[derive(Debug, Default)]
pub struct Readiness {
    needs: Mutex<BTreeMap<String, String>>,
}

impl Readiness {
    /// Ready once the kinds are installed.
    #[must_use]
    pub fn new() -> Self {
        let readiness = Self::default();
        readiness.crds(Err(
            "the API server has not been asked for the CRDs yet".to_owned()
        ));
        readiness
    }

    /// Whether our kinds are installed.
    pub fn crds(&self, found: Result<(), String>) {
        match found {
            Ok(()) => self.met("CustomResourceDefinitions"),
            Err(why) => self.lacks("CustomResourceDefinitions", &why),
        }
    }

    /// A watch that has to fill its copy first. Returns the name for the other calls.
    pub fn expect_watch(&self, plural: &str) -> String {
        self.lacks(plural, "not listed yet");
        plural.to_owned()
    }

    /// The copy is complete.
    pub fn synced(&self, watch: &str) {
        self.met(watch);
    }

    /// Listing failed; it is tried again.
    pub fn failed(&self, watch: &str, why: &str) {
        self.lacks(watch, why);
    }

    /// `Err` lists what is missing, one per line.
    pub fn check(&self) -> Result<(), String> {
        let needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        if needs.is_empty() {
            return Ok(());
        }
        let lines: Vec<_> = needs.iter().map(|(need, why)| format!("{need}: {why}")).collect();
        Err(lines.join("\n") + "\n")
    }

    fn lacks(&self, need: &str, why: &str) {
        self.needs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(need.to_owned(), why.to_owned());
    }

    fn met(&self, need: &str) {
        self.needs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(need);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_until_nothing_is() {
        let readiness = Readiness::new();
        assert!(readiness.check().unwrap_err().contains("has not been asked"));
        readiness.crds(Err("mounts.radio.moafunk.de is not installed".to_owned()));
        let pods = readiness.expect_watch("pods");
        assert_eq!(
            readiness.check().unwrap_err(),
            "CustomResourceDefinitions: mounts.radio.moafunk.de is not installed\npods: not listed yet\n"
        );
        readiness.crds(Ok(()));
        readiness.failed(&pods, "pods is forbidden");
        assert_eq!(readiness.check().unwrap_err(), "pods: pods is forbidden\n");
        readiness.synced(&pods);
        assert_eq!(readiness.check(), Ok(()));
    }
}
