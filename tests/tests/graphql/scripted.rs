//! Buses that answer as they are told, and keep what arrives.

use async_trait::async_trait;
use core::time::Duration;
use portolan::ports::{
    Answer, Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError,
    QueryInfo, Receipt,
};
use serde_json::{Value, json};
use std::sync::Mutex;

pub(crate) struct Commands {
    pub(crate) answer: Mutex<Result<Receipt, CommandError>>,
    pub(crate) arrived: Mutex<Vec<CommandEnvelope>>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { answer: Mutex::new(Ok(Receipt::none())), arrived: Mutex::default() }
    }
}

impl Commands {
    pub(crate) fn will_answer(&self, answer: Result<Receipt, CommandError>) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The last command that has arrived, and its body.
    pub(crate) fn last(&self) -> (CommandEnvelope, Value) {
        let command = self.arrived.lock().unwrap().pop().expect("a command has arrived");
        let Body::Encoded(bytes, _) = &command.body else { panic!("{:?}", command.body) };
        let body = serde_json::from_slice(bytes).unwrap();
        (command, body)
    }
}

/// An account, as a schema has it that schemars writes.
pub(crate) fn open_account() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["account_id", "kind", "limit", "owners"],
        "properties": {
            "account_id": { "type": "string", "description": "Which." },
            "kind": { "$ref": "#/$defs/Kind" },
            "limit": { "type": "integer", "format": "uint64", "minimum": 0 },
            "owners": { "type": "array", "items": { "$ref": "#/$defs/Owner" } },
            "note": { "type": ["string", "null"] },
            "share": { "type": "number", "default": 1.0 },
            "small": { "type": "integer", "format": "int32" },
            "more": true,
        },
        "$defs": {
            "Kind": { "oneOf": [{ "const": "checking" }, { "const": "savings-plus", "description": "More." }] },
            "Owner": {
                "type": "object",
                "required": ["first-name"],
                "properties": { "first-name": { "type": "string" }, "parent": { "anyOf": [{ "$ref": "#/$defs/Owner" }, { "type": "null" }] } },
            },
        },
    })
}

#[async_trait]
impl CommandBus for Commands {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        if command.name == "slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(command.name != "panic", "the test wants it");
        self.arrived.lock().unwrap().push(command);
        self.answer.lock().unwrap().clone()
    }

    fn commands(&self) -> Vec<CommandInfo> {
        let info = |name: &str| CommandInfo::new(name.parse().unwrap());
        let nothing = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        vec![
            info("close-account"),
            info("events.forget"),
            info("open-account").with_description("Opens.").with_schema(Some(open_account())),
            info("panic"),
            info("slow"),
            info("tick").with_schema(Some(nothing)),
        ]
    }
}

#[derive(Default)]
pub(crate) struct Questions {
    pub(crate) arrived: Mutex<Vec<QueryEnvelope>>,
}

#[async_trait]
impl QueryBus for Questions {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let parameters: Value = serde_json::from_slice(&query.parameters).unwrap();
        self.arrived.lock().unwrap().push(query);
        assert!(parameters["id"] != "panic", "the test wants it");
        match parameters["id"].as_str() {
            Some("nobody") => Err(QueryError::NotFound("no account nobody".into())),
            Some("odd") => Ok(Answer::json("{\"balance\":\"much\"}")),
            Some("slow") => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Ok(Answer::json("{}"))
            }
            _ => {
                let answer = json!({
                    "id": parameters["id"], "balance": u64::MAX, "kind": "savings-plus", "owners": [{ "name": "Ann" }],
                    "rest": parameters,
                });
                Ok(Answer::json(answer.to_string()))
            }
        }
    }

    fn queries(&self) -> Vec<QueryInfo> {
        let info = |name: &str| QueryInfo::new(name.parse().unwrap());
        let parameters = json!({
            "type": "object",
            "required": ["id"],
            "properties": { "id": { "type": "string" }, "min-balance": { "type": "integer", "format": "int64" }, "options": { "type": "boolean" } },
        });
        let answer = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "balance": { "type": "integer", "format": "uint64" },
                "kind": { "enum": ["checking", "savings-plus"] },
                "owners": { "type": "array", "items": { "type": "object", "properties": { "name": { "type": "string" } } } },
                "rest": true,
            },
        });
        // Its name is one that every schema has.
        vec![info("account").with_schemas(Some(parameters), Some(answer)), info("events")]
    }
}
