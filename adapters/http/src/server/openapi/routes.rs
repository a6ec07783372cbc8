//! The server's own routes, whatever the application is.

use super::{Operation, body, in_path, is_json, problems, projections, query, reference, sagas, schema};
use crate::server::Switches;
use crate::server::schemas::MEDIA_TYPE;
use serde_json::{Map, Value, json};

const OF_READS: [&str; 6] = ["busy", "corrupt", "failed", "invalid-read", "too-large", "unsupported"];
const OF_SCHEMAS: [&str; 3] = ["busy", "corrupt", "failed"];
const OF_APPENDS: [&str; 14] = [
    "busy",
    "checkpoint-moved",
    "corrupt",
    "failed",
    "guard-failed",
    "inline-refused",
    "invalid-append",
    "key-reused",
    "nonconforming-append",
    "outcome-unknown",
    "stream-conflict",
    "too-large",
    "unsupported",
    "wrong-store",
];

pub(super) fn paths(switches: Switches) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut insert = |path: &str, method: &str, operation: Operation<'_>| {
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = operation.value();
    };
    let document = get("openapi", "server", "This document.", json!({ "type": "object" }));
    insert("/openapi.json", "get", Operation { open: true, ..document });
    let lives = get("lives", "server", "Whether the process lives.", schema("Status"));
    insert("/healthz", "get", Operation { open: true, ..lives });
    let ready = get("ready", "server", "Whether it can serve: the store answers a read.", schema("Status"));
    insert("/readyz", "get", Operation { problems: vec!["not-ready"], open: true, ..ready });
    insert("/commands", "get", get("commands", "commands", "The commands there are.", schema("Commands")));
    insert("/queries", "get", get("queries", "queries", "The queries there are.", schema("Queries")));
    for (path, method, operation) in projections::operations(switches) {
        insert(path, method, operation);
    }
    for (path, method, operation) in sagas::operations(switches) {
        insert(path, method, operation);
    }
    let schemas = get("schemas", "server", "The types of events and commands that are known.", schema("Schemas"));
    insert("/schemas", "get", Operation { problems: OF_SCHEMAS.into(), ..schemas });
    insert("/schemas/{type}/{version}", "get", one_schema());
    insert("/streams/{id}", "get", stream());
    insert("/events", "get", events());
    insert("/read", "post", read());
    insert("/changed", "get", changed());
    let recall = get("recall", "store", "What is recorded under an idempotency key.", schema("Recalled"));
    insert(
        "/appends/{scope}/{id}",
        "get",
        Operation {
            parameters: vec![in_path("scope", "The scope of the key."), in_path("id", "The id within it.")],
            problems: [&OF_READS[..], &["not-recorded"]].concat(),
            ..recall
        },
    );
    let checkpoint = get("checkpoint", "store", "Where a checkpoint is.", schema("CheckpointState"));
    insert(
        "/checkpoints/{name}",
        "get",
        Operation {
            parameters: vec![in_path("name", "The name of the checkpoint.")],
            problems: OF_READS.into(),
            ..checkpoint
        },
    );
    insert("/capabilities", "get", get("capabilities", "store", "What the store can.", schema("Capabilities")));
    if switches.raw_appends {
        insert("/append", "post", append());
        insert("/streams/{id}", "post", append_to_stream());
    }
    paths
}

fn get<'a>(id: &str, tag: &'a str, summary: &'a str, answer: Value) -> Operation<'a> {
    Operation {
        id: id.to_owned(),
        tag,
        summary: summary.to_owned(),
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, summary, Some(is_json(answer)), &[])],
        problems: Vec::new(),
        open: false,
    }
}

/// A page, or live with `Accept: text/event-stream`, which OpenAPI leaves to the content of the answer.
fn page_or_live() -> Value {
    json!({
        "application/json": { "schema": schema("Page") },
        "text/event-stream": { "schema": {
            "type": "string",
            "description": "Live, where `Accept` names it: an event is a frame without a name, whose `id` is its position. \
                            `from=now` leaves out what was. Of the parts of one stored event, in the current form, only the \
                            last has an `id`. It has no end.",
        } },
    })
}

const FORM: &str = "`stored`: events as they are stored. `current`: as what they have become, with the type, version and \
                    payload of now; what is retired is left out, and one that was split is several, which share its id and \
                    places, each with its `part`. Pages are counted by stored events, so that one may be empty and have \
                    a `next`. An event whose current form is unknown is there as it is stored, with `form` and \
                    `not_current` to say so. Such a page has no `ETag`.";

fn paging() -> [Value; 4] {
    let position = json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX });
    [
        query("until", "The position of the last event there can be.", position),
        query("limit", "At most how many stored events; the server has a limit of its own.", limit),
        query("direction", "From the oldest or from the newest on.", schema("Direction")),
        query("form", FORM, json!({ "enum": ["stored", "current"], "default": "stored" })),
    ]
}

fn stream() -> Operation<'static> {
    let after = query("after", "The revision before the first event.", schema("Revision"));
    let headers = ["If-None-Match", "Last-Event-ID"].map(|name| reference("parameters", name));
    let own = [in_path("id", "The stream."), after];
    Operation {
        parameters: own.into_iter().chain(paging()).chain(headers).collect(),
        answers: vec![
            (200, "A page of the stream, or its events live.", Some(page_or_live()), &["ETag"]),
            (304, "The caller has it already.", None, &["ETag"]),
        ],
        problems: [&OF_READS[..], &["no-such-stream", "ahead-of-log", "no-current-form", "shutting-down"]].concat(),
        ..get("stream", "events", "The events of a stream.", Value::Null)
    }
}

fn events() -> Operation<'static> {
    let names = || json!({ "type": "array", "items": schema("Name") });
    let position = json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX });
    let own = [
        query("after", "The position before the first event.", position),
        query("type", "Only events of one of these types, in the form that is asked for.", names()),
        query(
            "category",
            "Only events of one of these categories. Those of the system, such as `$saga`, come by this or by `stream` alone.",
            names(),
        ),
        query("stream", "Only events of one of these streams.", names()),
        query("tag", "Only events with all of these tags.", names()),
    ];
    Operation {
        parameters: own.into_iter().chain(paging()).chain([reference("parameters", "Last-Event-ID")]).collect(),
        answers: vec![(200, "A page of the log, or its events live.", Some(page_or_live()), &[])],
        problems: [&OF_READS[..], &["ahead-of-log", "no-current-form", "shutting-down"]].concat(),
        ..get("events", "events", "The events of the log.", Value::Null)
    }
}

fn one_schema() -> Operation<'static> {
    const OTHERWISE: &str =
        "What it is of. Without it: the event of this name; the command, where there is no such event.";
    let version = json!({
        "in": "path", "name": "version", "required": true, "description": "Which version.", "schema": schema("Version"),
    });
    let document = json!({ MEDIA_TYPE: { "schema": { "type": ["object", "boolean"] } } });
    Operation {
        parameters: vec![
            in_path("type", "The stored name of an event, or the name of a command."),
            version,
            query("kind", OTHERWISE, schema("SchemaKind")),
        ],
        answers: vec![(200, "The JSON Schema of an event's payload or a command's body.", Some(document), &[])],
        problems: [&OF_SCHEMAS[..], &["no-schema", "unknown-schema"]].concat(),
        ..get("schema", "server", "What a version of a type looks like.", Value::Null)
    }
}

fn read() -> Operation<'static> {
    Operation {
        body: Some(body(schema("Read"))),
        problems: [&OF_READS[..], &problems::BODY].concat(),
        ..get("read", "store", "A page, as the port reads it.", schema("PortPage"))
    }
}

fn changed() -> Operation<'static> {
    const SUMMARY: &str = "Answers once something may have changed, or when `Prefer: wait=<seconds>` (RFC 7240) is \
                           over; without it, at once.";
    let of_query = json!({
        "in": "query", "name": "query", "description": "Of which events.", "content": is_json(schema("Query")),
    });
    let position = json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX });
    Operation {
        parameters: vec![of_query, query("after", "After which position.", position)],
        answers: vec![(204, "Something may have changed, or the time is over.", None, &["Preference-Applied"])],
        problems: OF_READS.into(),
        ..get("changed", "store", SUMMARY, Value::Null)
    }
}

fn append() -> Operation<'static> {
    Operation {
        body: Some(body(schema("Append"))),
        problems: [&OF_APPENDS[..], &problems::BODY].concat(),
        ..get("append", "store", "Appends, past all decisions.", schema("Appended"))
    }
}

fn append_to_stream() -> Operation<'static> {
    let condition = |name: &str, description: &str| json!({ "in": "header", "name": name, "description": description, "schema": { "type": "string" } });
    Operation {
        parameters: vec![
            in_path("id", "The stream."),
            reference("parameters", "Idempotency-Key"),
            condition(
                "If-Match",
                "The revision in quotes that the stream has to have, or `*`: that it has to be there.",
            ),
            condition("If-None-Match", "`*`: the stream must not be there."),
        ],
        body: Some(body(schema("StreamAppend"))),
        answers: vec![(200, "The receipt.", Some(is_json(schema("Receipt"))), &["ETag"])],
        problems: [&OF_APPENDS[..], &problems::BODY].concat(),
        ..get("append-to-stream", "events", "Appends to one stream, past all decisions.", Value::Null)
    }
}
