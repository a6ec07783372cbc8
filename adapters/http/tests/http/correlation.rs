//! What ties answers and events to their request.

use crate::support::{Reply, Running};
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[rstest]
#[case("GET", "/healthz", 200)]
#[case("GET", "/events", 200)]
#[case("GET", "/streams/none", 404)]
#[case("GET", "/nowhere", 404)]
#[case("PATCH", "/events", 405)]
#[case("GET", "/healthz?x=1", 422)]
#[case("POST", "/commands/echo", 200)]
#[case("POST", "/commands/invalid", 422)]
#[case("POST", "/commands/not-caught-up", 202)]
#[case("POST", "/commands/panic", 500)]
#[case("POST", "/queries/echo", 200)]
#[tokio::test]
async fn every_answer_is_tied_to_its_request(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let server = Running::start().await;
    let send = async |headers: &[&str]| {
        let json = ["Content-Type: application/json"];
        let reply = server.send(method, path, &[&json, headers].concat(), "{}").await;
        assert_eq!(reply.status, status, "{reply:?}");
        reply
    };
    let given = send(&["X-Correlation-Id: c-\u{1F980}", &format!("traceparent: {TRACE}")]).await;
    assert_eq!((given.header("x-correlation-id"), given.header("traceparent")), (Some("c-\u{1F980}"), Some(TRACE)));
    let whole = send(&["Portolan-Metadata: %7B%22correlation_id%22%3A%22c-2%22%7D"]).await;
    assert_eq!(whole.header("x-correlation-id"), Some("c-2"));
    // Without one, each request has an id of its own.
    let ids = [send(&[]).await, send(&["X-Correlation-Id: "]).await].map(|reply| {
        assert_eq!(reply.header("traceparent"), None);
        reply.header("x-correlation-id").unwrap().to_owned()
    });
    assert!(ids.iter().all(|id| id.len() == 36) && ids[0] != ids[1], "{ids:?}");
    let odd = send(&["traceparent: of another form"]).await;
    assert_eq!(odd.header("traceparent"), None);
}

#[tokio::test]
async fn a_request_that_names_two_is_refused_and_tied_to_neither() {
    let server = Running::start().await;
    let reply = server.post("/commands/echo", &["X-Correlation-Id: a", "X-Correlation-Id: b"], "{}").await;
    reply.is_problem(422, "invalid-request");
    assert_eq!(reply.header("x-correlation-id"), None);
}

#[tokio::test]
async fn a_repetition_is_tied_to_what_was_given_or_to_the_original() {
    let server = Running::start().await;
    let id = |reply: Reply| reply.header("x-correlation-id").map(str::to_owned);
    assert_eq!(id(server.post("/commands/repeated", &[], "{}").await).as_deref(), Some("the first"));
    let given = server.post("/commands/repeated", &["X-Correlation-Id: the second"], "{}").await;
    assert_eq!(given.is_ok()["correlation_id"], "the first");
    assert_eq!(id(given).as_deref(), Some("the second"));
}

/// From the header of the request to the event to the live stream.
#[tokio::test]
async fn a_correlation_is_followed_from_request_to_live_event() {
    let server = Running::start().await;
    for given in [true, false] {
        let header = [format!("X-Correlation-Id: c-{given}"), format!("traceparent: {TRACE}")];
        let header: Vec<&str> = header.iter().map(String::as_str).filter(|_| given).collect();
        let reply = server.post("/commands/write", &header, "{}").await;
        let id = reply.header("x-correlation-id").unwrap().to_owned();
        let receipt = reply.is_ok();
        assert_eq!(receipt["correlation_id"], id);
        assert!(!given || id == "c-true");

        let after = receipt["position"].as_str().unwrap().parse::<u64>().unwrap() - 1;
        let event = &server.get(&format!("/events?after={after}")).await.is_ok()["events"][0];
        assert_eq!(event["metadata"]["correlation_id"], id);
        assert_eq!(event["metadata"]["traceparent"].as_str(), given.then_some(TRACE));

        let mut live = server.connect().await;
        let request = format!("GET /events?after={after} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
        live.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let told = format!("\"correlation_id\":\"{id}\"");
        while !String::from_utf8_lossy(&seen).contains(&told) {
            assert!(live.read_buf(&mut seen).await.unwrap() > 0, "it ended without {told}");
        }
        assert!(String::from_utf8_lossy(&seen).contains("x-correlation-id: "));
    }
}
