//! Other services under a path.

use crate::support::Running;
use core::convert::Infallible;
use portolan_http::{HttpServer, MountBody, ServeError};
use rstest::rstest;

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
