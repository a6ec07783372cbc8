//! Commands and questions, by our client and by one that knows nothing of Portolan.

use crate::support::{Running, command, receipt};
use core::time::Duration;
use portolan_grpc::proto::{AskRequest, DispatchRequest, queries_client::QueriesClient};
use portolan_kernel::ports::{
    Body, CommandBus as _, CommandEnvelope, CommandError, QueryBus as _, QueryEnvelope, QueryError, TypedCommand,
};
use portolan_kernel::values::{Format, Metadata, Name, Position};
use rstest::rstest;
use std::sync::Arc;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

#[tokio::test]
async fn a_command_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let metadata = Metadata {
        correlation: Some("c \u{1F980}\n".into()),
        causation: Some("e".into()),
        command: Some("k".into()),
        actor: Some("ann".into()),
        tenant: Some("".into()),
        traceparent: Some("of another form \u{1F980}".into()),
        more: [("more".to_owned(), serde_json::json!({ "a": [1, u64::MAX] })), ("actor".to_owned(), 1.into())].into(),
    };
    for (id, format, body) in [
        ("k-1", Format::Json, "{}".into()),
        (" a\"b\\c ", Format::Json, "no JSON".into()),
        ("\u{1F980}%20", Format::Binary, vec![0, 0xff]),
        ("\\", Format::Binary, vec![]),
    ] {
        let id = Name::new(id).unwrap();
        let sent = CommandEnvelope::new(Name::new("echo").unwrap(), Body::Encoded(body.clone().into(), format));
        let sent = sent.with_id(id.clone()).with_metadata(metadata.clone());
        let got = client.dispatch(sent.wait_for("a, b".parse().unwrap())).await.unwrap();
        let expected = receipt().with_correlation(metadata.correlation.clone()).with_command(Some(id.to_string()));
        assert_eq!(got, expected);
        let seen = server.commands.seen.lock().unwrap().pop().unwrap();
        assert_eq!((seen.id, seen.metadata), (Some(id), metadata.clone()));
        assert_eq!(seen.wait_for, ["a, b"]);
        let Body::Encoded(bytes, as_what) = seen.body else { panic!("a typed body crossed the wire") };
        assert_eq!((&*bytes, as_what), (&*body, format));
    }
}

struct Typed;

impl TypedCommand for Typed {
    fn encode(&self) -> Result<portolan_kernel::Bytes, portolan_kernel::ports::Source> {
        Ok(r#"{"typed":true}"#.into())
    }

    fn digest(&self) -> Result<[u8; 32], portolan_kernel::ports::Source> {
        Ok([0; 32])
    }
}

#[tokio::test]
async fn a_typed_command_travels_as_json() {
    let server = Running::start().await;
    let sent = CommandEnvelope::new(Name::new("echo").unwrap(), Body::Typed(Arc::new(Typed)));
    server.client().await.dispatch(sent).await.unwrap();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert!(matches!(seen.body, Body::Encoded(bytes, Format::Json) if bytes == r#"{"typed":true}"#));
    assert_eq!((seen.id, seen.metadata), (None, Metadata::default()));
}

#[tokio::test]
async fn what_a_bus_tells_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    assert_eq!(client.commands(), portolan_kernel::ports::CommandBus::commands(&*server.commands));
    assert_eq!(client.queries(), server.queries.queries());
}

#[rstest]
#[case("malformed", "Malformed(\"at line 1\")")]
#[case("invalid", "Invalid([Violation { path: \"amount\"")]
#[case(
    "rejected",
    "Rejected { code: \"insufficient-funds\", message: \"2 cents short\", fields: Object {\"missing\": Number(2)}"
)]
#[case("long", "Rejected { code: \"long\", message: \"long\", fields: Object {\"long\": String(\"xxx")]
#[case("too-long", "Other(")]
#[case("denied", "Denied(\"ann is no teller\")")]
#[case("deadline-passed", "DeadlinePassed")]
#[case("not-caught-up", "NotCaughtUp { receipt: Receipt { streams: [(\"account-ann\", Some(Revision(3)))")]
#[case("conflict", "Conflict { stream: \"account-ann\", actual: Some(Revision(9)) }")]
#[case("key-reused", "KeyReused")]
#[case("shutting-down", "ShuttingDown")]
#[case("busy", "Busy(\"full\")")]
#[case("unknown", "Unknown(\"lost\")")]
#[case("unknown-at-length", "Unknown(")]
#[case("other", "Other(\"odd\")")]
#[case("damaged", "Other(\"the store is damaged at a place that the server's log names\")")]
#[case("panic", "Unknown(")]
#[case("no/body %", "UnknownCommand(\"no/body %\")")]
#[tokio::test]
async fn a_commands_error_arrives_as_it_was(#[case] name: &str, #[case] expected: &str) {
    let server = Running::start().await;
    let client = server.client().await;
    let error = client.dispatch(command(name)).await.unwrap_err();
    assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    // And the server goes on.
    client.dispatch(command("echo")).await.unwrap();
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let server = Running::start().await;
    let mut client = server.strange_commands().await;
    let ask = |name: &str| DispatchRequest { name: name.into(), ..DispatchRequest::default() };
    let status = client.dispatch(ask("panic")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert_eq!(status.get_details_error_info().unwrap().reason, "PANICKED");
    client.dispatch(ask("echo")).await.unwrap();
}

#[tokio::test]
async fn a_wait_in_vain_is_a_success_that_says_so() {
    let server = Running::start().await;
    let mut sent = command("not-caught-up");
    for projections in [vec![], vec![Name::new("a").unwrap(), Name::new("b").unwrap()]] {
        sent.wait_for.clone_from(&projections);
        let error = server.client().await.dispatch(sent.clone()).await.unwrap_err();
        assert!(
            matches!(&error, CommandError::NotCaughtUp { receipt: got, waiting } if **got == receipt() && *waiting == projections),
            "{error:?}"
        );
    }
    let message = DispatchRequest { name: "not-caught-up".into(), ..DispatchRequest::default() };
    let answer = server.strange_commands().await.dispatch(message).await.unwrap().into_inner();
    assert!(answer.not_caught_up && answer.receipt.is_some());
}

#[tokio::test]
async fn metadata_stands_in_for_what_the_message_leaves_out() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let server = Running::start().await;
    let mut client = server.strange_commands().await;
    let request = |message: DispatchRequest| {
        let mut request = Request::new(message);
        request.metadata_mut().insert("idempotency-key", "k-1".parse().unwrap());
        request.metadata_mut().insert("x-correlation-id", "c-1".parse().unwrap());
        request.metadata_mut().insert("traceparent", TRACE.parse().unwrap());
        request
    };
    let bare = DispatchRequest { name: "echo".into(), ..DispatchRequest::default() };
    client.dispatch(request(bare.clone())).await.unwrap();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.id, Some("k-1".parse().unwrap()));
    let metadata = Metadata { correlation: Some("c-1".into()), traceparent: Some(TRACE.into()), ..Metadata::default() };
    assert_eq!(seen.metadata, metadata);

    let full = DispatchRequest {
        id: Some("k-2".into()),
        metadata: Some(portolan_grpc::proto::Metadata {
            correlation_id: Some("c-2".into()),
            traceparent: Some("mine".into()),
            ..Default::default()
        }),
        ..bare.clone()
    };
    client.dispatch(request(full)).await.unwrap();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.id, Some("k-2".parse().unwrap()));
    assert_eq!(seen.metadata.correlation.as_deref(), Some("c-2"));
    assert_eq!(seen.metadata.traceparent.as_deref(), Some("mine"));

    // Of another form: a trace counts for nothing, a key twice is a mistake.
    let mut odd = Request::new(bare);
    odd.metadata_mut().insert("traceparent", "00-1-2-3".parse().unwrap());
    client.dispatch(odd).await.unwrap();
    assert_eq!(server.commands.seen.lock().unwrap().pop().unwrap().metadata, Metadata::default());
    let mut twice = Request::new(DispatchRequest { name: "echo".into(), ..DispatchRequest::default() });
    twice.metadata_mut().append("idempotency-key", "a".parse().unwrap());
    twice.metadata_mut().append("idempotency-key", "b".parse().unwrap());
    let status = client.dispatch(twice).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "idempotency-key");
}

#[tokio::test]
async fn a_deadline_leaves_the_server_less_than_the_caller_has() {
    let server = Running::start().await;
    let client = server.client().await;
    let outcome = client.dispatch(command("echo").within(Duration::ZERO)).await;
    assert!(matches!(outcome, Err(CommandError::DeadlinePassed)), "{outcome:?}");
    assert!(server.commands.seen.lock().unwrap().is_empty());
    for (within, told) in [(None, None), (Some(500), Some(450)), (Some(5_000), Some(4_900))] {
        let mut sent = command("echo");
        sent.within = within.map(Duration::from_millis);
        client.dispatch(sent).await.unwrap();
        let seen = server.commands.seen.lock().unwrap().pop().unwrap();
        assert_eq!(seen.within, told.map(Duration::from_millis));
    }
    // By the standard header, from whatever client.
    let mut request = Request::new(DispatchRequest { name: "echo".into(), ..DispatchRequest::default() });
    request.set_timeout(Duration::from_secs(2));
    server.strange_commands().await.dispatch(request).await.unwrap();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.within, Some(Duration::from_millis(1_900)));
    // Who waits for projections hears of a wait in vain before this client gives up.
    client.dispatch(command("echo").wait_for("a".parse().unwrap())).await.unwrap();
    let seen = server.commands.seen.lock().unwrap().pop().unwrap();
    assert_eq!(seen.within, Some(Duration::from_millis(59_900)));
}

#[tokio::test]
async fn a_deadline_of_another_form_is_a_mistake() {
    let server = Running::start().await;
    let mut request = Request::new(DispatchRequest { name: "echo".into(), ..DispatchRequest::default() });
    request.metadata_mut().insert("grpc-timeout", "2.5S".parse().unwrap());
    let status = server.strange_commands().await.dispatch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "grpc-timeout");
    assert!(server.commands.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_deadline_bounds_the_call() {
    let server = Running::start().await;
    let client = server.client().await;
    let late = client.dispatch(command("stuck").within(Duration::from_millis(200))).await;
    assert!(matches!(late, Err(CommandError::Unknown(_))), "{late:?}");
    let asked = client.ask(QueryEnvelope::new(Name::new("stuck").unwrap(), "{}").within(Duration::from_millis(200)));
    assert!(matches!(asked.await, Err(QueryError::Busy(_))));
    // One who drops the call is not waited for.
    let impatient = server.impatient_client(Duration::from_millis(200)).await;
    assert!(matches!(impatient.dispatch(command("stuck")).await, Err(CommandError::Unknown(_))));
}

#[tokio::test]
async fn a_query_arrives_as_it_was() {
    let server = Running::start().await;
    let client = server.client().await;
    let ask = async |name: &str| client.ask(QueryEnvelope::new(Name::new(name).unwrap(), r#"{"a":[1,null]}"#)).await;
    let answer = ask("echo").await.unwrap();
    assert_eq!(answer.body, r#"{"a":[1,null]}"#);
    assert_eq!((answer.format, answer.revision.map(|revision| revision.get())), (Format::Json, Some(5)));
    let answer = ask("binary").await.unwrap();
    assert_eq!((&*answer.body, answer.format, answer.revision), (&[0, 0xff][..], Format::Binary, None));
    for (name, expected) in [
        ("missing", "NotFound(\"no account bob\")"),
        ("invalid", "Invalid([Violation { path: \"a\", code: \"b\", message: \"c\" }])"),
        ("malformed", "Malformed(\"no object\")"),
        ("busy", "Busy(\"full\")"),
        ("other", "Other(\"odd\")"),
        ("nobody", "UnknownQuery(\"nobody\")"),
    ] {
        assert_eq!(format!("{:?}", ask(name).await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn what_a_question_waits_for_arrives_as_it_was() {
    let server = Running::start().await;
    let metadata = Metadata { actor: Some("ann".into()), ..Metadata::default() };
    let question = QueryEnvelope::new(Name::new("echo").unwrap(), "{}").within(Duration::from_secs(5));
    let question = question.with_metadata(metadata.clone()).at_least(Position::MAX);
    server.client().await.ask(question).await.unwrap();
    let seen = server.queries.0.lock().unwrap().pop().unwrap();
    assert_eq!((seen.within, seen.at_least), (Some(Duration::from_millis(4_900)), Some(Position::MAX)));
    assert_eq!(seen.metadata, metadata);
    // Without parameters: an empty object.
    let mut strange = QueriesClient::new(server.channel().await);
    let request = AskRequest { name: "echo".into(), ..AskRequest::default() };
    assert_eq!(strange.ask(request).await.unwrap().into_inner().body, "{}");
    let request = AskRequest { name: "echo".into(), at_least: Some(1 << 63), ..AskRequest::default() };
    let status = strange.ask(request).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "at_least");
}
