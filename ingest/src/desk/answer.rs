//! What the desk answers when it does not answer with audio: JSON, always. No IO.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::api::FROM_HEADER;

/// A refusal, with a sentence that says why.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    sentence: String,
    next: Option<u64>,
}

impl Refused {
    fn new(status: StatusCode, sentence: &str) -> Self {
        Self {
            status,
            sentence: sentence.to_owned(),
            next: None,
        }
    }

    pub fn query(sentence: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, sentence)
    }

    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Readers need the bearer token of one who may read tapes.",
        )
    }

    pub fn no_ack() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Only the reader of a Recording says what that Recording has, and of no other.",
        )
    }

    pub fn no_mark() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Marks are set with the token of the reader `operator` only.",
        )
    }

    pub fn not_found(sentence: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, sentence)
    }

    pub fn method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This path does not take this method.",
        )
    }

    pub fn too_far(from: u64, bytes: u64) -> Self {
        let sentence = format!("It has {bytes} bytes; {from} is behind its end.");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, &sentence)
    }

    /// With the offset from which there is something again, in the header of offsets.
    pub fn gone(next: u64) -> Self {
        Self {
            next: Some(next),
            ..Self::new(
                StatusCode::GONE,
                &format!("This is no longer on the tape, which goes on at {next}."),
            )
        }
    }

    pub fn ended() -> Self {
        Self::new(
            StatusCode::GONE,
            "The session has ended; there is nothing more to join.",
        )
    }

    pub fn disk() -> Self {
        let sentence = "The tape's disk has a problem; ask again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut answer = json(&json!({ "error": self.sentence }));
        *answer.status_mut() = self.status;
        if let Some(next) = self.next {
            answer.headers_mut().insert(FROM_HEADER, next.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}

pub(super) fn json(told: &impl Serialize) -> Response {
    match serde_json::to_vec(told) {
        Ok(text) => {
            let kind = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kind, text).into_response()
        }
        Err(failure) => {
            tracing::error!(%failure, "an answer cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
