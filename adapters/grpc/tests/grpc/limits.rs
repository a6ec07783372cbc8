//! What a server takes, and for how long.

use crate::support::{Running, command, new_event};
use bytes::Bytes;
use core::time::Duration;
use http_body_util::{BodyExt as _, StreamBody};
use portolan_grpc::proto;
use portolan_kernel::ports::{CommandBus as _, EventStore as _};
use portolan_kernel::values::{Append, Format, Query, Read};
use tokio::io::AsyncReadExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

fn large(bytes: usize) -> proto::AppendRequest {
    let mut event = new_event("s").with_format(Format::Binary);
    event.payload = vec![0; bytes].into();
    (0..1).fold(proto::AppendRequest::default(), |mut request, _| {
        request.events.push(proto::NewEvent {
            stream: "s".into(),
            r#type: "t".into(),
            format: 2,
            payload: event.payload.clone(),
            ..Default::default()
        });
        request
    })
}

#[tokio::test]
async fn a_giant_message_is_refused_and_the_server_goes_on() {
    let server = Running::configured(|config| {
        config.append_request_bytes = Some(100_000);
        config.request_bytes = 10_000;
    })
    .await;
    let mut store = server.strange_store().await;
    store.append(large(50_000)).await.unwrap();
    let status = store.append(large(200_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    // Compressed, it is as large as it is.
    let mut squeezed = store.clone().send_compressed(tonic::codec::CompressionEncoding::Gzip);
    squeezed.append(large(50_000)).await.unwrap();
    let status = squeezed.append(large(20_000_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let request = proto::DispatchRequest { name: "echo".into(), body: vec![0; 20_000].into(), ..Default::default() };
    assert_eq!(server.strange_commands().await.dispatch(request).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(server.store.read(Read::log(Query::all())).await.unwrap().events.len(), 2);
    server.client().await.dispatch(command("echo")).await.unwrap();
}

/// A message in its frame.
fn framed(message: &impl prost::Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame.into()
}

/// Sends these pieces as the body of a call, with a pause before each, and gives the status.
async fn dribbled(server: &Running, path: &str, pieces: Vec<Bytes>, pause: Duration) -> Status {
    let pieces = futures::stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        tokio::time::sleep(pause).await;
        let piece = pieces.next()?;
        Some((Ok::<_, Status>(http_body::Frame::data(piece)), pieces))
    });
    let request = http::Request::post(format!("{}{path}", server.uri()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(StreamBody::new(pieces)))
        .unwrap();
    let mut channel = server.channel().await;
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let (head, body) = channel.call(request).await.unwrap().into_parts();
    let trailers = body.collect().await.map(|body| body.trailers().cloned());
    Status::from_header_map(&head.headers)
        .or_else(|| trailers.ok().flatten().and_then(|trailers| Status::from_header_map(&trailers)))
        .unwrap_or_else(|| Status::unknown("no status at all"))
}

/// The status of a call without anything in it.
pub(crate) async fn status_of(server: &Running, path: &str) -> Status {
    let empty = Bytes::from_static(&[0; 5]);
    let called = dribbled(server, path, vec![empty], Duration::ZERO);
    // A subscription has no end; it has begun, and so it is served.
    tokio::time::timeout(Duration::from_millis(300), called).await.unwrap_or_else(|_| Status::ok("it goes on"))
}

const APPEND: &str = "/portolan.v1.EventStore/Append";

#[tokio::test]
async fn a_request_that_takes_its_time_is_let_go() {
    let server = Running::configured(|config| config.request_timeout = Duration::from_millis(300)).await;
    let whole = framed(&large(3));
    let pieces: Vec<_> = whole.chunks(1).map(Bytes::copy_from_slice).collect();
    let status = dribbled(&server, APPEND, pieces.clone(), Duration::from_millis(100)).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "SLOW_REQUEST");
    // In time it is one request like any other.
    let status = dribbled(&server, APPEND, pieces, Duration::ZERO).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert_eq!(server.store.read(Read::log(Query::all())).await.unwrap().events.len(), 1);
}

#[tokio::test]
async fn many_large_requests_at_once_are_too_many() {
    let server = Running::configured(|config| config.requests_bytes = 100_000).await;
    let client = server.client().await;
    // One that has sent nearly all of what there is room for, and is not done.
    let whole = framed(&large(90_000));
    let (most, rest) = (whole.slice(..80_000), whole.slice(80_000..));
    let holding = dribbled(&server, APPEND, vec![most, rest], Duration::from_millis(700));
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let mut event = new_event("s");
        event.payload = vec![b'x'; 50_000].into();
        let refused = client.append(Append::new([event.clone()])).await;
        // What is small still has room.
        client.dispatch(command("echo")).await.unwrap();
        (refused, event)
    };
    let (held, (refused, event)) = tokio::join!(holding, meanwhile);
    assert_eq!(held.code(), Code::Ok, "{held:?}");
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, portolan_kernel::ports::AppendError::Busy(_)), "{refused:?}");
    // Once it is done, its room is free.
    client.append(Append::new([event])).await.unwrap();
}

#[tokio::test]
async fn one_who_never_speaks_is_cut_off() {
    let server = Running::configured(|config| {
        config.keep_alive_interval = Duration::from_millis(400);
        config.keep_alive_timeout = Duration::from_millis(1_600);
        config.max_connections = 1;
    })
    .await;
    let mut silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    // It holds the only place there is, and the next one waits for it.
    let served = tokio::time::timeout(Duration::from_secs(10), server.client()).await.expect("the silent one stays");
    served.dispatch(command("echo")).await.unwrap();
    let mut bytes = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut bytes)).await.expect("it is not closed");
    // One that lives stays, however little it says.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(server.store.append(Append::default()).await.is_ok());
    served.dispatch(command("echo")).await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_long_ends_that_call_alone() {
    let server = Running::start().await;
    let mut commands = server.strange_commands().await;
    let mut request = tonic::Request::new(proto::DispatchRequest { name: "echo".into(), ..Default::default() });
    request.metadata_mut().insert("idempotency-key", "k".repeat(100_000).parse().unwrap());
    assert!(commands.dispatch(request).await.is_err());
    server.client().await.dispatch(command("echo")).await.unwrap();
}
