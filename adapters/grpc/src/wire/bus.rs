//! Commands, receipts, questions, answers, and what a bus tells of itself.

use super::event::decode_format;
use super::{Wrong, decode_list, maybe_position, number, parsed, parsed_all, required};
use crate::proto::{self, describe_commands_response, describe_queries_response};
use portolan_kernel::Bytes;
use portolan_kernel::ports::{
    Answer, Body, CommandEnvelope, CommandInfo, QueryEnvelope, QueryInfo, Receipt, Violation,
};
use portolan_kernel::values::{Format, Metadata, Name, Revision};
use serde_json::Value;

impl proto::DispatchRequest {
    /// The command whole, but for its deadline, which is the call's.
    pub(crate) fn new(command: CommandEnvelope, body: Bytes, format: Format) -> Self {
        Self {
            name: command.name.to_string(),
            id: command.id.map(|id| id.to_string()),
            body,
            format: proto::Format::from(format).into(),
            metadata: maybe_metadata(command.metadata),
            wait_for: command.wait_for.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn checked(self) -> Result<CommandEnvelope, Wrong> {
        let body = Body::Encoded(self.body, decode_format("format", self.format)?);
        let command = CommandEnvelope::new(parsed("name", &self.name)?, body);
        let mut command = command.with_metadata(decode_metadata(self.metadata)?);
        command.id = self.id.map(|id| parsed("id", &id)).transpose()?;
        command.wait_for = parsed_all("wait_for", &self.wait_for)?;
        Ok(command)
    }
}

pub(super) fn maybe_metadata(metadata: Metadata) -> Option<proto::Metadata> {
    (metadata != Metadata::default()).then(|| metadata.into())
}

pub(super) fn decode_metadata(metadata: Option<proto::Metadata>) -> Result<Metadata, Wrong> {
    metadata.unwrap_or_default().checked().map_err(|wrong| wrong.of("metadata"))
}

impl From<&Receipt> for proto::Receipt {
    fn from(receipt: &Receipt) -> Self {
        Self {
            streams: proto::StreamRevision::list(&receipt.streams),
            position: number(receipt.position),
            events: receipt.events.iter().map(ToString::to_string).collect(),
            correlation_id: receipt.correlation.clone(),
            command_id: receipt.command.clone(),
            repeated: receipt.repeated,
        }
    }
}

impl proto::Receipt {
    fn checked(self) -> Result<Receipt, Wrong> {
        let streams = decode_list("streams", self.streams, proto::StreamRevision::checked)?;
        let (position, events) = (maybe_position("position", self.position)?, parsed_all("events", &self.events)?);
        let receipt = Receipt::new(streams, position, events, self.repeated);
        Ok(receipt.with_correlation(self.correlation_id).with_command(self.command_id))
    }
}

impl proto::DispatchResponse {
    /// A receipt; with projections, which may be none, it is that of a wait in vain.
    pub(crate) fn new(receipt: &Receipt, waiting: Option<&[Name]>) -> Self {
        Self {
            receipt: Some(receipt.into()),
            not_caught_up: waiting.is_some(),
            waiting: waiting.into_iter().flatten().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn checked(self) -> Result<(Receipt, Option<Vec<Name>>), Wrong> {
        let receipt = required("receipt", self.receipt)?.checked().map_err(|wrong| wrong.of("receipt"))?;
        let waiting = self.not_caught_up.then(|| parsed_all("waiting", &self.waiting)).transpose()?;
        Ok((receipt, waiting))
    }
}

impl From<QueryEnvelope> for proto::AskRequest {
    fn from(query: QueryEnvelope) -> Self {
        Self {
            name: query.name.to_string(),
            parameters: query.parameters,
            metadata: maybe_metadata(query.metadata),
            at_least: number(query.at_least),
        }
    }
}

impl proto::AskRequest {
    pub(crate) fn checked(self) -> Result<QueryEnvelope, Wrong> {
        let query = QueryEnvelope::new(parsed("name", &self.name)?, self.parameters);
        let mut query = query.with_metadata(decode_metadata(self.metadata)?);
        query.at_least = maybe_position("at_least", self.at_least)?;
        Ok(query)
    }
}

impl From<Answer> for proto::AskResponse {
    fn from(answer: Answer) -> Self {
        Self {
            format: proto::Format::from(answer.format).into(),
            body: answer.body,
            revision: answer.revision.map(Revision::get),
        }
    }
}

impl proto::AskResponse {
    pub(crate) fn checked(self) -> Result<Answer, Wrong> {
        let mut answer = Answer::json(self.body).with_revision(self.revision.map(Revision::new));
        answer.format = decode_format("format", self.format)?;
        Ok(answer)
    }
}

/// A JSON value as text.
pub(crate) fn json_of(value: &Value) -> String {
    value.to_string()
}

/// A JSON value out of its text.
pub(super) fn decode_json(field: &str, text: &str) -> Result<Value, Wrong> {
    serde_json::from_str(text).map_err(|error| Wrong::new(field, error.to_string()))
}

pub(super) fn decode_schema(field: &str, schema: Option<String>) -> Result<Option<Value>, Wrong> {
    schema.map(|text| decode_json(field, &text)).transpose()
}

impl From<CommandInfo> for describe_commands_response::Command {
    fn from(info: CommandInfo) -> Self {
        Self { name: info.name.to_string(), description: info.description, schema: info.schema.as_ref().map(json_of) }
    }
}

impl proto::DescribeCommandsResponse {
    pub(crate) fn checked(self) -> Result<Vec<CommandInfo>, Wrong> {
        decode_list("commands", self.commands, |info| {
            let schema = decode_schema("schema", info.schema)?;
            Ok(CommandInfo::new(parsed("name", &info.name)?).with_description(info.description).with_schema(schema))
        })
    }
}

impl From<QueryInfo> for describe_queries_response::Query {
    fn from(info: QueryInfo) -> Self {
        Self {
            name: info.name.to_string(),
            description: info.description,
            schema: info.schema.as_ref().map(json_of),
            answer_schema: info.answer_schema.as_ref().map(json_of),
        }
    }
}

impl proto::DescribeQueriesResponse {
    pub(crate) fn checked(self) -> Result<Vec<QueryInfo>, Wrong> {
        decode_list("queries", self.queries, |info| {
            let schema = decode_schema("schema", info.schema)?;
            let answer = decode_schema("answer_schema", info.answer_schema)?;
            let told = QueryInfo::new(parsed("name", &info.name)?).with_description(info.description);
            Ok(told.with_schemas(schema, answer))
        })
    }
}

impl From<&Violation> for proto::Violation {
    fn from(violation: &Violation) -> Self {
        Self { path: violation.path.clone(), code: violation.code.clone(), message: violation.message.clone() }
    }
}

impl From<&[Violation]> for proto::Violations {
    fn from(violations: &[Violation]) -> Self {
        Self { violations: violations.iter().map(Into::into).collect() }
    }
}

impl proto::Violations {
    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.violations.into_iter().map(|wrong| Violation::new(wrong.path, wrong.code, wrong.message)).collect()
    }
}
