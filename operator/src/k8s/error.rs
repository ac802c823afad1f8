//! How errors are sorted: what happens next, and what people and programs are told. No IO.

use std::{error::Error as StdError, time::Duration};

use radio_crds::conditions::reason;
use thiserror::Error;

/// What happens after a failed reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something went wrong that may go right next time: again, with exponential back-off.
    Retry,
    /// Something else has to happen first: a watch tells when, this is how long to wait at most. No failure.
    Wait(Duration),
    /// Somebody has to change something. `recheck` where no watch would tell that they did.
    Stalled {
        /// How often to look again.
        recheck: Option<Duration>,
    },
}

/// An error that knows what it means for the object being reconciled.
pub trait Classify: StdError + Send + Sync + 'static {
    /// The one word for condition, Event and metric.
    fn reason(&self) -> &'static str;
    /// What happens next.
    fn class(&self) -> Class;
}

/// Longest message in a condition or Event, in bytes; Events allow 1024.
const LONGEST_MESSAGE: usize = 1000;

/// The error and its causes in one line for people.
#[must_use]
pub fn message(error: &(dyn StdError + 'static)) -> String {
    let mut text = explain(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = explain(error);
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        // kube's errors repeat their own sources.
        cause = if error.is::<kube::Error>() {
            None
        } else {
            error.source()
        };
    }
    shorten(text)
}

/// Cuts a message to what a condition and an Event can hold.
#[must_use]
pub fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE - '…'.len_utf8()));
        text.push('…');
    }
    text
}

fn explain(error: &(dyn StdError + 'static)) -> String {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => status.message.clone(),
        _ => error.to_string(),
    }
}

/// A request to the API server that failed.
#[derive(Debug, Error)]
#[error("failed to {action} {object}")]
pub struct ApiError {
    /// `apply`, `read`, ...
    pub action: &'static str,
    /// Kind and name.
    pub object: String,
    /// What the API server said, or why it could not be asked.
    #[source]
    pub source: kube::Error,
}

impl ApiError {
    /// For `map_err`.
    pub fn new(action: &'static str, kind: &str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let object = format!("{kind} {name}");
        move |source| Self {
            action,
            object,
            source,
        }
    }
}

impl Classify for ApiError {
    fn reason(&self) -> &'static str {
        reason::API_ERROR
    }

    fn class(&self) -> Class {
        match &self.source {
            // What we saw is no longer so: look again, soon.
            kube::Error::Api(status) if status.is_conflict() => Class::Wait(Duration::from_secs(1)),
            // The same object would be refused again; rare enough to look now and then.
            kube::Error::Api(status) if status.is_invalid() => Class::Stalled {
                recheck: Some(Duration::from_mins(5)),
            },
            _ => Class::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> ApiError {
        let status = Status::failure(message, reason).with_code(code);
        ApiError::new("apply", "Deployment", "radio-relay")(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn classes_by_answer() {
        assert_eq!(
            api(409, "Conflict", "x").class(),
            Class::Wait(Duration::from_secs(1))
        );
        assert!(matches!(
            api(422, "Invalid", "x").class(),
            Class::Stalled { recheck: Some(_) }
        ));
        for (code, reason) in [
            (403, "Forbidden"),
            (404, "NotFound"),
            (429, "TooManyRequests"),
            (500, "InternalError"),
        ] {
            assert_eq!(api(code, reason, "x").class(), Class::Retry, "{code}");
        }
    }

    #[test]
    fn the_message_names_the_object_and_the_answer_once() {
        let text = message(&api(403, "Forbidden", "deployments is forbidden"));
        assert_eq!(
            text,
            "failed to apply Deployment radio-relay: deployments is forbidden"
        );
    }

    #[test]
    fn long_messages_end_on_a_character() {
        let text = message(&api(403, "Forbidden", &"ü".repeat(4000)));
        assert!(
            text.len() <= LONGEST_MESSAGE && text.ends_with("ü…"),
            "{}",
            text.len()
        );
    }
}
