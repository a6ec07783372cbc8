//! The port `EventStore`, by the routes that carry it whole.

use super::HttpClient;
use super::transport::{Answer, Failure};
use crate::wire::append::{WireAppend, WireAppended, WireCheckpointState, WireRecalled};
use crate::wire::errors::PortError as _;
use crate::wire::from_json;
use crate::wire::problem::Problem;
use crate::wire::read::{WirePage, WireQuery, WireRead};
use crate::wire::text::{ESCAPED, digits};
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::utf8_percent_encode;
use portolan_kernel::ports::{AppendError, Capabilities, EventStore, ReadError, Source};
use portolan_kernel::values::{Append, Appended, CheckpointState, Name, Page, Position, Query, Read, Recalled};

#[async_trait]
impl EventStore for HttpClient {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        match self.shared.capabilities.check(&append) {
            // The server's store may have been replaced since the capabilities were asked for; it judges itself.
            Ok(()) | Err(AppendError::WrongStore { .. }) => {}
            Err(error) => return Err(error),
        }
        if asks_for_nothing(&append) {
            // Whether the server can write, which it tells to those too who may not append.
            return match self.sent(Method::GET, "/readyz", None).await {
                Err(ReadError::Busy(source)) => Err(AppendError::Busy(source)),
                Err(error) => Err(AppendError::Other(Source::new(error))),
                Ok(answer) if answer.status.is_success() => Ok(Appended::new(None, None, Vec::new())),
                Ok(answer) => Err(append_error(&answer.problem(), 0)),
            };
        }
        let json =
            serde_json::to_vec(&WireAppend::new(&append)).map_err(|error| AppendError::Other(Source::new(error)))?;
        drop(append);
        let size = json.len() as u64;
        match self.shared.transport.send(Method::POST, "/append", Vec::new(), Some(json), None).await {
            Err(Failure::NotSent(source)) => Err(AppendError::Busy(source)),
            Err(Failure::Lost(source)) => Err(AppendError::Unknown(source)),
            Ok(answer) if answer.status.is_success() => match from_json::<WireAppended>(&answer.body) {
                Ok(appended) => Ok(appended.decode()),
                // It was written, and this client cannot tell where.
                Err(problem) => Err(AppendError::Unknown(Source::new(problem.detail))),
            },
            Ok(answer) => Err(append_error(&answer.problem(), size)),
        }
    }

    async fn read(&self, read: Read) -> Result<Page, ReadError> {
        let json = serde_json::to_vec(&WireRead::new(&read)).map_err(|error| ReadError::Other(Source::new(error)))?;
        let answer = self.answered(Method::POST, "/read", Some(json)).await?;
        let page: WirePage<'_> = from_json(&answer.body).map_err(unreadable)?;
        page.decode().map_err(|wrong| ReadError::Other(Source::new(wrong.to_string())))
    }

    async fn recall(&self, scope: Name, id: Name) -> Result<Option<Recalled>, ReadError> {
        let path = format!("/appends/{}/{}", utf8_percent_encode(&scope, ESCAPED), utf8_percent_encode(&id, ESCAPED));
        let answer = self.sent(Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.problem().name == "not-recorded" {
            return Ok(None);
        }
        let answer = succeeded(answer, 0)?;
        from_json::<WireRecalled>(&answer.body).map(|recalled| Some(recalled.decode())).map_err(unreadable)
    }

    async fn checkpoint(&self, name: Name) -> Result<CheckpointState, ReadError> {
        let path = format!("/checkpoints/{}", utf8_percent_encode(&name, ESCAPED));
        let answer = self.answered(Method::GET, &path, None).await?;
        from_json::<WireCheckpointState>(&answer.body).map(WireCheckpointState::decode).map_err(unreadable)
    }

    async fn changed(&self, query: Query, after: Option<Position>) -> Result<(), ReadError> {
        // A query too long for a URL is asked as a wider one: the hint may come early.
        const LONGEST: usize = 8 << 10;
        let encoded = |query: &Query| {
            let json =
                serde_json::to_string(&WireQuery::new(query)).map_err(|error| ReadError::Other(Source::new(error)))?;
            Ok::<_, ReadError>(utf8_percent_encode(&json, ESCAPED).to_string())
        };
        let mut query = encoded(&query)?;
        if query.len() > LONGEST {
            query = encoded(&Query::all().with_system())?;
        }
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/changed?query={query}{after}");
        // Half of what this client would wait, so that the answer that nothing has changed comes in time.
        let wait = format!("wait={}", (self.shared.transport.request_timeout() / 2).as_secs().max(1));
        let prefer = HeaderValue::try_from(wait).map_err(|error| ReadError::Other(Source::new(error)))?;
        let headers = vec![(HeaderName::from_static("prefer"), prefer)];
        let sent = self.shared.transport.send(Method::GET, &path, headers, None, None).await;
        let answer = sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| ReadError::Busy(source))?;
        succeeded(answer, 0).map(drop)
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities.clone()
    }
}

impl HttpClient {
    /// The answer to a request that can be repeated, of any status.
    async fn sent(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Answer, ReadError> {
        let sent = self.shared.transport.send(method, path, Vec::new(), json, None).await;
        sent.map_err(|(Failure::NotSent(source) | Failure::Lost(source))| ReadError::Busy(source))
    }

    async fn answered(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Answer, ReadError> {
        let size = json.as_ref().map_or(0, Vec::len) as u64;
        succeeded(self.sent(method, path, json).await?, size)
    }
}

fn succeeded(answer: Answer, size: u64) -> Result<Answer, ReadError> {
    if answer.status.is_success() { Ok(answer) } else { Err(read_error(&answer.problem(), size)) }
}

fn unreadable(problem: Problem) -> ReadError {
    ReadError::Other(Source::new(format!("the server's answer is not understood: {}", problem.detail)))
}

fn asks_for_nothing(append: &Append) -> bool {
    let Append { events, expect, guard, checkpoint, key, .. } = append;
    events.is_empty() && expect.is_empty() && guard.is_none() && checkpoint.is_none() && key.is_none()
}

/// What a server answers besides its store's own errors: its limits, and mistakes of a client.
fn append_error(problem: &Problem, size: u64) -> AppendError {
    if let Some(error) = AppendError::from_problem(problem) {
        return error;
    }
    let source = Source::new(problem.detail.clone());
    match (problem.name.as_str(), problem.status) {
        ("body-too-large", _) => {
            AppendError::TooLarge { what: "bytes of the request".into(), size, limit: limit_of(problem) }
        }
        ("malformed" | "invalid-request", _) => AppendError::Invalid(problem.detail.clone()),
        ("slow-request" | "not-ready", _) => AppendError::Busy(source),
        (_, status) if status.is_client_error() => AppendError::Other(source),
        // A proxy's error, or a server that broke: the append may have come through.
        _ => AppendError::Unknown(source),
    }
}

fn read_error(problem: &Problem, size: u64) -> ReadError {
    if let Some(error) = ReadError::from_problem(problem) {
        return error;
    }
    let source = Source::new(problem.detail.clone());
    match (problem.name.as_str(), problem.status.as_u16()) {
        ("body-too-large", _) => {
            ReadError::TooLarge { what: "bytes of the request".into(), size, limit: limit_of(problem) }
        }
        ("malformed" | "invalid-request", _) => ReadError::Invalid(problem.detail.clone()),
        ("slow-request" | "not-ready", _) | (_, 429 | 502..=504) => ReadError::Busy(source),
        _ => ReadError::Other(source),
    }
}

pub(super) fn limit_of(problem: &Problem) -> u64 {
    problem.text("limit").and_then(digits).unwrap_or_default()
}
