//! A refusal as R2 words it: an XML error with a code. Pure.

use bytes::Bytes;
use http::{Response, StatusCode, header};

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// R2's S3 code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// After how many seconds to come back.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// One without `Retry-After`.
    #[must_use]
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// R2's answer to what it does not have.
    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// R2's answer to an upload that is completed, aborted or was never there.
    #[must_use]
    pub fn no_such_upload() -> Self {
        Self::new(
            404,
            "NoSuchUpload",
            "The specified multipart upload does not exist.",
        )
    }

    /// R2's answer to more than one write a second.
    #[must_use]
    pub fn too_many_requests() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(
                429,
                "TooManyRequests",
                "Reduce your concurrent request rate for the same object.",
            )
        }
    }

    /// The XML that says so.
    #[must_use]
    pub fn xml(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            escape(&self.code),
            escape(&self.message)
        )
    }

    /// The whole response. One to HEAD has no body.
    #[must_use]
    pub fn response(&self, to_head: bool) -> Response<Bytes> {
        let body = if to_head { String::new() } else { self.xml() };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/xml"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}
