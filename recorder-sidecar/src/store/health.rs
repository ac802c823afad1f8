//! How the store does, for metrics, logs and the operator.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Error;
use crate::report::Trouble;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    errors: Family<Code, Counter>,
    trouble: Mutex<Option<Trouble>>,
}

impl Health {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "radio_recorder_store_errors",
            "Requests to the store that have to be repeated, or failed for good",
            self.errors.clone(),
        );
    }

    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn worked(&self) {
        let was = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(trouble) = was {
            let seconds = Timestamp::now().duration_since(trouble.since).as_secs();
            tracing::info!(seconds, "the store works again");
        }
    }

    pub fn failed(&self, failure: &Error) {
        self.count(failure);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // Once for each kind of trouble, not for each request.
        if trouble.as_ref().is_none_or(|known| known.code != failure.code()) {
            tracing::warn!(%failure, "the store fails; it is tried until it works, and the spool keeps everything");
        }
        *trouble = Some(Trouble {
            since: trouble.as_ref().map_or_else(Timestamp::now, |known| known.since),
            code: failure.code().to_owned(),
            message: failure.to_string(),
        });
    }

    /// A no is an answer, and often an expected one.
    pub fn answered_no(&self, failure: &Error) {
        self.worked();
        if matches!(failure, Error::Refused { .. } | Error::Conflict { .. }) {
            self.count(failure);
        }
    }

    fn count(&self, failure: &Error) {
        let code = Code {
            code: failure.code().to_owned(),
        };
        self.errors.get_or_create(&code).inc();
    }
}
