//! `GET /openapi.json`: what the server serves, as OpenAPI 3.1, made of its own routes and of what the buses tell.
//!
//! The document is plain JSON, and not a library's model of OpenAPI: the schemas of commands and questions are JSON
//! Schemas of any form, and the models there are keep only what they know of a schema.

mod buses;
mod problems;
mod projections;
mod routes;
mod sagas;
mod schemas;

use super::admission::Security;
use super::{App, Mounted, Switches};
use crate::server::request::NoParameters;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use core::time::Duration;
use portolan_kernel::application::Ports;
use portolan_kernel::ports::{SagaInfo, SagaOrchestrator as _};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn serve(State(app): State<Arc<App>>, _: NoParameters) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.document.clone()).into_response()
}

/// The definitions of sagas that can be started by hand; `None` if that cannot be told now.
pub(super) async fn definitions(ports: &Ports) -> Option<Vec<SagaInfo>> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let mut all = tokio::time::timeout(PATIENCE, ports.sagas.describe()).await.ok()?.ok()?;
    all.retain(|info| !info.is_process());
    Some(all)
}

/// The document of a server of these ports.
pub(super) fn document(
    ports: &Ports,
    definitions: Option<Vec<SagaInfo>>,
    switches: Switches,
    security: &Security,
    mounted: &[Mounted],
) -> Value {
    let mut schemas = schemas::wire();
    schemas.extend(problems::schemas());
    let mut paths = routes::paths(switches);
    for command in ports.commands.commands() {
        paths.insert(buses::path("commands", &command.name), buses::command(&command, &mut schemas));
    }
    for question in ports.queries.queries() {
        paths.insert(buses::path("queries", &question.name), buses::question(&question, &mut schemas));
    }
    sagas::insert_starts(definitions, &mut paths, &mut schemas);
    for path in paths.values_mut().filter_map(Value::as_object_mut) {
        let common = [reference("parameters", "X-Correlation-Id"), reference("parameters", "traceparent")];
        path.insert("parameters".to_owned(), Value::Array(common.into()));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portolan over HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands, queries and events of one application. Errors are problem details (RFC 9457) \
                            with a stable `type`. Positions are strings in JSON. Questions, and rows of projections, \
                            take the header `Portolan-At-Least` too, a position such as a receipt's: the answer is not \
                            older, and waits for it, as long as `Request-Timeout` says; of rows also `Prefer: \
                            wait=<seconds>` (RFC 7240), and without both 10 seconds.",
        },
        "tags": [
            { "name": "commands", "description": "What can be asked for." },
            { "name": "queries", "description": "What can be looked up." },
            { "name": "projections", "description": "Rows that are made of events." },
            { "name": "sagas", "description": "Processes of several steps." },
            { "name": "events", "description": "What happened." },
            { "name": "store", "description": "The port `EventStore`, whole, for a client that is the port." },
            { "name": "server", "description": "The server itself." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": { "authorization": { "type": "http", "scheme": security.scheme } },
        },
        // An empty alternative: it is possible without.
        "security": if security.is_needed { json!([{ "authorization": [] }]) } else { json!([{}, { "authorization": [] }]) },
    });
    if !mounted.is_empty() {
        // Other services, which tell of themselves.
        document["x-mounted"] = mounted.iter().map(|mounted| mounted.path.as_str()).collect();
    }
    document
}

fn reference(of: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{of}/{name}") })
}

/// A schema of [`schemas::wire`].
fn schema(name: &str) -> Value {
    reference("schemas", name)
}

fn is_json(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

/// A body that has to be there.
fn body(schema: Value) -> Value {
    json!({ "required": true, "content": is_json(schema) })
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "in": "query", "name": name, "description": description, "schema": schema })
}

fn in_path(name: &str, description: &str) -> Value {
    json!({ "in": "path", "name": name, "required": true, "description": description, "schema": schema("Name") })
}

/// One method of one route: its success, with more headers than every answer has, and its problems.
struct Operation<'a> {
    id: String,
    tag: &'a str,
    summary: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// Status, description, content and more headers.
    answers: Vec<(u16, &'a str, Option<Value>, &'a [&'a str])>,
    problems: Vec<&'a str>,
    /// Whether everybody can reach it, with credentials or without.
    open: bool,
}

impl Operation<'_> {
    fn value(self) -> Value {
        let gate: &[&str] = if self.open { &[] } else { &problems::GATE };
        let mut responses = problems::responses(&[&self.problems, gate].concat());
        for (status, description, content, more) in self.answers {
            let mut answer = json!({ "description": description, "headers": headers_of(more) });
            if let Some(content) = content {
                answer["content"] = content;
            }
            responses.insert(status.to_string(), answer);
        }
        let mut operation = json!({
            "operationId": self.id, "tags": [self.tag], "summary": self.summary, "responses": responses,
        });
        if self.open {
            operation["security"] = json!([]);
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = Value::Array(self.parameters);
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

fn headers_of(more: &[&str]) -> Map<String, Value> {
    let names = ["X-Correlation-Id", "traceparent"].iter().chain(more);
    names.map(|name| ((*name).to_owned(), reference("headers", name))).collect()
}

fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let text = || json!({ "type": "string" });
    json!({
        "X-Correlation-Id": header("The id that was given; or the receipt's; or one made for this request.", text()),
        "traceparent": header("The trace, as it was given (W3C Trace Context).", text()),
        "ETag": header("The revision of the stream.", json!({ "type": "string", "pattern": "^\"[0-9]+\"$" })),
        "Retry-After": header("After how many seconds to try again.", json!({ "type": "integer", "minimum": 1 })),
        "WWW-Authenticate": header("Which credentials are wanted (RFC 9110, section 11.6.1).", text()),
        "Location": header("The path of the saga.", text()),
        "Preference-Applied": header("How long was waited for at most (RFC 7240).", text()),
    })
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| {
        let parameter = json!({ "in": "header", "name": name, "description": description, "schema": schema });
        (name.to_owned(), parameter)
    };
    let text = || json!({ "type": "string" });
    let all = [
        header("X-Correlation-Id", "What belongs together: reaches every event and the answer.", text()),
        header("traceparent", "The trace (W3C Trace Context): reaches every event and the answer.", text()),
        header(
            "Idempotency-Key",
            "The id of the command or append, as it is or as a quoted string: the same id, the same effect, once.",
            json!({ "type": "string", "minLength": 1, "maxLength": 514 }),
        ),
        header(
            "Request-Timeout",
            "How long the caller waits for the answer, in seconds, with at most three decimals.",
            json!({ "type": "number", "minimum": 0.001, "maximum": 999_999_999_999_u64 }),
        ),
        header(
            "Portolan-Wait-For",
            "The projections that are to have applied the command's events before it is answered: names, \
             percent-encoded where they have to be, with commas between them.",
            text(),
        ),
        header(
            "Prefer",
            "`wait=<seconds>` (RFC 7240): for how long to wait for the projections, where `Request-Timeout` says nothing.",
            text(),
        ),
        header("If-None-Match", "A revision in quotes that the caller has already: then the answer is 304.", text()),
        header("Last-Event-ID", "Of a live stream: the position after which it resumes.", text()),
    ];
    let metadata = json!({
        "in": "header", "name": "Portolan-Metadata", "content": is_json(schema("Metadata")),
        "description": "All metadata, actor and tenant included, percent-encoded where it has to be.",
    });
    Value::Object(all.into_iter().chain([("Portolan-Metadata".to_owned(), metadata)]).collect())
}

#[cfg(test)]
mod tests;
