//! `GET /schemas` and `GET /schemas/{type}/{version}`, and the client over them.

use crate::support::schemas::{ODD, all, command, event, schema_of};
use crate::support::{Reply, Running};
use core::fmt::Write as _;
use portolan_kernel::ports::{Schema, SchemaError, SchemaRegistry as _};
use rstest::rstest;
use serde_json::{Value, json};

fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut path, byte| {
        let _ = write!(path, "%{byte:02x}");
        path
    })
}

#[track_caller]
fn is_schema(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/schema+json"));
    reply.json()
}

#[tokio::test]
async fn every_type_is_listed_with_links_that_lead_to_it() {
    let server = Running::start().await;
    let listed = server.get("/schemas").await.is_ok();
    let schemas = listed["schemas"].as_array().unwrap();
    assert_eq!(
        schemas[1],
        json!({
            "kind": "event", "name": "open", "category": "account", "current": 2,
            "versions": [{ "version": 1, "schema": "/schemas/open/1" }, { "version": 2, "schema": "/schemas/open/2" }],
        })
    );
    assert_eq!(schemas[2]["category"], Value::Null);
    assert_eq!(schemas[0]["current"], Value::Null);
    assert_eq!(schemas.len(), all().len());
    for (of, told) in all().iter().zip(schemas) {
        for (version, link) in of.versions.iter().zip(told["versions"].as_array().unwrap()) {
            let reply = server.get(link["schema"].as_str().unwrap()).await;
            match schema_of(&of.subject, *version) {
                Some(schema) => assert_eq!(is_schema(&reply), schema),
                None => {
                    let problem = reply.is_problem(404, "no-schema");
                    assert_eq!(
                        (&problem["kind"], &problem["name"], &problem["version"]),
                        (&json!("event"), &json!("open"), &json!(1))
                    );
                }
            }
        }
    }
}

/// An event of the name hides the command, also in versions that only the command has.
#[rstest]
#[case::an_event("open/2", Some("event open 2"))]
#[case::the_event("open/2?kind=event", Some("event open 2"))]
#[case::the_command("open/2?kind=command", Some("command open 2"))]
#[case::hidden_by_the_event("open/3", None)]
#[case::of_no_version_of_the_event("open/3?kind=event", None)]
#[case::not_hidden("open/3?kind=command", Some("command open 3"))]
#[case::no_event_of_the_name("close/1?kind=event", None)]
#[tokio::test]
async fn the_kind_is_chosen(#[case] path: &str, #[case] title: Option<&str>) {
    let reply = Running::start().await.get(&format!("/schemas/{path}")).await;
    match title {
        Some(title) => assert_eq!(is_schema(&reply)["title"], title),
        None => assert_eq!(reply.is_problem(404, "unknown-schema")["kind"], "event"),
    }
}

#[tokio::test]
async fn a_command_without_an_event_of_its_name_needs_no_kind() {
    assert_eq!(is_schema(&Running::start().await.get("/schemas/close/1").await), json!(true));
}

#[tokio::test]
async fn what_is_odd_is_answered_as_what_it_is() {
    let server = Running::start().await;
    let odd = escaped(ODD);
    for path in [format!("/schemas/{odd}/7"), format!("/schemas/{odd}/{}", u32::MAX)] {
        is_schema(&server.get(&path).await);
    }
    let long = "x".repeat(512);
    for path in ["x/1", "open/0", "open/4", "open/4294967295", "%2e%2e/1", "a%2Fb/1", &format!("{long}/1")] {
        server.get(&format!("/schemas/{path}")).await.is_problem(404, "unknown-schema");
    }
    for path in ["/", "/open", "/open/", "/open/1/", "/a/b/1"] {
        server.get(&format!("/schemas{path}")).await.is_problem(404, "no-such-route");
    }
    for (path, wrong) in [
        ("/1", "type"),
        ("open/x", "version"),
        ("open/-1", "version"),
        ("open/+1", "version"),
        ("open/1.0", "version"),
        ("open/4294967296", "version"),
        ("open/99999999999999999999999999", "version"),
        ("open/%20", "version"),
        ("a%00b/1", "type"),
        ("a%0Ab/1", "type"),
        (&format!("{long}x/1"), "type"),
        ("open/1?kind=saga", "kind"),
        ("open/1?kind=", "kind"),
        ("open/1?kind=event&kind=event", "kind"),
        ("open/1?version=2", "version"),
    ] {
        let problem = server.get(&format!("/schemas/{path}")).await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], wrong, "{path}");
    }
    server.get("/schemas?kind=event").await.is_problem(422, "invalid-request");
    server.get("/schemas/%ff/1").await.is_problem(400, "malformed");
    for method in ["POST", "PUT", "DELETE"] {
        let reply = server.send(method, "/schemas/open/1", &["Content-Type: application/json"], "{}").await;
        reply.is_problem(405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    }
}

#[rstest]
#[case("busy", 503, "busy")]
#[case("denied", 403, "denied")]
#[case("other", 500, "failed")]
#[case("damaged", 500, "corrupt")]
#[tokio::test]
async fn an_error_of_the_registry_is_documented_and_arrives(
    #[case] name: &str,
    #[case] status: u16,
    #[case] kind: &str,
) {
    let server = Running::start().await;
    let reply = server.get(&format!("/schemas/{name}/1")).await;
    let problem = reply.is_problem(status, kind);
    assert!(!problem.to_string().contains("/srv"), "{problem}");
    let document = server.get("/openapi.json").await.is_ok();
    let answer = &document["paths"]["/schemas/{type}/{version}"]["get"]["responses"][status.to_string()];
    assert!(answer.to_string().contains(&format!("problem.{kind}\"")), "{answer}");

    let error = server.client().await.schema(event(name), 1).await.unwrap_err();
    let same = match name {
        "busy" => matches!(error, SchemaError::Busy(_)),
        "denied" => matches!(&error, SchemaError::Denied(reason) if reason == "ann may not"),
        _ => matches!(error, SchemaError::Other(_)),
    };
    assert!(same, "{error:?}");
}

#[tokio::test]
async fn the_client_is_the_registry() {
    let server = Running::start().await;
    let schemas = server.client().await.ports().schemas;
    assert_eq!(schemas.list().await.unwrap(), all());
    for of in all() {
        for version in &of.versions {
            let schema = schemas.schema(of.subject.clone(), *version).await.unwrap();
            assert_eq!(schema, Schema::new(of.subject.clone(), *version, schema_of(&of.subject, *version)));
        }
    }
    for (subject, version) in [(event("open"), 3), (command("open"), 1), (event("x"), 0), (command("a/b"), u32::MAX)] {
        let error = schemas.schema(subject.clone(), version).await.unwrap_err();
        assert!(
            matches!(&error, SchemaError::Unknown { subject: of, version: n } if *of == subject && *n == version),
            "{error:?}"
        );
    }
    drop(server);
    let error = schemas.list().await.unwrap_err();
    assert!(matches!(error, SchemaError::Busy(_)), "{error:?}");
}
