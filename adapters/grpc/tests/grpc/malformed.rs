//! Requests that are none.

use crate::support::{Running, command};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use portolan_grpc::proto;
use portolan_kernel::ports::{CommandBus as _, EventStore as _};
use portolan_kernel::values::{Query, Read};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

/// The status of a call with this body, frame and all.
async fn called(server: &Running, path: &str, body: impl Into<Bytes>) -> Status {
    let request = http::Request::post(format!("{}{path}", server.uri()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(Full::new(body.into())))
        .unwrap();
    let mut channel = server.channel().await;
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let (head, body) = channel.call(request).await.unwrap().into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned();
    Status::from_header_map(&head.headers)
        .or_else(|| trailers.and_then(|trailers| Status::from_header_map(&trailers)))
        .unwrap()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

const READ: &str = "/portolan.v1.EventStore/Read";
const DISPATCH: &str = "/portolan.v1.Commands/Dispatch";

#[tokio::test]
async fn what_is_no_message() {
    let server = Running::start().await;
    for (what, body) in [
        ("no frame", vec![]),
        ("half a frame", vec![0, 0, 0]),
        ("a frame that is longer than the body", vec![0, 0, 0, 0, 200, 1]),
        ("a flag that there is not", vec![7, 0, 0, 0, 0]),
        ("compressed, by nothing", vec![1, 0, 0, 0, 1, 0]),
        ("a field of a wrong type", framed(&[0x0d, 1, 2, 3, 4])),
        ("a field that breaks off", framed(&[0x0a, 100, 1])),
        ("text that is not UTF-8", framed(&[0x0a, 2, 0xff, 0xfe])),
        ("a tag of nothing", framed(&[0x00])),
    ] {
        let status = called(&server, DISPATCH, body).await;
        assert!(!matches!(status.code(), Code::Ok), "{what}: {status:?}");
        assert!(server.commands.seen.lock().unwrap().is_empty(), "{what}");
    }
    server.client().await.dispatch(command("echo")).await.unwrap();
}

#[tokio::test]
async fn messages_that_nest_without_end() {
    // A read whose next page is a read whose next page is one.
    let mut nested = Vec::new();
    for _ in 0..5_000 {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend(&nested);
        nested = outer;
    }
    let server = Running::start().await;
    let status = called(&server, READ, framed(&nested)).await;
    assert_ne!(status.code(), Code::Ok);
    server.client().await.dispatch(command("echo")).await.unwrap();
}

#[tokio::test]
async fn unknown_fields_are_left_out_of_account_and_unknown_kinds_are_not() {
    let server = Running::start().await;
    // As protocol buffers have it, so that an older server understands a newer client; field 99 is none.
    let mut known = proto::DispatchRequest { name: "echo".into(), ..Default::default() }.encode_to_vec();
    known.extend([0x9a, 0x06, 3, b'n', b'e', b'w']);
    let status = called(&server, DISPATCH, framed(&known)).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");

    // But a condition that is not known is not left out: an expectation whose `oneof` has a field 98.
    let mut expectation = proto::Expectation { stream: "s".into(), expected: None }.encode_to_vec();
    expectation.extend([0x92, 0x06, 0]);
    let mut append = vec![0x12];
    prost::encoding::encode_varint(expectation.len() as u64, &mut append);
    append.extend(expectation);
    let status = called(&server, "/portolan.v1.EventStore/Append", framed(&append)).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "expect[0].expected");
    // Nor is a format or a direction.
    let odd = proto::DispatchRequest { name: "echo".into(), format: 77, ..Default::default() };
    let status = called(&server, DISPATCH, framed(&odd.encode_to_vec())).await;
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "format");
    assert_eq!(server.commands.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn fields_that_hold_what_they_cannot_are_named() {
    let server = Running::start().await;
    let mut store = server.strange_store().await;
    let event = || proto::NewEvent { stream: "s".into(), r#type: "t".into(), ..Default::default() };
    let with = |change: fn(&mut proto::NewEvent)| {
        let mut wrong = event();
        change(&mut wrong);
        proto::AppendRequest { events: vec![event(), wrong], ..Default::default() }
    };
    let key = |digest: &'static [u8]| proto::IdempotencyKey {
        scope: "s".into(),
        id: "i".into(),
        digest: digest.into(),
        note: Bytes::new(),
    };
    let checkpoint = proto::CheckpointMove { name: "c".into(), store: "x".into(), ..Default::default() };
    let claim = Some(proto::checkpoint_move::To::Claim(()));
    for (request, field) in [
        (with(|event| event.stream = String::new()), "events[1].stream"),
        (with(|event| event.r#type = "a\nb".into()), "events[1].type"),
        (with(|event| event.id = "x".into()), "events[1].id"),
        (with(|event| event.format = -1), "events[1].format"),
        (with(|event| event.tags = vec!["a".into(), "b".repeat(513)]), "events[1].tags[1]"),
        (proto::AppendRequest { key: Some(key(b"short")), ..Default::default() }, "key.digest"),
        (proto::AppendRequest { guard: Some(Default::default()), ..Default::default() }, "guard.none_of"),
        (proto::AppendRequest { checkpoint: Some(checkpoint.clone()), ..Default::default() }, "checkpoint.to"),
        (
            proto::AppendRequest {
                checkpoint: Some(proto::CheckpointMove { to: claim, ..checkpoint }),
                ..Default::default()
            },
            "checkpoint.store",
        ),
    ] {
        let status = store.append(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, field);
    }
    let status = store.read(proto::ReadRequest::default()).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "from");
    let request = proto::RecallRequest { scope: "s".into(), id: String::new() };
    let status = store.recall(request).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "id");
    assert!(server.store.read(Read::log(Query::all())).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn a_strangers_least() {
    let server = Running::start().await;
    let mut store = server.strange_store().await;
    let event = proto::NewEvent { stream: "s".into(), r#type: "t".into(), payload: "{}".into(), ..Default::default() };
    store.append(proto::AppendRequest { events: vec![event], ..Default::default() }).await.unwrap();
    let log = proto::read_request::From::Log(proto::read_request::OfLog::default());
    let page = store.read(proto::ReadRequest { from: Some(log), ..Default::default() }).await.unwrap().into_inner();
    let event = page.events[0].event.as_ref().unwrap();
    assert_eq!((event.version, event.format), (Some(1), proto::Format::Json.into()));
    assert_eq!(event.id, "00000000-0000-0000-0000-000000000000");
    assert_eq!(page.events[0].recorded_at.unwrap().seconds, 1_785_000_000);
}

#[tokio::test]
async fn calls_of_what_there_is_not() {
    let server = Running::start().await;
    for path in ["/portolan.v1.Commands/Undo", "/portolan.v2.Commands/Dispatch", "/x", "/"] {
        assert_eq!(called(&server, path, framed(&[])).await.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn no_http2_at_all() {
    let server = Running::start().await;
    for sent in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nwhatever follows here",
    ] {
        let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(core::time::Duration::from_secs(10), socket.read_to_end(&mut answer));
        // What is no beginning of HTTP/2 is waited for, for as long as anybody is; what cannot become one is cut off.
        if sent.len() >= 24 {
            let _ = read.await.expect("it is not closed");
        }
    }
    server.client().await.dispatch(command("echo")).await.unwrap();
}
