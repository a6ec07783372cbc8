//! `GET /openapi.json`, compared with what is served.

use crate::support::Running;
use crate::support::projections::{errors, wait_errors};
use portolan_http::HttpServer;
use portolan_kernel::ports::ProjectionError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

async fn document(server: &Running) -> Value {
    server.get("/openapi.json").await.is_ok()
}

fn paths(document: &Value) -> &Map<String, Value> {
    document["paths"].as_object().unwrap()
}

/// Each method of each documented path is served if it is documented, and no other is.
#[tokio::test]
async fn what_is_documented_is_what_is_served() {
    for (raw_appends, actions) in [(true, true), (false, true), (true, false), (false, false)] {
        let switched = |server: HttpServer| {
            let server = server.with_raw_appends(raw_appends).with_projection_actions(actions);
            server.with_saga_actions(actions == raw_appends)
        };
        let server = Running::with(switched).await;
        let document = document(&server).await;
        assert_eq!(paths(&document).contains_key("/append"), raw_appends);
        assert_eq!(document["paths"]["/streams/{id}"].get("post").is_some(), raw_appends);
        assert_eq!(paths(&document).contains_key("/projections/{name}/{action}"), actions);
        assert_eq!(paths(&document).contains_key("/sagas/{name}/{id}/{action}"), actions == raw_appends);
        for (path, methods) in paths(&document) {
            let concrete = path.replace("/sagas/{name}/{id}/{action}", "/sagas/letter/1/abort");
            let concrete =
                concrete.replace("/projections/{name}", "/projections/balances").replace("{action}", "pause");
            let concrete = concrete.replace("{key}", "ann-1").replace("{index}", "owner");
            let concrete = concrete.replace("{type}", "x").replace("{version}", "1");
            let concrete = concrete.replace("{id}", "x").replace("{name}", "x").replace("{scope}", "x");
            for method in METHODS {
                let headers = ["Content-Type: application/json"];
                let reply = server.send(&method.to_uppercase(), &concrete, &headers, "{}").await;
                let documented = methods.get(method).map(|operation| &operation["responses"]);
                assert_eq!(documented.is_some(), reply.status != 405, "{method} {path}: {reply:?}");
                let Some(responses) = documented else {
                    assert!(reply.header("allow").is_some_and(|allow| !allow.is_empty()), "{method} {path}: {reply:?}");
                    continue;
                };
                let answer = &responses[reply.status.to_string()];
                assert!(answer.is_object(), "{method} {path} answers {} and does not say so", reply.status);
                let kind = if reply.body.is_empty() { Value::Null } else { reply.json()["type"].clone() };
                for nobody in
                    ["no-such-route", "unknown-command", "unknown-query", "unknown-projection", "unknown-saga"]
                {
                    assert_ne!(kind, format!("urn:portolan:problem:{nobody}"), "{method} {path}");
                }
                if let Some(media_type) = reply.header("content-type") {
                    assert!(answer["content"].get(media_type).is_some(), "{method} {path}: {media_type}");
                }
            }
        }
    }
}

#[tokio::test]
async fn commands_and_questions_are_documented_by_their_schemas() {
    let server = Running::start().await;
    let document = document(&server).await;
    let echo = &document["paths"]["/commands/echo"]["post"];
    assert_eq!(echo["summary"], "Comes back.");
    let of_body = echo["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    assert_eq!(document.pointer(&of_body[1..]).unwrap()["properties"]["a"]["type"], "integer");
    let headers = ["Idempotency-Key", "Request-Timeout", "Portolan-Wait-For", "Prefer", "Portolan-Metadata"];
    let documented = echo["parameters"].as_array().unwrap().iter();
    let documented: Vec<&Value> =
        documented.map(|of| &document.pointer(&of["$ref"].as_str().unwrap()[1..]).unwrap()["name"]).collect();
    assert_eq!(documented, headers);

    let typed = &document["paths"]["/queries/typed"];
    let parameters = typed["get"]["parameters"].as_array().unwrap();
    let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
    assert_eq!((&named("owner")["required"], &named("limit")["required"]), (&json!(true), &json!(false)));
    assert_eq!(named("revisions")["schema"]["items"]["type"], "integer");
    assert!(named("range")["content"]["application/json"].is_object());
    assert_eq!(
        typed["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/answer.typed"
    );
    assert!(typed["post"]["requestBody"].is_object());
}

/// Every reference leads somewhere, and every operation has a name of its own.
#[tokio::test]
async fn the_document_holds_together() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let server = Running::start().await;
    let document = document(&server).await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
    }
    let operations = paths(&document).values().flat_map(|path| METHODS.iter().filter_map(|method| path.get(method)));
    let ids: Vec<&str> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[tokio::test]
async fn mounted_services_are_named() {
    let server = Running::with(|server| {
        let hello = tower::service_fn(async |_: http::Request<portolan_http::MountBody>| {
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
        server.mount("/graphql", hello)
    })
    .await;
    assert_eq!(document(&server).await["x-mounted"], json!(["/graphql"]));
}

/// What each route of projections can fail with, as its port says, is among its documented answers.
#[tokio::test]
async fn every_error_of_a_projection_is_documented() {
    let server = Running::start().await;
    let document = document(&server).await;
    let check = async |method: &str, path: &str, at: usize| {
        let concrete = path.replace("{name}", &format!("error-{at}")).replace("{action}", "pause");
        let concrete = concrete.replace("{key}", "k").replace("{index}", "owner");
        let concrete = concrete.replace("/wait", "/wait?position=1");
        let body = r#"{"rows":{"keys":["k"]}}"#;
        let reply = server.send(&method.to_uppercase(), &concrete, &["Content-Type: application/json"], body).await;
        let kind = reply.json()["type"].as_str().unwrap().replace("urn:portolan:problem:", "problem.");
        let answer = &document["paths"][path][method]["responses"][reply.status.to_string()];
        let said = answer["content"]["application/problem+json"]["schema"].to_string();
        assert!(said.contains(&format!("/{kind}\"")), "{method} {path} answers {} {kind}: {said}", reply.status);
    };
    for (at, error) in errors().iter().enumerate() {
        use ProjectionError::{Busy, Denied, Invalid, NotFound, Other, Unknown, UnknownProjection};
        let of_status = matches!(error, UnknownProjection(_) | Denied(_) | Busy(_) | Other(_));
        let of_parked = of_status || matches!(error, Invalid(_));
        let only_of_acting = matches!(error, NotFound { .. } | Unknown(_));
        if of_status {
            check("get", "/projections/{name}", at).await;
        }
        if of_parked {
            check("get", "/projections/{name}/parked", at).await;
        }
        if of_parked || only_of_acting {
            check("post", "/projections/{name}/{action}", at).await;
        }
        if !only_of_acting {
            for path in ["rows", "rows/{key}", "rows/by/{index}"] {
                check("get", &format!("/projections/{{name}}/{path}"), at).await;
            }
            check("post", "/projections/{name}/rows", at).await;
        }
    }
    for at in 0..wait_errors().len() {
        check("get", "/projections/{name}/wait", at).await;
    }
}
