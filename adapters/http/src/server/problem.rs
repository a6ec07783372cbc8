//! Problems as answers, and what of them is not for the caller.

use crate::wire::problem::{MEDIA_TYPE, Problem};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::io::{self, Write as _};

impl Problem {
    /// Writes to the process's error output what only an operator may know.
    pub(super) fn report(&self) {
        if let Some(line) = &self.for_operator {
            // There is nobody to tell if that fails.
            let _ = writeln!(io::stderr(), "portolan-http: {line}");
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.report();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (self.status, headers, self.encode()).into_response()
    }
}

/// The problem of an error that was found before a request could be read.
pub(super) fn of_connection(status: StatusCode) -> Problem {
    match status {
        StatusCode::REQUEST_TIMEOUT => Problem::new(status, "slow-request", "the head of the request took too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => Problem::new(
            status,
            "head-too-long",
            "the head of the request is too long, or has too many headers: 100 are possible",
        ),
        _ => Problem::malformed("it is no HTTP/1.1 request"),
    }
}
