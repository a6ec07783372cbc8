//! The client: buses, subscriptions, and failures on the way.

use crate::support::{Reply, Running};
use core::time::Duration;
use futures::StreamExt as _;
use portolan_conformance::ReferenceStore;
use portolan_http::{ClientConfig, ConnectError, HttpClient};
use portolan_kernel::drivers::{Delivery, From};
use portolan_kernel::ports::{
    AppendError, Body, CommandBus as _, CommandEnvelope, CommandError, EventStore as _, QueryBus as _, QueryEnvelope,
    QueryError, ReadError,
};
use portolan_kernel::values::{Append, Format, Metadata, Name, NewEvent, Position, Query, Read};
use rstest::rstest;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn command(name: &str) -> CommandEnvelope {
    CommandEnvelope::new(Name::new(name).unwrap(), Body::Encoded("{}".into(), Format::Json))
}

fn append() -> Append {
    Append::new([NewEvent::new("s".parse().unwrap(), "t".parse().unwrap(), "{}")])
}

#[tokio::test]
async fn a_command_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let metadata = Metadata {
        correlation: Some("c \u{1F980}\n".into()),
        actor: Some("ann".into()),
        tenant: Some("".into()),
        traceparent: Some("of another form".into()),
        more: [("more".to_owned(), serde_json::json!({ "a": [1] }))].into(),
        ..Metadata::default()
    };
    for id in ["k-1", " a\"b\\c ", "\"quoted\"", "\u{1F980}%20", "\\"] {
        let id = Name::new(id).unwrap();
        let sent = command("echo").with_id(id.clone()).with_metadata(metadata.clone());
        let receipt = client.dispatch(sent.wait_for("a, b".parse().unwrap())).await.unwrap();
        assert_eq!(receipt.correlation, metadata.correlation);
        assert_eq!(receipt.streams.len(), 2);
        assert_eq!(receipt.position.map(|position| position.get()), Some(17));
        assert_eq!(receipt.events.len(), 1);
        let seen = server.commands.seen.lock().unwrap().pop().unwrap();
        assert_eq!((seen.id, seen.metadata), (Some(id), metadata.clone()));
        assert_eq!(seen.wait_for, ["a, b"]);
    }
}

#[tokio::test]
async fn what_a_bus_tells_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    assert_eq!(client.commands(), server.commands.commands());
    assert_eq!(client.queries(), server.queries.queries());
}

#[tokio::test]
async fn a_deadline_leaves_the_server_less_than_the_caller_has() {
    let server = Running::start().await;
    let client = server.client().await;
    let outcome = client.dispatch(command("echo").within(Duration::ZERO)).await;
    assert!(matches!(outcome, Err(CommandError::DeadlinePassed)), "{outcome:?}");
    assert!(server.commands.seen.lock().unwrap().is_empty());
    for (within, told) in [(None, None), (Some(1_000), Some(900)), (Some(5_000), Some(4_900))] {
        let mut sent = command("echo");
        sent.within = within.map(Duration::from_millis);
        client.dispatch(sent).await.unwrap();
        let seen = server.commands.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.within, told.map(Duration::from_millis));
    }
}

#[tokio::test]
async fn a_deadline_bounds_the_request() {
    let server = Running::start().await;
    let mut slow = command("slow").within(Duration::from_millis(200));
    slow.body = Body::Encoded(r#"{"ms":60000}"#.into(), Format::Json);
    assert!(matches!(server.client().await.dispatch(slow).await, Err(CommandError::Unknown(_))));
}

#[rstest]
#[case("invalid", "Invalid([Violation { path: \"amount\"")]
#[case(
    "rejected",
    "Rejected { code: \"insufficient-funds\", message: \"2 cents short\", fields: Object {\"missing\": Number(2)}"
)]
#[case("denied", "Denied(\"ann is no teller\")")]
#[case("deadline-passed", "DeadlinePassed")]
#[case("not-caught-up", "NotCaughtUp { receipt: Receipt { streams: [(\"account-ann\", Some(Revision(3)))]")]
#[case("conflict", "Conflict { stream: \"account-ann\", actual: Some(Revision(9)) }")]
#[case("key-reused", "KeyReused")]
#[case("shutting-down", "ShuttingDown")]
#[case("busy", "Busy(\"full\")")]
#[case("unknown", "Unknown(\"lost\")")]
#[case("other", "Other(\"odd\")")]
#[case("panic", "Unknown(")]
#[case("no/body %", "UnknownCommand(\"no/body %\")")]
#[tokio::test]
async fn a_commands_error_arrives_as_it_was(#[case] name: &str, #[case] expected: &str) {
    let server = Running::start().await;
    let error = server.client().await.dispatch(command(name)).await.unwrap_err();
    assert!(format!("{error:?}").starts_with(expected), "{error:?}");
}

#[tokio::test]
async fn a_query_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let ask = async |name: &str| client.ask(QueryEnvelope::new(Name::new(name).unwrap(), r#"{"a":[1,null]}"#)).await;
    let answer = ask("echo").await.unwrap();
    assert_eq!(answer.body, r#"{"a":[1,null]}"#);
    assert_eq!((answer.format, answer.revision.map(|revision| revision.get())), (Format::Json, Some(5)));
    assert!(matches!(ask("missing").await, Err(QueryError::NotFound(what)) if what == "no account bob"));
    assert!(matches!(ask("busy").await, Err(QueryError::Busy(_))));
    assert!(matches!(ask("nobody").await, Err(QueryError::UnknownQuery(name)) if name == "nobody"));
}

#[tokio::test]
async fn what_a_question_waits_for_arrives_as_it_was() {
    let server = Running::start().await;
    let question = QueryEnvelope::new(Name::new("echo").unwrap(), "{}").within(Duration::from_secs(5));
    server.client().await.ask(question.at_least(Position::MAX)).await.unwrap();
    let seen = server.queries.0.lock().unwrap().pop().unwrap();
    assert_eq!((seen.within, seen.at_least), (Some(Duration::from_millis(4_900)), Some(Position::MAX)));
    for header in ["Portolan-At-Least: x", "Request-Timeout: x"] {
        let problem = server.send("GET", "/queries/echo", &[header], "").await.is_problem(422, "invalid-request");
        assert_eq!(problem["violations"][0]["path"], header.split(':').next().unwrap());
    }
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
    let error = server.client().await.append(append()).await.unwrap_err();
    assert!(matches!(&error, AppendError::Other(source) if source.to_string().contains("raw appends")), "{error:?}");
}

#[tokio::test]
async fn what_the_server_does_not_take_is_too_large() {
    let server = Running::configured(|config| config.append_body_bytes = Some(1_000)).await;
    let client = server.client().await;
    let event = NewEvent::new("s".parse().unwrap(), "t".parse().unwrap(), vec![0; 2_000]).with_format(Format::Binary);
    let error = client.append(Append::new([event])).await.unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { limit: 1_000, size: 2_001.., .. }), "{error:?}");
}

#[rstest]
#[case("https://127.0.0.1:1", "https")]
#[case("127.0.0.1:8080", "http://")]
#[case("ftp://x", "http://")]
#[case("http://x/?a=b", "query")]
#[case("not a url", "")]
#[tokio::test]
async fn urls_that_are_none(#[case] url: &str, #[case] says: &str) {
    let error = HttpClient::connect(url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Url { .. }), "{error:?}");
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
    let error = HttpClient::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error:?}");
    other.await.unwrap();
    let error = HttpClient::connect(format!("http://{address}")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

/// A proxy before the server that, once told to, takes one request more and never answers it.
async fn lossy(server: &Running, lost: Arc<std::sync::atomic::AtomicBool>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = server.address;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(behind).await.unwrap();
            let lost = lost.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                while let Ok(length @ 1..) = near.read(&mut request).await {
                    far.write_all(&request[..length]).await.unwrap();
                    let reply = Reply::read(&mut far).await;
                    if lost.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    near.write_all(reply.head.as_bytes()).await.unwrap();
                    near.write_all(&reply.body).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome() {
    let server = Running::start().await;
    let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let client = HttpClient::connect(format!("http://{}", lossy(&server, lost.clone()).await)).await.unwrap();
    client.append(append()).await.unwrap();
    lost.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(client.append(append()).await, Err(AppendError::Unknown(_))));
    assert!(matches!(client.dispatch(command("echo")).await, Err(CommandError::Unknown(_))));
    assert!(matches!(client.read(Read::log(Query::all())).await, Err(ReadError::Busy(_))));
    // It was written, and it was sent once.
    assert_eq!(server.store.read(Read::log(Query::all())).await.unwrap().events.len(), 2);
    assert_eq!(server.commands.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_busy() {
    let mut server = Running::start().await;
    let client = server.client().await;
    server.stop();
    server.stopped.take().unwrap().await.unwrap();
    assert!(matches!(client.append(append()).await, Err(AppendError::Busy(_))));
    assert!(matches!(client.dispatch(command("echo")).await, Err(CommandError::Busy(_))));
    assert!(matches!(client.read(Read::log(Query::all())).await, Err(ReadError::Busy(_))));
}

#[tokio::test]
async fn a_late_answer_is_an_unknown_outcome() {
    let server = Running::start().await;
    let mut config = ClientConfig::default();
    config.request_timeout = Duration::from_millis(200);
    let client = HttpClient::connect_with(format!("http://{}", server.address), config).await.unwrap();
    let mut slow = command("slow");
    slow.body = Body::Encoded(r#"{"ms":5000}"#.into(), Format::Json);
    assert!(matches!(client.dispatch(slow).await, Err(CommandError::Unknown(_))));
}

#[tokio::test]
async fn a_query_too_long_for_a_url_still_gives_a_hint() {
    let store = Arc::new(ReferenceStore::new(Arc::new(crate::support::Noon)));
    let server = Running::over(store, |server| server.with_raw_appends(true)).await;
    let client = server.client().await;
    let mut query = Query::stream("s".parse().unwrap());
    for n in 0..400 {
        query = query.or(portolan_kernel::values::Item::new().tag(format!("{n:0100}").parse().unwrap()));
    }
    let (changed, appended) = tokio::join!(client.changed(query, None), client.append(append()));
    appended.unwrap();
    changed.unwrap();
}
