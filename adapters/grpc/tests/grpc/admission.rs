//! Who is let in.

use crate::support::{Counting, Running, command};
use bytes::Bytes;
use core::time::Duration;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full, StreamBody};
use portolan_grpc::proto::FILE_DESCRIPTOR_SET;
use portolan_grpc::{ClientConfig, ConnectError, GrpcClient, GrpcServer, ServerConfig};
use portolan_kernel::application::Admission;
use portolan_kernel::drivers::StaticKeys;
use portolan_kernel::ports::CommandBus as _;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::sync::atomic::Ordering;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use tower::Service as _;

const KEYS: &[u8] = br#"[{"key": "ann-has-this-key", "actor": "ann"}]"#;
const GOOD: &[u8] = b"Bearer ann-has-this-key";

fn keys() -> Admission {
    Admission::by(StaticKeys::from_json(KEYS).unwrap())
}

/// Every method that is served, as reflection has it, and one that there is not.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = vec!["/portolan.v1.Commands/Undo".to_owned(), "/grpc.health.v2.Health/Check".to_owned()];
    for file in set.file {
        for service in &file.service {
            let path = |method: &prost_types::MethodDescriptorProto| {
                format!("/{}.{}/{}", file.package(), service.name(), method.name())
            };
            methods.extend(service.method.iter().map(path));
        }
    }
    methods
}

fn headers(shown: &[&[u8]]) -> HeaderMap {
    shown.iter().map(|value| (http::header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())).collect()
}

/// The status of a call with these credentials and this body.
async fn called(channel: &Channel, path: &str, shown: &[&[u8]], body: Body) -> Status {
    let mut request = http::Request::post(format!("http://server{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    request.headers_mut().extend(headers(shown));
    let mut channel = channel.clone();
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let (head, body) = channel.call(request).await.unwrap().into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return status;
    }
    // A subscription has no end; it has begun, and so it was let in.
    let rest = tokio::time::timeout(Duration::from_millis(300), body.collect()).await;
    rest.map_or_else(
        |_| Status::ok("it goes on"),
        |rest| Status::from_header_map(rest.unwrap().trailers().unwrap()).unwrap(),
    )
}

fn empty() -> Body {
    Body::new(Full::new(Bytes::from_static(&[0; 5])))
}

fn is_refused(status: &Status, says: &str) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("UNAUTHENTICATED", "portolan.v1"));
    assert!(status.message().contains(says), "{status:?}");
    assert!(!status.message().contains("ann-has"), "{status:?}");
}

fn nothing_happened(server: &Running, store: &Counting) -> bool {
    server.reached() + store.asked.load(Ordering::Relaxed) == 0
}

#[tokio::test]
async fn who_shows_nothing_or_nothing_good_reaches_nothing() {
    let store = Counting::new();
    let mut config = ServerConfig::default();
    config.longest_wait = Duration::from_millis(100);
    let change = |server: GrpcServer| server.with_raw_appends(true).with_config(config).with_admission(keys());
    let server = Running::over(store.clone(), change).await;
    let channel = server.channel().await;
    let huge = [b"Bearer ", &[b'x'; 60_000][..]].concat();
    let wrong: [(&[&[u8]], &str); 13] = [
        (&[], "credentials are needed"),
        (&[b""], "a bearer key"),
        (&[b"Bearer"], "a bearer key"),
        (&[b"Bearer "], "a bearer key"),
        (&[b"ann-has-this-key"], "a bearer key"),
        (&[b"Basic ann-has-this-key"], "a bearer key"),
        (&[b"Bearer ann-has-this-ke"], "nobody has"),
        (&[b"Bearer ann-has-this-keyy"], "nobody has"),
        (&[b"Bearer Ann-has-this-key"], "nobody has"),
        (&[&huge], "nobody has"),
        (&[b"Bearer ann-has-this-key\xff"], "visible ASCII"),
        (&[GOOD, GOOD], "more than once"),
        (&[GOOD, b"Bearer another"], "more than once"),
    ];
    let methods = methods();
    assert!(methods.len() > 16, "{methods:?}");
    for path in &methods {
        for (shown, says) in &wrong {
            is_refused(&called(&channel, path, shown, empty()).await, says);
        }
    }
    assert!(nothing_happened(&server, &store));
    // With what is good each of them is served, if only to say that the request is none.
    for path in &methods {
        let status = called(&channel, path, &[GOOD], empty()).await;
        assert_ne!(status.code(), Code::Unauthenticated, "{path}: {status:?}");
    }
    assert!(!nothing_happened(&server, &store));
}

#[tokio::test]
async fn nothing_is_read_of_a_request_that_is_not_let_in() {
    let store = Counting::new();
    let server = Running::over(store.clone(), |server| server.with_raw_appends(true).with_admission(keys())).await;
    let channel = server.channel().await;
    for path in ["/portolan.v1.EventStore/Append", "/portolan.v1.Commands/Dispatch"] {
        // It never comes.
        let body = Body::new(StreamBody::new(futures::stream::pending::<Result<http_body::Frame<Bytes>, Status>>()));
        let refused = tokio::time::timeout(Duration::from_secs(10), called(&channel, path, &[b"Bearer x"], body));
        is_refused(&refused.await.expect("it is waited for"), "nobody has");
    }
    assert!(nothing_happened(&server, &store));
}

#[tokio::test]
async fn health_and_reflection_are_open() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

    let server = Running::with(|server| server.with_admission(keys())).await;
    let mut health = HealthClient::new(server.channel().await);
    let of = || HealthCheckRequest { service: "portolan.v1.Commands".to_owned() };
    health.check(of()).await.unwrap();
    health.watch(of()).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let list = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request: list };
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let mut answers = reflection.server_reflection_info(futures::stream::iter([request])).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    // What only looks like them is not.
    let channel = server.channel().await;
    for path in ["/grpc.health.v1.HealthX/Check", "/grpc.health.v1.Health", "/grpc.reflection.v1.Other/X", "/"] {
        is_refused(&called(&channel, path, &[], empty()).await, "credentials are needed");
    }
}

#[tokio::test]
async fn without_an_authenticator_everybody_comes_in_who_says_one_thing() {
    let server = Running::start().await;
    server.client_of("whatever").await.dispatch(command("echo")).await.unwrap();
    let channel = server.channel().await;
    let status = called(&channel, "/portolan.v1.Queries/Describe", &[b"a", b"b"], empty()).await;
    is_refused(&status, "more than once");
}

async fn connecting(server: &Running, authorization: Option<&str>) -> Result<GrpcClient, ConnectError> {
    let mut config = ClientConfig::default();
    config.authorization = authorization.map(str::to_owned);
    assert!(!format!("{config:?}").contains("key"), "{config:?}");
    GrpcClient::connect_with(server.uri(), config).await
}

#[tokio::test]
async fn a_client_that_is_not_let_in_says_so() {
    let server = Running::with(|server| server.with_admission(keys())).await;
    for wrong in [None, Some("Bearer another-has-this-key"), Some("")] {
        let error = connecting(&server, wrong).await.unwrap_err();
        assert!(matches!(error, ConnectError::Denied { .. }), "{wrong:?}: {error:?}");
        assert!(!error.to_string().contains("has-this-key"), "{error}");
    }
    for unsendable in ["Bearer key\n", "Bearer key\r\nx: y", "Bearer \u{1F980}key"] {
        let error = connecting(&server, Some(unsendable)).await.unwrap_err();
        assert!(matches!(error, ConnectError::Authorization), "{unsendable:?}: {error:?}");
        assert!(!error.to_string().contains("key"), "{error}");
    }
    let client = connecting(&server, Some("bearer ann-has-this-key")).await.unwrap();
    client.dispatch(command("echo")).await.unwrap();
}
