//! What a store's answers mean. No IO.

use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::REFUSED_PAUSE;

const LONGEST_WORDS: usize = 300;
/// A store that asks for more patience than this is asked again anyway.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);
/// At most so much later than it named; not all at the same time.
const LATER: Duration = Duration::from_secs(5);
/// Codes of 4xx that say: the same request may succeed.
const PASSING: [&str; 9] = [
    "BadDigest",
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "SlowDown",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
];

/// Why a request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No object has this key.
    #[error("the store has no object {key}")]
    Missing {
        /// Below the prefix.
        key: String,
    },
    /// The key is taken by something else.
    #[error("the store has another object as {key}, which is never replaced")]
    Conflict {
        /// Below the prefix.
        key: String,
    },
    /// The multipart upload is over, one way or the other, and the object is not there.
    #[error("the store has no such upload of {key} any more; it has to begin again")]
    NoUpload {
        /// Below the prefix.
        key: String,
    },
    /// A no that stays one.
    #[error("the store refused {doing} with {status} {code}: {words}")]
    Refused {
        /// What was asked.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// The store's word for it.
        code: String,
        /// The store's own words, cut short.
        words: String,
    },
    /// The store's keys were refused: they may have been rotated, or not have arrived everywhere yet.
    #[error(
        "the store refused our keys for {doing} with {status} {code}; check the Secret of the Station's storage"
    )]
    Unauthorized {
        /// What was asked.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// The store's word for it.
        code: String,
    },
    /// The mounted Secret has no keys.
    #[error("the store's keys cannot be read: {words}")]
    NoKeys {
        /// What about them.
        words: String,
    },
    /// It answered, but not now.
    #[error("the store is not able to do {doing} now: {status} {code}")]
    Busy {
        /// What was asked.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// The store's word for it.
        code: String,
        /// It named a time.
        after: Option<Duration>,
    },
    /// No answer.
    #[error("the store did not answer {doing}: {words}")]
    Silent {
        /// What was asked.
        doing: String,
        /// What happened instead.
        words: String,
    },
    /// What the store has is not what was sent.
    #[error("the store has {key} damaged: {words}; it is sent again")]
    Damaged {
        /// Below the prefix.
        key: String,
        /// How it is known.
        words: String,
    },
}

impl Error {
    /// Asking again may help.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Conflict { .. } | Self::NoUpload { .. } | Self::Refused { .. } => {
                false
            }
            Self::Unauthorized { .. }
            | Self::NoKeys { .. }
            | Self::Busy { .. }
            | Self::Silent { .. }
            | Self::Damaged { .. } => true,
        }
    }

    /// One word: a metric's label.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Missing { .. } => "NoSuchKey",
            Self::Conflict { .. } => "Conflict",
            Self::NoUpload { .. } => "NoSuchUpload",
            Self::Refused { code, .. } | Self::Unauthorized { code, .. } | Self::Busy { code, .. } => code,
            Self::NoKeys { .. } => "NoKeys",
            Self::Silent { .. } => "Silent",
            Self::Damaged { .. } => "Damaged",
        }
    }

    /// The time until it is asked again, where the back-off's own is `pause`.
    pub(super) fn pause(&self, pause: Duration) -> Duration {
        match self {
            // A store that names a time is not down, it works between its refusals: seven of ten requests refused made
            // the back-off wait minutes for each of the others.
            Self::Busy {
                after: Some(after), ..
            } => {
                let after = *after.min(&LONGEST_RETRY_AFTER);
                pause.clamp(after, after + LATER)
            }
            Self::Unauthorized { .. } | Self::NoKeys { .. } => pause.max(REFUSED_PAUSE),
            _ => pause,
        }
    }

    /// What the SDK tells, as one of ours.
    pub fn of<E>(doing: String, key: &str, failure: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Some(response) = failure.raw_response() else {
            let words = short(&chain(failure));
            return match failure {
                SdkError::ConstructionFailure(_) => Self::Refused {
                    doing,
                    status: 0,
                    code: "CannotBeAsked".to_owned(),
                    words,
                },
                _ => Self::Silent { doing, words },
            };
        };
        let answer = Answer {
            status: response.status().as_u16(),
            // A HEAD has no body to tell it.
            code: failure.code().map(word),
            words: failure.message().map(short).unwrap_or_default(),
            after: response
                .headers()
                .get("retry-after")
                .and_then(|after| after.parse().ok()),
        };
        answer.meaning(doing, key)
    }
}

struct Answer {
    status: u16,
    code: Option<String>,
    words: String,
    after: Option<u64>,
}

impl Answer {
    fn meaning(self, doing: String, key: &str) -> Error {
        let key = key.to_owned();
        let status = self.status;
        let code = self.code.unwrap_or_else(|| status.to_string());
        let passes = PASSING.contains(&code.as_str());
        match (status, code.as_str()) {
            (_, "NoSuchUpload") => Error::NoUpload { key },
            (_, "NoSuchKey") | (404, "404" | "NotFound") => Error::Missing { key },
            // The bucket may be on its way, and keys may come to fit.
            (_, "NoSuchBucket") => Error::Unauthorized { doing, status, code },
            (401 | 403, _) if !passes => Error::Unauthorized { doing, status, code },
            // A 200 is no error, unless its body is one.
            (..300 | 408 | 409 | 425 | 429 | 500 | 502.., _) => self.after.map_or_else(
                || Error::Busy {
                    doing: doing.clone(),
                    status,
                    code: code.clone(),
                    after: None,
                },
                |after| Error::Busy {
                    doing: doing.clone(),
                    status,
                    code: code.clone(),
                    after: Some(Duration::from_secs(after)),
                },
            ),
            _ if passes => Error::Busy {
                doing,
                status,
                code,
                after: None,
            },
            _ => Error::Refused {
                doing,
                status,
                code,
                words: self.words,
            },
        }
    }
}

/// A code as a metric's label: the store's answer is nobody's we know.
fn word(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect()
}

/// What failed, and why, down to the ground. The SDK's own words for it end in what is for programmers.
fn chain(failure: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(failure), |failure| failure.source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

fn short(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_WORDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, code: &str, after: Option<u64>) -> Error {
        let code = (!code.is_empty()).then(|| code.to_owned());
        let answer = Answer {
            status,
            code,
            words: String::new(),
            after,
        };
        answer.meaning("PutObject".to_owned(), "k")
    }

    #[test]
    fn what_an_outage_says_is_asked_again() {
        let passing = [
            (500, "InternalError"),
            (503, "SlowDown"),
            (503, "ServiceUnavailable"),
            (504, ""),
            (429, "TooManyRequests"),
            (408, "RequestTimeout"),
            (400, "RequestTimeout"),
            (409, "ConditionalRequestConflict"),
            (400, "XAmzContentSHA256Mismatch"),
            (403, "RequestTimeTooSkewed"),
            (401, "Unauthorized"),
            (403, "AccessDenied"),
            (403, "InvalidAccessKeyId"),
            (403, ""),
            (404, "NoSuchBucket"),
            (200, "InternalError"),
        ];
        for (status, code) in passing {
            assert!(meaning(status, code, None).passes(), "{status} {code}");
        }
        let staying = [
            (404, "NoSuchKey"),
            (404, ""),
            (404, "NoSuchUpload"),
            (400, "InvalidPart"),
            (501, "NotImplemented"),
            (412, "PreconditionFailed"),
        ];
        for (status, code) in staying {
            assert!(!meaning(status, code, None).passes(), "{status} {code}");
        }
    }

    #[test]
    fn the_store_says_how_long_to_wait_within_reason() {
        let [soon, late] = [2, 60].map(Duration::from_secs);
        let busy = meaning(429, "TooManyRequests", Some(7));
        assert_eq!(busy.pause(soon), Duration::from_secs(7));
        assert_eq!(busy.pause(late), Duration::from_secs(12));
        let asks_for_a_day = meaning(503, "SlowDown", Some(86_400));
        assert_eq!(asks_for_a_day.pause(soon), LONGEST_RETRY_AFTER);
        let without_a_time = meaning(500, "InternalError", None);
        assert_eq!(
            [soon, late].map(|pause| without_a_time.pause(pause)),
            [soon, late]
        );
        let refused = meaning(403, "AccessDenied", None);
        assert_eq!(
            [soon, late].map(|pause| refused.pause(pause)),
            [REFUSED_PAUSE, late]
        );
    }
}
