//! Projections: their routes and what these take and give.

use super::schemas::{given, list, maybe, of, told};
use super::{Operation, body, in_path, is_json, problems, query};
use crate::server::Switches;
use crate::server::projections::ACTIONS;
use serde_json::{Value, json};

const OF_ALL: [&str; 3] = ["busy", "corrupt", "failed"];
const OF_ONE: [&str; 4] = ["busy", "corrupt", "failed", "unknown-projection"];
const OF_WAITING: [&str; 5] =
    ["event-parked", "projection-behind", "projection-stalled", "projection-stopped", "shutting-down"];
const OF_ROWS: [&str; 4] = ["invalid-projection-request", "projection-not-ready", "rows-gone", "too-large"];

/// Each route with its method.
pub(super) fn operations(switches: Switches) -> Vec<(&'static str, &'static str, Operation<'static>)> {
    let mut all = vec![
        (
            "/projections",
            "get",
            get("projections", "The projections there are, and how they stand.", of("Projections"), &OF_ALL),
        ),
        ("/projections/{name}", "get", named(get("projection", "How a projection stands.", of("Projection"), &OF_ONE))),
        ("/projections/{name}/parked", "get", parked()),
        ("/projections/{name}/wait", "get", wait()),
        ("/projections/{name}/rows", "get", rows()),
        ("/projections/{name}/rows", "post", whole()),
        ("/projections/{name}/rows/{key}", "get", row()),
        ("/projections/{name}/rows/by/{index}", "get", by_index()),
    ];
    if switches.projection_actions {
        all.push(("/projections/{name}/{action}", "post", act()));
    }
    all
}

fn get(id: &str, summary: &'static str, answer: Value, problems: &[&'static str]) -> Operation<'static> {
    Operation {
        id: id.to_owned(),
        tag: "projections",
        summary: summary.to_owned(),
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, summary, Some(is_json(answer)), &[])],
        problems: problems.to_vec(),
        open: false,
    }
}

/// The same, of one projection.
fn named(operation: Operation<'_>) -> Operation<'_> {
    let mut parameters = vec![in_path("name", "The projection.")];
    parameters.extend(operation.parameters);
    Operation { parameters, ..operation }
}

fn position() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX })
}

fn limit() -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX });
    query("limit", "At most how many; the server has a limit of its own.", schema)
}

fn act() -> Operation<'static> {
    let version = json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX });
    let action = json!({
        "in": "path", "name": "action", "required": true, "schema": { "enum": ACTIONS },
        "description": "`pause`; `resume`, also after it has stopped; `reset`: empties the rows at once; `rebuild`: makes \
                        them anew beside the old ones; `cancel-rebuild`; `activate`: of which `version` everybody reads \
                        who prefers none, the newest without it; `remove`: the rows of an `edition`; `retry`: the parked \
                        event at `position`, or all; `drop`: leaves out the one at `position` for good.",
    });
    let operation = Operation {
        parameters: vec![
            action,
            query("version", "For `activate`.", version),
            query("edition", "For `remove`.", of("Edition")),
            query("position", "For `retry` and `drop`.", position()),
        ],
        answers: vec![(204, "It is recorded, and takes effect within a second or so.", None, &[])],
        problems: [&OF_ONE[..], &["invalid-projection-request", "outcome-unknown", "projection-lacks"]].concat(),
        ..get("act", "Acts upon a projection.", Value::Null, &[])
    };
    named(operation)
}

fn parked() -> Operation<'static> {
    let operation = get("parked", "The events that a projection has parked.", of("ParkedPage"), &OF_ONE);
    let parameters = vec![query("after", "The position before the first one.", position()), limit()];
    let problems = [&OF_ONE[..], &["invalid-projection-request"]].concat();
    named(Operation { parameters, problems, ..operation })
}

fn wait() -> Operation<'static> {
    const SUMMARY: &str = "Answers once every event up to the position is in the rows that this server's own version of \
                           the projection reads, and 503 when the time is over: what \
                           `Request-Timeout` or `Prefer: wait=<seconds>` (RFC 7240) says, or a second. While two versions run, other rows may be active: whoever reads those asks \
                           for them with `Portolan-At-Least`.";
    let mut position = query("position", "Up to where, such as the position of a receipt.", position());
    position["required"] = true.into();
    named(Operation {
        parameters: vec![position],
        answers: vec![(204, "It has applied them.", None, &["Preference-Applied"])],
        problems: [&OF_ONE[..], &OF_WAITING].concat(),
        ..get("wait", SUMMARY, Value::Null, &[])
    })
}

/// What all questions for rows share.
fn asking(id: &str, summary: &'static str, answer: &str) -> Operation<'static> {
    let operation = get(id, summary, Value::Null, &[]);
    let answers: Vec<(u16, _, _, &[&str])> = vec![(200, summary, Some(is_json(of(answer))), &["Preference-Applied"])];
    named(Operation { answers, problems: [&OF_ONE[..], &OF_ROWS, &OF_WAITING].concat(), ..operation })
}

fn version() -> Value {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX });
    query("version", "The version whose rows are preferred, once they are ready.", schema)
}

fn paging() -> [Value; 3] {
    let cursor = json!({ "type": "string" });
    [
        limit(),
        query("direction", "From the first or from the last on.", of("Direction")),
        query("cursor", "`next` of the page before. The page is of the same edition.", cursor),
    ]
}

fn rows() -> Operation<'static> {
    let names = json!({ "type": "array", "items": of("Name") });
    let own = [
        query("keys", "The rows of these keys, and nothing else.", names),
        query("from", "From this key on.", of("Name")),
        query("to", "Before this key.", of("Name")),
        query("prefix", "Of keys that begin so, in place of `from` and `to`.", of("Name")),
    ];
    let mut operation = asking("rows", "A page of the rows of a projection, by key.", "Rows");
    operation.parameters.extend(own.into_iter().chain(paging()).chain([version()]));
    operation
}

fn row() -> Operation<'static> {
    let mut operation = asking("row", "A row of a projection.", "Row");
    operation.parameters.extend([in_path("key", "The row's key."), version()]);
    operation.problems.push("no-such-row");
    operation
}

fn by_index() -> Operation<'static> {
    const SUMMARY: &str = "A page of the rows of a projection, by an index. Values may also be given by the names of its \
                           columns, as parameters; those of columns that have the name of a parameter here, by `value` \
                           alone.";
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": text() });
    let own = [
        in_path("index", "The index."),
        query("value", "The values of its first columns, in order, by repetition.", texts()),
        query("null", "Columns, by name, that have nothing in them.", texts()),
        query("from", "From this value on, in the column after those with values.", text()),
        query("to", "Before this value.", text()),
    ];
    let mut operation = asking("rows-by-index", SUMMARY, "Rows");
    operation.parameters.extend(own.into_iter().chain(paging()).chain([version()]));
    operation
}

fn whole() -> Operation<'static> {
    let mut operation = asking("ask-rows", "Rows of a projection, as the port asks for them.", "PortRows");
    operation.body = Some(body(of("RowsQuestion")));
    operation.problems.extend(problems::BODY);
    operation
}

/// What crosses the wire.
pub(super) fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let count = || json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    let state = |more: Value| {
        let mut properties = json!({
            "state": { "enum": ["catching-up", "caught-up", "paused", "stopped", "stalled"] },
            "position": maybe("Position"),
        });
        if let (Some(all), Some(more)) = (properties.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        let mut told = told(properties);
        told["properties"]["reason"] = json!({ "type": "string", "description": "Why it has stopped, where it has." });
        told["properties"]["since"] =
            json!({ "type": "string", "description": "Since when it stalls, where it does." });
        told
    };
    let failure = told(json!({ "at": text(), "position": maybe("Position"), "reason": text() }));
    let mut all = json!({
        "Edition": {
            "type": "string", "pattern": "^[0-9]{1,5}(\\.[0-9]{1,5})?$",
            "description": "Which rows of a projection: the version of its code, and the number of the rebuild if any.",
        },
        "Projections": told(json!({ "projections": list("Projection") })),
        "Projection": state(json!({
            "name": of("Name"),
            "version": { "type": "integer", "description": "Of its code in the process that answers." },
            "lifecycle": { "enum": ["asynchronous", "inline", "inline-if-possible", "live"] },
            "edition": maybe("Edition"),
            "frontier": maybe("Position"),
            "lag": told(json!({ "events": count(), "time": of("Duration") })),
            "events_per_second": count(),
            "last_error": { "anyOf": [failure, { "type": "null" }] },
            "parked": count(),
            "skipped": count(),
            "editions": { "type": "array", "items": state(json!({
                "edition": of("Edition"),
                "is_active": { "type": "boolean" },
                "is_ready": { "type": "boolean" },
                "holder": maybe("Name"),
            })) },
        })),
        "Parked": told(json!({
            "position": of("Position"), "stream": of("Name"), "key": maybe("Name"), "reason": text(), "at": text(),
        })),
        "ParkedPage": told(json!({ "events": list("Parked"), "next": maybe("Position") })),
    });
    let rows = rows_schemas();
    if let (Some(all), Some(rows)) = (all.as_object_mut(), rows.as_object()) {
        all.extend(rows.clone());
    }
    all
}

fn rows_schemas() -> Value {
    let text = || json!({ "type": "string" });
    let object =
        || json!({ "type": "object", "description": "A member a column: of JSON as it is, of bytes in base64." });
    let bound = |of: Value| {
        json!({ "oneOf": [
            { "const": "unbounded" },
            given(json!({ "included": of }), &["included"]),
            given(json!({ "excluded": of }), &["excluded"]),
        ] })
    };
    let range = |of: &dyn Fn() -> Value| json!({ "from": bound(of()), "to": bound(of()) });
    let with = |mut properties: Value, more: Value| {
        if let (Some(all), Some(more)) = (properties.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        properties
    };
    let by_index = with(json!({ "name": of("Name"), "equals": list("Cell") }), range(&|| of("Cell")));
    let page = given(
        json!({
            "by": { "oneOf": [
                given(json!({ "key": given(range(&|| of("Name")), &[]) }), &["key"]),
                given(json!({ "index": given(by_index, &["name"]) }), &["index"]),
            ] },
            "direction": of("Direction"),
            "limit": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            "after": maybe("Cursor"),
        }),
        &["by", "limit"],
    );
    let column = told(json!({
        "name": of("Name"), "kind": { "enum": ["bool", "integer", "real", "text", "json", "bytes"] },
    }));
    let index = told(json!({ "name": of("Name"), "columns": list("Name"), "unique": { "type": "boolean" } }));
    let collection = told(json!({
        "name": of("Name"),
        "edition": of("Edition"),
        "columns": { "type": "array", "items": column },
        "indexes": { "type": "array", "items": index },
    }));
    let row = told(json!({ "key": of("Name"), "cells": list("Cell") }));
    let found = json!({ "projection": of("Name"), "edition": of("Edition") });
    json!({
        "Row": told(with(found.clone(), json!({ "key": of("Name"), "row": object() }))),
        "Rows": told(with(found, json!({
            "rows": { "type": "array", "items": told(json!({ "key": of("Name"), "row": object() })) },
            "next": { "type": ["string", "null"], "description": "The cursor of the page after this one." },
        }))),
        "Cell": { "oneOf": [
            { "const": "null" },
            given(json!({ "bool": { "type": "boolean" } }), &["bool"]),
            given(json!({ "integer": { "type": "string", "pattern": "^(0|-?[1-9][0-9]{0,18})$" } }), &["integer"]),
            given(json!({ "real": { "type": "string", "pattern": "^-?(inf|[0-9]{1,300}(\\.[0-9]{1,300})?)$" } }), &["real"]),
            given(json!({ "text": text() }), &["text"]),
            given(json!({ "bytes": of("Base64") }), &["bytes"]),
        ] },
        "Cursor": given(json!({ "edition": of("Edition"), "values": list("Cell"), "key": of("Name") }), &["edition", "key"]),
        "RowsQuestion": given(
            json!({
                "prefer": { "anyOf": [{ "type": "integer", "minimum": 1, "maximum": u16::MAX }, { "type": "null" }] },
                "rows": { "oneOf": [
                    given(json!({ "keys": list("Name") }), &["keys"]),
                    given(json!({ "page": page }), &["page"]),
                ] },
            }),
            &["rows"],
        ),
        "PortRows": told(json!({
            "collection": collection,
            "rows": { "type": "array", "items": row },
            "next": maybe("Cursor"),
        })),
    })
}
