//! The client: connecting, and failures on the way.

use crate::support::{Noon, Running, append, command, lossy, new_event};
use core::time::Duration;
use futures::StreamExt as _;
use portolan_conformance::ReferenceStore;
use portolan_grpc::{ClientConfig, ConnectError, GrpcClient};
use portolan_kernel::drivers::{Delivery, From};
use portolan_kernel::ports::{
    AppendError, CommandBus as _, CommandError, EventStore as _, ProjectionAction, ProjectionError,
    ProjectionRegistry as _, QueryBus as _, QueryEnvelope, QueryError, ReadError, WaitError,
};
use portolan_kernel::values::{Append, Format, IdempotencyKey, Name, NewEvent, Position, Query, Read};
use rstest::rstest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn keyed() -> Append {
    append().key(IdempotencyKey::new("s".parse().unwrap(), "k".parse().unwrap(), [7; 32]).with_note("note"))
}

#[tokio::test]
async fn a_subscription_through_the_wire() {
    let server = Running::start().await;
    let ports = server.client().await.ports();
    let mut live = ports.subscriptions.subscribe(Query::all(), From::Beginning);
    assert!(matches!(live.next().await, Some(Ok(Delivery::CaughtUp(None)))));
    for n in 0..3 {
        ports.events.append(append()).await.unwrap();
        let delivery = tokio::time::timeout(Duration::from_secs(5), live.next()).await.expect("no hint within 5 s");
        let Some(Ok(Delivery::Event(event))) = delivery else { panic!("{delivery:?}") };
        assert_eq!(event.revision.get(), n);
    }
}

#[tokio::test]
async fn raw_appends_that_are_off_are_no_conflict() {
    let server = Running::with(|server| server).await;
    let client = server.client().await;
    let error = client.append(append()).await.unwrap_err();
    assert!(matches!(&error, AppendError::Other(source) if source.to_string().contains("raw appends")), "{error:?}");
    // Whether it can write, anybody may know.
    client.append(Append::default()).await.unwrap();
}

#[tokio::test]
async fn what_the_server_does_not_take_is_not_sent() {
    let server = Running::configured(|config| {
        config.append_request_bytes = Some(1_000);
        config.request_bytes = 1_000;
    })
    .await;
    let client = server.client().await;
    let event = NewEvent::new("s".parse().unwrap(), "t".parse().unwrap(), vec![0; 2_000]).with_format(Format::Binary);
    let error = client.append(Append::new([event])).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { limit: 1_000, size: 2_001.., .. }), "{error:?}");
    let mut query = Query::all();
    for n in 0..20 {
        query = query.or(portolan_kernel::values::Item::new().tag(format!("{n:0100}").parse().unwrap()));
    }
    let error = client.read(Read::log(query.clone())).await.unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { limit: 1_000, .. }), "{error:?}");
    assert!(matches!(client.changed(query, None).await, Err(ReadError::TooLarge { .. })));
    let large = "x".repeat(2_000);
    let mut sent = command("echo");
    sent.body = portolan_kernel::ports::Body::Encoded(large.clone().into(), Format::Json);
    let error = client.dispatch(sent).await.unwrap_err();
    assert!(matches!(&error, CommandError::Other(source) if source.to_string().contains("1000")), "{error:?}");
    let error = client.ask(QueryEnvelope::new(Name::new("echo").unwrap(), large)).await.unwrap_err();
    assert!(matches!(error, QueryError::Other(_)), "{error:?}");
}

#[rstest]
#[case("127.0.0.1:50051", "http://")]
#[case("ftp://x", "http://")]
#[case("http://x/?a=b", "query")]
#[case("http://x/y", "path")]
#[case("not a uri", "")]
#[tokio::test]
async fn uris_that_are_none(#[case] uri: &str, #[case] says: &str) {
    let error = GrpcClient::connect(uri).await.unwrap_err();
    assert!(matches!(error, ConnectError::Uri { .. }), "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn nobody_there_and_somebody_else_there() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    let other = tokio::spawn(async move {
        let (mut socket, _) = free.accept().await.unwrap();
        let _ = socket.read(&mut [0; 1024]).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
    });
    let error = GrpcClient::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. } | ConnectError::Protocol { .. }), "{error:?}");
    other.await.unwrap();
    let error = GrpcClient::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    // A server of gRPC that is none of Portolan.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = futures::stream::unfold(listener, |listener| async {
        let (socket, _) = listener.accept().await.unwrap();
        Some((Ok::<_, std::io::Error>(socket), listener))
    });
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming));
    let error = GrpcClient::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome() {
    let server = Running::start().await;
    let losing = Arc::new(AtomicBool::new(false));
    let client = GrpcClient::connect(format!("http://{}", lossy(server.address, losing.clone()).await)).await.unwrap();
    client.append(append()).await.unwrap();
    losing.store(true, Ordering::Relaxed);
    let pause = ProjectionAction::Pause;
    let balances = || Name::new("balances").unwrap();
    assert!(matches!(client.append(append()).await, Err(AppendError::Unknown(_))));
    assert!(matches!(client.dispatch(command("echo")).await, Err(CommandError::Unknown(_))));
    assert!(matches!(client.act(balances(), pause).await, Err(ProjectionError::Unknown(_))));
    assert!(matches!(client.read(Read::log(Query::all())).await, Err(ReadError::Busy(_))));
    assert!(matches!(client.list().await, Err(ProjectionError::Busy(_))));
    assert!(matches!(client.wait_for(balances(), Position::MAX).await, Err(WaitError::Busy(_))));
    let asked = client.ask(QueryEnvelope::new(Name::new("echo").unwrap(), "{}")).await;
    assert!(matches!(asked, Err(QueryError::Busy(_))), "{asked:?}");
    // It was written, and each was sent once.
    assert_eq!(server.store.read(Read::log(Query::all())).await.unwrap().events.len(), 2);
    assert_eq!(server.commands.seen.lock().unwrap().len(), 1);
    assert_eq!(server.projections.acted.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_append_that_lost_its_connection_is_settled_by_its_key() {
    let server = Running::start().await;
    let losing = Arc::new(AtomicBool::new(false));
    let client = GrpcClient::connect(format!("http://{}", lossy(server.address, losing.clone()).await)).await.unwrap();
    losing.store(true, Ordering::Relaxed);
    let error = client.append(keyed()).await.unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    losing.store(false, Ordering::Relaxed);
    // The client has connected anew by itself.
    let settled = client.append(keyed()).await.unwrap();
    assert!(settled.repeated);
    assert_eq!(settled.note, "note");
    let recalled = client.recall("s".parse().unwrap(), "k".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((recalled.appended, recalled.digest), (settled, [7; 32]));
    assert_eq!(server.store.read(Read::log(Query::all())).await.unwrap().events.len(), 1);
    assert_eq!(client.recall("s".parse().unwrap(), "other".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_is_gone_is_busy_and_one_that_is_back_is_found() {
    let store = Arc::new(ReferenceStore::new(Arc::new(Noon)));
    let mut server = Running::over(store.clone(), |server| server.with_raw_appends(true)).await;
    let client = server.client().await;
    client.append(append()).await.unwrap();
    server.ended().await;
    assert!(matches!(client.append(append()).await, Err(AppendError::Busy(_))));
    assert!(matches!(client.dispatch(command("echo")).await, Err(CommandError::Busy(_))));
    assert!(matches!(client.read(Read::log(Query::all())).await, Err(ReadError::Busy(_))));
    let pause = ProjectionAction::Pause;
    assert!(matches!(client.act("balances".parse().unwrap(), pause).await, Err(ProjectionError::Busy(_))));
    let again = Running::at(server.address, store, |server| server.with_raw_appends(true)).await;
    client.append(append()).await.unwrap();
    assert_eq!(again.store.read(Read::log(Query::all())).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn what_may_have_come_through_a_proxy_is_unknown() {
    // A server that answers every call with this status, and no details.
    async fn answering(headers: &'static [(&'static str, &'static str)]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = futures::stream::unfold(listener, |listener| async {
            let (socket, _) = listener.accept().await.unwrap();
            Some((Ok::<_, std::io::Error>(socket), listener))
        });
        let behind = Running::start().await;
        let channel = behind.channel().await;
        let proxy = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
            let channel = channel.clone();
            async move {
                let asks = !["/Append", "/Dispatch", "/Read"].iter().any(|end| request.uri().path().ends_with(end));
                if asks {
                    return tower::ServiceExt::oneshot(channel, request).await;
                }
                let mut response = http::Response::new(tonic::body::Body::empty());
                for (name, value) in headers {
                    response.headers_mut().insert(*name, value.parse().unwrap());
                }
                Ok(response)
            }
        });
        tokio::spawn(async move {
            let _alive = behind;
            tonic::transport::Server::builder().serve_with_incoming(proxy, incoming).await.unwrap();
        });
        format!("http://{address}")
    }
    for (status, effect, passes) in [
        ("14", "Unknown", true),
        ("13", "Unknown", false),
        ("2", "Unknown", false),
        ("7", "Denied", false),
        ("16", "Denied", false),
        ("12", "Other", false),
    ] {
        let headers: &'static [_] = Vec::leak(vec![("content-type", "application/grpc"), ("grpc-status", status)]);
        let client = GrpcClient::connect(answering(headers).await).await.unwrap();
        let written = format!("{:?}", client.append(append()).await.unwrap_err());
        assert!(written.starts_with(effect), "{status}: {written}");
        let sent = format!("{:?}", client.dispatch(command("echo")).await.unwrap_err());
        assert!(sent.starts_with(effect), "{status}: {sent}");
        let read = client.read(Read::log(Query::all())).await.unwrap_err();
        assert_eq!(matches!(read, ReadError::Busy(_)), passes, "{status}: {read:?}");
    }
    // No gRPC at all, as from a proxy of HTTP.
    let client = GrpcClient::connect(answering(&[("content-type", "text/html")]).await).await.unwrap();
    assert!(matches!(client.append(append()).await, Err(AppendError::Unknown(_))));
}

#[tokio::test]
async fn compressed_both_ways() {
    let server = Running::start().await;
    let mut config = ClientConfig::default();
    config.compression = true;
    let client = GrpcClient::connect_with(server.uri(), config).await.unwrap();
    let mut event = new_event("s");
    event.payload = vec![b'x'; 1 << 20].into();
    client.append(Append::new([event.clone()])).await.unwrap();
    let page = client.read(Read::log(Query::all())).await.unwrap();
    assert_eq!(page.events[0].event, event);
}
