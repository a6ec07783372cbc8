//! What ties an answer to its request: `X-Correlation-Id` on every answer, and `traceparent` as it came.

use super::id;
use super::request::{is_traceparent, metadata};
use crate::wire::headers::TRACEPARENT;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};

/// Marks a request that named no correlation, and was given one here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made;

/// What an answer is to carry.
pub(super) struct Correlation {
    given: Option<HeaderValue>,
    made: Option<HeaderValue>,
    trace: Option<HeaderValue>,
}

impl Correlation {
    /// What the request says. One that says nothing gets an id, as if it had been sent with it: whatever comes of the
    /// request, also its refusal, can be found by the id that the answer carries.
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        let trace =
            request.headers().get(TRACEPARENT).filter(|trace| trace.to_str().is_ok_and(is_traceparent)).cloned();
        // Of headers that are wrong the route speaks.
        let given = metadata(request.headers()).map(|metadata| metadata.correlation);
        let mut made = None;
        if let Ok(None) = given {
            made = id::fresh().ok().and_then(|id| HeaderValue::try_from(id.to_string()).ok());
            if let Some(id) = made.clone() {
                request.headers_mut().insert(NAME, id);
                request.extensions_mut().insert(Made);
            }
        }
        // A control character, which JSON holds and a header does not, leaves it to the receipt.
        let given = given.ok().flatten().and_then(|given| HeaderValue::from_bytes(given.as_bytes()).ok());
        Self { given, made, trace }
    }

    /// Onto the answer: the request's own id, or that of the answer (a receipt's), or the one that was made.
    pub(super) fn onto(self, headers: &mut HeaderMap) {
        match (self.given, self.made) {
            (Some(given), _) => drop(headers.insert(NAME, given)),
            (None, Some(made)) => drop(headers.entry(NAME).or_insert(made)),
            (None, None) => {}
        }
        if let Some(trace) = self.trace {
            headers.insert(HeaderName::from_static(TRACEPARENT), trace);
        }
    }
}

const NAME: HeaderName = HeaderName::from_static("x-correlation-id");

/// The correlation of a receipt, onto its answer.
pub(super) fn of_receipt(correlation: Option<&str>, headers: &mut HeaderMap) {
    if let Some(Ok(value)) = correlation.map(|id| HeaderValue::from_bytes(id.as_bytes())) {
        headers.insert(NAME, value);
    }
}
