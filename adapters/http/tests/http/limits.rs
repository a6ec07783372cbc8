//! Large, slow, and many.

use crate::support::{Reply, Running};
use core::time::Duration;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

const HUNDRED_MEGABYTES: usize = 100 << 20;

#[tokio::test]
async fn a_body_of_100_mb_is_refused_before_it_comes() {
    let server = Running::start().await;
    for path in ["/commands/echo", "/streams/s", "/append", "/read"] {
        let mut socket = server.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {HUNDRED_MEGABYTES}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Reply::read(&mut socket).await.is_problem(413, "body-too-large");
    }
}

/// A client that sends everything before it looks for an answer gets it, as long as its connection is not reset.
#[tokio::test]
async fn a_body_of_100_mb_that_comes_all_the_same_still_gets_its_answer() {
    let server = Running::start().await;
    let mut socket = server.connect().await;
    let head = "POST /commands/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 1 << 16], b"\r\n"].concat();
    for _ in 0..HUNDRED_MEGABYTES >> 16 {
        socket.write_all(&chunk).await.unwrap();
    }
    Reply::read(&mut socket).await.is_problem(413, "body-too-large");
    server.get("/healthz").await.is_ok();
}

#[tokio::test]
async fn the_limit_itself_is_within() {
    let server = Running::configured(|config| config.body_bytes = 100).await;
    let body = format!("\"{}\"", "x".repeat(98));
    server.post("/commands/echo", &[], &body).await.is_ok();
    server.post("/commands/echo", &[], &format!(" {body}")).await.is_problem(413, "body-too-large");
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let server = Running::configured(|config| config.bodies_bytes = 1_000).await;
    let head =
        "POST /commands/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 901\r\n\r\n";
    let mut first = server.connect().await;
    first.write_all(format!("{head}{}", " ".repeat(900)).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let body = format!("\"{}\"", "x".repeat(200));
    let refused = server.post("/commands/echo", &[], &body).await;
    refused.is_problem(503, "busy");
    assert!(refused.header("retry-after").is_some());
    first.write_all(b"1").await.unwrap();
    Reply::read(&mut first).await.is_ok();
    for _ in 0..10 {
        server.post("/commands/echo", &[], &body).await.is_ok();
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let server = Running::configured(|config| config.header_timeout = Duration::from_millis(200)).await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
    Reply::read(&mut socket).await.is_problem(408, "slow-request");
    assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0);
    // One that says nothing at all is closed in silence.
    let mut silent = server.connect().await;
    assert_eq!(timeout(Duration::from_secs(5), silent.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    server.get("/healthz").await.is_ok();
}

#[tokio::test]
async fn after_an_answer_an_idle_connection_is_closed_in_silence_and_a_slow_head_is_not() {
    let server = Running::configured(|config| config.header_timeout = Duration::from_millis(200)).await;
    for (next, late) in [(&b""[..], false), (b"GET /hea", true)] {
        let mut socket = server.connect().await;
        let body = r#"{"from":{"stream":{"id":"s"}}}"#;
        let length = body.len();
        let head = format!(
            "POST /read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // Of its own, so that it comes after the request has been taken.
        tokio::time::sleep(Duration::from_millis(50)).await;
        socket.write_all(body.as_bytes()).await.unwrap();
        Reply::read(&mut socket).await.is_ok();
        socket.write_all(next).await.unwrap();
        if late {
            Reply::read(&mut socket).await.is_problem(408, "slow-request");
        }
        assert_eq!(timeout(Duration::from_secs(5), socket.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let server = Running::configured(|config| config.body_timeout = Duration::from_millis(200)).await;
    let mut socket = server.connect().await;
    let head = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    Reply::read(&mut socket).await.is_problem(408, "slow-request");
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let server = Running::start().await;
    let mut socket = server.connect().await;
    let head = "POST /streams/s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"events\":[";
    socket.write_all(head.as_bytes()).await.unwrap();
    drop(socket);
    server.get("/streams/s").await.is_problem(404, "no-such-stream");
}

#[tokio::test]
async fn a_head_too_long_is_refused() {
    let server = Running::configured(|config| config.head_bytes = 8 << 10).await;
    let header = format!("X: {}", "x".repeat(100 << 10));
    server.send("GET", "/healthz", &[&header], "").await.is_problem(431, "head-too-long");
    let path = format!("/streams/{}", "x".repeat(70 << 10));
    let reply = server.get(&path).await;
    assert!(matches!(reply.status, 414 | 431), "{reply:?}");
    reply.is_problem(reply.status, "head-too-long");
}

#[tokio::test]
async fn too_many_headers_are_called_that() {
    let server = Running::start().await;
    let problem = server.send("GET", "/healthz", &["X: y"; 200], "").await.is_problem(431, "head-too-long");
    assert!(problem["detail"].as_str().unwrap().contains("too many headers"), "{problem}");
}

#[tokio::test]
async fn connections_past_the_limit_wait() {
    let server = Running::configured(|config| config.max_connections = 1).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    Reply::read(&mut first).await.is_ok();
    let mut second = server.connect().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(200), second.read(&mut [0; 1])).await.is_err(), "it was served at once");
    drop(first);
    Reply::read(&mut second).await.is_ok();
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = Running::configured(|config| {
        config.write_timeout = Duration::from_millis(300);
        config.max_connections = 1;
    })
    .await;
    let big = format!(r#"{{"events":[{{"type":"t","data":"{}"}}]}}"#, "x".repeat(1 << 20));
    for _ in 0..16 {
        server.post("/streams/s", &["Connection: close"], &big).await.is_ok();
    }
    let mut deaf = server.connect().await;
    deaf.write_all(b"GET /streams/s HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let began = Instant::now();
    // The only connection there may be is the deaf client's, until it is cut off.
    server.get("/healthz").await.is_ok();
    assert!(began.elapsed() >= Duration::from_millis(250), "it was served beside the limit");
}
