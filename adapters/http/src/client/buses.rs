//! The ports `CommandBus` and `QueryBus`.

use super::HttpClient;
use super::transport::Failure;
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::headers::{self, request_timeout};
use crate::wire::receipt::WireReceipt;
use crate::wire::text::{ESCAPED, digits};
use async_trait::async_trait;
use core::time::Duration;
use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::{percent_encode, utf8_percent_encode};
use portolan_kernel::ports::{
    Answer, Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError,
    QueryInfo, Receipt, Source,
};
use portolan_kernel::values::{Format, Metadata, Revision};

#[async_trait]
impl CommandBus for HttpClient {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        let CommandEnvelope { name, id, body, metadata, within, wait_for, .. } = command;
        if within.is_some_and(|within| within.is_zero()) {
            return Err(CommandError::DeadlinePassed);
        }
        let json = match body {
            Body::Encoded(bytes, Format::Json) => bytes,
            Body::Encoded(..) => return Err(CommandError::Malformed("only JSON travels on this wire".to_owned())),
            Body::Typed(command) => command.encode().map_err(CommandError::Other)?,
        };
        let mut headers = headers_of(&metadata);
        if let Some(id) = &id {
            let value = quoted_key(id).map_err(|error| CommandError::Other(Source::new(error)))?;
            headers.push((HeaderName::from_static("idempotency-key"), value));
        }
        // A server that waits for projections says that it has waited in vain, if it gives up before this client does.
        let told = within.or_else(|| (!wait_for.is_empty()).then(|| self.shared.transport.request_timeout()));
        headers.extend(told.and_then(timeout_header));
        if !wait_for.is_empty() {
            let value = HeaderValue::from_bytes(headers::wait_for(&wait_for).as_bytes());
            let value = value.map_err(|error| CommandError::Other(Source::new(error)))?;
            headers.push((HeaderName::from_static("portolan-wait-for"), value));
        }
        let path = format!("/commands/{}", utf8_percent_encode(&name, ESCAPED));
        match self.shared.transport.send(Method::POST, &path, headers, Some(json.into()), within).await {
            Err(Failure::NotSent(source)) => Err(CommandError::Busy(source)),
            Err(Failure::Lost(source)) => Err(CommandError::Unknown(source)),
            Ok(answer) if answer.status == StatusCode::OK => match from_json::<WireReceipt>(&answer.body) {
                Ok(receipt) => Ok(receipt.decode()),
                Err(problem) => Err(CommandError::Unknown(Source::new(problem.detail))),
            },
            Ok(answer) => {
                let problem = answer.problem();
                let source = || Source::new(problem.detail.clone());
                Err(CommandError::from_problem(&problem).unwrap_or_else(|| match problem.name.as_str() {
                    "slow-request" => CommandError::Busy(source()),
                    _ if problem.status.is_client_error() => CommandError::Other(source()),
                    _ => CommandError::Unknown(source()),
                }))
            }
        }
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.shared.commands.clone()
    }
}

#[async_trait]
impl QueryBus for HttpClient {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let path = format!("/queries/{}", utf8_percent_encode(&query.name, ESCAPED));
        let within = query.within;
        let mut headers = headers_of(&query.metadata);
        headers.extend(within.and_then(timeout_header));
        headers.extend(query.at_least.map(|at| (HeaderName::from_static("portolan-at-least"), at.get().into())));
        let json = Some(query.parameters.into());
        let sent = self.shared.transport.send(Method::POST, &path, headers, json, within).await;
        let answer = sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| QueryError::Busy(source))?;
        if !answer.status.is_success() {
            let problem = answer.problem();
            let source = || Source::new(problem.detail.clone());
            return Err(QueryError::from_problem(&problem).unwrap_or_else(|| match problem.status.as_u16() {
                408 | 429 | 502..=504 => QueryError::Busy(source()),
                _ => QueryError::Other(source()),
            }));
        }
        let media_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = if media_type == Some("application/json") { Format::Json } else { Format::Binary };
        let revision = revision(&answer.headers);
        let mut reply = Answer::json(answer.body).with_revision(revision);
        reply.format = format;
        Ok(reply)
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.shared.queries.clone()
    }
}

/// The deadline, less what is left to the ways there and back: the answer that it has passed should come before it is
/// over.
pub(super) fn timeout_header(within: Duration) -> Option<(HeaderName, HeaderValue)> {
    const MOST: Duration = Duration::from_millis(100);
    let value = HeaderValue::try_from(request_timeout(within - (within / 10).min(MOST)));
    Some((HeaderName::from_static("request-timeout"), value.ok()?))
}

/// The header `Idempotency-Key`, as a quoted string. A name has no control characters, so that every one of them can stand in
/// a header.
pub(super) fn quoted_key(id: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_bytes(format!("\"{}\"", id.replace('\\', r"\\").replace('"', "\\\"")).as_bytes())
}

/// The metadata whole, and the trace once more where others on the way look for it.
pub(super) fn headers_of(metadata: &Metadata) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    let encoded = percent_encode(&metadata.encode(), ESCAPED).to_string();
    if let (false, Ok(value)) = (encoded.is_empty(), HeaderValue::try_from(encoded)) {
        headers.push((HeaderName::from_static("portolan-metadata"), value));
    }
    if let Some(Ok(value)) = metadata.traceparent.as_deref().map(HeaderValue::from_str) {
        headers.push((HeaderName::from_static("traceparent"), value));
    }
    headers
}

fn revision(headers: &HeaderMap) -> Option<Revision> {
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    digits(tag.strip_prefix('"')?.strip_suffix('"')?).map(Revision::new)
}
