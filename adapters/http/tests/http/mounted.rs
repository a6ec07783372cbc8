//! Other services under a path.

use crate::support::{Reply, Running};
use core::convert::Infallible;
use core::time::Duration;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use portolan_http::{HttpServer, MountBody, ServeError};
use portolan_kernel::Bytes;
use rstest::rstest;
use tokio::io::AsyncWriteExt as _;

fn mounted(server: HttpServer, path: &str) -> HttpServer {
    let service = tower::service_fn(async |request: http::Request<MountBody>| {
        if request.uri().path() == "/panic" {
            panic!("as asked");
        }
        let answer = format!("{} {}", request.method(), request.uri().path());
        Ok::<_, Infallible>(http::Response::new(answer))
    });
    server.mount(path, service)
}

#[tokio::test]
async fn a_service_is_served_below_its_path() {
    let server = Running::with(|server| mounted(server, "/graphql")).await;
    for (path, seen) in [("/graphql", "POST /"), ("/graphql/a/b", "POST /a/b")] {
        let reply = server.send("POST", path, &[], "x").await;
        assert_eq!((reply.status, String::from_utf8(reply.body).unwrap()), (200, seen.to_owned()));
    }
    server.get("/graphqls").await.is_problem(404, "no-such-route");
    server.get("/graphql/panic").await.is_problem(500, "panicked");
    server.get("/healthz").await.is_ok();
}

/// Answers each path `/404` with that status, a header of its own, and no body.
fn statuses(server: HttpServer) -> HttpServer {
    let service = tower::service_fn(async |request: http::Request<MountBody>| {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let answer = http::Response::builder().status(status).header("x-mine", status);
        Ok::<_, Infallible>(answer.body(String::new()).unwrap())
    });
    server.mount("/status", service)
}

#[rstest]
#[tokio::test]
async fn an_empty_answer_arrives_as_it_was_given(
    #[values(200, 204, 304, 400, 404, 408, 413, 414, 431, 500)] status: u16,
    #[values("GET", "HEAD", "POST")] method: &str,
) {
    let server = Running::with(statuses).await;
    let mut socket = server.connect().await;
    let request = format!("{method} /status/{status} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    // One after the other, then two at once.
    for times in [1, 1, 2] {
        socket.write_all(request.repeat(times).as_bytes()).await.unwrap();
        for _ in 0..times {
            let reply = Reply::read_head(&mut socket).await;
            assert_eq!(reply.status, status);
            assert_eq!(reply.header("x-mine"), Some(status.to_string().as_str()), "{reply:?}");
            assert_eq!((reply.header("connection"), reply.header("content-type")), (None, None), "{reply:?}");
        }
    }
    socket.write_all(b"nonsense\r\n\r\n").await.unwrap();
    Reply::read(&mut socket).await.is_problem(400, "malformed");
}

#[tokio::test]
async fn a_body_that_looks_like_an_error_arrives_as_it_was_given() {
    const ERROR: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let service = tower::service_fn(async |_: http::Request<MountBody>| {
        // By the time of the frame the head has been flushed.
        let late = stream::once(async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from(ERROR)))
        });
        let answer = http::Response::builder().header("content-length", ERROR.len());
        Ok::<_, Infallible>(answer.body(StreamBody::new(late)).unwrap())
    });
    let server = Running::with(|server| server.mount("/late", service)).await;
    let reply = server.get("/late").await;
    assert_eq!((reply.status, String::from_utf8(reply.body).unwrap()), (200, ERROR.to_owned()));
}

#[rstest]
#[case("graphql")]
#[case("/")]
#[case("/a/")]
#[case("/{x}")]
#[case("/streams")]
#[case("/streams/x")]
#[case("/taken")]
#[case("/taken/below")]
#[tokio::test]
async fn where_nothing_can_be_mounted(#[case] path: &str) {
    let server = Running::start().await;
    let other = mounted(mounted(HttpServer::new(server.client().await.ports()), "/taken"), path);
    let error = other.bind("127.0.0.1:0".parse().unwrap()).await.unwrap_err();
    assert!(matches!(&error, ServeError::Mount { path: named, .. } if named == path), "{error}");
}
