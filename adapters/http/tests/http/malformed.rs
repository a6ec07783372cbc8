//! Requests that are none, and routes that are not there.

use crate::support::{Reply, Running};
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[rstest]
#[case::nonsense("nonsense\r\n\r\n", 400, "malformed")]
#[case::binary("\u{0}\u{1}\u{2}\u{3}\r\n\r\n", 400, "malformed")]
#[case::space_in_path("GET /streams/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed")]
#[case::bad_header("GET /healthz HTTP/1.1\r\nHo st: x\r\n\r\n", 400, "malformed")]
#[case::bad_length("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n", 400, "malformed")]
#[case::two_lengths(
    "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    400,
    "malformed"
)]
#[case::old_version("GET /healthz HTTP/9.9\r\n\r\n", 400, "malformed")]
#[tokio::test]
async fn what_is_no_request(#[case] request: &str, #[case] status: u16, #[case] name: &str) {
    let server = Running::start().await;
    server.raw(request).await.is_problem(status, name);
    server.get("/healthz").await.is_ok();
}

#[tokio::test]
async fn a_bad_request_after_a_good_one() {
    let server = Running::start().await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    Reply::read(&mut socket).await.is_ok();
    socket.write_all(b"nonsense\r\n\r\n").await.unwrap();
    Reply::read(&mut socket).await.is_problem(400, "malformed");
    assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0);
}

#[rstest]
#[case("GET", "/nowhere", 404, "no-such-route", None)]
#[case("GET", "/", 404, "no-such-route", None)]
#[case("DELETE", "/streams/s", 405, "method-not-allowed", Some("GET,HEAD,POST"))]
#[case("GET", "/append", 405, "method-not-allowed", Some("POST"))]
#[case("POST", "/healthz", 405, "method-not-allowed", Some("GET,HEAD"))]
#[case("OPTIONS", "/events", 405, "method-not-allowed", Some("GET,HEAD"))]
#[tokio::test]
async fn the_routers_own_errors(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] name: &str,
    #[case] allow: Option<&str>,
) {
    let server = Running::start().await;
    let reply = server.send(method, path, &[], "").await;
    reply.is_problem(status, name);
    assert_eq!(reply.header("allow"), allow);
}

#[tokio::test]
async fn health() {
    let server = Running::start().await;
    server.get("/healthz").await.is_ok();
    server.get("/readyz").await.is_ok();
}
