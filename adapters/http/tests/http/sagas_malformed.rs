//! Ids of any characters, and requests about sagas that are wrong.

use crate::sagas::{is_created, start};
use crate::support::Running;
use core::fmt::Write as _;
use rstest::rstest;
use serde_json::json;

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        let _ = write!(path, "%{byte:02x}");
        path
    })
}

/// Ids of any characters, as the path and as the header have them.
#[rstest]
#[case("a/b")]
#[case("a%2Fb")]
#[case("...")]
#[case("timeline")]
#[case("abort")]
#[case(" \"quoted\" \\ ")]
#[case("?x=1#y;z&")]
#[case("t:1:2")]
#[case("\u{1F980}\u{202E}e\u{301}")]
#[case("\u{FF}")]
#[tokio::test]
async fn ids_have_any_characters(#[case] id: &str) {
    let server = Running::start().await;
    let quoted = id.replace('\\', r"\\").replace('"', "\\\"");
    let reply = start(&server, "letter", &format!("\"{quoted}\""), r#"{"a":[1]}"#).await;
    let told = is_created(&reply);
    assert_eq!(told["id"], id);
    let path = reply.header("location").unwrap();
    assert!(path.is_ascii() && path.split('/').count() == 4, "{path}");
    for path in [path.to_owned(), format!("/sagas/letter/{}", escaped(id))] {
        assert_eq!(server.get(&path).await.is_ok()["id"], id);
        let timeline = server.get(&format!("{path}/timeline")).await.is_ok();
        assert_eq!(timeline["facts"][0]["data"]["input"], json!({ "a": [1] }));
    }
    assert_eq!(server.post(&format!("{path}/abort"), &[], "").await.is_ok()["phase"], "aborted");
    let listed = server.get("/sagas").await.is_ok();
    assert_eq!(listed["sagas"][0]["self"], path);
}

#[tokio::test]
async fn what_names_no_saga_is_no_saga() {
    let server = Running::start().await;
    let room = 512 - "$saga-letter:".len();
    let (longest, longer) = ("x".repeat(room), "x".repeat(room + 1));
    is_created(&start(&server, "letter", &longest, "{}").await);
    server.get(&format!("/sagas/letter/{longest}")).await.is_ok();
    for (path, wrong) in [
        (format!("/sagas/letter/{longer}"), "id"),
        (format!("/sagas/letter/{longer}/timeline"), "id"),
        ("/sagas/letter/a%00b".to_owned(), "id"),
        ("/sagas/letter/a%0Ab/timeline".to_owned(), "id"),
        ("/sagas/Letter/1".to_owned(), "name"),
        ("/sagas/a%2Fb/1".to_owned(), "name"),
        ("/sagas/a%3Ab/1/timeline".to_owned(), "name"),
        (format!("/sagas/{}/1", "x".repeat(101)), "name"),
        ("/sagas/%F0%9F%A6%80/1".to_owned(), "name"),
        ("/sagas//1".to_owned(), "name"),
        ("/sagas/letter//timeline".to_owned(), "id"),
    ] {
        let problem = server.get(&path).await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], wrong, "{path}");
    }
    for (path, key, wrong) in [
        ("/sagas/letter", longer.as_str(), "Idempotency-Key"),
        ("/sagas/letter", "", "Idempotency-Key"),
        // Whoever resolves paths would lose it.
        ("/sagas/letter", "..", "Idempotency-Key"),
        ("/sagas/letter", "a\r\nIdempotency-Key: b", "Idempotency-Key"),
        ("/sagas/LETTER", "1", "name"),
        ("/sagas/a%2Fb", "1", "name"),
    ] {
        let problem = server.post(path, &[&format!("Idempotency-Key: {key}")], "{}").await;
        let problem = problem.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], wrong, "{path}");
    }
    let problem = server.post("/sagas/letter/1/pause", &[], "").await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], "action");
    for path in ["/sagas/letter/%ff", "/sagas/%ff/1", "/sagas/letter/%ff/timeline"] {
        server.get(path).await.is_problem(400, "malformed");
    }
    server.post("/sagas/letter/%ff/abort", &[], "").await.is_problem(400, "malformed");
    for path in ["/sagas/", "/sagas/letter/", "/sagas/letter/a/b/timeline", "/saga-definitions/letter"] {
        server.get(path).await.is_problem(404, "no-such-route");
    }
    let problem = server.get("/sagas/letter/2").await.is_problem(404, "no-such-saga");
    assert_eq!((&problem["name"], &problem["id"]), (&json!("letter"), &json!("2")));
    server.get("/sagas/letter/2/timeline").await.is_problem(404, "no-such-saga");
    server.post("/sagas/letter/2/abort", &[], "").await.is_problem(404, "no-such-saga");
    let problem = server.post("/sagas/postcard", &[], "{}").await.is_problem(404, "unknown-saga");
    assert_eq!(problem["name"], "postcard");
    server.get("/sagas/letter").await.is_problem(405, "method-not-allowed");
    server.get("/sagas/letter/1/abort").await.is_problem(405, "method-not-allowed");
    server.post("/sagas/letter/1/timeline", &[], "{}").await.is_problem(405, "method-not-allowed");
    server.post("/sagas", &[], "{}").await.is_problem(405, "method-not-allowed");
}

#[rstest]
#[case::broken("application/json", "{\"a\":", 400, "malformed")]
#[case::empty("application/json", "", 400, "malformed")]
#[case::two("application/json", "{} {}", 400, "malformed")]
#[case::latin("application/json", "\"\\x\"", 400, "malformed")]
#[case::deep("application/json", &"[".repeat(1 << 20), 400, "malformed")]
#[case::form("application/x-www-form-urlencoded", "{}", 415, "media-type")]
#[case::large("application/json", &format!("\"{}\"", "x".repeat(2 << 20)), 413, "body-too-large")]
#[case::no_object("application/json", "null", 422, "invalid-saga-request")]
#[case::suffix("application/vnd.bank+json; charset=utf-8", "{}", 201, "")]
#[tokio::test]
async fn an_input_is_json(#[case] media_type: &str, #[case] body: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    let reply = server.send("POST", "/sagas/letter", &[&format!("Content-Type: {media_type}")], body).await;
    match status {
        201 => drop(is_created(&reply)),
        _ => drop(reply.is_problem(status, name)),
    }
    assert_eq!(server.sagas.starts.lock().unwrap().len(), usize::from([201, 422].contains(&status)));
}

#[rstest]
#[case::of_the_domain(r#"{"amount":0}"#, "amount")]
#[case::missing("{}", "amount")]
#[case::of_another_type(r#"{"amount":"much"}"#, "amount")]
#[case::unknown(r#"{"amount":1,"colour":"red"}"#, "colour")]
#[case::twice(r#"{"amount":1,"to":"bob","amount":2}"#, "amount")]
#[case::no_object("[1]", "")]
#[tokio::test]
async fn wrong_inputs_are_named(#[case] input: &str, #[case] wrong: &str) {
    let server = Running::start().await;
    let problem = start(&server, "transfer-money", "1", input).await.is_problem(422, "invalid-saga-request");
    assert_eq!(problem["violations"][0]["path"], wrong, "{problem}");
    assert_eq!(server.get("/sagas").await.is_ok()["sagas"], json!([]));
}

#[rstest]
#[case::no_json("{", 400, "malformed")]
#[case::an_array("[\"x\"]", 422, "invalid-request")]
#[case::a_text("\"x\"", 422, "invalid-request")]
#[case::unknown(r#"{"notes":"x"}"#, 422, "invalid-request")]
#[case::of_another_type(r#"{"note":1}"#, 422, "invalid-request")]
#[case::nothing(r#"{"note":null}"#, 422, "invalid-request")]
#[tokio::test]
async fn wrong_notes_are_refused(#[case] body: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    is_created(&start(&server, "letter", "1", "{}").await);
    server.post("/sagas/letter/1/abort", &[], body).await.is_problem(status, name);
    let reply = server.send("POST", "/sagas/letter/1/abort", &["Content-Type: text/plain"], "{}").await;
    reply.is_problem(415, "media-type");
    let path = "/sagas/letter/1/abort?note=x";
    server.post(path, &[], "{}").await.is_problem(422, "invalid-request");
    assert!(server.sagas.acts.lock().unwrap().is_empty());
    // Without a body it needs no media type either.
    server.send("POST", "/sagas/letter/1/abort", &[], "").await.is_ok();
}
