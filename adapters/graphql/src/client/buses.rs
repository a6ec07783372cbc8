//! The ports `CommandBus` and `QueryBus`.

use super::GraphqlClient;
use super::transport::Failure;
use crate::server::FAILURES;
use crate::wire::errors::PortError as _;
use crate::wire::event::WireFormat;
use crate::wire::problem::Received;
use crate::wire::receipt::WireReceipt;
use crate::wire::text::{Base64, MaybeRevision, Text, at, revision};
use async_trait::async_trait;
use core::time::Duration;
use portolan_kernel::ports::{
    Answer, Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError,
    QueryInfo, Receipt, Source,
};
use portolan_kernel::values::{Format, Metadata, Name};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const RECEIPT: &str = "{ position events streams { stream revision } correlation command repeated }";

/// Every failure with all its fields.
fn dispatch() -> String {
    format!(
        "mutation($command: String!, $body: String!, $options: CommandOptions) {{
            dispatch(command: $command, body: $body, options: $options) {{
                __typename
                ... on Receipt {RECEIPT}
                ... on CommandFailure {{ message }}
                ... on Rejection {{ code fields }}
                ... on Invalid {{ violations {{ path code message }} }}
                ... on UnknownCommand {{ name }}
                ... on Conflict {{ stream actual }}
                ... on NotCaughtUp {{ receipt {RECEIPT} waiting }}
                ... on Malformed {{ reason }}
                ... on Denied {{ reason }}
                ... on Busy {{ reason }}
                ... on OutcomeUnknown {{ reason }}
                ... on Failed {{ reason }}
            }}
        }}"
    )
}

const ASK: &str = "query($query: String!, $parameters: String!, $options: QueryOptions) {
    ask(query: $query, parameters: $parameters, options: $options) { format bodyBase64 revision }
}";

#[async_trait]
impl CommandBus for GraphqlClient {
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
        let Ok(text) = core::str::from_utf8(&json) else {
            return Err(CommandError::Malformed("the command is not UTF-8".to_owned()));
        };
        // A server that waits for projections says that it has waited in vain, if it gives up before this client does.
        let told = within.or_else(|| (!wait_for.is_empty()).then(|| self.shared.transport.request_timeout()));
        let options = json!({
            "id": id.as_ref().map(Name::as_str),
            "within": told.map(less),
            "waitFor": wait_for.iter().map(Name::as_str).collect::<Vec<_>>(),
            "metadata": object(&metadata),
        });
        let variables = json!({ "command": name.as_str(), "body": text, "options": options });
        match self.shared.transport.field(&dispatch(), variables, within).await {
            Ok(Value::Object(result)) => outcome(result),
            Ok(_) => Err(CommandError::Unknown(Source::new("the answer holds no result"))),
            Err(Failure::NotSent(source)) => Err(CommandError::Busy(source)),
            Err(Failure::Lost(source)) => Err(CommandError::Unknown(source)),
            Err(Failure::Refused(problem)) => Err(refused(&problem)),
        }
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.shared.commands.clone()
    }
}

/// What comes of a command, out of the union.
fn outcome(mut result: Map<String, Value>) -> Result<Receipt, CommandError> {
    let unreadable = |what: String| CommandError::Unknown(Source::new(format!("the answer is not understood: {what}")));
    let name = match result.remove("__typename") {
        Some(Value::String(name)) => name,
        _ => return Err(unreadable("it has no type".to_owned())),
    };
    if name == "Receipt" {
        let receipt = WireReceipt::deserialize(Value::Object(result)).map_err(|error| unreadable(error.to_string()))?;
        return Ok(receipt.decode());
    }
    let code = FAILURES.iter().find(|(own, ..)| *own == name).map(|(_, code, _)| (*code).to_owned());
    let Some(code) = code else { return Err(unreadable(name)) };
    let message = match result.remove("message") {
        Some(Value::String(message)) => message,
        _ => String::new(),
    };
    if let Some(code) = result.remove("code") {
        result.insert("rejection".to_owned(), code);
    }
    let problem = Received { code, message, members: result };
    Err(CommandError::from_problem(&problem).unwrap_or_else(|| unreadable(problem.message.clone())))
}

/// What the server refuses before the command is sent to its bus.
fn refused(problem: &Received) -> CommandError {
    let source = || Source::new(problem.message.clone());
    CommandError::from_problem(problem).unwrap_or_else(|| match problem.code.as_str() {
        "slow-request" => CommandError::Busy(source()),
        "panicked" | "" => CommandError::Unknown(source()),
        _ => CommandError::Other(source()),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replied {
    format: WireFormat,
    body_base64: Text<Base64>,
    revision: MaybeRevision,
}

#[async_trait]
impl QueryBus for GraphqlClient {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let Ok(parameters) = core::str::from_utf8(&query.parameters) else {
            return Err(QueryError::Malformed("the parameters are not UTF-8".to_owned()));
        };
        let options = json!({
            "atLeast": at(query.at_least),
            "within": query.within.filter(|within| !within.is_zero()).map(less),
            "metadata": object(&query.metadata),
        });
        let variables = json!({ "query": query.name.as_str(), "parameters": parameters, "options": options });
        let replied = match self.shared.transport.field(ASK, variables, query.within).await {
            Ok(replied) => replied,
            Err(Failure::NotSent(source) | Failure::Lost(source)) => return Err(QueryError::Busy(source)),
            Err(Failure::Refused(problem)) => {
                let source = || Source::new(problem.message.clone());
                return Err(QueryError::from_problem(&problem).unwrap_or_else(|| match problem.code.as_str() {
                    "slow-request" | "timed-out" => QueryError::Busy(source()),
                    _ => QueryError::Other(source()),
                }));
            }
        };
        let replied = Replied::deserialize(replied)
            .map_err(|error| QueryError::Other(Source::new(format!("the answer is not understood: {error}"))))?;
        let mut answer = Answer::json(replied.body_base64.0.0).with_revision(revision(replied.revision));
        answer.format = replied.format.into();
        Ok(answer)
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.shared.queries.clone()
    }
}

/// The deadline, less what is left to the ways there and back: the answer that it has passed should come before it is
/// over.
fn less(within: Duration) -> f64 {
    const MOST: Duration = Duration::from_millis(100);
    (within - (within / 10).min(MOST)).as_secs_f64()
}

/// All metadata, or `null` for none.
pub(super) fn object(metadata: &Metadata) -> Value {
    serde_json::from_slice(&metadata.encode()).unwrap_or_default()
}
