//! Sagas: their routes and what these take and give, and a path a definition.

use super::schemas::{list, maybe, of, told};
use super::{Operation, body, buses, in_path, is_json, problems, query, reference};
use crate::server::Switches;
use portolan_kernel::ports::{SagaAction, SagaInfo, SagaPhase};
use portolan_kernel::values::MAX_SAGA_NAME_BYTES;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const OF_ALL: [&str; 4] = ["busy", "corrupt", "failed", "shutting-down"];

/// Each route with its method, but for those that start.
pub(super) fn operations(switches: Switches) -> Vec<(&'static str, &'static str, Operation<'static>)> {
    const DEFINITIONS: &str = "The definitions of sagas there are, by name and version. A saga that is started follows the \
                               highest of its name.";
    let mut all = vec![
        ("/sagas", "get", sagas()),
        ("/sagas/{name}/{id}", "get", one(get("saga", "How a saga stands.", of("Saga")))),
        ("/sagas/{name}/{id}/timeline", "get", timeline()),
        (
            "/saga-definitions",
            "get",
            Operation { parameters: Vec::new(), ..get("saga-definitions", DEFINITIONS, of("SagaDefinitions")) },
        ),
    ];
    if switches.saga_actions {
        all.push(("/sagas/{name}/{id}/{action}", "post", act()));
    }
    all
}

fn get(id: &str, summary: &'static str, answer: Value) -> Operation<'static> {
    Operation {
        id: id.to_owned(),
        tag: "sagas",
        summary: summary.to_owned(),
        parameters: vec![reference("parameters", "Request-Timeout")],
        body: None,
        answers: vec![(200, summary, Some(is_json(answer)), &[])],
        problems: OF_ALL.into(),
        open: false,
    }
}

fn name_in_path() -> Value {
    let mut parameter = in_path("name", "The name of its definition.");
    parameter["schema"] = of("SagaName");
    parameter
}

/// The same, of one saga.
fn one(operation: Operation<'_>) -> Operation<'_> {
    let mut parameters = vec![name_in_path(), in_path("id", "The id that it was started under.")];
    parameters.extend(operation.parameters);
    let mut problems = operation.problems;
    problems.push("no-such-saga");
    Operation { parameters, problems, ..operation }
}

fn limit() -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX });
    query("limit", "At most how many; the server has a limit of its own.", schema)
}

fn sagas() -> Operation<'static> {
    let phases = json!({ "type": "array", "items": of("SagaPhase") });
    let mut operation = get("sagas", "A page of sagas, in the order of names and ids.", of("Sagas"));
    operation.parameters.extend([
        query("name", "Only those of this definition.", of("Name")),
        query("phase", "Only those in one of these phases, by repetition.", phases),
        query(
            "after",
            "`after` of the page before; or the name of a definition, after all of whose sagas it begins.",
            json!({ "type": "string" }),
        ),
        limit(),
    ]);
    operation.problems.push("invalid-saga-request");
    operation
}

fn timeline() -> Operation<'static> {
    let mut operation = get("timeline", "A page of the facts of a saga.", of("SagaTimeline"));
    operation.parameters.extend([query("after", "The revision before the first fact.", of("Revision")), limit()]);
    operation.problems.push("invalid-saga-request");
    one(operation)
}

fn act() -> Operation<'static> {
    let action = json!({
        "in": "path", "name": "action", "required": true, "schema": of("SagaAction"),
        "description": "`retry`: what holds it up is tried anew, but not where it is unknown whether it has happened and its \
                        key may be forgotten; `skip`: it counts as passed over; `compensate`: the saga turns back; `abort`: it \
                        ends as it is.",
    });
    let note = super::schemas::given(json!({ "note": { "type": "string", "description": "Why." } }), &[]);
    let mut operation = get("act-on-saga", "Acts upon a saga, and says how it stands then.", of("Saga"));
    operation.parameters.extend([action, reference("parameters", "Portolan-Metadata")]);
    operation.body = Some(json!({ "required": false, "content": is_json(note) }));
    operation.problems.extend(["invalid-saga-request", "outcome-unknown", "saga-not-now"]);
    operation.problems.extend(problems::BODY);
    one(operation)
}

/// A path a definition, by the highest version of each; one for all where they cannot be told.
pub(super) fn insert_starts(
    definitions: Option<Vec<SagaInfo>>,
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    let Some(definitions) = definitions else {
        let mut operation = start("start", "Starts a saga.".to_owned(), json!({ "type": "object" }));
        operation.parameters.insert(0, name_in_path());
        paths.insert("/sagas/{name}".to_owned(), json!({ "post": operation.value() }));
        return;
    };
    let mut highest = BTreeMap::<_, SagaInfo>::new();
    for info in definitions {
        let known = highest.entry(info.name.clone()).or_insert_with(|| info.clone());
        if known.version < info.version {
            *known = info;
        }
    }
    for SagaInfo { name, description, schema, .. } in highest.into_values() {
        let summary = buses::summary(&description, "Starts the saga", &name);
        let input = buses::component(schemas, "saga", &name, schema.as_ref());
        let operation = start(&format!("start-{name}"), summary, input);
        paths.insert(buses::path("sagas", &name), json!({ "post": operation.value() }));
    }
}

fn start(id: &str, summary: String, input: Value) -> Operation<'static> {
    let mut operation = get(id, "", Value::Null);
    operation.summary = summary;
    operation.parameters.extend(["Idempotency-Key", "Portolan-Metadata"].map(|name| reference("parameters", name)));
    operation.body = Some(body(input));
    let content = || Some(is_json(of("SagaStarted")));
    operation.answers = vec![
        (201, "It is recorded, and goes on by itself.", content(), &["Location"]),
        (200, "It had been started before, with the same input.", content(), &["Location"]),
    ];
    operation.problems.extend(["invalid-saga-request", "outcome-unknown", "saga-started-otherwise", "unknown-saga"]);
    operation.problems.extend(problems::BODY);
    operation
}

/// What crosses the wire.
pub(super) fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let maybe_text = || json!({ "type": ["string", "null"] });
    let version = || json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let own_path = || json!({ "type": "string", "description": "The path of this saga." });
    let next = || json!({ "type": ["string", "null"], "description": "The path of the page after this one." });
    let mut definition = told(json!({ "name": of("Name"), "version": version(), "plan": { "type": "object" } }));
    definition["properties"]["description"] = text();
    definition["properties"]["schema"] = json!({ "description": "A JSON Schema (2020-12) of its input." });
    definition["properties"]["trouble"] = json!({
        "type": "string",
        "description": "What is in the way of it on this server: why processes of it receive no more events, or sagas of it \
                        are not driven.",
    });
    json!({
        "SagaName": {
            "type": "string", "minLength": 1, "maxLength": MAX_SAGA_NAME_BYTES, "pattern": "^[a-z0-9_.-]+$",
        },
        "SagaPhase": { "enum": SagaPhase::ALL.map(SagaPhase::name) },
        "SagaAction": { "enum": SagaAction::ALL.map(SagaAction::name) },
        "SagaStarted": told(json!({
            "name": of("SagaName"),
            "id": of("Name"),
            "self": own_path(),
            "version": version(),
            "position": maybe("Position"),
            "repeated": { "type": "boolean" },
        })),
        "Saga": told(json!({
            "name": of("SagaName"),
            "id": of("Name"),
            "self": own_path(),
            "version": version(),
            "phase": of("SagaPhase"),
            "step": maybe_text(),
            "way": { "enum": ["forward", "settle", "back", null] },
            "attempt": { "type": ["integer", "null"], "minimum": 0 },
            "since": maybe_text(),
            "due": maybe_text(),
            "reason": maybe_text(),
            "is_overdue": { "type": "boolean" },
            "started_at": text(),
            "deadline": maybe_text(),
            "lacks": {
                "type": ["string", "null"],
                "description": "Why the process that answers cannot go on with it; another may.",
            },
        })),
        "Sagas": told(json!({ "sagas": list("Saga"), "after": maybe_text(), "next": next() })),
        "SagaTimeline": told(json!({
            "facts": { "type": "array", "items": told(json!({
                "revision": of("Revision"), "at": text(), "type": of("Name"), "data": {},
            })) },
            "after": maybe("Revision"),
            "next": next(),
        })),
        "SagaDefinitions": told(json!({ "definitions": { "type": "array", "items": definition } })),
    })
}
