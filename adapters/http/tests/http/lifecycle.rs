//! Start and stop.

use crate::support::{Reply, Running};
use core::time::Duration;
use portolan_http::ServeError;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

#[tokio::test]
async fn accepted_work_is_finished() {
    let mut server = Running::start().await;
    let mut busy = server.connect().await;
    let body = r#"{"ms":400}"#;
    let head = format!(
        "POST /commands/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    Reply::read(&mut idle).await.is_ok();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    // An idle connection is closed at once, and nobody new is let in.
    assert_eq!(timeout(Duration::from_secs(2), idle.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    Reply::read(&mut busy).await.is_ok();
    timeout(Duration::from_secs(5), server.stopped.take().unwrap()).await.unwrap().unwrap();
}

#[tokio::test]
async fn work_that_does_not_finish_is_cut_off() {
    let mut server = Running::configured(|config| config.drain_timeout = Duration::from_millis(200)).await;
    let mut stuck = server.connect().await;
    let body = r#"{"ms":60000}"#;
    let head = format!(
        "POST /commands/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    let mut half = server.connect().await;
    half.write_all(b"GET /healthz HT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    timeout(Duration::from_secs(5), server.stopped.take().unwrap()).await.expect("it does not stop").unwrap();
}

/// How long the server takes to stop, with this sent on a connection.
async fn stops_after(mut server: Running, sent: &str) -> Duration {
    let mut socket = server.connect().await;
    socket.write_all(sent.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    server.stop();
    timeout(Duration::from_secs(20), server.stopped.take().unwrap()).await.expect("it does not stop").unwrap();
    began.elapsed()
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    for sent in ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
        let took = stops_after(Running::start().await, sent).await;
        assert!(took < Duration::from_secs(2), "{sent:?}: {took:?}");
    }
}

#[tokio::test]
async fn half_a_body_has_half_the_time() {
    let server = Running::configured(|config| config.drain_timeout = Duration::from_secs(4)).await;
    let half =
        "POST /commands/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    let took = stops_after(server, half).await;
    assert!((1_500..3_500).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_body_that_still_comes_in_time_is_answered() {
    let mut server = Running::start().await;
    let mut socket = server.connect().await;
    let half =
        "POST /commands/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
    socket.write_all(half.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    socket.write_all(b"}").await.unwrap();
    Reply::read(&mut socket).await.is_ok();
}

#[tokio::test]
async fn a_live_stream_that_nobody_reads_is_cut_off() {
    let server = Running::start().await;
    let big = format!(r#"{{"events":[{{"type":"t","data":"{}"}}]}}"#, "x".repeat(1 << 20));
    for _ in 0..16 {
        server.post("/streams/s", &[], &big).await.is_ok();
    }
    let took = stops_after(server, "GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n").await;
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_long_poll_ends_with_the_server() {
    let mut server = Running::start().await;
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /changed HTTP/1.1\r\nHost: x\r\nPrefer: wait=25\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop();
    assert_eq!(Reply::read(&mut waiting).await.status, 204);
    timeout(Duration::from_secs(5), server.stopped.take().unwrap()).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = Running::start().await;
    let ports = server.client().await.ports();
    let error = portolan_http::HttpServer::new(ports).bind(server.address).await.unwrap_err();
    assert!(matches!(error, ServeError::Bind { address, .. } if address == server.address), "{error}");
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}
