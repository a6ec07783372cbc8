//! Who is let in, over raw sockets: nothing that is refused reaches anything.

use crate::live::{Live, field};
use crate::support::access::{ANN, BOB, CID, Guarded, NODE, SOUTHERN_ANN};
use crate::support::{Reply, Running};
use core::convert::Infallible;
use core::time::Duration;
use portolan_http::MountBody;
use portolan_kernel::values::{Metadata, Query, Read};
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt as _;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Whether the document says that credentials are needed there.
fn needs_credentials(document: &Value, operation: &Value) -> bool {
    let security = operation.get("security").unwrap_or(&document["security"]);
    !security.as_array().unwrap().is_empty()
}

fn concrete(path: &str) -> String {
    let path = path.replace("/projections/{name}/{action}", "/projections/balances/pause");
    let path = path.replace("/projections/{name}", "/projections/balances");
    let path = path.replace("/sagas/{name}/{id}/{action}", "/sagas/letter/1/abort");
    let path = path.replace("{key}", "ann-1").replace("{index}", "owner");
    let path = path.replace("{type}", "x").replace("{version}", "1");
    path.replace("{id}", "x").replace("{name}", "x").replace("{scope}", "x")
}

#[tokio::test]
async fn every_route_but_the_open_ones_refuses_without_credentials() {
    let guarded = Guarded::start().await;
    let server = &guarded.server;
    let document = server.get("/openapi.json").await.is_ok();
    assert_eq!(document["security"], json!([{ "authorization": [] }]));
    assert_eq!(
        document["components"]["securitySchemes"]["authorization"],
        json!({ "type": "http", "scheme": "bearer" })
    );

    let paths = document["paths"].as_object().unwrap();
    let is_open = |path: &str| paths[path].get("get").is_some_and(|get| !needs_credentials(&document, get));
    let open: BTreeSet<&str> = paths.keys().map(String::as_str).filter(|path| is_open(path)).collect();
    assert_eq!(open, BTreeSet::from(["/healthz", "/openapi.json", "/readyz"]));
    for path in &open {
        server.get(path).await.is_ok();
        // Also to whoever shows anything.
        for header in [ANN, "Authorization: Bearer nobody-has-this", "Authorization: Bearer banned"] {
            server.send("GET", path, &[header], "").await.is_ok();
        }
        assert!(paths[*path]["get"]["responses"].get("401").is_none(), "{path}");
    }

    let before = guarded.reached();
    let nowhere =
        ["/", "/nowhere", "/commands/", "/healthz/", "//healthz", "/%68ealthz", "/openapi.json/x", "/readyz;x"];
    let routes = paths.keys().map(String::as_str).filter(|path| !open.contains(path));
    let mut walked = 0;
    for path in routes.chain(nowhere) {
        for method in METHODS {
            let reply = server.send(method, &concrete(path), &["Content-Type: application/json"], "{}").await;
            reply.is_problem(401, "unauthenticated");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{method} {path}");
            walked += 1;
        }
        let mut socket = server.connect().await;
        let head = format!("HEAD {} HTTP/1.1\r\nHost: x\r\n\r\n", concrete(path));
        socket.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(Reply::read_head(&mut socket).await.status, 401, "HEAD {path}");
        let live = server.send("GET", &concrete(path), &["Accept: text/event-stream"], "").await;
        live.is_problem(401, "unauthenticated");
    }
    assert!(walked > 200, "{walked}");
    assert_eq!(guarded.reached(), before);

    for (path, methods) in paths.iter().filter(|(path, _)| !open.contains(path.as_str())) {
        for (method, operation) in methods.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            assert!(needs_credentials(&document, operation), "{method} {path}");
            let says = |status: &str, kind: &str| {
                let schema =
                    operation["responses"][status]["content"]["application/problem+json"]["schema"].to_string();
                assert!(schema.contains(&format!("/problem.{kind}\"")), "{method} {path} {status}: {schema}");
            };
            says("401", "unauthenticated");
            says("403", "denied");
            says("503", "busy");
            assert!(operation["responses"]["401"]["headers"]["WWW-Authenticate"].is_object(), "{method} {path}");
        }
    }
}

/// With credentials there is all that there was without a gate.
#[tokio::test]
async fn whoever_is_let_in_meets_the_routes() {
    let guarded = Guarded::start().await;
    let with = async |method: &str, path: &str| guarded.server.send(method, path, &[ANN], "").await;
    with("GET", "/commands").await.is_ok();
    with("GET", "/capabilities").await.is_ok();
    with("GET", "/nowhere").await.is_problem(404, "no-such-route");
    assert_eq!(with("PUT", "/commands").await.header("allow"), Some("GET,HEAD"));
    with("PUT", "/healthz").await.is_problem(405, "method-not-allowed");
    guarded.server.send("GET", "/commands", &["authorization: bearer  ann-has-this-key"], "").await.is_ok();
}

#[rstest]
#[case::altered(b"Authorization: Bearer ann-has-this-kez")]
#[case::shorter(b"Authorization: Bearer ann-has-this-ke")]
#[case::longer(b"Authorization: Bearer ann-has-this-key0")]
#[case::in_capitals(b"Authorization: Bearer ANN-HAS-THIS-KEY")]
#[case::empty(b"Authorization: ")]
#[case::only_a_scheme(b"Authorization: Bearer")]
#[case::no_scheme(b"Authorization: ann-has-this-key")]
#[case::another_scheme(b"Authorization: Basic ann-has-this-key")]
#[case::two_in_one(b"Authorization: Bearer ann-has-this-key, Bearer bob-has-this-key")]
#[case::twice(b"Authorization: Bearer ann-has-this-key\r\nAuthorization: Bearer ann-has-this-key")]
#[case::a_good_one_and_an_empty_one(b"Authorization: Bearer ann-has-this-key\r\nauthorization:")]
#[case::no_ascii(b"Authorization: Bearer ann-has-this-key\xE9")]
#[case::no_utf8(b"Authorization: \xFF\xFE")]
#[tokio::test]
async fn other_credentials_are_refused(#[case] header: &[u8]) {
    let guarded = Guarded::start().await;
    let request = [
        b"POST /commands/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
        header,
        b"\r\n\r\n{}",
    ]
    .concat();
    let reply = guarded.server.raw(request).await;
    let problem = reply.is_problem(401, "unauthenticated");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{reply:?}");
    let said = format!("{problem} {}", reply.head);
    assert!(!said.contains("has-this") && !said.contains("HAS-THIS"), "{said}");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn a_header_that_is_none_is_refused_also_where_everybody_is_let_in() {
    let server = Running::start().await;
    for header in ["Authorization: Bearer a\r\nAuthorization: Bearer b", "Authorization: \u{E9}"] {
        server.send("GET", "/commands", &[header], "").await.is_problem(401, "unauthenticated");
        server.send("GET", "/healthz", &[header], "").await.is_ok();
    }
    server.send("GET", "/commands", &["Authorization: whatever"], "").await.is_ok();
}

#[tokio::test]
async fn huge_credentials_are_refused_and_larger_ones_are_no_head() {
    let guarded = Guarded::start().await;
    let huge = |bytes: usize| format!("Authorization: Bearer {}", "k".repeat(bytes));
    guarded.server.send("GET", "/commands", &[&huge(60 << 10)], "").await.is_problem(401, "unauthenticated");
    guarded.server.send("GET", "/commands", &[&huge(70 << 10)], "").await.is_problem(431, "head-too-long");
    guarded.server.send("GET", "/commands", &["Authorization: Bearer \u{0}"], "").await.is_problem(400, "malformed");
}

/// A body that is announced is not waited for; one that comes is not taken, and the answer arrives all the same.
#[tokio::test]
async fn a_refused_body_is_not_read() {
    let guarded = Guarded::start().await;
    let head = |more: &str| {
        format!(
            "POST /append HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n{more}\r\n"
        )
    };
    guarded.server.raw(head("")).await.is_problem(401, "unauthenticated");
    let asked = guarded.server.raw(head("Expect: 100-continue\r\n")).await;
    asked.is_problem(401, "unauthenticated");
    // A client that sends everything before it looks for an answer is not reset.
    let mut socket = guarded.server.connect().await;
    socket.write_all(head("").as_bytes()).await.unwrap();
    for _ in 0..512 {
        socket.write_all(&[b' '; 1 << 16]).await.unwrap();
    }
    Reply::read(&mut socket).await.is_problem(401, "unauthenticated");
    assert_eq!(guarded.reached(), 0);
}

#[tokio::test]
async fn who_is_known_and_not_let_in_and_who_cannot_be_known_now() {
    let guarded = Guarded::start().await;
    let of = async |token: &str| {
        guarded.server.send("GET", "/commands", &[&format!("Authorization: Bearer {token}")], "").await
    };
    let denied = of("banned").await;
    assert_eq!(denied.is_problem(403, "denied")["reason"], "ann is banned");
    assert_eq!(denied.header("www-authenticate"), None);
    let busy = of("busy").await;
    let said = busy.is_problem(503, "busy").to_string();
    assert!(busy.header("retry-after").is_some() && !said.contains("ldap"), "{busy:?}");
    of("panic").await.is_problem(500, "panicked");
    guarded.server.send("GET", "/commands", &[ANN], "").await.is_ok();
    assert_eq!(guarded.reached(), 0);
}

async fn last(server: &Running) -> Metadata {
    let page = server.store.read(Read::log(Query::all()).backward().limit(1)).await.unwrap();
    Metadata::decode(&page.events[0].metadata)
}

#[rstest]
#[case::a_caller(ANN, Some("ann"), Some("north"))]
#[case::a_node(NODE, Some("eve"), Some("south"))]
#[tokio::test]
async fn events_carry_the_caller(#[case] who: &str, #[case] actor: Option<&str>, #[case] tenant: Option<&str>) {
    let guarded = Guarded::start().await;
    let server = &guarded.server;
    let claims = r#"Portolan-Metadata: {"actor":"eve","tenant":"south","correlation_id":"c"}"#;
    let metadata = r#""metadata":{"actor":"eve","tenant":"south","correlation_id":"c"}"#;
    let event = format!(r#"{{"type":"t","data":{{}},{metadata}}}"#);
    let id = r#""id":"018f2f6e-0000-7000-8000-000000000001","stream":"mine-1""#;
    let whole = format!(r#"{{"events":[{{{id},"type":"t","data":{{}},{metadata}}}]}}"#);
    for (path, body) in [
        ("/commands/write", "{}".to_owned()),
        ("/streams/mine-1", format!(r#"{{"events":[{event}]}}"#)),
        ("/append", whole),
    ] {
        let headers = if path == "/commands/write" { vec![who, claims] } else { vec![who] };
        server.post(path, &headers, &body).await.is_ok();
        let written = last(server).await;
        let of_written = (written.actor.as_deref(), written.tenant.as_deref(), written.correlation.as_deref());
        assert_eq!(of_written, (actor, tenant, Some("c")), "{path}");
    }
    server.send("GET", "/queries/echo", &[who, claims], "").await.is_ok();
    let asked = server.queries.0.lock().unwrap().pop().unwrap();
    assert_eq!((asked.metadata.actor.as_deref(), asked.metadata.tenant.as_deref()), (actor, tenant));
}

/// An append's key is its tenant's, and what it was used for is its sender's.
#[tokio::test]
async fn keys_of_appends_are_a_tenants_own() {
    let guarded = Guarded::start().await;
    let server = &guarded.server;
    let append = async |who: &str, key: &str, data: u8| {
        let body = format!(r#"{{"events":[{{"type":"t","data":{data}}}]}}"#);
        server.post("/streams/mine-1", &[who, &format!("Idempotency-Key: {key}")], &body).await
    };
    let events = async || server.store.read(Read::log(Query::all())).await.unwrap().events.len();
    let north = append(ANN, "other", 1).await.is_ok();
    assert_eq!(append(ANN, "other", 1).await.is_ok()["events"], north["events"]);
    append(SOUTHERN_ANN, "other", 2).await.is_ok();
    assert_eq!(events().await, 2, "another body of another tenant");

    let north = append(ANN, "same", 3).await.is_ok();
    let south = append(SOUTHERN_ANN, "same", 3).await.is_ok();
    assert_eq!(events().await, 4, "the same body of another tenant");
    assert_ne!(north["events"], south["events"]);
    let page = server.store.read(Read::log(Query::all())).await.unwrap();
    let tenants: Vec<_> = page.events.iter().map(|event| Metadata::decode(&event.metadata).tenant.unwrap()).collect();
    assert_eq!(tenants, ["north", "south", "north", "south"]);

    append(CID, "same", 3).await.is_problem(409, "key-reused");
    assert_eq!(events().await, 4, "another actor of the tenant");
}

/// Without a claim of its own, a node is itself.
#[tokio::test]
async fn a_node_that_speaks_for_nobody_is_itself() {
    let guarded = Guarded::start().await;
    guarded.server.post("/commands/write", &[NODE], "{}").await.is_ok();
    assert_eq!(last(&guarded.server).await.actor.as_deref(), Some("node"));
}

/// What people's routes answer where the policy does not allow it. The ports' own are in `access_by_client`.
#[tokio::test]
async fn what_no_role_allows_is_denied() {
    let guarded = Guarded::start().await;
    let server = &guarded.server;
    for (method, path, body) in [
        ("GET", "/streams/written", ""),
        ("GET", "/streams/written?after=0", ""),
        ("GET", "/events", ""),
        ("GET", "/events?category=written", ""),
        ("POST", "/streams/mine-1", r#"{"events":[]}"#),
        ("POST", "/commands/write", "{}"),
        ("GET", "/queries/echo", ""),
        ("POST", "/queries/echo", "{}"),
        ("GET", "/projections/balances", ""),
        ("GET", "/projections/balances/rows", ""),
        ("GET", "/projections/balances/rows/ann-1", ""),
        ("GET", "/projections/balances/rows/by/owner", ""),
        ("GET", "/projections/balances/parked", ""),
        ("GET", "/projections/balances/wait?position=1", ""),
        ("POST", "/projections/balances/pause", ""),
        ("GET", "/sagas?name=letter", ""),
        ("POST", "/sagas/letter", "{}"),
        ("GET", "/sagas/letter/1", ""),
        ("GET", "/sagas/letter/1/timeline", ""),
        ("POST", "/sagas/letter/1/abort", ""),
    ] {
        for accept in ["application/json", "text/event-stream"] {
            let headers = [BOB, "Content-Type: application/json", &format!("Accept: {accept}")];
            let reply = server.send(method, path, &headers, body).await;
            if path == "/streams/mine-1" {
                // Nothing is asked for.
                reply.is_ok();
                continue;
            }
            let reason = reply.is_problem(403, "denied")["reason"].as_str().unwrap().to_owned();
            assert!(reason.starts_with("bob may not "), "{method} {path}: {reason}");
        }
    }
    assert_eq!(server.send("GET", "/projections", &[BOB], "").await.is_ok()["projections"], json!([]));
    assert_eq!(server.send("GET", "/sagas", &[BOB], "").await.is_ok()["sagas"], json!([]));
    server.send("GET", "/streams/written", &[ANN], "").await.is_problem(404, "no-such-stream");
    server.send("GET", "/events?category=written", &[ANN], "").await.is_ok();
    server.send("GET", "/events", &[ANN], "").await.is_problem(403, "denied");
}

/// Good credentials do not make a page of another origin an operator.
#[tokio::test]
async fn a_page_of_another_origin_is_refused_whoever_it_is() {
    let guarded = Guarded::start().await;
    let pause = "/projections/balances/pause";
    let reply = guarded.server.post(pause, &[NODE, "Origin: http://elsewhere"], "").await;
    reply.is_problem(403, "denied");
    assert_eq!(guarded.reached(), 0);
    assert_eq!(guarded.server.post(pause, &[NODE, "Origin: http://x"], "").await.status, 204);
    let abort = "/sagas/letter/1/abort";
    let reply = guarded.server.post(abort, &[NODE, "Origin: http://elsewhere"], "").await;
    reply.is_problem(403, "denied");
    guarded.server.post(abort, &[NODE, "Origin: http://x"], "").await.is_problem(404, "no-such-saga");
}

#[tokio::test]
async fn a_mounted_service_is_left_to_itself() {
    let guarded = Guarded::with(|server| {
        let shown = tower::service_fn(async |request: http::Request<MountBody>| {
            let shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            Ok::<_, Infallible>(http::Response::new(shown.unwrap_or_default()))
        });
        server.mount("/graphql", shown)
    })
    .await;
    let body =
        async |headers: &[&str]| String::from_utf8(guarded.server.send("GET", "/graphql", headers, "").await.body);
    assert_eq!(body(&[]).await.unwrap(), "");
    assert_eq!(body(&["Authorization: Bearer of-its-own"]).await.unwrap(), "Bearer of-its-own");
}

/// Where credentials are possible and not needed, the document says so.
#[tokio::test]
async fn the_document_tells_whether_credentials_are_needed() {
    let document = Running::start().await.get("/openapi.json").await.is_ok();
    assert_eq!(document["security"], json!([{}, { "authorization": [] }]));
}

fn until(from_now: Duration) -> String {
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + from_now;
    format!("Authorization: Bearer until-{}", until.as_micros())
}

#[rstest]
#[case("/events?category=written")]
#[case("/streams/written")]
#[tokio::test]
async fn a_live_stream_ends_with_the_credentials(#[case] path: &str) {
    let guarded = Guarded::start().await;
    let server = &guarded.server;
    let mut live = Live::open(server, path, &[&until(Duration::from_millis(700)), "Connection: close"]).await;
    let mut last = None;
    // It is never silent, so that nothing but the end of the credentials ends it.
    let writing = async {
        loop {
            server.post("/commands/write", &[ANN], "{}").await.is_ok();
        }
    };
    let reading = async {
        while let Some(frame) = live.frame().await {
            assert!(last.is_none(), "{last:?} was not the last: {frame:?}");
            last = frame.iter().any(|(name, value)| name == "event" && value == "problem").then_some(frame);
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    let last = last.expect("it ends without a word");
    let problem: Value = serde_json::from_str(field(&last, "data").unwrap()).unwrap();
    assert_eq!((&problem["type"], &problem["status"]), (&json!("urn:portolan:problem:unauthenticated"), &json!(401)));
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
}

/// An authenticator may know it and still let them in.
#[tokio::test]
async fn credentials_that_have_ended_show_no_event() {
    let guarded = Guarded::start().await;
    guarded.server.post("/commands/write", &[ANN], "{}").await.is_ok();
    let mut live = Live::open(&guarded.server, "/streams/written", &[&until(Duration::ZERO)]).await;
    let frame = live.frame().await.unwrap();
    assert_eq!(field(&frame, "event"), Some("problem"), "{frame:?}");
}

/// An idle stream ends too, and nothing else is cut off.
#[tokio::test]
async fn a_request_that_has_begun_is_answered() {
    let guarded = Guarded::start().await;
    let soon = until(Duration::from_millis(500));
    let slow = async { guarded.server.post("/commands/slow", &[&soon], r#"{"ms":1500}"#).await };
    let idle = async {
        let mut live = Live::open(&guarded.server, "/streams/written", &[&soon, "Connection: close"]).await;
        let mut names = Vec::new();
        while let Some(frame) = live.frame().await {
            names.extend(field(&frame, "event").map(str::to_owned));
        }
        names
    };
    let (slow, names) = tokio::join!(slow, idle);
    slow.is_ok();
    assert_eq!(names, ["caught-up", "problem"]);
}

#[tokio::test]
async fn credentials_for_ever_end_nothing() {
    let guarded = Guarded::start().await;
    for micros in [u64::MAX, 1 << 60] {
        let header = format!("Authorization: Bearer until-{micros}");
        let mut live = Live::open(&guarded.server, "/streams/written?from=now", &[&header]).await;
        assert_eq!(field(&live.frame().await.unwrap(), "event"), Some("caught-up"));
        guarded.server.post("/commands/write", &[ANN], "{}").await.is_ok();
        live.event().await;
    }
}
