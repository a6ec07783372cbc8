//! `/commands` and `/queries`.

use crate::support::{Running, typed_parameters};
use core::time::Duration;
use rstest::rstest;
use serde_json::json;

#[tokio::test]
async fn a_command_is_answered_with_its_receipt() {
    let server = Running::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let reply = server
        .post(
            "/commands/echo",
            &["Idempotency-Key: k-\u{1F980}", "X-Correlation-Id: c-1", &format!("traceparent: {trace}")],
            r#"{"a":1}"#,
        )
        .await;
    assert_eq!(
        reply.is_ok(),
        json!({
            "stream": "account-ann", "revision": 3, "position": "17",
            "streams": [{ "stream": "account-ann", "revision": 3 }, { "stream": "b", "revision": null }],
            "events": ["07070707-0707-0707-0707-070707070707"], "correlation_id": "c-1", "command_id": "k-\u{1F980}", "repeated": false,
        })
    );
    assert_eq!(reply.header("etag"), Some("\"3\""));
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.id.as_deref(), Some("k-\u{1F980}"));
    assert_eq!(seen.metadata.correlation.as_deref(), Some("c-1"));
    assert_eq!(seen.metadata.traceparent.as_deref(), Some(trace));
}

#[rstest]
#[case("invalid", 422, "invalid-command")]
#[case("rejected", 422, "rejected")]
#[case("denied", 403, "denied")]
#[case("deadline-passed", 504, "deadline-passed")]
#[case("conflict", 409, "command-conflict")]
#[case("key-reused", 409, "key-reused")]
#[case("shutting-down", 503, "shutting-down")]
#[case("busy", 503, "busy")]
#[case("unknown", 500, "outcome-unknown")]
#[case("damaged", 500, "corrupt")]
#[case("other", 500, "failed")]
#[case("panic", 500, "panicked")]
#[case("nobody", 404, "unknown-command")]
#[case("a%2Fb%20%25%F0%9F%A6%80", 404, "unknown-command")]
#[tokio::test]
async fn errors_are_problems(#[case] command: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    let reply = server.post(&format!("/commands/{command}"), &[], "{}").await;
    let problem = reply.is_problem(status, name);
    assert_eq!(reply.header("retry-after").is_some(), status == 503, "{reply:?}");
    match command {
        "invalid" => assert_eq!(problem["violations"][0]["path"], "amount"),
        "rejected" => {
            assert_eq!(problem["code"], "insufficient-funds");
            assert_eq!(problem["fields"], json!({ "missing": 2 }));
            assert_eq!(problem["detail"], "2 cents short");
        }
        "a%2Fb%20%25%F0%9F%A6%80" => assert_eq!(problem["name"], "a/b %\u{1F980}"),
        _ => {}
    }
    // And the server goes on.
    server.post("/commands/echo", &[], "{}").await.is_ok();
}

#[rstest]
#[case::broken("application/json", "{\"a\":", 400, "malformed")]
#[case::empty("application/json", "", 400, "malformed")]
#[case::two("application/json", "{} {}", 400, "malformed")]
#[case::latin("application/json", "{\"a\":\"\\x\"}", 400, "malformed")]
#[case::form("application/x-www-form-urlencoded", "{}", 415, "media-type")]
#[case::text("text/plain; charset=utf-8", "{}", 415, "media-type")]
#[case::suffix("application/vnd.bank+json; charset=utf-8", "{}", 200, "")]
#[tokio::test]
async fn bodies_are_json(#[case] media_type: &str, #[case] body: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    let reply = server.send("POST", "/commands/echo", &[&format!("Content-Type: {media_type}")], body).await;
    match status {
        200 => drop(reply.is_ok()),
        _ => drop(reply.is_problem(status, name)),
    }
}

#[tokio::test]
async fn a_deep_body_is_refused_and_overflows_nothing() {
    let server = Running::start().await;
    let reply = server.post("/commands/echo", &[], &"[".repeat(1 << 20)).await;
    reply.is_problem(400, "malformed");
}

#[rstest]
#[case::empty_key("Idempotency-Key: ")]
#[case::long_key(&format!("Idempotency-Key: {}", "k".repeat(513)))]
#[case::two_keys("Idempotency-Key: a\r\nIdempotency-Key: b")]
#[case::timeout("Request-Timeout: soon")]
#[case::timeout_of_milliseconds("Request-Timeout: 100ms")]
#[case::negative_timeout("Request-Timeout: -1")]
#[case::two_timeouts("Request-Timeout: 1\r\nRequest-Timeout: 2")]
#[case::projection(&format!("Portolan-Wait-For: balances, {}", "k".repeat(513)))]
#[case::projection_with_control("Portolan-Wait-For: balances%00")]
#[case::two_correlations("X-Correlation-Id: a\r\nX-Correlation-Id: b")]
#[case::metadata("Portolan-Metadata: %7B")]
#[case::metadata_by_position("Portolan-Metadata: %5B%5D")]
#[tokio::test]
async fn wrong_headers_are_named(#[case] header: &str) {
    let server = Running::start().await;
    let problem = server.post("/commands/echo", &[header], "{}").await.is_problem(422, "invalid-request");
    let name = header.split(':').next().unwrap();
    assert_eq!(problem["violations"][0]["path"], name, "{problem}");
    assert!(!problem.to_string().contains("struct"), "{problem}");
}

#[tokio::test]
async fn a_query_takes_its_parameters_from_the_query_string() {
    let server = Running::start().await;
    let reply = server.get("/queries/echo?account_id=a%2Fb+c%25%F0%9F%A6%80&x=1&x=2").await;
    assert_eq!(reply.is_ok(), json!({ "account_id": "a/b c%\u{1F980}", "x": ["1", "2"] }));
    assert_eq!(reply.header("etag"), Some("\"5\""));
    let known = server.send("GET", "/queries/echo", &["If-None-Match: \"5\""], "").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    server.get("/queries/missing").await.is_problem(404, "not-found");
    server.get("/queries/nobody").await.is_problem(404, "unknown-query");
    server.get("/queries/busy").await.is_problem(503, "busy");
    server.get("/queries/echo?a=%FF").await.is_problem(400, "malformed");
}

#[rstest]
#[case("owner=7&limit=12&rate=0.5&closed=true", json!({ "owner": "7", "limit": 12, "rate": 0.5, "closed": true }))]
#[case("rate=3&limit=18446744073709551615", json!({ "rate": 3, "limit": u64::MAX }))]
#[case("limit=&maybe_status=", json!({ "limit": null, "maybe_status": "" }))]
#[case("revisions=1", json!({ "revisions": [1] }))]
#[case("revisions=1&revisions=-2&revisions=3", json!({ "revisions": [1, -2, 3] }))]
#[case("status=open&maybe_status=closed&level=2&either=7", json!({ "status": "open", "maybe_status": "closed", "level": 2, "either": "7" }))]
#[case("range=%7B%22from%22%3A1%7D", json!({ "range": { "from": 1 } }))]
#[case("anything=1&unknown=true&unknown=2", json!({ "anything": "1", "unknown": ["true", "2"] }))]
#[tokio::test]
async fn parameters_are_of_their_questions_types(#[case] given: &str, #[case] asked: serde_json::Value) {
    let server = Running::start().await;
    assert_eq!(server.get(&format!("/queries/typed?{given}")).await.is_ok(), asked);
    // In the body of a POST a value is what it is.
    let posted = server.post("/queries/typed", &[], r#"{"limit":"12"}"#).await.is_ok();
    assert_eq!(posted, json!({ "limit": "12" }));
}

#[rstest]
#[case("limit=ten", "limit", "wrong-type")]
#[case("limit=1.0", "limit", "wrong-type")]
#[case("limit=18446744073709551616", "limit", "wrong-type")]
#[case("limit=1&limit=2", "limit", "repeated")]
#[case("rate=NaN", "rate", "wrong-type")]
#[case("closed=yes", "closed", "wrong-type")]
#[case("revisions=1&revisions=x", "revisions", "wrong-type")]
#[case("level=two", "level", "wrong-type")]
#[case("range=1,2", "range", "wrong-type")]
#[case("owner=a&owner=b", "owner", "repeated")]
#[tokio::test]
async fn parameters_of_another_type_are_named(#[case] given: &str, #[case] path: &str, #[case] code: &str) {
    let server = Running::start().await;
    let problem = server.get(&format!("/queries/typed?{given}")).await.is_problem(422, "invalid-query");
    assert_eq!((&problem["violations"][0]["path"], &problem["violations"][0]["code"]), (&json!(path), &json!(code)));
}

#[tokio::test]
async fn what_there_is_is_told() {
    let server = Running::start().await;
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    assert_eq!(
        server.get("/commands").await.is_ok(),
        json!({ "commands": [{ "name": "echo", "description": "Comes back.", "schema": schema }, { "name": "write" }] })
    );
    let queries = server.get("/queries").await.is_ok();
    let typed = json!({
        "name": "typed", "description": "Comes back, typed.",
        "schema": typed_parameters(), "answer_schema": { "type": "object" },
    });
    assert_eq!(queries, json!({ "queries": [{ "name": "echo" }, typed] }));
}

#[tokio::test]
async fn a_deadline_and_projections_to_wait_for_are_headers() {
    let server = Running::start().await;
    let headers = ["Request-Timeout: 2.5", "Portolan-Wait-For: balances, a%2Cb,", "Portolan-Wait-For: owners"];
    server.post("/commands/echo", &headers, "{}").await.is_ok();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.within, Some(Duration::from_millis(2_500)));
    assert_eq!(seen.wait_for, ["balances", "a,b", "owners"]);
}

#[tokio::test]
async fn what_is_committed_is_a_success_even_if_it_is_waited_for_in_vain() {
    let server = Running::start().await;
    let reply = server.post("/commands/not-caught-up", &["Portolan-Wait-For: balances"], "{}").await;
    let body = reply.is_problem(202, "not-caught-up");
    assert_eq!(body["waiting"], json!(["balances"]));
    assert_eq!(
        (&body["stream"], &body["revision"], &body["position"]),
        (&json!("account-ann"), &json!(3), &json!("17"))
    );
    assert_eq!(reply.header("etag"), Some("\"3\""));
}

#[rstest]
#[case(&["Portolan-Wait-For: balances", "Prefer: wait=3"], Some(3), Some("wait=3"))]
#[case(&["Portolan-Wait-For: balances", "Prefer: respond-async, wait=90"], Some(25), Some("wait=25"))]
#[case::a_timeout_is_more(&["Portolan-Wait-For: balances", "Prefer: wait=3", "Request-Timeout: 7"], Some(7), None)]
#[case::nothing_to_wait_for(&["Prefer: wait=3"], None, None)]
#[case::no_time(&["Portolan-Wait-For: balances", "Prefer: wait=0"], None, None)]
#[case::no_number(&["Portolan-Wait-For: balances", "Prefer: wait=long"], None, None)]
#[tokio::test]
async fn a_preference_bounds_the_wait_for_projections(
    #[case] headers: &[&str],
    #[case] within: Option<u64>,
    #[case] applied: Option<&str>,
) {
    let server = Running::start().await;
    for command in ["echo", "not-caught-up"] {
        let reply = server.post(&format!("/commands/{command}"), headers, "{}").await;
        assert_eq!(reply.status, if command == "echo" { 200 } else { 202 });
        assert_eq!(reply.header("preference-applied"), applied);
        let seen = server.commands.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.within, within.map(Duration::from_secs));
    }
}
