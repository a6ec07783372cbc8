//! `/sagas` and `/saga-definitions`, as ordinary and as hostile clients meet them.

use crate::support::sagas::{ERROR, SLOW, definition, errors, saga};
use crate::support::{Reply, Running};
use portolan_http::HttpServer;
use portolan_kernel::ports::{SagaError, SagaPhase};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub(crate) async fn start(server: &Running, name: &str, id: &str, input: &str) -> Reply {
    server.post(&format!("/sagas/{name}"), &[&format!("Idempotency-Key: {id}")], input).await
}

#[track_caller]
pub(crate) fn is_created(reply: &Reply) -> Value {
    assert_eq!(reply.status, 201, "{reply:?}: {}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

#[tokio::test]
async fn a_saga_is_started_once() {
    let server = Running::start().await;
    let first = start(&server, "transfer-money", "t-1", r#"{"amount":30}"#).await;
    let told = json!({
        "name": "transfer-money", "id": "t-1", "self": "/sagas/transfer-money/t-1", "version": 2, "position": "1",
        "repeated": false,
    });
    assert_eq!(is_created(&first), told);
    assert_eq!(first.header("location"), Some("/sagas/transfer-money/t-1"));
    assert_eq!(first.header("x-correlation-id"), Some("transfer-money/t-1"));

    // Also as a quoted string, and with the fields of the JSON otherwise.
    let again = start(&server, "transfer-money", "\"t-1\"", r#" { "note": null, "amount": 30 }"#).await;
    let mut repeated = told.clone();
    (repeated["repeated"], repeated["position"]) = (json!(true), Value::Null);
    assert_eq!(again.is_ok(), repeated);
    assert_eq!(again.header("location"), Some("/sagas/transfer-money/t-1"));

    let other = start(&server, "transfer-money", "t-1", r#"{"amount":31}"#).await;
    let problem = other.is_problem(409, "saga-started-otherwise");
    assert_eq!((&problem["name"], &problem["id"]), (&json!("transfer-money"), &json!("t-1")));
    assert_eq!(other.header("location"), None);
}

#[tokio::test]
async fn an_id_is_made_where_none_is_given() {
    let server = Running::start().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let reply = server.post("/sagas/letter", &[], r#"{"to":"ann"}"#).await;
        let told = is_created(&reply);
        let path = reply.header("location").unwrap();
        assert_eq!(*path, format!("/sagas/letter/{}", told["id"].as_str().unwrap()));
        let found = server.get(path).await.is_ok();
        assert_eq!((&found["id"], &found["self"]), (&told["id"], &json!(path)));
        seen.push(told["id"].clone());
    }
    assert_ne!(seen[0], seen[1]);
    // Of an id that was made, whoever has to start it again is told.
    let lost = server.post(&format!("/sagas/{ERROR}"), &["Request-Timeout: 0.05"], "{}").await;
    assert_eq!(lost.status, 404, "without an error it is no definition");
    let headers = [&format!("Idempotency-Key: {SLOW}"), "Request-Timeout: 0.05"];
    let problem = server.post(&format!("/sagas/{ERROR}"), &headers, "{}").await.is_problem(500, "outcome-unknown");
    assert_eq!((&problem["name"], &problem["id"]), (&json!(ERROR), &json!(SLOW)));
}

#[tokio::test]
async fn metadata_arrive() {
    let server = Running::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let whole = r#"Portolan-Metadata: {"actor":"ann","tenant":"north","correlation_id":"c-0"}"#;
    let headers = ["Idempotency-Key: 1", whole, "X-Correlation-Id: c-1", &format!("traceparent: {trace}")];
    let reply = server.post("/sagas/letter", &headers, "{}").await;
    is_created(&reply);
    assert_eq!((reply.header("x-correlation-id"), reply.header("traceparent")), (Some("c-1"), Some(trace)));
    let seen = server.sagas.starts.lock().unwrap().pop().unwrap();
    let of = |metadata: &portolan_kernel::values::Metadata| {
        [&metadata.actor, &metadata.tenant, &metadata.correlation, &metadata.traceparent].map(Clone::clone)
    };
    let all = ["ann", "north", "c-1", trace].map(|text| Some(text.to_owned()));
    assert_eq!(of(&seen.metadata), all);

    server.post("/sagas/letter/1/abort", &headers, r#"{"note":"why \u0000 not"}"#).await.is_ok();
    let seen = server.sagas.acts.lock().unwrap().pop().unwrap();
    assert_eq!((of(&seen.metadata), seen.note.as_str()), (all, "why \0 not"));

    // Without a correlation, a saga's id is it, and not one that was made for the request.
    is_created(&server.post("/sagas/letter", &["Idempotency-Key: 2"], "{}").await);
    assert_eq!(server.sagas.starts.lock().unwrap().pop().unwrap().metadata.correlation, None);
}

#[tokio::test]
async fn a_saga_shows_how_it_stands_and_what_operators_did() {
    let server = Running::start().await;
    let unlucky = saga("transfer-money", "t-1");
    is_created(&start(&server, "transfer-money", "t-1", r#"{"amount":13}"#).await);
    let path = "/sagas/transfer-money/t-1";
    let running = server.get(path).await.is_ok();
    assert_eq!(
        running,
        json!({
            "name": "transfer-money", "id": "t-1", "self": path, "version": 2, "phase": "running",
            "step": null, "way": null, "attempt": null, "since": "2026-07-25T17:20:00.000001Z",
            "due": "2026-07-25T17:21:00.000001Z", "reason": null, "is_overdue": false,
            "started_at": "2026-07-25T17:20:00.000001Z", "deadline": "2026-07-25T17:21:00.000001Z", "lacks": null,
        })
    );
    let early = server.post(&format!("{path}/skip"), &[], "").await.is_problem(409, "saga-not-now");
    assert_eq!(
        (&early["name"], &early["id"], &early["action"]),
        (&json!("transfer-money"), &json!("t-1"), &json!("skip"))
    );
    assert!(early["reason"].as_str().unwrap().contains("nothing holds the saga up"), "{early}");

    server.sagas.drive(&unlucky).await;
    let stuck = server.get(path).await.is_ok();
    assert_eq!(
        (&stuck["phase"], &stuck["way"], &stuck["step"]),
        (&json!("needs-operator"), &json!("back"), &json!("debit"))
    );
    assert!(stuck["reason"].as_str().unwrap().contains("13 stays where it is"), "{stuck}");

    // Tried anew, with all its attempts; and then it is the same.
    let retried = server.post(&format!("{path}/retry"), &[], r#"{"note":"once more"}"#).await.is_ok();
    assert_eq!((&retried["phase"], &retried["self"]), (&json!("compensating"), &json!(path)));
    server.sagas.drive(&unlucky).await;
    assert_eq!(server.get(path).await.is_ok()["phase"], "needs-operator");
    let skipped = server.post(&format!("{path}/skip"), &[], "{}").await.is_ok();
    assert_eq!(skipped["phase"], "aborted");
    assert!(skipped["reason"].as_str().unwrap().contains("debit"), "{skipped}");
    for action in ["retry", "skip", "compensate", "abort"] {
        server.post(&format!("{path}/{action}"), &[], "").await.is_problem(409, "saga-not-now");
    }

    let facts = server.get(&format!("{path}/timeline")).await.is_ok();
    assert_eq!((&facts["after"], &facts["next"]), (&Value::Null, &Value::Null));
    let facts = facts["facts"].as_array().unwrap();
    let revisions: Vec<u64> = facts.iter().map(|fact| fact["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (0..facts.len() as u64).collect::<Vec<_>>());
    assert_eq!((&facts[0]["type"], &facts[0]["data"]["input"]["amount"]), (&json!("$saga.started"), &json!(13)));
    assert_eq!(facts[0]["at"], "2026-07-25T17:20:00.000001Z");
    let notes: Vec<&Value> =
        facts.iter().filter(|fact| fact["type"] == "$saga.acted").map(|fact| &fact["data"]["note"]).collect();
    assert_eq!(notes.len(), 2, "{facts:#?}");
    assert_eq!(*notes[0], "once more");
    assert_eq!(facts.last().unwrap()["type"], "$saga.ended");
}

/// By pages of each size, each fact comes once.
#[rstest]
#[case(1)]
#[case(2)]
#[case(3)]
#[case(1_000)]
#[tokio::test]
async fn a_timeline_has_pages(#[case] limit: u64) {
    let server = Running::start().await;
    is_created(&start(&server, "transfer-money", "a%2Fb", r#"{"amount":7}"#).await);
    server.sagas.drive(&saga("transfer-money", "a%2Fb")).await;
    let first = "/sagas/transfer-money/a%252Fb/timeline";
    let whole = server.get(first).await.is_ok()["facts"].clone();
    let (mut next, mut facts) = (format!("{first}?limit={limit}"), Vec::new());
    loop {
        let page = server.get(&next).await.is_ok();
        let found = page["facts"].as_array().unwrap();
        assert!(found.len() as u64 <= limit && !found.is_empty(), "{page}");
        facts.extend(found.clone());
        let Some(path) = page["next"].as_str() else { break };
        assert_eq!(page["after"], found.last().unwrap()["revision"]);
        next = path.to_owned();
    }
    assert!(facts.len() > 3);
    assert_eq!(Value::Array(facts), whole);
}

#[tokio::test]
async fn sagas_are_listed_by_pages() {
    let server = Running::start().await;
    for id in ["1", "2", "\u{1F980}/..", "b c", "z"] {
        is_created(&start(&server, "transfer-money", id, r#"{"amount":7}"#).await);
        is_created(&start(&server, "letter", id, "{}").await);
    }
    server.sagas.drive(&saga("transfer-money", "2")).await;
    server.sagas.drive(&saga("letter", "z")).await;
    for (filter, count) in [
        ("", 10),
        ("&name=letter", 5),
        ("&phase=running", 8),
        ("&phase=running&phase=completed&phase=running", 9),
        ("&phase=compensated&name=transfer-money", 1),
        ("&phase=needs-operator", 0),
        ("&name=nobody", 0),
        ("&name=No%20%2F%20Body", 0),
    ] {
        for limit in [1, 2, 3, 100, u32::MAX] {
            let (mut next, mut found) = (format!("/sagas?limit={limit}{filter}"), Vec::new());
            loop {
                let page = server.get(&next).await.is_ok();
                let sagas = page["sagas"].as_array().unwrap();
                assert!(sagas.len() as u64 <= u64::from(limit), "{page}");
                found.extend(sagas.iter().map(|saga| saga["self"].as_str().unwrap().to_owned()));
                assert_eq!(page["next"].is_null(), page["after"].is_null(), "{page}");
                let Some(path) = page["next"].as_str() else { break };
                next = path.to_owned();
            }
            assert_eq!(found.len(), count, "{filter} {limit}: {found:?}");
            let mut sorted = found.clone();
            sorted.dedup();
            assert_eq!(sorted, found, "{filter} {limit}");
            for path in &found {
                assert_eq!(server.get(path).await.is_ok()["self"], **path);
            }
        }
    }
    let asked = server.sagas.lists.lock().unwrap().pop().unwrap();
    assert_eq!((asked.name, asked.limit), (Some(definition("No / Body")), 1_000));
    server.get("/sagas").await.is_ok();
    assert_eq!(server.sagas.lists.lock().unwrap().pop().unwrap().limit, 100);
}

#[rstest]
#[case("/sagas?phase=", "phase")]
#[case("/sagas?phase=running,completed", "phase")]
#[case("/sagas?phase=Running", "phase")]
#[case("/sagas?name=", "name")]
#[case("/sagas?name=a&name=b", "name")]
#[case("/sagas?limit=0", "limit")]
#[case("/sagas?limit=-1", "limit")]
#[case("/sagas?limit=many", "limit")]
#[case("/sagas?after=a&after=b", "after")]
#[case("/sagas?cursor=1", "cursor")]
#[case("/sagas/letter/1?version=1", "version")]
#[case("/sagas/letter/1/timeline?after=-1", "after")]
#[case("/sagas/letter/1/timeline?after=18446744073709551616", "after")]
#[case("/sagas/letter/1/timeline?limit=0", "limit")]
#[case("/sagas/letter/1/timeline?until=1", "until")]
#[case("/saga-definitions?name=letter", "name")]
#[tokio::test]
async fn wrong_parameters_are_named(#[case] path: &str, #[case] wrong: &str) {
    let server = Running::start().await;
    is_created(&start(&server, "letter", "1", "{}").await);
    let problem = server.get(path).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], wrong, "{problem}");
    let before = server.sagas.calls.load(Ordering::Relaxed);
    assert_eq!(before, 1, "nothing has been asked");
}

#[tokio::test]
async fn what_is_no_cursor_is_refused_by_the_port() {
    let server = Running::start().await;
    let problem = server.get("/sagas?after=1").await.is_problem(422, "invalid-saga-request");
    assert_eq!(problem["violations"][0]["path"], "after");
}

/// A browser sends a request without a body for any page.
#[tokio::test]
async fn a_page_of_another_origin_is_no_operator() {
    let server = Running::start().await;
    is_created(&start(&server, "letter", "1", "{}").await);
    for origin in ["Origin: http://elsewhere", "Origin: null"] {
        server.send("POST", "/sagas/letter/1/abort", &[origin], "").await.is_problem(403, "denied");
    }
    assert!(server.sagas.acts.lock().unwrap().is_empty());
    server.send("POST", "/sagas/letter/1/abort", &["Origin: http://x"], "").await.is_ok();
}

#[tokio::test]
async fn actions_can_be_off() {
    let server = Running::with(|server: HttpServer| server.with_saga_actions(false)).await;
    is_created(&start(&server, "letter", "1", "{}").await);
    for action in ["retry", "skip", "compensate", "abort"] {
        let reply = server.post(&format!("/sagas/letter/1/{action}"), &[], "{}").await;
        reply.is_problem(405, "saga-actions-off");
    }
    server.post("/sagas/letter/1/timeline", &[], "{}").await.is_problem(405, "method-not-allowed");
    server.post("/sagas/letter/1", &[], "{}").await.is_problem(405, "method-not-allowed");
    server.get("/sagas/letter/1").await.is_ok();
    server.get("/sagas/letter/1/timeline").await.is_ok();
    assert_eq!(server.get("/sagas/letter/1").await.is_ok()["phase"], SagaPhase::Running.name());
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let server = Running::start().await;
    let path = format!("/sagas/{ERROR}/{SLOW}");
    for path in [path.clone(), format!("{path}/timeline")] {
        server.send("GET", &path, &["Request-Timeout: 0.05"], "").await.is_problem(503, "busy");
    }
    let reply = server.post(&format!("{path}/abort"), &["Request-Timeout: 0.05"], "").await;
    reply.is_problem(500, "outcome-unknown");
    for path in ["/sagas", "/sagas/letter/1", "/sagas/letter/1/timeline"] {
        let problem = server.send("GET", path, &["Request-Timeout: soon"], "").await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], "Request-Timeout");
    }
    for path in ["/sagas/letter", "/sagas/letter/1/abort"] {
        let problem = server.post(path, &["Request-Timeout: 0"], "{}").await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], "Request-Timeout");
    }
}

/// The status and the type of each error of the port, on each route; and each is documented there.
#[tokio::test]
async fn errors_are_problems() {
    let server = Running::start().await;
    let document = server.get("/openapi.json").await.is_ok();
    let check = |method: &str, path: &str, reply: &Reply, error: &SagaError| {
        let (status, kind) = match error {
            SagaError::UnknownDefinition(_) => (404, "unknown-saga"),
            SagaError::NotFound(_) => (404, "no-such-saga"),
            SagaError::Invalid(_) => (422, "invalid-saga-request"),
            SagaError::StartedOtherwise(_) => (409, "saga-started-otherwise"),
            SagaError::NotNow { .. } => (409, "saga-not-now"),
            SagaError::Denied(_) => (403, "denied"),
            SagaError::ShuttingDown => (503, "shutting-down"),
            SagaError::Busy(_) => (503, "busy"),
            SagaError::Unknown(_) => (500, "outcome-unknown"),
            SagaError::Other(source) if source.to_string() == "odd" => (500, "failed"),
            SagaError::Other(_) => (500, "corrupt"),
            other => panic!("{other:?}"),
        };
        let problem = reply.is_problem(status, kind);
        assert!(!problem.to_string().contains("/srv"), "{problem}");
        assert_eq!(reply.header("retry-after").is_some(), status == 503, "{reply:?}");
        let answer = &document["paths"][path][method]["responses"][status.to_string()];
        let said = answer["content"]["application/problem+json"]["schema"].to_string();
        assert!(said.contains(&format!("/problem.{kind}\"")), "{method} {path} answers {status} {kind}: {said}");
    };
    for (at, error) in errors(&saga(ERROR, "x")).iter().enumerate() {
        use SagaError::{Busy, Denied, Invalid, NotFound, NotNow, Other, ShuttingDown, StartedOtherwise, Unknown};
        let of_any = matches!(error, Denied(_) | ShuttingDown | Busy(_) | Other(_));
        if of_any || matches!(error, NotFound(_)) {
            let path = "/sagas/{name}/{id}";
            check("get", path, &server.get(&format!("/sagas/{ERROR}/{at}")).await, error);
        }
        if of_any || matches!(error, NotFound(_) | Invalid(_)) {
            let path = "/sagas/{name}/{id}/timeline";
            check("get", path, &server.get(&format!("/sagas/{ERROR}/{at}/timeline")).await, error);
        }
        if of_any || matches!(error, NotFound(_) | Invalid(_) | Unknown(_) | NotNow { .. }) {
            let reply = server.post(&format!("/sagas/{ERROR}/{at}/abort"), &[], "").await;
            check("post", "/sagas/{name}/{id}/{action}", &reply, error);
        }
        if of_any || matches!(error, Invalid(_)) {
            check("get", "/sagas", &server.get(&format!("/sagas?after=error-{at}")).await, error);
        }
        if !matches!(error, NotFound(_) | NotNow { .. }) {
            let documented = "/sagas/letter";
            let reply = start(&server, ERROR, &at.to_string(), "{}").await;
            check("post", documented, &reply, error);
            assert_eq!(reply.json().get("id").is_some(), matches!(error, StartedOtherwise(_) | Unknown(_)));
        }
    }
    // And the server goes on.
    server.get("/saga-definitions").await.is_ok();
}

#[tokio::test]
async fn definitions_are_told() {
    let server = Running::start().await;
    let told = server.get("/saga-definitions").await.is_ok();
    let definitions = told["definitions"].as_array().unwrap();
    let named: Vec<_> =
        definitions.iter().map(|of| (of["name"].as_str().unwrap(), of["version"].as_u64().unwrap())).collect();
    assert_eq!(named, [("letter", 1), ("transfer-money", 1), ("transfer-money", 2)]);
    assert_eq!((definitions[0].get("description"), definitions[0].get("schema")), (None, None));
    assert_eq!(definitions[2]["description"], "Moves money.");
    assert_eq!(definitions[2]["schema"]["properties"]["amount"]["minimum"], 1);
    assert!(definitions[2]["plan"].is_object());
    // No saga is in the way of another place: one may have any name.
    for name in ["definitions", "timeline"] {
        server.get(&format!("/sagas/{name}/1")).await.is_problem(404, "no-such-saga");
    }
    server.sagas.tells.store(false, Ordering::Relaxed);
    server.get("/saga-definitions").await.is_problem(503, "busy");
}

#[tokio::test]
async fn each_definition_is_documented_by_its_schema() {
    let server = Running::start().await;
    let document = server.get("/openapi.json").await.is_ok();
    let transfer = &document["paths"]["/sagas/transfer-money"]["post"];
    assert_eq!(transfer["summary"], "Moves money.");
    let of_body = transfer["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    assert_eq!(document.pointer(&of_body[1..]).unwrap()["properties"]["amount"]["minimum"], 1, "the highest version");
    let letter = &document["paths"]["/sagas/letter"]["post"];
    assert_eq!(letter["requestBody"]["content"]["application/json"]["schema"], json!({ "type": "object" }));
    for status in ["200", "201"] {
        assert!(letter["responses"][status]["headers"]["Location"].is_object(), "{status}");
    }
    assert!(document["paths"].get("/sagas/{name}").is_none());
    let phases = document["components"]["schemas"]["SagaPhase"]["enum"].as_array().unwrap();
    assert_eq!(phases.len(), SagaPhase::ALL.len());
}
