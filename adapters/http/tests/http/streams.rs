//! `/streams/{id}` and `/events` for people, and the store's port by hand.

use crate::support::Running;
use rstest::rstest;
use serde_json::{Value, json};

const ONE: &str = r#"{"events":[{"type":"opened","data":{"owner":"Ann"}}]}"#;

#[rstest]
#[case::plain("account-ann", "account-ann")]
#[case::slash("a%2Fb", "a/b")]
#[case::space("a%20b", "a b")]
#[case::percent("100%25", "100%")]
#[case::percent_sequence("%2525", "%25")]
#[case::emoji("%F0%9F%A6%80", "\u{1F980}")]
#[case::raw_emoji("\u{1F980}", "\u{1F980}")]
#[case::plus("a+b", "a+b")]
#[case::dots("..", "..")]
#[case::quotes("%22%27%5C", "\"'\\")]
#[tokio::test]
async fn ids_of_every_kind(#[case] path: &str, #[case] id: &str) {
    let server = Running::start().await;
    let receipt = server.post(&format!("/streams/{path}"), &[], ONE).await;
    assert_eq!(receipt.is_ok()["stream"], id);
    let page = server.get(&format!("/streams/{path}?limit=1")).await;
    assert_eq!(page.header("etag"), Some("\"0\""));
    let page = page.is_ok();
    assert_eq!(page["events"][0]["stream"], id);
    assert_eq!(page["events"][0]["data"], json!({ "owner": "Ann" }));
    assert_eq!((&page["at_frontier"], &page["next"]), (&json!(true), &Value::Null));
}

#[rstest]
#[case::control("a%0Ab", 422, "invalid-request")]
#[case::long(&"x".repeat(513), 422, "invalid-request")]
#[case::not_utf8("%FF", 400, "malformed")]
#[case::empty("", 404, "no-such-route")]
#[case::two_parts("a/b", 404, "no-such-route")]
#[case::missing("nobody", 404, "no-such-stream")]
#[tokio::test]
async fn wrong_ids(#[case] path: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    let problem = server.get(&format!("/streams/{path}")).await.is_problem(status, name);
    if status == 422 {
        assert_eq!(problem["violations"][0]["path"], "id");
    }
}

#[tokio::test]
async fn an_event_on_the_wire() {
    let server = Running::start().await;
    let body = r#"{"events":[{"type":"opened","id":"00000000-0000-0000-0000-0000000000ff","version":3,
        "tags":["b","a"],"metadata":{"actor":"ann"},"data":{"n":123456789012345678901234567890}},
        {"type":"raw","data_base64":"/wA="},{"type":"null","data":null}]}"#;
    server.post("/streams/s", &[], body).await.is_ok();
    let page = server.get("/streams/s").await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(text.contains(r#""data":{"n":123456789012345678901234567890}"#), "{text}");
    let page = page.is_ok();
    let mut first = page["events"][0].clone();
    first["data"] = json!(0);
    assert_eq!(
        first,
        json!({
            "id": "00000000-0000-0000-0000-0000000000ff", "type": "opened", "version": 3, "stream": "s", "revision": 0,
            "position": first["position"], "recorded_at": "2026-07-25T17:20:00.000001Z", "tags": ["b", "a"], "data": 0,
            "metadata": { "actor": "ann" },
        })
    );
    assert!(first["position"].is_string());
    assert_eq!(page["events"][1]["data_base64"], "/wA=");
    assert_eq!(page["events"][1]["metadata"], json!({}));
    assert_eq!(page["events"][2]["data"], Value::Null);
    assert!(page["events"][2].as_object().unwrap().contains_key("data"));
    assert_ne!(page["events"][1]["id"], page["events"][2]["id"]);
}

#[tokio::test]
async fn conditions_come_in_headers() {
    let server = Running::start().await;
    let append = async |header: &str| {
        let headers: Vec<&str> = Some(header).filter(|header| !header.is_empty()).into_iter().collect();
        server.post("/streams/s", &headers, ONE).await
    };
    append("If-Match: *").await.is_problem(412, "stream-conflict");
    append("If-None-Match: *").await.is_ok();
    let problem = append("If-None-Match: *").await.is_problem(412, "stream-conflict");
    assert_eq!(problem["actual"], 0);
    append("If-Match: \"0\"").await.is_ok();
    let problem = append("If-Match: \"0\"").await.is_problem(412, "stream-conflict");
    assert_eq!((&problem["actual"], &problem["stream"]), (&json!(1), &json!("s")));
    append("If-Match: *").await.is_ok();
    assert_eq!(append("").await.header("etag"), Some("\"3\""));
    for wrong in
        ["If-Match: W/\"3\"", "If-Match: 3", "If-Match: \"3\", \"4\"", "If-Match: \"x\"", "If-None-Match: \"3\""]
    {
        append(wrong).await.is_problem(422, "invalid-request");
    }
    append("If-Match: *\r\nIf-None-Match: *").await.is_problem(422, "invalid-request");
    assert_eq!(server.get("/streams/s").await.is_ok()["events"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn one_key_writes_once() {
    let server = Running::start().await;
    let post = |body: &'static str| server.post("/streams/s", &["Idempotency-Key: k", "If-None-Match: *"], body);
    let all = futures::future::join_all((0..64).map(|_| post(ONE))).await;
    let receipts: Vec<Value> = all.iter().map(|reply| reply.is_ok()).collect();
    assert_eq!(receipts.iter().filter(|receipt| receipt["repeated"] == false).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt["events"] == receipts[0]["events"] && receipt["revision"] == 0));
    let page = server.get("/streams/s").await.is_ok();
    assert_eq!(page["events"].as_array().unwrap().len(), 1);
    assert_eq!(page["events"][0]["id"], receipts[0]["events"][0]);
    // Other white space around `data` is the same request; within it is another payload.
    post(r#"{ "events" : [ {"data": {"owner":"Ann"}, "type":"opened"} ] }"#).await.is_ok();
    for other in [
        r#"{"events":[{"type":"opened","data":{"owner": "Ann"}}]}"#,
        r#"{"events":[{"type":"opened","data":{"owner":"Bob"}}]}"#,
    ] {
        post(other).await.is_problem(409, "key-reused");
    }
}

#[rstest]
#[case::unknown_field(r#"{"events":[{"type":"t","data":1,"colour":"red"}]}"#, "events[0].colour", "unknown-field")]
#[case::unknown_top(r#"{"events":[],"colour":"red"}"#, "colour", "unknown-field")]
#[case::wrong_type(r#"{"events":[{"type":"t","data":1},{"type":7,"data":1}]}"#, "events[1].type", "wrong-shape")]
#[case::not_a_list(r#"{"events":{}}"#, "events", "wrong-shape")]
#[case::not_an_object("[]", "", "wrong-shape")]
#[case::no_events("{}", "", "wrong-shape")]
#[case::positions(r#"[[{"type":"t","data":1}]]"#, "", "wrong-shape")]
#[case::event_by_position(r#"{"events":[[null,null,"t",1,[],1]]}"#, "events[0]", "wrong-shape")]
#[case::no_data(r#"{"events":[{"type":"t"}]}"#, "events[0].data", "wrong-shape")]
#[case::both(r#"{"events":[{"type":"t","data":1,"data_base64":""}]}"#, "events[0].data", "wrong-shape")]
#[case::base64(r#"{"events":[{"type":"t","data_base64":"*"}]}"#, "events[0].data_base64", "wrong-shape")]
#[case::metadata(r#"{"events":[{"type":"t","data":1,"metadata":[]}]}"#, "events[0].metadata", "wrong-shape")]
#[case::version(r#"{"events":[{"type":"t","data":1,"version":-1}]}"#, "events[0].version", "wrong-shape")]
#[case::name(r#"{"events":[{"type":"","data":1}]}"#, "events[0].type", "wrong-shape")]
#[case::tag(r#"{"events":[{"type":"t","data":1,"tags":["a","b\n"]}]}"#, "events[0].tags[1]", "wrong-shape")]
#[case::stream(r#"{"events":[{"type":"t","data":1,"stream":"other"}]}"#, "events[0].stream", "wrong-shape")]
#[case::id(r#"{"events":[{"type":"t","data":1,"id":"x"}]}"#, "events[0].id", "wrong-shape")]
#[tokio::test]
async fn the_wrong_field_is_named(#[case] body: &str, #[case] path: &str, #[case] code: &str) {
    let server = Running::start().await;
    let problem = server.post("/streams/s", &[], body).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], path, "{problem}");
    assert_eq!(problem["violations"][0]["code"], code, "{problem}");
    server.get("/streams/s").await.is_problem(404, "no-such-stream");
}

#[tokio::test]
async fn pages_are_followed_by_their_links() {
    let server = Running::start().await;
    let events: Vec<Value> = (0..7).map(|n| json!({ "type": "t&1", "data": n, "tags": ["a=b", "c d"] })).collect();
    server.post("/streams/a%2F%20%26", &[], &json!({ "events": events }).to_string()).await.is_ok();
    for (path, expected) in [
        ("/streams/a%2F%20%26?limit=2", vec![0, 1, 2, 3, 4, 5, 6]),
        ("/streams/a%2F%20%26?limit=2&direction=backward", vec![6, 5, 4, 3, 2, 1, 0]),
        ("/streams/a%2F%20%26?limit=2&after=3", vec![4, 5, 6]),
        ("/streams/a%2F%20%26?limit=2&after=3&direction=backward", vec![2, 1, 0]),
        ("/events?limit=3&type=t%261&tag=a%3Db&tag=c+d", vec![0, 1, 2, 3, 4, 5, 6]),
        ("/events?limit=3&category=a%2F%20%26&direction=backward", vec![6, 5, 4, 3, 2, 1, 0]),
        ("/events?stream=a%2F%20%26", vec![0, 1, 2, 3, 4, 5, 6]),
        ("/events?tag=a%3Db&tag=other", vec![]),
        ("/events?type=other&type=t%261", vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        let (mut next, mut seen, mut pages) = (Some(path.to_owned()), vec![], 0);
        while let Some(path) = next {
            let page = server.get(&path).await.is_ok();
            seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["data"].as_u64().unwrap()));
            next = page["next"].as_str().map(str::to_owned);
            assert_eq!(page["at_frontier"], next.is_none());
            pages += 1;
            assert!(pages < 10, "{path} never ends");
        }
        assert_eq!(seen, expected, "{path}");
    }
}

#[rstest]
#[case("/streams/s?limit=0", "limit")]
#[case("/streams/s?limit=x", "limit")]
#[case("/streams/s?limit=4294967296", "limit")]
#[case("/streams/s?after=-1", "after")]
#[case("/streams/s?after=%2B1", "after")]
#[case("/streams/s?after=18446744073709551616", "after")]
#[case("/streams/s?direction=up", "direction")]
#[case("/streams/s?colour=red", "colour")]
#[case("/streams/s?tag=x", "tag")]
#[case("/streams/s?limit=1&limit=2", "limit")]
#[case("/events?after=9223372036854775808", "after")]
#[case("/events?tag=", "tag")]
#[case("/events?category=a%00", "category")]
#[case("/events?colour=red", "colour")]
#[case("/events?from=now", "from")]
#[case("/commands?colour=red", "colour")]
#[case("/queries?colour=red", "colour")]
#[case("/capabilities?colour=red", "colour")]
#[case("/checkpoints/c?colour=red", "colour")]
#[case("/appends/s/i?colour=red", "colour")]
#[case("/healthz?colour=red", "colour")]
#[case("/readyz?colour=red", "colour")]
#[tokio::test]
async fn wrong_parameters_are_named(#[case] path: &str, #[case] parameter: &str) {
    let server = Running::start().await;
    let problem = server.get(path).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], parameter, "{problem}");
}

#[tokio::test]
async fn a_known_revision_is_not_sent_again() {
    let server = Running::start().await;
    server.post("/streams/s", &[], ONE).await.is_ok();
    let known = server.send("GET", "/streams/s", &["If-None-Match: \"0\""], "").await;
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some("\"0\""), 0));
    server.post("/streams/s", &[], ONE).await.is_ok();
    server.send("GET", "/streams/s", &["If-None-Match: \"0\""], "").await.is_ok();
    let head = server.raw("HEAD /streams/s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.header("etag")), (200, Some("\"1\"")));
}

#[tokio::test]
async fn raw_appends_are_off_unless_asked_for() {
    let server = Running::with(|server| server).await;
    let refused = server.post("/streams/s", &[], ONE).await;
    refused.is_problem(405, "raw-appends-off");
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    let refused = server.post("/append", &[], "{}").await;
    refused.is_problem(405, "raw-appends-off");
    assert_eq!(refused.header("allow"), Some(""));
    server.get("/append").await.is_problem(405, "method-not-allowed");
    server.get("/events").await.is_ok();
    server.post("/read", &[], r#"{"from":{"log":{"query":{}}}}"#).await.is_ok();
    server.get("/capabilities").await.is_ok();
}

#[tokio::test]
async fn the_port_by_hand() {
    let server = Running::start().await;
    let nameless = json!({ "events": [{ "stream": "s", "type": "t", "data": 1 }] }).to_string();
    let problem = server.post("/append", &[], &nameless).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], "events[0].id");
    let body = json!({
        "events": [{ "id": "00000000-0000-0000-0000-0000000000ff", "stream": "s", "type": "t", "data": 1 }],
        "expect": [{ "stream": "s", "expected": "no-stream" }],
        "key": { "scope": "a/b", "id": "..", "digest": "00".repeat(32), "note_base64": "bm90ZQ==" },
    })
    .to_string();
    let appended = server.post("/append", &[], &body).await.is_ok();
    assert_eq!(appended["streams"], json!([{ "stream": "s", "revision": 0 }]));
    assert_eq!(appended["note_base64"], "bm90ZQ==");
    assert_eq!(server.post("/append", &[], &body).await.is_ok()["repeated"], true);
    let recalled = server.get("/appends/a%2Fb/%2E%2E").await.is_ok();
    assert_eq!(recalled["appended"]["first"], appended["first"]);
    server.get("/appends/a/b").await.is_problem(404, "not-recorded");
    let conflict = json!({ "events": [], "expect": [{ "stream": "s", "expected": { "exact": 7 } }] }).to_string();
    assert_eq!(server.post("/append", &[], &conflict).await.is_problem(409, "stream-conflict")["actual"], 0);
    let state = server.get("/checkpoints/anyone").await.is_ok();
    assert_eq!((&state["position"], &state["token"]), (&Value::Null, &json!("0")));
    let page = server.post("/read", &[], r#"{"from":{"stream":{"id":"s"}},"limit":1}"#).await.is_ok();
    assert_eq!((&page["revision"], &page["at_frontier"]), (&json!(0), &json!(true)));
    server.post("/read", &[], r#"{"from":{"stream":{"id":"s"}},"limit":0}"#).await.is_problem(422, "invalid-read");
    let wrong = server.post("/read", &[], r#"{"from":{"stream":{"id":"s","colour":1}}}"#).await;
    assert_eq!(wrong.is_problem(422, "invalid-request")["violations"][0]["code"], "unknown-field");
}

#[rstest]
#[case::append("/append", "[]", "")]
#[case::expectation("/append", r#"{"expect":[["s","no-stream"]]}"#, "expect[0]")]
#[case::guard("/append", r#"{"guard":[{},null]}"#, "guard")]
#[case::guard_query("/append", r#"{"guard":{"none_of":[]}}"#, "guard.none_of")]
#[case::item("/append", r#"{"guard":{"none_of":{"any_of":[[]]}}}"#, "guard.none_of.any_of[0]")]
#[case::checkpoint("/append", r#"{"checkpoint":[]}"#, "checkpoint")]
#[case::key("/append", r#"{"key":["s","i"]}"#, "key")]
#[case::expected("/append", r#"{"expect":[{"stream":"s","expected":null}]}"#, "expect[0].expected")]
#[case::read("/read", r#"[{"log":{"query":{}}}]"#, "")]
#[case::log("/read", r#"{"from":{"log":[{}]}}"#, "from.log")]
#[case::log_query("/read", r#"{"from":{"log":{"query":[]}}}"#, "from.log.query")]
#[case::stream("/read", r#"{"from":{"stream":["s"]}}"#, "from.stream")]
#[case::from_nothing("/read", r#"{"from":{}}"#, "from")]
#[case::from_null("/read", r#"{"from":null}"#, "from")]
#[case::direction("/read", r#"{"from":{"log":{"query":{}}},"direction":7}"#, "direction")]
#[tokio::test]
async fn the_port_takes_objects_whole(#[case] route: &str, #[case] body: &str, #[case] path: &str) {
    let server = Running::start().await;
    let problem = server.post(route, &[], body).await.is_problem(422, "invalid-request");
    assert_eq!(problem["violations"][0]["path"], path, "{problem}");
    assert!(!problem.to_string().contains("struct"), "{problem}");
}

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let server = Running::start().await;
    for body in [r#"{"from":"#, r#"{"from":{}"#, r#"{"from":{"log":{"query":{}}}} {}"#, r#"{"from":nil}"#] {
        server.post("/read", &[], body).await.is_problem(400, "malformed");
    }
}
