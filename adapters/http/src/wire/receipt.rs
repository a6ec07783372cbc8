//! Receipts of commands, and what a bus tells of what it takes.

use super::append::WireHead;
use super::text::{At, Text};
use portolan_kernel::ports::{CommandInfo, QueryInfo, Receipt};
use portolan_kernel::values::{EventId, Name, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A receipt. `stream` and `revision` are those of the first of `streams`, for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireReceipt {
    stream: Option<Text<StreamId>>,
    revision: Option<u64>,
    position: Option<At>,
    events: Vec<Text<EventId>>,
    streams: Vec<WireHead>,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    command_id: Option<String>,
    repeated: bool,
}

impl WireReceipt {
    pub(crate) fn new(receipt: &Receipt) -> Self {
        let first = receipt.streams.first();
        Self {
            stream: first.map(|(stream, _)| Text(stream.clone())),
            revision: first.and_then(|(_, revision)| revision.map(|revision| revision.get())),
            position: receipt.position.map(At),
            events: receipt.events.iter().copied().map(Text).collect(),
            streams: WireHead::list(&receipt.streams),
            correlation_id: receipt.correlation.clone(),
            command_id: receipt.command.clone(),
            repeated: receipt.repeated,
        }
    }

    pub(crate) fn decode(self) -> Receipt {
        let events = self.events.into_iter().map(|Text(id)| id).collect();
        Receipt::new(WireHead::decode(self.streams), self.position.map(|At(at)| at), events, self.repeated)
            .with_correlation(self.correlation_id)
            .with_command(self.command_id)
    }
}

/// `GET /commands`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCommands {
    pub(crate) commands: Vec<WireCommand>,
}

/// `GET /queries`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireQueries {
    pub(crate) queries: Vec<WireQuestion>,
}

/// What a bus tells of a command. What nobody said is left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireCommand {
    name: Text<Name>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

/// What a bus tells of a query. What nobody said is left out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WireQuestion {
    name: Text<Name>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_schema: Option<Value>,
}

impl WireCommands {
    pub(crate) fn new(commands: Vec<CommandInfo>) -> Self {
        let wire =
            |CommandInfo { name, description, schema, .. }| WireCommand { name: Text(name), description, schema };
        Self { commands: commands.into_iter().map(wire).collect() }
    }

    pub(crate) fn decode(self) -> Vec<CommandInfo> {
        let info = |WireCommand { name: Text(name), description, schema }| {
            CommandInfo::new(name).with_description(description).with_schema(schema)
        };
        self.commands.into_iter().map(info).collect()
    }
}

impl WireQueries {
    pub(crate) fn new(queries: Vec<QueryInfo>) -> Self {
        let wire = |QueryInfo { name, description, schema, answer_schema, .. }| WireQuestion {
            name: Text(name),
            description,
            schema,
            answer_schema,
        };
        Self { queries: queries.into_iter().map(wire).collect() }
    }

    pub(crate) fn decode(self) -> Vec<QueryInfo> {
        let info = |WireQuestion { name: Text(name), description, schema, answer_schema }| {
            QueryInfo::new(name).with_description(description).with_schemas(schema, answer_schema)
        };
        self.queries.into_iter().map(info).collect()
    }
}
